//! Real power cuts, a few in every mode, and planted bugs that nothing but a power cut shows.
//!
//! The long version is `cargo run --release -p harness --bin torture -- --cuts 170 --mode all`.

mod common;

use harness::binary;
use harness::campaign::Campaign;
use harness::fault;
use harness::process::{Mode, Program};
use harness::report::Counters;
use harness::rules::{Rule, Violation};
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
        assert!(cuts(Mode::EverySec, 3, (900, 1500)).taken_writes > 0, "a cut that takes nothing is none");
    }
}

#[test]
fn no_loses_a_suffix() {
    let _turn = common::alone();
    if !is_skipped() {
        assert!(cuts(Mode::No, 4, (150, 500)).taken_writes > 0, "a cut that takes nothing is none");
    }
}

/// Cuts until a rule is broken, in `always`.
fn found(mutant: &str, mode: Mode) -> Vec<Violation> {
    let mut plan =
        on_volume(Plan::new(Program::Kvd(binary::with_mutants().expect("kvd builds with its planted bugs")), mode));
    plan.args.extend(common::SMALL_SEGMENTS.map(str::to_owned));
    plan.env.push((fault::MUTANT.to_owned(), mutant.to_owned()));
    let mut counters = Counters::default();
    let campaign = Campaign { notes: None, ..Campaign::new(plan, common::seed(), BUDGET) };
    let broken = campaign.run(&mut counters).expect("the harness works");
    let (cuts, seed) = (counters.kills, campaign.seed);
    fault::say(&format!("{mutant}: found by cut {cuts}, seed {seed}, {} s: {:?}", counters.seconds, broken.first()));
    broken
}

fn caught(mutant: &str, rules: &[Rule]) {
    let _turn = common::alone();
    if !is_skipped() {
        let broken = found(mutant, Mode::Always);
        assert!(broken.iter().any(|violation| rules.contains(&violation.rule)), "{broken:?}");
    }
}

#[test]
fn a_sync_that_is_not_done() {
    caught("skip_fsync", &[Rule::AckedSurvives]);
}

#[test]
fn an_answer_before_the_sync() {
    caught("ack_before_sync", &[Rule::AckedSurvives]);
}

#[test]
fn a_name_that_is_not_synced() {
    caught("no_dir_fsync", &[Rule::AckedSurvives, Rule::Serves]);
}
