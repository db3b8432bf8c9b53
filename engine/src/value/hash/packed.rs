//! A packed hash: one walk to find a field, one splice to change it.

use super::{Effect, Limits, Malformed, Outgrown, Pair, Slot, tag};
use crate::value::MAX_PACKED;
use crate::value::element::{push_element, read_element, read_number};
use crate::value::packed::{self, ELEMENTS_AT, all_different, count, set_count};

const DEADLINE_BYTES: usize = size_of::<u64>();

/// A field and where it lies.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) field: &'a [u8],
    pub(super) value: &'a [u8],
    /// 0 for none.
    pub(super) deadline: u64,
    at: usize,
    value_at: usize,
    value_end: usize,
    end: usize,
}

/// Where a field lies, and its deadline.
struct Place {
    deadline: u64,
    at: usize,
    value_at: usize,
    value_end: usize,
    end: usize,
}

#[derive(Clone)]
pub(super) struct Entries<'a> {
    packed: &'a [u8],
    at: usize,
    with_deadlines: bool,
}

#[inline]
pub(super) fn is_hash(packed: &[u8]) -> bool {
    packed.len() >= ELEMENTS_AT && matches!(packed[0], tag::HASH_PACKED | tag::HASH_PACKED_TTL)
}

#[inline]
pub(super) fn has_deadlines(packed: &[u8]) -> bool {
    packed::tag(packed) == tag::HASH_PACKED_TTL
}

#[inline]
pub(super) fn entries(packed: &[u8]) -> Entries<'_> {
    Entries { packed, at: ELEMENTS_AT, with_deadlines: has_deadlines(packed) }
}

/// Whether an image is that of a packed hash.
pub(super) fn check(image: &[u8]) -> Result<(), Malformed> {
    let mut walk = entries(image);
    let found = walk.by_ref().count();
    let whole = is_hash(image) && image.len() <= MAX_PACKED && found == count(image) && walk.at == image.len();
    let fields = entries(image).map(|entry| entry.field);
    (whole && all_different(fields, found)).then_some(()).ok_or(Malformed)
}

#[inline]
pub(super) fn find<'a>(packed: &'a [u8], field: &[u8]) -> Option<Entry<'a>> {
    entries(packed).find(|entry| entry.field == field)
}

/// Sets a field; `many` says that others come with it, more than a packed hash may have.
pub(super) fn set(slot: &mut impl Slot, pair: &Pair<'_>, many: bool, limits: &Limits) -> Result<Effect, Outgrown> {
    let packed = slot.packed();
    let found = find(packed, pair.field);
    let before = found.map_or(0, |old| old.deadline);
    let deadline = pair.deadline.after(before);
    let same_value = found.is_some_and(|old| old.value == pair.value);
    if same_value && deadline == before {
        return Ok(Effect::Nothing);
    }
    let with_deadlines = has_deadlines(packed);
    let (count, bytes) = match &found {
        Some(old) => (count(packed), packed.len() - (old.value_end - old.value_at) + pair.value_element.len()),
        None => {
            (count(packed) + 1, packed.len() + pair.elements.len() + if with_deadlines { DEADLINE_BYTES } else { 0 })
        }
    };
    let crowded = many || (found.is_none() && count > limits.hash_max_listpack_entries);
    let long = pair.field.len().max(pair.value.len()) > limits.hash_max_listpack_value;
    if crowded || long || bytes > MAX_PACKED {
        return Err(Outgrown);
    }
    if deadline != 0 && !with_deadlines {
        add_deadlines(slot)?;
        return set(slot, pair, many, limits);
    }
    let Some(place) = found.map(|old| old.place()) else {
        let end = packed.len();
        slot.splice(end, 0, pair.elements);
        if with_deadlines {
            slot.splice(end + pair.elements.len(), 0, &deadline.to_le_bytes());
        }
        set_count(slot, count);
        return Ok(Effect::Added);
    };
    // The deadline first, as it lies behind the value, which may move it.
    if deadline != before {
        slot.splice(place.value_end, DEADLINE_BYTES, &deadline.to_le_bytes());
    }
    if !same_value {
        slot.splice(place.value_at, place.value_end - place.value_at, pair.value_element);
    }
    Ok(Effect::Altered)
}

pub(super) fn delete(slot: &mut impl Slot, field: &[u8]) -> bool {
    let packed = slot.packed();
    let Some(place) = find(packed, field).map(|entry| entry.place()) else { return false };
    let count = count(packed).saturating_sub(1);
    slot.splice(place.at, place.end - place.at, &[]);
    set_count(slot, count);
    true
}

pub(super) fn expire(slot: &mut impl Slot, field: &[u8], deadline: u64) -> Result<Effect, Outgrown> {
    let packed = slot.packed();
    let Some(place) = find(packed, field).map(|entry| entry.place()) else { return Ok(Effect::Nothing) };
    if place.deadline == deadline {
        return Ok(Effect::Nothing);
    }
    if !has_deadlines(packed) {
        add_deadlines(slot)?;
        return expire(slot, field, deadline);
    }
    slot.splice(place.value_end, DEADLINE_BYTES, &deadline.to_le_bytes());
    Ok(Effect::Altered)
}

/// Gives every field a deadline, none so far. There is no way back.
fn add_deadlines(slot: &mut impl Slot) -> Result<(), Outgrown> {
    let packed = slot.packed();
    let before = packed.len();
    let bytes = before + count(packed) * DEADLINE_BYTES;
    if bytes > MAX_PACKED {
        return Err(Outgrown);
    }
    let mut with_deadlines = Vec::with_capacity(bytes);
    with_deadlines.push(tag::HASH_PACKED_TTL);
    with_deadlines.extend_from_slice(&packed[1..ELEMENTS_AT]);
    for entry in entries(packed) {
        push_element(&mut with_deadlines, entry.field);
        push_element(&mut with_deadlines, entry.value);
        with_deadlines.extend_from_slice(&[0; DEADLINE_BYTES]);
    }
    slot.splice(0, before, &with_deadlines);
    Ok(())
}

impl Entry<'_> {
    fn place(&self) -> Place {
        let &Entry { deadline, at, value_at, value_end, end, .. } = self;
        Place { deadline, at, value_at, value_end, end }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let rest = self.packed.get(self.at..)?;
        let (field, at_value) = read_element(rest)?;
        let (value, at_deadline) = read_element(at_value)?;
        let (deadline, rest) = if self.with_deadlines { read_number(at_deadline)? } else { (0, at_deadline) };
        let length = self.packed.len();
        let at = self.at;
        self.at = length - rest.len();
        let (value_at, value_end) = (length - at_value.len(), length - at_deadline.len());
        Some(Entry { field, value, deadline, at, value_at, value_end, end: self.at })
    }
}
