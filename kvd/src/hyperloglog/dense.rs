//! Dense registers: six bits each, four in three bytes, from the least significant bit on.

use super::Registers;
use super::estimate::Histogram;

const BITS: usize = 6;
const MASK: u32 = (1 << BITS) - 1;

/// One register.
pub(super) fn get(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = (index * BITS / 8, index * BITS % 8);
    // The last register ends with the last byte.
    let pair = u16::from_le_bytes([registers[at], registers.get(at + 1).copied().unwrap_or(0)]);
    (pair >> shift) as u8 & MASK as u8
}

/// Changes one register.
pub(super) fn set(registers: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index * BITS / 8, index * BITS % 8);
    let (mask, value) = ((MASK as u16) << shift, u16::from(value) << shift);
    let [low_mask, high_mask] = mask.to_le_bytes();
    let [low, high] = value.to_le_bytes();
    registers[at] = registers[at] & !low_mask | low;
    if let Some(byte) = registers.get_mut(at + 1) {
        *byte = *byte & !high_mask | high;
    }
}

/// All registers, four at a time.
pub(super) fn fours(registers: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    registers.as_chunks::<3>().0.iter().map(|&[a, b, c]| {
        let word = u32::from_le_bytes([a, b, c, 0]);
        [0, BITS, 2 * BITS, 3 * BITS].map(|shift| (word >> shift & MASK) as u8)
    })
}

/// Writes all registers.
pub(super) fn pack(from: &Registers, into: &mut [u8]) {
    for (four, bytes) in from.fours().zip(into.as_chunks_mut::<3>().0) {
        let word = four.iter().rev().fold(0, |word, &register| word << BITS | u32::from(register));
        bytes.copy_from_slice(&word.to_le_bytes()[..3]);
    }
}

/// How many registers have each value.
pub(super) fn histogram(registers: &[u8]) -> Histogram {
    // Registers next to each other are often equal: in one table each count would wait for the one before.
    let mut tables = [[0_u32; 1 << BITS]; 4];
    for four in fours(registers) {
        for (table, register) in tables.iter_mut().zip(four) {
            table[usize::from(register)] += 1;
        }
    }
    std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum())
}
