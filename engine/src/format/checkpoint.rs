//! A checkpoint, `<dbfilename>-<number>.ckpt`: where the log holds every key's value, so that an opening need not read the
//! log from its beginning.
//!
//! ```text
//!   0  [u8; 8]   magic     "kvdckpt\n"
//!   8  u32       version   1
//!  12  u32       checksum  CRC-32C of bytes 16..128, then bytes 0..12, then the index
//!  16  [u8; 16]  store id
//!  32  u64       number    as in the file's name
//!  40  u64       start     LSN from which the log goes on: what the checkpoint does not hold is there
//!  48  u64       end       LSN below which the log must be durable for the checkpoint to count
//!  56  u64       time      the latest wall time anybody was told, in milliseconds
//!  64  u64       records   in all blocks
//!  72  u64       index     offset of the index, which is the end of the last block
//!  80  u32       blocks    how many there are
//!  84  u32       zero
//!  88  [u8; 16]  map       physical number of each logical database at the start
//! 104  zeros
//! 128  blocks: u32 checksum, u32 length of what follows, records
//!      index: for each block u64 offset, u16 first shard, u16 last shard, u32 zero
//! ```
//!
//! A block's checksum is the CRC-32C of what follows it, then of store id, number and the block's place among the blocks. A
//! record is about one key; numbers in it are written seven bits at a time, lowest first:
//!
//! ```text
//! u8 kind | 8 if there is a deadline, u8 type, u8 database, key length, key, LSN / 16, [u64 deadline], then by kind:
//!    0  length           the value lies in one frame, an image
//!    1  [u8; 20]         the same, but the value is in a blob: number, length, checksum
//!    2  length, value    the value itself, when it is short
//!    3  base LSN / 16    the frames of the key from there to the LSN make the value
//! ```
//!
//! The header is written last.

use super::blob::Reference;
use super::{StoreId, u32_at, u64_at};
use crate::mutant::planted;

/// Bytes before the first block.
pub const HEADER: usize = 128;
/// Bytes of a block before its records.
pub const BLOCK_HEADER: usize = 8;
/// A block is closed when it has so many bytes; long keys make a longer one.
pub const BLOCK: usize = 64 << 10;
/// Bytes of a block in the index.
pub const INDEX_ENTRY: usize = 16;
const MAGIC: &[u8; 8] = b"kvdckpt\n";
const VERSION: u32 = 1;
const DATABASES: usize = 16;

/// What stands at the front of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose it is.
    pub id: StoreId,
    /// Its number.
    pub number: u64,
    /// The log goes on from here.
    pub start: u64,
    /// The log must be durable to here.
    pub end: u64,
    /// The latest time anybody was told.
    pub newest_ms: u64,
    /// Records in all blocks.
    pub records: u64,
    /// Where the index is.
    pub index: u64,
    /// How many blocks there are.
    pub blocks: u32,
    /// Which physical database each logical one is.
    pub map: [u8; DATABASES],
}

impl Header {
    /// The bytes at the front of the file.
    #[must_use]
    pub fn encode(&self, index: &[u8]) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.0);
        let words = [self.number, self.start, self.end, self.newest_ms, self.records, self.index];
        for (at, word) in (32..).step_by(8).zip(words) {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes[80..84].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[88..104].copy_from_slice(&self.map);
        let sum = checksum(&bytes, index);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not one of this format. Its checksum is not looked at: that needs the index.
    #[must_use]
    pub fn parse(bytes: &[u8; HEADER]) -> Option<Header> {
        if &bytes[..8] != MAGIC || u32_at(bytes, 8) != VERSION {
            return None;
        }
        let (mut id, mut map) = ([0; 16], [0; DATABASES]);
        id.copy_from_slice(&bytes[16..32]);
        map.copy_from_slice(&bytes[88..104]);
        Some(Header {
            id: StoreId(id),
            number: u64_at(bytes, 32),
            start: u64_at(bytes, 40),
            end: u64_at(bytes, 48),
            newest_ms: u64_at(bytes, 56),
            records: u64_at(bytes, 64),
            index: u64_at(bytes, 72),
            blocks: u32_at(bytes, 80),
            map,
        })
    }
}

/// Whether a header and an index belong together and are whole.
#[must_use]
pub fn verify(header: &[u8; HEADER], index: &[u8]) -> bool {
    u32_at(header, 12) == checksum(header, index) || planted("checkpoint_crc_unchecked")
}

fn checksum(header: &[u8; HEADER], index: &[u8]) -> u32 {
    let front = crc32c::crc32c_append(crc32c::crc32c(&header[16..]), &header[..12]);
    crc32c::crc32c_append(front, index)
}

/// A block in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub offset: u64,
    /// The lowest shard of its keys.
    pub first_shard: u16,
    /// The highest.
    pub last_shard: u16,
}

impl Block {
    /// Its bytes in the index.
    #[must_use]
    pub fn encode(&self) -> [u8; INDEX_ENTRY] {
        let mut bytes = [0; INDEX_ENTRY];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.first_shard.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.last_shard.to_le_bytes());
        bytes
    }

    /// Reads one of the index.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Block {
        let shards = u32_at(bytes, 8);
        Block { offset: u64_at(bytes, 0), first_shard: shards as u16, last_shard: (shards >> 16) as u16 }
    }
}

/// The checksum of a block from its length on.
#[must_use]
pub fn block_checksum(bytes: &[u8], id: StoreId, number: u64, place: u32) -> u32 {
    let mut seed = [0; 28];
    seed[..16].copy_from_slice(&id.0);
    seed[16..24].copy_from_slice(&number.to_le_bytes());
    seed[24..].copy_from_slice(&place.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(bytes), &seed)
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In one frame, with so many bytes.
    Image(u32),
    /// In a file of its own.
    Blob(Reference),
    /// Here.
    Here(&'a [u8]),
    /// In the frames of the key from this one on.
    Frames(u64),
}

/// What a checkpoint says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Type of the value.
    pub value_type: u8,
    /// Physical database.
    pub database: u8,
    /// The key.
    pub key: &'a [u8],
    /// Where the log holds the last change.
    pub lsn: u64,
    /// When it is due to go.
    pub deadline: Option<u64>,
    /// Where its value is.
    pub place: Place<'a>,
}

const HAS_DEADLINE: u8 = 8;

impl<'a> Record<'a> {
    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self.place {
            Place::Image(_) => 0,
            Place::Blob(_) => 1,
            Place::Here(_) => 2,
            Place::Frames(_) => 3,
        };
        let flags = if self.deadline.is_some() { HAS_DEADLINE } else { 0 };
        out.extend_from_slice(&[kind | flags, self.value_type, self.database]);
        put_number(out, self.key.len() as u64);
        out.extend_from_slice(self.key);
        put_number(out, self.lsn / 16);
        out.extend(self.deadline.into_iter().flat_map(u64::to_le_bytes));
        match self.place {
            Place::Image(length) => put_number(out, u64::from(length)),
            Place::Blob(reference) => out.extend_from_slice(&reference.encode()),
            Place::Here(value) => {
                put_number(out, value.len() as u64);
                out.extend_from_slice(value);
            }
            Place::Frames(base) => put_number(out, base / 16),
        }
    }

    /// Takes a record from the front of `bytes`; `None` when none stands there.
    pub fn take(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
        let &[kind, value_type, database] = take(bytes, 3)? else { return None };
        let length = take_length(bytes)?;
        let key = take(bytes, length)?;
        let lsn = take_position(bytes)?;
        let deadline = match kind & HAS_DEADLINE {
            0 => None,
            _ => Some(u64_at(take(bytes, 8)?, 0)),
        };
        let place = match kind & !HAS_DEADLINE {
            0 => Place::Image(u32::try_from(take_number(bytes)?).ok()?),
            1 => Place::Blob(Reference::parse(take(bytes, Reference::BYTES)?)?),
            2 => {
                let length = take_length(bytes)?;
                Place::Here(take(bytes, length)?)
            }
            3 => Place::Frames(take_position(bytes)?),
            _ => return None,
        };
        Some(Record { value_type, database, key, lsn, deadline, place })
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(take_number(bytes)?).ok()
}

fn take_position(bytes: &mut &[u8]) -> Option<u64> {
    take_number(bytes)?.checked_mul(16)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// The file name of a checkpoint.
#[must_use]
pub fn file_name(store: &str, number: u64) -> String {
    format!("{store}-{number:016x}.ckpt")
}

/// The number in a checkpoint's file name, if it is one of this store.
#[must_use]
pub fn parse_name(store: &str, name: &str) -> Option<u64> {
    super::blob::number_between(store, name, ".ckpt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_comes_back_and_every_bit_flip_is_noticed() {
        let header = Header {
            id: StoreId([9; 16]),
            number: 5,
            start: 1 << 40,
            end: 1 << 41,
            newest_ms: 7,
            records: 3,
            index: 4096,
            blocks: 1,
            map: [3; 16],
        };
        let index = Block { offset: 128, first_shard: 2, last_shard: 1023 }.encode();
        let bytes = header.encode(&index);
        assert_eq!(Header::parse(&bytes), Some(header));
        assert_eq!(Block::parse(&index), Block { offset: 128, first_shard: 2, last_shard: 1023 });
        assert!(verify(&bytes, &index));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&bad).is_none() || !verify(&bad, &index), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn records_come_back(
            key in proptest::collection::vec(any::<u8>(), 0..300), value in proptest::collection::vec(any::<u8>(), 0..70),
            lsn in 0u64..1 << 56, deadline in proptest::option::of(any::<u64>()), length in any::<u32>(), kind in 0..4,
        ) {
            let place = match kind {
                0 => Place::Image(length),
                1 => Place::Blob(Reference { number: lsn, length: 9, checksum: length }),
                2 => Place::Here(&value),
                _ => Place::Frames(u64::from(length) * 16),
            };
            let record = Record { value_type: 4, database: 15, key: &key, lsn: lsn * 16, deadline, place };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            record.encode(&mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(Record::take(&mut rest), Some(record));
            prop_assert_eq!(Record::take(&mut rest), Some(record));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut rest = &bytes[..];
            while Record::take(&mut rest).is_some() {}
        }
    }
}
