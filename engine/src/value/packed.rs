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

/// Gives an image in parts: `tag` leads the first, `code` the others, which are operations that take the same operands. A part
/// is no longer than `part_bytes`, unless it is one element.
pub(super) fn emit_parts<T>(
    (tag, code): (u8, u8),
    part_bytes: usize,
    elements: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
    emit: &mut dyn FnMut(&[u8]),
) {
    let mut part = vec![tag];
    for element in elements {
        let before = part.len();
        push(&mut part, element);
        if before > 1 && part.len() > part_bytes {
            emit(&part[..before]);
            part.drain(..before);
            part.insert(0, code);
        }
    }
    emit(&part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_element_or_no_longer_than_it_may_be() {
        for part_bytes in 1..12 {
            let elements: [&[u8]; 6] = [b"aaa", b"bbb", b"cccccccccc", b"d", b"e", b"ffffffff"];
            let mut parts = Vec::new();
            let push = |part: &mut Vec<u8>, element: &[u8]| part.extend_from_slice(element);
            emit_parts((7, 9), part_bytes, elements.iter().copied(), push, &mut |part| parts.push(part.to_vec()));
            assert_eq!(parts[0][0], 7);
            assert!(parts[1..].iter().all(|part| part[0] == 9));
            assert_eq!(parts.iter().flat_map(|part| &part[1..]).copied().collect::<Vec<_>>(), elements.concat());
            assert!(parts.iter().all(|part| part.len() <= part_bytes || elements.contains(&&part[1..])), "{parts:?}");
        }
    }
}
