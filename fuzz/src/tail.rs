//! An input and what follows from it.
//!
//! A fuzzer's bytes are much alike: runs of zeros and of what it has seen compared. Lists of choices made of them repeat one choice,
//! and a list says something by what meets what. So an input is where a list begins, and random numbers that follow from it go on.

use std::hash::{DefaultHasher, Hash, Hasher};

use engine::random::Random;

/// Bytes of input and tail together.
const BYTES: usize = 512;

/// An input with its tail.
pub fn with_tail(input: &[u8]) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let mut random = Random::new(hasher.finish());
    let mut bytes = input.to_vec();
    while bytes.len() < BYTES {
        bytes.extend(random.next_u64().to_le_bytes());
    }
    bytes
}
