//! Where an element goes: MurmurHash64A with Redis's seed, taken apart into a register and a run of zeros.

use super::{INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// What an element says to a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which register.
    pub register: usize,
    /// Zeros before the first one in the rest of the hash, and one more: 1 to 51.
    pub zeros: u8,
}

/// The place of an element.
pub fn place(element: &[u8]) -> Place {
    let hash = murmur64a(element);
    // The end of the run when there is no one at all.
    let rest = (hash >> INDEX_BITS) | 1 << (u64::BITS - INDEX_BITS);
    Place { register: hash as usize & (REGISTERS - 1), zeros: rest.trailing_zeros() as u8 + 1 }
}

/// MurmurHash2 of 64 bits by Austin Appleby, little-endian everywhere.
fn murmur64a(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}
