//! A segment: one file of the log, a header and then frames.
//!
//! ```text
//!  0  [u8; 8]   magic     "kvdlog\r\n"
//!  8  u32       version   1
//! 12  u32       checksum  CRC-32C of bytes 16..64, then bytes 0..12
//! 16  [u8; 16]  store id
//! 32  u64       number    never reused
//! 40  u64       base      LSN of the first frame
//! 48  u64       epoch     how often the store had been opened when this was written
//! 56  u64       used      1: what lies behind the frames may be of a segment that the file held before
//! 64  frames; behind them zeros to the end of the file, or what it held before
//! ```
//!
//! A file with a zero header, or with the header of a segment before its own, was made ahead and is not in use. A header of
//! a later epoch than the manifest's was left by a recovery that did not finish, and does not count.
//!
//! Nothing of a former life counts: every base is higher than those before it, so no old frame has the LSN of its place,
//! and the checksums of frames begin with the segment's number.

use super::{StoreId, u32_at, u64_at};

/// Bytes before the first frame.
pub const HEADER: u64 = 64;
/// The format this program writes and the newest it reads.
pub const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"kvdlog\r\n";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who wrote it.
    pub id: StoreId,
    /// The segment's number.
    pub number: u64,
    /// LSN of the first frame.
    pub base: u64,
    /// The opening of the store that wrote it.
    pub epoch: u64,
    /// The file may hold something of a former segment behind the frames.
    pub used: bool,
}

impl Header {
    /// The bytes at the front of the file.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.0);
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[56..64].copy_from_slice(&u64::from(self.used).to_le_bytes());
        let sum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not one of ours, whole and of this format.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER as usize)?;
        if &header[..8] != MAGIC || u32_at(header, 8) != VERSION || u32_at(header, 12) != checksum(header) {
            return None;
        }
        let mut id = [0; 16];
        id.copy_from_slice(&header[16..32]);
        Some(Header {
            id: StoreId(id),
            number: u64_at(header, 32),
            base: u64_at(header, 40),
            epoch: u64_at(header, 48),
            used: u64_at(header, 56) != 0,
        })
    }
}

fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[16..HEADER as usize]), &header[..12])
}

/// The file name of a segment.
#[must_use]
pub fn file_name(store: &str, number: u64) -> String {
    format!("{store}-{number:016x}.log")
}

/// The number in a segment's file name, if it is one of this store.
#[must_use]
pub fn parse_name(store: &str, name: &str) -> Option<u64> {
    super::blob::number_between(store, name, ".log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_every_bit_flip_is_noticed() {
        let mut header = Header { id: StoreId([9; 16]), number: 5, base: 1 << 40, epoch: 3, used: false };
        assert_eq!(Header::parse(&header.encode()), Some(header));
        header.used = true;
        let bytes = header.encode();
        assert_eq!(Header::parse(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&bad), None, "bit {bit}");
        }
        assert_eq!(Header::parse(&[0; 64]), None);
    }

    #[test]
    fn names_come_back() {
        assert_eq!(parse_name("dump.kv", &file_name("dump.kv", 77)), Some(77));
        assert_eq!(parse_name("dump.kv", "dump.kv-77.log"), None);
        assert_eq!(parse_name("dump.kv", "other-0000000000000001.log"), None);
    }
}
