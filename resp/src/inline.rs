//! A line typed by a person, split as `sdssplitargs` of Redis does: inline requests, and the lines of redis.conf.
//!
//! Arguments are separated by blanks. `"…"` knows `\n \r \t \b \a \xHH` and takes any other escaped byte as itself;
//! `'…'` knows only `\'`. A closing quote must be followed by a blank or the end of the line.

use crate::error::RequestError;
use crate::request::ArgumentRange;

/// The words of a line, without their quotes.
///
/// # Errors
///
/// A quote is not closed, or something follows a closing quote.
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, RequestError> {
    let (mut unescaped, mut ranges) = (Vec::new(), Vec::new());
    split_arguments(line, 0, &mut unescaped, &mut ranges)?;
    Ok(ranges.iter().map(|range| range.of(line, &unescaped).to_vec()).collect())
}

/// Splits `line`, which lies `base` bytes behind the front of the buffer, into `ranges`. An argument without quotes is
/// a range of the line; one with quotes is written to `unescaped`.
pub(crate) fn split_arguments(
    line: &[u8],
    base: usize,
    unescaped: &mut Vec<u8>,
    ranges: &mut Vec<ArgumentRange>,
) -> Result<(), RequestError> {
    let mut position = 0;
    while let Some(blanks) = line[position..].iter().position(|byte| !is_blank(*byte)) {
        let start = position + blanks;
        let plain = line[start..].iter().position(|byte| ends_plain_text(*byte)).unwrap_or(line.len() - start);
        let end = start + plain;
        if matches!(line.get(end), Some(b'"' | b'\'')) {
            let unescaped_start = unescaped.len();
            position = start + quoted_argument(&line[start..], unescaped)?;
            ranges.push(ArgumentRange::unescaped(unescaped_start, unescaped.len()));
        } else {
            position = end;
            ranges.push(ArgumentRange::received(base + start, base + end));
        }
    }
    Ok(())
}

/// Unescapes the argument at the front of `input`; the number of bytes it took.
fn quoted_argument(input: &[u8], out: &mut Vec<u8>) -> Result<usize, RequestError> {
    let mut position = 0;
    loop {
        match input.get(position) {
            None | Some(b' ' | b'\n' | b'\r' | b'\t') => return Ok(position),
            Some(b'"') => return closed(input, double_quoted(input, position + 1, out)?),
            Some(b'\'') => return closed(input, single_quoted(input, position + 1, out)?),
            Some(byte) => out.push(*byte),
        }
        position += 1;
    }
}

/// `position` if a closing quote may stand before it.
fn closed(input: &[u8], position: usize) -> Result<usize, RequestError> {
    match input.get(position) {
        Some(byte) if !is_blank(*byte) => Err(RequestError::UnbalancedQuotes),
        _ => Ok(position),
    }
}

/// Unescapes up to the closing `"`; the position behind it.
fn double_quoted(input: &[u8], mut position: usize, out: &mut Vec<u8>) -> Result<usize, RequestError> {
    loop {
        match &input[position..] {
            [] => return Err(RequestError::UnbalancedQuotes),
            [b'"', ..] => return Ok(position + 1),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex_value(*high) << 4 | hex_value(*low));
                position += 4;
            }
            [b'\\', escaped, ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                position += 2;
            }
            [byte, ..] => {
                out.push(*byte);
                position += 1;
            }
        }
    }
}

/// Unescapes up to the closing `'`; the position behind it.
fn single_quoted(input: &[u8], mut position: usize, out: &mut Vec<u8>) -> Result<usize, RequestError> {
    loop {
        match &input[position..] {
            [] => return Err(RequestError::UnbalancedQuotes),
            [b'\'', ..] => return Ok(position + 1),
            [b'\\', b'\'', ..] => {
                out.push(b'\'');
                position += 2;
            }
            [byte, ..] => {
                out.push(*byte);
                position += 1;
            }
        }
    }
}

/// C's `isspace`: what separates arguments and may follow a closing quote.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// What ends a stretch without quotes. As in Redis, a vertical tab or form feed inside an argument does not.
fn ends_plain_text(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'\'')
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
