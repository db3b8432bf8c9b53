//! The table against a vector, its scan while it changes, what it costs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::value::place::cases;

fn key(n: u16) -> Vec<u8> {
    let mut key = n.to_le_bytes().to_vec();
    key.resize(2 + usize::from(n % 5) * usize::from(n % 128), 7);
    key
}

#[derive(Clone, Debug)]
enum Change {
    Insert(u16, usize, Option<u64>),
    InsertMany(u16),
    Remove(u16),
    RemoveMany(u16),
    Value(u16, usize),
    Deadline(u16, Option<u64>),
}

fn change() -> impl Strategy<Value = Change> {
    let number = any::<u16>();
    let length = prop_oneof![0..20_usize, Just(8), 240..300_usize];
    let many = if cfg!(miri) { 30..40_u16 } else { 0..400_u16 };
    prop_oneof![
        4 => (number, length.clone(), any::<Option<u64>>()).prop_map(|(n, v, d)| Change::Insert(n, v, d)),
        1 => many.clone().prop_map(Change::InsertMany),
        4 => number.prop_map(Change::Remove),
        1 => many.prop_map(Change::RemoveMany),
        2 => (number, length).prop_map(|(n, v)| Change::Value(n, v)),
        2 => (number, any::<Option<u64>>()).prop_map(|(n, d)| Change::Deadline(n, d)),
    ]
}

type Row = (Vec<u8>, Vec<u8>, Option<u64>);

fn check(dense: &Dense, model: &[Row]) {
    assert_eq!(dense.len(), model.len());
    for (number, (key, value, deadline)) in model.iter().enumerate() {
        let element = dense.at(number).unwrap();
        assert_eq!((element.key(), element.value(), element.deadline()), (&key[..], &value[..], *deadline));
        assert_eq!(dense.get(key), Some(number as u32));
    }
    // What is fetched is what a look will read, but for what has overflowed.
    dense.prefetch([&b"absent"[..]].into_iter().chain(model.iter().map(|(key, ..)| &key[..])));
    let fetched = |key: &[u8], number| dense.index.candidates(hash(key)).any(|other| other == number);
    let missed = (0..).zip(model).filter(|(number, (key, ..))| !fetched(key, *number)).count();
    assert!(missed == 0 || missed < model.len().saturating_sub(10), "{missed} of {}", model.len());
    let elements: usize = dense.iter().map(Element::footprint).sum();
    assert_eq!(dense.memory(), elements + dense.elements.memory() + dense.index.memory());
}

fn remove(dense: &mut Dense, model: &mut Vec<Row>, number: usize) {
    let last = model.len() as u32 - 1;
    model.swap_remove(number);
    assert_eq!(dense.swap_remove(number as u32), (number as u32 != last).then_some(last));
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn does_what_a_vector_does(changes in prop::collection::vec(change(), 1..40)) {
        let (mut dense, mut model) = (Dense::default(), Vec::<Row>::new());
        let mut fresh = 0_u16;
        for change in changes {
            let at = |n: u16| (!model.is_empty()).then(|| usize::from(n) % model.len().max(1));
            match change {
                Change::Insert(n, value, deadline) => {
                    if dense.get(&key(n)).is_none() {
                        let value = vec![n as u8; value];
                        let number = dense.insert_hashed(hash(&key(n)), &key(n), &value, deadline);
                        prop_assert_eq!(number as usize, model.len());
                        model.push((key(n), value, deadline));
                    }
                }
                Change::InsertMany(count) => for _ in 0..count {
                    fresh = fresh.wrapping_add(1);
                    if dense.get(&key(fresh)).is_none() {
                        dense.insert(&key(fresh), b"");
                        model.push((key(fresh), Vec::new(), None));
                    }
                },
                Change::Remove(n) => if let Some(at) = at(n) { remove(&mut dense, &mut model, at) },
                Change::RemoveMany(count) => for n in 0..usize::from(count).min(model.len()) {
                    let at = (n * 7919) % model.len();
                    remove(&mut dense, &mut model, at);
                },
                Change::Value(n, value) => if let Some(at) = at(n) {
                    model[at].1 = vec![n as u8; value];
                    dense.set_value(at as u32, &vec![n as u8; value]);
                },
                Change::Deadline(n, deadline) => if let Some(at) = at(n) {
                    model[at].2 = deadline;
                    dense.set_deadline(at as u32, deadline);
                },
            }
            check(&dense, &model);
        }
        while !model.is_empty() {
            remove(&mut dense, &mut model, 0);
        }
        prop_assert_eq!(dense.memory(), 0);
    }

    #[test]
    fn a_scan_misses_nothing_that_stays(
        start in 0..300_u16, count in 1..20_usize, steps in prop::collection::vec((0..8_u16, 0..8_u16), 0..200),
    ) {
        let mut dense = Dense::default();
        for n in 0..start {
            dense.insert(&n.to_le_bytes(), b"");
        }
        let mut stayed: BTreeSet<u16> = (0..start).collect();
        let (mut cursor, mut fresh) = (0, start);
        let mut steps = steps.into_iter();
        loop {
            cursor = dense.scan(cursor, count, |element| {
                stayed.remove(&u16::from_le_bytes(element.key().try_into().unwrap()));
            });
            if cursor == 0 {
                break;
            }
            let (inserts, removals) = steps.next().unwrap_or_default();
            for _ in 0..inserts {
                dense.insert(&fresh.to_le_bytes(), b"");
                fresh += 1;
            }
            for n in 0..removals {
                let Some(at) = (u32::from(n) * 31 + u32::from(inserts)).checked_rem(dense.len() as u32) else { break };
                stayed.remove(&u16::from_le_bytes(dense.element(at).key().try_into().unwrap()));
                dense.swap_remove(at);
            }
        }
        prop_assert!(stayed.is_empty(), "{stayed:?}");
    }
}

/// Hashes from good to hopeless go through the index itself: each step leaves less to tell numbers apart.
#[test]
fn the_index_keeps_its_numbers_whatever_the_hashes() {
    let count = if cfg!(miri) { 60 } else { 3000 };
    for hash in [|n: u32| u64::from(n), |n| u64::from(n % 3), |n| u64::from(n) << 32, |_| 0] {
        let mut index = Index::default();
        let present = |index: &Index, n: u32| index.find(hash(n), |number| number == n) == Some(n);
        for n in 0..count {
            index.insert(hash(n), n, |_, number| hash(number));
        }
        assert!((0..count).all(|n| present(&index, n)));
        for n in (0..count).step_by(2) {
            index.remove(hash(n), n);
            index.shrink(|_, number| hash(number));
        }
        assert!((0..count).all(|n| present(&index, n) == (n % 2 == 1)));
        for n in (1..count).step_by(2) {
            index.remove(hash(n), n);
            index.shrink(|_, number| hash(number));
        }
        assert_eq!(index.memory(), 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many elements for it")]
fn a_large_table_is_found_again_and_costs_little_besides_its_elements() {
    // More than 2^16 buckets, so that marks do not say where an element belongs.
    let count = 1_000_000_u32;
    let mut dense = Dense::default();
    for n in 0..count {
        dense.insert(&n.to_le_bytes(), b"");
    }
    assert!(dense.index.is_wide());
    assert!((0..count).all(|n| dense.get(&n.to_le_bytes()) == Some(n)));
    let besides = (dense.memory() - dense.element_memory) as f64 / f64::from(count);
    assert!(besides < 17.0, "{besides} bytes besides the element");
    let index = dense.index.memory();
    for _ in 0..count - 10 {
        dense.swap_remove(3);
    }
    assert!((0..10).all(|n| dense.get(dense.element(n).key()) == Some(n)));
    assert!(dense.index.memory() < index / 4, "{} of {index} bytes", dense.index.memory());
}
