//! Values that lie in the log only, in a transaction: wanted, brought along, or read where they are needed.

use super::Transaction;
use crate::cold::{self, Fetched, Want};
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::Key;

/// The value of an entry that lies in the log only, if it was brought along: else the entry as it is.
#[inline]
pub(super) fn brought<'e>(entry: &'e Entry, database: u8, brought: &'e [Fetched]) -> &'e Entry {
    if entry.is_cold() { find(entry, database, brought).unwrap_or(entry) } else { entry }
}

#[cold]
fn find<'e>(entry: &Entry, database: u8, brought: &'e [Fetched]) -> Option<&'e Entry> {
    let fetched =
        brought.iter().find(|fetched| fetched.is_at(database, entry.lsn()) && fetched.entry.key() == entry.key());
    fetched.map(|fetched| &*fetched.entry)
}

impl Transaction<'_> {
    /// Brings along what was read before the transaction began; of other keys too. What is used often stays in memory from
    /// now on.
    pub fn bring(&mut self, fetched: &[Fetched]) {
        let now_ms = self.now_ms;
        for one in fetched {
            let key = self.store.key(one.entry.key());
            if !self.guards.holds(key.shard()) {
                continue;
            }
            let Some(entry) = self.guards.shard(key.shard()).find(one.database, &key) else { continue };
            let stays = entry.is_cold()
                && one.is_at(one.database, entry.lsn())
                && self.store.spill().keeps(entry, self.store.memory(), now_ms);
            if stays {
                self.put_warm(&key, one.database, one.to_entry());
            }
        }
        self.brought.extend_from_slice(fetched);
    }

    /// From here on a value that was not brought is read where it is looked at, under the locks: for those who cannot know
    /// before which keys they need.
    pub fn read_at_once(&mut self) {
        self.reads_at_once = true;
    }

    /// The values that were looked at and not brought.
    pub fn take_wanted(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wanted)
    }

    /// A key is looked at: its value may lie in the log only.
    pub(super) fn look_for_cold(&mut self, key: &Key<'_>) {
        let mut wanted = std::mem::take(&mut self.wanted);
        let before = wanted.len();
        self.wants(key, &mut wanted);
        if self.reads_at_once && wanted.len() > before {
            // One that is damaged is missed by whoever asks for it.
            self.brought.extend(wanted.drain(before..).filter_map(|want| self.store.read(&want).ok()));
        }
        self.wanted = wanted;
    }

    /// Notes a key of its database whose value lies in the log only and was not brought.
    pub fn wants(&self, key: &Key<'_>, wants: &mut Vec<Want>) {
        let Some(entry) = self.guards.peek(key.shard()).find(self.database, key) else { return };
        let is_due = entry.deadline().is_some_and(|deadline| deadline <= self.now_ms);
        if entry.is_cold() && !is_due && find(entry, self.database, &self.brought).is_none() {
            wants.push(Want::of(self.database, entry));
        }
    }

    /// Puts the value of a key in memory if it lies in the log only. One that was not brought is read now. Whether the value
    /// can be changed: a damaged one cannot, and whoever asks [`cold::take_missed`] learns of it.
    pub fn warm(&mut self, key: &Key<'_>) -> bool {
        let database = self.database;
        let Some(entry) = self.guards.shard(key.shard()).find(database, key).filter(|entry| entry.is_cold()) else {
            return true;
        };
        let read = match self.brought.iter().find(|fetched| fetched.is_at(database, entry.lsn())) {
            Some(fetched) if fetched.entry.key() == key.bytes => fetched.to_entry(),
            _ => match self.store.read(&Want::of(database, entry)) {
                Ok(fetched) => fetched.to_entry(),
                Err(_) => {
                    cold::miss();
                    return false;
                }
            },
        };
        self.put_warm(key, database, read);
        true
    }

    fn put_warm(&mut self, key: &Key<'_>, database: u8, read: Entry) {
        let Some(entry) = self.guards.shard(key.shard()).find_mut(database, key) else { return };
        let before = entry.footprint() as i64;
        entry.warm(read);
        let more = entry.footprint() as i64 - before;
        self.store.account(database, more, 0);
        self.store.count_cold(database, -1);
        self.store.spill().count_kept();
    }
}
