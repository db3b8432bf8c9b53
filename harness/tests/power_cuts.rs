//! Real power cuts, a few in every mode, and planted bugs that nothing but a power cut shows.
//!
//! The long version is `cargo run --release -p harness --bin torture -- --cuts 170 --mode all`.

mod common;

use harness::binary;
use harness::campaign::Campaign;
use harness::clock;
use harness::fault;
use harness::process::{Mode, Program};
use harness::report::Counters;
use harness::rules::Rule;
use harness::store::Plan;
use harness::volume::Volume;

/// Cuts within which a planted bug must be found.
const BUDGET: u64 = 30;

fn is_skipped() -> bool {
    let missing = Volume::missing();
    missing.iter().for_each(|reason| fault::skipped("L3", reason));
    missing.is_some()
}

fn on_volume(plan: Plan) -> Plan {
    Plan { on_volume: true, ..plan }
}

fn cuts(mode: Mode, cuts: u64, load_ms: (u64, u64)) -> Counters {
    let mut campaign = Campaign::new(on_volume(common::plan(mode)), common::seed(), cuts);
    campaign.load = (common::millis(load_ms.0), common::millis(load_ms.1));
    let counters = common::survive(&campaign);
    fault::say(&format!("{}: {counters:?}", mode.word()));
    assert_eq!((counters.kills, counters.lost_writes), (cuts, 0));
    assert!(counters.acked_writes > 0);
    counters
}

#[test]
fn always_loses_nothing() {
    let _turn = common::alone();
    if !is_skipped() {
        assert_eq!(cuts(Mode::Always, 5, (150, 500)).taken_writes, 0);
    }
}

#[test]
fn everysec_loses_the_last_second_at_most() {
    let _turn = common::alone();
    if !is_skipped() {
        assert!(cuts(Mode::EverySec, 4, (900, 1500)).taken_writes > 0, "a cut that takes nothing is none");
    }
}

#[test]
fn no_loses_a_suffix() {
    let _turn = common::alone();
    if !is_skipped() {
        assert!(cuts(Mode::No, 4, (150, 500)).taken_writes > 0, "a cut that takes nothing is none");
    }
}

/// Cuts within the budget find a planted fault, by one of these rules.
fn caught(planted: &[(String, String)], mode: Mode, load_ms: (u64, u64), args: &[&str], rules: &[Rule]) {
    let _turn = common::alone();
    if is_skipped() {
        return;
    }
    let program = binary::with_mutants().expect("kvd builds with its planted bugs");
    let mut plan = on_volume(Plan::new(Program::Kvd(program), mode));
    plan.args.extend(args.iter().map(|&word| word.to_owned()));
    plan.env.extend_from_slice(planted);
    let begin = clock::now();
    let mut counters = Counters::default();
    let mut campaign = Campaign { notes: None, ..Campaign::new(plan, common::seed(), BUDGET) };
    campaign.load = (common::millis(load_ms.0), common::millis(load_ms.1));
    let broken = campaign.run(&mut counters).expect("the harness works");
    let (is_found, why) = common::found(&broken, rules);
    // The first is the bug itself: a mutant's name, or what a failpoint does.
    let name = planted.first().map_or("", |(_, name)| name);
    common::assert_found(name, "L3", &format!("cut {}", counters.kills), begin, campaign.seed, is_found, &why);
}

fn mutant(name: &str) -> (String, String) {
    (fault::MUTANT.to_owned(), name.to_owned())
}

const SHORT: (u64, u64) = (150, 500);

/// Or a whole segment is gone, and recovery refuses what is behind it.
#[test]
fn a_sync_that_is_not_done() {
    caught(&[mutant("skip_fsync")], Mode::Always, SHORT, &common::SMALL_SEGMENTS, &[Rule::AckedSurvives, Rule::Serves]);
}

/// Syncs take longer, so that most cuts fall between the two.
#[test]
fn an_answer_before_the_sync() {
    caught(
        &[mutant("ack_before_sync"), fault::slow_sync(20)],
        Mode::Always,
        SHORT,
        &common::SMALL_SEGMENTS,
        &[Rule::AckedSurvives],
    );
}

#[test]
fn a_full_segment_that_is_not_synced() {
    let rules = [Rule::AckedSurvives, Rule::Serves];
    caught(&[mutant("sealed_segment_not_synced")], Mode::Always, SHORT, &common::SMALL_SEGMENTS, &rules);
}

#[test]
fn a_tail_that_is_not_durable_again() {
    let rules = [Rule::AckedSurvives, Rule::NoResurrection, Rule::Serves];
    caught(&[mutant("tail_not_made_durable")], Mode::Always, SHORT, &common::SMALL_SEGMENTS, &rules);
}

/// With such syncs two seconds are promised, and not one.
#[test]
fn a_second_and_more_that_is_lost() {
    caught(&[fault::slow_sync(1500)], Mode::EverySec, (2200, 2600), &[], &[Rule::LossIsRecent]);
}
