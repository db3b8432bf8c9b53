//! Who wants to know what transactions do: that a key changed, and what is told to subscribers.
//!
//! A listener is called while the transaction still holds its locks, so that what it hears of one key comes in the order
//! of the log; it must be quick, and must not use the store. Nobody is called while nobody asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::log::Lsn;

/// Kinds of events, as Redis groups its keyspace notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Whatever the key holds: `del`, `expire`, `rename_from` …
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Hashes.
    Hash,
    /// Sorted sets.
    SortedSet,
    /// A key that went because its time had come.
    Expired,
    /// A key that went to make room.
    Evicted,
    /// A key that was looked for and was not there.
    KeyMiss,
    /// A key that was not there before.
    New,
}

/// Something that happened to a key.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its kind.
    pub class: Class,
    /// Its name, as Redis has it.
    pub name: &'static str,
    /// The logical database.
    pub database: u8,
    /// The key.
    pub key: &'a [u8],
    /// The position that must be safe before anybody may be told.
    pub lsn: Lsn,
}

/// Hears what transactions do.
pub trait Listener: Send + Sync {
    /// A key of a logical database has another value, or none any more.
    fn changed(&self, database: u8, key: &[u8], present: bool);

    /// Something happened.
    fn event(&self, event: &Event<'_>);

    /// A logical database was emptied, or is another now; what this means for a key can be asked.
    fn replaced(&self, database: u8, presence: &mut dyn FnMut(&[u8]) -> Presence);
}

/// Whether a key is in a database that has taken the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// It was in the one before, if only as a value whose time had come.
    pub was: bool,
    /// It is in this one.
    pub is: bool,
}

/// Whether anybody wants to hear.
#[derive(Default)]
pub struct Attention {
    /// How many want to hear of changed keys.
    changes: AtomicUsize,
    /// Whether somebody wants to hear of events.
    events: AtomicBool,
}

impl Attention {
    /// One more, or one less, wants to hear of changed keys.
    pub fn add_changes(&self, more: isize) {
        self.changes.fetch_add(more as usize, Ordering::SeqCst);
    }

    /// Whether somebody wants to hear of changed keys.
    #[inline]
    pub fn to_changes(&self) -> bool {
        self.changes.load(Ordering::Relaxed) != 0
    }

    /// Sets whether somebody wants to hear of events.
    pub fn set_events(&self, wanted: bool) {
        self.events.store(wanted, Ordering::Relaxed);
    }

    /// Whether somebody wants to hear of events.
    #[inline]
    pub fn to_events(&self) -> bool {
        self.events.load(Ordering::Relaxed)
    }
}
