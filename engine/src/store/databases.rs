//! The map of databases: which physical database each logical one is, and where the log says so.

use std::sync::atomic::Ordering;

use super::Store;
use crate::format::frame::{Draft, Kind};
use crate::keyspace::shard::DATABASES;
use crate::log::{FrameBatch, Lsn};
use crate::mutant::planted;

impl Store {
    /// Which physical database each logical one is.
    pub(crate) fn database_map(&self) -> [u8; DATABASES] {
        self.map.each_ref().map(|to| to.load(Ordering::Relaxed))
    }

    /// The end of the log, between two transactions, and the map of databases that counts there.
    pub(crate) fn position_and_map(&self) -> (Lsn, [u8; DATABASES]) {
        // Who exchanges databases holds every shard until that is in the log.
        let _held = self.shards.lock(0);
        (self.log.appended(), self.database_map())
    }

    /// Exchanges two logical databases. All shards must be held.
    pub(crate) fn swap_map(&self, one: u8, other: u8) {
        let (a, b) = (&self.map[usize::from(one)], &self.map[usize::from(other)]);
        let physical = a.swap(b.load(Ordering::Relaxed), Ordering::Relaxed);
        b.store(physical, Ordering::Relaxed);
    }

    /// The map of databases has been logged at this position or behind it. All shards must be held, or it must be as it was.
    pub(crate) fn note_map(&self, lsn: Lsn) {
        // Who sees this sees, too, how far the log then was.
        self.map_at.store(lsn, Ordering::Release);
    }

    /// What of the map of databases stands at this position is about to go: it is written again, unless it has been since.
    pub(crate) fn keep_map(&self, lsn: Lsn) {
        let is_newest = lsn >= self.map_at.load(Ordering::Acquire);
        if is_newest && !planted("map_left_behind") || planted("map_copied_for_ever") {
            self.log_map();
        }
    }

    /// Writes the map of databases to the log again.
    pub(crate) fn log_map(&self) {
        // Who exchanges databases holds every shard until that is in the log.
        let _held = self.shards.lock(0);
        let map = self.database_map();
        let mut batch = FrameBatch::default();
        batch.push(&Draft {
            kind: Kind::Swap,
            database: 0,
            value_type: 0,
            deadline: None,
            previous: None,
            key: b"",
            value: [&map, b""],
        });
        self.log.append(&mut batch);
        self.note_map(batch.lsn(0));
    }
}
