//! Every field survives every change of every other, in place and not, small, wide and large.

use proptest::prelude::*;

use super::*;
use crate::value::{HASH, MAX_PACKED, SET, load};

fn entry(key: usize, value: usize) -> Entry {
    Entry::new(&vec![b'k'; key], Stored::copy(&vec![b'v'; value]), None, 160)
}

#[test]
fn sizes_are_as_designed() {
    assert_eq!(size_of::<Entry>(), 8);
    assert_eq!(size_of::<Option<Entry>>(), 8);
    assert_eq!(entry(12, 14).footprint(), 48);
    assert_eq!(entry(16, 64).footprint(), 96);
    assert_eq!(Entry::new(&[0; 12], Stored::copy(&[0; 14]), Some(1), 0).footprint(), 48);
    assert_eq!(entry(10, 256).shape().bytes(), 16 + 10 + 256);
    assert_eq!(entry(10, OUT_OF_LINE).footprint(), 32 + 48 + 32 + OUT_OF_LINE);
}

#[test]
fn a_value_of_the_same_class_stays_in_its_block() {
    let mut entry = entry(12, 14);
    let block = entry.start();
    entry.replace(Stored::copy(&[1; 24]), None, None, 0);
    entry.replace(Stored::copy(&[1; 16]), None, None, 0);
    entry.set_deadline(Some(7));
    entry.set_deadline(None);
    assert_eq!(entry.start(), block);
    assert_eq!((entry.key(), entry.value()), (&[b'k'; 12][..], &[1; 16][..]));
    entry.replace(Stored::copy(&[1; 200]), None, None, 0);
    assert_ne!(entry.start(), block);
}

#[test]
fn large_values_are_shared_and_copied_only_when_held_elsewhere() {
    let bytes = Bytes::from(vec![1; OUT_OF_LINE]);
    let mut entry = Entry::new(b"k", Stored::own(bytes.clone()), None, 0);
    assert_eq!(entry.shared_value().unwrap().as_ptr(), bytes.as_ptr());
    entry.append(b"x");
    assert_eq!(bytes, vec![1; OUT_OF_LINE], "a reply that holds the old value is not changed");
    let block = entry.value().as_ptr();
    for _ in 0..100 {
        entry.append(b"0123456789");
    }
    assert_eq!(entry.value().as_ptr(), block, "appends go into spare room");
    assert_eq!(entry.value().len(), OUT_OF_LINE + 1 + 1000);
    assert!(entry.footprint() >= entry.value().len());
    let short = Entry::new(b"k", Stored::own(Bytes::from_static(b"short")), None, 0);
    assert!(short.shared_value().is_none());
}

#[test]
fn appending_to_a_long_value_moves_it_seldom() {
    let mut entry = entry(3, 0);
    let mut moves = 0;
    let mut block = entry.value().as_ptr();
    let appends = if cfg!(miri) { 100 } else { 300_000 };
    for _ in 0..appends {
        entry.append(b"0123456789");
        moves += usize::from(entry.value().as_ptr() != block);
        block = entry.value().as_ptr();
    }
    assert_eq!(entry.value().len(), appends * 10);
    assert!(moves < 60, "{moves} moves");
    assert!(entry.footprint() < entry.value().len() * 5 / 2);
}

#[test]
#[should_panic(expected = "address space")]
fn an_offset_beyond_all_memory_is_refused() {
    entry(1, 1).set_range(usize::MAX, b"xy");
}

#[test]
fn positions_of_56_bits_are_kept() {
    let mut entry = entry(1, 1);
    let far = ((1 << 56) - 1) * 16;
    entry.set_lsn(far);
    entry.set_base(Some(far - 16));
    entry.set_access(0xABCD);
    assert_eq!((entry.lsn(), entry.base(), entry.access()), (far, Some(far - 16), 0xABCD));
}

#[derive(Clone, Debug)]
enum Op {
    Replace { value: usize, owned: bool, deadline: Option<u64>, base: Option<u64>, lsn: u64 },
    Deadline(Option<u64>),
    Base(Option<u64>),
    Lsn(u64),
    Access(u16),
    Mark(u16),
    SetRange { offset: usize, bytes: usize },
    Append(usize),
    ReplacePacked { value_type: u8, value: usize, deadline: Option<u64>, base: Option<u64> },
    ReplaceObject { members: u16, deadline: Option<u64>, base: Option<u64> },
    Splice { at: usize, removed: usize, inserted: usize },
    BecomeObject(u16),
    ChangeObject(u16),
    BecomePacked(usize),
}

/// Lengths around every border of the layout.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..40usize, 3 => 200..300usize, 1 => 0..2_000usize, 2 => 16_300..16_500usize]
}

/// Lengths of what is put into packed bytes, from nothing to beyond the wide border.
fn short() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..12usize, 2 => 0..80usize, 1 => 240..270usize]
}

/// The image of a set of so many members in a table.
fn image(members: u16) -> Vec<u8> {
    std::iter::once(8).chain((0..members).flat_map(|n| [2, n as u8, (n >> 8) as u8])).collect()
}

fn object(members: u16) -> Object {
    load(SET, &image(members)).unwrap().unwrap()
}

fn image_of(entry: &Entry) -> Option<Vec<u8>> {
    let mut image = None;
    entry.object()?.image_parts(usize::MAX, &mut |part| image = Some(part.to_vec()));
    image
}

fn position() -> impl Strategy<Value = u64> {
    (0..1_u64 << 56).prop_map(|n| n * 16)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (length(), any::<bool>(), any::<Option<u64>>(), prop::option::of(position()), position()).prop_map(
            |(value, owned, deadline, base, lsn)| Op::Replace { value, owned, deadline, base, lsn }
        ),
        2 => any::<Option<u64>>().prop_map(Op::Deadline),
        2 => prop::option::of(position()).prop_map(Op::Base),
        1 => position().prop_map(Op::Lsn),
        1 => any::<u16>().prop_map(Op::Access),
        1 => any::<u16>().prop_map(Op::Mark),
        3 => (length(), length()).prop_map(|(offset, bytes)| Op::SetRange { offset, bytes }),
        3 => length().prop_map(Op::Append),
        4 => (1..5u8, prop_oneof![length(), short()], any::<Option<u64>>(), prop::option::of(position())).prop_map(
            |(value_type, value, deadline, base)| {
                Op::ReplacePacked { value_type, value: value.min(MAX_PACKED), deadline, base }
            }
        ),
        2 => (1..200u16, any::<Option<u64>>(), prop::option::of(position()))
            .prop_map(|(members, deadline, base)| Op::ReplaceObject { members, deadline, base }),
        10 => (any::<usize>(), short(), short())
            .prop_map(|(at, removed, inserted)| Op::Splice { at, removed, inserted }),
        2 => (1..200u16).prop_map(Op::BecomeObject),
        2 => (0..300u16).prop_map(Op::ChangeObject),
        2 => length().prop_map(|length| Op::BecomePacked(length.min(MAX_PACKED))),
    ]
}

#[derive(Debug, PartialEq)]
struct Model {
    key: Vec<u8>,
    value: Vec<u8>,
    value_type: u8,
    image: Option<Vec<u8>>,
    deadline: Option<u64>,
    base: Option<u64>,
    lsn: u64,
    access: u16,
    mark: u16,
}

impl Model {
    fn of(entry: &Entry) -> Model {
        Model {
            key: entry.key().to_vec(),
            value: entry.value().to_vec(),
            value_type: entry.value_type(),
            image: image_of(entry),
            deadline: entry.deadline(),
            base: entry.base(),
            lsn: entry.lsn(),
            access: entry.access(),
            mark: entry.mark(),
        }
    }

    fn set_range(&mut self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.value.resize(self.value.len().max(offset + bytes.len()), 0);
            self.value[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Makes the change to both.
    fn apply(&mut self, entry: &mut Entry, op: &Op, fill: u8) {
        let was_object = self.image.is_some();
        match *op {
            Op::Replace { value, owned, deadline, base, lsn } => {
                self.hold(STRING, vec![fill; value], None);
                (self.deadline, self.base, self.lsn) = (deadline, base, lsn);
                let copy = self.value.clone();
                let value = if owned { Stored::own(copy.into()) } else { Stored::copy(&self.value) };
                assert_eq!(entry.replace(value, deadline, base, lsn).is_some(), was_object);
            }
            Op::Deadline(deadline) => {
                self.deadline = deadline;
                entry.set_deadline(deadline);
            }
            Op::Base(base) => {
                self.base = base;
                entry.set_base(base);
            }
            Op::Lsn(lsn) => {
                self.lsn = lsn;
                entry.set_lsn(lsn);
            }
            Op::Access(access) => {
                self.access = access;
                entry.set_access(access);
            }
            Op::Mark(mark) => {
                self.mark = mark;
                entry.set_mark(mark);
            }
            Op::SetRange { .. } | Op::Append(_) if self.value_type != STRING => {}
            Op::SetRange { offset, bytes } => {
                self.set_range(offset, &vec![fill; bytes]);
                entry.set_range(offset, &vec![fill; bytes]);
            }
            Op::Append(bytes) => {
                self.set_range(self.value.len(), &vec![fill; bytes]);
                entry.append(&vec![fill; bytes]);
            }
            Op::ReplacePacked { value_type, value, deadline, base } => {
                self.hold(value_type, vec![fill; value], None);
                (self.deadline, self.base) = (deadline, base);
                let old = entry.replace(Stored::Packed(value_type, &self.value), deadline, base, self.lsn);
                assert_eq!(old.is_some(), was_object);
            }
            Op::ReplaceObject { members, deadline, base } => {
                self.hold(SET, Vec::new(), Some(image(members)));
                (self.deadline, self.base) = (deadline, base);
                let old = entry.replace(Stored::Object(Box::new(object(members))), deadline, base, self.lsn);
                assert_eq!(old.is_some(), was_object);
            }
            Op::Splice { at, removed, inserted } => {
                let length = self.value.len();
                if was_object || length >= OUT_OF_LINE || length + inserted >= OUT_OF_LINE {
                    return;
                }
                let at = at % (length + 1);
                let removed = removed.min(length - at);
                self.value.splice(at..at + removed, std::iter::repeat_n(fill, inserted));
                entry.splice(at, removed, &vec![fill; inserted]);
            }
            Op::BecomeObject(members) => {
                if matches!(self.value_type, STRING | HASH) || was_object {
                    return;
                }
                let deadline = self.deadline;
                entry.replace(Stored::Packed(SET, &self.value), deadline, self.base, self.lsn);
                self.hold(SET, Vec::new(), Some(image(members)));
                entry.become_object(object(members));
            }
            Op::ChangeObject(members) => {
                if let Some(held) = entry.object_mut() {
                    *held = object(members);
                    self.image = Some(image(members));
                }
            }
            Op::BecomePacked(value) => {
                if was_object {
                    self.hold(SET, vec![fill; value], None);
                    entry.become_packed(&self.value);
                }
            }
        }
    }

    fn hold(&mut self, value_type: u8, value: Vec<u8>, image: Option<Vec<u8>>) {
        (self.value_type, self.value, self.image) = (value_type, value, image);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_plain_struct(key in prop_oneof![0..40usize, 250..260usize], ops in prop::collection::vec(op(), 1..30)) {
        let key: Vec<u8> = (0..key).map(|n| n as u8).collect();
        let mut entry = Entry::new(&key, Stored::copy(b"first"), None, 16);
        let mut model =
            Model { key, value_type: STRING, image: None, value: b"first".to_vec(), deadline: None, base: None, lsn: 16, access: 0, mark: 0 };
        for (op, fill) in ops.iter().zip(1..) {
            model.apply(&mut entry, op, fill);
            let found = Model::of(&entry);
            prop_assert!(found == model, "{op:?}: {} bytes, {} wanted", found.value.len(), model.value.len());
            prop_assert_eq!(entry.shared_value().is_some(), entry.value().len() >= OUT_OF_LINE);
            prop_assert_eq!(entry.is_costly_to_free(), entry.object().is_some_and(|object| object.len() > 64));
            prop_assert!(entry.footprint() >= entry.key().len() + entry.value().len() + entry.object().map_or(0, Object::memory));
        }
    }
}
