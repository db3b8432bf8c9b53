//! The only place where chance enters: seeds and store names from the operating system, all else from a seed.

use std::hash::{BuildHasher, RandomState};

/// A small, fast generator (SplitMix64, Steele et al. 2014). Not for secrets.
#[derive(Clone, Debug, Default)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// Bytes no one can guess.
pub fn secret() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// What the hash tables inside values hash with: drawn once per process, so that no client can prepare members that
/// collide. It is no part of the state: order, images and answers do not depend on it, only a few bytes in figures of
/// memory. So a simulation needs no say in it, and the standard library's draw, which cannot fail, is good enough.
pub(crate) fn process_secret() -> u64 {
    RandomState::new().hash_one(0_u64)
}

/// Bytes in the place of [`secret`] ones, for a simulation.
pub fn not_secret(random: &mut Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.next_u64().to_le_bytes());
    bytes[8..].copy_from_slice(&random.next_u64().to_le_bytes());
    bytes
}
