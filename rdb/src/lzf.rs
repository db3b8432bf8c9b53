//! LZF, the compression of Redis's strings; only the way back.
//!
//! ```text
//! 000LLLLL                        L+1 bytes follow as they are
//! LLLooooo oooooooo               L+2 bytes (L = 1..6) again, from o+1 bytes before
//! 111ooooo LLLLLLLL oooooooo      L+9 bytes again, from o+1 bytes before
//! ```
//!
//! The crate of this name is deprecated by its author; what is needed of it is this page.

use crate::Error;
use crate::reader::Reader;

/// The most bytes that one compressed byte stands for: three say at best "264 bytes again".
const EXPANSION_MAX: usize = 88;

const BROKEN: Error = Error::BadFormat("broken compressed string");

/// The `length` bytes that were compressed.
pub(crate) fn decompress(compressed: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    if length > compressed.len().saturating_mul(EXPANSION_MAX) {
        return Err(BROKEN);
    }
    let mut plain = Vec::with_capacity(length);
    let mut reader = Reader::new(compressed);
    while !reader.is_empty() {
        let control = reader.byte()?;
        if control < 0x20 {
            let literal = reader.take(usize::from(control) + 1)?;
            room(&plain, literal.len(), length)?;
            plain.extend_from_slice(literal);
        } else {
            let mut count = usize::from(control >> 5) + 2;
            if control >= 0xe0 {
                count += usize::from(reader.byte()?);
            }
            let distance = usize::from(u16::from_be_bytes([control & 0x1f, reader.byte()?])) + 1;
            let start = plain.len().checked_sub(distance).ok_or(BROKEN)?;
            room(&plain, count, length)?;
            repeat(&mut plain, start, count);
        }
    }
    if plain.len() == length { Ok(plain) } else { Err(BROKEN) }
}

/// The memory taken is all there is: nothing may be made of more.
fn room(plain: &[u8], count: usize, length: usize) -> Result<(), Error> {
    if count <= length - plain.len() { Ok(()) } else { Err(BROKEN) }
}

/// Appends the `count` bytes that begin at `start`, which may be more than there are: then they repeat.
fn repeat(plain: &mut Vec<u8>, start: usize, mut count: usize) {
    while count > 0 {
        let piece = count.min(plain.len() - start);
        plain.extend_from_within(start..start + piece);
        count -= piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repetitions() {
        assert_eq!(decompress(b"", 0), Ok(Vec::new()));
        assert_eq!(decompress(b"\x02abc", 3), Ok(b"abc".to_vec()));
        assert_eq!(decompress(b"\x02abc\x20\x02", 6), Ok(b"abcabc".to_vec()));
        // Longer than what is there to repeat.
        assert_eq!(decompress(b"\x01ab\xa0\x01", 9), Ok(b"ababababa".to_vec()));
        assert_eq!(decompress(b"\x00a\xe0\xff\x00", 265), Ok(vec![b'a'; 265]));
    }

    #[test]
    fn broken_bytes_are_refused() {
        for (compressed, length) in [
            (&b"\x02ab"[..], 3),
            (b"\x02abc", 2),
            (b"\x02abc", 4),
            // Before the beginning.
            (b"\x00a\x20\x01", 4),
            (b"\x20\x00", 3),
            // No offset, no long count.
            (b"\x00a\x20", 4),
            (b"\x00a\xe0", 4),
            // More than any bytes could stand for.
            (b"\x00a\x20\x00", 4 * EXPANSION_MAX + 1),
            (b"", usize::MAX),
        ] {
            assert!(decompress(compressed, length).is_err(), "{compressed:?} as {length}");
        }
    }
}
