//! Integers in text: a string is stored as a number only when that number prints as the same string.

/// Bytes of the longest integer, `-9223372036854775808`.
const LONGEST_BYTES: usize = 20;

/// The number that `text` spells exactly as Redis would print it.
pub(crate) fn exact(text: &[u8]) -> Option<i64> {
    if text.len() > LONGEST_BYTES || !matches!(text.first(), Some(b'-' | b'0'..=b'9')) {
        return None;
    }
    let number = str::from_utf8(text).ok()?.parse().ok()?;
    // Refuses `-0` and leading zeros.
    (itoa::Buffer::new().format(number).as_bytes() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("01", None),
            ("-0", None),
            ("+1", None),
            ("1 ", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(exact(text.as_bytes()), number, "{text:?}");
        }
    }
}
