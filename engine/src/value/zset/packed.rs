//! Small sorted sets: a score and a member for each entry, sorted.

use std::collections::BTreeSet;

use super::super::packed::{self, count, elements, set_count};
use super::super::scratch::with_scratch;
use super::super::{MAX_PACKED, Malformed, Slot};
use super::{Added, check_entry, entry_bytes, is_before, push_entry, push_score, read_entry, score_bytes};

pub(super) use packed::{ELEMENTS_AT, tag};

pub(in crate::value) fn len(packed: &[u8]) -> usize {
    count(packed)
}

/// Where a member is, and where one of that score would be.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The byte before which an entry of that score and member lies or would lie.
    pub(super) place: usize,
    /// Its first byte, its length and its score, when the member is there.
    pub(super) present: Option<(usize, usize, f64)>,
}

/// Looks for a member.
#[inline]
pub(super) fn find(packed: &[u8], score: f64, member: &[u8]) -> Found {
    let (mut place, mut present, mut at) = (packed.len(), None, ELEMENTS_AT);
    for (other, name) in entries(packed) {
        let length = entry_bytes((other, name));
        if name == member {
            present = Some((at, length, other));
        }
        if place == packed.len() && !is_before((other, name), (score, member)) {
            place = at;
        }
        if present.is_some() && place < packed.len() {
            break;
        }
        at += length;
    }
    Found { place, present }
}

/// Adds a member that was looked for, or gives it another score.
pub(super) fn put(slot: &mut impl Slot, found: Found, score: f64, member: &[u8]) -> Added {
    let Some((at, length, old)) = found.present else {
        let count = count(slot.packed()) + 1;
        with_scratch(|entry| {
            push_entry(entry, (score, member));
            slot.splice(found.place, 0, entry);
        });
        set_count(slot, count);
        return Added::New;
    };
    let end = at + length;
    if (at..=end).contains(&found.place) {
        with_scratch(|bytes| {
            push_score(bytes, score);
            slot.splice(at, score_bytes(old), bytes);
        });
        return Added::Rescored;
    }
    // The entry changes places with all those between.
    with_scratch(|moved| {
        let packed = slot.packed();
        let (from, to) = if found.place < at { (found.place, end) } else { (at, found.place) };
        if found.place > at {
            moved.extend_from_slice(&packed[end..to]);
        }
        push_score(moved, score);
        moved.extend_from_slice(&packed[at + score_bytes(old)..end]);
        if found.place < at {
            moved.extend_from_slice(&packed[from..at]);
        }
        slot.splice(from, to - from, moved);
    });
    Added::Rescored
}

/// Takes a member out, if it is there.
pub(super) fn remove(slot: &mut impl Slot, member: &[u8]) -> bool {
    let (mut at, count) = (ELEMENTS_AT, count(slot.packed()));
    for (score, name) in entries(slot.packed()) {
        let length = entry_bytes((score, name));
        if name == member {
            slot.splice(at, length, &[]);
            set_count(slot, count - 1);
            return true;
        }
        at += length;
    }
    false
}

/// Checks an image.
pub(super) fn check(image: &[u8]) -> Result<(), Malformed> {
    if image.len() > MAX_PACKED || image.len() < ELEMENTS_AT {
        return Err(Malformed);
    }
    let mut members = BTreeSet::new();
    let (mut rest, mut last) = (elements(image), None);
    while !rest.is_empty() {
        let (entry, behind) = check_entry(rest).ok_or(Malformed)?;
        if last.is_some_and(|last| !is_before(last, entry)) || !members.insert(entry.1) {
            return Err(Malformed);
        }
        (rest, last) = (behind, Some(entry));
    }
    if members.len() == count(image) { Ok(()) } else { Err(Malformed) }
}

/// All entries in order.
#[inline]
pub(super) fn entries(packed: &[u8]) -> Entries<'_> {
    Entries(elements(packed))
}

/// Entries of packed bytes.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (f64, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(f64, &'a [u8])> {
        let (entry, rest) = read_entry(self.0)?;
        self.0 = rest;
        Some(entry)
    }
}
