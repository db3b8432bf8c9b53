//! Sets against a vector of members, over all encodings.

use proptest::prelude::*;

use super::*;
use crate::value::op::Op;
use crate::value::place::{Place, Scan, cases};
use crate::value::{MAX_PACKED, SET, apply, empty};

const LIMITS: Limits = Limits {
    list_max_listpack_size: 0,
    hash_max_listpack_entries: 0,
    hash_max_listpack_value: 0,
    set_max_intset_entries: 7,
    set_max_listpack_entries: 5,
    set_max_listpack_value: 6,
    zset_max_listpack_entries: 0,
    zset_max_listpack_value: 0,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Ints,
    Packed,
    Table,
}

struct Model {
    members: Vec<Vec<u8>>,
    encoding: Encoding,
}

/// The spelling decides, as the standard library spells.
fn integer(member: &[u8]) -> Option<i64> {
    let integer: i64 = std::str::from_utf8(member).ok()?.parse().ok()?;
    (integer.to_string().as_bytes() == member).then_some(integer)
}

impl Model {
    fn add(&mut self, members: &[Vec<u8>]) -> u64 {
        let Some(first) = members.first() else { return 0 };
        let coming = members.len();
        self.encoding = match self.encoding {
            Encoding::Ints if self.members.is_empty() => {
                if integer(first).is_some() && coming <= LIMITS.set_max_intset_entries {
                    Encoding::Ints
                } else if coming <= LIMITS.set_max_listpack_entries {
                    Encoding::Packed
                } else {
                    Encoding::Table
                }
            }
            same => same,
        };
        let most = match self.encoding {
            Encoding::Ints => LIMITS.set_max_intset_entries,
            _ => LIMITS.set_max_listpack_entries,
        };
        if coming > most && members.iter().any(|member| !self.members.contains(member)) {
            self.encoding = Encoding::Table;
        }
        members.iter().map(|member| u64::from(self.add_one(member))).sum()
    }

    fn add_one(&mut self, member: &[u8]) -> bool {
        if self.members.iter().any(|other| other == member) {
            return false;
        }
        if self.encoding == Encoding::Ints {
            if let Some(integer) = integer(member) {
                self.members.push(member.to_vec());
                self.members.sort_by_key(|member| ints::parse(member));
                if self.members.len() > LIMITS.set_max_intset_entries {
                    // As a table it has the order it had before, and the new one behind.
                    self.members.retain(|other| other != member);
                    self.members.push(integer.to_string().into_bytes());
                    self.encoding = Encoding::Table;
                }
                return true;
            }
            self.encoding = Encoding::Packed;
        }
        if self.encoding == Encoding::Packed {
            let longest = self.members.iter().map(Vec::len).max().unwrap_or(0).max(member.len());
            let full = self.members.len() >= LIMITS.set_max_listpack_entries;
            if full || longest > LIMITS.set_max_listpack_value {
                self.encoding = Encoding::Table;
            }
        }
        self.members.push(member.to_vec());
        true
    }

    fn remove(&mut self, members: &[Vec<u8>]) -> u64 {
        let mut removed = 0;
        for member in members {
            let Some(at) = self.members.iter().position(|other| other == member) else { continue };
            if self.encoding == Encoding::Table {
                self.members.swap_remove(at)
            } else {
                self.members.remove(at)
            };
            removed += 1;
        }
        removed
    }

    fn check(&self, place: &Place) {
        let view = SetView::new(place.bytes(), place.object());
        let bytes = |member: Member<'_>| member.with(<[u8]>::to_vec);
        assert_eq!(view.iter().map(bytes).collect::<Vec<_>>(), self.members);
        assert_eq!(view.len(), self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            assert_eq!(view.at(index).map(bytes).as_ref(), Some(member));
            assert!(view.contains(member));
        }
        assert_eq!(view.at(self.members.len()), None);
        assert!(!view.contains(b"absent") && !view.contains(b"123456"));
        let encoding = match self.encoding {
            Encoding::Ints => "intset",
            Encoding::Packed => "listpack",
            Encoding::Table => "hashtable",
        };
        assert_eq!(view.encoding(), encoding);
        if let Some(Object::Set(set)) = place.object() {
            assert_eq!(set.memory(), set.members.memory());
        }
    }
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    let edges = [0, i64::MIN, i64::MAX, 32_767, 32_768, -32_769, 1 << 31, -(1 << 31), (1 << 31) - 1];
    prop_oneof![
        40 => (-5..9_i64).prop_map(|n| n.to_string().into_bytes()),
        1 => prop::sample::select(edges.to_vec()).prop_map(|n| n.to_string().into_bytes()),
        1 => prop::collection::vec(b'a'..b'd', 0..3),
        1 => prop::sample::select(vec![&b"-0"[..], b"01", b"+1", b"-", b"9223372036854775808", b"1 ", b"a\0b"])
            .prop_map(<[u8]>::to_vec),
    ]
}

fn operands() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![30 => prop::collection::vec(member(), 0..4), 1 => prop::collection::vec(member(), 5..10)]
}

fn members(code: u8, members: &[Vec<u8>]) -> Op {
    let mut op = Op::new(code);
    for member in members {
        op.element(member);
    }
    op
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec((any::<bool>(), operands()), 1..40), scanned in 1..4_usize,
    ) {
        let mut place = Place::empty(SET);
        let mut model = Model { members: Vec::new(), encoding: Encoding::Ints };
        let mut scan = Scan::default();
        for (adds, operands) in &steps {
            let (code, expected) = if *adds {
                let added = model.add(operands);
                (op::SET_ADD, Outcome { added, changed: added })
            } else {
                (op::SET_REMOVE, Outcome { added: 0, changed: model.remove(operands) })
            };
            prop_assert_eq!(apply(&mut place, members(code, operands).bytes(), &LIMITS), Ok(expected));
            model.check(&place);
            place.check(SET, &LIMITS);
            let view = SetView::new(place.bytes(), place.object());
            scan.step(model.members.iter().map(Vec::as_slice), |cursor, visit| {
                view.scan(cursor, scanned, |member| member.with(&mut *visit))
            });
        }
    }

    #[test]
    fn integers_are_those_that_are_spelled_the_one_way(bytes in prop_oneof![
        "[-+]?[0-9]{0,20}".prop_map(String::into_bytes), any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..4),
    ]) {
        prop_assert_eq!(ints::parse(&bytes), integer(&bytes));
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many members for it")]
fn no_packed_set_outgrows_its_entry() {
    let limits = Limits {
        set_max_intset_entries: usize::MAX,
        set_max_listpack_entries: usize::MAX,
        set_max_listpack_value: usize::MAX,
        ..LIMITS
    };
    for (spell, most) in [
        ((|n| n.to_string().into_bytes()) as fn(u32) -> Vec<u8>, (MAX_PACKED - 4) / 2),
        (|n| format!("a{n:05}").into_bytes(), (MAX_PACKED - 3) / 7),
    ] {
        let mut place = Place::empty(SET);
        let mut added = 0;
        while place.object().is_none() {
            apply(&mut place, members(op::SET_ADD, &[spell(added)]).bytes(), &limits).unwrap();
            added += 1;
        }
        assert_eq!(added as usize, most + 1);
    }
}

#[test]
fn images_that_make_no_sense_are_refused() {
    let images: [&[u8]; 10] = [
        b"",
        b"\x06\x00\x00",
        b"\x06\x00\x00\x03",
        b"\x06\x01\x00\x02\x01",
        b"\x06\x02\x00\x02\x01\x00\x01\x00",
        b"\x06\x02\x00\x02\x01\x00\xFF\xFF",
        b"\x07\x01\x00",
        b"\x07\x02\x00\x01a\x01a",
        b"\x07\x01\x00\x01a\x01b",
        b"\x08\x01a\x01a",
    ];
    for image in images {
        assert!(load(image).is_err(), "{image:?}");
    }
    assert!(load(empty(SET)).is_ok_and(|object| object.is_none()));
}
