//! What goes into a transaction and what comes out: values, items, and what they cost in the log.

use bytes::Bytes;

use crate::format::blob::Reference;
use crate::format::frame;
use crate::keyspace::entry::Entry;

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
}

impl<'a> Item<'a> {
    pub(crate) fn of(entry: &'a Entry) -> Item<'a> {
        Item { entry }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        self.entry.value()
    }

    /// The value, without a copy, when it is large enough to be kept by itself.
    #[inline]
    pub fn shared(&self) -> Option<&'a Bytes> {
        self.entry.shared_value()
    }

    /// When the key goes, in milliseconds of wall time.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.entry.deadline()
    }
}

/// Bytes of log that a live value needs.
pub(super) fn frame_cost(key: usize, value: usize, deadline: Option<u64>) -> i64 {
    frame::padded(frame::HEADER + 8 * usize::from(deadline.is_some()) + key + value) as i64
}

/// Bytes of log that a live entry needs.
pub(crate) fn live_cost(entry: &Entry, in_blob: bool) -> i64 {
    let value = if in_blob { Reference::BYTES } else { entry.value().len() };
    frame_cost(entry.key().len(), value, entry.deadline())
}
