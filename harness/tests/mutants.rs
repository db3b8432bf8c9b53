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

fn plan(mutant: &str, mode: Mode) -> Option<Plan> {
    match binary::with_mutants() {
        Ok(path) => {
            let mut plan = Plan::new(Program::Kvd(path), mode);
            plan.args.extend(common::SMALL_SEGMENTS.map(str::to_owned));
            plan.env.push((fault::MUTANT.to_owned(), mutant.to_owned()));
            Some(plan)
        }
        Err(failure) => {
            fault::skipped("mutants", &failure.to_string());
            None
        }
    }
}

#[test]
fn an_answer_before_the_write_is_caught_by_kills() {
    let _turn = common::alone();
    let Some(plan) = plan("ack_before_write", Mode::EverySec) else { return };
    let (seed, begin) = (common::seed(), clock::now());
    let mut counters = Counters::default();
    let broken = Campaign::new(plan, seed, BUDGET).run(&mut counters).expect("the harness works");
    fault::say(&format!("ack_before_write: kill {}, seed {seed}, {:?}", counters.kills, clock::now() - begin));
    fault::say(&format!("{}", broken.first().expect("the planted bug is found")));
}

#[test]
fn a_torn_tail_that_is_kept_is_caught_by_death_within_a_write() {
    let _turn = common::alone();
    let Some(mut plan) = plan("torn_tail_kept", Mode::EverySec) else { return };
    plan.clients = 6;
    plan.weight = Weight::Light;
    let (seed, begin) = (common::seed(), clock::now());
    let done = exhaust::exhaust(&plan, "log.write.mid", LIFE, Depth::Then(BUDGET), seed).expect("the harness works");
    fault::say(&format!("torn_tail_kept: death {}, seed {seed}, {:?}", done.deaths, clock::now() - begin));
    fault::say(&format!("{}", done.broken.first().expect("the planted bug is found")));
}
