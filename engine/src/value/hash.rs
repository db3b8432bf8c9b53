//! Hashes: fields with values, and a deadline for some.
//!
//! ```text
//!   3 │ count │ field value        │ …      packed, without deadlines
//!   4 │ count │ field value u64    │ …      packed, with deadlines in ms (0: none)
//!   5 │         field value u64    │ …      image of a table
//! ```
//!
//! A hash becomes a table when it gets more fields or longer ones than the limits say, and stays one. An operation that
//! changes no field does not make it one either: it will not be in the log. Packed fields
//! stand in the order in which they came; those of a table as in [`Dense`].

mod packed;
mod view;

use std::collections::BTreeSet;

use super::dense::{self, Dense, Element};
use super::element::{element_bytes, push_element, read_element, read_number};
use super::packed::{each_element, emit_parts};
use super::{Limits, Malformed, Object, Outcome, Slot, op, tag};

pub use self::view::{Field, Fields, HashView};

/// What one deadline takes in the tree of deadlines, about: nodes of 192 bytes for eleven of them, two thirds full.
const DEADLINE_MEMORY: usize = 28;

/// A hash in a table.
#[derive(Debug, Default)]
pub struct Hash {
    fields: Dense,
    /// Deadlines with the numbers of their fields: the least is the first.
    deadlines: BTreeSet<(u64, u32)>,
    operand_bytes: usize,
}

/// What happens to a field's deadline when the field is set.
#[derive(Clone, Copy)]
enum Deadline {
    Keep,
    /// 0 for none.
    Become(u64),
}

/// A field that is set, as it stands in an operation.
#[derive(Clone, Copy)]
struct Pair<'a> {
    field: &'a [u8],
    value: &'a [u8],
    deadline: Deadline,
    /// The value with its length.
    value_element: &'a [u8],
    /// Both with their lengths.
    elements: &'a [u8],
}

/// What became of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Nothing,
    Altered,
    Added,
}

/// A packed hash that cannot take a change within the limits.
struct Outgrown;

pub(super) fn apply(slot: &mut impl Slot, code: u8, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    match slot.object() {
        None if !packed::is_hash(slot.packed()) => return Err(Malformed),
        Some(object) if !matches!(object, Object::Hash(_)) => return Err(Malformed),
        _ => {}
    }
    match code {
        op::HASH_SET | op::HASH_SET_KEEP | op::HASH_LOAD => set(slot, code, operands, limits),
        op::HASH_DELETE => delete(slot, operands),
        op::HASH_EXPIRE => expire(slot, operands),
        _ => Err(Malformed),
    }
}

pub(super) fn load(image: &[u8]) -> Result<Option<Object>, Malformed> {
    let Some((&tag::HASH_TABLE, mut rest)) = image.split_first() else {
        return packed::check(image).map(|()| None);
    };
    let mut hash = Hash::default();
    while !rest.is_empty() {
        let (pair, after) = Pair::read(rest, op::HASH_LOAD).ok_or(Malformed)?;
        if hash.set(&pair) != Effect::Added {
            return Err(Malformed);
        }
        rest = after;
    }
    Ok(Some(Object::Hash(hash)))
}

fn set(slot: &mut impl Slot, code: u8, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    // As Redis does: most fields of one command are different ones. A pair takes two bytes at least.
    let most = limits.hash_max_listpack_entries;
    let many = operands.len() / 2 > most && slot.object().is_none() && pairs(operands, code).nth(most).is_some();
    let mut outcome = Outcome::default();
    let mut rest = operands;
    while !rest.is_empty() {
        let (pair, after) = Pair::read(rest, code).ok_or(Malformed)?;
        let effect = match table(slot) {
            Some(hash) => hash.set(&pair),
            None => match packed::set(slot, &pair, many, limits) {
                Ok(effect) => effect,
                Err(Outgrown) => become_table(slot)?.set(&pair),
            },
        };
        outcome.note(effect);
        rest = after;
    }
    Ok(outcome)
}

fn delete(slot: &mut impl Slot, operands: &[u8]) -> Result<Outcome, Malformed> {
    let mut outcome = Outcome::default();
    each_element(operands, |field, _| {
        let deleted = match table(slot) {
            Some(hash) => hash.delete(field),
            None => packed::delete(slot, field),
        };
        outcome.changed += u64::from(deleted);
        Ok(())
    })?;
    Ok(outcome)
}

fn expire(slot: &mut impl Slot, operands: &[u8]) -> Result<Outcome, Malformed> {
    let (deadline, fields) = read_number(operands).ok_or(Malformed)?;
    let mut outcome = Outcome::default();
    each_element(fields, |field, _| {
        let effect = match table(slot) {
            Some(hash) => hash.expire(field, deadline),
            None => match packed::expire(slot, field, deadline) {
                Ok(effect) => effect,
                Err(Outgrown) => become_table(slot)?.expire(field, deadline),
            },
        };
        outcome.note(effect);
        Ok(())
    })?;
    Ok(outcome)
}

fn table(slot: &mut impl Slot) -> Option<&mut Hash> {
    match slot.object_mut() {
        Some(Object::Hash(hash)) => Some(hash),
        _ => None,
    }
}

fn become_table(slot: &mut impl Slot) -> Result<&mut Hash, Malformed> {
    let mut hash = Hash::default();
    for entry in packed::entries(slot.packed()) {
        hash.insert(dense::hash(entry.field), entry.field, entry.value, entry.deadline);
    }
    slot.become_object(Object::Hash(hash));
    table(slot).ok_or(Malformed)
}

/// The pairs of operands, as far as they can be read.
fn pairs(mut operands: &[u8], code: u8) -> impl Iterator<Item = Pair<'_>> {
    std::iter::from_fn(move || {
        let (pair, rest) = Pair::read(operands, code)?;
        operands = rest;
        Some(pair)
    })
}

impl Outcome {
    fn note(&mut self, effect: Effect) {
        self.added += u64::from(effect == Effect::Added);
        self.changed += u64::from(effect != Effect::Nothing);
    }
}

impl<'a> Pair<'a> {
    #[inline]
    fn read(operands: &'a [u8], code: u8) -> Option<(Pair<'a>, &'a [u8])> {
        let (field, at_value) = read_element(operands)?;
        let (value, rest) = read_element(at_value)?;
        let value_element = &at_value[..at_value.len() - rest.len()];
        let elements = &operands[..operands.len() - rest.len()];
        let (deadline, rest) = match code {
            op::HASH_SET => (Deadline::Become(0), rest),
            op::HASH_SET_KEEP => (Deadline::Keep, rest),
            _ => {
                let (deadline, rest) = read_number(rest)?;
                (Deadline::Become(deadline), rest)
            }
        };
        Some((Pair { field, value, deadline, value_element, elements }, rest))
    }
}

impl Deadline {
    /// What comes of a deadline.
    fn after(self, before: u64) -> u64 {
        match self {
            Deadline::Keep => before,
            Deadline::Become(deadline) => deadline,
        }
    }
}

impl Hash {
    pub(in crate::value) fn prefetch<'n>(&self, fields: impl Iterator<Item = &'n [u8]>) {
        self.fields.prefetch(fields);
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn image_bytes(&self) -> usize {
        1 + self.operand_bytes
    }

    pub(super) fn memory(&self) -> usize {
        self.fields.memory() + self.deadlines.len() * DEADLINE_MEMORY
    }

    pub(super) fn image_parts(&self, part_bytes: usize, emit: &mut dyn FnMut(&[u8])) {
        let push = |part: &mut Vec<u8>, field: &Element| {
            push_element(part, field.key());
            push_element(part, field.value());
            part.extend_from_slice(&field.deadline().unwrap_or(0).to_le_bytes());
        };
        emit_parts((tag::HASH_TABLE, op::HASH_LOAD), part_bytes, self.fields.iter(), push, emit);
    }

    fn set(&mut self, pair: &Pair<'_>) -> Effect {
        let hash = dense::hash(pair.field);
        let Some(number) = self.fields.find(hash, pair.field) else {
            self.insert(hash, pair.field, pair.value, pair.deadline.after(0));
            return Effect::Added;
        };
        let old = self.fields.element(number);
        let before = old.deadline().unwrap_or(0);
        let mut effect = Effect::Nothing;
        if old.value() != pair.value {
            self.operand_bytes -= element_bytes(old.value().len());
            self.operand_bytes += element_bytes(pair.value.len());
            self.fields.set_value(number, pair.value);
            effect = Effect::Altered;
        }
        match self.set_deadline(number, before, pair.deadline.after(before)) {
            Effect::Nothing => effect,
            altered => altered,
        }
    }

    /// Adds a field that is not there.
    fn insert(&mut self, hash: u64, field: &[u8], value: &[u8], deadline: u64) {
        self.operand_bytes += operand_bytes(field, value);
        let number = self.fields.insert_hashed(hash, field, value, (deadline != 0).then_some(deadline));
        if deadline != 0 {
            self.deadlines.insert((deadline, number));
        }
    }

    fn delete(&mut self, field: &[u8]) -> bool {
        let Some(number) = self.fields.get(field) else { return false };
        let element = self.fields.element(number);
        self.operand_bytes -= operand_bytes(field, element.value());
        if let Some(deadline) = element.deadline() {
            self.deadlines.remove(&(deadline, number));
        }
        if let Some(before) = self.fields.swap_remove(number)
            && let Some(deadline) = self.fields.element(number).deadline()
        {
            self.deadlines.remove(&(deadline, before));
            self.deadlines.insert((deadline, number));
        }
        true
    }

    fn expire(&mut self, field: &[u8], deadline: u64) -> Effect {
        let Some(number) = self.fields.get(field) else { return Effect::Nothing };
        let before = self.fields.element(number).deadline().unwrap_or(0);
        self.set_deadline(number, before, deadline)
    }

    fn set_deadline(&mut self, number: u32, before: u64, after: u64) -> Effect {
        if before == after {
            return Effect::Nothing;
        }
        if before != 0 {
            self.deadlines.remove(&(before, number));
        }
        if after != 0 {
            self.deadlines.insert((after, number));
        }
        self.fields.set_deadline(number, (after != 0).then_some(after));
        Effect::Altered
    }
}

fn operand_bytes(field: &[u8], value: &[u8]) -> usize {
    element_bytes(field.len()) + element_bytes(value.len()) + size_of::<u64>()
}

#[cfg(test)]
mod tests;
