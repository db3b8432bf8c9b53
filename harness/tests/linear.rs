//! Clients that ask at once, a server that is killed in their midst: one order of requests explains what all of them saw. And
//! what must not be explained.

mod common;

use std::sync::LazyLock;

use harness::aim;
use harness::binary;
use harness::clock;
use harness::fault;
use harness::linear::history::{History, Request};
use harness::linear::judge::{Verdict, judge};
use harness::linear::play::{Plan, play};
use harness::process::{Mode, Program};
use harness::random::Random;

const HISTORIES: u64 = 4;
/// Histories within which a planted bug must be found.
const BUDGET: u64 = 40;

fn plan(mode: Mode) -> Plan {
    let args = aim::ARGUMENTS.into_iter().chain(["--threads", "4"]).map(str::to_owned).collect();
    let (clients, requests, stretch, kills) = (8, 150, 25, 2);
    Plan { program: common::kvd(), mode, args, env: Vec::new(), clients, requests, stretch, kills }
}

fn played(plan: &Plan, seed: u64) -> History {
    play(plan, seed).expect("the harness works")
}

fn are_linearizable(mode: Mode) {
    let _turn = common::alone();
    let (plan, first) = (plan(mode), common::seed());
    for seed in first..first + HISTORIES {
        let history = played(&plan, seed);
        assert_eq!(judge(&history).0, Verdict::Linearizable, "HARNESS_SEED={seed}");
        assert!(history.operations().any(|operation| operation.answer.is_none()), "a kill leaves somebody waiting");
    }
}

#[test]
fn always_is_linearizable() {
    are_linearizable(Mode::Always);
}

#[test]
fn everysec_is_linearizable() {
    are_linearizable(Mode::EverySec);
}

#[test]
fn no_is_linearizable() {
    are_linearizable(Mode::No);
}

/// Plays until the judge says no.
fn caught(mutant: &str, mode: Mode, kills: u64) {
    let _turn = common::alone();
    let program = Program::Kvd(binary::with_mutants().expect("kvd builds with its planted bugs"));
    let mut env = vec![(fault::MUTANT.to_owned(), mutant.to_owned())];
    if mode == Mode::Always {
        // Or a fast disk makes durable what was seen before anybody dies.
        env.push(fault::slow_sync(20));
    }
    let plan = Plan { program, env, kills, requests: 300, ..plan(mode) };
    let (first, begin) = (common::seed(), clock::now());
    let found = (0..BUDGET).find_map(|number| match judge(&played(&plan, first + number)).0 {
        Verdict::Broken(why) => Some((number + 1, why)),
        _ => None,
    });
    let is_found = found.is_some();
    let (number, why) = found.unwrap_or((BUDGET, "all are linearizable".to_owned()));
    common::assert_found(mutant, "L5", &format!("history {number}"), begin, first, is_found, &format!("{why:.120}"));
}

#[test]
fn a_value_that_is_seen_before_it_is_durable() {
    caught("ungated_read", Mode::Always, 2);
}

#[test]
fn a_removal_that_is_seen_before_it_is_durable() {
    caught("nil_after_del_ungated", Mode::Always, 2);
}

#[test]
fn an_answer_before_the_write() {
    caught("ack_before_write", Mode::Always, 2);
}

#[test]
fn a_transaction_that_others_look_into() {
    caught("exec_lets_go", Mode::EverySec, 0);
}

#[test]
fn a_watched_key_that_changes_at_the_last_moment() {
    caught("watch_seen_early", Mode::EverySec, 0);
}

/// One real history, without a planted bug.
static REAL: LazyLock<History> = LazyLock::new(|| {
    let _turn = common::alone();
    played(&plan(Mode::EverySec), common::seed())
});

/// The answers of a history that tell of a value, to be changed.
fn telling(history: &mut History) -> Vec<&mut String> {
    let operations = history.stretches.iter_mut().flat_map(|stretch| &mut stretch.operations);
    let told = operations.filter(|operation| matches!(&operation.request, Request::One(words) if words[0] == "GET"));
    told.filter_map(|operation| operation.answer.as_mut()).map(|answer| &mut answer.reply).collect()
}

#[test]
fn an_answer_that_nobody_wrote_is_seen() {
    let mut random = Random::new(common::seed());
    for _ in 0..10 {
        let mut history = REAL.clone();
        let mut replies = telling(&mut history);
        let at = random.between(0, replies.len() as u64 - 1) as usize;
        *replies[at] = "$c9.1;".to_owned();
        assert!(matches!(judge(&history).0, Verdict::Broken(_)), "{history:?}");
    }
}
