//! Where the fields of an entry lie, and what its flags say about it.
//!
//! ```text
//!   0      1       3       10
//!   ┌──────┬───────┬───────┬─────────┬────────────┬────────┬─────┬───────┐
//!   │flags │access │LSN/16 │lengths  │ deadline   │base/16 │ key │ value │
//!   │ 1    │ 2     │ 7     │ 2 to 12 │ 8 if set   │7 if set│     │       │
//!   └──────┴───────┴───────┴─────────┴────────────┴────────┴─────┴───────┘
//!
//!   flags    bits 0-2 type of the value, 3 cold, 4 deadline, 5 large, 6 base, 7 wide
//!   lengths  key u8,  value u8                          nothing longer than 255 bytes
//!            key u32, value u16                         wide
//!            key u8 (u32 when wide), pointer u64        large
//!            key u8 (u32 when wide), value's length u32 cold: the value lies in the log only
//! ```
//!
//! All numbers are little-endian and none is aligned. Where the key starts follows from the flags alone.

pub(super) const COLD: u8 = 1 << 3;
pub(super) const DEADLINE: u8 = 1 << 4;
pub(super) const LARGE: u8 = 1 << 5;
pub(super) const BASE: u8 = 1 << 6;
pub(super) const WIDE: u8 = 1 << 7;
pub(super) const TYPE: u8 = 0x07;

pub(super) const ACCESS_AT: usize = 1;
pub(super) const LSN_AT: usize = 3;
pub(super) const LENGTHS_AT: usize = 10;
/// Positions in the log are multiples of this; only the quotient is stored.
const LSN_UNIT: u64 = 16;
pub(super) const U56: usize = 7;

/// Where the key starts, by the upper five bits of the flags.
const KEY_AT: [u8; 32] = {
    let mut at = [0; 32];
    let mut index = 0;
    while index < 32 {
        let flags = (index as u8) << 3;
        at[index] = (LENGTHS_AT + lengths(flags) + if flags & DEADLINE != 0 { 8 } else { 0 }) as u8;
        at[index] += if flags & BASE != 0 { U56 as u8 } else { 0 };
        index += 1;
    }
    at
};

#[inline]
pub(super) fn key_at(flags: u8) -> usize {
    usize::from(KEY_AT[usize::from(flags >> 3)])
}

/// Of an entry that has a deadline.
#[inline]
pub(super) fn deadline_at(flags: u8) -> usize {
    key_at(flags) - 8 - if flags & BASE != 0 { U56 } else { 0 }
}

/// Of an entry that has a base.
#[inline]
pub(super) fn base_at(flags: u8) -> usize {
    key_at(flags) - U56
}

const fn lengths(flags: u8) -> usize {
    let key = if flags & WIDE != 0 { 4 } else { 1 };
    let value = match (flags & LARGE != 0, flags & COLD != 0, flags & WIDE != 0) {
        (true, _, _) => 8,
        (false, true, _) => 4,
        (false, false, true) => 2,
        (false, false, false) => 1,
    };
    key + value
}

/// What decides the layout of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) flags: u8,
    /// Bytes of the key.
    pub(super) key: usize,
    /// Bytes of the value within the entry: 0 when it lies apart.
    pub(super) value: usize,
}

impl Shape {
    #[inline]
    pub(super) fn new(value_type: u8, key: usize, inline: Option<usize>, has_deadline: bool, has_base: bool) -> Shape {
        Shape { flags: value_type, key, value: inline.unwrap_or(0) }
            .with(LARGE, inline.is_none())
            .with(DEADLINE, has_deadline)
            .with(BASE, has_base)
            .with_width()
    }

    #[inline]
    pub(super) fn with(self, flag: u8, on: bool) -> Shape {
        Shape { flags: if on { self.flags | flag } else { self.flags & !flag }, ..self }
    }

    #[inline]
    pub(super) fn with_width(self) -> Shape {
        self.with(WIDE, self.key > 255 || self.value > 255)
    }

    #[inline]
    pub(super) fn key_at(self) -> usize {
        key_at(self.flags)
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        self.key_at() + self.key + self.value
    }
}

/// Where a pointer, or the length of a cold value, stands.
#[inline]
pub(super) fn large_at(flags: u8) -> usize {
    LENGTHS_AT + if flags & WIDE == 0 { 1 } else { 4 }
}

/// A position as it is stored: in units, seven bytes.
#[inline]
pub(super) fn pack(lsn: u64) -> [u8; U56] {
    debug_assert!(lsn.is_multiple_of(LSN_UNIT), "position {lsn} is not aligned");
    let [bytes @ .., _] = (lsn / LSN_UNIT).to_le_bytes();
    bytes
}

#[inline]
pub(super) fn unpack(bytes: [u8; U56]) -> u64 {
    let mut wide = [0; 8];
    wide[..U56].copy_from_slice(&bytes);
    u64::from_le_bytes(wide) * LSN_UNIT
}
