//! Planted bugs that kills must find. One that is not found within its budget means that the harness is blind.

mod common;

use std::time::Duration;

use harness::binary;
use harness::campaign::Campaign;
use harness::clock;
use harness::exhaust::{self, Armed, Depth};
use harness::fault;
use harness::process::{Mode, Program};
use harness::report::Counters;
use harness::store::Plan;
use harness::workload::Weight;

/// Kills within which a planted bug must be found.
const BUDGET: u64 = 30;

const LIFE: Armed = Armed { commands: 40, settle: Duration::ZERO };

fn plan(mutant: &str, mode: Mode) -> Plan {
    let program = binary::with_mutants().expect("kvd builds with its planted bugs");
    let mut plan = Plan::new(Program::Kvd(program), mode);
    plan.args.extend(common::SMALL_SEGMENTS.map(str::to_owned));
    plan.env.push((fault::MUTANT.to_owned(), mutant.to_owned()));
    plan
}

#[test]
fn an_answer_before_the_write_is_caught_by_kills() {
    let _turn = common::alone();
    // In the other modes the worker that answers has written just before, whatever it waits for.
    let plan = plan("ack_before_write", Mode::Always);
    let (seed, begin) = (common::seed(), clock::now());
    let mut counters = Counters::default();
    let broken = Campaign::new(plan, seed, BUDGET).run(&mut counters).expect("the harness works");
    let took = clock::now() - begin;
    fault::say(&format!("ack_before_write: found by kill {}, seed {seed}, {took:?}", counters.kills));
    // A server that does not even start is not this bug.
    assert!(counters.lost_writes > 0, "{} kills found {:?}", counters.kills, broken.first());
}

#[test]
fn a_torn_tail_that_is_kept_is_caught_by_death_within_a_write() {
    let _turn = common::alone();
    let mut plan = plan("torn_tail_kept", Mode::EverySec);
    plan.clients = 6;
    plan.weight = Weight::Light;
    let (seed, begin) = (common::seed(), clock::now());
    let done = exhaust::exhaust(&plan, "log.write.mid", LIFE, Depth::Then(BUDGET), seed).expect("the harness works");
    let took = clock::now() - begin;
    fault::say(&format!(
        "torn_tail_kept: found by death {}, seed {seed}, {took:?}: {:?}",
        done.deaths,
        done.broken.first()
    ));
    assert!(done.deaths > 0 && !done.broken.is_empty(), "{done:?}");
}
