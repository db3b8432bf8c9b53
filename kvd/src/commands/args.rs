//! Reading arguments: numbers as Redis reads them, and lists of options.

use super::error::{CommandError, NOT_INTEGER};

/// A 64-bit integer in its only spelling: no plus, no spaces, no leading zeros.
#[inline]
pub fn integer(bytes: &[u8]) -> Result<i64, CommandError> {
    parse_integer(bytes).ok_or(NOT_INTEGER)
}

/// As [`integer`], `None` for anything else.
#[inline]
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && (digits.len() > 1 || negative)) {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("01", None),
            ("-0", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1.0", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), value, "{text:?}");
        }
    }
}
