//! From registers to a cardinality: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
//! arXiv:1702.01284, as Redis computes it.

use super::{Encoding, HEADER, INDEX_BITS, Invalid, REGISTERS, Sketch, dense, sparse};

/// How many registers have each value that six bits can say.
pub(super) type Histogram = [u32; 64];

/// Bits of a hash that a run of zeros is looked for in.
const RUN_BITS: usize = (u64::BITS - INDEX_BITS) as usize;
/// 0.5 / ln 2
const ALPHA_INFINITY: f64 = 0.721_347_520_444_481_7;
/// 2⁶³
const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

/// Registers in a byte each: the union of several sketches.
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Raises every register to that of a sketch. After an error some may be raised.
    pub fn merge(&mut self, sketch: &Sketch<'_>) -> Result<(), Invalid> {
        match sketch.encoding {
            Encoding::Dense => {
                for (mine, theirs) in
                    self.0.as_chunks_mut::<4>().0.iter_mut().zip(dense::fours(&sketch.bytes[HEADER..]))
                {
                    *mine = std::array::from_fn(|index| mine[index].max(theirs[index]));
                }
                Ok(())
            }
            Encoding::Sparse => self.merge_runs(&sketch.bytes),
        }
    }

    fn merge_runs(&mut self, sketch: &[u8]) -> Result<(), Invalid> {
        let mut rest = &mut self.0[..];
        for (_, run) in sparse::runs(sketch) {
            let (registers, behind) = rest.split_at_mut_checked(run.registers).ok_or(Invalid::Corrupted)?;
            if run.value != 0 {
                registers.iter_mut().for_each(|register| *register = run.value.max(*register));
            }
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(Invalid::Corrupted) }
    }

    /// The registers.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }

    pub(super) fn fours(&self) -> impl Iterator<Item = &[u8; 4]> {
        self.0.as_chunks::<4>().0.iter()
    }

    /// About how many different elements were added to the sketches.
    pub fn estimate(&self) -> u64 {
        let mut histogram = [0; 64];
        for register in self.iter() {
            histogram[usize::from(register)] += 1;
        }
        cardinality(&histogram)
    }
}

/// The estimate, of which a count above what a register can come to by hashing is no part.
pub(super) fn cardinality(histogram: &Histogram) -> u64 {
    let registers = REGISTERS as f64;
    let mut sum = registers * tau((registers - f64::from(histogram[RUN_BITS + 1])) / registers);
    for count in histogram[1..=RUN_BITS].iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += registers * sigma(f64::from(histogram[0]) / registers);
    let estimate = (ALPHA_INFINITY * registers * registers / sum).round();
    // What no integer can say, C's rounding makes the least one on the machines that Redis runs on.
    if estimate < BEYOND_INTEGERS { estimate as u64 } else { i64::MIN as u64 }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if before == sum {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if before == sum {
            return sum / 3.0;
        }
    }
}
