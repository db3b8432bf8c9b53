//! Elements: the few shapes RESP is made of, as nom streaming parsers.
//!
//! Each either takes its element from the front of the input, or says `Incomplete` and takes nothing. The short lengths
//! of ordinary requests are recognised by pattern before the general parser is asked: that is where the time goes.

use nom::bytes::streaming::{take, take_until};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::terminated;
use nom::{IResult, Needed, Parser};

/// What an element parser returns: the rest and the element, or why there is none.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Flaw>;

/// Why bytes are not the element that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The element begins with another byte.
    WrongType(u8),
    /// The text is not a number as Redis writes it.
    NotANumber,
    /// The line does not end in CR LF.
    LineEnd,
}

impl ParseError<&[u8]> for Flaw {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        input.first().map_or(Flaw::NotANumber, |byte| Flaw::WrongType(*byte))
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// `*<count>␍␊`, the head of a request.
#[inline]
pub(crate) fn count_header(input: &[u8]) -> Parsed<'_, i64> {
    header(b'*', input)
}

/// `$<length>␍␊`, the head of an argument.
#[inline]
pub(crate) fn bulk_header(input: &[u8]) -> Parsed<'_, i64> {
    header(b'$', input)
}

/// Text up to CR LF, strictly.
pub(crate) fn strict_line(input: &[u8]) -> Parsed<'_, &[u8]> {
    let Some(end) = memchr::memchr2(b'\r', b'\n', input) else { return incomplete() };
    match &input[end..] {
        [b'\r', b'\n', rest @ ..] => Ok((rest, &input[..end])),
        [b'\r'] => incomplete(),
        _ => Err(nom::Err::Failure(Flaw::LineEnd)),
    }
}

/// `length` bytes and CR LF, strictly.
pub(crate) fn strict_bulk(length: usize) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> {
    move |input| match input.get(length..) {
        None | Some([] | [b'\r']) => incomplete(),
        Some([b'\r', b'\n', rest @ ..]) => Ok((rest, &input[..length])),
        Some(_) => Err(nom::Err::Failure(Flaw::LineEnd)),
    }
}

/// The number that `text` spells exactly as Redis would print it: `string2ll`. No sign but `-`, no leading zero.
#[inline]
pub fn exact_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[inline(always)]
fn header(kind: u8, input: &[u8]) -> Parsed<'_, i64> {
    match input {
        [first, ones @ b'0'..=b'9', b'\r', _, rest @ ..] if *first == kind => Ok((rest, i64::from(ones - b'0'))),
        [first, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, rest @ ..] if *first == kind => {
            Ok((rest, i64::from(tens - b'0') * 10 + i64::from(ones - b'0')))
        }
        _ => long_header(kind, input),
    }
}

/// Any header. Redis looks for the whole line before it looks at the first byte, and skips the byte behind CR unread.
fn long_header(kind: u8, input: &[u8]) -> Parsed<'_, i64> {
    let (rest, line) = terminated(take_until(&b"\r"[..]), take(2_usize)).parse(input)?;
    match line.split_first() {
        // An empty line: what stands at the type's place is the line's own end.
        None => Err(nom::Err::Failure(Flaw::WrongType(b'\r'))),
        Some((first, _)) if *first != kind => Err(nom::Err::Failure(Flaw::WrongType(*first))),
        Some((_, digits)) => match exact_integer(digits) {
            Some(number) => Ok((rest, number)),
            None => Err(nom::Err::Failure(Flaw::NotANumber)),
        },
    }
}

fn incomplete<T>() -> Parsed<'static, T> {
    Err(nom::Err::Incomplete(Needed::Unknown))
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
            assert_eq!(exact_integer(text.as_bytes()), value, "{text:?}");
        }
    }
}
