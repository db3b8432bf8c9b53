//! Zipmap: the packed form of hashes until Redis 2.6.
//!
//! ```text
//! count of fields (1; from 254 on: unknown) │ fields │ ff
//!
//! field       length, and name │ length of the value │ bytes unused behind it (1) │ value │ unused bytes
//! length      1 byte, or fe and 4, little-endian
//! ```

use crate::Error;
use crate::packed::Entry;
use crate::reader::Reader;

const BROKEN: Error = Error::BadFormat("broken zipmap");
const END: u8 = 0xff;
const COUNT_UNKNOWN: u8 = 0xfe;
const LONG_LENGTH: u8 = 0xfe;

/// The entries of a zipmap: names and values in turn.
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    /// What the header says.
    count: u8,
    names: usize,
    value_is_next: bool,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(zipmap: &'a [u8]) -> Result<Self, Error> {
        let (end, rest) = zipmap.split_last().ok_or(BROKEN)?;
        let mut reader = Reader::new(rest);
        let count = reader.byte()?;
        if *end == END { Ok(Self { reader, count, names: 0, value_is_next: false }) } else { Err(BROKEN) }
    }

    fn name(&mut self) -> Result<Entry<'a>, Error> {
        let length = self.length()?;
        self.names += 1;
        self.value_is_next = true;
        Ok(Entry::Bytes(self.reader.take(length)?))
    }

    fn value(&mut self) -> Result<Entry<'a>, Error> {
        let length = self.length()?;
        let unused = self.reader.byte()?;
        let value = self.reader.take(length)?;
        self.reader.take(usize::from(unused))?;
        self.value_is_next = false;
        Ok(Entry::Bytes(value))
    }

    fn length(&mut self) -> Result<usize, Error> {
        match self.reader.byte()? {
            END => Err(BROKEN),
            LONG_LENGTH => Ok(u32::from_le_bytes(self.reader.array()?) as usize),
            length => Ok(usize::from(length)),
        }
    }

    /// At the end: whether the header told the truth.
    fn end(&self) -> Option<Result<Entry<'a>, Error>> {
        let agrees = self.count >= COUNT_UNKNOWN || usize::from(self.count) == self.names;
        if agrees { None } else { Some(Err(BROKEN)) }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.value_is_next {
            Some(self.value())
        } else if self.reader.is_empty() {
            self.end()
        } else {
            Some(self.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_redis() {
        // `zipmap.c`: "foo" => "bar", "hello" => "world".
        let zipmap = b"\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff";
        let entries: Result<Vec<_>, _> = Entries::new(zipmap).unwrap().collect();
        assert_eq!(entries.unwrap(), [&b"foo"[..], b"bar", b"hello", b"world"].map(Entry::Bytes));
    }

    #[test]
    fn unused_bytes_are_skipped_and_long_lengths_read() {
        let name = [b'n'; 300];
        let zipmap = [&b"\x01\xfe\x2c\x01\0\0"[..], &name, b"\x02\x03ab???\xff"].concat();
        let entries: Result<Vec<_>, _> = Entries::new(&zipmap).unwrap().collect();
        assert_eq!(entries.unwrap(), [Entry::Bytes(&name), Entry::Bytes(b"ab")]);
    }

    #[test]
    fn a_name_without_value_is_refused() {
        assert!(Entries::new(b"\x01\x01a\xff").unwrap().any(|entry| entry.is_err()));
    }
}
