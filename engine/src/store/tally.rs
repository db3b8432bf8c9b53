//! What a store counts: keys, bytes, what has gone.

use std::sync::atomic::Ordering;

use super::Store;
use crate::keyspace::figures::SharedFigures;

impl Store {
    /// Live keys of a database, expired ones included until they are removed.
    pub fn key_count(&self, database: u8) -> u64 {
        self.figures[usize::from(self.physical(database))].keys.load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes of memory that keys, values and tables take.
    pub fn memory(&self) -> u64 {
        self.figures.iter().map(|of| of.memory.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }

    /// Bytes of log that the live keys need.
    pub fn live_log_bytes(&self) -> u64 {
        self.figures.iter().map(|of| of.live_bytes.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }

    /// Keys removed because their time had come.
    pub fn expired_count(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Keys, and fields of hashes, removed because their time had come; and keys removed to make room.
    pub fn removed_counts(&self) -> [u64; 3] {
        [self.expired_count(), self.expired_field_count(), self.evicted_count()]
    }

    /// Hash fields removed because their time had come.
    pub fn expired_field_count(&self) -> u64 {
        self.expired_fields.load(Ordering::Relaxed)
    }

    pub(crate) fn figures(&self, physical: u8) -> &SharedFigures {
        &self.figures[usize::from(physical)]
    }

    pub(crate) fn clear_figures(&self, physical: u8) -> i64 {
        self.figures[usize::from(physical)].clear()
    }

    #[inline]
    pub(crate) fn account(&self, physical: u8, memory: i64, live: i64) {
        let figures = &self.figures[usize::from(physical)];
        if memory != 0 {
            figures.memory.fetch_add(memory, Ordering::Relaxed);
        }
        if live != 0 {
            figures.live_bytes.fetch_add(live, Ordering::Relaxed);
        }
    }

    /// Values have been let go of, or are in memory again.
    pub(crate) fn count_cold(&self, physical: u8, by: i64) {
        self.figures[usize::from(physical)].cold.fetch_add(by, Ordering::Relaxed);
    }

    /// Whether a value may lie in the log only.
    #[inline]
    pub fn has_cold(&self) -> bool {
        self.spill.has_cold()
    }

    /// Keys whose values lie in the log only.
    #[inline]
    pub fn cold_keys(&self) -> u64 {
        self.figures.iter().map(|of| of.cold.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }

    pub(crate) fn count_keys(&self, physical: u8, by: i64) {
        self.figures[usize::from(physical)].keys.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn count_expired(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
    }

    /// Hash fields removed because their time had come.
    pub(crate) fn count_expired_fields(&self, fields: u64) {
        self.expired_fields.fetch_add(fields, Ordering::Relaxed);
    }
}
