//! Every value names its writer, so that whatever is found after a crash can be traced and checked.
//!
//! ```text
//! long    vrun.client.seq.key.length.checksum|filler…     checksum: CRC-32C of everything but itself
//! short   uclient.seq.checksum~~~                          for values too small for the long form
//! piece   client.seq.checksum;                             what APPEND adds; a value is a row of them
//! element erun.client.seq.index.checksum~~~                of a collection; one command may add several
//! ```
//! All numbers are hexadecimal. The first letter keeps a cut value from reading like a counter. The filler is binary: it holds CR, LF and NUL like any user's data.

use crate::random::Random;

/// Who wrote a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// Which store's life.
    pub run: u32,
    /// Which client.
    pub client: u16,
    /// Which of its commands.
    pub seq: u64,
}

/// Length and CRC-32C: what a value is compared by. Megabytes are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Bytes.
    pub length: u64,
    /// CRC-32C of them.
    pub crc: u32,
}

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, crc: crc32c::crc32c(bytes) }
    }

    /// With more bytes behind.
    pub fn append(self, bytes: &[u8]) -> Self {
        Self { length: self.length + bytes.len() as u64, crc: crc32c::crc32c_append(self.crc, bytes) }
    }
}

/// What a value says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Whole, by this client's command.
    By {
        /// The client.
        client: u16,
        /// Its command.
        seq: u64,
    },
    /// A decimal number: a counter.
    Number(i64),
    /// A row of APPEND's pieces.
    Pieces,
    /// None of these: cut, mixed or made up.
    Torn,
}

/// The value of `writer` for `key`: `length` bytes, or a few more where its name needs them.
pub fn make(writer: &Writer, key: &str, length: usize) -> Vec<u8> {
    let head = format!("v{:x}.{:x}.{:x}.{key}.{length:x}.", writer.run, writer.client, writer.seq);
    if head.len() + 9 > length {
        return make_short(writer, length);
    }
    let mut filler = vec![0; length - head.len() - 9];
    let mut random = Random::new(writer.seq ^ (u64::from(writer.client) << 48));
    for chunk in filler.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(head.as_bytes()), &filler);
    let mut value = head.into_bytes();
    value.extend_from_slice(format!("{crc:08x}|").as_bytes());
    value.extend_from_slice(&filler);
    value
}

fn make_short(writer: &Writer, length: usize) -> Vec<u8> {
    let name = format!("u{:x}.{:x}.", writer.client, writer.seq);
    let length = length.max(name.len() + 4);
    let crc = short_crc(&name, length);
    let mut value = format!("{name}{crc:04x}").into_bytes();
    value.resize(length, b'~');
    value
}

/// The `index`-th element that this command adds to a collection: `length` bytes, or a few more for its name.
pub fn element(writer: &Writer, index: u16, length: usize) -> Vec<u8> {
    let name = format!("e{:x}.{:x}.{:x}.{index:x}.", writer.run, writer.client, writer.seq);
    let length = length.max(name.len() + 4);
    let mut value = format!("{name}{:04x}", short_crc(&name, length)).into_bytes();
    value.resize(length, b'~');
    value
}

fn short_crc(name: &str, length: usize) -> u16 {
    crc32c::crc32c(format!("{name}{length}").as_bytes()) as u16
}

/// The piece that this command appends.
pub fn piece(client: u16, seq: u64) -> Vec<u8> {
    let name = format!("{client:x}.{seq:x}.");
    format!("{name}{:04x};", short_crc(&name, 0)).into_bytes()
}

/// Reads a value's own words.
pub fn read(bytes: &[u8]) -> Reading {
    let text = std::str::from_utf8(bytes).ok();
    if let Some(number) = text.and_then(|text| text.parse().ok()) {
        return Reading::Number(number);
    }
    if bytes.ends_with(b";") && pieces(bytes).is_some() {
        return Reading::Pieces;
    }
    read_long(bytes).or_else(|| text.and_then(read_short)).unwrap_or(Reading::Torn)
}

fn read_long(bytes: &[u8]) -> Option<Reading> {
    let bar = bytes.iter().take(96).position(|&byte| byte == b'|')?;
    let label = std::str::from_utf8(&bytes[..bar]).ok().filter(|label| label.starts_with('v'))?;
    let (head, crc) = label.split_at_checked(label.len().checked_sub(8)?)?;
    let mut words = head.split('.');
    let (_run, client, seq) = (words.next()?, hex(words.next()?)?, hex(words.next()?)?);
    let (_key, length) = (words.next()?, hex(words.next()?)?);
    let sum = crc32c::crc32c_append(crc32c::crc32c(head.as_bytes()), &bytes[bar + 1..]);
    let whole = length == bytes.len() as u64 && hex(crc)? == u64::from(sum);
    whole.then_some(Reading::By { client: u16::try_from(client).ok()?, seq })
}

fn read_short(text: &str) -> Option<Reading> {
    let (name, crc) = text.trim_end_matches('~').rsplit_once('.')?;
    let (client, seq) = match name.strip_prefix('u') {
        Some(name) => name.split_once('.')?,
        None => {
            let mut words = name.strip_prefix('e')?.split('.');
            let (_run, client, seq) = (words.next()?, words.next()?, words.next()?);
            (client, seq)
        }
    };
    let whole = hex(crc)? == u64::from(short_crc(&format!("{name}."), text.len()));
    whole.then_some(Reading::By { client: u16::try_from(hex(client)?).ok()?, seq: hex(seq)? })
}

/// The pieces of an appended value in order, or nothing when a byte of it is no piece.
pub fn pieces(bytes: &[u8]) -> Option<Vec<(u16, u64)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut found = Vec::new();
    for word in text.split_inclusive(';') {
        let (name, crc) = word.strip_suffix(';')?.rsplit_once('.')?;
        let (client, seq) = name.split_once('.')?;
        if hex(crc)? != u64::from(short_crc(&format!("{name}."), 0)) {
            return None;
        }
        found.push((u16::try_from(hex(client)?).ok()?, hex(seq)?));
    }
    Some(found)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: Writer = Writer { run: 3, client: 12, seq: 0xabcd };

    #[test]
    fn a_value_names_its_writer() {
        for length in [1, 10, 11, 16, 40, 41, 200, 65_536] {
            let value = make(&WRITER, "s7", length);
            assert!(value.len() == length || length < 16, "{length}");
            assert_eq!(read(&value), Reading::By { client: 12, seq: 0xabcd }, "{length}");
        }
    }

    #[test]
    fn a_torn_value_is_seen() {
        for length in [10, 20, 60, 500] {
            let whole = make(&WRITER, "s7", length);
            for cut in 0..whole.len() {
                assert_eq!(read(&whole[..cut]), Reading::Torn, "{cut} of {length}");
            }
            for at in 0..whole.len() {
                let mut value = whole.clone();
                value[at] ^= 1;
                assert_ne!(read(&value), Reading::By { client: 12, seq: 0xabcd }, "byte {at} of {length}");
            }
            let mut zeroed = whole.clone();
            zeroed[length / 2..].fill(0);
            assert_eq!(read(&zeroed), Reading::Torn);
        }
    }

    #[test]
    fn an_element_names_its_writer() {
        for length in [0, 30, 1000] {
            let whole = element(&WRITER, 7, length);
            assert_eq!(read(&whole), Reading::By { client: 12, seq: 0xabcd });
            assert!((0..whole.len()).all(|cut| read(&whole[..cut]) == Reading::Torn));
        }
        assert_ne!(element(&WRITER, 1, 0), element(&WRITER, 2, 0));
    }

    #[test]
    fn pieces_are_told_apart() {
        let row = [piece(1, 5), piece(2, 9), piece(1, 6)].concat();
        assert_eq!(pieces(&row).unwrap(), [(1, 5), (2, 9), (1, 6)]);
        assert_eq!(read(&row), Reading::Pieces);
        assert_eq!(pieces(&row[1..]), None);
        assert_eq!(pieces(&row[..row.len() - 1]), None);
    }

    #[test]
    fn a_digest_grows_like_its_value() {
        assert_eq!(Digest::of(b"ab").append(b"cd"), Digest::of(b"abcd"));
    }
}
