//! Sorted sets against a sorted vector, over both encodings; hostile operands; what members cost.

use proptest::prelude::*;

use super::*;
use crate::value::op::Op;
use crate::value::place::{Place, Scan, cases};
use crate::value::{ZSET, apply, empty, load};

fn limits(entries: usize, value: usize) -> Limits {
    Limits { zset_max_listpack_entries: entries, zset_max_listpack_value: value, ..Limits::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<(f64, Vec<u8>)>),
    Remove(Vec<Vec<u8>>),
    /// Removes present ones by index, adds to present ones.
    RemoveAt(Vec<usize>),
    RescoreAt(usize, f64),
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-3..4_i32).prop_map(f64::from),
        1 => Just(-0.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MIN_POSITIVE), Just(f64::MAX)],
        2 => any::<f64>().prop_filter("a score", |score| !score.is_nan()),
    ]
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => prop::collection::vec(0..4_u8, 0..5),
        4 => any::<u16>().prop_map(|n| n.to_string().into_bytes()),
        1 => (250..260_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

fn step(several: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec((score(), member()), 0..several).prop_map(Step::Add),
        2 => prop::collection::vec(member(), 0..several).prop_map(Step::Remove),
        2 => prop::collection::vec(any::<usize>(), 0..several).prop_map(Step::RemoveAt),
        3 => (any::<usize>(), score()).prop_map(|(at, score)| Step::RescoreAt(at, score)),
    ]
}

struct Model {
    /// Sorted.
    entries: Vec<(f64, Vec<u8>)>,
    large: bool,
    limits: Limits,
}

impl Model {
    fn add(&mut self, pairs: &[(f64, Vec<u8>)]) -> Outcome {
        let mut outcome = Outcome::default();
        for (score, member) in pairs {
            let old = self.entries.iter().position(|(_, name)| name == member);
            if old.is_some_and(|at| self.entries[at].0 == *score) {
                continue;
            }
            outcome.changed += 1;
            self.large |= pairs.len() > self.limits.zset_max_listpack_entries;
            if let Some(at) = old {
                self.entries.remove(at);
            } else {
                outcome.added += 1;
                self.large |= self.entries.len() >= self.limits.zset_max_listpack_entries
                    || member.len() > self.limits.zset_max_listpack_value;
            }
            let at = self.entries.partition_point(|(s, m)| is_before((*s, m), (*score, member)));
            self.entries.insert(at, (*score, member.clone()));
        }
        outcome
    }

    fn remove(&mut self, members: &[Vec<u8>]) -> Outcome {
        let before = self.entries.len();
        self.entries.retain(|(_, member)| !members.contains(member));
        Outcome { added: 0, changed: (before - self.entries.len()) as u64 }
    }

    fn step(&mut self, step: Step) -> (Op, Outcome) {
        let len = self.entries.len();
        match step {
            Step::RescoreAt(at, score) if len > 0 => {
                let member = self.entries[at % len].1.clone();
                self.step(Step::Add(vec![(score, member)]))
            }
            Step::RemoveAt(places) if len > 0 => {
                self.step(Step::Remove(places.iter().map(|at| self.entries[at % len].1.clone()).collect()))
            }
            Step::Add(pairs) => {
                let mut op = Op::new(op::ZSET_ADD);
                for (score, member) in &pairs {
                    op.score(*score).element(member);
                }
                (op, self.add(&pairs))
            }
            Step::Remove(members) => {
                let mut op = Op::new(op::ZSET_REMOVE);
                for member in &members {
                    op.element(member);
                }
                (op, self.remove(&members))
            }
            Step::RescoreAt(..) | Step::RemoveAt(_) => (Op::new(op::ZSET_ADD), Outcome::default()),
        }
    }

    fn check(&self, place: &Place, at: usize) {
        let view = ZsetView::new(place.bytes(), place.object());
        let len = self.entries.len();
        assert_eq!((view.len(), view.encoding()), (len, if self.large { "skiplist" } else { "listpack" }));
        let same = |(member, score): (&[u8], f64), entry: &(f64, Vec<u8>)| {
            // -0.0 is kept as given.
            score.to_bits() == entry.0.to_bits() && member == entry.1
        };
        for from in [0, at % (len + 2), len] {
            let up: Vec<_> = view.from_rank(from).collect();
            assert_eq!(up.len(), len.saturating_sub(from));
            assert!(up.into_iter().zip(self.entries.iter().skip(from)).all(|(shown, entry)| same(shown, entry)));
            let down: Vec<_> = view.back_from_rank(from).collect();
            assert_eq!(down.len(), len.min(from + 1));
            let expected = self.entries.iter().take(from + 1).rev();
            assert!(down.into_iter().zip(expected).all(|(shown, entry)| same(shown, entry)));
        }
        for (rank, (score, member)) in self.entries.iter().enumerate() {
            assert_eq!((view.score(member), view.rank(member)), (Some(*score), Some((rank, *score))));
            assert_eq!(view.rank_of_place(*score, member), rank);
        }
        assert_eq!((view.score(b"absent"), view.rank(b"absent")), (None, None));
        for bound in [f64::NEG_INFINITY, -3.0, -0.0, 0.0, 0.5, 2.0, f64::INFINITY] {
            assert_eq!(
                view.rank_of_score(bound, true),
                self.entries.iter().filter(|(score, _)| *score < bound).count()
            );
            assert_eq!(
                view.rank_of_score(bound, false),
                self.entries.iter().filter(|(score, _)| *score <= bound).count()
            );
        }
        if let Some(Object::Zset(zset)) = place.object() {
            zset.recount();
        }
    }
}

fn behaves_as_a_sorted_vector(steps: Vec<Step>, limits: Limits, at: usize) {
    let mut model = Model { entries: Vec::new(), large: false, limits };
    let (mut place, mut scan) = (Place::empty(ZSET), Scan::default());
    for (turn, step) in steps.into_iter().enumerate() {
        let (op, outcome) = model.step(step);
        assert_eq!(apply(&mut place, op.bytes(), &limits), Ok(outcome));
        model.check(&place, at.wrapping_add(turn));
        place.check(ZSET, &limits);
        scan.step(model.entries.iter().map(|(_, member)| member.as_slice()), |cursor, visit| {
            ZsetView::new(place.bytes(), place.object()).scan(cursor, 3, |member, _| visit(member))
        });
    }
    place.damaged(ZSET, &limits, at);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn behaves_as_a_sorted_vector_of_few(
        steps in prop::collection::vec(step(4), 1..60),
        entries in 0..12_usize,
        value in 0..300_usize,
        at in any::<usize>(),
    ) {
        behaves_as_a_sorted_vector(steps, limits(entries, value), at);
    }

    #[test]
    fn behaves_as_a_sorted_vector_of_many(
        steps in prop::collection::vec(step(60), 1..30),
        entries in prop_oneof![Just(10_usize), Just(100), Just(100_000)],
        at in any::<usize>(),
    ) {
        behaves_as_a_sorted_vector(steps, limits(entries, 256), at);
    }

    #[test]
    fn members_of_one_score_are_found_by_their_bytes(
        members in prop::collection::btree_set(member(), 0..200),
        bound in member(),
        large in any::<bool>(),
    ) {
        let limits = limits(if large { 0 } else { 1_000 }, 1_000);
        let mut op = Op::new(op::ZSET_ADD);
        for member in &members {
            op.score(0.0).element(member);
        }
        let mut place = Place::empty(ZSET);
        apply(&mut place, op.bytes(), &limits).unwrap();
        let view = ZsetView::new(place.bytes(), place.object());
        prop_assert_eq!(view.rank_of_member(&bound, true), members.range(..bound.clone()).count());
        prop_assert_eq!(view.rank_of_member(&bound, false), members.range(..=bound).count());
    }
}

#[test]
fn nonsense_is_refused() {
    let refused = |operation: &Op| {
        let mut place = Place::empty(ZSET);
        assert_eq!(apply(&mut place, operation.bytes(), &Limits::default()), Err(Malformed));
        assert_eq!(place.bytes(), empty(ZSET));
    };
    refused(Op::new(op::ZSET_ADD).score(1.0).element(b"a").score(f64::NAN).element(b"b"));
    refused(Op::new(op::ZSET_ADD).score(1.0));
    refused(Op::new(op::ZSET_ADD).element(b"a"));
    let entry = |score: f64, member: &[u8]| {
        let mut bytes = Vec::new();
        push_entry(&mut bytes, (score, member));
        bytes
    };
    let image = |head: &[u8], entries: &[Vec<u8>]| [head, &entries.concat()].concat();
    let good = [entry(-0.0, b"a"), entry(0.0, b"b")];
    assert!(load(ZSET, &image(b"\x09\x02\x00", &good)).is_ok_and(|object| object.is_none()));
    assert!(load(ZSET, &image(b"\x0A", &good)).is_ok_and(|object| object.is_some()));
    let bad = [
        [entry(0.0, b"b"), entry(-0.0, b"a")],
        [entry(0.0, b"a"), entry(1.0, b"a")],
        [entry(0.0, b"a"), entry(f64::NAN, b"b")],
    ];
    for entries in &bad {
        assert!(load(ZSET, &image(b"\x09\x02\x00", entries)).is_err());
    }
    // Only packed ones lie in order.
    assert!(load(ZSET, &image(b"\x0A", &bad[0])).is_ok());
    assert!(load(ZSET, &image(b"\x0A", &bad[1])).is_err() && load(ZSET, &image(b"\x0A", &bad[2])).is_err());
    assert!(load(ZSET, &image(b"\x09\x01\x00", &good)).is_err());
}
