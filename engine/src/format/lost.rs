//! What a frame says of a value that cannot be read any more: where it was. Its key is still there, and answers with an
//! error.
//!
//! ```text
//!  0  u64  segment  whose file is kept beside the log
//!  8  u64  offset   in that file, of the frame that held the value
//! 16  u32  length   of the value
//! ```

use super::{segment, u32_at, u64_at};

/// The end of the name of a segment that compaction has found to be damaged, and kept.
pub const DAMAGED: &str = ".damaged";
/// Why a value is lost.
pub const WHAT: &str = "the only copy of the value was in a frame that is not valid";

/// Where a lost value was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub segment: u64,
    /// In its file.
    pub offset: u64,
    /// Bytes of the value.
    pub length: u32,
}

impl Place {
    /// Bytes of it in a frame.
    pub const BYTES: usize = 20;

    /// The value of the frame.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Reads the value of the frame.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Place> {
        let place = || Place { segment: u64_at(value, 0), offset: u64_at(value, 8), length: u32_at(value, 16) };
        (value.len() == Self::BYTES).then(place)
    }
}

/// The name of a segment that is kept although it is damaged.
#[must_use]
pub fn file_name(store: &str, number: u64) -> String {
    segment::file_name(store, number) + DAMAGED
}

/// Whether a file is such a segment of a store.
#[must_use]
pub fn is_name(store: &str, file: &str) -> bool {
    file.strip_suffix(DAMAGED).is_some_and(|of| segment::parse_name(store, of).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back() {
        let place = Place { segment: 7, offset: 1 << 33, length: 300 };
        assert_eq!(Place::parse(&place.encode()), Some(place));
        assert_eq!(Place::parse(&place.encode()[1..]), None);
    }

    #[test]
    fn names_are_told_from_others() {
        assert!(is_name("a", &file_name("a", 3)));
        for other in [segment::file_name("a", 3), file_name("b", 3), "a.damaged".to_owned()] {
            assert!(!is_name("a", &other), "{other}");
        }
    }
}
