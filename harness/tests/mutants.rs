//! Planted bugs that kills must find. One that is not found within its budget means that the harness is blind.

mod common;

use std::time::Duration;

use common::found;
use harness::aim::{self, Aim};
use harness::binary;
use harness::campaign::Campaign;
use harness::clock;
use harness::exhaust::{self, Armed, Course, Depth};
use harness::fault;
use harness::mix::Mix;
use harness::process::{Mode, Program};
use harness::report::Counters;
use harness::rules::{Rule, Violation};
use harness::store::Plan;
use harness::workload::Weight;

/// Kills within which a planted bug must be found.
const BUDGET: u64 = 30;

const LIFE: Armed = Armed { commands: 40, settle: Duration::ZERO, deaths: u64::MAX };

fn plan(mutant: &str, mode: Mode) -> Plan {
    let program = binary::with_mutants().expect("kvd builds with its planted bugs");
    let mut plan = Plan::new(Program::Kvd(program), mode);
    plan.args.extend(common::SMALL_SEGMENTS.map(str::to_owned));
    plan.env.push((fault::MUTANT.to_owned(), mutant.to_owned()));
    plan
}

/// Kills until a rule is broken or the budget is used up; whether that shows the bug.
fn kills(mutant: &str, mode: Mode, weight: Weight, shows: impl Fn(&Counters, &[Violation]) -> (bool, String)) {
    let _turn = common::alone();
    let mut plan = plan(mutant, mode);
    plan.weight = weight;
    let (seed, begin) = (common::seed(), clock::now());
    let mut counters = Counters::default();
    let campaign = Campaign { notes: None, ..Campaign::new(plan, seed, BUDGET) };
    let broken = campaign.run(&mut counters).expect("the harness works");
    let (is_found, why) = shows(&counters, &broken);
    common::assert_found(mutant, "L2", &format!("kill {}", counters.kills), begin, seed, is_found, &why);
}

/// A planted bug that needs a death within a write.
fn caught_by_death_within_a_write(mutant: &str, mix: Mix, rules: &[Rule]) {
    let _turn = common::alone();
    let mut plan = plan(mutant, Mode::EverySec);
    plan.clients = 6;
    plan.weight = Weight::Light;
    plan.mix = mix;
    let (seed, begin) = (common::seed(), clock::now());
    let course = Course { depth: Depth::Then(BUDGET), seed, notes: None };
    let done = exhaust::exhaust(&plan, "log.write.mid", LIFE, course).expect("the harness works");
    let (is_found, why) = found(&done.broken, rules);
    let by = format!("death {}", done.deaths);
    common::assert_found(mutant, "L2", &by, begin, seed, done.deaths > 0 && is_found, &why);
}

/// A planted bug that any kill under load may show.
fn caught_by_kills(mutant: &str, rules: &[Rule]) {
    kills(mutant, Mode::EverySec, Weight::Light, |_, broken| found(broken, rules));
}

/// A planted bug that deaths at chosen failpoints show.
fn caught_by_aimed_kills(mutant: &str, rules: &[Rule]) {
    let _turn = common::alone();
    let mut plan = plan(mutant, Mode::EverySec);
    plan.args = aim::ARGUMENTS.map(str::to_owned).to_vec();
    let aim = Aim::at(&["compact", "checkpoint", "spill"]).expect("there are such failpoints");
    let (seed, begin, mut counters) = (common::seed(), clock::now(), Counters::default());
    let campaign = Campaign { notes: None, aim: Some(aim), ..Campaign::new(plan, seed, BUDGET) };
    let broken = campaign.run(&mut counters).expect("the harness works");
    let (is_found, why) = found(&broken, rules);
    common::assert_found(mutant, "L2", &format!("death {}", counters.deaths()), begin, seed, is_found, &why);
}

/// In the other modes the worker that answers has written just before, whatever it waits for.
#[test]
fn an_answer_before_the_write() {
    // A server that does not even start is not this bug.
    let is_lost = |counters: &Counters, broken: &[Violation]| (counters.lost_writes > 0, found(broken, &Rule::ALL).1);
    kills("ack_before_write", Mode::Always, Weight::Full, is_lost);
}

#[test]
fn a_torn_tail_that_is_kept() {
    // Garbage breaks whatever it meets.
    caught_by_death_within_a_write("torn_tail_kept", Mix::All, &Rule::ALL);
}

/// Strings only: of collections, half a transaction is refused by recovery itself.
#[test]
fn half_a_transaction() {
    caught_by_death_within_a_write("torn_transaction", Mix::Strings, &[Rule::BatchWhole]);
}

#[test]
fn a_change_that_is_replayed_twice() {
    caught_by_kills("delta_applied_twice", &[Rule::CountedOnce]);
}

#[test]
fn a_change_of_a_collection_that_is_lost() {
    caught_by_kills("operation_not_replayed", &[Rule::AckedSurvives]);
}

#[test]
fn a_change_that_names_the_wrong_frame_before_it() {
    let rules = [Rule::AckedSurvives, Rule::NoTear, Rule::Serves];
    caught_by_kills("second_change_names_first", &rules);
}

#[test]
fn a_deadline_that_is_not_replayed() {
    caught_by_kills("deadline_not_replayed", &[Rule::AckedSurvives]);
}

#[test]
fn a_collection_that_was_emptied_and_comes_back() {
    // What comes back may be what the collection was at an earlier time, when the other keys were not what they are.
    caught_by_kills("emptied_not_buried", &[Rule::NoResurrection, Rule::Prefix]);
}

#[test]
fn an_old_name_that_comes_back() {
    // Where compaction has taken what a tomb should bury, a change of it is left alone, and recovery refuses it.
    caught_by_kills("renamed_not_buried", &[Rule::NoResurrection, Rule::NoPhantom, Rule::Serves]);
}

#[test]
fn an_exchange_of_databases_that_is_forgotten() {
    caught_by_kills("swap_unlogged", &[Rule::AckedSurvives, Rule::NoResurrection]);
}

#[test]
fn a_checkpoint_that_forgets_what_changed_meanwhile() {
    // What is forgotten by one start may have been there after the one before.
    let rules = [Rule::AckedSurvives, Rule::NoResurrection, Rule::Serves, Rule::ReopenSame];
    caught_by_aimed_kills("checkpoint_starts_at_its_end", &rules);
}

#[test]
fn an_older_value_that_compaction_copies_over_a_newer() {
    // A change of the newer one has lost what it stands on: then recovery refuses it.
    let rules = [Rule::AckedSurvives, Rule::WrongReply, Rule::NoTear, Rule::Serves];
    caught_by_aimed_kills("compaction_copies_older", &rules);
}

#[test]
fn what_compaction_forgets() {
    // Where a forgotten value was changed since, recovery refuses the change.
    caught_by_kills("compaction_forgets_values", &[Rule::AckedSurvives, Rule::Serves]);
}
