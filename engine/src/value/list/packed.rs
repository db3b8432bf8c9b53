//! Small lists: entries in the packed bytes, edited by one splice, and another where the count lies apart.

use std::ops::Range;

use super::super::packed::{self, COUNT_AT, ELEMENTS_AT, count, elements, set_count};
use super::super::scratch::with_scratch;
use super::super::{MAX_PACKED, Malformed, Slot};
use super::entry::{check as check_entries, entry_bytes, first, offset, write_entry};
use super::{Elements, End, Runs};

pub(super) use packed::{elements as entries, tag};

pub(in crate::value) fn len(packed: &[u8]) -> usize {
    count(packed)
}

/// Checks an image.
pub(super) fn check(image: &[u8]) -> Result<(), Malformed> {
    let whole = (ELEMENTS_AT..=MAX_PACKED).contains(&image.len());
    if whole && check_entries(elements(image)) == Some(count(image)) { Ok(()) } else { Err(Malformed) }
}

/// Adds elements, which there is room for.
pub(super) fn push(slot: &mut impl Slot, elements: Elements<'_>, end: End) {
    let (count, bytes) = (count(slot.packed()) + elements.count, elements.entry_bytes);
    with_scratch(|written| match end {
        End::Back => {
            written.resize(bytes, 0);
            let mut at = 0;
            for element in elements {
                let size = entry_bytes(element.len());
                write_entry(&mut written[at..at + size], element);
                at += size;
            }
            slot.splice(slot.packed().len(), 0, written);
            set_count(slot, count);
        }
        End::Front => {
            // The count lies just before, so it goes along. The last element given is the first of the list.
            written.resize(2 + bytes, 0);
            written[..2].copy_from_slice(&(count as u16).to_le_bytes());
            let mut at = written.len();
            for element in elements {
                let size = entry_bytes(element.len());
                write_entry(&mut written[at - size..at], element);
                at -= size;
            }
            slot.splice(COUNT_AT, 2, written);
        }
    });
}

/// Takes out what there is of `n` elements at an end. How many.
pub(super) fn pop(slot: &mut impl Slot, n: usize, end: End) -> usize {
    let len = count(slot.packed());
    match end {
        End::Front => remove(slot, 0, n),
        End::Back => remove(slot, len - n.min(len), n),
    }
}

/// The bytes of `n` elements from a start on, if there are that many.
pub(super) fn range(packed: &[u8], start: usize, n: usize) -> Option<Range<usize>> {
    let (count, entries) = (count(packed), elements(packed));
    let end = start.checked_add(n).filter(|&end| end <= count)?;
    let first = offset(entries, count, start);
    let behind = if n == 0 { first } else { first + offset(&entries[first..], count - start, end - start) };
    Some(ELEMENTS_AT + first..ELEMENTS_AT + behind)
}

pub(super) fn set(slot: &mut impl Slot, range: Range<usize>, element: &[u8]) {
    with_scratch(|written| {
        written.resize(entry_bytes(element.len()), 0);
        write_entry(written, element);
        slot.splice(range.start, range.len(), written);
    });
}

pub(super) fn insert(slot: &mut impl Slot, at: usize, element: &[u8]) {
    let count = count(slot.packed()) + 1;
    set(slot, at..at, element);
    set_count(slot, count);
}

/// Takes out what there is of `n` elements. How many.
pub(super) fn remove(slot: &mut impl Slot, start: usize, n: usize) -> usize {
    let len = count(slot.packed());
    let n = n.min(len.saturating_sub(start));
    let Some(range) = range(slot.packed(), start, n).filter(|range| !range.is_empty()) else { return 0 };
    let count = ((len - n) as u16).to_le_bytes();
    if start == 0 {
        slot.splice(COUNT_AT, 2 + range.len(), &count);
    } else {
        slot.splice(range.start, range.len(), &[]);
        slot.splice(COUNT_AT, 2, &count);
    }
    n
}

/// Takes out what there is of many runs in one pass. How many.
pub(super) fn remove_runs(slot: &mut impl Slot, mut runs: Runs<'_>) -> usize {
    let len = count(slot.packed());
    with_scratch(|kept| {
        kept.extend_from_slice(&[0; 2]);
        let (mut rest, mut left) = (elements(slot.packed()), 0_u16);
        for index in 0..len {
            let Some((_, behind)) = first(rest) else { break };
            if runs.keeps(index) {
                kept.extend_from_slice(&rest[..rest.len() - behind.len()]);
                left += 1;
            }
            rest = behind;
        }
        kept[..2].copy_from_slice(&left.to_le_bytes());
        slot.splice(COUNT_AT, slot.packed().len() - COUNT_AT, kept);
        len - usize::from(left)
    })
}
