//! Values that lie in the log only: what a transaction wants of them, and how they are read back.
//!
//! ```text
//!   entry: key, deadline, position, length ──► segment ──► frame, checked ──► an entry with its value
//! ```
//!
//! Every value is in the log, so a value leaves memory by being forgotten. Whoever needs it again asks for it
//! before its transaction ([`Transaction::wants`](crate::Transaction::wants)), reads it without any lock ([`Reading`]),
//! and brings it along ([`Transaction::bring`](crate::Transaction::bring)). If the key has changed meanwhile it wants
//! another. One that was not brought is read within the transaction: right, but under a lock.

mod files;
pub(crate) mod read;
pub(crate) mod spill;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;

use crate::format::blob::Reference;
use crate::format::{frame, lost};
use crate::keyspace::entry::{Entry, Stored};
use crate::log::Lsn;
use crate::mutant::planted;
use crate::store::{MAX_VALUE, Store};
use crate::value::{self, LIST, Malformed, STRING, ZSET};
pub(crate) use files::{Moved, SegmentFiles};
pub use read::{LONGEST_PIECE, Reading};

/// A value that lies in the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The physical database.
    pub(crate) database: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) lsn: Lsn,
    pub(crate) length: u32,
    pub(crate) deadline: Option<u64>,
    /// How idle it was before it was wanted, in the measure of its policy.
    pub(crate) idle: u64,
}

impl Want {
    pub(crate) fn of(database: u8, entry: &Entry) -> Want {
        let (lsn, length) = (entry.lsn(), entry.cold_length());
        Want { database, key: entry.key().to_vec(), lsn, length, deadline: entry.deadline(), idle: u64::MAX }
    }

    /// Where the value lies in the log: no other value ever lies there.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.lsn
    }

    /// Bytes of the value.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.length as usize
    }

    /// Bytes of the log that have to be read for it, or to learn that it is lost.
    pub(crate) fn frame_bytes(&self, is_blob: bool) -> usize {
        let deadline = 8 * usize::from(self.deadline.is_some());
        let value = if is_blob { Reference::BYTES } else { lost::Place::BYTES.max(self.length as usize) };
        frame::padded(frame::HEADER + deadline + self.key.len() + value)
    }
}

/// A value that was read back.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub(crate) database: u8,
    pub(crate) entry: Arc<Entry>,
    pub(crate) idle: u64,
}

impl Fetched {
    /// Whose value it is.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.entry.key()
    }

    /// Whether it is what is wanted.
    #[must_use]
    pub fn is(&self, want: &Want) -> bool {
        self.is_at(want.database, want.lsn) && self.entry.key() == want.key
    }

    pub(crate) fn is_at(&self, database: u8, lsn: Lsn) -> bool {
        self.database == database && (self.entry.lsn() == lsn || planted("stale_cold_read"))
    }

    /// An entry of its own with the same value.
    pub(crate) fn to_entry(&self) -> Entry {
        self.entry.duplicate()
    }
}

thread_local! {
    /// Somebody on this thread has asked for a value that lies in the log only.
    static MISSED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn miss() {
    MISSED.set(true);
}

/// Whether a value that lies in the log only was asked for on this thread since the last call. What was told then is to be
/// forgotten.
#[inline]
pub fn take_missed() -> bool {
    MISSED.take()
}

/// Whether [`take_missed`] would say so.
pub fn is_missed() -> bool {
    MISSED.get()
}

/// A value as an image in the log holds it, to be stored; `None` when it makes no sense.
pub(crate) fn stored_of(value_type: u8, image: &[u8]) -> Option<Stored<'_>> {
    match value_type {
        STRING if image.len() <= MAX_VALUE => Some(Stored::copy(image)),
        LIST..=ZSET => match value::load(value_type, image) {
            // An empty collection is no value: its key would have gone.
            Ok(Some(object)) if object.is_empty() => None,
            Ok(None) if value::len(value_type, image, None) == 0 => None,
            Ok(Some(object)) => Some(Stored::Object(Box::new(object))),
            Ok(None) => Some(Stored::Packed(value_type, image)),
            Err(Malformed) => None,
        },
        _ => None,
    }
}

impl Store {
    /// Whether a value that could not be read is still the one that is wanted: then it is damaged, and has not just moved.
    pub fn is_wanted(&self, want: &Want) -> bool {
        let key = self.key(&want.key);
        let shard = self.shards().lock(key.shard());
        shard.find(want.database, &key).is_some_and(|entry| entry.is_cold() && entry.lsn() == want.lsn)
    }

    /// The value of an entry that has it in the log only, for those who look over everything and stop everybody meanwhile.
    /// `None` of one in memory, or of one that cannot be read.
    pub(crate) fn read_back(&self, database: u8, entry: &Entry) -> Option<Fetched> {
        if entry.is_cold() { self.read(&Want::of(database, entry)).ok() } else { None }
    }
}
