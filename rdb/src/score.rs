//! Scores of sorted sets as text.

use crate::Error;

/// From here on the plain form would be longer than the exponent's: Redis reads no more than 127 bytes of a score.
const PLAIN_BELOW: f64 = 1e17;
/// Below here too.
const PLAIN_FROM: f64 = 1e-5;

/// The shortest text that reads as the same number.
pub(crate) fn text(score: f64) -> String {
    let magnitude = score.abs();
    let plain = magnitude == 0.0 || magnitude.is_infinite() || (PLAIN_FROM..PLAIN_BELOW).contains(&magnitude);
    if plain { format!("{score}") } else { format!("{score:e}") }
}

/// The number that a text spells. NaN is no score: it has no place in an order.
pub(crate) fn parse(text: &[u8]) -> Result<f64, Error> {
    let score = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    score.ok_or(Error::BadFormat("a score is not a number")).and_then(checked)
}

/// Refuses NaN.
pub(crate) fn checked(score: f64) -> Result<f64, Error> {
    if score.is_nan() { Err(Error::BadFormat("a score is not a number")) } else { Ok(score) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_survive_as_short_text() {
        for score in [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e17,
            99_999_999_999_999_980.0,
            1.2e300,
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            let text = text(score);
            assert!(text.len() < 32, "{text}");
            assert_eq!(parse(text.as_bytes()).unwrap().to_bits(), score.to_bits(), "{text}");
        }
        assert!(parse(b"nan").is_err() && parse(b"").is_err() && parse(b"1x").is_err());
    }
}
