//! Reading arguments: numbers as Redis reads them, units of time, and words.

use std::ops::Range;

use resp::{Request, exact_integer};

use super::error::{CommandError, FLOAT_TIMEOUT, NEGATIVE_TIMEOUT, NOT_INT, NOT_INTEGER, TIMEOUT_RANGE};
use super::long_double::LongDouble;

/// A 64-bit integer in its only spelling: no plus, no spaces, no leading zeros.
#[inline]
pub fn integer(bytes: &[u8]) -> Result<i64, CommandError> {
    exact_integer(bytes).ok_or(NOT_INTEGER)
}

/// The elements from one index to another of something that has so many, where negative indexes count from the end.
/// `0..0` when there are none.
pub fn index_range(start: i64, stop: i64, length: usize) -> Range<usize> {
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { index + length } else { index };
    let (start, stop) = (from_front(start).max(0), from_front(stop).min(length - 1));
    if start <= stop { start as usize..stop as usize + 1 } else { 0..0 }
}

/// Whether the indexes behind the key of a request may be far from each other. With options they may be no indexes.
pub fn is_long_range(request: &Request<'_>) -> bool {
    const LONG: i64 = 20_000;
    let index = |at| request.get(at).and_then(exact_integer);
    let (Some(start), Some(stop)) = (index(2), index(3)) else { return false };
    let is_long = (start < 0) != (stop < 0) || stop.saturating_sub(start) > LONG;
    is_long && request.len() <= 5
}

/// A time to wait as seconds with a fraction, in milliseconds; 0 is for ever.
pub fn timeout_ms(argument: &[u8], now_ms: u64) -> Result<u64, CommandError> {
    const END_OF_TIME: f64 = i64::MAX as f64;
    let ms = (LongDouble::parse(argument).ok_or(FLOAT_TIMEOUT)?.to_f64() * 1000.0).ceil();
    match ms {
        ms if ms < 0.0 => Err(NEGATIVE_TIMEOUT),
        ms if ms >= END_OF_TIME - now_ms as f64 => Err(TIMEOUT_RANGE),
        ms => Ok(ms as u64),
    }
}

/// An integer of 32 bits.
pub fn int(bytes: &[u8]) -> Result<i32, CommandError> {
    i32::try_from(integer(bytes)?).map_err(|_| NOT_INT)
}

/// How an option such as EX gives a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeUnit {
    /// Milliseconds in one.
    pub ms: i64,
    /// Counted from now, not from the epoch.
    pub relative: bool,
}

impl TimeUnit {
    /// `EX`
    pub const SECONDS: TimeUnit = TimeUnit { ms: 1000, relative: true };
    /// `PX`
    pub const MILLISECONDS: TimeUnit = TimeUnit { ms: 1, relative: true };
    /// `EXAT`
    pub const UNIX_SECONDS: TimeUnit = TimeUnit { ms: 1000, relative: false };
    /// `PXAT`
    pub const UNIX_MILLISECONDS: TimeUnit = TimeUnit { ms: 1, relative: false };

    /// The unit an option names.
    pub fn option(argument: &[u8]) -> Option<TimeUnit> {
        [
            ("EX", TimeUnit::SECONDS),
            ("PX", TimeUnit::MILLISECONDS),
            ("EXAT", TimeUnit::UNIX_SECONDS),
            ("PXAT", TimeUnit::UNIX_MILLISECONDS),
        ]
        .into_iter()
        .find_map(|(word, unit)| is(argument, word).then_some(unit))
    }

    /// So many of this unit as milliseconds since the epoch, unless the number grows too large. May be in the past.
    pub fn deadline(self, count: i64, now_ms: u64) -> Option<i64> {
        let base = if self.relative { i64::try_from(now_ms).ok()? } else { 0 };
        count.checked_mul(self.ms)?.checked_add(base)
    }
}

/// Whether an argument is this word, whatever its case.
#[inline]
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}
