//! Hostile dumps: a value or an error, and no memory for what is only announced.

use proptest::collection::vec;
use proptest::prelude::*;
use rdb::{Checksum, Error, Limits, Value, restore};

use crate::restored;

/// Every encoding, in which the fuzzed bytes are the value.
const KINDS: u8 = 26;

fn refused(body: &[u8]) -> Option<Error> {
    let dump = [body, &[11, 0], &[0; 8]].concat();
    restore(&dump, &Limits { memory_bytes: 1 << 20, checksum: Checksum::ZeroIsUnchecked }).err()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(kind in 0..KINDS, value in vec(any::<u8>(), 0..200)) {
        restored::check(&[&[kind][..], &value].concat(), || 0);
    }

    #[test]
    fn arbitrary_dumps(dump in vec(any::<u8>(), 0..100)) {
        let _ = restore(&dump, &crate::REQUIRED);
    }

    #[test]
    fn changed_dumps(
        elements in vec(vec(any::<u8>(), 0..12), 1..20),
        kind in 0..4_u8,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let pairs = elements.iter().zip(elements.iter().rev());
        let mut dump = match kind {
            0 => rdb::dump::list(elements.iter()),
            1 => rdb::dump::set(elements.iter()),
            2 => rdb::dump::hash(pairs.map(|(name, value)| (name, value, value.first().map(|byte| u64::from(*byte))))),
            _ => rdb::dump::zset(elements.iter().map(|element| (element, element.len() as f64 / 3.0))),
        };
        dump.truncate(dump.len() - 10);
        for (position, byte) in changes {
            let position = position.index(dump.len());
            dump[position] = byte;
        }
        restored::check(&dump, || 0);
    }
}

#[test]
fn announced_sizes_are_refused_before_memory_is_taken() {
    // An allocation of this size would end the test.
    let huge = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff";
    for kind in 0..KINDS {
        // A count, a string's length, a compressed string's lengths; as they are and behind a deadline.
        for announced in [&b""[..], b"\xc3\x01", b"\x01", b"\x01\xc3\x01"] {
            for before in [&b""[..], &[0; 8]] {
                assert!(refused(&[&[kind][..], before, announced, huge, b"\0"].concat()).is_some(), "type {kind}");
            }
        }
    }
}

#[test]
fn a_small_dump_of_a_large_value_is_refused_by_its_size() {
    // "264 bytes again", 8,000 times.
    let compressed = [&b"\x00a"[..], &b"\xe0\xff\x00".repeat(8000)].concat();
    let lengths = [&b"\xc3\x80"[..], &24_002_u32.to_be_bytes(), &b"\x80"[..], &2_112_001_u32.to_be_bytes()].concat();
    assert_eq!(refused(&[b"\0", &lengths[..], &compressed].concat()), Some(Error::TooLarge { limit_bytes: 1 << 20 }));
    // Small elements cost more than their bytes.
    let value = Value::List(vec![b"1".to_vec(); 60_000]);
    let dump = value.dump();
    let limits = |memory_bytes| Limits { memory_bytes, checksum: Checksum::Required };
    assert_eq!(restore(&dump, &limits(1 << 20)), Err(Error::TooLarge { limit_bytes: 1 << 20 }));
    assert_eq!(restore(&dump, &limits(2 << 20)), Ok(value));
}

#[test]
fn what_redis_refuses_is_refused() {
    // Each was asked of RESTORE of Redis 8.0.6: "Bad data format".
    for (body, why) in [
        (&b""[..], "nothing"),
        (b"\x02\x02\x01a\x01a", "a member twice"),
        (b"\x04\x02\x01a\x01a\x01a\x01b", "a field twice"),
        (b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\0", "a scored member twice"),
        (b"\x01\x00", "an empty list"),
        (b"\x10\x07\x07\0\0\0\0\0\xff", "an empty hash"),
        (b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f", "NaN"),
        (b"\x10\x0a\x0a\0\0\0\x01\0\x81a\x02\xff", "a field without value"),
        (b"\x12\x01\x01\x00", "an empty plain node"),
        (
            b"\x19\0\0\0\0\0\0\0\0\x15\x15\0\0\0\x06\0\x81a\x02\x01\x01\x02\x01\x81b\x02\x01\x01\x01\x01\xff",
            "packed deadlines that descend",
        ),
    ] {
        assert!(matches!(refused(body), Some(Error::BadFormat(_))), "{why}");
    }
    // An empty node among others is skipped.
    assert_eq!(refused(b"\x12\x02\x02\x07\x07\0\0\0\0\0\xff\x02\x0a\x0a\0\0\0\x01\0\x81a\x02\xff"), None);
}

#[test]
fn types_that_are_not_read_have_names() {
    for (kind, name) in [(6, "module"), (7, "module"), (15, "stream"), (19, "stream"), (21, "stream")] {
        assert_eq!(refused(&[kind]), Some(Error::UnsupportedType(name)));
    }
    for kind in [8, 26, 255] {
        assert!(matches!(refused(&[kind, 1, 1, b'a']), Some(Error::BadFormat(_))));
    }
}
