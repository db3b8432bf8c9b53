//! Sparse registers: runs of equal ones, in the order of the registers.
//!
//! ```text
//!  00llllll            l + 1 registers of 0, up to 64
//!  01llllll llllllll   l + 1 registers of 0, up to 16,384
//!  1vvvvvll            l + 1 registers of v + 1, up to 4 registers and 32
//! ```

use std::borrow::Cow;

use super::estimate::Histogram;
use super::{CACHE_FLAG_AT, CACHE_STALE, HEADER, Invalid, Place, REGISTERS};

const LONG_ZEROS: u8 = 0x40;
const VALUE: u8 = 0x80;
const SHORT_ZEROS_MOST: usize = 64;
const VALUE_MOST: u8 = 32;
const VALUES_MOST: usize = 4;

/// Runs that are looked at from the one before a change on, to be made one with the next.
const MERGE_RUNS: usize = 5;

/// Equal registers beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they hold.
    pub value: u8,
    /// How many they are.
    pub registers: usize,
    /// Bytes it is written with.
    pub bytes: usize,
}

impl Run {
    /// The run at the beginning of these bytes, of which there is one. The second byte of a run that is cut short is
    /// taken for 0, as Redis does, whose strings end with one.
    fn read(bytes: &[u8]) -> Run {
        let first = bytes[0];
        let low = usize::from(first & !(VALUE | LONG_ZEROS));
        if first & VALUE != 0 {
            Run { value: (first >> 2 & 0x1f) + 1, registers: usize::from(first & 3) + 1, bytes: 1 }
        } else if first & LONG_ZEROS != 0 {
            let second = bytes.get(1).copied().unwrap_or(0);
            Run { value: 0, registers: (low << 8 | usize::from(second)) + 1, bytes: 2 }
        } else {
            Run { value: 0, registers: low + 1, bytes: 1 }
        }
    }
}

/// Puts a run behind others. It is not longer than one run can be.
pub(super) fn push(bytes: &mut Vec<u8>, value: u8, registers: usize) {
    let length = registers - 1;
    if value != 0 {
        bytes.push(VALUE | (value - 1) << 2 | length as u8);
    } else if registers <= SHORT_ZEROS_MOST {
        bytes.push(length as u8);
    } else {
        bytes.extend_from_slice(&[LONG_ZEROS | (length >> 8) as u8, length as u8]);
    }
}

/// The runs of a sketch and where they begin in it.
pub(super) fn runs(sketch: &[u8]) -> impl Iterator<Item = (usize, Run)> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = Run::read(sketch.get(at..).filter(|rest| !rest.is_empty())?);
        at += run.bytes;
        Some((at - run.bytes, run))
    })
}

/// How many registers have each value.
pub(super) fn histogram(sketch: &[u8]) -> Result<Histogram, Invalid> {
    let mut histogram = [0; 64];
    let mut total = 0;
    for (_, run) in runs(sketch) {
        histogram[usize::from(run.value)] += run.registers as u32;
        total += run.registers;
    }
    if total == REGISTERS { Ok(histogram) } else { Err(Invalid::Corrupted) }
}

/// What came of an element.
pub(super) enum Raised {
    /// A register was raised.
    Changed,
    /// The register had been as high before.
    Unchanged,
    /// It can only be written with six bits a register.
    DoesNotFit,
}

/// Raises the register at a place, by taking its run apart.
pub(super) fn raise(sketch: &mut Cow<'_, [u8]>, place: Place, most_bytes: usize) -> Result<Raised, Invalid> {
    if place.zeros > VALUE_MOST {
        return Ok(Raised::DoesNotFit);
    }
    let Found { at, run, first, before } = find(sketch, place.register).ok_or(Invalid::Corrupted)?;
    if run.value >= place.zeros {
        return Ok(Raised::Unchanged);
    }
    let mut parts = Vec::with_capacity(5);
    let (left, right) = (place.register - first, first + run.registers - 1 - place.register);
    if left != 0 {
        push(&mut parts, run.value, left);
    }
    push(&mut parts, place.zeros, 1);
    if right != 0 {
        push(&mut parts, run.value, right);
    }
    if parts.len() > run.bytes && sketch.len() + parts.len() - run.bytes > most_bytes {
        return Ok(Raised::DoesNotFit);
    }
    let bytes = sketch.to_mut();
    let end = bytes.len().min(at + run.bytes);
    bytes.splice(at..end, parts);
    merge(bytes, before);
    bytes[CACHE_FLAG_AT] |= CACHE_STALE;
    Ok(Raised::Changed)
}

/// The run that a register is in.
struct Found {
    at: usize,
    run: Run,
    /// Its first register.
    first: usize,
    /// Where the run before it begins, or itself.
    before: usize,
}

fn find(sketch: &[u8], register: usize) -> Option<Found> {
    let (mut first, mut before) = (0, HEADER);
    for (at, run) in runs(sketch) {
        if register < first + run.registers {
            return Some(Found { at, run, first, before });
        }
        first += run.registers;
        before = at;
    }
    None
}

/// Makes runs of the same value one, from here on, as far as Redis looks.
fn merge(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..MERGE_RUNS {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return };
        let run = Run::read(rest);
        let next = rest.get(run.bytes..).filter(|rest| !rest.is_empty()).map(Run::read);
        match next {
            Some(next)
                if run.value != 0 && next.value == run.value && run.registers + next.registers <= VALUES_MOST =>
            {
                let mut merged = Vec::with_capacity(1);
                push(&mut merged, run.value, run.registers + next.registers);
                bytes.splice(at..at + 2, merged);
            }
            _ => at += run.bytes,
        }
    }
}
