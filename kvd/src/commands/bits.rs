//! Bits of a string, numbered from the first byte's most significant one: counted, found, combined, read as integers.

use std::ops::Range;

/// How many bits of this range, which lies within the bytes, are one.
pub fn count(bytes: &[u8], range: Range<u64>) -> u64 {
    let Some((first, last)) = ends(&range) else { return 0 };
    if first == last {
        return u64::from((bytes[first] & head_mask(&range) & tail_mask(&range)).count_ones());
    }
    let head = (bytes[first] & head_mask(&range)).count_ones();
    let tail = (bytes[last] & tail_mask(&range)).count_ones();
    let (words, rest) = bytes[first + 1..last].as_chunks::<8>();
    let in_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let in_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    u64::from(head + tail) + in_words + in_rest
}

/// The first bit of this range, which lies within the bytes, that is one, or that is zero.
pub fn find(bytes: &[u8], one: bool, range: Range<u64>) -> Option<u64> {
    let (first, last) = ends(&range)?;
    // What is looked for becomes a one.
    let flip = if one { 0 } else { u8::MAX };
    let hit = |index: usize, byte: u8| (byte != 0).then(|| index as u64 * 8 + u64::from(byte.leading_zeros()));
    let head = (bytes[first] ^ flip) & head_mask(&range);
    if first == last {
        return hit(first, head & tail_mask(&range));
    }
    let (words, rest) = bytes[first + 1..last].as_chunks::<8>();
    let flip_word = u64::from_ne_bytes([flip; 8]);
    let in_words = || {
        let at = words.iter().position(|word| u64::from_ne_bytes(*word) != flip_word)?;
        let zeros = (u64::from_be_bytes(words[at]) ^ flip_word).leading_zeros();
        Some((first + 1 + 8 * at) as u64 * 8 + u64::from(zeros))
    };
    let in_rest = || (0..rest.len()).find_map(|index| hit(last - rest.len() + index, rest[index] ^ flip));
    let tail = || hit(last, (bytes[last] ^ flip) & tail_mask(&range));
    hit(first, head).or_else(in_words).or_else(in_rest).or_else(tail)
}

/// The first and the last byte of a range of bits that is not empty.
fn ends(range: &Range<u64>) -> Option<(usize, usize)> {
    (range.start < range.end).then(|| ((range.start / 8) as usize, ((range.end - 1) / 8) as usize))
}

fn head_mask(range: &Range<u64>) -> u8 {
    u8::MAX >> (range.start % 8)
}

fn tail_mask(range: &Range<u64>) -> u8 {
    u8::MAX << (7 - (range.end - 1) % 8)
}

/// How several strings become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// Ones in all.
    And,
    /// Ones in any.
    Or,
    /// Ones in an odd number.
    Xor,
}

/// Combines a string into another that is at least as long; the shorter one goes on in zeros.
pub fn combine(into: &mut [u8], from: &[u8], combination: Combination) {
    let (common, beyond) = into.split_at_mut(from.len());
    match combination {
        Combination::And => {
            each_word(common, from, |mine, theirs| mine & theirs);
            beyond.fill(0);
        }
        Combination::Or => each_word(common, from, |mine, theirs| mine | theirs),
        Combination::Xor => each_word(common, from, |mine, theirs| mine ^ theirs),
    }
}

/// Turns every bit around.
pub fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

#[inline]
fn each_word(into: &mut [u8], from: &[u8], combine: impl Fn(u64, u64) -> u64) {
    let (words, rest) = into.as_chunks_mut::<8>();
    let (other_words, other_rest) = from.as_chunks::<8>();
    for (word, other) in words.iter_mut().zip(other_words) {
        *word = combine(u64::from_ne_bytes(*word), u64::from_ne_bytes(*other)).to_ne_bytes();
    }
    for (byte, other) in rest.iter_mut().zip(other_rest) {
        *byte = combine(u64::from(*byte), u64::from(*other)) as u8;
    }
}

/// Bytes that any integer lies in.
pub const FIELD_BYTES: usize = 9;

/// How an integer is written in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Whether the first bit is the sign.
    pub signed: bool,
    /// 1 to 64, below 64 without a sign.
    pub bits: u8,
}

/// What becomes of an integer that a field has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits.
    Wrap,
    /// The nearest one.
    Saturate,
    /// Nothing: the field stays.
    Fail,
}

impl Field {
    /// The integer that begins at this bit, 0 to 7, of the first byte.
    pub fn get(self, bytes: [u8; FIELD_BYTES], bit: u8) -> i64 {
        self.of_bits((word_of(bytes) >> self.shift(bit)) as u64)
    }

    /// Writes the integer that begins at this bit, 0 to 7, of the first byte.
    pub fn set(self, bytes: &mut [u8; FIELD_BYTES], bit: u8, value: i64) {
        let (mask, shift) = (u128::from(self.mask()), self.shift(bit));
        let word = word_of(*bytes) & !(mask << shift) | (u128::from(value as u64) & mask) << shift;
        bytes.copy_from_slice(&word.to_be_bytes()[16 - FIELD_BYTES..]);
    }

    /// The integer as the field can hold it; nothing when that is a failure.
    pub fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = match self.signed {
            true => (-1 << (self.bits - 1), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        };
        match overflow {
            _ if (least..=most).contains(&value) => Some(value as i64),
            Overflow::Wrap => Some(self.of_bits(value as u64)),
            Overflow::Saturate => Some(value.clamp(least, most) as i64),
            Overflow::Fail => None,
        }
    }

    fn shift(self, bit: u8) -> u32 {
        8 * FIELD_BYTES as u32 - u32::from(bit) - u32::from(self.bits)
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The integer that the lowest bits are.
    fn of_bits(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (bits << unused) as i64 >> unused } else { (bits & self.mask()) as i64 }
    }
}

fn word_of(bytes: [u8; FIELD_BYTES]) -> u128 {
    bytes.iter().fold(0, |word, byte| word << 8 | u128::from(*byte))
}

/// What has to be overwritten in a string, which zeros follow, for it to be another one that is not shorter.
pub fn changed(old: &[u8], new: &[u8]) -> Option<Range<usize>> {
    let (over, behind) = new.split_at(old.len());
    let first = same_at_front(old, over);
    if !behind.is_empty() {
        let zeros = behind.iter().position(|byte| *byte != 0).unwrap_or(behind.len() - 1);
        return Some(if first < old.len() { first } else { first + zeros }..new.len());
    }
    let same_at_end = old[first..].iter().rev().zip(over.iter().rev()).take_while(|(left, right)| left == right);
    (first < old.len()).then(|| first..old.len() - same_at_end.count())
}

/// Bytes at the front of two strings of one length that are the same.
fn same_at_front(left: &[u8], right: &[u8]) -> usize {
    let words = left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0);
    let at = 8 * words.take_while(|(left, right)| left == right).count();
    at + left[at..].iter().zip(&right[at..]).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte & 0x80 >> bit != 0)).collect()
    }

    /// Long runs of zeros and ones, as bitmaps have them, and a range of bits within.
    fn bitmaps() -> impl Strategy<Value = (Vec<u8>, Range<u64>)> {
        let byte = prop_oneof![4 => Just(0), 4 => Just(0xff), 1 => any::<u8>()];
        vec(byte, 0..60).prop_flat_map(|bytes| {
            let bits = bytes.len() as u64 * 8;
            (Just(bytes), 0..=bits, 0..=bits).prop_map(|(bytes, start, end)| (bytes, start..end))
        })
    }

    proptest! {
        #[test]
        fn bits_are_counted_and_found_as_one_by_one((bytes, range) in bitmaps()) {
            let bits = bits_of(&bytes);
            let within = || range.clone().map(|at| (at, bits[at as usize]));
            prop_assert_eq!(count(&bytes, range.clone()), within().filter(|(_, bit)| *bit).count() as u64);
            for one in [false, true] {
                let first = within().find(|(_, bit)| *bit == one).map(|(at, _)| at);
                prop_assert_eq!(find(&bytes, one, range.clone()), first);
            }
        }

        #[test]
        fn strings_are_combined_bit_by_bit(mut longer in vec(any::<u8>(), 0..40), mut shorter in vec(any::<u8>(), 0..40)) {
            if longer.len() < shorter.len() {
                std::mem::swap(&mut longer, &mut shorter);
            }
            let other = |index: usize| shorter.get(index).copied().unwrap_or(0);
            for (combination, model) in [
                (Combination::And, (|a, b| a & b) as fn(u8, u8) -> u8),
                (Combination::Or, |a, b| a | b),
                (Combination::Xor, |a, b| a ^ b),
            ] {
                let mut combined = longer.clone();
                combine(&mut combined, &shorter, combination);
                let expected: Vec<u8> = longer.iter().enumerate().map(|(at, byte)| model(*byte, other(at))).collect();
                prop_assert_eq!(combined, expected);
            }
        }

        #[test]
        fn a_field_holds_what_was_written(
            bytes: [u8; FIELD_BYTES], bit in 0..8_u8, signed: bool, width in 1..=64_u8, value: i64,
        ) {
            let field = Field { signed, bits: width.min(if signed { 64 } else { 63 }) };
            let written = field.fit(i128::from(value), Overflow::Wrap).expect("what wraps fits");
            let mut after = bytes;
            field.set(&mut after, bit, value);
            prop_assert_eq!(field.get(after, bit), written);
            let (before, after) = (bits_of(&bytes), bits_of(&after));
            let (start, end) = (usize::from(bit), usize::from(bit + field.bits));
            prop_assert_eq!(&before[..start], &after[..start]);
            prop_assert_eq!(&before[end..], &after[end..]);
        }

        #[test]
        fn overwriting_what_changed_makes_the_new_string(old in vec(0..2_u8, 0..20), new in vec(0..2_u8, 0..20)) {
            prop_assume!(new.len() >= old.len());
            let mut string = old.clone();
            if let Some(range) = changed(&old, &new) {
                string.resize(new.len(), 0);
                string[range.clone()].copy_from_slice(&new[range]);
            } else {
                prop_assert_eq!(&old, &new);
            }
            prop_assert_eq!(string, new);
        }
    }

    #[test]
    fn what_does_not_fit_wraps_saturates_or_fails() {
        let (signed, unsigned) = (Field { signed: true, bits: 8 }, Field { signed: false, bits: 8 });
        for (field, value, wrapped, saturated) in [
            (signed, 128, -128, 127),
            (signed, -129, 127, -128),
            (unsigned, 256, 0, 255),
            (unsigned, -1, 255, 0),
            (Field { signed: true, bits: 64 }, 1 << 63, i64::MIN, i64::MAX),
            (Field { signed: false, bits: 63 }, 1 << 63, 0, i64::MAX),
        ] {
            assert_eq!(field.fit(value, Overflow::Wrap), Some(wrapped), "{value}");
            assert_eq!(field.fit(value, Overflow::Saturate), Some(saturated), "{value}");
            assert_eq!(field.fit(value, Overflow::Fail), None, "{value}");
        }
        assert_eq!(signed.fit(-128, Overflow::Fail), Some(-128));
    }
}
