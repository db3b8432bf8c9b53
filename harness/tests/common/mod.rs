//! What the tests of the real server share.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses its own part of this")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::binary;
use harness::campaign::Campaign;
use harness::clock;
use harness::process::{Launch, Mode, Program, Server};
use harness::report::Counters;
use harness::rules::Violation;
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

pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
