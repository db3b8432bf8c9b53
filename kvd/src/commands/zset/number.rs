//! Scores and other numbers as arguments: what C's `strtod` reads.

/// A number that a double can hold, infinity included. What is too large for one, or too small, is none.
pub(in crate::commands) fn number(text: &[u8]) -> Option<f64> {
    let value = read(text)?;
    let is_lost = match value {
        0.0 => digits(text).any(|digit| digit != b'0'),
        value => value.is_infinite() && digits(text).next().is_some(),
    };
    (!is_lost).then_some(value)
}

/// The same as the bound of a range: spaces before it count for nothing, and nothing at all is 0.
pub(super) fn bound(text: &[u8]) -> Option<f64> {
    match text.trim_ascii_start() {
        [] if text.is_empty() => Some(0.0),
        text => read(text),
    }
}

/// The digits before an exponent.
fn digits(text: &[u8]) -> impl Iterator<Item = u8> {
    let exponent = if is_hexadecimal(text) { b'p' } else { b'e' };
    text.iter().copied().take_while(move |byte| byte.to_ascii_lowercase() != exponent).filter(u8::is_ascii_digit)
}

fn read(text: &[u8]) -> Option<f64> {
    if is_hexadecimal(text) {
        return hexadecimal(text);
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

fn is_hexadecimal(text: &[u8]) -> bool {
    matches!(text, [b'+' | b'-', b'0', b'x' | b'X', ..] | [b'0', b'x' | b'X', ..])
}

/// `0x1.8p3`: digits of base 16, times a power of two.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let text = text.get(2..)?.to_ascii_lowercase();
    let (digits, exponent) = match text.iter().position(|&byte| byte == b'p') {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (&text[..], 0),
    };
    let (mut mantissa, mut power, mut any, mut behind_point) = (0u64, i64::from(exponent), false, false);
    for &byte in digits {
        if byte == b'.' && !behind_point {
            behind_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        any = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            power -= if behind_point { 4 } else { 0 };
        } else {
            // Below what a double holds: it only says that there is more.
            mantissa |= u64::from(digit != 0);
            power += if behind_point { 0 } else { 4 };
        }
    }
    let power = power.clamp(-4000, 4000) as i32;
    // Twice, since a power of its own may lie outside when the product does not.
    let value = mantissa as f64 * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
    any.then_some(if negative { -value } else { value })
}

/// A score as it is stored: 0 has no sign, as in Redis's packed sets.
pub(super) fn without_sign(score: f64) -> f64 {
    score + 0.0
}

/// A score as text.
pub(super) fn text(score: f64) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    resp::ReplyWriter::new(&mut out, resp::Version::Resp3).double(score);
    out[1..out.len() - 2].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_strtod_reads() {
        for (text, value) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            (".5", Some(0.5)),
            ("1.", Some(1.0)),
            ("+5", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0x1.8p3", Some(-12.0)),
            ("0e5", Some(0.0)),
            ("1e-310", Some(1e-310)),
            ("nan", None),
            ("1e400", None),
            ("1e-400", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("0x", None),
            ("1_0", None),
        ] {
            assert_eq!(number(text.as_bytes()), value, "{text:?}");
        }
        for (text, value) in [("", Some(0.0)), (" 1", Some(1.0)), ("1e400", Some(f64::INFINITY)), ("1 ", None)] {
            assert_eq!(bound(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn scores_are_the_shortest_text() {
        assert_eq!(&*text(0.1), b"0.1");
        assert_eq!(&*text(f64::INFINITY), b"inf");
    }
}
