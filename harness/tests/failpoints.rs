//! Death at every named place: at its first hit, its second, its third … until a run does not reach it.
//!
//! `HARNESS_EXHAUSTIVE=1` takes every hit; without it, from the eighth on, each time twice as many.

mod common;

use std::time::Duration;

use harness::exhaust::{self, Armed, Depth};
use harness::fault;
use harness::process::Mode;
use harness::workload::Weight;

const SHORT: Armed = Armed { commands: 40, settle: Duration::ZERO };
/// What the first commands have done is still there when the log is compacted.
const SHORTER: Armed = Armed { commands: 40, settle: Duration::from_millis(300) };
/// The log has to outgrow what is alive in it.
const LONG: Armed = Armed { commands: 2500, settle: Duration::from_millis(300) };
/// The third checkpoint makes the first superfluous, and each waits for a sync.
const LONGER: Armed = Armed { commands: 8000, settle: Duration::from_millis(600) };

/// Stores that are tried before a place counts as one that is not reached.
const TRIES: u64 = 6;

fn exhaust(names: &[&str], life: Armed, mode: Mode) {
    exhaust_with(&[], names, life, mode);
}

fn exhaust_with(args: &[&str], names: &[&str], life: Armed, mode: Mode) {
    let _turn = common::alone();
    let mut plan = common::plan(mode);
    plan.args.extend(args.iter().map(|&arg| arg.to_owned()));
    plan.clients = 6;
    plan.weight = Weight::Light;
    let depth = if std::env::var_os("HARNESS_EXHAUSTIVE").is_some() { Depth::All } else { Depth::Then(8) };
    let mut seed = common::seed();
    let mut unreached = Vec::new();
    for name in names {
        let mut tries = 0;
        let done = loop {
            let done = exhaust::exhaust(&plan, name, life, depth, seed).expect("the harness works");
            tries += 1;
            // What clients do by chance may keep them from a place: then others are sent.
            if done.deaths > 0 || !done.broken.is_empty() || tries == TRIES {
                break done;
            }
            seed = seed.wrapping_add(1);
        };
        fault::say(&format!("{name} {}: {} deaths, hit {} not reached", mode.word(), done.deaths, done.end));
        let broken: Vec<String> = done.broken.iter().take(5).map(ToString::to_string).collect();
        assert!(broken.is_empty(), "{name} hit {} HARNESS_SEED={seed}: {}", done.end, broken.join("\n"));
        if done.deaths == 0 {
            unreached.push(name);
        }
    }
    assert!(unreached.is_empty(), "nothing died at {unreached:?}: these checks cannot fail");
}

/// The failpoints whose name begins with one of these.
fn named(prefixes: &[&str]) -> Vec<&'static str> {
    fault::NAMES.iter().copied().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect()
}

#[test]
fn writing() {
    exhaust(&named(&["log.append", "log.write", "ack", "blob.write"]), SHORT, Mode::EverySec);
}

#[test]
fn syncing() {
    exhaust(&named(&["log.sync", "ack", "blob.sync"]), SHORT, Mode::Always);
}

#[test]
fn changing_segments() {
    exhaust(&named(&["segment.create", "segment.seal", "dir.sync"]), SHORT, Mode::EverySec);
}

#[test]
fn compacting() {
    exhaust(&named(&["compact", "segment.recycle"]), LONG, Mode::EverySec);
}

#[test]
fn checkpointing() {
    let often = ["--checkpoint-after", "8kb"];
    exhaust_with(&often, &named(&["checkpoint"]), LONGER, Mode::EverySec);
}

/// Values leave memory and come back all the time.
#[test]
fn spilling() {
    let little = ["--maxmemory", "1200kb"];
    let names = named(&["spill.leave", "spill.image", "spill.read", "spill.bring"]);
    exhaust_with(&little, &names, LONG, Mode::EverySec);
}

/// A large value has changed, and gets a file of its own again when the log is compacted.
#[test]
fn settling() {
    exhaust(&named(&["spill.settle"]), SHORTER, Mode::EverySec);
}

#[test]
fn recovering_and_stopping() {
    exhaust(&named(&["recover", "shutdown"]), SHORT, Mode::EverySec);
}
