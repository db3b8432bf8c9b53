//! A packed set of integers: ascending, all as wide as the widest has needed.

use super::{Limits, Malformed, Member, Outgrown, Slot, tag};
use crate::value::MAX_PACKED;
use crate::value::element::push_element;
use crate::value::packed::{ELEMENTS_AT, count, set_count};

const WIDTH_AT: usize = ELEMENTS_AT;
const INTEGERS_AT: usize = WIDTH_AT + 1;

#[inline]
pub(super) fn is_ints(packed: &[u8]) -> bool {
    packed.len() >= INTEGERS_AT && packed[0] == tag::SET_INTS && matches!(packed[WIDTH_AT], 2 | 4 | 8)
}

/// The integer that bytes spell in the only way that counts: no sign but a minus, no leading zero.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Nineteen digits fit.
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Whether an image is that of a set of integers.
pub(super) fn check(image: &[u8]) -> Result<(), Malformed> {
    let whole = is_ints(image)
        && image.len() <= MAX_PACKED
        && image.len() == INTEGERS_AT + count(image) * width(image)
        && (1..count(image)).all(|index| at(image, index - 1) < at(image, index));
    whole.then_some(()).ok_or(Malformed)
}

/// The integer at an index.
#[inline]
pub(super) fn at(packed: &[u8], index: usize) -> Option<i64> {
    let width = width(packed);
    let start = INTEGERS_AT + index * width;
    let bytes = packed.get(start..start + width)?;
    Some(match *bytes {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    })
}

#[inline]
pub(super) fn contains(packed: &[u8], member: &[u8]) -> bool {
    parse(member).is_some_and(|integer| search(packed, integer).is_ok())
}

pub(super) fn add(slot: &mut impl Slot, integer: i64, limits: &Limits) -> Result<bool, Outgrown> {
    let packed = slot.packed();
    let Err(index) = search(packed, integer) else { return Ok(false) };
    let (count, width) = (count(packed), width(packed));
    let needed = width_of(integer).max(width);
    if count + 1 > limits.set_max_intset_entries || INTEGERS_AT + (count + 1) * needed > MAX_PACKED {
        return Err(Outgrown);
    }
    if needed > width {
        widen(slot, needed);
    }
    slot.splice(INTEGERS_AT + index * needed, 0, &integer.to_le_bytes()[..needed]);
    set_count(slot, count + 1);
    Ok(true)
}

pub(super) fn remove(slot: &mut impl Slot, member: &[u8]) -> bool {
    let packed = slot.packed();
    let Some(Ok(index)) = parse(member).map(|integer| search(packed, integer)) else { return false };
    let (count, width) = (count(packed), width(packed));
    slot.splice(INTEGERS_AT + index * width, width, &[]);
    set_count(slot, count.saturating_sub(1));
    true
}

/// Makes the set one of any members, if there is room within the limits for them and for another one.
pub(super) fn become_packed(slot: &mut impl Slot, coming: &[u8], limits: &Limits) -> Result<(), Outgrown> {
    let packed = slot.packed();
    let (before, count) = (packed.len(), count(packed));
    let longest = [at(packed, 0), count.checked_sub(1).and_then(|last| at(packed, last))];
    let longest = longest.into_iter().flatten().map(|integer| spelling(integer, &mut [0; 20]).len()).max().unwrap_or(0);
    if count >= limits.set_max_listpack_entries || coming.len().max(longest) > limits.set_max_listpack_value {
        return Err(Outgrown);
    }
    let mut members = Vec::with_capacity(ELEMENTS_AT + count * (1 + longest));
    members.push(tag::SET_PACKED);
    members.extend_from_slice(&packed[1..ELEMENTS_AT]);
    for integer in (0..count).map_while(|index| at(packed, index)) {
        push_element(&mut members, spelling(integer, &mut [0; 20]));
    }
    if members.len() > MAX_PACKED {
        return Err(Outgrown);
    }
    slot.splice(0, before, &members);
    Ok(())
}

fn spelling(integer: i64, buffer: &mut [u8; 20]) -> &[u8] {
    Member::Integer(integer).as_bytes(buffer)
}

fn widen(slot: &mut impl Slot, width: usize) {
    let packed = slot.packed();
    let (before, count) = (packed.len(), count(packed));
    let mut wide = Vec::with_capacity(INTEGERS_AT + count * width);
    wide.extend_from_slice(&packed[..WIDTH_AT]);
    wide.push(width as u8);
    for integer in (0..count).map_while(|index| at(packed, index)) {
        wide.extend_from_slice(&integer.to_le_bytes()[..width]);
    }
    slot.splice(0, before, &wide);
}

/// Where an integer is, or would have to be.
#[inline]
fn search(packed: &[u8], integer: i64) -> Result<usize, usize> {
    let (mut low, mut high) = (0, count(packed));
    // Most sets of integers grow at their end.
    if high > 0 && at(packed, high - 1).is_some_and(|last| last < integer) {
        return Err(high);
    }
    while low < high {
        let middle = low.midpoint(high);
        match at(packed, middle) {
            Some(found) if found == integer => return Ok(middle),
            Some(found) if found < integer => low = middle + 1,
            _ => high = middle,
        }
    }
    Err(low)
}

#[inline]
fn width(packed: &[u8]) -> usize {
    packed.get(WIDTH_AT).map_or(0, |&width| usize::from(width))
}

/// The fewest bytes that hold an integer.
fn width_of(integer: i64) -> usize {
    if i16::try_from(integer).is_ok() {
        2
    } else if i32::try_from(integer).is_ok() {
        4
    } else {
        8
    }
}
