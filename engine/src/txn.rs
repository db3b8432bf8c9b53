//! The only way to change state: a transaction locks the shards of its keys, changes values, and appends one run of
//! frames before it lets go. After a crash it is there whole or not at all.
//!
//! The caller has asked [`Store::admit`](crate::Store::admit) first; nothing in here can fail. Time comes in with the
//! transaction, so a replay or a replica that runs the same operations makes the same state.
//!
//! Whoever sees an expired key removes it: the tomb is part of the transaction that looked.

use std::cell::RefCell;

use bytes::Bytes;

use crate::format::blob::Reference;
use crate::format::frame::{self, Draft, Kind};
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::shard::{Guards, Key};
use crate::keyspace::table::Table;
use crate::log::{FrameBatch, Lsn};
use crate::mutant::planted;
use crate::store::Store;

/// The only value type so far.
pub const STRING: u8 = 0;

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
    fn bytes(&self) -> &[u8] {
        match self {
            Value::Copy(bytes) => bytes,
            Value::Shared(bytes) | Value::Blob(bytes, _) => bytes,
        }
    }
}

/// What a key holds.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    entry: &'a Entry,
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

/// A frame whose position the entry must learn when the log has given it one.
struct Touched {
    database: u8,
    hash: u64,
    frame: usize,
    removed: bool,
}

struct NewBlob {
    database: u8,
    hash: u64,
    frame: usize,
    reference: Reference,
}

#[derive(Default)]
struct Scratch {
    batch: FrameBatch,
    touched: Vec<Touched>,
}

thread_local! {
    /// Buffers of the last transaction on this thread, so that a steady stream of writes allocates nothing.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

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
        self.database = self.store.physical(database);
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
        // Still there though expired: the log is read-only and cannot take the tomb.
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
            let frame = self.scratch.batch.len() - 1;
            self.new_blobs.push(NewBlob { database: self.database, hash: key.hash, frame, reference });
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

    /// Looks at a key of a physical database, which removes it when it has expired.
    pub(crate) fn look(&mut self, key: &Key<'_>, physical: u8) {
        self.database = physical;
        self.bury_expired(key);
    }

    /// Writes a key again at the end of the log if its base lies at `lsn`. Whether it did. This is compaction: the
    /// state does not change.
    pub(crate) fn copy_forward(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn) -> bool {
        self.database = physical;
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
                let frame = self.scratch.batch.len() - 1;
                self.new_blobs.push(NewBlob { database: physical, hash: key.hash, frame, reference });
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
            shard.last_removed = end;
        }
        end
    }

    /// Ends the transaction: its frames go to the log, then its locks are let go. The position that must be safe
    /// before anything it did or saw may be told; 0 when nothing need be.
    #[inline]
    pub fn commit(mut self) -> Lsn {
        self.finish()
    }

    fn finish(&mut self) -> Lsn {
        if self.scratch.batch.is_empty() {
            return self.gate;
        }
        let Scratch { batch, touched } = &mut self.scratch;
        let end = self.store.log().append(batch);
        for touch in touched.drain(..) {
            let key = Key { bytes: batch.key(touch.frame), hash: touch.hash };
            let shard = self.guards.shard(key.shard());
            if touch.removed {
                shard.last_removed = batch.lsn(touch.frame);
            } else if let Some(entry) = shard.find_mut(touch.database, &key) {
                entry.set_lsn(batch.lsn(touch.frame));
            }
        }
        for blob in self.new_blobs.drain(..) {
            self.store.blobs().insert(batch.lsn(blob.frame), blob.database, blob.reference);
        }
        self.store.blobs().retire(end, std::mem::take(&mut self.dead_blobs));
        self.store.account(std::mem::take(&mut self.memory), std::mem::take(&mut self.live));
        batch.clear();
        self.gate = self.gate.max(end);
        self.gate
    }

    #[inline]
    fn take_scratch(&mut self) {
        if !self.writes {
            self.writes = true;
            self.scratch = SCRATCH.take();
        }
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

    /// Logs a present entry's whole value.
    fn push_image(&mut self, key: &Key<'_>) {
        self.take_scratch();
        let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) else { return };
        self.scratch.batch.push(&Draft {
            kind: Kind::Image,
            database: self.database,
            value_type: STRING,
            deadline: entry.deadline(),
            previous: None,
            key: key.bytes,
            value: [entry.value(), b""],
        });
        self.touch(key, false);
    }

    fn push(&mut self, key: &Key<'_>, kind: Kind, deadline: Option<u64>, previous: Option<Lsn>, value: [&[u8]; 2]) {
        let database = self.database;
        self.take_scratch();
        self.scratch.batch.push(&Draft {
            kind,
            database,
            value_type: STRING,
            deadline,
            previous,
            key: key.bytes,
            value,
        });
        self.touch(key, kind == Kind::Tomb);
    }

    fn touch(&mut self, key: &Key<'_>, removed: bool) {
        let frame = self.scratch.batch.len() - 1;
        self.scratch.touched.push(Touched { database: self.database, hash: key.hash, frame, removed });
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

    /// Removes an expired key that is being looked at, unless the log can take nothing any more.
    #[inline]
    fn bury_expired(&mut self, key: &Key<'_>) {
        let shard = self.guards.shard(key.shard());
        if !shard.may_expire(self.now_ms) {
            return;
        }
        let due = shard.find(self.database, key).and_then(Entry::deadline).is_some_and(|at| at <= self.now_ms);
        if due && !self.store.log().is_read_only() {
            self.bury(key);
            self.store.count_expired();
        }
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

    /// The blob a key's value lies in, which the caller now answers for.
    #[inline]
    fn take_blob(&mut self, key: &Key<'_>) -> Option<Reference> {
        if self.store.blobs().is_empty() && self.new_blobs.is_empty() {
            return None;
        }
        let entry = self.guards.shard(key.shard()).find(self.database, key)?;
        let at = entry.base().unwrap_or(entry.lsn());
        self.take_blob_at(key, at)
    }

    /// Whether the value a key had at its base lies in a blob.
    #[inline]
    fn is_in_blob(&mut self, key: &Key<'_>) -> bool {
        if self.store.blobs().is_empty() && self.new_blobs.is_empty() {
            return false;
        }
        let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) else { return false };
        match entry.base().unwrap_or(entry.lsn()) {
            0 => self.new_blobs.iter().any(|blob| blob.database == self.database && blob.hash == key.hash),
            lsn => self.store.blobs().contains(lsn),
        }
    }

    fn take_blob_at(&mut self, key: &Key<'_>, lsn: Lsn) -> Option<Reference> {
        if lsn != 0 {
            return self.store.blobs().take(lsn);
        }
        let of_key = |blob: &NewBlob| blob.database == self.database && blob.hash == key.hash;
        let at = self.new_blobs.iter().rposition(of_key)?;
        Some(self.new_blobs.remove(at).reference)
    }

    fn retire(&mut self, blob: Option<Reference>) {
        self.dead_blobs.extend(blob.map(|reference| reference.number));
    }
}

impl Drop for Transaction<'_> {
    /// What was changed in memory is in the log, also when a caller forgets to commit.
    fn drop(&mut self) {
        if self.writes {
            self.finish();
            SCRATCH.set(std::mem::take(&mut self.scratch));
        }
    }
}

/// Bytes of log that a live value needs.
fn frame_cost(key: usize, value: usize, deadline: Option<u64>) -> i64 {
    frame::padded(frame::HEADER + 8 * usize::from(deadline.is_some()) + key + value) as i64
}

/// Bytes of log that a live entry needs.
pub(crate) fn live_cost(entry: &Entry, in_blob: bool) -> i64 {
    let value = if in_blob { Reference::BYTES } else { entry.value().len() };
    frame_cost(entry.key().len(), value, entry.deadline())
}
