//! An entry of a list: an element, then its length once more so that it can be read backwards.
//!
//! ```text
//!   ┌────────┬─────────┬────────┐
//!   │ length │ bytes … │ length │   up to 253: one byte each
//!   └────────┴─────────┴────────┘   else 254 u16 … u16 254, or 255 u32 … u32 255
//! ```

use super::super::element::{element_bytes, read_element};

const SHORT: usize = 253;
const TWO_BYTES: u8 = 254;
const FOUR_BYTES: u8 = 255;

/// Bytes of the entry of an element of this length.
#[inline]
pub(super) const fn entry_bytes(length: usize) -> usize {
    element_bytes(length) + tail_bytes(length)
}

/// Bytes of the length behind an element of this length.
#[inline]
pub(super) const fn tail_bytes(length: usize) -> usize {
    element_bytes(length) - length
}

/// Writes an entry. The bytes are exactly as many as it takes.
#[inline]
pub(super) fn write_entry(into: &mut [u8], element: &[u8]) {
    let (length, side) = (element.len(), tail_bytes(element.len()));
    let (head, rest) = into.split_at_mut(side);
    let (bytes, tail) = rest.split_at_mut(length);
    bytes.copy_from_slice(element);
    match side {
        1 => (head[0], tail[0]) = (length as u8, length as u8),
        3 => {
            (head[0], tail[2]) = (TWO_BYTES, TWO_BYTES);
            head[1..].copy_from_slice(&(length as u16).to_le_bytes());
            tail[..2].copy_from_slice(&(length as u16).to_le_bytes());
        }
        _ => {
            let length = u32::try_from(length).expect("an element below 4 GiB").to_le_bytes();
            (head[0], tail[4]) = (FOUR_BYTES, FOUR_BYTES);
            head[1..].copy_from_slice(&length);
            tail[..4].copy_from_slice(&length);
        }
    }
}

/// The first element, and the entries after it.
#[inline]
pub(super) fn first(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    match entries {
        [length, rest @ ..] if usize::from(*length) <= SHORT => {
            let (element, rest) = rest.split_at_checked(usize::from(*length))?;
            Some((element, rest.get(1..)?))
        }
        _ => first_long(entries),
    }
}

fn first_long(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let (element, rest) = read_element(entries)?;
    Some((element, rest.get(tail_bytes(element.len())..)?))
}

/// The last element, and the entries before it.
#[inline]
pub(super) fn last(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&form, rest) = entries.split_last()?;
    let (length, rest) = match form {
        TWO_BYTES => {
            let (rest, length) = rest.split_last_chunk()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        FOUR_BYTES => {
            let (rest, length) = rest.split_last_chunk()?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        length => (usize::from(length), rest),
    };
    let (rest, element) = rest.split_at_checked(rest.len().checked_sub(length)?)?;
    Some((element, rest.get(..rest.len().checked_sub(tail_bytes(length))?)?))
}

/// Where the entry of an index begins, of so many. Read from the end that is nearer.
#[inline]
pub(super) fn offset(entries: &[u8], count: usize, index: usize) -> usize {
    if index <= count / 2 {
        let mut rest = entries;
        for _ in 0..index {
            rest = first(rest).map_or(&[], |(_, behind)| behind);
        }
        entries.len() - rest.len()
    } else {
        let mut rest = entries;
        for _ in index..count {
            rest = last(rest).map_or(&[], |(_, before)| before);
        }
        rest.len()
    }
}

/// How many entries these are, if they are written as they should be.
pub(super) fn check(mut entries: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !entries.is_empty() {
        let (element, rest) = first(entries)?;
        // The way back must lead to the same bytes.
        let entry = &entries[..entries.len() - rest.len()];
        let (again, before) = last(entry)?;
        if again.len() != element.len() || !before.is_empty() {
            return None;
        }
        entries = rest;
        count += 1;
    }
    Some(count)
}
