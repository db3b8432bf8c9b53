//! A frame: one operation on one key, checked on its own.
//!
//! ```text
//!  0  u32  checksum   CRC-32C of bytes 16..length, then bytes 4..16, then the store id, then the segment number
//!  4  u32  length     whole frame without padding; the next frame starts at the next multiple of 16
//!  8  u64  LSN        byte position of this frame in the endless log
//! 16  u8   kind
//! 17  u8   flags      FIRST 1, LAST 2, DEADLINE 4, PREVIOUS 8, PART 16, INDEX 32
//! 18  u8   database   physical number
//! 19  u8   type       of the value
//! 20  u32  key length
//! 24  [u64 deadline ms] [u64 previous LSN] [u32 part, u32 parts] [u64 applied index]  key  value
//! ```
//!
//! The checksum takes the body first, so that a writer can compute that part before it knows the LSN: only 36 bytes
//! are left to do under the log's lock. Store id and segment number are not stored in the frame; a frame copied to
//! another segment, left over from a recycled file, or forged by a client who stored a value, does not check.

use super::{StoreId, u32_at, u64_at};
use crate::mutant::planted;

/// Bytes before the optional fields.
pub const HEADER: usize = 24;
/// Frames start at multiples of this.
pub const ALIGN: usize = 16;
/// Longest frame that can be stored; a larger value goes to a blob file.
pub const MAX_FRAME: usize = 514 << 20;
/// Longest mark, with whatever a later program may add.
const LONGEST_MARK: usize = 256;
/// Longest key.
pub const MAX_KEY: usize = 512 << 10;

/// What a frame does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The whole value of a key; whatever was there is gone.
    Image = 1,
    /// A change of a key's value, valid only on top of the frame named by the previous LSN.
    Delta = 2,
    /// The key is gone.
    Tomb = 3,
    /// All keys of a physical database are gone.
    Flush = 4,
    /// The whole map of logical to physical databases.
    Swap = 5,
    /// Everything below the LSN in the value was durable when this was written; the wall clock follows.
    Mark = 6,
    /// As an image, but the value is in a blob file: number, length, checksum.
    Blob = 7,
    /// As an image, but the value cannot be read any more: where it was.
    Lost = 10,
}

impl Kind {
    fn parse(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Image,
            2 => Kind::Delta,
            3 => Kind::Tomb,
            4 => Kind::Flush,
            5 => Kind::Swap,
            6 => Kind::Mark,
            7 => Kind::Blob,
            10 => Kind::Lost,
            _ => return None,
        })
    }
}

/// First frame of its transaction.
pub const FIRST: u8 = 1;
/// Last frame of its transaction: without it none of the transaction counts.
pub const LAST: u8 = 2;
/// A deadline follows the header.
pub const DEADLINE: u8 = 4;
/// A previous LSN follows.
pub const PREVIOUS: u8 = 8;

/// What a writer puts in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it does.
    pub kind: Kind,
    /// Physical database.
    pub database: u8,
    /// Value type.
    pub value_type: u8,
    /// Absolute time in milliseconds at which the key goes.
    pub deadline: Option<u64>,
    /// The frame this one builds on.
    pub previous: Option<u64>,
    /// The key, empty for frames about a database or the log.
    pub key: &'a [u8],
    /// The value in two parts, so that an operation's few bytes need not be joined to its data.
    pub value: [&'a [u8]; 2],
}

impl Draft<'_> {
    /// Bytes the frame will take without padding.
    #[must_use]
    pub fn length(&self) -> usize {
        HEADER
            + 8 * usize::from(self.deadline.is_some())
            + 8 * usize::from(self.previous.is_some())
            + self.key.len()
            + self.value[0].len()
            + self.value[1].len()
    }

    /// Appends the frame to `out`, padded, with checksum and LSN still zero: [`seal`] sets them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = self.length();
        // What is longer could not be read again, and would end the log for whoever opens it.
        assert!(length <= MAX_FRAME && self.key.len() <= MAX_KEY, "callers check sizes at the edge");
        let mut flags = 0;
        if self.deadline.is_some() {
            flags |= DEADLINE;
        }
        if self.previous.is_some() {
            flags |= PREVIOUS;
        }
        let mut header = [0; HEADER];
        header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        header[16] = self.kind as u8;
        header[17] = flags;
        header[18] = self.database;
        header[19] = self.value_type;
        header[20..24].copy_from_slice(&(self.key.len() as u32).to_le_bytes());
        out.reserve(padded(length));
        out.extend_from_slice(&header);
        if let Some(deadline) = self.deadline {
            out.extend_from_slice(&deadline.to_le_bytes());
        }
        if let Some(previous) = self.previous {
            out.extend_from_slice(&previous.to_le_bytes());
        }
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.value[0]);
        out.extend_from_slice(self.value[1]);
        out.resize(out.len() + padded(length) - length, 0);
    }
}

/// A frame's length with padding.
#[must_use]
pub fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}

/// The key in a frame this program has just made.
#[must_use]
pub fn key_of(frame: &[u8]) -> &[u8] {
    let optional = usize::from(frame[17] & DEADLINE != 0) + usize::from(frame[17] & PREVIOUS != 0);
    let start = HEADER + 8 * optional;
    &frame[start..start + u32_at(frame, 20) as usize]
}

/// Marks the ends of a transaction in a frame that is not yet sealed.
pub fn set_flags(frame: &mut [u8], flags: u8) {
    frame[17] |= flags;
}

/// The part of the checksum that does not depend on where the frame goes.
#[must_use]
pub fn body_checksum(frame: &[u8]) -> u32 {
    let length = u32_at(frame, 4) as usize;
    crc32c::crc32c(&frame[16..length])
}

/// Gives the frame its place: LSN and checksum.
pub fn seal(frame: &mut [u8], body: u32, lsn: u64, seed: &Seed) {
    frame[8..16].copy_from_slice(&lsn.to_le_bytes());
    let sum = seed.finish(body, &frame[4..16]);
    frame[0..4].copy_from_slice(&sum.to_le_bytes());
}

/// What ties a frame to one segment of one store.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u8; 24]);

impl Seed {
    /// The seed of a segment.
    #[must_use]
    pub fn new(id: StoreId, segment: u64) -> Seed {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&id.0);
        if !planted("seed_without_segment") {
            bytes[16..].copy_from_slice(&segment.to_le_bytes());
        }
        Seed(bytes)
    }

    fn finish(&self, body: u32, place: &[u8]) -> u32 {
        let mut tail = [0; 36];
        tail[..12].copy_from_slice(place);
        tail[12..].copy_from_slice(&self.0);
        crc32c::crc32c_append(body, &tail)
    }
}

/// A frame as read: borrowed from the segment's bytes, its checksum verified.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Position in the endless log.
    pub lsn: u64,
    /// What it does.
    pub kind: Kind,
    /// Begins a transaction.
    pub first: bool,
    /// Ends a transaction.
    pub last: bool,
    /// Physical database.
    pub database: u8,
    /// Value type.
    pub value_type: u8,
    /// Absolute deadline in milliseconds.
    pub deadline: Option<u64>,
    /// The frame this one builds on.
    pub previous: Option<u64>,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Bytes with padding.
    pub padded: usize,
}

/// Reads the frame at the start of `bytes`, which must be the one at `lsn`. `None` when there is no valid frame: what
/// that means (the end, a torn tail, corruption) is the scanner's to say.
#[must_use]
pub fn parse<'a>(bytes: &'a [u8], lsn: u64, seed: &Seed) -> Option<Frame<'a>> {
    let length = length_at(bytes, lsn)?;
    let holds = seed.finish(crc32c::crc32c(&bytes[16..length]), &bytes[4..16]) == u32_at(bytes, 0);
    if !holds && !planted("crc_unchecked") && !planted("torn_tail_kept") {
        return None;
    }
    layout(bytes, lsn, length)
}

/// As [`parse`], of a frame that was checked before.
#[must_use]
pub fn parse_checked(bytes: &[u8], lsn: u64) -> Option<Frame<'_>> {
    layout(bytes, lsn, length_at(bytes, lsn)?)
}

fn length_at(bytes: &[u8], lsn: u64) -> Option<usize> {
    if bytes.len() < HEADER || u64_at(bytes, 8) != lsn {
        return None;
    }
    let length = u32_at(bytes, 4) as usize;
    ((HEADER..=MAX_FRAME).contains(&length) && padded(length) <= bytes.len()).then_some(length)
}

fn layout(bytes: &[u8], lsn: u64, length: usize) -> Option<Frame<'_>> {
    let kind = Kind::parse(bytes[16])?;
    let flags = bytes[17];
    let key_length = u32_at(bytes, 20) as usize;
    let mut at = HEADER;
    let mut optional = |flag: u8| {
        (flags & flag != 0).then(|| {
            at += 8;
            at - 8
        })
    };
    let (deadline, previous) = (optional(DEADLINE), optional(PREVIOUS));
    if flags & !(FIRST | LAST | DEADLINE | PREVIOUS) != 0 || at.checked_add(key_length)? > length {
        return None;
    }
    Some(Frame {
        lsn,
        kind,
        first: flags & FIRST != 0,
        last: flags & LAST != 0,
        database: bytes[18],
        value_type: bytes[19],
        deadline: deadline.map(|at| u64_at(bytes, at)),
        previous: previous.map(|at| u64_at(bytes, at)),
        key: &bytes[at..at + key_length],
        value: &bytes[at + key_length..length],
        padded: padded(length),
    })
}

/// As [`parse`], of a mark only. Nothing longer is summed: bytes that look like a long frame at every place cost little.
pub fn parse_mark<'a>(bytes: &'a [u8], lsn: u64, seed: &Seed) -> Option<Frame<'a>> {
    let of_a_mark = bytes.len() >= HEADER && bytes[16] == Kind::Mark as u8 && u32_at(bytes, 4) as usize <= LONGEST_MARK;
    if of_a_mark { parse(bytes, lsn, seed) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::new(StoreId([7; 16]), 3)
    }

    fn frame(draft: &Draft<'_>, lsn: u64, seed: &Seed) -> Vec<u8> {
        let mut bytes = Vec::new();
        draft.encode(&mut bytes);
        set_flags(&mut bytes, FIRST | LAST);
        let body = body_checksum(&bytes);
        seal(&mut bytes, body, lsn, seed);
        bytes
    }

    fn sample() -> Draft<'static> {
        Draft {
            kind: Kind::Image,
            database: 2,
            value_type: 0,
            deadline: Some(99),
            previous: None,
            key: b"key",
            value: [b"va", b"lue"],
        }
    }

    #[test]
    fn every_bit_flip_is_noticed() {
        let bytes = frame(&sample(), 4096, &seed());
        let length = sample().length();
        for bit in 0..length * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad, 4096, &seed()).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_counts_only_in_its_place() {
        let bytes = frame(&sample(), 4096, &seed());
        assert!(parse(&bytes, 4096, &seed()).is_some());
        assert!(parse(&bytes, 4112, &seed()).is_none());
        assert!(parse(&bytes, 4096, &Seed::new(StoreId([7; 16]), 4)).is_none());
        assert!(parse(&bytes, 4096, &Seed::new(StoreId([8; 16]), 3)).is_none());
    }

    proptest! {
        #[test]
        fn parse_gives_back_what_was_encoded(
            database in 0u8..16, deadline in proptest::option::of(any::<u64>()),
            previous in proptest::option::of(any::<u64>()), key in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::collection::vec(any::<u8>(), 0..200), split in 0usize..200, lsn in any::<u64>(),
        ) {
            let (a, b) = value.split_at(split.min(value.len()));
            let draft = Draft { kind: Kind::Delta, database, value_type: 1, deadline, previous, key: &key, value: [a, b] };
            let bytes = frame(&draft, lsn, &seed());
            let got = parse(&bytes, lsn, &seed()).unwrap();
            prop_assert_eq!(bytes.len(), got.padded);
            prop_assert_eq!((got.deadline, got.previous, got.key, got.value), (deadline, previous, &key[..], &value[..]));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), lsn in any::<u64>()) {
            let _ = parse(&bytes, lsn, &seed());
        }
    }
}
