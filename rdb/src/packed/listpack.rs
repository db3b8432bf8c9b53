//! Listpack: the packed form since Redis 7. Integers are little-endian where not said otherwise.
//!
//! ```text
//! bytes in all (4) │ count (2; 65535: unknown) │ entries │ ff
//!
//! entry       head and data │ their size, readable from behind: 7 bits a byte, all but the first with the top bit set
//!
//! 0xxxxxxx    an integer from 0 to 127             11110000 + length (4) + bytes
//! 10xxxxxx    length, and bytes                    11110001 + integer (2)
//! 110xxxxx    an integer of 13 bits, big-endian    11110010 + integer (3)
//!  + 1 byte                                        11110011 + integer (4)
//! 1110xxxx    a length of 12 bits, big-endian,     11110100 + integer (8)
//!  + 1 byte   and bytes
//! ```

use crate::Error;
use crate::integer;
use crate::packed::Entry;
use crate::reader::Reader;

const BROKEN: Error = Error::BadFormat("broken listpack");
const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
/// The count of a listpack that has more entries than its header can say.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Below here the size of an entry takes 1, 2, 3 or 4 bytes, else 5. Some are one less than would fit: so does Redis.
const SIZE_STEPS: [usize; 4] = [128, 16_383, 2_097_151, 268_435_455];

/// The most bytes that an entry takes beside its data.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 10;

/// A listpack being written.
pub(crate) struct Listpack {
    bytes: Vec<u8>,
    count: usize,
}

impl Listpack {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut listpack = Self { bytes: Vec::with_capacity(bytes + HEADER_BYTES + 1), count: 0 };
        listpack.clear();
        listpack
    }

    /// Forgets the entries and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an element, as an integer when it is one.
    pub(crate) fn push(&mut self, element: &[u8]) {
        let start = self.bytes.len();
        match integer::exact(element) {
            Some(number) => self.push_integer(number),
            None => self.push_bytes(element),
        }
        self.push_size(self.bytes.len() - start);
        self.count += 1;
    }

    /// The bytes of the whole. They can be written once, until the next `clear`.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.bytes.push(END);
        let total = self.bytes.len() as u32;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        self.bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        &self.bytes
    }

    fn push_integer(&mut self, number: i64) {
        let word = number.to_le_bytes();
        let (head, width) = match number {
            0..=127 => (word[0], 0),
            -4096..=4095 => (0xc0 | word[1] & 0x1f, 1),
            -0x8000..=0x7fff => (0xf1, 2),
            -0x80_0000..=0x7f_ffff => (0xf2, 3),
            -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
            _ => (0xf4, 8),
        };
        self.bytes.push(head);
        self.bytes.extend_from_slice(&word[..width]);
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        match length {
            ..0x40 => self.bytes.push(0x80 | length as u8),
            0x40..0x1000 => self.bytes.extend_from_slice(&(0xe000 | length as u16).to_be_bytes()),
            _ => {
                self.bytes.push(0xf0);
                self.bytes.extend_from_slice(&(length as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn push_size(&mut self, size: usize) {
        self.bytes.extend(size_field(size));
    }
}

/// The entries of a listpack.
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    /// What the header says.
    count: u16,
    seen: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(listpack: &'a [u8]) -> Result<Self, Error> {
        let (end, rest) = listpack.split_last().ok_or(BROKEN)?;
        let mut reader = Reader::new(rest);
        let total = u32::from_le_bytes(reader.array()?);
        let count = u16::from_le_bytes(reader.array()?);
        if *end != END || total as usize != listpack.len() {
            return Err(BROKEN);
        }
        Ok(Self { reader, count, seen: 0 })
    }

    fn entry(&mut self) -> Result<Entry<'a>, Error> {
        let before = self.reader.len();
        let entry = self.head_and_data()?;
        for byte in size_field(before - self.reader.len()) {
            if self.reader.byte()? != byte {
                return Err(BROKEN);
            }
        }
        self.seen += 1;
        Ok(entry)
    }

    fn head_and_data(&mut self) -> Result<Entry<'a>, Error> {
        let reader = &mut self.reader;
        let head = reader.byte()?;
        let length = match head {
            0x00..=0x7f => return Ok(Entry::Integer(i64::from(head))),
            0x80..=0xbf => usize::from(head & 0x3f),
            0xc0..=0xdf => {
                let word = u16::from_be_bytes([head << 3, 0]) | u16::from(reader.byte()?) << 3;
                // The sign stands at the top now: the shift brings it along.
                return Ok(Entry::Integer(i64::from(word as i16 >> 3)));
            }
            0xe0..=0xef => usize::from(u16::from_be_bytes([head & 0x0f, reader.byte()?])),
            0xf0 => u32::from_le_bytes(reader.array()?) as usize,
            0xf1 => return Ok(Entry::Integer(reader.signed::<2>()?)),
            0xf2 => return Ok(Entry::Integer(reader.signed::<3>()?)),
            0xf3 => return Ok(Entry::Integer(reader.signed::<4>()?)),
            0xf4 => return Ok(Entry::Integer(reader.signed::<8>()?)),
            0xf5.. => return Err(BROKEN),
        };
        Ok(Entry::Bytes(reader.take(length)?))
    }

    /// At the end: whether the header told the truth.
    fn end(&self) -> Option<Result<Entry<'a>, Error>> {
        let agrees = self.count == COUNT_UNKNOWN || usize::from(self.count) == self.seen;
        if agrees { None } else { Some(Err(BROKEN)) }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() { self.end() } else { Some(self.entry()) }
    }
}

/// The bytes of an entry's size.
fn size_field(size: usize) -> impl Iterator<Item = u8> {
    let last = SIZE_STEPS.iter().filter(|step| size >= **step).count();
    (0..=last).rev().map(move |group| {
        let bits = (size >> (7 * group)) as u8 & 0x7f;
        // Read from behind, only the first byte says that there is no more.
        if group == last { bits } else { bits | 0x80 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(elements: &[&[u8]]) -> Vec<u8> {
        let mut listpack = Listpack::with_capacity(0);
        for element in elements {
            listpack.push(element);
        }
        listpack.finish().to_vec()
    }

    #[test]
    fn integers_of_every_width() {
        let edges = [0, 127, 128, 4095, 4096, 32_767, 32_768, 8_388_607, 8_388_608, 2_147_483_647, 2_147_483_648];
        let numbers: Vec<i64> = edges.iter().flat_map(|edge| [*edge, -edge, -edge - 1]).chain([i64::MIN]).collect();
        for number in numbers {
            let listpack = encode(&[number.to_string().as_bytes()]);
            let entries: Vec<_> = Entries::new(&listpack).unwrap().collect();
            assert_eq!(entries, [Ok(Entry::Integer(number))]);
        }
    }

    #[test]
    fn bytes_of_every_length() {
        // Around each step of the length and of the size behind it.
        for length in [0, 1, 63, 64, 125, 126, 127, 4095, 4096, 16_377, 16_378, 16_379, 16_380, 2_097_145, 2_097_146] {
            let element = vec![b'x'; length];
            let listpack = encode(&[&element, b"after"]);
            let entries: Vec<_> = Entries::new(&listpack).unwrap().collect();
            assert_eq!(entries, [Ok(Entry::Bytes(&element)), Ok(Entry::Bytes(b"after"))]);
            assert!(listpack.len() <= 7 + 2 * ENTRY_OVERHEAD_BYTES + length + 5);
        }
    }

    #[test]
    fn every_changed_head_is_noticed() {
        let listpack = encode(&[b"some", b"12345"]);
        for position in [0, 1, 4, 5, 6, 11, listpack.len() - 2, listpack.len() - 1] {
            let mut changed = listpack.clone();
            changed[position] ^= 0x41;
            let entries = Entries::new(&changed).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
            assert!(entries.is_err(), "byte {position}");
        }
    }
}
