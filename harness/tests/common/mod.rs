//! What the tests of the real server share.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses its own part of this")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::binary;
use harness::campaign::Campaign;
use harness::clock;
use harness::planted::Caught;
use harness::process::{Launch, Mode, Program, Server};
use harness::report::Counters;
use harness::rules::{Rule, Violation};
use harness::store::Plan;

/// The smallest segments: rotation and compaction happen within a short run.
pub(crate) const SMALL_SEGMENTS: [&str; 2] = ["--segment-size", "64kb"];

/// One heavy test at a time: each needs the whole machine.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn kvd() -> Program {
    Program::Kvd(binary::with_failpoints().expect("kvd builds"))
}

/// The seed of this run; `HARNESS_SEED` repeats one.
pub(crate) fn seed() -> u64 {
    let chosen = std::env::var("HARNESS_SEED").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(clock::fresh_seed)
}

/// A plan with small segments.
pub(crate) fn plan(mode: Mode) -> Plan {
    let mut plan = Plan::new(kvd(), mode);
    plan.args.extend(SMALL_SEGMENTS.map(str::to_owned));
    plan
}

/// A launch of kvd on `dir`, its output beside it.
pub(crate) fn launch(dir: &Path, mode: Mode) -> Launch {
    let log = dir.with_extension("log");
    let (args, env, wrapper) = (SMALL_SEGMENTS.map(str::to_owned).to_vec(), Vec::new(), Vec::new());
    Launch { program: kvd(), dir: dir.to_path_buf(), log, mode, args, env, wrapper }
}

pub(crate) fn start(launch: &Launch) -> Server {
    launch.start().expect("the server starts")
}

/// Runs a campaign in which no rule may be broken.
pub(crate) fn survive(campaign: &Campaign) -> Counters {
    let mut counters = Counters::default();
    let broken = campaign.run(&mut counters).expect("the harness works");
    assert_sound(&broken, campaign.seed);
    counters
}

pub(crate) fn assert_sound(broken: &[Violation], seed: u64) {
    let lines: Vec<String> = broken.iter().take(8).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "HARNESS_SEED={seed}: {} violations\n{}", broken.len(), lines.join("\n"));
}

/// Says by what a planted bug was found, or that it was missed, and fails if it was. What breaks another rule may be another bug.
pub(crate) fn assert_found(mutant: &str, level: &str, by: &str, begin: Instant, seed: u64, is_found: bool, why: &str) {
    let by = is_found.then(|| by.to_owned());
    let seconds = (clock::now() - begin).as_secs_f64();
    Caught { mutant: mutant.to_owned(), level: level.to_owned(), by, seconds }.say(seed, why);
    assert!(is_found, "HARNESS_SEED={seed}: {mutant} is not found: {why}");
}

/// Whether one of these rules is broken, and what is to be said of it.
pub(crate) fn found(broken: &[Violation], rules: &[Rule]) -> (bool, String) {
    let by = broken.iter().find(|violation| rules.contains(&violation.rule));
    (by.is_some(), by.or(broken.first()).map_or("nothing is broken".to_owned(), ToString::to_string))
}

pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
