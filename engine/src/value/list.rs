//! Lists: elements at indexes from 0, fast at both ends.
//!
//! * Small ones are packed ([`packed`]): entries one behind the other that can be read both ways ([`entry`]). Large
//!   ones are a [`List`]: chunks of such entries.
//! * A packed list becomes large when it would pass `list-max-listpack-size`, and small again when it has shrunk to
//!   half of that. Both follow from bytes and elements alone, never from how the chunks lie. An operation that changes
//!   no element changes no encoding either, for it need not be logged.

mod chunk;
mod entry;
mod large;
mod packed;
#[cfg(test)]
mod tests;
mod view;

use super::element::{read_element, read_number};
use super::{Limits, MAX_PACKED, Malformed, Object, Outcome, Slot, op, tag};
use entry::entry_bytes;

pub use large::{List, set_alone_from};
pub(super) use packed::len;
pub use view::{ListIter, ListIterBack, ListView};

/// Where elements go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

pub(super) fn apply(slot: &mut impl Slot, code: u8, operands: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    if slot.object().is_none() && packed::tag(slot.packed()) != tag::LIST_PACKED {
        return Err(Malformed);
    }
    let most = Most::new(limits);
    match code {
        op::LIST_PUSH_FRONT => push(slot, operands, End::Front, most),
        op::LIST_PUSH_BACK => push(slot, operands, End::Back, most),
        op::LIST_POP_FRONT => pop(slot, only_number(operands)?, End::Front, most),
        op::LIST_POP_BACK => pop(slot, only_number(operands)?, End::Back, most),
        op::LIST_SET => set(slot, index_and_element(operands)?, most),
        op::LIST_INSERT => insert(slot, index_and_element(operands)?, most),
        op::LIST_REMOVE => remove(slot, Runs::new(operands)?, most),
        _ => Err(Malformed),
    }
}

/// Checks an image; the object it is, if it is not packed.
pub(super) fn load(image: &[u8]) -> Result<Option<Object>, Malformed> {
    match image.split_first() {
        Some((&tag::LIST_PACKED, _)) => packed::check(image).map(|()| None),
        Some((&tag::LIST_CHUNKS, elements)) => {
            let mut list = List::default();
            Elements::new(elements)?.for_each(|element| list.push(element, End::Back));
            Ok(Some(Object::List(list)))
        }
        _ => Err(Malformed),
    }
}

/// How much a packed list holds.
#[derive(Clone, Copy, Debug)]
struct Most {
    elements: usize,
    bytes: usize,
}

impl Most {
    /// As `quicklistNodeLimit` of Redis has it, which lets no limit in elements allow more than 8 KiB.
    fn new(limits: &Limits) -> Most {
        match limits.list_max_listpack_size {
            0 => Most { elements: 1, bytes: 8192 },
            elements @ 1.. => Most { elements: elements as usize, bytes: 8192 },
            size => Most { elements: usize::MAX, bytes: MAX_PACKED.min(4096 << (-1 - size.max(-5))) },
        }
    }

    fn holds(self, elements: usize, bytes: usize) -> bool {
        elements <= self.elements && bytes <= self.bytes
    }

    /// So that an element more or less does not turn a list to and fro.
    fn holds_twice(self, elements: usize, bytes: usize) -> bool {
        elements <= self.elements / 2 && bytes <= self.bytes / 2
    }
}

fn push(slot: &mut impl Slot, operands: &[u8], end: End, most: Most) -> Result<Outcome, Malformed> {
    let elements = Elements::new(operands)?;
    let outcome = Outcome { added: elements.count as u64, changed: elements.count as u64 };
    if elements.count == 0 {
        return Ok(outcome);
    }
    if slot.object().is_none() {
        let bytes = slot.packed().len().saturating_add(elements.entry_bytes);
        if most.holds(len(slot.packed()) + elements.count, bytes) {
            packed::push(slot, elements, end);
            return Ok(outcome);
        }
        make_large(slot);
    }
    let list = large(slot)?;
    elements.for_each(|element| list.push(element, end));
    Ok(outcome)
}

fn pop(slot: &mut impl Slot, n: usize, end: End, most: Most) -> Result<Outcome, Malformed> {
    let popped = if slot.object().is_none() {
        packed::pop(slot, n, end)
    } else {
        let popped = large(slot)?.pop(n, end);
        if popped > 0 {
            make_packed_if_small(slot, most)?;
        }
        popped
    };
    Ok(changed(popped))
}

fn set(slot: &mut impl Slot, (index, element): (usize, &[u8]), most: Most) -> Result<Outcome, Malformed> {
    if slot.object().is_none() {
        let range = packed::range(slot.packed(), index, 1).ok_or(Malformed)?;
        let bytes = (slot.packed().len() - range.len()).saturating_add(entry_bytes(element.len()));
        if most.holds(len(slot.packed()), bytes) {
            packed::set(slot, range, element);
            return Ok(changed(1));
        }
        make_large(slot);
    }
    let list = large(slot)?;
    if index >= list.len() {
        return Err(Malformed);
    }
    list.set(index, element);
    make_packed_if_small(slot, most)?;
    Ok(changed(1))
}

fn insert(slot: &mut impl Slot, (index, element): (usize, &[u8]), most: Most) -> Result<Outcome, Malformed> {
    let outcome = Outcome { added: 1, changed: 1 };
    if slot.object().is_none() {
        let at = packed::range(slot.packed(), index, 0).ok_or(Malformed)?.start;
        let bytes = slot.packed().len().saturating_add(entry_bytes(element.len()));
        if most.holds(len(slot.packed()) + 1, bytes) {
            packed::insert(slot, at, element);
            return Ok(outcome);
        }
        make_large(slot);
    }
    let list = large(slot)?;
    if index > list.len() {
        return Err(Malformed);
    }
    list.insert(index, element);
    Ok(outcome)
}

/// Takes out what there is of some runs of elements: few one by one from the last to the first, so that starts stay;
/// many in one pass.
fn remove(slot: &mut impl Slot, runs: Runs<'_>, most: Most) -> Result<Outcome, Malformed> {
    let is_few = runs.clone().count() <= FEW_RUNS;
    let mut removed = 0;
    if slot.object().is_none() {
        match is_few {
            true => runs.rev().for_each(|(start, n)| removed += packed::remove(slot, start, n)),
            false => removed = packed::remove_runs(slot, runs),
        }
    } else {
        let list = large(slot)?;
        match is_few {
            true => runs.rev().for_each(|(start, n)| removed += list.remove(start, n)),
            false => removed = list.remove_runs(runs),
        }
        if removed > 0 {
            make_packed_if_small(slot, most)?;
        }
    }
    Ok(changed(removed))
}

/// Each of these may walk over the directory of chunks, or over the packed bytes.
const FEW_RUNS: usize = 16;

fn changed(elements: usize) -> Outcome {
    Outcome { added: 0, changed: elements as u64 }
}

fn make_large(slot: &mut impl Slot) {
    let list = List::from_packed(slot.packed());
    slot.become_object(Object::List(list));
}

fn make_packed_if_small(slot: &mut impl Slot, most: Most) -> Result<(), Malformed> {
    let list = large(slot)?;
    if most.holds_twice(list.len(), list.packed_bytes()) {
        let packed = list.to_packed();
        slot.become_packed(&packed);
    }
    Ok(())
}

fn large(slot: &mut impl Slot) -> Result<&mut List, Malformed> {
    match slot.object_mut() {
        Some(Object::List(list)) => Ok(list),
        _ => Err(Malformed),
    }
}

fn only_number(operands: &[u8]) -> Result<usize, Malformed> {
    match read_number(operands) {
        Some((number, [])) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        _ => Err(Malformed),
    }
}

fn index_and_element(operands: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (index, rest) = read_number(operands).ok_or(Malformed)?;
    match read_element(rest) {
        Some((element, [])) => Ok((usize::try_from(index).unwrap_or(usize::MAX), element)),
        _ => Err(Malformed),
    }
}

/// Runs of elements of an operation, which were checked: there is one at least, they rise and lie apart.
#[derive(Clone)]
struct Runs<'a>(&'a [[u8; RUN]]);

const RUN: usize = 2 * size_of::<u64>();

impl<'a> Runs<'a> {
    fn new(operands: &'a [u8]) -> Result<Runs<'a>, Malformed> {
        let (runs, rest) = operands.as_chunks();
        let mut free = 0;
        for (start, n) in Runs(runs) {
            if start < free {
                return Err(Malformed);
            }
            free = start.saturating_add(n);
        }
        if runs.is_empty() || !rest.is_empty() { Err(Malformed) } else { Ok(Runs(runs)) }
    }
}

impl Runs<'_> {
    /// Whether an element stays. Asked for each in turn, from index 0.
    #[inline]
    fn keeps(&mut self, index: usize) -> bool {
        while self.0.first().is_some_and(|first| {
            let (start, n) = run(first);
            start.saturating_add(n) <= index
        }) {
            self.next();
        }
        self.starts_behind(index)
    }

    /// Whether what is left of them begins behind an index.
    #[inline]
    fn starts_behind(&self, index: usize) -> bool {
        self.0.first().is_none_or(|first| run(first).0 > index)
    }
}

/// A start, and how many from there.
fn run(bytes: &[u8; RUN]) -> (usize, usize) {
    let number = |bytes: &[u8]| read_number(bytes).map_or(usize::MAX, |(number, _)| number as usize);
    (number(bytes), number(&bytes[RUN / 2..]))
}

impl Iterator for Runs<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(run(first))
    }
}

impl DoubleEndedIterator for Runs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<(usize, usize)> {
        let (last, rest) = self.0.split_last()?;
        self.0 = rest;
        Some(run(last))
    }
}

/// Elements of an operation or an image, which were checked.
struct Elements<'a> {
    bytes: &'a [u8],
    count: usize,
    /// Bytes of the entries that they make.
    entry_bytes: usize,
}

impl<'a> Elements<'a> {
    fn new(bytes: &'a [u8]) -> Result<Elements<'a>, Malformed> {
        let (mut rest, mut count, mut bytes_of_entries) = (bytes, 0, 0_usize);
        while !rest.is_empty() {
            let (element, behind) = read_element(rest).ok_or(Malformed)?;
            count += 1;
            bytes_of_entries = bytes_of_entries.saturating_add(entry_bytes(element.len()));
            rest = behind;
        }
        Ok(Elements { bytes, count, entry_bytes: bytes_of_entries })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (element, rest) = read_element(self.bytes)?;
        self.bytes = rest;
        Some(element)
    }
}
