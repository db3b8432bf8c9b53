//! Scans of a prefix, against what was there all the time, and how many keys they look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::clock::SimClock;
use crate::disk::sim::SimDisk;
use crate::options::Options;
use crate::txn::Value;

fn store(key_order: bool) -> Arc<Store> {
    let options = Options { key_order, segment_bytes: 1 << 20, secrets_from: Some(3), ..Options::default() };
    Store::open(Arc::new(SimDisk::new(1)), Arc::new(SimClock::new(1 << 40)), options).unwrap()
}

fn set(store: &Store, database: u8, name: &[u8], deadline: Option<u64>) {
    let key = store.key(name);
    let mut transaction = store.begin(database, &[key], store.now_ms());
    transaction.set(&key, Value::Copy(b"v"), deadline);
    transaction.commit();
}

fn remove(store: &Store, name: &[u8]) {
    let key = store.key(name);
    let mut transaction = store.begin(0, &[key], store.now_ms());
    transaction.remove(&key);
    transaction.commit();
}

/// All calls of a scan; what was shown by each.
fn calls(store: &Store, database: u8, prefix: &[u8], enough: usize) -> Vec<Vec<Vec<u8>>> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let mut shown = Vec::new();
        cursor = store.scan_prefix(None, database, prefix, cursor, enough, |key, _| {
            if key.starts_with(prefix) {
                shown.push(key.to_vec());
            }
        });
        all.push(shown);
        if cursor == 0 {
            return all;
        }
    }
}

/// Names with many that have the same position.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let rest = prop::collection::vec(prop::sample::select(b"\0\0\0a0z\xff\xff".to_vec()), 0..8);
    let front = prop::sample::select(vec!["", "a", "ab", "ab\0\0\0\0\0", "a00000000000000"]);
    (front, rest).prop_map(|(front, rest)| [front.as_bytes(), &rest].concat())
}

#[derive(Clone, Debug)]
enum Step {
    Come(Vec<u8>),
    Go(prop::sample::Index),
    Scan { prefix: &'static str, enough: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let prefix = prop::sample::select(vec!["a", "a", "a", "a", "ab", "a0", ""]);
    prop_oneof![
        3 => name().prop_map(Step::Come),
        2 => any::<prop::sample::Index>().prop_map(Step::Go),
        3 => (prefix, 1_usize..9).prop_map(|(prefix, enough)| Step::Scan { prefix, enough }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each call may have another pattern: what all of them let through, and was there all the time, is shown.
    #[test]
    fn what_stays_is_shown(
        first in prop::collection::btree_set(name(), 0..120),
        steps in prop::collection::vec(step(), 0..60),
        few in 1_usize..20,
        group in 1_usize..12,
    ) {
        let store = store(true);
        let reach = Reach { few, group };
        let mut present = first.clone();
        first.iter().for_each(|name| set(&store, 0, name, None));
        let (mut expected, mut shown) = (present.clone(), BTreeSet::new());
        let mut cursor = 0;
        let last = std::iter::repeat_n(Step::Scan { prefix: "a", enough: 3 }, 1000);
        for (at, step) in steps.iter().cloned().chain(last).enumerate() {
            match step {
                Step::Come(name) => {
                    set(&store, 0, &name, None);
                    present.insert(name);
                }
                Step::Go(_) if present.is_empty() => {}
                Step::Go(which) => {
                    let name = present.iter().nth(which.index(present.len())).unwrap().clone();
                    remove(&store, &name);
                    present.remove(&name);
                    expected.remove(&name);
                }
                Step::Scan { prefix, enough } => {
                    expected.retain(|name| name.starts_with(prefix.as_bytes()));
                    cursor = store.scan_prefix_within(reach, None, 0, prefix.as_bytes(), cursor, enough, |key, _| {
                        shown.insert(key.to_vec());
                    });
                    if cursor == 0 {
                        let named = |name: &Vec<u8>| name.escape_ascii().to_string();
                        let missed: Vec<String> = expected.difference(&shown).map(named).collect();
                        prop_assert!(missed.is_empty(), "{missed:?}");
                        (expected, shown) = (present.clone(), BTreeSet::new());
                        if at >= steps.len() {
                            break;
                        }
                    }
                }
            }
        }
        prop_assert_eq!(cursor, 0, "it does not come to its end");
    }

    /// Calls that follow one another look at each key once, at one more to see that there are more, and the first at a
    /// few.
    #[test]
    fn no_call_looks_at_more_than_it_may(
        names in prop::collection::btree_set(name(), 0..200),
        enough in 1_usize..20,
        few in 1_usize..30,
        group in 1_usize..20,
    ) {
        let order = Order::default();
        names.iter().for_each(|name| order.add(name));
        let reach = Reach { few, group };
        let (mut shown, mut from, mut looked_at_all) = (Vec::new(), None, 0);
        let is_too_large = loop {
            let mut looked = 0;
            let walk = |bounds: Bounds<'_>, take: &mut dyn FnMut(&[u8]) -> bool| {
                order.walk(bounds, false, |name| {
                    looked += 1;
                    take(name)
                });
            };
            let page = page(b"a", from, enough, reach, walk);
            let most = if from.is_none() { few.max(enough + group) } else { enough + group };
            prop_assert!(looked <= most + 1, "{looked} of {most}");
            looked_at_all += looked;
            let Some(Page { names, next }) = page else { break true };
            prop_assert!(next.is_none() || names.len() >= enough);
            prop_assert!(looked <= few.max(names.len()) + 1 || from.is_some());
            shown.extend(names);
            let Some(next) = next else { break false };
            prop_assert!(from.is_none_or(|from| from < next));
            from = Some(next);
        };
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with(b"a")).cloned().collect();
        if is_too_large {
            let mut groups = std::collections::BTreeMap::new();
            expected.iter().for_each(|name| *groups.entry(position::position_of(&name[1..])).or_insert(0) += 1);
            prop_assert!(groups.values().any(|names| *names > group), "no group is too large");
        } else {
            prop_assert!(looked_at_all <= expected.len() + few + expected.len().div_ceil(enough) + 1);
            prop_assert_eq!(shown, expected);
        }
    }
}

#[test]
fn few_are_shown_at_once_and_many_by_pages() {
    let store = store(true);
    for number in 0..3000 {
        set(&store, 0, format!("many:{number}").as_bytes(), None);
        set(&store, 0, format!("long:aaaaaaaaaaaa{number}").as_bytes(), None);
    }
    (0..REACH.few).for_each(|number| set(&store, 0, format!("few:{number}").as_bytes(), None));
    set(&store, 1, b"many:0", None);
    let counts = |database, prefix: &str, enough| -> Vec<usize> {
        calls(&store, database, prefix.as_bytes(), enough).iter().map(Vec::len).collect()
    };
    assert_eq!(counts(0, "few:", 10), [REACH.few]);
    assert_eq!(counts(0, "few:12", 1), [11]);
    assert_eq!(counts(0, "many:", 1000), [1000; 3]);
    assert_eq!((counts(0, "none:", 10), counts(1, "many:", 10)), (vec![0], vec![1]));
    // All have the same position: the tables are scanned.
    let long = counts(0, "long:", 10);
    assert!(long.len() > 100 && long.iter().sum::<usize>() == 3000);
    let page = page(b"long:", None, 10, REACH, |bounds, take| {
        store.order_of(&mut None, store.physical(0)).unwrap().walk(bounds, false, take);
    });
    assert_eq!(page, None);
}

#[test]
fn a_cursor_that_does_not_fit_begins_anew() {
    let ordered = store(true);
    (0..3000).for_each(|number| set(&ordered, 0, format!("many:{number}").as_bytes(), None));
    let cursor = ordered.scan_prefix(None, 0, b"many:", 0, 2500, |_, _| {});
    assert!(position::is_cursor(cursor));
    let rest = |store: &Store, prefix: &[u8], mut cursor: u64| {
        let mut shown = BTreeSet::new();
        while {
            cursor = store.scan_prefix(None, 0, prefix, cursor, 100, |key, _| _ = shown.insert(key.to_vec()));
            assert!(!position::is_cursor(cursor) || prefix == b"many:");
            cursor != 0
        } {}
        shown.len()
    };
    assert_eq!((rest(&ordered, b"many:", cursor), rest(&ordered, b"many:1", cursor)), (500, 3000));
    assert_eq!(rest(&ordered, b"", cursor), 3000);
    let unordered = store(false);
    (0..50).for_each(|number| set(&unordered, 0, format!("many:{number}").as_bytes(), None));
    assert_eq!(rest(&unordered, b"many", cursor), 50);
    // Whatever a client makes up.
    for cursor in [u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 62, 5 << 52 | 1 << 62] {
        ordered.scan_prefix(None, 0, b"many:", cursor, 10, |_, _| {});
    }
}

#[test]
fn what_has_expired_is_not_shown_and_goes() {
    let store = store(true);
    set(&store, 0, b"k1", Some(store.now_ms() + 1));
    set(&store, 0, b"k2", None);
    let mut shown = Vec::new();
    let key = store.key(b"k1");
    let mut transaction = store.begin(0, &[key], store.now_ms());
    transaction.set(&key, Value::Copy(b"v"), Some(1));
    transaction.commit();
    assert_eq!(store.scan_prefix(None, 0, b"k", 0, 10, |key, _| shown.push(key.to_vec())), 0);
    assert_eq!((shown, store.key_count(0)), (vec![b"k2".to_vec()], 1));
    let mut transaction = store.begin_all(0, store.now_ms());
    let mut shown = 0;
    assert_eq!(store.scan_prefix(Some(&mut transaction), 0, b"k", 0, 10, |_, _| shown += 1), 0);
    assert_eq!(shown, 1);
}
