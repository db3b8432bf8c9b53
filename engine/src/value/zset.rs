//! Sorted sets: members with scores, in the order of the scores; equal scores in the order of the members' bytes.
//!
//! * Small ones are packed ([`packed`]): score and member, sorted. Large ones are a [`Zset`]: a hash table of members
//!   and a tree over them.
//! * A score is never NaN. -0.0 is kept as it was given, and equals 0.0.
//! * A large one never becomes small again.

mod large;
mod packed;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use super::element::{element_bytes, push_element, read_element};
use super::score::{check_score, push_score, read_score, score_bytes};
use super::{Limits, MAX_PACKED, Malformed, Object, Outcome, Slot, op, tag};

pub use large::Zset;
pub(super) use packed::len;
pub use view::{ZsetIter, ZsetIterBack, ZsetView};

/// A score and a member.
type Entry<'a> = (f64, &'a [u8]);

pub(super) fn apply(slot: &mut impl Slot, code: u8, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    if slot.object().is_none() && packed::tag(slot.packed()) != tag::ZSET_PACKED {
        return Err(Malformed);
    }
    match code {
        op::ZSET_ADD => add(slot, operands, limits),
        op::ZSET_REMOVE => remove(slot, operands),
        _ => Err(Malformed),
    }
}

/// Checks an image; the object it is, if it is not packed.
pub(super) fn load(image: &[u8]) -> Result<Option<Object>, Malformed> {
    match image.split_first() {
        Some((&tag::ZSET_PACKED, _)) => packed::check(image).map(|()| None),
        Some((&tag::ZSET_TREE, elements)) => Ok(Some(Object::Zset(Zset::load(elements)?))),
        _ => Err(Malformed),
    }
}

fn add(slot: &mut impl Slot, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    let mut pairs = 0;
    let mut rest = operands;
    while !rest.is_empty() {
        rest = check_entry(rest).ok_or(Malformed)?.1;
        pairs += 1;
    }
    // So many at once are hardly all there already, and one after the other would be packed in vain.
    let many = pairs > limits.zset_max_listpack_entries;
    let mut outcome = Outcome::default();
    let mut rest = operands;
    while let Some(((score, member), behind)) = read_entry(rest) {
        let done = match slot.object() {
            None => add_packed(slot, score, member, many, limits)?,
            Some(_) => large(slot)?.add(score, member),
        };
        outcome.added += u64::from(done == Added::New);
        outcome.changed += u64::from(done != Added::Nothing);
        rest = behind;
    }
    Ok(outcome)
}

/// Adds to a packed one, which is made large when it holds no more, or is about to with so `many` to come. What changes
/// nothing makes nothing large, for it need not be logged.
fn add_packed(
    slot: &mut impl Slot,
    score: f64,
    member: &[u8],
    many: bool,
    limits: &Limits,
) -> Result<Added, Malformed> {
    let found = packed::find(slot.packed(), score, member);
    if found.present.is_some_and(|(_, _, old)| old == score) {
        return Ok(Added::Nothing);
    }
    let old_bytes = found.present.map_or(0, |(_, length, _)| length);
    let bytes = slot.packed().len() - old_bytes + entry_bytes((score, member));
    let may_be_packed = found.present.is_some()
        || len(slot.packed()) < limits.zset_max_listpack_entries && member.len() <= limits.zset_max_listpack_value;
    let fits = may_be_packed && bytes <= MAX_PACKED;
    if many || !fits {
        make_large(slot)?;
        return Ok(large(slot)?.add(score, member));
    }
    Ok(packed::put(slot, found, score, member))
}

fn remove(slot: &mut impl Slot, operands: &[u8]) -> Result<Outcome, Malformed> {
    let mut rest = operands;
    while !rest.is_empty() {
        rest = read_element(rest).ok_or(Malformed)?.1;
    }
    let mut removed = 0;
    let mut rest = operands;
    while let Some((member, behind)) = read_element(rest) {
        removed += u64::from(match slot.object_mut() {
            None => packed::remove(slot, member),
            Some(Object::Zset(zset)) => zset.remove(member),
            Some(_) => return Err(Malformed),
        });
        rest = behind;
    }
    Ok(Outcome { added: 0, changed: removed })
}

fn make_large(slot: &mut impl Slot) -> Result<(), Malformed> {
    let zset = Zset::load(slot.packed().get(packed::ELEMENTS_AT..).ok_or(Malformed)?)?;
    slot.become_object(Object::Zset(zset));
    Ok(())
}

fn large(slot: &mut impl Slot) -> Result<&mut Zset, Malformed> {
    match slot.object_mut() {
        Some(Object::Zset(zset)) => Ok(zset),
        _ => Err(Malformed),
    }
}

/// What adding a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    New,
    Rescored,
    Nothing,
}

/// A score and a member that have been checked, and what comes after them. `None` when there are none.
#[inline]
fn read_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (score, rest) = read_score(bytes)?;
    let (member, rest) = read_element(rest)?;
    Some(((score, member), rest))
}

/// The same of bytes that may be anything. `None` when they are no entry in its one form.
#[inline]
fn check_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (score, rest) = check_score(bytes)?;
    let (member, rest) = read_element(rest)?;
    Some(((score, member), rest))
}

fn push_entry(into: &mut Vec<u8>, (score, member): Entry<'_>) {
    push_score(into, score);
    push_element(into, member);
}

/// Bytes of an entry.
#[inline]
fn entry_bytes((score, member): Entry<'_>) -> usize {
    score_bytes(score) + element_bytes(member.len())
}

/// Whether an entry comes before a place. Scores are no NaN.
#[inline]
fn is_before(entry: Entry<'_>, place: Entry<'_>) -> bool {
    entry.0 < place.0 || entry.0 == place.0 && entry.1 < place.1
}
