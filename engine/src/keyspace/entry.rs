//! A key and its value in one allocation.
//!
//! How the bytes lie is in [`layout`]. A string of [`OUT_OF_LINE`] bytes or more is *large*: it lies in [`Bytes`] of its
//! own, which replies share. So is a collection that has outgrown its packed form: it is an [`Object`] of its own.
//!
//! The block has the size class of what it holds ([`class`]), always: a change that stays in the class is made in
//! place, any other moves the entry to a new block, and freeing needs no stored size.
//!
//! The upper 16 bits of an address are unused by all supported systems. An [`Entry`] lends them to the table that
//! holds it ([`Entry::mark`]).
//!
//! Not here: what a value means, or when an entry is due.

#![expect(unsafe_code, reason = "one allocation of varying layout behind a thin pointer; run under Miri")]

mod large;
mod layout;
mod raw;
mod stored;

use std::fmt;
use std::ptr::NonNull;

use bytes::Bytes;

use crate::class::class;
use crate::prefetch::prefetch;
use crate::value::{Object, STRING, Slot, load};
use large::Large;
use layout::{
    ACCESS_AT, BASE, COLD, DEADLINE, LARGE, LENGTHS_AT, LSN_AT, Shape, TYPE, WIDE, base_at, deadline_at, key_at,
    large_at, pack, unpack,
};
use raw::{allocate, marked, release};
use stored::Outside;
pub use stored::Stored;

/// Values of this many bytes or more are kept apart from their entry and shared with replies.
pub const OUT_OF_LINE: usize = 16 * 1024;

/// Elements of a collection that are freed where they are removed; more are freed behind.
const FREED_AT_ONCE: usize = 64;

const MARK_SHIFT: u32 = 48;
const ADDRESS: usize = (1 << MARK_SHIFT) - 1;
const _: () = assert!(usize::BITS == 64, "marks need the upper bits of a 64-bit address");

/// A key with its value: an owned pointer of eight bytes.
#[repr(transparent)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its block alone, and what it holds (plain bytes and `Bytes`) may go to and be read from any
// thread.
unsafe impl Send for Entry {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for Entry {}

impl Entry {
    /// A key with a value. `lsn`, a multiple of 16, is where the log holds it; 0 when it does not yet.
    ///
    /// # Panics
    /// When the key is longer than 4 GiB.
    pub fn new(key: &[u8], value: Stored<'_>, deadline: Option<u64>, lsn: u64) -> Entry {
        assert!(u32::try_from(key.len()).is_ok(), "a key of 4 GiB");
        let packed = pack(lsn);
        let shape = value.shape(key.len(), deadline.is_some(), false);
        let mut entry = Entry(allocate(shape.bytes()));
        entry.put_header(shape);
        entry.put(ACCESS_AT, [0; 2]);
        entry.put(LSN_AT, packed);
        entry.put_deadline(deadline);
        entry.put_slice(shape.key_at(), key);
        entry.put_value(shape, value);
        entry
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let flags = self.flags();
        let length = match flags & WIDE {
            0 => usize::from(u8::from_le_bytes(self.get(LENGTHS_AT))),
            _ => u32::from_le_bytes(self.get(LENGTHS_AT)) as usize,
        };
        self.slice(key_at(flags), length)
    }

    /// The bytes of a string, or of a packed collection; none of a large collection, or of a value that lies in the log only.
    #[inline]
    pub fn value(&self) -> &[u8] {
        let shape = self.shape();
        match shape.flags & (LARGE | TYPE) {
            LARGE => &self.large().bytes,
            flags if flags & LARGE != 0 => &[],
            _ => self.slice(shape.key_at() + shape.key, shape.value),
        }
    }

    /// A string without a copy, when it is kept apart from the entry.
    #[inline]
    pub fn shared_value(&self) -> Option<&Bytes> {
        (self.flags() & (LARGE | TYPE) == LARGE).then(|| &self.large().bytes)
    }

    /// The type of the value, as [`crate::value`] numbers them.
    #[inline]
    pub fn value_type(&self) -> u8 {
        self.flags() & TYPE
    }

    /// Whether the value lies in the log only. Then it seems to be empty here: who needs it has it read first.
    #[inline]
    pub fn is_cold(&self) -> bool {
        self.flags() & COLD != 0
    }

    /// Bytes of the value in the log, when it lies only there.
    #[inline]
    pub fn cold_length(&self) -> u32 {
        debug_assert!(self.is_cold());
        u32::from_le_bytes(self.get(large_at(self.flags())))
    }

    /// Bytes of memory that are free once the value lies in the log only.
    #[inline]
    pub fn cold_gain(&self) -> usize {
        let shape = self.shape();
        let cold = Shape { value: 0, ..shape }.with(LARGE, false).with(BASE, false).with(COLD, true).with_width();
        self.footprint() - class(cold.bytes()).min(self.footprint())
    }

    /// Lets go of the value, which has so many bytes in the log. A large collection is given back: dropping it takes time.
    pub fn chill(&mut self, length: u32) -> Option<Box<Object>> {
        let (deadline, lsn) = (self.deadline(), self.lsn());
        debug_assert!(self.base().is_none(), "the log holds it in one piece");
        self.replace(Stored::Cold(self.value_type(), length), deadline, None, lsn)
    }

    /// Another entry of the same key, value, deadline and position.
    pub fn duplicate(&self) -> Entry {
        let (key, deadline, lsn) = (self.key(), self.deadline(), self.lsn());
        let value = match (self.object(), self.shared_value()) {
            (Some(object), _) => {
                let mut copy = None;
                object.image_parts(usize::MAX, &mut |image| copy = load(object.value_type(), image).ok().flatten());
                Stored::Object(Box::new(copy.expect("what a collection has made of itself can be read")))
            }
            (None, Some(bytes)) => Stored::own(bytes.clone()),
            (None, None) if self.is_cold() => Stored::Cold(self.value_type(), self.cold_length()),
            (None, None) if self.value_type() == STRING => Stored::copy(self.value()),
            (None, None) => Stored::Packed(self.value_type(), self.value()),
        };
        let mut other = Entry::new(key, value, deadline, lsn);
        other.set_base(self.base());
        other
    }

    /// Takes over the value that was read back from the log, in an entry of the same key.
    pub fn warm(&mut self, mut read: Entry) {
        debug_assert!(self.key() == read.key() && self.lsn() == read.lsn());
        read.set_mark(self.mark());
        read.set_access(self.access());
        *self = read;
    }

    /// When the entry is due to go, in milliseconds of wall time.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        let flags = self.flags();
        (flags & DEADLINE != 0).then(|| u64::from_le_bytes(self.get(deadline_at(flags))))
    }

    /// Where the log holds the last change.
    #[inline]
    pub fn lsn(&self) -> u64 {
        unpack(self.get(LSN_AT))
    }

    /// Where the log holds the image that later changes build upon, when that is not the last change itself.
    #[inline]
    pub fn base(&self) -> Option<u64> {
        let flags = self.flags();
        (flags & BASE != 0).then(|| unpack(self.get(base_at(flags))))
    }

    /// When the entry was last used, as [`super::access`] keeps it.
    #[inline]
    pub fn access(&self) -> u16 {
        u16::from_le_bytes(self.get(ACCESS_AT))
    }

    /// Sixteen bits that belong to whoever holds the entry. They stay when the entry changes.
    #[inline]
    pub fn mark(&self) -> u16 {
        (self.0.as_ptr().addr() >> MARK_SHIFT) as u16
    }

    /// Sets the holder's sixteen bits.
    #[inline]
    pub fn set_mark(&mut self, mark: u16) {
        self.0 = marked(self.start(), mark);
    }

    /// Sets where the log holds the last change: a multiple of 16.
    #[inline]
    pub fn set_lsn(&mut self, lsn: u64) {
        self.put(LSN_AT, pack(lsn));
    }

    /// Notes a use. Most are within the second of the last one: then nothing is written.
    #[inline]
    pub fn set_access(&mut self, access: u16) {
        if self.access() != access {
            self.put(ACCESS_AT, access.to_le_bytes());
        }
    }

    /// Sets or takes away the deadline.
    pub fn set_deadline(&mut self, deadline: Option<u64>) {
        self.reshape(self.shape().with(DEADLINE, deadline.is_some()), usize::MAX);
        self.put_deadline(deadline);
    }

    /// Sets or takes away the position of the base image.
    pub fn set_base(&mut self, base: Option<u64>) {
        if (self.flags() & BASE != 0) != base.is_some() {
            self.reshape(self.shape().with(BASE, base.is_some()), usize::MAX);
        }
        self.put_base(base.map(pack));
    }

    /// Stores another value under the key, in place when the size class stays the same. The access bytes stay. A large
    /// collection that was there is given back: dropping it takes time.
    pub fn replace(
        &mut self,
        value: Stored<'_>,
        deadline: Option<u64>,
        base: Option<u64>,
        lsn: u64,
    ) -> Option<Box<Object>> {
        let (lsn, base) = (pack(lsn), base.map(pack));
        let shape = value.shape(self.shape().key, deadline.is_some(), base.is_some());
        // From here to `put_value` nothing may panic: the pointer to a large value is stale or not yet written.
        let old = self.take_outside();
        self.reshape(shape, 0);
        self.put_deadline(deadline);
        self.put_base(base);
        self.put(LSN_AT, lsn);
        self.put_value(shape, value);
        match old {
            Some(Outside::Object(object)) => Some(object),
            Some(Outside::String(_)) | None => None,
        }
    }

    /// Puts bytes behind the value. Many short appends to a long value cost what they add, not what is there.
    pub fn append(&mut self, bytes: &[u8]) {
        self.set_range(self.value().len(), bytes);
    }

    /// Overwrites the value from `offset`, which may lie behind its end: the gap becomes zeros. No bytes: no change.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let shape = self.shape();
        // Checked: everything below writes where this says.
        let end = offset.checked_add(bytes.len()).expect("a value within the address space");
        let (old, end) = (shape.value, shape.value.max(end));
        if shape.flags & LARGE != 0 {
            self.large_mut().set_range(offset, bytes);
        } else if end < OUT_OF_LINE {
            let shape = Shape { value: end, ..shape }.with_width();
            self.reshape(shape, old);
            let value_at = shape.key_at() + shape.key;
            self.put_zeros(value_at + old, offset.saturating_sub(old));
            self.put_slice(value_at + offset, bytes);
        } else {
            let mut large = Large::growing(self.value(), end);
            large.set_range(offset, bytes);
            let shape = Shape { value: 0, ..shape }.with(LARGE, true).with_width();
            self.reshape(shape, 0);
            self.put_outside(shape.flags, Outside::String(Box::new(large)));
        }
    }

    /// Bytes of memory this entry takes, with what lies out of line.
    #[inline]
    pub fn footprint(&self) -> usize {
        let own = class(self.shape().bytes());
        match self.flags() & (LARGE | TYPE) {
            LARGE => own + self.large().footprint(),
            flags if flags & LARGE != 0 => own + class(size_of::<Object>()) + self.object_ref().memory(),
            _ => own,
        }
    }

    /// Whether freeing it takes so long that it should stop nobody.
    #[inline]
    pub fn is_costly_to_free(&self) -> bool {
        self.object().is_some_and(|object| object.len() > FREED_AT_ONCE)
    }

    /// Fetches the entry into the cache, as far as a short entry reaches.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.start());
        prefetch(self.start().wrapping_add(64));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let bytes = self.shape().bytes();
        drop(self.take_outside());
        release(self.start(), bytes);
    }
}

/// Collections, edited where they lie.
impl Slot for Entry {
    #[inline]
    fn packed(&self) -> &[u8] {
        self.value()
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        let old = self.shape();
        assert!(old.flags & LARGE == 0 && at + removed <= old.value, "an edit within the packed bytes");
        if removed == inserted.len() {
            return self.put_slice(old.key_at() + old.key + at, inserted);
        }
        let (behind, length) = (old.value - at - removed, old.value - removed + inserted.len());
        assert!(length < OUT_OF_LINE, "packed bytes that stay in the entry");
        let new = Shape { value: length, ..old }.with_width();
        // What stands behind the edit moves within a block that has room for it before and after.
        if length >= old.value {
            self.reshape(new, old.value);
            self.move_within(new.key_at() + new.key, at + removed, at + inserted.len(), behind);
        } else {
            self.move_within(old.key_at() + old.key, at + removed, at + inserted.len(), behind);
            self.reshape(new, length);
        }
        self.put_slice(new.key_at() + new.key + at, inserted);
    }

    #[inline]
    fn object(&self) -> Option<&Object> {
        let flags = self.flags();
        (flags & LARGE != 0 && flags & TYPE != STRING).then(|| self.object_ref())
    }

    #[inline]
    fn object_mut(&mut self) -> Option<&mut Object> {
        self.object()?;
        // SAFETY: the pointer comes from a box that this entry owns, and the entry is borrowed mutably.
        Some(unsafe { &mut *self.object_pointer() })
    }

    fn become_object(&mut self, object: Object) {
        let (deadline, base, lsn) = (self.deadline(), self.base(), self.lsn());
        self.replace(Stored::Object(Box::new(object)), deadline, base, lsn);
    }

    fn become_packed(&mut self, packed: &[u8]) {
        let (value_type, deadline, base, lsn) = (self.value_type(), self.deadline(), self.base(), self.lsn());
        drop(self.replace(Stored::Packed(value_type, packed), deadline, base, lsn));
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value_bytes", &self.value().len())
            .field("deadline", &self.deadline())
            .field("lsn", &self.lsn())
            .finish()
    }
}

#[cfg(test)]
mod tests;
