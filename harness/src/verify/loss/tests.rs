//! Histories whose end a power cut takes, against the toy store.

use super::*;
use crate::clock;
use crate::op::Kind;
use crate::verify::judge;
use crate::verify::tests::{History, Toy, text};

const A: usize = 0;
const B: usize = 1;

/// Two clients whose past is kept.
fn begin() -> History {
    let mut history = History::begin();
    history.restart();
    history.ledgers.iter_mut().for_each(Ledger::keep_past);
    history
}

fn now() -> Interval {
    let now = clock::now();
    Interval { from: now, to: now }
}

/// The disk is as it was at an earlier moment, the power being cut at `cut`: what is lost and what is broken.
fn cut_back(history: &mut History, disk: &Toy, cut: Interval) -> (Option<Loss>, Vec<Rule>) {
    cut_back_in(Mode::EverySec, history, disk, cut)
}

fn cut_back_in(mode: Mode, history: &mut History, disk: &Toy, cut: Interval) -> (Option<Loss>, Vec<Rule>) {
    history.toy.clone_from(disk);
    let snapshot = history.snapshot();
    let (loss, mut broken) = match set_back(&mut history.ledgers, &history.shared, &snapshot, (cut, mode)) {
        Ok(loss) => (Some(loss.clone()), Vec::from_iter(loss.judge(mode))),
        Err(violation) => (None, vec![violation]),
    };
    broken.extend(judge(&history.ledgers, &history.shared, &snapshot, cut.to));
    (loss, broken.iter().map(|broken| broken.rule).collect())
}

/// A few writes of both clients, of keys of their own and of shared ones; the disk after each.
fn written(history: &mut History) -> Vec<Toy> {
    let number = Key::new(Kind::Number, 1);
    let ops = [
        (A, Op::Set(text(3), 60)),
        (B, Op::Shared(Common::Count)),
        (A, Op::Shared(Common::Row)),
        (B, Op::Incr(number)),
        (A, Op::MSet(vec![(text(3), 70), (text(4), 70)])),
        (B, Op::Shared(Common::List)),
        (A, Op::Shared(Common::Count)),
        (B, Op::Set(text(5), 50)),
        (A, Op::Del(vec![text(3)])),
    ];
    let mut disks = vec![history.toy.clone()];
    for (who, op) in ops {
        history.answered(who, op);
        disks.push(history.toy.clone());
    }
    disks
}

#[test]
fn every_suffix_may_be_lost_and_is_counted() {
    let disks = written(&mut begin());
    for (kept, disk) in disks.iter().enumerate() {
        let mut history = begin();
        written(&mut history);
        let (loss, broken) = cut_back(&mut history, disk, now());
        assert_eq!(broken, [], "{kept}");
        assert_eq!(loss.map(|loss| loss.writes.len()), Some(disks.len() - 1 - kept), "{kept}");
    }
}

#[test]
fn a_hole_in_one_clients_writes_is_no_suffix() {
    let mut history = begin();
    history.answered(A, Op::Set(text(3), 60));
    history.answered(A, Op::Set(text(4), 60));
    let mut disk = history.toy.clone();
    disk.remove(&text(3).name(1));
    let (loss, broken) = cut_back(&mut history, &disk, now());
    assert_eq!((loss, broken[0]), (None, Rule::Prefix));
}

#[test]
fn a_hole_between_two_clients_is_no_suffix() {
    let mut history = begin();
    history.answered(A, Op::Set(text(3), 60));
    history.answered(B, Op::Set(text(4), 60));
    let whole = history.toy.clone();
    let mut disk = whole.clone();
    disk.remove(&text(4).name(2));
    assert_eq!(cut_back(&mut history, &disk, now()).1, [], "the later one may be lost alone");
    let mut history = begin();
    history.answered(A, Op::Set(text(3), 60));
    history.unanswered(B, Op::Set(text(4), 60));
    let mut disk = whole.clone();
    disk.remove(&text(3).name(1));
    let (loss, broken) = cut_back(&mut history, &disk, now());
    assert_eq!(
        (loss, broken[0]),
        (None, Rule::Prefix),
        "the earlier one may not, whether the later one was answered or not"
    );
}

#[test]
fn what_was_sent_before_the_lost_one_was_answered_may_be_there() {
    let mut history = begin();
    history.unanswered(B, Op::Set(text(4), 60));
    history.answered(A, Op::Set(text(3), 60));
    let mut disk = history.toy.clone();
    disk.remove(&text(3).name(1));
    assert_eq!(cut_back(&mut history, &disk, now()).1, []);
}

#[test]
fn shared_keys_tell_what_is_there() {
    for (common, name) in [(Common::Count, Common::Count.name(1)), (Common::List, Common::List.name(1))] {
        let mut history = begin();
        history.answered(A, Op::Shared(common));
        let first = history.toy.clone();
        history.answered(B, Op::Shared(common));
        history.answered(A, Op::Set(text(3), 60));
        // B's command is gone from the shared key, A's later one is there.
        let mut disk = history.toy.clone();
        disk.insert(name.clone(), first[&name].clone());
        assert_eq!(cut_back(&mut history, &disk, now()).1[0], Rule::Prefix, "{common:?}");
    }
}

#[test]
fn half_a_batch_is_lost_by_no_suffix() {
    let mut history = begin();
    history.answered(A, Op::MSet(vec![(text(3), 60), (text(4), 60)]));
    let mut disk = history.toy.clone();
    disk.remove(&text(4).name(1));
    assert_eq!(cut_back(&mut history, &disk, now()).1[0], Rule::Prefix);
}

#[test]
fn in_everysec_the_oldest_loss_is_a_second_old_at_most() {
    let mut history = begin();
    let before = history.toy.clone();
    history.answered(A, Op::Set(text(3), 60));
    let answered = clock::now();
    for (age_ms, rules) in [(900, vec![]), (1100, vec![Rule::LossIsRecent])] {
        let mut history = begin();
        history.answered(A, Op::Set(text(3), 60));
        let at = answered + Duration::from_millis(age_ms) + (clock::now() - answered);
        let (loss, broken) = cut_back(&mut history, &before, Interval { from: at, to: at });
        assert_eq!(broken, rules);
        let loss = loss.unwrap();
        assert!(loss.age().is_some_and(|age| age.as_millis() as u64 >= age_ms), "{loss:?}");
        assert_eq!(loss.judge(Mode::No), None);
    }
}

#[test]
fn what_was_answered_after_the_cut_is_no_loss() {
    for mode in Mode::ALL {
        let mut history = begin();
        let (before, cut) = (history.toy.clone(), now());
        history.answered(A, Op::Set(text(3), 60));
        history.answered(B, Op::Peek(1, text(3)));
        let (loss, broken) = cut_back_in(mode, &mut history, &before, cut);
        assert_eq!((loss.map(|loss| (loss.writes, loss.oldest)), broken), (Some((vec![], None)), vec![]));
    }
}

#[test]
fn in_always_nothing_answered_may_be_lost() {
    let mut history = begin();
    let before = history.toy.clone();
    history.answered(A, Op::Set(text(3), 60));
    let (loss, broken) = cut_back_in(Mode::Always, &mut history, &before, now());
    assert_eq!((loss.map(|loss| loss.writes.len()), broken), (Some(1), vec![Rule::AckedSurvives]));
}

#[test]
fn in_always_nothing_observed_may_be_lost() {
    for (answered, rule) in [(false, Rule::ObservedSurvives), (true, Rule::FreshReads)] {
        let mut history = begin();
        let before = history.toy.clone();
        history.unanswered(A, Op::Set(text(3), 60));
        history.answered(B, Op::Peek(1, text(3)));
        let cut = now();
        if answered {
            history.ledgers[A].answer(&Reply::Simple("OK".into()), &history.stamps);
        }
        assert_eq!(cut_back_in(Mode::Always, &mut history, &before, cut).1, [rule]);
    }
}
