//! A packed set of any members: one walk to find a member, one splice to change it.

use super::{ELEMENTS_AT, Limits, Malformed, Outgrown, Slot, tag};
use crate::value::MAX_PACKED;
use crate::value::element::{element_bytes, read_element};
use crate::value::packed::{all_different, count, elements, set_count};

#[inline]
pub(super) fn is_set(packed: &[u8]) -> bool {
    packed.len() >= ELEMENTS_AT && packed[0] == tag::SET_PACKED
}

/// Members in order, of which each is followed by what comes after it.
#[inline]
fn walk(packed: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = elements(packed);
    std::iter::from_fn(move || {
        let next = read_element(rest)?;
        rest = next.1;
        Some(next)
    })
}

/// Members in order.
#[inline]
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (member, after) = read_element(rest)?;
    *rest = after;
    Some(member)
}

/// Whether an image is that of a packed set.
pub(super) fn check(image: &[u8]) -> Result<(), Malformed> {
    let found = walk(image).count();
    let end = walk(image).last().map_or(elements(image).len(), |(_, rest)| rest.len());
    let whole = is_set(image) && image.len() <= MAX_PACKED && found == count(image) && end == 0;
    let members = walk(image).map(|(member, _)| member);
    (whole && all_different(members, found)).then_some(()).ok_or(Malformed)
}

#[inline]
pub(super) fn contains(packed: &[u8], member: &[u8]) -> bool {
    walk(packed).any(|(other, _)| other == member)
}

/// Adds a member, which comes with its length too.
pub(super) fn add(slot: &mut impl Slot, member: &[u8], element: &[u8], limits: &Limits) -> Result<bool, Outgrown> {
    let packed = slot.packed();
    if contains(packed, member) {
        return Ok(false);
    }
    let (end, count) = (packed.len(), count(packed) + 1);
    if count > limits.set_max_listpack_entries
        || member.len() > limits.set_max_listpack_value
        || end + element.len() > MAX_PACKED
    {
        return Err(Outgrown);
    }
    slot.splice(end, 0, element);
    set_count(slot, count);
    Ok(true)
}

pub(super) fn remove(slot: &mut impl Slot, member: &[u8]) -> bool {
    let packed = slot.packed();
    let Some((_, rest)) = walk(packed).find(|(other, _)| *other == member) else { return false };
    let (end, bytes) = (packed.len() - rest.len(), element_bytes(member.len()));
    let count = count(packed).saturating_sub(1);
    slot.splice(end - bytes, bytes, &[]);
    set_count(slot, count);
    true
}
