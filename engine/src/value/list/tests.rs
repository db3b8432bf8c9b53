//! Lists against a deque, over both encodings; hostile operands; what chunks cost.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::chunk::{CHUNK, Chunk, Room};
use super::*;
use crate::value::op::Op;
use crate::value::place::{Place, cases};
use crate::value::{LIST, apply, empty, load};

fn limits(list_max_listpack_size: i32) -> Limits {
    Limits { list_max_listpack_size, ..Limits::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool, usize),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    /// Lengths of runs that stay and runs that go, in turn.
    RemoveRuns(Vec<(usize, usize)>),
}

fn element(long: bool) -> BoxedStrategy<Vec<u8>> {
    let filled = |lengths: std::ops::Range<usize>| (lengths, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    if long {
        prop_oneof![
            6 => filled(0..40),
            2 => filled(250..260),
            3 => filled(500..3_000),
            1 => filled(CHUNK - 20..CHUNK + 20),
            1 => filled(65_530..65_540),
        ]
        .boxed()
    } else {
        prop::collection::vec(any::<u8>(), 0..6).boxed()
    }
}

fn step(long: bool) -> impl Strategy<Value = Step> {
    let many: usize = if long { 60 } else { 6 };
    let several: usize = if long { 25 } else { 3 };
    prop_oneof![
        5 => (any::<bool>(), prop::collection::vec(element(long), 1..several)).prop_map(|(front, all)| Step::Push(front, all)),
        3 => (any::<bool>(), 0..several).prop_map(|(front, n)| Step::Pop(front, n)),
        1 => (any::<bool>(), 0..many).prop_map(|(front, n)| Step::Pop(front, n)),
        3 => (any::<usize>(), element(long)).prop_map(|(index, element)| Step::Set(index, element)),
        4 => (any::<usize>(), element(long)).prop_map(|(index, element)| Step::Insert(index, element)),
        2 => (any::<usize>(), 0..many).prop_map(|(start, n)| Step::Remove(start, n)),
        1 => prop::collection::vec((0..3_usize, 0..3_usize), 1..40).prop_map(Step::RemoveRuns),
    ]
}

struct Model {
    elements: VecDeque<Vec<u8>>,
    large: bool,
    most: Most,
}

impl Model {
    fn bytes(&self) -> usize {
        3 + self.elements.iter().map(|element| entry_bytes(element.len())).sum::<usize>()
    }

    fn grown(&mut self) {
        self.large |= !self.most.holds(self.elements.len(), self.bytes());
    }

    fn shrunk(&mut self) {
        self.large &= !self.most.holds_twice(self.elements.len(), self.bytes());
    }

    /// Does a step, and gives the operation that does it.
    fn step(&mut self, step: Step) -> (Op, Outcome) {
        let len = self.elements.len();
        match step {
            Step::Push(front, elements) => {
                let mut op = Op::new(if front { op::LIST_PUSH_FRONT } else { op::LIST_PUSH_BACK });
                let count = elements.len() as u64;
                for element in elements {
                    op.element(&element);
                    if front { self.elements.push_front(element) } else { self.elements.push_back(element) }
                }
                self.grown();
                (op, Outcome { added: count, changed: count })
            }
            Step::Pop(front, n) => {
                let mut op = Op::new(if front { op::LIST_POP_FRONT } else { op::LIST_POP_BACK });
                op.number(n as u64);
                let n = n.min(len);
                if front {
                    self.elements.drain(..n)
                } else {
                    self.elements.drain(len - n..)
                };
                if n > 0 {
                    self.shrunk();
                }
                (op, changed(n))
            }
            Step::Set(index, element) if len > 0 => {
                let mut op = Op::new(op::LIST_SET);
                op.number((index % len) as u64).element(&element);
                self.elements[index % len] = element;
                let was_large = self.large;
                self.grown();
                if was_large {
                    self.shrunk();
                }
                (op, changed(1))
            }
            Step::Set(index, element) | Step::Insert(index, element) => {
                let (mut op, index) = (Op::new(op::LIST_INSERT), index % (len + 1));
                op.number(index as u64).element(&element);
                self.elements.insert(index, element);
                self.grown();
                (op, Outcome { added: 1, changed: 1 })
            }
            Step::Remove(start, n) => {
                let (mut op, start) = (Op::new(op::LIST_REMOVE), start % (len + 2));
                op.number(start as u64).number(n as u64);
                let n = n.min(len.saturating_sub(start));
                if n > 0 {
                    self.elements.drain(start..start + n);
                    self.shrunk();
                }
                (op, changed(n))
            }
            Step::RemoveRuns(runs) => {
                let (mut op, mut at, mut kept) = (Op::new(op::LIST_REMOVE), 0, VecDeque::new());
                for (stay, go) in runs {
                    kept.extend(self.elements.iter().skip(at).take(stay).cloned());
                    op.number((at + stay) as u64).number(go as u64);
                    at += stay + go;
                }
                kept.extend(self.elements.iter().skip(at).cloned());
                self.elements = kept;
                if self.elements.len() < len {
                    self.shrunk();
                }
                (op, changed(len - self.elements.len()))
            }
        }
    }

    fn check(&self, place: &Place, at: usize) {
        let view = ListView::new(place.bytes(), place.object());
        let len = self.elements.len();
        assert_eq!((view.len(), view.encoding()), (len, if self.large { "quicklist" } else { "listpack" }));
        for from in [0, at % (len + 2), len / 2] {
            assert!(view.iter_from(from).eq(self.elements.iter().skip(from)));
            let before = self.elements.iter().take(from.saturating_add(1)).rev();
            assert!(view.iter_back_from(from).eq(before));
            assert_eq!(view.get(from), self.elements.get(from).map(Vec::as_slice));
        }
        if let Some(Object::List(list)) = place.object() {
            list.recount();
            assert_eq!(list.packed_bytes(), self.bytes());
        }
    }
}

fn behaves_as_a_deque(steps: Vec<Step>, size: i32, at: usize) {
    let limits = limits(size);
    let mut model = Model { elements: VecDeque::new(), large: false, most: Most::new(&limits) };
    let mut place = Place::empty(LIST);
    for (turn, step) in steps.into_iter().enumerate() {
        let (op, outcome) = model.step(step);
        assert_eq!(apply(&mut place, op.bytes(), &limits), Ok(outcome));
        model.check(&place, at.wrapping_add(turn));
        place.check(LIST, &limits);
    }
    place.damaged(LIST, &limits, at);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn short_elements(steps in prop::collection::vec(step(false), 1..60), size in 0..9, at in any::<usize>()) {
        behaves_as_a_deque(steps, size, at);
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn long_elements(steps in prop::collection::vec(step(true), 1..60), size in -6..9, at in any::<usize>()) {
        behaves_as_a_deque(steps, size, at);
    }
}

#[test]
fn nonsense_is_refused() {
    let limits = Limits::default();
    let refused = |operation: &Op| {
        let mut place = Place::empty(LIST);
        apply(&mut place, Op::new(op::LIST_PUSH_BACK).element(b"a").bytes(), &limits).unwrap();
        assert_eq!(apply(&mut place, operation.bytes(), &limits), Err(Malformed));
    };
    refused(Op::new(op::LIST_SET).number(1).element(b"b"));
    refused(Op::new(op::LIST_INSERT).number(2).element(b"b"));
    refused(Op::new(op::LIST_INSERT).number(u64::MAX).element(b"b"));
    refused(Op::new(op::LIST_POP_BACK).number(1).element(b""));
    refused(Op::new(op::LIST_REMOVE).number(1));
    refused(&Op::new(op::LIST_REMOVE));
    refused(Op::new(op::LIST_REMOVE).number(1).number(2).number(2).number(1));
    refused(Op::new(op::LIST_REMOVE).number(1).number(u64::MAX).number(3).number(1));
    for image in
        [&b"\x01\x01\x00\x01a\x02"[..], b"\x01\x02\x00\x01a\x01", b"\x01\x00", b"\x02\x02a", b"\x09\x00\x00", b""]
    {
        assert!(load(LIST, image).is_err(), "{image:?}");
    }
    assert!(load(LIST, b"\x01\x01\x00\x01a\x01").is_ok_and(|object| object.is_none()));
    assert!(load(LIST, empty(LIST)).is_ok());
}

fn list(count: usize, end: End) -> List {
    let mut list = List::default();
    (0..count).for_each(|n| list.push(&n.to_le_bytes()[..5], end));
    list
}

#[test]
fn long_lists_take_little_memory_whatever_comes() {
    for end in [End::Front, End::Back] {
        let mut list = list(100_000, end);
        let ideal = list.packed_bytes();
        assert!(list.memory() < ideal + ideal / 50 + 2 * CHUNK, "{} of {ideal}", list.memory());
        // As a queue and as a ring it takes no more.
        for n in 0..200_000_usize {
            list.push(&n.to_le_bytes()[..5], end);
            list.pop(1, if end == End::Front { End::Back } else { End::Front });
        }
        assert!(list.memory() < ideal + ideal / 50 + 3 * CHUNK, "{} of {ideal}", list.memory());
        // Inserts all over leave chunks between half full and full, removals neighbours above three quarters.
        for n in 0..100_000_usize {
            list.insert(n * 7919 % list.len(), b"12345");
        }
        assert!(list.memory() < list.packed_bytes() / 2 * 3, "{} of {}", list.memory(), list.packed_bytes());
        for n in 0..180_000_usize {
            list.remove(n * 7919 % list.len(), 1);
        }
        assert!(list.memory() < 3 * list.packed_bytes(), "{} of {}", list.memory(), list.packed_bytes());
        list.recount();
        list.pop(usize::MAX, end);
        assert!(list.len() == 0 && list.memory() < 2_000, "{}", list.memory());
    }
}

#[test]
fn an_element_that_goes_round_does_not_move_its_chunk() {
    // A ring of one full chunk: entries move to a new one at the front, not the whole chunk by one each time.
    let mut chunk = Chunk::begun_at_front(b"12345", Room::Full);
    while chunk.push_back(b"12345") {}
    chunk.pop_back(1);
    assert!(!chunk.push_front(b"12345"));
    chunk.pop_back(chunk.count() / 2);
    assert!(chunk.push_front(b"12345"));
    let room = (0..).take_while(|_| chunk.push_front(b"12345")).count();
    assert!(room > CHUNK / 4 / 7, "{room}");
}

#[test]
fn room_before_is_used_before_more_is_taken() {
    let mut grown = Chunk::begun_at_front(&[b'a'; 100], Room::No);
    (1..20).for_each(|_| assert!(grown.push_back(&[b'a'; 100])));
    let mut chunk = Chunk::of_entries(grown.entries(), grown.count(), grown.tails());
    chunk.pop_front(5);
    let heap = chunk.heap();
    chunk.put(chunk.used()..chunk.used(), None, &[b'b'; 100]);
    assert_eq!((chunk.count(), chunk.heap()), (16, heap));
}
