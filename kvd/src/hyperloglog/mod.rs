//! HyperLogLog: how many different elements were added, to within 0.81 %, in at most 12 KiB; the bytes are Redis's.
//!
//! ```text
//!  H Y L L │ encoding │ 0 0 0 │ cached cardinality, u64, its top bit set when it is out of date │ registers
//!  0        4          5       8                                                                 16
//!
//!  encoding 0, dense:  16,384 registers of six bits, from the least significant bit on
//!  encoding 1, sparse: runs of equal registers
//! ```
//!
//! An element's hash chooses a register, and the register keeps the longest run of zeros seen in the rest of the hash.
//! A sketch begins sparse and becomes dense when a register or the whole no longer fits; never the other way.
//!
//! Pure: bytes in, bytes out. Which key they lie at, and what is logged of a change, is `commands::hyperloglog`'s.

mod dense;
mod estimate;
mod hash;
mod sparse;

use std::borrow::Cow;

pub use estimate::Registers;
pub use hash::{Place, place};
pub use sparse::Run;

/// Registers of a sketch.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Bytes before the registers.
const HEADER: usize = 16;
/// Length of a dense sketch.
pub const DENSE_BYTES: usize = HEADER + REGISTERS / 4 * 3;
/// No sparse sketch is longer: the least that a run of two bytes stands for is one register.
const SPARSE_MAX_BYTES: usize = HEADER + 2 * REGISTERS;

const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
/// Where the cached cardinality lies.
pub const CACHE_AT: usize = 8;
/// The byte of the cached cardinality that says whether it counts.
const CACHE_FLAG_AT: usize = 15;
const CACHE_STALE: u8 = 0x80;

/// Why bytes are no sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// They do not begin like one.
    Foreign,
    /// They begin like one, but the runs do not make up the registers.
    Corrupted,
}

/// How registers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs.
    Sparse,
}

/// A sketch, which is copied when it is changed for the first time.
#[derive(Clone, Debug)]
pub struct Sketch<'a> {
    bytes: Cow<'a, [u8]>,
    encoding: Encoding,
}

impl<'a> Sketch<'a> {
    /// One to which nothing was added.
    pub fn empty() -> Sketch<'static> {
        let mut bytes = vec![0; HEADER];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[ENCODING_AT] = 1;
        sparse::push(&mut bytes, 0, REGISTERS);
        Sketch { bytes: Cow::Owned(bytes), encoding: Encoding::Sparse }
    }

    /// The sketch that these bytes are. The runs of a sparse one are looked at when they are needed.
    pub fn read(bytes: &'a [u8]) -> Result<Sketch<'a>, Invalid> {
        if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
            return Err(Invalid::Foreign);
        }
        let encoding = match bytes[ENCODING_AT] {
            0 if bytes.len() == DENSE_BYTES => Encoding::Dense,
            1 if bytes.len() <= SPARSE_MAX_BYTES => Encoding::Sparse,
            1 => return Err(Invalid::Corrupted),
            _ => return Err(Invalid::Foreign),
        };
        Ok(Sketch { bytes: Cow::Borrowed(bytes), encoding })
    }

    /// How its registers are written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The cardinality that was noted when it was last asked for, if nothing was added since.
    pub fn cached(&self) -> Option<u64> {
        let cache = self.bytes[CACHE_AT..HEADER].try_into().expect("the header has eight bytes for it");
        (self.bytes[CACHE_FLAG_AT] & CACHE_STALE == 0).then(|| u64::from_le_bytes(cache))
    }

    /// Says that the noted cardinality no longer counts.
    pub fn invalidate_cache(&mut self) {
        if self.bytes[CACHE_FLAG_AT] & CACHE_STALE == 0 {
            self.bytes.to_mut()[CACHE_FLAG_AT] |= CACHE_STALE;
        }
    }

    /// About how many different elements were added.
    pub fn estimate(&self) -> Result<u64, Invalid> {
        let histogram = match self.encoding {
            Encoding::Dense => dense::histogram(&self.bytes[HEADER..]),
            Encoding::Sparse => sparse::histogram(&self.bytes)?,
        };
        Ok(estimate::cardinality(&histogram))
    }

    /// The runs of a sparse sketch, without a check that they make up the registers.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        sparse::runs(&self.bytes).map(|(_, run)| run)
    }

    /// Adds an element that was hashed to this place. Whether that changed a register.
    pub fn add(&mut self, place: Place, sparse_max_bytes: usize) -> Result<bool, Invalid> {
        if self.encoding == Encoding::Sparse {
            match sparse::raise(&mut self.bytes, place, sparse_max_bytes)? {
                sparse::Raised::Changed => return Ok(true),
                sparse::Raised::Unchanged => return Ok(false),
                sparse::Raised::DoesNotFit => self.make_dense()?,
            }
        }
        if dense::get(&self.bytes[HEADER..], place.register) >= place.zeros {
            return Ok(false);
        }
        dense::set(&mut self.bytes.to_mut()[HEADER..], place.register, place.zeros);
        Ok(true)
    }

    /// Raises every register to at least this.
    pub fn raise(&mut self, registers: &Registers, sparse_max_bytes: usize) -> Result<(), Invalid> {
        for (register, zeros) in registers.iter().enumerate().filter(|(_, zeros)| *zeros != 0) {
            self.add(Place { register, zeros }, sparse_max_bytes)?;
        }
        Ok(())
    }

    /// Writes the registers with six bits each. What was noted stays.
    pub fn make_dense(&mut self) -> Result<(), Invalid> {
        if self.encoding == Encoding::Sparse {
            let mut registers = Registers::default();
            registers.merge(self)?;
            let mut bytes = vec![0; DENSE_BYTES];
            bytes[..HEADER].copy_from_slice(&self.bytes[..HEADER]);
            bytes[ENCODING_AT] = 0;
            dense::pack(&registers, &mut bytes[HEADER..]);
            *self = Sketch { bytes: Cow::Owned(bytes), encoding: Encoding::Dense };
        }
        Ok(())
    }

    /// Its bytes, if they are others than those that were read.
    pub fn into_changed(self) -> Option<Vec<u8>> {
        match self.bytes {
            Cow::Borrowed(_) => None,
            Cow::Owned(bytes) => Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests;
