//! Sets: members in one of three ways.
//!
//! ```text
//!   6 │ count │ width │ integer …   packed: little-endian, 2, 4 or 8 bytes each, ascending
//!   7 │ count │ member …            packed
//!   8 │         member …            image of a table
//! ```
//!
//! A set of integers, which are members whose decimal spelling is the canonical one of an `i64`, stays one until
//! another member comes, or too many. An operation that adds no member does not change how it is kept either: it will
//! not be in the log. Else when a set becomes what, follows `setTypeAddAux`, `setTypeCreate` and
//! `setTypeMaybeConvert` of Redis 7.4. Packed members stand in the order in which they came; those of a table as in
//! [`Dense`].

mod ints;
mod packed;
mod view;

use super::dense::{self, Dense, Element};
use super::element::{element_bytes, push_element, read_element};
use super::packed::{ELEMENTS_AT, count, each_element, emit_parts};
use super::{Limits, Malformed, Object, Outcome, Slot, op, tag};

pub use self::view::{Member, Members, SetView};

/// A set in a table.
#[derive(Debug, Default)]
pub struct Set {
    members: Dense,
    operand_bytes: usize,
}

/// A packed set that cannot take a member within the limits.
struct Outgrown;

pub(super) fn apply(slot: &mut impl Slot, code: u8, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    match slot.object() {
        None if !ints::is_ints(slot.packed()) && !packed::is_set(slot.packed()) => return Err(Malformed),
        Some(object) if !matches!(object, Object::Set(_)) => return Err(Malformed),
        _ => {}
    }
    match code {
        op::SET_ADD => add(slot, operands, limits),
        op::SET_REMOVE => remove(slot, operands),
        _ => Err(Malformed),
    }
}

pub(super) fn load(image: &[u8]) -> Result<Option<Object>, Malformed> {
    match image.split_first() {
        Some((&tag::SET_INTS, _)) => ints::check(image).map(|()| None),
        Some((&tag::SET_PACKED, _)) => packed::check(image).map(|()| None),
        Some((&tag::SET_TABLE, members)) => {
            let mut set = Set::default();
            each_element(members, |member, _| set.add(member).then_some(()).ok_or(Malformed))?;
            Ok(Some(Object::Set(set)))
        }
        _ => Err(Malformed),
    }
}

fn add(slot: &mut impl Slot, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    let many = slot.object().is_none() && prepare(slot, operands, limits);
    let mut outcome = Outcome::default();
    each_element(operands, |member, element| {
        let added = match table(slot) {
            Some(set) => set.add(member),
            None => match add_packed(slot, member, element, many, limits) {
                Ok(added) => added,
                Err(Outgrown) => become_table(slot)?.add(member),
            },
        };
        outcome.added += u64::from(added);
        outcome.changed += u64::from(added);
        Ok(())
    })?;
    Ok(outcome)
}

fn remove(slot: &mut impl Slot, operands: &[u8]) -> Result<Outcome, Malformed> {
    let mut outcome = Outcome::default();
    each_element(operands, |member, _| {
        let removed = match table(slot) {
            Some(set) => set.remove(member),
            None => remove_packed(slot, member),
        };
        outcome.changed += u64::from(removed);
        Ok(())
    })?;
    Ok(outcome)
}

/// Whether more members come than the packed set may have, of which Redis takes it that most are different ones. What
/// a new set begins as depends on the first of them too.
fn prepare(slot: &mut impl Slot, operands: &[u8], limits: &Limits) -> bool {
    let Some((first, mut rest)) = read_element(operands) else { return false };
    let mut coming = 1;
    while let Some((_, after)) = read_element(rest) {
        coming += 1;
        rest = after;
    }
    let packed = slot.packed();
    if !ints::is_ints(packed) {
        return coming > limits.set_max_listpack_entries;
    }
    let many = coming > limits.set_max_intset_entries;
    if count(packed) > 0 || (!many && ints::parse(first).is_some()) {
        return many;
    }
    if coming > limits.set_max_listpack_entries {
        return true;
    }
    let before = packed.len();
    slot.splice(0, before, &[tag::SET_PACKED, 0, 0]);
    false
}

fn add_packed(
    slot: &mut impl Slot,
    member: &[u8],
    element: &[u8],
    many: bool,
    limits: &Limits,
) -> Result<bool, Outgrown> {
    if many {
        let contained = SetView::new(slot.packed(), None).contains(member);
        return if contained { Ok(false) } else { Err(Outgrown) };
    }
    if ints::is_ints(slot.packed()) {
        if let Some(integer) = ints::parse(member) {
            return ints::add(slot, integer, limits);
        }
        ints::become_packed(slot, member, limits)?;
    }
    packed::add(slot, member, element, limits)
}

fn remove_packed(slot: &mut impl Slot, member: &[u8]) -> bool {
    if ints::is_ints(slot.packed()) { ints::remove(slot, member) } else { packed::remove(slot, member) }
}

fn table(slot: &mut impl Slot) -> Option<&mut Set> {
    match slot.object_mut() {
        Some(Object::Set(set)) => Some(set),
        _ => None,
    }
}

fn become_table(slot: &mut impl Slot) -> Result<&mut Set, Malformed> {
    let mut set = Set::default();
    for member in SetView::new(slot.packed(), None).iter() {
        set.add(member.as_bytes(&mut [0; 20]));
    }
    slot.become_object(Object::Set(set));
    table(slot).ok_or(Malformed)
}

impl Set {
    pub(in crate::value) fn prefetch<'n>(&self, members: impl Iterator<Item = &'n [u8]>) {
        self.members.prefetch(members);
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn image_bytes(&self) -> usize {
        1 + self.operand_bytes
    }

    pub(super) fn memory(&self) -> usize {
        self.members.memory()
    }

    pub(super) fn image_parts(&self, part_bytes: usize, emit: &mut dyn FnMut(&[u8])) {
        let push = |part: &mut Vec<u8>, member: &Element| push_element(part, member.key());
        emit_parts((tag::SET_TABLE, op::SET_ADD), part_bytes, self.members.iter(), push, emit);
    }

    fn add(&mut self, member: &[u8]) -> bool {
        let hash = dense::hash(member);
        if self.members.find(hash, member).is_some() {
            return false;
        }
        self.members.insert_hashed(hash, member, &[], None);
        self.operand_bytes += element_bytes(member.len());
        true
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let Some(number) = self.members.get(member) else { return false };
        self.members.swap_remove(number);
        self.operand_bytes -= element_bytes(member.len());
        true
    }
}

#[cfg(test)]
mod tests;
