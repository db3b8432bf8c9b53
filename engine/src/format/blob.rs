//! A blob: one large value in a file of its own, named by a frame in the log.
//!
//! ```text
//!  0  [u8; 8]   magic     "kvdblob\n"
//!  8  u32       version   1
//! 12  u32       checksum  CRC-32C of the value, then bytes 16..48
//! 16  [u8; 16]  store id
//! 32  u64       number    as in the file's name
//! 40  u64       length
//! 48  value
//! ```
//!
//! The frame's value is the reference: number, length, checksum (20 bytes). The file is durable, name and all, before
//! the frame is appended. A frame whose file is gone is not an error while a later frame replaces it.

use super::{StoreId, u32_at, u64_at};

/// Bytes before the value.
pub const HEADER: u64 = 48;
const MAGIC: &[u8; 8] = b"kvdblob\n";
const VERSION: u32 = 1;

/// What a frame in the log says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The file.
    pub number: u64,
    /// Bytes of value.
    pub length: u64,
    /// As in the file's header.
    pub checksum: u32,
}

impl Reference {
    /// Bytes of a reference in a frame.
    pub const BYTES: usize = 20;

    /// The value of a blob frame.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// Reads the value of a blob frame.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Reference> {
        (bytes.len() == Self::BYTES).then(|| Reference {
            number: u64_at(bytes, 0),
            length: u64_at(bytes, 8),
            checksum: u32_at(bytes, 16),
        })
    }
}

/// The header of a blob file, and the reference to it.
#[must_use]
pub fn header(id: StoreId, number: u64, value: &[u8]) -> ([u8; HEADER as usize], Reference) {
    let mut bytes = [0; HEADER as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(&id.0);
    bytes[32..40].copy_from_slice(&number.to_le_bytes());
    bytes[40..48].copy_from_slice(&(value.len() as u64).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(value), &bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    (bytes, Reference { number, length: value.len() as u64, checksum })
}

/// Whether a header and a value are what the reference names.
#[must_use]
pub fn verify(id: StoreId, reference: &Reference, header_bytes: &[u8], value: &[u8]) -> bool {
    let (expected, computed) = header(id, reference.number, value);
    header_bytes == expected && computed == *reference
}

/// The file name of a blob.
#[must_use]
pub fn file_name(store: &str, number: u64) -> String {
    format!("{store}-{number:016x}.blob")
}

/// The number in a blob's file name, if it is one of this store.
#[must_use]
pub fn parse_name(store: &str, name: &str) -> Option<u64> {
    number_between(store, name, ".blob")
}

pub(super) fn number_between(store: &str, name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(store)?.strip_prefix('-')?.strip_suffix(suffix)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_known_by_its_reference_alone() {
        let id = StoreId([1; 16]);
        let (bytes, reference) = header(id, 3, b"value");
        assert_eq!(Reference::parse(&reference.encode()), Some(reference));
        assert!(verify(id, &reference, &bytes, b"value"));
        assert!(!verify(id, &reference, &bytes, b"valuf"));
        assert!(!verify(StoreId([2; 16]), &reference, &bytes, b"value"));
        let other = header(id, 4, b"value").0;
        assert!(!verify(id, &reference, &other, b"value"));
    }
}
