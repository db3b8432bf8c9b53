//! What goes into a transaction and what comes out: values, items, and what they cost in the log.

use bytes::Bytes;

use crate::cold;
use crate::format::blob::Reference;
use crate::format::frame;
use crate::keyspace::access;
use crate::keyspace::entry::Entry;
use crate::value::{self, HASH, HashView, LIST, ListView, SET, STRING, SetView, Slot, ZSET, ZsetView};

/// A value to be stored.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Bytes to be copied.
    Copy(&'a [u8]),
    /// Bytes to be shared with whoever holds them.
    Shared(Bytes),
    /// Bytes that already lie in a blob file.
    Blob(Bytes, Reference),
}

impl Value<'_> {
    /// What is stored.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Value::Copy(bytes) => bytes,
            Value::Shared(bytes) | Value::Blob(bytes, _) => bytes,
        }
    }
}

/// What a key holds.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub(super) entry: &'a Entry,
    pub(super) now_ms: u64,
}

/// The key holds a value of another type than the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

impl<'a> Item<'a> {
    pub(crate) fn of(entry: &'a Entry, now_ms: u64) -> Item<'a> {
        Item { entry, now_ms }
    }

    /// Whether its time has not come, nor that of all its fields if it is a hash.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.entry.deadline().is_none_or(|deadline| deadline > self.now_ms)
            && (self.value_type() != HASH || self.entry.is_cold() || self.shows_a_field())
    }

    /// Whether it is a string or has an element.
    pub(crate) fn has_elements(&self) -> bool {
        self.value_type() == STRING
            || self.entry.is_cold()
            || value::len(self.value_type(), self.entry.packed(), self.entry.object()) != 0
    }

    fn shows_a_field(&self) -> bool {
        let hash = HashView::new(self.entry.packed(), self.entry.object(), self.now_ms);
        hash.next_deadline().is_none_or(|deadline| deadline > self.now_ms) || hash.iter().next().is_some()
    }

    /// What kind of value it is: [`STRING`], [`LIST`] and so on.
    #[inline]
    pub fn value_type(&self) -> u8 {
        self.entry.value_type()
    }

    /// Bytes of a string; 0 of anything else.
    #[inline]
    pub fn string_bytes(&self) -> usize {
        match self.value_type() {
            STRING if self.entry.is_cold() => self.entry.cold_length() as usize,
            STRING => self.entry.value().len(),
            _ => 0,
        }
    }

    /// The string.
    #[inline]
    pub fn string(&self) -> Result<&'a [u8], WrongType> {
        self.expect(STRING)?;
        Ok(self.entry.value())
    }

    /// The string, without a copy, when it is large enough to be kept by itself.
    #[inline]
    pub fn shared(&self) -> Option<&'a Bytes> {
        self.entry.shared_value()
    }

    /// The list.
    #[inline]
    pub fn list(&self) -> Result<ListView<'a>, WrongType> {
        self.expect(LIST)?;
        Ok(ListView::new(self.entry.packed(), self.entry.object()))
    }

    /// The hash, as it is at the time of the transaction.
    #[inline]
    pub fn hash(&self) -> Result<HashView<'a>, WrongType> {
        self.expect(HASH)?;
        Ok(HashView::new(self.entry.packed(), self.entry.object(), self.now_ms))
    }

    /// The set.
    #[inline]
    pub fn set(&self) -> Result<SetView<'a>, WrongType> {
        self.expect(SET)?;
        Ok(SetView::new(self.entry.packed(), self.entry.object()))
    }

    /// The sorted set.
    #[inline]
    pub fn zset(&self) -> Result<ZsetView<'a>, WrongType> {
        self.expect(ZSET)?;
        Ok(ZsetView::new(self.entry.packed(), self.entry.object()))
    }

    /// The name of the value's encoding, when it is a collection.
    pub fn encoding(&self) -> &'static str {
        if self.entry.is_cold() {
            cold::miss();
            return "";
        }
        value::encoding(self.entry.packed(), self.entry.object())
    }

    /// When the key goes, in milliseconds of wall time.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.entry.deadline()
    }

    /// Seconds since the key was last used, as far as that is kept.
    pub fn idle_seconds(&self) -> u64 {
        access::idle_seconds(self.entry.access(), self.now_ms)
    }

    /// Whether the value lies in the log only and has not been read: no accessor gives it.
    #[inline]
    pub fn is_cold(&self) -> bool {
        self.entry.is_cold()
    }

    /// Bytes of memory that the key and its value take.
    pub fn memory(&self) -> usize {
        self.entry.footprint()
    }

    /// Where the value lies in memory, for people who debug.
    pub fn address(&self) -> usize {
        match self.entry.object() {
            Some(object) => std::ptr::from_ref(object).addr(),
            None => self.entry.value().as_ptr().addr(),
        }
    }

    /// Bytes of the log that the value takes when it is logged as a whole.
    #[inline]
    pub fn image_bytes(&self) -> usize {
        image_bytes(self.entry)
    }

    #[inline]
    fn expect(&self, value_type: u8) -> Result<(), WrongType> {
        if self.value_type() == value_type && !self.entry.is_cold() { Ok(()) } else { self.refuse(value_type) }
    }

    /// What is only in the log is no value that anybody may take for one: that it was asked for is noted.
    #[cold]
    fn refuse(&self, value_type: u8) -> Result<(), WrongType> {
        if self.value_type() == value_type {
            cold::miss();
        }
        Err(WrongType)
    }
}

/// Bytes of an entry's value as an image.
#[inline]
pub(crate) fn image_bytes(entry: &Entry) -> usize {
    match entry.object() {
        None if entry.is_cold() => entry.cold_length() as usize,
        None => entry.value().len(),
        Some(object) => object.image_bytes(),
    }
}

/// Bytes of log that a live value needs.
pub(super) fn frame_cost(key: usize, value: usize, deadline: Option<u64>) -> i64 {
    frame::padded(frame::HEADER + 8 * usize::from(deadline.is_some()) + key + value) as i64
}

/// Bytes of log that a live entry needs, whose image has parts of so many bytes if it is long.
pub(crate) fn live_cost(entry: &Entry, in_blob: bool, part_bytes: usize) -> i64 {
    let value = if in_blob { Reference::BYTES } else { image_bytes(entry) };
    let one = frame_cost(entry.key().len(), value, entry.deadline());
    // A long image has several frames.
    let parts = if in_blob || entry.object().is_none() { 0 } else { value / part_bytes.max(1) };
    one + parts as i64 * frame_cost(entry.key().len() + 8 + 1, frame::ALIGN, None)
}
