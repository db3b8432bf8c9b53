//! An element as it lies in packed values, images and operations: its length, then its bytes.
//!
//! The length is one byte up to 253; else 254 and a `u16`, or 255 and a `u32`, little-endian. The shortest form is the
//! only one that is read: a value has one image, and its length follows from the lengths of its elements.

/// The longest that one byte states.
const SHORT: usize = 253;
const TWO_BYTES: u8 = 254;
const FOUR_BYTES: u8 = 255;

/// Writes an element.
///
/// # Panics
///
/// When it is longer than 4 GiB.
#[inline]
pub fn push_element(into: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= SHORT {
        into.push(bytes.len() as u8);
    } else if let Ok(length) = u16::try_from(bytes.len()) {
        into.push(TWO_BYTES);
        into.extend_from_slice(&length.to_le_bytes());
    } else {
        let length = u32::try_from(bytes.len()).expect("an element below 4 GiB");
        into.push(FOUR_BYTES);
        into.extend_from_slice(&length.to_le_bytes());
    }
    into.extend_from_slice(bytes);
}

/// The first element, and what comes after it. `None` when it is not all there, or its length is in too long a form.
#[inline]
pub fn read_element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        TWO_BYTES => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_le_bytes(*length));
            (length > SHORT).then(|| rest.split_at_checked(length)).flatten()
        }
        FOUR_BYTES => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length) as usize;
            (length > usize::from(u16::MAX)).then(|| rest.split_at_checked(length)).flatten()
        }
        length => rest.split_at_checked(usize::from(length)),
    }
}

/// Bytes that an element of this length takes.
#[inline]
pub const fn element_bytes(length: usize) -> usize {
    match length {
        0..=SHORT => 1 + length,
        254..=0xFFFF => 3 + length,
        _ => 5 + length,
    }
}

/// The next eight bytes as a number, and what comes after them.
#[inline]
pub(super) fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::place::cases;

    #[test]
    fn every_form_is_read_back_and_no_other() {
        for length in [0, 1, 253, 254, 255, 65_535, 65_536] {
            let mut written = Vec::new();
            push_element(&mut written, &vec![7; length]);
            assert_eq!(written.len(), element_bytes(length));
            assert_eq!(read_element(&written).map(|(element, rest)| (element.len(), rest.len())), Some((length, 0)));
            assert_eq!(read_element(&written[..written.len() - 1]), None);
        }
        assert_eq!(read_element(b"\xFE\x01\x00a"), None);
        assert_eq!(read_element(b"\xFF\x01\x00\x00\x00a"), None);
    }

    proptest! {
        #![proptest_config(cases(2000))]

        #[test]
        fn hostile_bytes_are_refused_or_written_alike(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some((element, rest)) = read_element(&bytes) {
                let mut written = Vec::new();
                push_element(&mut written, element);
                prop_assert_eq!(&bytes[..bytes.len() - rest.len()], &written[..]);
            }
        }
    }
}
