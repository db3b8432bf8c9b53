//! Values that lie in the log only, in a transaction: wanted, brought along, or read where they are needed.

use super::Transaction;
use crate::cold::{self, Fetched, Want};
use crate::failpoint;
use crate::format::frame::Kind;
use crate::format::lost::Place;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::Key;
use crate::log::Lsn;
use crate::store::Store;

/// The values that lie in the log only which a transaction has come upon.
#[derive(Default)]
pub(super) struct Cold {
    /// Read before.
    brought: Vec<Fetched>,
    /// Looked at and not brought.
    wanted: Vec<Want>,
    /// What was not brought is read at once.
    reads_at_once: bool,
}

impl Cold {
    /// The value of an entry that lies in the log only, if it was brought along: else the entry as it is.
    #[inline]
    pub(super) fn brought<'e>(&'e self, entry: &'e Entry, database: u8) -> &'e Entry {
        if entry.is_cold() { self.find(entry, database).map_or(entry, |fetched| &*fetched.entry) } else { entry }
    }

    #[cold]
    fn find(&self, entry: &Entry, database: u8) -> Option<&Fetched> {
        self.brought.iter().find(|fetched| fetched.is_at(database, entry.lsn()) && fetched.entry.key() == entry.key())
    }

    /// What is wanted for an entry whose value lies in the log only and that was so idle: nothing when it was brought, or
    /// when its time has come.
    fn want(&self, entry: &Entry, idle: u64, database: u8, now_ms: u64) -> Option<Want> {
        let is_due = entry.deadline().is_some_and(|deadline| deadline <= now_ms);
        let is_wanted = !is_due && self.find(entry, database).is_none();
        is_wanted.then(|| Want { idle, ..Want::of(database, entry) })
    }

    /// An entry is looked at whose value lies in the log only, and that was so idle before.
    #[cold]
    pub(super) fn look<'e>(
        &'e mut self,
        entry: &'e Entry,
        idle: u64,
        database: u8,
        store: &Store,
        now_ms: u64,
    ) -> &'e Entry {
        match self.want(entry, idle, database, now_ms) {
            None => {}
            // One that is damaged is missed by whoever asks for it.
            Some(want) if self.reads_at_once => self.brought.extend(store.read(&want)),
            Some(want) => self.wanted.push(want),
        }
        self.brought(entry, database)
    }
}

impl Transaction<'_> {
    /// Brings along what was read before the transaction began; of other keys too. What is used often stays in memory from
    /// now on.
    pub fn bring(&mut self, fetched: &[Fetched]) {
        for one in fetched {
            let key = self.store.key(one.entry.key());
            if !self.guards.holds(key.shard()) {
                continue;
            }
            let shard = self.guards.shard(key.shard());
            let Some(entry) = shard.find(one.database, &key) else { continue };
            let stays = entry.is_cold()
                && one.is_at(one.database, entry.lsn())
                && self.store.spill().keeps(one.idle, self.store.memory());
            if stays {
                self.put_warm(&key, one.database, one.to_entry());
            }
        }
        self.cold.brought.extend_from_slice(fetched);
    }

    /// From here on a value that was not brought is read where it is looked at, under the locks: for those who cannot know
    /// before which keys they need.
    pub fn read_at_once(&mut self) {
        self.cold.reads_at_once = true;
    }

    /// The values that were looked at and not brought.
    pub fn take_wanted(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.cold.wanted)
    }

    /// Notes a key of its database whose value lies in the log only and was not brought.
    pub fn wants(&self, key: &Key<'_>, wants: &mut Vec<Want>) {
        let shard = self.guards.peek(key.shard());
        let Some(entry) = shard.find(self.database, key).filter(|entry| entry.is_cold()) else { return };
        let idle = shard.rules().idleness(entry, self.now_ms);
        wants.extend(self.cold.want(entry, idle, self.database, self.now_ms));
    }

    /// Puts the value of a key in memory if it lies in the log only. One that was not brought is read now. Whether the value
    /// can be changed: a damaged one cannot, and whoever asks [`cold::take_missed`] learns of it.
    pub fn warm(&mut self, key: &Key<'_>) -> bool {
        let database = self.database;
        let Some(entry) = self.guards.shard(key.shard()).find(database, key).filter(|entry| entry.is_cold()) else {
            return true;
        };
        let read = match self.cold.find(entry, database) {
            Some(fetched) => Ok(fetched.to_entry()),
            None => self.store.read(&Want::of(database, entry)).map(|fetched| fetched.to_entry()),
        };
        match read {
            Ok(read) => self.put_warm(key, database, read),
            Err(_) => {
                cold::miss();
                return false;
            }
        }
        true
    }

    /// Logs of a key that has its value in the log only, at this position, that it cannot be read any more, and where in which
    /// segment it was. Whether the key is such a one.
    pub(crate) fn lose(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn, segment: u64, offset: u64) -> bool {
        self.is_silent = true;
        self.go_to(physical);
        let found = self.guards.shard(key.shard()).find(physical, key);
        let Some(entry) = found.filter(|entry| entry.is_cold() && entry.lsn() == lsn) else { return false };
        let (value_type, deadline) = (entry.value_type(), entry.deadline());
        let place = Place { segment, offset, length: entry.cold_length() };
        self.push_typed(key, Kind::Lost, value_type, deadline, None, [&place.encode(), b""]);
        true
    }

    fn put_warm(&mut self, key: &Key<'_>, database: u8, read: Entry) {
        // Nothing can fail here: a place to die.
        let _ = failpoint::hit("spill.bring");
        let shard = self.guards.shard(key.shard());
        let Some(entry) = shard.find_mut(database, key) else { return };
        let before = entry.footprint() as i64;
        entry.warm(read);
        let more = entry.footprint() as i64 - before;
        shard.count(database, key.bytes, 0, more);
        self.store.account(database, more, 0);
        self.store.count_cold(database, -1);
        self.store.spill().count_kept();
    }
}
