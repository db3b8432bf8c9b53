//! The only way to change state: a transaction locks the shards of its keys, changes values, and appends one run of
//! frames before it lets go. After a crash it is there whole or not at all.
//!
//! The caller has asked [`Store::admit`](crate::Store::admit) first; nothing in here can fail. Time comes in with the
//! transaction, so a replay or a replica that runs the same operations makes the same state.
//!
//! Whoever sees an expired key removes it: the tomb is part of the transaction that looked.

mod journal;
mod value;

use bytes::Bytes;

use crate::format::blob::Reference;
use crate::format::frame::{Draft, Kind};
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::shard::{Guards, Key};
use crate::keyspace::table::Table;
use crate::log::{Lsn, Need};
use crate::mutant::planted;
use crate::store::Store;
use journal::{NewBlob, Scratch};
use value::frame_cost;
pub(crate) use value::live_cost;
pub use value::{Item, Value};

/// The only value type so far.
pub const STRING: u8 = 0;

/// Operations of a delta frame, in its value's first byte.
pub(crate) mod delta {
    /// The rest of the value is put behind the old value.
    pub(crate) const APPEND: u8 = 1;
    /// A `u64` offset follows; the rest of the value overwrites from there, with zeros in any gap.
    pub(crate) const SET_RANGE: u8 = 2;
    /// A `u64` deadline follows, 0 for none.
    pub(crate) const DEADLINE: u8 = 3;
}

/// Values shorter than this are logged whole when they change; longer ones as the change.
const DELTA_FROM: usize = 256;

/// Changes to the keys it named, all or nothing.
pub struct Transaction<'s> {
    store: &'s Store,
    guards: Guards<'s>,
    database: u8,
    now_ms: u64,
    /// What was acknowledged when it began: reads wait for what they reveal beyond that.
    safe: Lsn,
    gate: Lsn,
    scratch: Scratch,
    /// It has taken this thread's buffers: a transaction that only reads does without.
    writes: bool,
    memory: i64,
    live: i64,
    new_blobs: Vec<NewBlob>,
    dead_blobs: Vec<u64>,
}

impl<'s> Transaction<'s> {
    #[inline]
    pub(crate) fn new(store: &'s Store, guards: Guards<'s>, database: u8, now_ms: u64) -> Transaction<'s> {
        Transaction {
            store,
            guards,
            database: store.physical(database),
            now_ms,
            safe: store.log().acknowledged(),
            gate: 0,
            scratch: Scratch::default(),
            writes: false,
            memory: 0,
            live: 0,
            new_blobs: Vec::new(),
            dead_blobs: Vec::new(),
        }
    }

    /// The time of this transaction, in milliseconds since the epoch.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Goes on in another database.
    pub fn select(&mut self, database: u8) {
        self.go_to(self.store.physical(database));
    }

    /// Goes on in a physical database; what was counted so far is the other's.
    fn go_to(&mut self, physical: u8) {
        if physical != self.database {
            self.account();
            self.database = physical;
        }
    }

    fn account(&mut self) {
        self.store.account(self.database, std::mem::take(&mut self.memory), std::mem::take(&mut self.live));
    }

    /// The value of a key, unless it is absent or expired.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>) -> Option<Item<'_>> {
        self.bury_expired(key);
        let shard = self.guards.shard(key.shard());
        let found = shard.find(self.database, key);
        let revealed = found.map_or(shard.last_removed, Entry::lsn);
        if revealed >= self.safe {
            let skipped = planted(if found.is_some() { "ungated_read" } else { "nil_after_del_ungated" });
            if revealed != 0 && !skipped {
                self.gate = self.gate.max(revealed + 1);
            }
        }
        // Still there though expired: the log could not take the tomb.
        found.filter(|entry| entry.deadline().is_none_or(|deadline| deadline > self.now_ms)).map(|entry| Item { entry })
    }

    /// Stores a value; whatever the key held is gone, its deadline too.
    pub fn set(&mut self, key: &Key<'_>, value: Value<'_>, deadline: Option<u64>) {
        let old_blob = self.take_blob(key);
        self.retire(old_blob);
        let (kind, logged) = match &value {
            Value::Blob(_, reference) => (Kind::Blob, &reference.encode()[..]),
            _ => (Kind::Image, value.bytes()),
        };
        self.push(key, kind, deadline, None, [logged, b""]);
        if let Value::Blob(_, reference) = value {
            self.note_blob(key, reference);
        }
        self.live += frame_cost(key.bytes.len(), logged.len(), deadline);
        self.put(key, value, deadline, old_blob.is_some());
    }

    /// Removes a key. Whether it was there.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let present = self.get(key).is_some();
        if present {
            self.bury(key);
        }
        present
    }

    /// Gives a key a deadline, or takes it away. Whether the key was there.
    pub fn set_deadline(&mut self, key: &Key<'_>, deadline: Option<u64>) -> bool {
        let present = self.get(key).is_some();
        if present {
            let mut value = [delta::DEADLINE; 9];
            value[1..].copy_from_slice(&deadline.unwrap_or(0).to_le_bytes());
            self.change(key, [&value, b""], |entry| entry.set_deadline(deadline));
        }
        present
    }

    /// Puts bytes behind the value, which is empty when the key is absent. The new length.
    pub fn append(&mut self, key: &Key<'_>, bytes: &[u8]) -> usize {
        let Some(old) = self.get(key).map(|item| item.value().len()) else {
            self.set(key, Value::Copy(bytes), None);
            return bytes.len();
        };
        self.change(key, [&[delta::APPEND], bytes], |entry| entry.append(bytes));
        old + bytes.len()
    }

    /// Overwrites part of the value from an offset, with zeros in any gap. The new length.
    pub fn set_range(&mut self, key: &Key<'_>, offset: usize, bytes: &[u8]) -> usize {
        let Some(old) = self.get(key).map(|item| item.value().len()) else {
            let mut value = vec![0; offset];
            value.extend_from_slice(bytes);
            let length = value.len();
            self.set(key, Value::Shared(value.into()), None);
            return length;
        };
        let mut front = [delta::SET_RANGE; 9];
        front[1..].copy_from_slice(&(offset as u64).to_le_bytes());
        self.change(key, [&front, bytes], |entry| entry.set_range(offset, bytes));
        old.max(offset + bytes.len())
    }

    /// Moves a key's value and deadline to another name, replacing what that held. Whether the source was there.
    pub fn rename(&mut self, from: &Key<'_>, to: &Key<'_>) -> bool {
        let Some(item) = self.get(from) else { return false };
        let deadline = item.deadline();
        let value = item.shared().cloned().unwrap_or_else(|| Bytes::copy_from_slice(item.value()));
        // Only an untouched blob can be named again: behind a delta the file holds an older value.
        let changed = item.entry.base().is_some();
        let blob = self.take_blob(from);
        self.bury_without_blob(from, blob.is_some());
        match blob {
            Some(reference) if !changed => self.set(to, Value::Blob(value, reference), deadline),
            _ => {
                self.retire(blob);
                self.set(to, Value::Shared(value), deadline);
            }
        }
        true
    }

    /// Looks at a key of a physical database, which removes it when it has expired. Whether it did.
    pub(crate) fn look(&mut self, key: &Key<'_>, physical: u8) -> bool {
        self.go_to(physical);
        self.bury_expired(key)
    }

    /// Whether there is room in the log to write a key again whose base lies at `lsn`; none is needed when it lies elsewhere.
    pub(crate) fn may_copy_forward(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn) -> bool {
        let Some(entry) = self.guards.shard(key.shard()).find(physical, key) else { return true };
        let bytes = live_cost(entry, false) as u64;
        entry.base().unwrap_or(entry.lsn()) != lsn || self.store.admit(Need::Compact, bytes).is_ok()
    }

    /// Writes a key again at the end of the log if its base lies at `lsn`. Whether it did. This is compaction: the
    /// state does not change.
    pub(crate) fn copy_forward(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn) -> bool {
        self.go_to(physical);
        let Some(entry) = self.guards.shard(key.shard()).find_mut(physical, key) else { return false };
        let changed = entry.base().is_some();
        if entry.base().unwrap_or(entry.lsn()) != lsn {
            return false;
        }
        let (deadline, outside) = (entry.deadline(), live_cost(entry, false) - live_cost(entry, true));
        entry.set_base(None);
        match self.take_blob_at(key, lsn) {
            Some(reference) if !changed => {
                self.push(key, Kind::Blob, deadline, None, [&reference.encode(), b""]);
                self.note_blob(key, reference);
            }
            blob => {
                if blob.is_some() {
                    self.live += outside;
                }
                self.retire(blob);
                self.push_image(key);
            }
        }
        true
    }

    /// Logs a value again that a new blob holds, if it is still the one of that version. Whether it was.
    pub(crate) fn settle(&mut self, key: &Key<'_>, physical: u8, version: Lsn, reference: Reference) -> bool {
        self.go_to(physical);
        let found = self.guards.shard(key.shard()).find_mut(physical, key);
        let Some(entry) = found.filter(|entry| entry.lsn() == version) else { return false };
        let (deadline, outside) = (entry.deadline(), live_cost(entry, false) - live_cost(entry, true));
        let base = entry.base().unwrap_or(version);
        entry.set_base(None);
        let old_blob = self.take_blob_at(key, base);
        if old_blob.is_none() {
            self.live -= outside;
        }
        self.retire(old_blob);
        self.push(key, Kind::Blob, deadline, None, [&reference.encode(), b""]);
        self.note_blob(key, reference);
        true
    }

    /// Removes every key of a database. All shards must be held.
    pub(crate) fn flush(&mut self, physical: u8) -> Vec<Table> {
        self.take_scratch();
        self.scratch.batch.push(&Draft {
            kind: Kind::Flush,
            database: physical,
            value_type: 0,
            deadline: None,
            previous: None,
            key: b"",
            value: [b"", b""],
        });
        self.guards.all().map(|shard| shard.take_table(physical)).collect()
    }

    /// The removal that a flush is, for readers of absence.
    pub(crate) fn commit_flush(mut self) -> Lsn {
        let end = self.finish();
        for shard in self.guards.all() {
            // A position in the frame, as a tomb's is: the one behind it is reached by the next frame only.
            shard.last_removed = end - 1;
        }
        end
    }

    /// Ends the transaction: its frames go to the log, then its locks are let go. The position that must be safe
    /// before anything it did or saw may be told; 0 when nothing need be.
    #[inline]
    pub fn commit(mut self) -> Lsn {
        self.finish()
    }

    /// Changes a present entry in place and logs the change, or the whole value when that is short.
    fn change(&mut self, key: &Key<'_>, value: [&[u8]; 2], mutate: impl FnOnce(&mut Entry)) {
        let in_blob = self.is_in_blob(key);
        let shard = self.guards.shard(key.shard());
        let entry = shard.find_mut(self.database, key).expect("the caller has just seen it");
        let (memory, live, lsn) = (entry.footprint() as i64, live_cost(entry, in_blob), entry.lsn());
        let was_volatile = entry.deadline().is_some();
        mutate(entry);
        self.memory += entry.footprint() as i64 - memory;
        let deadline = entry.deadline();
        // Without a position in the log (it came or changed in this transaction) there is nothing a delta could name.
        let by_delta = lsn != 0 && entry.value().len() >= DELTA_FROM;
        let base = entry.base().unwrap_or(lsn);
        entry.set_base(by_delta.then_some(base));
        if !planted("second_change_names_first") {
            entry.set_lsn(0);
        }
        self.live += live_cost(entry, in_blob && by_delta) - live;
        shard.note_deadline(self.database, was_volatile, deadline);
        if by_delta {
            self.push(key, Kind::Delta, None, Some(lsn), value);
        } else {
            let blob = self.take_blob_at(key, base);
            self.retire(blob);
            self.push_image(key);
        }
    }

    /// Puts a value in the table.
    fn put(&mut self, key: &Key<'_>, value: Value<'_>, deadline: Option<u64>, was_blob: bool) {
        let value = match value {
            Value::Copy(bytes) => Stored::copy(bytes),
            Value::Shared(bytes) | Value::Blob(bytes, _) => Stored::own(bytes),
        };
        let shard = self.guards.shard(key.shard());
        let mut was_volatile = false;
        match shard.find_mut(self.database, key) {
            Some(entry) => {
                was_volatile = entry.deadline().is_some();
                self.live -= live_cost(entry, was_blob);
                let before = entry.footprint() as i64;
                entry.replace(value, deadline, None, 0);
                self.memory += entry.footprint() as i64 - before;
            }
            None => {
                let entry = Entry::new(key.bytes, value, deadline, 0);
                self.memory += entry.footprint() as i64;
                let table = shard.table_mut(self.database);
                let before = table.memory();
                table.insert(key.hash, entry, |entry| self.store.hash(entry.key()));
                self.memory += table.memory() as i64 - before as i64;
                self.store.count_keys(self.database, 1);
            }
        }
        shard.note_deadline(self.database, was_volatile, deadline);
    }

    /// Removes an expired key that is being looked at, if the log has room for the tomb. Whether it did.
    #[inline]
    fn bury_expired(&mut self, key: &Key<'_>) -> bool {
        let shard = self.guards.shard(key.shard());
        if !shard.may_expire(self.now_ms) {
            return false;
        }
        let due = shard.find(self.database, key).and_then(Entry::deadline).is_some_and(|at| at <= self.now_ms);
        let tomb = || self.scratch.batch.bytes() as u64 + frame_cost(key.bytes.len(), 0, None) as u64;
        if !due || !self.store.log().takes_tomb(tomb()) {
            return false;
        }
        self.bury(key);
        self.store.count_expired();
        true
    }

    fn bury(&mut self, key: &Key<'_>) {
        let blob = self.take_blob(key);
        self.retire(blob);
        self.bury_without_blob(key, blob.is_some());
    }

    fn bury_without_blob(&mut self, key: &Key<'_>, was_blob: bool) {
        let shard = self.guards.shard(key.shard());
        let Some(entry) = shard.table_mut(self.database).remove(key.hash, key.bytes) else { return };
        self.live -= live_cost(&entry, was_blob);
        self.memory -= entry.footprint() as i64;
        shard.note_deadline(self.database, entry.deadline().is_some(), None);
        self.store.count_keys(self.database, -1);
        let due = entry.deadline().is_some_and(|at| at <= self.now_ms);
        self.store.free(entry);
        if !(due && planted("expiry_unlogged")) {
            self.push(key, Kind::Tomb, None, None, [b"", b""]);
        }
    }
}
