//! Positions among the keys of a prefix, as a number that keeps their order and fits into a cursor.
//!
//! A position is made of the bytes behind the prefix, thirteen digits of four bits from the left. What is frequent in
//! names takes the least of them; no symbol begins as another one does, and symbols are in the order of their bytes:
//!
//! ```text
//!  bytes below '0'   0 b b    '0' … '9'   1 … A    ':' … 'y'   B 0 … E F    'z' and up   F b b
//! ```
//!
//! What does not fit is cut off, and what is missing are zeros. So of two names the lesser never has the greater
//! position, but both may have the same one: they are a *group*. A cursor stands before a group, never within one.
//!
//! ```text
//!  cursor:  0 1 │ length of the prefix, 10 bits │ position, 52 bits
//! ```
//!
//! A scan of the tables has no cursor that large. With the length a cursor fits one prefix alone of those that a key
//! begins with: whoever goes on with it under another pattern misses no key that both let through.

/// Digits of a position.
const DIGITS: u32 = 13;
const POSITION_BITS: u32 = 4 * DIGITS;
/// What sets these cursors apart from those of a scan of the tables. (Clients may read a cursor as a signed number.)
const TAG: u64 = 1 << 62;
/// Longest prefix that a cursor can tell.
pub const LONGEST_PREFIX: usize = (1 << (62 - POSITION_BITS)) - 1;

/// First byte of the third class, and of the fourth.
const COLON: u8 = b':';
const Z: u8 = b'z';

/// The symbol of a byte, and how many digits it has.
fn symbol(byte: u8) -> (u64, u32) {
    match byte {
        ..b'0' => (byte.into(), 3),
        b'0'..=b'9' => ((byte - b'0' + 1).into(), 1),
        COLON..Z => ((byte - COLON + 0xB0).into(), 2),
        Z.. => (0xF00 | u64::from(byte), 3),
    }
}

/// The position of what is called so behind the prefix.
pub fn position_of(rest: &[u8]) -> u64 {
    let (mut position, mut free) = (0, DIGITS);
    for &byte in rest.iter().take(DIGITS as usize) {
        let (symbol, digits) = symbol(byte);
        let cut = digits.saturating_sub(free);
        position = position << (4 * (digits - cut)) | symbol >> (4 * cut);
        free -= digits - cut;
    }
    position << (4 * free)
}

/// The least that has this position or a greater one, for a position that something has.
pub fn least_at(position: u64) -> Vec<u8> {
    let mut least = Vec::new();
    let (mut digits, mut at) = (position << (u64::BITS - POSITION_BITS), 0);
    while at < DIGITS {
        let (byte, taken) = match digits >> 60 {
            0 => ((digits >> 52) as u8, 3),
            digit @ 1..=0xA => (b'0' + digit as u8 - 1, 1),
            0xB..=0xE => (COLON + ((digits >> 56) as u8 - 0xB0), 2),
            // Where digits are cut off these are not what the least of the class has.
            _ => (((digits >> 52) as u8).max(Z), 3),
        };
        least.push(byte);
        digits <<= 4 * taken;
        at += taken;
    }
    // These are what is missing, and come before what has zeros there.
    least.truncate(least.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
    least
}

/// The cursor of a position behind a prefix, which is not longer than the longest.
pub fn cursor(prefix: &[u8], position: u64) -> u64 {
    TAG | (prefix.len() as u64) << POSITION_BITS | position
}

/// Whether it is the cursor of a position.
pub fn is_cursor(cursor: u64) -> bool {
    cursor >> TAG.trailing_zeros() == 1
}

/// The position behind a prefix of which this is the cursor.
pub fn from_cursor(prefix: &[u8], of: u64) -> Option<u64> {
    let position = of & ((1 << POSITION_BITS) - 1);
    (cursor(prefix, position) == of).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = Vec<u8>> {
        let bytes = b"\0\0\x01-/00159:;AZ_aghyz{\x7f\x80\xff\xff".to_vec();
        let byte = prop_oneof![prop::sample::select(bytes), any::<u8>()];
        prop::collection::vec(byte, 0..18)
    }

    proptest! {
        #[test]
        fn positions_keep_the_order(a in names(), b in names(), shared in 0_usize..18) {
            let shared = &a[..shared.min(a.len())];
            for b in [&b[..], &[shared, &b].concat()] {
                let (of_a, of_b) = (position_of(&a), position_of(b));
                prop_assert!(of_a.cmp(&of_b) == a[..].cmp(b) || of_a == of_b, "{of_a:x} {of_b:x}");
                // The least at a position parts the names where the position does.
                prop_assert_eq!(of_a >= of_b, a >= least_at(of_b), "{:x} {:x}", of_a, of_b);
                prop_assert_eq!(position_of(&least_at(of_b)), of_b);
            }
        }

        #[test]
        fn no_cursor_is_too_much(cursor in any::<u64>()) {
            least_at(cursor & ((1 << POSITION_BITS) - 1));
        }
    }

    #[test]
    fn digits_take_the_least() {
        let whole: [&[u8]; 6] = [b"1234567890123", b"abcdef", b"user:1", b"1-2-3-4", b"-./!", b"\x80\x80\x80\x80"];
        for rest in whole {
            assert_eq!(least_at(position_of(rest)), rest, "{}", rest.escape_ascii());
        }
        assert_eq!(position_of(b"12345678901234"), position_of(b"12345678901235"));
        assert_eq!((position_of(b""), position_of(b"\0"), position_of(&[u8::MAX; 9])), (0, 0, 0xF_FFFF_FFFF_FFFF));
    }

    #[test]
    fn a_cursor_is_of_one_length_of_prefix() {
        let long = vec![b'p'; LONGEST_PREFIX];
        for (prefix, position) in [(&b"user:"[..], position_of(b"12")), (&long, u64::MAX >> 12), (b"p", 1)] {
            let of = cursor(prefix, position);
            assert!(is_cursor(of) && i64::try_from(of).is_ok());
            assert_eq!(from_cursor(prefix, of), Some(position));
            assert_eq!(from_cursor(b"us", of), None);
        }
        assert!(!is_cursor(0) && !is_cursor(TAG - 1) && !is_cursor(u64::MAX) && !is_cursor(1 << 63));
    }
}
