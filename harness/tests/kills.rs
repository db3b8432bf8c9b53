//! `kill -9` at random moments while sixteen clients write all types, in every mode.

mod common;

use harness::campaign::Campaign;
use harness::fault;
use harness::process::Mode;

const KILLS: u64 = 10;

fn kills(mode: Mode) {
    let _turn = common::alone();
    let mut campaign = Campaign::new(common::plan(mode), common::seed(), KILLS);
    campaign.load = (common::millis(150), common::millis(500));
    campaign.kills_per_store = 5;
    let counters = common::survive(&campaign);
    fault::say(&format!("{}: {counters:?}", mode.word()));
    assert_eq!(counters.kills, KILLS);
    assert!(counters.kills_with_unknown * 10 >= KILLS * 9, "kills need writes in flight: {counters:?}");
    assert!(counters.acked_writes > 0);
}

#[test]
fn always_loses_nothing() {
    kills(Mode::Always);
}

#[test]
fn everysec_loses_nothing() {
    kills(Mode::EverySec);
}

#[test]
fn no_loses_nothing() {
    kills(Mode::No);
}
