//! What packed values have in common: the tag and the count before the elements, and images given in parts.

use std::collections::HashSet;

use super::element::read_element;
use super::{Malformed, Slot};

/// Where the elements begin.
pub(super) const ELEMENTS_AT: usize = 3;
pub(super) const COUNT_AT: usize = 1;

/// The tag; 0, which none is, when there are no bytes.
#[inline]
pub(super) fn tag(packed: &[u8]) -> u8 {
    packed.first().copied().unwrap_or(0)
}

/// Elements, as the count says.
#[inline]
pub(super) fn count(packed: &[u8]) -> usize {
    match packed {
        [_, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => 0,
    }
}

/// What follows the count.
#[inline]
pub(super) fn elements(packed: &[u8]) -> &[u8] {
    packed.get(ELEMENTS_AT..).unwrap_or_default()
}

/// Writes another count. Packed values are too short for more elements than it holds.
#[inline]
pub(super) fn set_count(slot: &mut impl Slot, count: usize) {
    slot.splice(COUNT_AT, 2, &(count as u16).to_le_bytes());
}

/// Whether no two are the same.
pub(super) fn all_different<'a>(elements: impl Iterator<Item = &'a [u8]>, count: usize) -> bool {
    let mut seen: HashSet<&[u8], rapidhash::fast::RandomState> =
        HashSet::with_capacity_and_hasher(count, Default::default());
    let mut elements = elements;
    elements.all(|element| seen.insert(element))
}

/// Calls for each element of operands that are nothing but elements: with its bytes, and with its length before them.
#[inline]
pub(super) fn each_element(
    mut operands: &[u8],
    mut call: impl FnMut(&[u8], &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !operands.is_empty() {
        let (element, rest) = read_element(operands).ok_or(Malformed)?;
        call(element, &operands[..operands.len() - rest.len()])?;
        operands = rest;
    }
    Ok(())
}

/// Gives an image in parts: `tag` leads the first, `code` the others, which are operations that take the same operands.
pub(super) fn emit_parts<T>(
    (tag, code): (u8, u8),
    part_bytes: usize,
    elements: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
    emit: &mut dyn FnMut(&[u8]),
) {
    let mut part = vec![tag];
    for element in elements {
        if part.len() > 1 && part.len() >= part_bytes {
            emit(&part);
            part.clear();
            part.push(code);
        }
        push(&mut part, element);
    }
    emit(&part);
}
