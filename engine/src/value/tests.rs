//! Hostile bytes for all types: refused, or taken and kept in order, but never a panic.

use proptest::prelude::*;

use super::place::{Place, cases};
use super::*;

const TYPES: [u8; 4] = [LIST, HASH, SET, ZSET];

fn limits() -> impl Strategy<Value = Limits> {
    (0..6_usize, 0..6_usize).prop_map(|(entries, value)| Limits {
        list_max_listpack_size: entries as i32,
        hash_max_listpack_entries: entries,
        hash_max_listpack_value: value,
        set_max_intset_entries: entries,
        set_max_listpack_entries: entries,
        set_max_listpack_value: value,
        zset_max_listpack_entries: entries,
        zset_max_listpack_value: value,
    })
}

/// Bytes that often are a length, or part of what elements are made of.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![8 => 0..4_u8, 2 => Just(b'1'), 1 => any::<u8>()], 0..most)
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    (0..12_u8, 0..5_u8, bytes(24)).prop_map(|(tag, count, elements)| {
        if matches!(tag, tag::HASH_TABLE | tag::SET_TABLE | 2 | 10) {
            [&[tag][..], &elements].concat()
        } else {
            [&[tag, count, 0][..], &elements].concat()
        }
    })
}

fn operation() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![16..=22_u8, 32..=36_u8, 48..=49_u8, 64..=65_u8, any::<u8>()];
    let elements = || {
        prop::collection::vec(bytes(4), 0..4).prop_map(|elements| {
            let mut operands = Vec::new();
            elements.iter().for_each(|element| element::push_element(&mut operands, element));
            operands
        })
    };
    let numbered = (0..9_u64, elements()).prop_map(|(n, rest): (u64, Vec<u8>)| [&n.to_le_bytes()[..], &rest].concat());
    let operands = prop_oneof![bytes(24), elements(), numbered];
    (code, operands).prop_map(|(code, operands): (u8, Vec<u8>)| [&[code][..], &operands].concat())
}

/// Whatever the bytes are.
fn read_everything(packed: &[u8], object: Option<&Object>) {
    for now_ms in [0, 3, u64::MAX] {
        let hash = HashView::new(packed, object, now_ms);
        let _ = (hash.len(), hash.get(b"1"), hash.at(1), hash.next_deadline(), hash.iter().count());
        let _ = hash.scan(7, 3, |_, _| {});
        hash.due(2, |_| {});
    }
    let set = SetView::new(packed, object);
    let _ = (set.len(), set.contains(b"1"), set.contains(b"a"), set.at(1), set.iter().count());
    let _ = set.scan(7, 3, |_| {});
    let list = ListView::new(packed, object);
    let _ = (list.len(), list.get(1), list.iter_from(1).count(), list.iter_back_from(2).count());
    let zset = ZsetView::new(packed, object);
    let _ = (zset.len(), zset.score(b"1"), zset.rank(b"1"), zset.from_rank(1).count(), zset.back_from_rank(2).count());
    let _ = (zset.rank_of_score(1.0, true), zset.rank_of_member(b"1", true), zset.scan(7, 3, |_, _| {}));
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn hostile_images_and_operations(image in image(), operations in prop::collection::vec(operation(), 0..6), limits in limits()) {
        read_everything(&image, None);
        for value_type in TYPES {
            let Ok(mut place) = Place::load(value_type, &image) else { continue };
            for operation in &operations {
                let before = place.image();
                if let Ok(outcome) = apply(&mut place, operation, &limits) {
                    prop_assert!(outcome.added <= outcome.changed);
                    prop_assert!(outcome.changed > 0 || place.image() == before, "it would not be in the log");
                }
                read_everything(place.bytes(), place.object());
                place.check(value_type, &limits);
            }
        }
    }
}

#[test]
fn an_operation_of_another_type_is_refused() {
    for (value_type, code) in [(HASH, op::SET_ADD), (SET, op::HASH_DELETE)] {
        for image in [empty(value_type), if value_type == HASH { &[tag::HASH_TABLE] } else { &[tag::SET_TABLE] }] {
            let mut place = Place::load(value_type, image).unwrap();
            assert_eq!(apply(&mut place, &[code, 1, b'a'], &Limits::default()), Err(Malformed));
        }
    }
    assert_eq!(load(STRING, b"").err(), Some(Malformed));
    assert_eq!(type_of_operation(b""), None);
}
