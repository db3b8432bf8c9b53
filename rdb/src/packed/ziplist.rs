//! Ziplist: the packed form until Redis 7. Integers are little-endian where not said otherwise.
//!
//! ```text
//! bytes in all (4) │ offset of the last entry (4) │ count (2; 65535: unknown) │ entries │ ff
//!
//! entry       size of the entry before (1 byte, or fe and 4) │ head │ data
//!
//! 00xxxxxx             length, and bytes           11000000 + integer (2)    11110000 + integer (3)
//! 01xxxxxx + 1 byte    length, big-endian, and     11010000 + integer (4)    11111110 + integer (1)
//! 10xxxxxx + 4 bytes   bytes (x not used here)     11100000 + integer (8)    1111xxxx   the integer x-1, x = 1..13
//! ```

use crate::Error;
use crate::packed::Entry;
use crate::reader::Reader;

const BROKEN: Error = Error::BadFormat("broken ziplist");
const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Says that the size of the entry before takes 4 bytes more.
const LONG_SIZE: u8 = 0xfe;

/// The entries of a ziplist.
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    /// What the header says.
    count: u16,
    last_offset: usize,
    seen: usize,
    offset: usize,
    previous_size: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(ziplist: &'a [u8]) -> Result<Self, Error> {
        let (end, rest) = ziplist.split_last().ok_or(BROKEN)?;
        let mut reader = Reader::new(rest);
        let total = u32::from_le_bytes(reader.array()?);
        let last_offset = u32::from_le_bytes(reader.array()?) as usize;
        let count = u16::from_le_bytes(reader.array()?);
        if *end != END || total as usize != ziplist.len() || last_offset >= ziplist.len() {
            return Err(BROKEN);
        }
        Ok(Self { reader, count, last_offset, seen: 0, offset: HEADER_BYTES, previous_size: 0 })
    }

    fn entry(&mut self) -> Result<Entry<'a>, Error> {
        let before = self.reader.len();
        let previous_size = match self.reader.byte()? {
            END => return Err(BROKEN),
            LONG_SIZE => u32::from_le_bytes(self.reader.array()?) as usize,
            size => usize::from(size),
        };
        if previous_size != self.previous_size {
            return Err(BROKEN);
        }
        let entry = self.head_and_data()?;
        self.offset += self.previous_size;
        self.previous_size = before - self.reader.len();
        self.seen += 1;
        Ok(entry)
    }

    fn head_and_data(&mut self) -> Result<Entry<'a>, Error> {
        let reader = &mut self.reader;
        let head = reader.byte()?;
        let length = match head {
            0x00..=0x3f => usize::from(head),
            0x40..=0x7f => usize::from(u16::from_be_bytes([head & 0x3f, reader.byte()?])),
            0x80..=0xbf => u32::from_be_bytes(reader.array()?) as usize,
            0xc0 => return Ok(Entry::Integer(reader.signed::<2>()?)),
            0xd0 => return Ok(Entry::Integer(reader.signed::<4>()?)),
            0xe0 => return Ok(Entry::Integer(reader.signed::<8>()?)),
            0xf0 => return Ok(Entry::Integer(reader.signed::<3>()?)),
            0xfe => return Ok(Entry::Integer(reader.signed::<1>()?)),
            0xf1..=0xfd => return Ok(Entry::Integer(i64::from(head & 0x0f) - 1)),
            _ => return Err(BROKEN),
        };
        Ok(Entry::Bytes(reader.take(length)?))
    }

    /// At the end: whether the header told the truth. Where the "last" of no entries lies is not asked: nor does Redis.
    fn end(&self) -> Option<Result<Entry<'a>, Error>> {
        let agrees = (self.count == COUNT_UNKNOWN || usize::from(self.count) == self.seen)
            && (self.seen == 0 || self.last_offset == self.offset);
        if agrees { None } else { Some(Err(BROKEN)) }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() { self.end() } else { Some(self.entry()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Redis's `ziplist.c`: "2" and "5".
    const EXAMPLE: &[u8] = b"\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf3\x02\xf6\xff";

    #[test]
    fn the_example_of_redis() {
        let entries: Vec<_> = Entries::new(EXAMPLE).unwrap().collect();
        assert_eq!(entries, [Ok(Entry::Integer(2)), Ok(Entry::Integer(5))]);
    }

    #[test]
    fn every_changed_head_is_noticed() {
        for position in [0, 1, 4, 8, 9, 10, 12, 14] {
            let mut changed = EXAMPLE.to_vec();
            changed[position] ^= 0x41;
            let entries = Entries::new(&changed).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
            assert!(entries.is_err(), "byte {position}");
        }
    }
}
