//! Reading arguments: numbers as Redis reads them, units of time, and words.

use resp::exact_integer;

use super::error::{CommandError, NOT_INTEGER};

/// A 64-bit integer in its only spelling: no plus, no spaces, no leading zeros.
#[inline]
pub fn integer(bytes: &[u8]) -> Result<i64, CommandError> {
    exact_integer(bytes).ok_or(NOT_INTEGER)
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
