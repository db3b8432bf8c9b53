//! Dumps: any bytes are a value or an error within the memory allowed, and a value survives being written and read.

use rdb::{Checksum, Limits, Value, restore};

/// Small enough for a fuzzer to reach.
const LIMITS: Limits = Limits { memory_bytes: 1 << 20, checksum: Checksum::ZeroIsUnchecked };
/// What may be in use at once, as a multiple of the memory allowed: tables grow by doubling.
const LIMIT_FACTOR: usize = 4;
/// Bytes of memory allowed beside that.
const SLACK_BYTES: usize = 16 << 10;
/// Version 12, and no checksum: a fuzzer would not find one.
const FOOTER: [u8; 10] = [12, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An input is a type and a value. `grown` tells how far memory rose above its level at the start, the copy of the
/// input included (0 when nobody counts).
pub fn check(input: &[u8], mut grown: impl FnMut() -> usize) {
    let dump = [input, &FOOTER].concat();
    let restored = restore(&dump, &LIMITS);
    let grown = grown();
    let bound = LIMITS.memory_bytes * LIMIT_FACTOR + dump.len() + SLACK_BYTES;
    assert!(grown <= bound, "{grown} bytes allocated for {}", input.escape_ascii());
    let Ok(value) = restored else { return };
    let again = restore(&value.dump(), &Limits { memory_bytes: usize::MAX, checksum: Checksum::Required });
    assert_eq!(again.map(comparable), Ok(comparable(value)), "{}", input.escape_ascii());
}

/// The value in an order that does not depend on its encoding. A list's own is kept.
pub fn comparable(mut value: Value) -> Value {
    match &mut value {
        Value::String(_) | Value::List(_) => {}
        Value::Set(members) => members.sort(),
        Value::Hash(fields) => fields.sort(),
        Value::Zset(members) => members.sort_by(|(left, _), (right, _)| left.cmp(right)),
    }
    value
}
