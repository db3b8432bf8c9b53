//! A score as it lies in packed values, images and operations: most are small integers and take one byte.
//!
//! The first byte is the score, an integer up to 250; or it says what follows, little-endian: 251 an `i16`, 252 an
//! `i32`, 253 an `f32`, 254 an integer of 48 bits, 255 an `f64`. The first form that holds a score exactly is the only
//! one that is read where it matters: a value has one image.

const SMALL: u8 = 250;
const I16: u8 = 251;
const I32: u8 = 252;
const F32: u8 = 253;
const I48: u8 = 254;
const F64: u8 = 255;

/// The first byte of a score.
#[inline]
fn form(score: f64) -> u8 {
    let integer = score as i64;
    let is_integer = (integer as f64).to_bits() == score.to_bits();
    if is_integer && (0..=i64::from(SMALL)).contains(&integer) {
        integer as u8
    } else if is_integer && i16::try_from(integer).is_ok() {
        I16
    } else if is_integer && i32::try_from(integer).is_ok() {
        I32
    } else if f64::from(score as f32).to_bits() == score.to_bits() {
        F32
    } else if is_integer && integer << 16 >> 16 == integer {
        I48
    } else {
        F64
    }
}

/// Bytes of a score.
#[inline]
pub(super) fn score_bytes(score: f64) -> usize {
    match form(score) {
        0..=SMALL => 1,
        I16 => 3,
        I32 | F32 => 5,
        I48 => 7,
        F64 => 9,
    }
}

/// Writes a score.
#[inline]
pub(super) fn push_score(into: &mut Vec<u8>, score: f64) {
    let form = form(score);
    into.push(form);
    match form {
        0..=SMALL => {}
        I16 => into.extend_from_slice(&(score as i16).to_le_bytes()),
        I32 => into.extend_from_slice(&(score as i32).to_le_bytes()),
        F32 => into.extend_from_slice(&(score as f32).to_le_bytes()),
        I48 => into.extend_from_slice(&(score as i64).to_le_bytes()[..6]),
        F64 => into.extend_from_slice(&score.to_le_bytes()),
    }
}

/// The first score, in whatever form, and what comes after it. `None` when it is not all there.
#[inline]
pub(super) fn read_score(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    Some(match first {
        0..=SMALL => (f64::from(first), rest),
        I16 => rest.split_first_chunk().map(|(score, rest)| (f64::from(i16::from_le_bytes(*score)), rest))?,
        I32 => rest.split_first_chunk().map(|(score, rest)| (f64::from(i32::from_le_bytes(*score)), rest))?,
        F32 => rest.split_first_chunk().map(|(score, rest)| (f64::from(f32::from_le_bytes(*score)), rest))?,
        I48 => {
            let (low, rest) = rest.split_first_chunk::<6>()?;
            let mut number = [0; 8];
            number[2..].copy_from_slice(low);
            ((i64::from_le_bytes(number) >> 16) as f64, rest)
        }
        F64 => rest.split_first_chunk().map(|(score, rest)| (f64::from_le_bytes(*score), rest))?,
    })
}

/// The same, of bytes that may be anything: the score is a number, in its one form.
#[inline]
pub(super) fn check_score(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let (score, rest) = read_score(bytes)?;
    (!score.is_nan() && bytes.first() == Some(&form(score))).then_some((score, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::place::cases;

    fn written(score: f64) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_score(&mut bytes, score);
        bytes
    }

    #[test]
    fn every_form_is_as_long_as_it_says_and_is_read_back() {
        let scores = [
            (0.0, 1),
            (250.0, 1),
            (251.0, 3),
            (-1.0, 3),
            (-32_768.0, 3),
            (32_768.0, 5),
            (-2_147_483_648.0, 5),
            (0.5, 5),
            (-0.0, 5),
            (f64::INFINITY, 5),
            (f64::NEG_INFINITY, 5),
            (2_147_483_648.0, 5),
            (2_147_483_649.0, 7),
            (1_795_000_000_123.0, 7),
            (-140_737_488_355_327.0, 7),
            (140_737_488_355_329.0, 9),
            (0.1, 9),
            (f64::MIN_POSITIVE, 9),
        ];
        for (score, bytes) in scores {
            let written = written(score);
            assert_eq!((written.len(), score_bytes(score)), (bytes, bytes), "{score}");
            let (read, rest) = check_score(&written).unwrap();
            assert_eq!((read.to_bits(), rest.len()), (score.to_bits(), 0));
            assert_eq!(read_score(&written[..bytes - 1]), None);
        }
    }

    #[test]
    fn no_score_and_longer_forms_are_refused() {
        assert_eq!(check_score(&written(f64::NAN)), None);
        for longer in [&[I16, 1, 0][..], &[I32, 1, 0, 0, 0], &[I48, 1, 0, 0, 0, 0, 0], &[F64, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(read_score(longer).is_some() && check_score(longer).is_none(), "{longer:?}");
        }
        assert_eq!(check_score(&[[F32].as_slice(), &1f32.to_le_bytes()].concat()), None);
    }

    proptest! {
        #![proptest_config(cases(5000))]

        #[test]
        fn hostile_bytes_are_refused_or_written_alike(bytes in prop::collection::vec(any::<u8>(), 0..10), first in 245u8..) {
            let bytes = [&[first], &bytes[..]].concat();
            if let Some((score, rest)) = check_score(&bytes) {
                prop_assert_eq!(&bytes[..bytes.len() - rest.len()], &written(score)[..]);
            }
        }

        #[test]
        fn any_number_is_read_back(bits in any::<u64>(), integer in any::<i64>(), shift in 0u32..64) {
            for score in [f64::from_bits(bits), (integer >> shift) as f64, f64::from(f64::from_bits(bits) as f32)] {
                if !score.is_nan() {
                    let read = written(score);
                    prop_assert_eq!(check_score(&read).map(|(score, rest)| (score.to_bits(), rest.len())), Some((score.to_bits(), 0)));
                    prop_assert_eq!(read.len(), score_bytes(score));
                }
            }
        }
    }
}
