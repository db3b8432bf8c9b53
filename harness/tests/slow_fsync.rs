//! Every fsync takes 1.5 s longer, and the server is killed meanwhile. The same program must find losses in a server
//! that answers before the kernel has the bytes.

mod common;

use harness::campaign::Campaign;
use harness::fault;
use harness::process::{Mode, Program};
use harness::report::Counters;
use harness::store::Plan;

const DELAY_MS: u64 = 1500;

fn slow(mode: Mode, kills: u64) -> Counters {
    let _turn = common::alone();
    let mut plan = common::plan(mode);
    // Large segments: a fresh one has to be synced before it is used, and this is not about that.
    plan.args.clear();
    plan.env.push(fault::slow_sync(DELAY_MS));
    let mut campaign = Campaign::new(plan, common::seed(), kills);
    campaign.load = (common::millis(300), common::millis(2500));
    let counters = common::survive(&campaign);
    fault::say(&format!("{}: {counters:?}", mode.word()));
    assert_eq!(counters.lost_writes, 0);
    counters
}

#[test]
fn always_loses_nothing() {
    assert!(slow(Mode::Always, 2).unknown_writes > 0);
}

#[test]
fn everysec_loses_nothing() {
    assert!(slow(Mode::EverySec, 3).acked_writes > 0);
}

#[test]
fn no_loses_nothing() {
    assert!(slow(Mode::No, 2).acked_writes > 0);
}

#[test]
fn redis_everysec_loses_and_the_harness_sees_it() {
    let _turn = common::alone();
    if let Some(reason) = fault::strace_missing() {
        return fault::skipped("slow fsync in redis-server", &reason);
    }
    if std::process::Command::new("redis-server").arg("--version").output().is_err() {
        return fault::skipped("slow fsync in redis-server", "no redis-server");
    }
    let mut plan = Plan::new(Program::Redis("redis-server".into()), Mode::EverySec);
    plan.wrapper = fault::strace_slow_sync(DELAY_MS);
    let mut campaign = Campaign::new(plan, common::seed(), 3);
    campaign.load = (common::millis(600), common::millis(1400));
    campaign.keep_going = true;
    let mut counters = Counters::default();
    campaign.run(&mut counters).expect("the harness works");
    fault::say(&format!("redis-server: {counters:?}"));
    assert!(counters.lost_writes > 0, "{counters:?}");
}
