//! The table against a map, whatever the hashes; its scan while it grows; what it costs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::keyspace::entry::Stored;

/// A mixer (MurmurHash3's finaliser): keys here are numbers.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let n = (n ^ (n >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    n ^ (n >> 33)
}

fn number(entry: &Entry) -> u64 {
    u64::from_le_bytes(entry.key().try_into().unwrap())
}

fn entry(n: u64) -> Entry {
    Entry::new(&n.to_le_bytes(), Stored::copy(b"v"), None, 0)
}

fn insert(table: &mut Table, n: u64, hash: fn(u64) -> u64) {
    table.insert(hash(n), entry(n), |entry| hash(number(entry)));
}

fn filled(keys: u64) -> Table {
    let mut table = Table::default();
    (0..keys).for_each(|n| insert(&mut table, n, mix));
    table
}

fn full_scan(table: &Table) -> Vec<u64> {
    let (mut found, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = table.scan(cursor, |entry| found.push(number(entry)));
        if cursor == 0 {
            return found;
        }
    }
}

/// Hashes from good to hopeless: each step leaves less to tell keys apart.
const HASHES: [fn(u64) -> u64; 6] =
    [mix, |n| n, |n| mix(n) & !0xFFFF_FFFF, |n| n << 32, |n| (n % 3) | (n % 2) << 32, |_| 0];

#[derive(Clone, Debug)]
enum Op {
    Insert(u64),
    InsertMany(u64),
    Remove(u64),
    Change(u64),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..64u64;
    prop_oneof![
        12 => key.clone().prop_map(Op::Insert),
        2 => key.clone().prop_map(Op::InsertMany),
        8 => key.clone().prop_map(Op::Remove),
        4 => key.prop_map(Op::Change),
        1 => Just(Op::Clear),
    ]
}

/// Does the operation to both, and checks what it returns.
fn apply(table: &mut Table, model: &mut BTreeMap<u64, Vec<u8>>, hash: fn(u64) -> u64, op: &Op) {
    let value = |entry: &Entry| entry.value().to_vec();
    match *op {
        Op::Insert(n) => {
            if model.insert(n, b"v".to_vec()).is_none() {
                insert(table, n, hash);
            } else {
                let entry = table.find_mut(hash(n), &n.to_le_bytes()).unwrap();
                entry.replace(Stored::copy(b"v"), None, None, 0);
            }
        }
        Op::InsertMany(n) => (n..n + 32).for_each(|n| apply(table, model, hash, &Op::Insert(n))),
        Op::Remove(n) => {
            let removed = table.remove(hash(n), &n.to_le_bytes());
            assert_eq!(removed.as_ref().map(value), model.remove(&n));
            assert!(removed.is_none_or(|entry| number(&entry) == n));
        }
        Op::Change(n) => {
            let found = table.find_mut(hash(n), &n.to_le_bytes());
            assert_eq!(found.is_some(), model.contains_key(&n));
            if let Some(entry) = found {
                entry.append(&[b'x'; 40]);
                model.get_mut(&n).unwrap().extend([b'x'; 40]);
            }
        }
        Op::Clear => {
            let old = mem::take(table);
            assert_eq!((old.len, table.memory()), (model.len(), 0));
            model.clear();
        }
    }
}

fn check(table: &Table, model: &BTreeMap<u64, Vec<u8>>, hash: fn(u64) -> u64) {
    assert_eq!(table.len, model.len());
    let found: BTreeMap<u64, Vec<u8>> = table.iter().map(|entry| (number(entry), entry.value().to_vec())).collect();
    assert_eq!(&found, model);
    assert_eq!(table.iter().count(), model.len());
    for n in 0..if cfg!(miri) { 32 } else { 96 } {
        let found = table.find(hash(n), &n.to_le_bytes()).map(|entry| entry.value().to_vec());
        assert_eq!(found.as_ref(), model.get(&n));
        table.prefetch_bucket(hash(n));
        table.prefetch_entry(hash(n));
    }
    let overflow: usize = (0..table.buckets).map(|index| table.bucket(index).overflow_bytes()).sum();
    assert_eq!(table.overflow_bytes, overflow);
    assert_eq!(table.random(mix(model.len() as u64)).is_some(), !model.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_map(hash in 0..HASHES.len(), ops in prop::collection::vec(op(), 1..if cfg!(miri) { 30 } else { 200 })) {
        let (mut table, mut model, hash) = (Table::default(), BTreeMap::new(), HASHES[hash]);
        for op in &ops {
            apply(&mut table, &mut model, hash, op);
            if !cfg!(miri) {
                check(&table, &model, hash);
            }
        }
        check(&table, &model, hash);
    }

    #[test]
    fn a_scan_returns_all_that_stays_while_the_table_grows(
        start in 0..if cfg!(miri) { 60 } else { 300u64 },
        steps in prop::collection::vec((0..40u64, 0..40u64), 1..if cfg!(miri) { 5 } else { 60 }),
        hash in 0..HASHES.len(),
    ) {
        let (mut table, hash) = (Table::default(), HASHES[hash]);
        (0..start).for_each(|n| insert(&mut table, n, hash));
        let mut stayed: BTreeSet<u64> = (0..start).collect();
        let (mut found, mut cursor, mut next) = (BTreeSet::new(), 0, start);
        let mut steps = steps.into_iter();
        loop {
            cursor = table.scan(cursor, |entry| { found.insert(number(entry)); });
            if cursor == 0 {
                break;
            }
            let Some((added, removed)) = steps.next() else { continue };
            for n in next..next + added {
                insert(&mut table, n, hash);
            }
            next += added;
            for _ in 0..removed.min(added / 2) {
                let n = mix(removed ^ next) % next;
                table.remove(hash(n), &n.to_le_bytes());
                stayed.remove(&n);
            }
        }
        prop_assert!(stayed.is_subset(&found), "lost {:?}", stayed.difference(&found).collect::<Vec<_>>());
    }
}

#[test]
fn an_empty_table_has_no_memory_and_no_entries() {
    let mut table = Table::default();
    assert_eq!((table.memory(), table.buckets, table.scan(0, |_| ())), (0, 0, 0));
    assert!(table.find(1, b"a").is_none() && table.find_mut(1, b"a").is_none() && table.random(1).is_none());
    assert!(table.remove(1, b"a").is_none());
    table.prefetch_bucket(1);
    table.prefetch_entry(1);
}

#[test]
fn a_scan_without_growth_returns_each_entry_once() {
    let keys = if cfg!(miri) { 100 } else { 1000 };
    let table = filled(keys);
    let mut found = full_scan(&table);
    found.sort_unstable();
    assert!(found.into_iter().eq(0..keys));
    assert_eq!(table.scan(1 << 40, |_| ()), 0, "a cursor from elsewhere ends the scan");
}

#[test]
fn an_insert_splits_one_bucket_at_most() {
    let mut table = Table::default();
    for n in 0..if cfg!(miri) { 200 } else { 20_000 } {
        let before = table.buckets;
        insert(&mut table, n, mix);
        assert!(table.buckets <= before.max(1) + 1);
    }
    assert!(table.buckets > 1 && table.len * MAX_LOAD.1 > (table.buckets - 1) * MAX_LOAD.0);
}

#[test]
fn beyond_65536_buckets_keys_are_hashed_again() {
    if cfg!(miri) {
        return;
    }
    let keys = 500_000;
    let table = filled(keys);
    assert!(table.buckets > 1 << 16);
    assert!((0..keys).all(|n| table.find(mix(n), &n.to_le_bytes()).is_some()));
    assert_eq!(full_scan(&table).into_iter().collect::<BTreeSet<_>>().len(), keys as usize);
}

#[test]
fn a_key_costs_at_most_13_bytes() {
    if cfg!(miri) {
        return;
    }
    let mut table = Table::default();
    for n in 0..1_000_000_u64 {
        insert(&mut table, n, mix);
        let keys = n as usize + 1;
        // A new chunk and a grown directory weigh on small tables.
        let limit = if keys < 4_000 { 13 * keys + 1024 } else { 13 * keys };
        if keys >= 1000 && keys.is_multiple_of(97) {
            assert!(table.memory() <= limit, "{} bytes for {keys} keys", table.memory());
        }
    }
}

#[test]
fn a_random_entry_is_any_entry_with_like_chance() {
    let keys = 100;
    let table = filled(keys);
    let mut counts = vec![0_u32; keys as usize];
    let draws = if cfg!(miri) { 10 } else { 100_000 };
    for n in 0..draws {
        counts[number(table.random(n).unwrap()) as usize] += 1;
    }
    if !cfg!(miri) {
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 850 && *most < 1150, "{least} to {most} of 1000 expected");
    }
}

#[test]
fn a_random_entry_is_found_among_many_holes() {
    let keys = if cfg!(miri) { 100 } else { 1000_u64 };
    let mut table = filled(keys);
    for n in 1..keys {
        table.remove(mix(n), &n.to_le_bytes()).unwrap();
    }
    assert!((0..20).all(|n| number(table.random(n).unwrap()) == 0));
}

#[test]
fn a_table_of_the_expected_size_does_not_grow() {
    let rehash = |entry: &Entry| mix(number(entry));
    let mut table = Table::default();
    table.reserve(0, rehash);
    assert_eq!(table.memory(), 0);
    table.reserve(1000, rehash);
    let (buckets, chunks) = (table.buckets, table.chunks.capacity());
    for number in 0..1000_u64 {
        table.insert(mix(number), Entry::new(&number.to_le_bytes(), Stored::copy(b"v"), None, 0), rehash);
    }
    assert_eq!((table.buckets, table.chunks.capacity()), (buckets, chunks));
    // And one that is in use becomes larger and keeps what it has.
    table.reserve(5000, rehash);
    assert!(table.buckets > 4 * buckets);
    assert!((0..1000_u64).all(|number| table.find(mix(number), &number.to_le_bytes()).is_some()));
}
