//! How far an opening is: counted by the one who opens, read by those who tell.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Bytes and keys of a store that is being opened.
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    loaded_bytes: AtomicU64,
    keys: AtomicI64,
}

impl Progress {
    /// Bytes of files that are to be read, as far as is known.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed).max(self.loaded_bytes())
    }

    /// Bytes of files that were read.
    pub fn loaded_bytes(&self) -> u64 {
        self.loaded_bytes.load(Ordering::Relaxed)
    }

    /// Keys that were found so far.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed).max(0) as u64
    }

    /// It begins, perhaps again: so much is to be read.
    pub(crate) fn begin(&self, total_bytes: u64) {
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.loaded_bytes.store(0, Ordering::Relaxed);
        self.keys.store(0, Ordering::Relaxed);
    }

    pub(crate) fn add_loaded_bytes(&self, bytes: u64) {
        self.loaded_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_keys(&self, by: i64) {
        self.keys.fetch_add(by, Ordering::Relaxed);
    }
}
