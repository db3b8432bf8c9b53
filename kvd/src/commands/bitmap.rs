//! Strings as arrays of bits: set, read, counted, found and combined.

use std::ops::Range;

use engine::listener::Class;
use engine::{MAX_VALUE, Transaction, Value};
use resp::{Request, exact_integer};

use super::args::{integer, is};
use super::bits::{self, Combination};
use super::error::{BIT, BIT_OFFSET, BITOP_NOT, BITPOS_BIT, SYNTAX};
use super::keys::delete;
use super::string::{gap_before, string};
use super::{Call, Command, CommandError, Done, Flag, Group, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("SETBIT", "@key offset:int value:int", setbit)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::Bitmap)
        .since("2.2.0")
        .growth(gap)
        .doc("Sets or clears a bit of the string at a key, with zeros in any gap, and returns what it was."),
    Command::read("GETBIT", "@key offset:int", getbit)
        .flags(&[Flag::Fast])
        .group(Group::Bitmap)
        .since("2.2.0")
        .doc("Returns a bit of the string at a key."),
    Command::read("BITCOUNT", "@key [start:int end:int [BYTE | BIT]]", bitcount)
        .group(Group::Bitmap)
        .since("2.6.0")
        .cost("O(N), N being the length of what is counted")
        .doc("Counts the ones in the string at a key, or in part of it."),
    Command::read("BITPOS", "@key bit:int [start:int [end:int [BYTE | BIT]]]", bitpos)
        .group(Group::Bitmap)
        .since("2.8.7")
        .cost("O(N), N being the length of what is searched")
        .doc("Finds the first one or zero in the string at a key, or in part of it."),
    Command::write("BITOP", "{AND | OR | XOR | NOT} @destkey @key ...", bitop)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::Bitmap)
        .since("2.6.0")
        .cost("O(N), N being the length of all strings")
        .key_flags(&["OW update", "RO access"])
        .growth(longest_source)
        .doc("Combines the strings at several keys bit by bit, or inverts one, and stores the result."),
];

/// The number of a bit, `#N` being the Nth group of so many bits where there are groups.
pub(super) fn bit_offset(argument: &[u8], group_bits: Option<u8>, max_value_bytes: usize) -> Result<u64, CommandError> {
    let groups = group_bits.and_then(|bits| Some((argument.strip_prefix(b"#")?, i64::from(bits))));
    let offset = match groups {
        Some((number, bits)) => exact_integer(number).and_then(|number| number.checked_mul(bits)),
        None => exact_integer(argument),
    };
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < max_value_bytes.min(MAX_VALUE) as u64).ok_or(BIT_OFFSET)
}

fn setbit(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let offset = bit_offset(call.arg(2), None, call.max_value_bytes)?;
    let on = match exact_integer(call.arg(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(BIT),
    };
    let (index, mask) = place(offset);
    let key = &call.keys[0];
    let present = string(transaction.get(key))?.and_then(|bytes| bytes.get(index).copied());
    let old = present.unwrap_or(0);
    let new = if on { old | mask } else { old & !mask };
    if present != Some(new) {
        transaction.set_range(key, index, &[new]);
        transaction.notify(Class::String, "setbit", key);
    }
    reply.integer(i64::from(old & mask != 0));
    Ok(())
}

/// The zeros that SETBIT puts behind the value, and the byte with the bit.
fn gap(request: &Request<'_>, present_bytes: &mut dyn FnMut(usize) -> u64) -> u64 {
    let offset = request.get(2).and_then(|argument| bit_offset(argument, None, MAX_VALUE).ok());
    offset.map_or(0, |offset| gap_before(offset / 8 + 1, || present_bytes(0)))
}

fn getbit(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let (index, mask) = place(bit_offset(call.arg(2), None, call.max_value_bytes)?);
    let bytes = string(view.get(&call.keys[0]))?.unwrap_or_default();
    reply.integer(i64::from(bytes.get(index).is_some_and(|byte| byte & mask != 0)));
    Ok(())
}

/// The byte of a bit, and the bit in it.
fn place(offset: u64) -> (usize, u8) {
    ((offset / 8) as usize, 0x80 >> (offset % 8))
}

fn bitcount(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let part = match call.len() {
        2 => None,
        4 => Some((integer(call.arg(2))?, integer(call.arg(3))?, Unit::Byte)),
        5 => Some((integer(call.arg(2))?, integer(call.arg(3))?, Unit::parse(call.arg(4))?)),
        _ => return Err(SYNTAX),
    };
    let bytes = string(view.get(&call.keys[0]))?.unwrap_or_default();
    let range = match part {
        None => 0..bytes.len() as u64 * 8,
        Some((start, end, _)) if start < 0 && end < 0 && start > end => 0..0,
        Some((start, end, unit)) => unit.range(start, end, bytes.len()),
    };
    reply.integer(bits::count(bytes, range) as i64);
    Ok(())
}

fn bitpos(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let one = match integer(call.arg(2))? {
        0 => false,
        1 => true,
        _ => return Err(BITPOS_BIT),
    };
    if call.len() > 6 {
        return Err(SYNTAX);
    }
    let start = if call.len() > 3 { integer(call.arg(3))? } else { 0 };
    let unit = if call.len() > 5 { Unit::parse(call.arg(5))? } else { Unit::Byte };
    let end = if call.len() > 4 { Some(integer(call.arg(4))?) } else { None };
    let position = match string(view.get(&call.keys[0]))? {
        // An endless row of zeros, whatever the part.
        None => (!one).then_some(0),
        Some(bytes) => {
            let range = unit.range(start, end.unwrap_or(-1), bytes.len());
            // Behind a string whose end was not named there are zeros.
            let behind = (!one && end.is_none() && !range.is_empty()).then_some(range.end);
            bits::find(bytes, one, range).or(behind)
        }
    };
    reply.integer(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// What the numbers of a part count.
#[derive(Clone, Copy)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn parse(word: &[u8]) -> Result<Unit, CommandError> {
        [("BYTE", Unit::Byte), ("BIT", Unit::Bit)]
            .into_iter()
            .find_map(|(name, unit)| is(word, name).then_some(unit))
            .ok_or(SYNTAX)
    }

    /// The bits from `start` to `end` of a string, where negative numbers count from its end.
    fn range(self, start: i64, end: i64, bytes: usize) -> Range<u64> {
        let bits_each = match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        };
        let total = (bytes * 8) as i64 / bits_each;
        let from_front = |index: i64| if index < 0 { (index + total).max(0) } else { index };
        let (start, end) = (from_front(start), from_front(end).min(total - 1));
        if start > end { 0..0 } else { (start * bits_each) as u64..((end + 1) * bits_each) as u64 }
    }
}

/// What BITOP does.
enum Operation {
    Combine(Combination),
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Operation, CommandError> {
        [
            ("AND", Operation::Combine(Combination::And)),
            ("OR", Operation::Combine(Combination::Or)),
            ("XOR", Operation::Combine(Combination::Xor)),
            ("NOT", Operation::Not),
        ]
        .into_iter()
        .find_map(|(name, operation)| is(word, name).then_some(operation))
        .ok_or(SYNTAX)
    }
}

fn bitop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let operation = Operation::parse(call.arg(1))?;
    let (destination, sources) = call.keys.split_first().expect("the row asks for a destination");
    if matches!(operation, Operation::Not) && sources.len() != 1 {
        return Err(BITOP_NOT);
    }
    let mut length = 0;
    for source in sources {
        length = length.max(string(transaction.get(source))?.map_or(0, <[u8]>::len));
    }
    if length == 0 {
        delete(transaction, destination);
        reply.integer(0);
        return Ok(());
    }
    let mut result = vec![0; length];
    for (index, source) in sources.iter().enumerate() {
        let bytes = string(transaction.get(source))?.unwrap_or_default();
        match operation {
            Operation::Combine(combination) if index > 0 => bits::combine(&mut result, bytes, combination),
            _ => result[..bytes.len()].copy_from_slice(bytes),
        }
    }
    if matches!(operation, Operation::Not) {
        bits::invert(&mut result);
    }
    transaction.set(destination, Value::Shared(result.into()), None);
    transaction.notify(Class::String, "set", destination);
    reply.integer(length as i64);
    Ok(())
}

/// The length of what BITOP stores.
fn longest_source(request: &Request<'_>, present_bytes: &mut dyn FnMut(usize) -> u64) -> u64 {
    (1..request.len() - 2).map(present_bytes).max().unwrap_or(0)
}
