//! BITFIELD: integers of any width in a string, read, written and counted up, with a say in what happens on overflow.

use std::ops::Range;

use engine::listener::Class;
use engine::{MAX_VALUE, Transaction};
use resp::Request;

use super::args::{integer, is};
use super::bitmap::bit_offset;
use super::bits::{self, FIELD_BYTES, Field, Overflow};
use super::error::{BIT_OFFSET, BITFIELD_READ_ONLY, BITFIELD_TYPE, OVERFLOW_TYPE, SYNTAX};
use super::string::{gap_before, string};
use super::{Call, Command, CommandError, Done, Flag, Group, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write(
        "BITFIELD",
        "@key [GET encoding offset:int | [OVERFLOW {WRAP | SAT | FAIL}] \
         {SET encoding offset:int value:int | INCRBY encoding offset:int increment:int}] ...",
        bitfield,
    )
    .inline()
    .flags(&[Flag::DenyOom])
    .group(Group::Bitmap)
    .since("3.2.0")
    .cost("O(1) for each operation")
    .key_flags(&["RW access update variable_flags"])
    .growth(growth)
    .doc("Reads and writes integers of any number of bits in the string at a key."),
    Command::read("BITFIELD_RO", "@key [{GET encoding offset:int} ...]", bitfield_ro)
        .flags(&[Flag::Fast])
        .group(Group::Bitmap)
        .since("6.0.0")
        .cost("O(1) for each operation")
        .doc("Reads integers of any number of bits in the string at a key."),
];

/// One operation.
#[derive(Clone, Copy)]
struct Operation {
    field: Field,
    offset: u64,
    action: Action,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

impl Operation {
    fn writes(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    /// The bytes it touches.
    fn bytes(&self) -> Range<usize> {
        let end = self.offset + u64::from(self.field.bits);
        (self.offset / 8) as usize..end.div_ceil(8) as usize
    }

    /// What becomes of the integer that is there, and what is answered. Nothing is written, and null answered, when it
    /// would have overflowed and must not.
    fn apply(&self, old: i64) -> (Option<i64>, Option<i64>) {
        match self.action {
            Action::Get => (None, Some(old)),
            Action::Set(value, overflow) => {
                // Without a sign a negative number is a large one.
                let value = if self.field.signed { i128::from(value) } else { i128::from(value as u64) };
                let new = self.field.fit(value, overflow);
                (new, new.map(|_| old))
            }
            Action::Add(by, overflow) => {
                let new = self.field.fit(i128::from(old) + i128::from(by), overflow);
                (new, new)
            }
        }
    }
}

/// Reads the operations of a request one after the other.
struct Operations<'r, 'a> {
    request: &'r Request<'a>,
    at: usize,
    overflow: Overflow,
    max_value_bytes: usize,
}

impl<'r, 'a> Operations<'r, 'a> {
    fn of(request: &'r Request<'a>, max_value_bytes: usize) -> Operations<'r, 'a> {
        Operations { request, at: 2, overflow: Overflow::Wrap, max_value_bytes }
    }

    /// So many arguments from here on, if there are.
    fn take<const COUNT: usize>(&mut self) -> Option<[&'a [u8]; COUNT]> {
        let mut arguments = [&[][..]; COUNT];
        for (index, argument) in arguments.iter_mut().enumerate() {
            *argument = self.request.get(self.at + index)?;
        }
        self.at += COUNT;
        Some(arguments)
    }

    fn read(&mut self) -> Result<Option<Operation>, CommandError> {
        while let Some(word) = self.request.get(self.at) {
            self.at += 1;
            if is(word, "GET") {
                let [encoding, offset] = self.take().ok_or(SYNTAX)?;
                return self.operation(encoding, offset, |_| Ok(Action::Get)).map(Some);
            } else if is(word, "SET") {
                let [encoding, offset, value] = self.take().ok_or(SYNTAX)?;
                return self.operation(encoding, offset, |with| Ok(Action::Set(integer(value)?, with))).map(Some);
            } else if is(word, "INCRBY") {
                let [encoding, offset, by] = self.take().ok_or(SYNTAX)?;
                return self.operation(encoding, offset, |with| Ok(Action::Add(integer(by)?, with))).map(Some);
            } else if is(word, "OVERFLOW") {
                let [kind] = self.take().ok_or(SYNTAX)?;
                self.overflow = overflow(kind)?;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(None)
    }

    fn operation(
        &self,
        encoding: &[u8],
        offset: &[u8],
        action: impl FnOnce(Overflow) -> Result<Action, CommandError>,
    ) -> Result<Operation, CommandError> {
        let field = field(encoding)?;
        let offset = bit_offset(offset, Some(field.bits), self.max_value_bytes)?;
        Ok(Operation { field, offset, action: action(self.overflow)? })
    }
}

impl Iterator for Operations<'_, '_> {
    type Item = Result<Operation, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    [("WRAP", Overflow::Wrap), ("SAT", Overflow::Saturate), ("FAIL", Overflow::Fail)]
        .into_iter()
        .find_map(|(name, overflow)| is(word, name).then_some(overflow))
        .ok_or(OVERFLOW_TYPE)
}

/// `i` or `u` in lower case and a number of bits.
fn field(encoding: &[u8]) -> Result<Field, CommandError> {
    let (signed, most, bits) = match encoding {
        [b'i', bits @ ..] => (true, 64, bits),
        [b'u', bits @ ..] => (false, 63, bits),
        _ => return Err(BITFIELD_TYPE),
    };
    match integer(bits) {
        Ok(bits) if (1..=most).contains(&bits) => Ok(Field { signed, bits: bits as u8 }),
        _ => Err(BITFIELD_TYPE),
    }
}

/// From the first to the last byte that is written, whether or not an operation then fails.
fn written(operations: &[Operation]) -> Option<Range<usize>> {
    let mut ranges = operations.iter().filter(|operation| operation.writes()).map(Operation::bytes);
    let first = ranges.next()?;
    Some(ranges.fold(first, |all, range| all.start.min(range.start)..all.end.max(range.end)))
}

fn bitfield(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let operations = Operations::of(&call.request, call.max_value_bytes).collect::<Result<Vec<_>, _>>()?;
    let key = &call.keys[0];
    let bytes = string(transaction.get(key))?.unwrap_or_default();
    let Some(range) = written(&operations) else {
        answer(&operations, &mut Window { bytes, at: 0, part: Vec::new() }, reply);
        return Ok(());
    };
    if range.end > MAX_VALUE {
        return Err(BIT_OFFSET);
    }
    let present = &bytes[range.start.min(bytes.len())..range.end.min(bytes.len())];
    let mut part = vec![0; range.len()];
    part[..present.len()].copy_from_slice(present);
    let mut window = Window { bytes, at: range.start, part };
    answer(&operations, &mut window, reply);
    let part = window.part;
    if let Some(changed) = bits::changed(present, &part) {
        transaction.set_range(key, range.start + changed.start, &part[changed]);
        transaction.notify(Class::String, "setbit", key);
    }
    Ok(())
}

fn bitfield_ro(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let operations = Operations::of(&call.request, call.max_value_bytes).collect::<Result<Vec<_>, _>>()?;
    if operations.iter().any(Operation::writes) {
        return Err(BITFIELD_READ_ONLY);
    }
    let bytes = string(view.get(&call.keys[0]))?.unwrap_or_default();
    answer(&operations, &mut Window { bytes, at: 0, part: Vec::new() }, reply);
    Ok(())
}

fn answer(operations: &[Operation], window: &mut Window<'_>, reply: &mut Reply<'_>) {
    reply.write().array(operations.len());
    for operation in operations {
        let (first, bit) = ((operation.offset / 8) as usize, (operation.offset % 8) as u8);
        let mut bytes = window.read(first);
        let (new, answer) = operation.apply(operation.field.get(bytes, bit));
        if let Some(new) = new {
            operation.field.set(&mut bytes, bit, new);
            window.write(first, &bytes[..operation.bytes().len()]);
        }
        match answer {
            Some(value) => reply.integer(value),
            None => reply.null(),
        }
    }
}

/// A string, which zeros follow, with a part of it that is being written.
struct Window<'a> {
    bytes: &'a [u8],
    /// Where the part lies.
    at: usize,
    part: Vec<u8>,
}

impl Window<'_> {
    fn read(&self, at: usize) -> [u8; FIELD_BYTES] {
        std::array::from_fn(|index| {
            let index = at + index;
            let in_part = index.checked_sub(self.at).and_then(|index| self.part.get(index));
            in_part.or(self.bytes.get(index)).copied().unwrap_or(0)
        })
    }

    /// Within the part.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let at = at - self.at;
        self.part[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The zeros that come behind the value, and what is logged between the first and the last integer that is written.
fn growth(request: &Request<'_>, present_bytes: &mut dyn FnMut(usize) -> u64) -> u64 {
    let operations = Operations::of(request, MAX_VALUE).map_while(Result::ok);
    let mut all: Option<Range<usize>> = None;
    for range in operations.filter(Operation::writes).map(|operation| operation.bytes()) {
        all = Some(all.map_or(range.clone(), |all| all.start.min(range.start)..all.end.max(range.end)));
    }
    all.map_or(0, |all| gap_before(all.end as u64, || present_bytes(0)) + all.len() as u64)
}
