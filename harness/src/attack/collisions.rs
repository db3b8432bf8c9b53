//! Keys that fall into one place of a hash table whose hash is public: a table that does not know it becomes a list.
//!
//! For a hash that goes over its bytes with a small state, two blocks that lead from one state to the same next one are found by
//! trying; k such pairs behind each other are 2^k keys with one hash (A. Joux, CRYPTO 2004). SipHash has a large state: there
//! keys are tried until enough have the same low bits.

use std::collections::HashMap;

use super::scene::Scene;
use crate::client::Client;
use crate::clock;
use crate::error::Result;
use crate::random::Random;

/// Bytes of a block.
const BLOCK: usize = 6;
/// Colliding keys may take this much longer than random ones.
const RATIO: f64 = 3.0;

/// A hash as its first state and a step for each byte. Of FNV with 64 bits the low ones, which are a hash of their own.
struct Iterated {
    name: &'static str,
    first: u64,
    step: fn(u64, u8) -> u64,
    mask: u64,
}

const ITERATED: [Iterated; 4] = [
    Iterated {
        name: "DJB",
        first: 5381,
        step: |h, b| h.wrapping_mul(33).wrapping_add(u64::from(b)),
        mask: 0xffff_ffff,
    },
    Iterated { name: "FNV-1a", first: 0xcbf2_9ce4_8422_2325, step: fnv, mask: 0xff_ffff },
    Iterated { name: "CRC-16", first: 0, step: crc16, mask: 0xffff },
    Iterated { name: "CRC-32", first: 0xffff_ffff, step: crc32, mask: 0xffff_ffff },
];

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
}

fn crc16(crc: u64, byte: u8) -> u64 {
    (0..8).fold(crc ^ (u64::from(byte) << 8), |crc, _| {
        if crc & 0x8000 != 0 { ((crc << 1) ^ 0x1021) & 0xffff } else { (crc << 1) & 0xffff }
    })
}

fn crc32(crc: u64, byte: u8) -> u64 {
    (0..8).fold(crc ^ u64::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
}

impl Iterated {
    fn over(&self, state: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(state, |state, &byte| (self.step)(state, byte)) & self.mask
    }

    /// 2^levels keys with one hash.
    fn keys(&self, levels: usize, random: &mut Random) -> Vec<Vec<u8>> {
        let mut state = self.first & self.mask;
        let mut keys = vec![Vec::new()];
        for _ in 0..levels {
            let [left, right] = self.pair(state, random);
            state = self.over(state, &left);
            let with = |key: &Vec<u8>, block: &[u8]| [&key[..], block].concat();
            keys = keys.iter().flat_map(|key| [with(key, &left), with(key, &right)]).collect();
        }
        keys
    }

    /// Two blocks that lead to the same state.
    fn pair(&self, state: u64, random: &mut Random) -> [[u8; BLOCK]; 2] {
        let mut seen = HashMap::new();
        loop {
            let block = [(); BLOCK].map(|()| b'0' + (random.next() % 75) as u8);
            if let Some(before) = seen.insert(self.over(state, &block), block)
                && before != block
            {
                return [before, block];
            }
        }
    }
}

/// SipHash with so many rounds a block and at the end (J.-P. Aumasson, D. J. Bernstein, 2012), of eight bytes, with a key of zeros.
fn siphash(rounds: usize, last_rounds: usize, word: u64) -> u64 {
    let mut v = [0x736f_6d65_7073_6575u64, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let mix = |v: &mut [u64; 4], times: usize| {
        for _ in 0..times {
            v[0] = v[0].wrapping_add(v[1]);
            v[1] = v[1].rotate_left(13) ^ v[0];
            v[0] = v[0].rotate_left(32);
            v[2] = v[2].wrapping_add(v[3]);
            v[3] = v[3].rotate_left(16) ^ v[2];
            v[0] = v[0].wrapping_add(v[3]);
            v[3] = v[3].rotate_left(21) ^ v[0];
            v[2] = v[2].wrapping_add(v[1]);
            v[1] = v[1].rotate_left(17) ^ v[2];
            v[2] = v[2].rotate_left(32);
        }
    };
    for block in [word, 8 << 56] {
        v[3] ^= block;
        mix(&mut v, rounds);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    mix(&mut v, last_rounds);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// Keys of eight bytes whose hashes end in so many zeros.
fn sip_keys(rounds: (usize, usize), bits: u32, count: usize) -> Vec<Vec<u8>> {
    let words = (0u64..).map(|number| 0x6161_6161_6161_6161 ^ number);
    let fits = |word: &u64| siphash(rounds.0, rounds.1, *word).trailing_zeros() >= bits;
    words.filter(fits).take(count).map(|word| word.to_le_bytes().to_vec()).collect()
}

/// The time of colliding keys over that of as many random ones of the same length, for each hash.
pub fn run(scene: &Scene) -> Result<()> {
    let mut random = scene.random();
    let levels = scene.amount(16, 10) as usize;
    let mut sets: Vec<(String, Vec<Vec<u8>>)> =
        ITERATED.iter().map(|hash| (hash.name.to_owned(), hash.keys(levels, &mut random))).collect();
    let bits = scene.amount(13, 9) as u32;
    for rounds in [(1, 2), (1, 3), (2, 4)] {
        sets.push((format!("SipHash-{}-{}", rounds.0, rounds.1), sip_keys(rounds, bits, 1 << bits)));
    }
    let mut stored = 0;
    for (name, colliding) in sets {
        if scene.is_over() {
            return Ok(());
        }
        let others: Vec<Vec<u8>> =
            colliding.iter().map(|key| key.iter().map(|_| b'A' + (random.next() % 26) as u8).collect()).collect();
        stored += 2 * colliding.iter().map(|key| key.len() as u64 + 128).sum::<u64>();
        let mut client = scene.client()?;
        // In turn, and the best of three: whatever else the machine does must not count.
        let mut best = [f64::INFINITY; 2];
        for _ in 0..3 {
            for (keys, best) in [&others, &colliding].into_iter().zip(&mut best) {
                *best = best.min(fill(&mut client, keys)?);
            }
        }
        scene.figure_within(&format!("{name}: colliding / random"), best[1] / best[0], 0.0, RATIO);
    }
    scene.stored(stored);
    Ok(())
}

/// Seconds that it takes to write keys to an empty database.
fn fill(client: &mut Client, keys: &[Vec<u8>]) -> Result<f64> {
    client.call(&[b"FLUSHDB"])?;
    let start = clock::now();
    for batch in keys.chunks(1000) {
        batch.iter().for_each(|key| client.queue(&[b"SET", key, b"1"]));
        client.flush()?;
        for _ in batch {
            client.reply()?;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_different_and_their_hashes_are_not() {
        for hash in ITERATED {
            let keys = hash.keys(6, &mut Random::new(1));
            assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 64, "{}", hash.name);
            let hashes: HashSet<u64> = keys.iter().map(|key| hash.over(hash.first & hash.mask, key)).collect();
            assert_eq!(hashes.len(), 1, "{}", hash.name);
        }
    }

    #[test]
    fn hashes_are_those_they_are_called() {
        let of = |name: &str| {
            let hash = ITERATED.iter().find(|hash| hash.name == name).unwrap();
            hash.over(hash.first, b"123456789")
        };
        assert_eq!(of("CRC-16"), 0x31c3);
        assert_eq!(of("CRC-32") ^ 0xffff_ffff, 0xcbf4_3926);
        assert_eq!(of("FNV-1a"), 0x06d5_5739_23c6_cdfc & 0xff_ffff);
    }

    /// std's own SipHash-1-3 has a key of zeros too.
    #[test]
    fn siphash_is_that_of_the_standard_library() {
        use std::hash::Hasher;
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(&42u64.to_le_bytes());
        assert_eq!(siphash(1, 3, 42), hasher.finish());
        let keys = sip_keys((1, 2), 4, 20);
        assert_eq!(keys.len(), 20);
    }
}
