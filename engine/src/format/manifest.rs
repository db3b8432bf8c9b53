//! The manifest, `<dbfilename>`: which segments are the log.
//!
//! ```text
//!  0  [u8; 8]   magic      "kvdstore"
//!  8  u32       version    3
//! 12  u32       checksum   CRC-32C of bytes 16.., then bytes 0..12
//! 16  [u8; 16]  store id
//! 32  [u8; 16]  hash seed
//! 48  u64       epoch      how often the store has been opened
//! 56  u64       first      number of the oldest segment
//! 64  u64       base       LSN of the oldest segment's first frame
//! 72  u64       durable    everything below this LSN was durable when this was written
//! 80  u32       cuts       how many follow
//! 84  u32       checkpoints  how many follow the cuts (0 before version 3)
//! 88  cuts × { u64 segment, u64 end LSN, u64 next segment }
//!     checkpoints × { u64 number, u64 start LSN, u64 end LSN }, newest first
//! ```
//!
//! Between two cuts the segments are numbered one by one and each begins where the last ended. A cut says where an
//! earlier opening's log ended, whatever lies behind that point in its file, and which segment goes on from there.
//! The file is replaced as a whole: temporary, sync, rename, directory sync.

use super::{StoreId, u32_at, u64_at};
use crate::mutant::planted;

/// The format this program writes and the newest it reads.
pub const VERSION: u32 = 3;
/// Longest manifest that is read.
pub const MAX_BYTES: u64 = 16 << 20;
const MAGIC: &[u8; 8] = b"kvdstore";
const FIXED: usize = 88;
const CUT: usize = 24;
const CHECKPOINT: usize = 24;

/// Where the log of an earlier opening ends and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment that ends early.
    pub segment: u64,
    /// The LSN at which it ends.
    pub end: u64,
    /// The segment that begins at that LSN.
    pub next: u64,
}

/// A checkpoint that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// The LSN from which the log goes on.
    pub start: u64,
    /// The LSN below which the log was durable when this was written.
    pub end: u64,
}

/// Which files are the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The store's secret name.
    pub id: StoreId,
    /// The secret of the hash of keys.
    pub hash_seed: [u8; 16],
    /// How often it has been opened.
    pub epoch: u64,
    /// The oldest segment.
    pub first: u64,
    /// LSN at its start.
    pub base: u64,
    /// A floor for what is durable.
    pub durable: u64,
    /// Ends of earlier openings, oldest first.
    pub cuts: Vec<Cut>,
    /// Checkpoints, newest first.
    pub checkpoints: Vec<Checkpoint>,
}

/// Why a manifest was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not a manifest at all.
    Foreign,
    /// Written by a newer program.
    Newer(u32),
    /// Damaged.
    Checksum,
}

impl Manifest {
    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.cuts.len() * CUT);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&self.hash_seed);
        for word in [self.epoch, self.first, self.base, self.durable] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.cuts.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.checkpoints.len() as u32).to_le_bytes());
        for cut in &self.cuts {
            for word in [cut.segment, cut.end, cut.next] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        for checkpoint in &self.checkpoints {
            for word in [checkpoint.number, checkpoint.start, checkpoint.end] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let sum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, Refused> {
        if bytes.len() < 16 || &bytes[..8] != MAGIC {
            return Err(Refused::Foreign);
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(Refused::Newer(version));
        }
        if bytes.len() < FIXED || u32_at(bytes, 12) != checksum(bytes) {
            return Err(Refused::Checksum);
        }
        let cuts = u32_at(bytes, 80) as usize;
        let checkpoints = u32_at(bytes, 84) as usize;
        let behind = FIXED + cuts * CUT;
        if bytes.len() != behind + checkpoints * CHECKPOINT && !planted("manifest_length_unchecked") {
            return Err(Refused::Checksum);
        }
        let cuts: Vec<Cut> = bytes[FIXED..behind]
            .chunks_exact(CUT)
            .map(|cut| Cut { segment: u64_at(cut, 0), end: u64_at(cut, 8), next: u64_at(cut, 16) })
            .collect();
        let checkpoints = bytes[behind..].chunks_exact(CHECKPOINT).map(|of| Checkpoint {
            number: u64_at(of, 0),
            start: u64_at(of, 8),
            end: u64_at(of, 16),
        });
        // The way through the segments leads forward only: whatever made this file, no reader goes in circles.
        let forward = cuts.iter().all(|cut| cut.segment < cut.next) && cuts.is_sorted_by(|a, b| a.segment < b.segment);
        if !forward {
            return Err(Refused::Checksum);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[16..32]);
        let mut hash_seed = [0; 16];
        hash_seed.copy_from_slice(&bytes[32..48]);
        Ok(Manifest {
            id: StoreId(id),
            hash_seed,
            epoch: u64_at(bytes, 48),
            first: u64_at(bytes, 56),
            base: u64_at(bytes, 64),
            durable: u64_at(bytes, 72),
            cuts,
            checkpoints: checkpoints.collect(),
        })
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[16..]), &bytes[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            id: StoreId([1; 16]),
            hash_seed: [2; 16],
            epoch: 3,
            first: 4,
            base: 4096,
            durable: 8192,
            cuts: vec![Cut { segment: 4, end: 5000, next: 6 }, Cut { segment: 9, end: 9000, next: 11 }],
            checkpoints: vec![Checkpoint { number: 3, start: 4096, end: 4112 }],
        }
    }

    #[test]
    fn a_manifest_comes_back() {
        assert_eq!(Manifest::parse(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn cuts_lead_forward() {
        for (segment, next) in [(9, 9), (9, 5), (4, 11), (3, 11)] {
            let mut circle = sample();
            circle.cuts[1] = Cut { segment, end: 9000, next };
            assert_eq!(Manifest::parse(&circle.encode()), Err(Refused::Checksum), "{segment} {next}");
        }
    }

    #[test]
    fn every_bit_flip_and_every_cut_is_noticed() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(&bad).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::parse(&bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = sample().encode();
        bytes[8] = VERSION as u8 + 1;
        assert_eq!(Manifest::parse(&bytes), Err(Refused::Newer(VERSION + 1)));
    }
}
