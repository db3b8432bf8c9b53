//! What is dumped is restored, for values of every type around every step of the encodings.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use rdb::{Value, restore};

use crate::REQUIRED;
use crate::restored::comparable;

/// The latest deadline that Redis keeps.
const DEADLINE_MAX_MS: u64 = (1 << 48) - 1;

/// Strings as the encodings tell them apart: integers of every width, and lengths around their steps.
fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..70),
        4 => (any::<i64>(), 0_u32..63).prop_map(|(number, shift)| (number >> shift).to_string().into_bytes()),
        1 => prop::sample::select(vec!["-0", "01", "+1", "", "-", "9223372036854775808"]).prop_map(|text| text.into()),
        1 => (any::<u8>(), prop::sample::select(vec![63, 64, 127, 4095, 4096, 8180, 8182, 8183, 16_384, 70_000]))
            .prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("NaN is no score", |score| !score.is_nan()),
        any::<i32>().prop_map(f64::from),
        prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e17, 1e-5, 0.1]),
    ]
}

/// Few, or around the steps from packed to unpacked.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..8, 126_usize..132, 510_usize..515]
}

fn value() -> impl Strategy<Value = Value> {
    let distinct = |elements: Vec<Vec<u8>>| elements.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let numbers = count().prop_flat_map(|count| vec(any::<i64>(), count));
    prop_oneof![
        element().prop_map(Value::String),
        count().prop_flat_map(|count| vec(element(), count)).prop_map(Value::List),
        count().prop_flat_map(|count| vec(element(), count)).prop_map(move |members| Value::Set(distinct(members))),
        numbers.prop_map(|numbers| {
            Value::Set(
                numbers.into_iter().collect::<BTreeSet<_>>().iter().map(|number| number.to_string().into()).collect(),
            )
        }),
        (count(), any::<bool>()).prop_flat_map(move |(count, plain)| vec(
            (element(), (element(), prop::option::of(1..=DEADLINE_MAX_MS))),
            count
        )
        .prop_map(move |fields| {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let kept = |deadline: Option<u64>| deadline.filter(|_| !plain);
            Value::Hash(fields.into_iter().map(|(name, (value, deadline))| (name, value, kept(deadline))).collect())
        })),
        count()
            .prop_flat_map(|count| vec((element(), score()), count))
            .prop_map(|members| { Value::Zset(members.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_dumped_is_restored(value in value()) {
        let dump = value.dump();
        let restored = restore(&dump, &REQUIRED);
        // Scores are compared to the bit: zero has a sign.
        prop_assert_eq!(format!("{:?}", restored.map(comparable)), format!("{:?}", Ok::<_, rdb::Error>(comparable(value))));
    }

    #[test]
    fn the_order_of_lists_and_hashes_is_kept(list in vec(element(), 1..300), step in 1_u64..9) {
        let fields = (0..300_u64).map(|field| (format!("{:03}", field * 7 % 300).into(), vec![], (field % step == 1).then_some(field)));
        for value in [Value::List(list.clone()), Value::Hash(fields.collect())] {
            prop_assert_eq!(restore(&value.dump(), &REQUIRED), Ok(value));
        }
    }
}

#[test]
fn the_room_for_a_dump_is_taken_at_once() {
    let list: Vec<String> = (0..100_000).map(|number| format!("element {number}")).collect();
    let dump = rdb::dump::list(list.iter());
    // Type, count and footer; for each element its bytes and at most 10 more. Had it grown, there would be another room.
    let room = 20 + list.iter().map(|element| element.len() + 10).sum::<usize>();
    assert_eq!(dump.capacity(), room);
    let list = list.into_iter().map(String::into_bytes).collect();
    assert_eq!(restore(&dump, &REQUIRED), Ok(Value::List(list)));
}

#[test]
fn deadlines_that_redis_cannot_keep_are_written_as_the_nearest() {
    let hash = |deadlines: [u64; 2]| {
        Value::Hash(vec![(b"a".to_vec(), vec![], Some(deadlines[0])), (b"b".to_vec(), vec![], Some(deadlines[1]))])
    };
    assert_eq!(restore(&hash([0, u64::MAX]).dump(), &REQUIRED), Ok(hash([1, DEADLINE_MAX_MS])));
}

#[test]
fn the_higher_version_is_said_only_where_it_is_needed() {
    let version = |value: &Value| value.dump().iter().rev().nth(9).copied();
    assert_eq!(version(&Value::Hash(vec![(b"a".to_vec(), b"b".to_vec(), None)])), Some(11));
    assert_eq!(version(&Value::Hash(vec![(b"a".to_vec(), b"b".to_vec(), Some(5))])), Some(12));
}
