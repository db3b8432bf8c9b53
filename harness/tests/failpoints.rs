//! Death at every named place: at its first hit, its second, its third … until a run does not reach it.
//!
//! From the eighth hit on each time twice as many: `faults failpoints` takes every one.

mod common;

use harness::exhaust::{Course, Depth, Family};
use harness::fault;

fn exhaust(family: &str) {
    let _turn = common::alone();
    let family = Family::named(family).expect("there is such a family");
    let seed = common::seed();
    let mut unreached = Vec::new();
    for name in family.failpoints() {
        let course = Course { depth: Depth::Then(8), seed, notes: Some(&std::env::temp_dir()) };
        let done = family.exhaust(&common::kvd(), name, family.mode, course).expect("the harness works");
        fault::say(&format!("{name} {}: {} deaths, hit {} not reached", family.mode.word(), done.deaths, done.end));
        let broken: Vec<String> = done.broken.iter().take(5).map(ToString::to_string).collect();
        assert!(broken.is_empty(), "{name} hit {} HARNESS_SEED={seed}: {}", done.end, broken.join("\n"));
        if done.deaths == 0 {
            unreached.push(name);
        }
    }
    assert!(unreached.is_empty(), "nothing died at {unreached:?}: these checks cannot fail");
}

#[test]
fn writing() {
    exhaust("writing");
}

#[test]
fn syncing() {
    exhaust("syncing");
}

#[test]
fn changing_segments() {
    exhaust("segments");
}

#[test]
fn compacting() {
    exhaust("compacting");
}

#[test]
fn checkpointing() {
    exhaust("checkpoints");
}

#[test]
fn spilling() {
    exhaust("spilling");
}

#[test]
fn settling() {
    exhaust("settling");
}

#[test]
fn recovering_and_stopping() {
    exhaust("recovering");
}
