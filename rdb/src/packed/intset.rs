//! Intset: a set of integers of one width, ascending. Integers are little-endian.
//!
//! ```text
//! width (4 bytes: 2, 4 or 8) │ count (4) │ integers
//! ```

use crate::Error;
use crate::packed::Entry;
use crate::reader::Reader;

const BROKEN: Error = Error::BadFormat("broken intset");
const HEADER_BYTES: usize = 8;

/// The entries of an intset.
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    width: u32,
    previous: Option<i64>,
}

/// Writes an intset. The integers ascend.
pub(crate) fn encode(integers: &[i64]) -> Vec<u8> {
    let width = integers.iter().map(|integer| width_of(*integer)).max().unwrap_or(2);
    let mut intset = Vec::with_capacity(HEADER_BYTES + integers.len() * width);
    intset.extend_from_slice(&(width as u32).to_le_bytes());
    intset.extend_from_slice(&(integers.len() as u32).to_le_bytes());
    for integer in integers {
        intset.extend_from_slice(&integer.to_le_bytes()[..width]);
    }
    intset
}

impl<'a> Entries<'a> {
    pub(crate) fn new(intset: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(intset);
        let width = u32::from_le_bytes(reader.array()?);
        let count = u32::from_le_bytes(reader.array()?);
        let bytes = u64::from(width) * u64::from(count);
        if !matches!(width, 2 | 4 | 8) || bytes != reader.len() as u64 {
            return Err(BROKEN);
        }
        Ok(Self { reader, width, previous: None })
    }

    fn entry(&mut self) -> Result<Entry<'a>, Error> {
        let integer = match self.width {
            2 => self.reader.signed::<2>()?,
            4 => self.reader.signed::<4>()?,
            _ => self.reader.signed::<8>()?,
        };
        // Redis searches by halves.
        if self.previous.is_some_and(|previous| previous >= integer) {
            return Err(BROKEN);
        }
        self.previous = Some(integer);
        Ok(Entry::Integer(integer))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() { None } else { Some(self.entry()) }
    }
}

fn width_of(integer: i64) -> usize {
    if i16::try_from(integer).is_ok() {
        2
    } else if i32::try_from(integer).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_integer_sets_the_width() {
        for (integers, width) in [
            (&[-32_768, 0, 32_767][..], 2),
            (&[-32_769, 0], 4),
            (&[0, i64::from(i32::MAX)], 4),
            (&[i64::MIN, 0, i64::MAX], 8),
        ] {
            let intset = encode(integers);
            assert_eq!(intset.len(), 8 + integers.len() * width);
            let entries: Result<Vec<_>, _> = Entries::new(&intset).unwrap().collect();
            assert_eq!(entries.unwrap(), integers.iter().copied().map(Entry::Integer).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_does_not_ascend_is_refused() {
        for integers in [[1, 1], [2, 1]] {
            assert!(Entries::new(&encode(&integers)).unwrap().any(|entry| entry.is_err()));
        }
        assert!(Entries::new(&encode(&[1])[..9]).is_err());
    }
}
