//! Keys by number, the value of each, and draws of them: one number gives the same key and value in every process.
//!
//! Values are slices of a pool of random letters, so that making one costs no more than a copy. None holds `*`, by which
//! the null server counts requests.

use crate::random::Random;

const POOL_BYTES: usize = 4 << 20;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Keys and values of one length each.
pub struct Data {
    key_bytes: usize,
    value_bytes: usize,
    pool: Vec<u8>,
}

impl Data {
    /// Keys of at least 12 bytes.
    pub fn new(key_bytes: usize, value_bytes: usize) -> Self {
        let mut random = Random::new(7);
        let pool = (0..POOL_BYTES).map(|_| LETTERS[(random.next() % 64) as usize]).collect();
        Self { key_bytes, value_bytes, pool }
    }

    /// The key of a number.
    pub fn key(&self, number: u64) -> Vec<u8> {
        format!("key:{number:0width$}", width = self.key_bytes - 4).into_bytes()
    }

    /// Its value; another one for each version.
    pub fn value(&self, number: u64, version: u64) -> &[u8] {
        let at = Random::new(number ^ (version << 40)).next() % (POOL_BYTES - self.value_bytes) as u64;
        &self.pool[at as usize..][..self.value_bytes]
    }

    /// Bytes of a key and its value.
    pub fn pair_bytes(&self) -> u64 {
        (self.key_bytes + self.value_bytes) as u64
    }
}

/// How numbers below a count are drawn.
#[derive(Clone, Debug)]
pub enum Draw {
    /// Each with the same chance.
    Uniform {
        /// How many there are.
        count: u64,
    },
    /// By Zipf's law, in an order that has nothing to do with the numbers.
    Zipf(Zipf),
}

impl Draw {
    /// Each with the same chance.
    pub fn uniform(count: u64) -> Self {
        Self::Uniform { count }
    }

    /// By Zipf's law with exponent 0.99.
    pub fn zipf(count: u64) -> Self {
        Self::Zipf(Zipf::new(count, 0.99))
    }

    /// Both, with their names.
    pub fn each(count: u64) -> [(&'static str, Self); 2] {
        [("uniform", Self::uniform(count)), ("zipf 0.99", Self::zipf(count))]
    }

    /// A number.
    pub fn next(&self, random: &mut Random) -> u64 {
        match self {
            Self::Uniform { count } => random.next() % count,
            // Ranks next to each other are not to be keys that were written together.
            Self::Zipf(zipf) => Random::new(zipf.rank(random)).next() % zipf.count,
        }
    }
}

/// Ranks by Zipf's law, drawn in constant time (Gray et al., Quickly Generating Billion-Record Synthetic Databases, 1994).
#[derive(Clone, Debug)]
pub struct Zipf {
    count: u64,
    exponent: f64,
    sum: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64, exponent: f64) -> Self {
        let sum = harmonic(count, exponent);
        let of_two = harmonic(2, exponent);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - exponent)) / (1.0 - of_two / sum);
        Self { count, exponent, sum, alpha: 1.0 / (1.0 - exponent), eta }
    }

    fn rank(&self, random: &mut Random) -> u64 {
        let chance = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let scaled = chance * self.sum;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(self.exponent) {
            return 1;
        }
        let rank = self.count as f64 * (self.eta * chance - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count - 1)
    }
}

/// The sum of the first terms, the tail of a long one as an integral.
fn harmonic(count: u64, exponent: f64) -> f64 {
    const EXACT: u64 = 1 << 20;
    let exact: f64 = (1..=count.min(EXACT)).map(|rank| (rank as f64).powf(-exponent)).sum();
    if count <= EXACT {
        return exact;
    }
    let power = 1.0 - exponent;
    exact + ((count as f64).powf(power) - (EXACT as f64).powf(power)) / power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_their_lengths_and_no_star() {
        let data = Data::new(12, 14);
        assert_eq!(data.key(5), b"key:00000005");
        assert_eq!(data.value(5, 0).len(), 14);
        assert_eq!(data.value(5, 0), Data::new(12, 14).value(5, 0));
        assert_ne!(data.value(5, 0), data.value(5, 1));
        assert!(!data.pool.contains(&b'*'));
    }

    #[test]
    fn the_first_of_a_thousand_has_its_share_by_zipf() {
        let zipf = Zipf::new(1000, 0.99);
        let mut random = Random::new(3);
        let mut hits = vec![0_u32; 1000];
        (0..100_000).for_each(|_| hits[zipf.rank(&mut random) as usize] += 1);
        let expected = 100_000.0 / harmonic(1000, 0.99);
        assert!((f64::from(hits[0]) / expected - 1.0).abs() < 0.05, "{} of {expected}", hits[0]);
        assert!(hits[0] > hits[9] && hits[9] > hits[99] && hits.iter().skip(500).any(|&hits| hits > 0));
    }

    #[test]
    fn a_long_tail_is_close_to_its_integral() {
        let exact: f64 = (1..=3_000_000_u64).map(|rank| (rank as f64).powf(-0.99)).sum();
        assert!((harmonic(3_000_000, 0.99) / exact - 1.0).abs() < 1e-6);
    }
}
