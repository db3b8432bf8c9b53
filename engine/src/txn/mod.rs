//! The only way to change state: a transaction locks the shards of its keys, changes values, and appends one run of
//! frames before it lets go. After a crash it is there whole or not at all.
//!
//! The caller has asked [`Store::admit`](crate::Store::admit) first; nothing in here can fail. Time comes in with the
//! transaction, so a replay or a replica that runs the same operations makes the same state.
//!
//! Whoever sees an expired key removes it: the tomb is part of the transaction that looked.

mod bring;
mod collection;
mod database;
mod evict;
mod forward;
mod journal;
#[cfg(test)]
mod tests;
mod value;

use crate::format::frame::{Draft, Kind};
use crate::keyspace::access::Use;
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::hold::Hold;
use crate::keyspace::shard::{Due, Guards, Key, Shard};
use crate::listener::Class;
use crate::log::{Lsn, Need};
use crate::mutant::planted;
use crate::store::Store;
use crate::value::HASH;
use bring::Cold;
use collection::Change;
pub use collection::{Applied, Collection};
pub(crate) use evict::Evicted;
use journal::{NewBlob, Scratch};
use value::frame_cost;
pub use value::{Item, Value, WrongType};
pub(crate) use value::{image_bytes, live_cost};

/// Operations of a delta frame that strings have, in its value's first byte; those of collections are in
/// [`crate::value::op`].
pub(crate) mod delta {
    /// The rest of the value is put behind the old value.
    pub(crate) const APPEND: u8 = 1;
    /// A `u64` offset follows; the rest of the value overwrites from there, with zeros in any gap.
    pub(crate) const SET_RANGE: u8 = 2;
    /// A `u64` deadline follows, 0 for none.
    pub(crate) const DEADLINE: u8 = 3;
}

/// What a delta names as the change before it when that is a frame of the same transaction, whose position is not known
/// yet. No frame lies there: a segment's header does.
pub(crate) const SAME_TRANSACTION: Lsn = 0;

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
    events: Vec<(Class, &'static str, u8, Vec<u8>)>,
    /// It has emptied a database.
    flushed: bool,
    /// It has exchanged databases.
    swapped: bool,
    /// What it writes changes nothing that anybody can see.
    is_silent: bool,
    /// To look at a key counts as a use.
    uses: Option<Use>,
    /// What goes, goes to make room.
    evicts: bool,
    /// Values that lie in the log only.
    cold: Cold,
    /// Its hold of its shards, if that is timed.
    hold: Option<Hold>,
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
            events: Vec::new(),
            flushed: false,
            swapped: false,
            is_silent: false,
            uses: None,
            evicts: false,
            cold: Cold::default(),
            hold: None,
        }
    }

    /// Takes the time from here on until it lets go of its shards.
    pub fn time_hold(&mut self) {
        time_hold(&mut self.hold, self.store);
    }

    /// A key with its hash. Only keys whose shards are held can be looked at.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.key(bytes)
    }

    /// The time of this transaction, in milliseconds since the epoch.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The logical database it is in.
    pub fn database(&self) -> u8 {
        self.store.logical(self.database)
    }

    /// Goes on in another database.
    pub fn select(&mut self, database: u8) {
        self.go_to(self.store.physical(database));
    }

    /// One of the shards it holds.
    pub(crate) fn shard(&mut self, index: usize) -> &Shard {
        self.guards.shard(index)
    }

    /// Removes a key, or fields of it, whose time has come. Whether there was anything to remove.
    pub fn bury_if_due(&mut self, key: &Key<'_>) -> bool {
        self.bury_expired(key) != 0
    }

    /// Whether to look at a key counts as a use from here on; at first it does not.
    #[inline]
    pub fn set_uses(&mut self, uses: Option<Use>) {
        self.uses = uses;
    }

    /// Whether anybody listens to events.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.store.attention().to_events()
    }

    /// Tells subscribers, when the transaction ends, what happened to a key.
    #[inline]
    pub fn notify(&mut self, class: Class, name: &'static str, key: &Key<'_>) {
        if self.is_heard() {
            self.events.push((class, name, self.database, key.bytes.to_vec()));
        }
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
        let (removed, swapped) = (shard.last_removed, shard.last_swapped);
        let found = shard.find_used(self.database, key, self.uses, self.now_ms).map(|(entry, idle)| (&*entry, idle));
        reveal(&mut self.gate, self.safe, found.map(|(entry, _)| entry), removed, swapped);
        let found = found.map(|(entry, idle)| {
            if entry.is_cold() { self.cold.look(entry, idle, self.database, self.store, self.now_ms) } else { entry }
        });
        // Still there though expired: the log could not take the tomb, or nothing may go at present.
        let now_ms = self.now_ms;
        found.map(|entry| Item { entry, now_ms }).filter(Item::is_live)
    }

    /// The value of a key that [`get`](Transaction::get) has looked at in this transaction, unless it is absent or
    /// expired: several can be seen at once.
    pub fn peek(&self, key: &Key<'_>) -> Option<Item<'_>> {
        let (database, now_ms) = (self.database, self.now_ms);
        let entry = self.guards.peek(key.shard()).find(database, key)?;
        let entry = self.cold.brought(entry, database);
        entry.deadline().is_none_or(|deadline| deadline > now_ms).then_some(Item { entry, now_ms })
    }

    /// Stores a value; whatever the key held is gone, its deadline too.
    pub fn set(&mut self, key: &Key<'_>, value: Value<'_>, deadline: Option<u64>) {
        self.bury_expired(key);
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
        let stored = match value {
            Value::Copy(bytes) => Stored::copy(bytes),
            Value::Shared(bytes) | Value::Blob(bytes, _) => Stored::own(bytes),
        };
        self.put(key, stored, deadline, old_blob.is_some());
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
        let Some(old) = self.get(key).map(|item| item.string_bytes()) else {
            self.set(key, Value::Copy(bytes), None);
            return bytes.len();
        };
        self.change(key, [&[delta::APPEND], bytes], |entry| entry.append(bytes));
        old + bytes.len()
    }

    /// Overwrites part of the value from an offset, with zeros in any gap. The new length.
    pub fn set_range(&mut self, key: &Key<'_>, offset: usize, bytes: &[u8]) -> usize {
        let Some(old) = self.get(key).map(|item| item.string_bytes()) else {
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

    /// Overwrites part of the value, which is longer, with what follows from the rest of it, if the log has room now without
    /// being asked before: a reader may do so, and nothing is lost when it may not. Whether it was done.
    pub fn note(&mut self, key: &Key<'_>, offset: usize, bytes: &[u8]) -> bool {
        let Some(length) = self.get(key).map(|item| item.string_bytes()) else { return false };
        let logged = self.scratch.batch.bytes() + length.min(DELTA_FROM) + bytes.len();
        let cost = frame_cost(key.bytes.len(), logged, Some(0)) as u64;
        if offset + bytes.len() > length || self.store.admit(Need::Grow, cost).is_err() {
            return false;
        }
        self.set_range(key, offset, bytes);
        true
    }

    /// Looks at a key of a physical database, which removes it when it has expired, or some of its fields that have: the
    /// next look removes others. How much it removed.
    pub(crate) fn look(&mut self, key: &Key<'_>, physical: u8) -> u64 {
        self.go_to(physical);
        self.bury_due(key, Self::bury_some_fields)
    }

    /// Ends the transaction: its frames go to the log, then its locks are let go. The position that must be safe
    /// before anything it did or saw may be told; 0 when nothing need be.
    #[inline]
    pub fn commit(mut self) -> Lsn {
        self.finish()
    }

    /// Changes a present entry in place and logs the change, or the whole value when that is short.
    fn change(&mut self, key: &Key<'_>, value: [&[u8]; 2], mutate: impl FnOnce(&mut Entry)) {
        let found = self.change_if(key, value, |entry| {
            mutate(entry);
            Change::Changed
        });
        debug_assert!(found, "the caller has just seen it");
    }

    /// The same, when there is something that has not expired, and when something changes. Whether there is.
    #[inline]
    fn change_if(&mut self, key: &Key<'_>, value: [&[u8]; 2], mutate: impl FnOnce(&mut Entry) -> Change) -> bool {
        self.take_scratch();
        if !self.warm(key) {
            return true;
        }
        let (database, now_ms) = (self.database, self.now_ms);
        let shard = self.guards.shard(key.shard());
        let (removed, swapped) = (shard.last_removed, shard.last_swapped);
        let found = shard.find_used(database, key, self.uses, now_ms).map(|(entry, _)| entry);
        reveal(&mut self.gate, self.safe, found.as_deref(), removed, swapped);
        let Some(entry) = found.filter(|entry| entry.deadline().is_none_or(|at| at > now_ms)) else { return false };
        let in_blob = NewBlob::holds(entry, database, key.hash, &self.new_blobs, self.store.blobs());
        let part_bytes = self.store.options().part_bytes;
        let (memory, live, lsn) = (entry.footprint() as i64, live_cost(entry, in_blob, part_bytes), entry.lsn());
        let due = Due::of(entry);
        let change = mutate(entry);
        if change == Change::None {
            return true;
        }
        let now_due = Due::of(entry);
        if change == Change::Emptied {
            let grown = entry.footprint() as i64 - memory;
            self.live += live_cost(entry, in_blob, part_bytes) - live;
            shard.note_due(database, key.hash, due, now_due);
            self.count(key, 0, grown);
            self.bury(key);
            return true;
        }
        let by_delta = image_bytes(entry) >= DELTA_FROM;
        // What changed before in this transaction has no position in the log yet; where its base lies is known, or will
        // be when the transaction ends.
        let base = entry.base().unwrap_or(lsn);
        entry.set_base((by_delta && base != 0).then_some(base));
        let grown = entry.footprint() as i64 - memory;
        let value_type = entry.value_type();
        let is_expiry = value_type == HASH && due.at.is_some_and(|at| at <= self.now_ms);
        let unlogged = is_expiry && planted("field_expiry_unlogged");
        if !planted("second_change_names_first") && !unlogged {
            entry.set_lsn(0);
        }
        self.live += live_cost(entry, in_blob && by_delta, part_bytes) - live;
        if unlogged {
            shard.note_due(database, key.hash, due, now_due);
            self.count(key, 0, grown);
            return true;
        }
        if by_delta {
            let previous = Some(if lsn == 0 { SAME_TRANSACTION } else { lsn });
            let kind = Kind::Delta;
            let draft = Draft { kind, database, value_type, deadline: None, previous, key: key.bytes, value };
            self.scratch.push(&draft, key.hash);
        } else {
            self.scratch.push_image(database, key, entry, part_bytes);
        }
        shard.note_due(database, key.hash, due, now_due);
        self.count(key, 0, grown);
        if in_blob && !by_delta {
            let blob = self.take_blob_at(key, base);
            self.retire(blob);
        }
        true
    }

    /// Puts a value in the table.
    fn put(&mut self, key: &Key<'_>, value: Stored<'_>, deadline: Option<u64>, was_blob: bool) {
        let shard = self.guards.shard(key.shard());
        let access = shard.access_of_written(self.database, key, self.now_ms);
        let (due, now_due, grown);
        let mut keys = 0;
        match shard.find_mut(self.database, key) {
            Some(entry) => {
                due = Due::of(entry);
                self.live -= live_cost(entry, was_blob, self.store.options().part_bytes);
                let before = entry.footprint() as i64;
                if entry.is_cold() {
                    self.store.count_cold(self.database, -1);
                }
                let old = entry.replace(value, deadline, None, 0);
                entry.set_access(access);
                grown = entry.footprint() as i64 - before;
                now_due = Due::of(entry);
                if let Some(object) = old {
                    self.store.free_object(object);
                }
            }
            None => {
                let mut entry = Entry::new(key.bytes, value, deadline, 0);
                entry.set_access(access);
                (due, now_due) = (Due::default(), Due::of(&entry));
                (keys, grown) = (1, entry.footprint() as i64);
                let table = shard.table_mut(self.database);
                if table.is_about_to_grow() {
                    time_hold(&mut self.hold, self.store);
                }
                let before = table.memory();
                table.insert(key.hash, entry, |entry| self.store.hash(entry.key()));
                self.memory += table.memory() as i64 - before as i64;
                self.store.count_keys(self.database, 1);
                if self.store.attention().to_events() {
                    self.events.push((Class::New, "new", self.database, key.bytes.to_vec()));
                }
            }
        }
        shard.note_due(self.database, key.hash, due, now_due);
        self.count(key, keys, grown);
    }

    /// Counts what a key takes more, and whether it came or went.
    #[inline]
    fn count(&mut self, key: &Key<'_>, keys: i64, memory: i64) {
        let shard = self.guards.shard(key.shard());
        shard.count(self.database, key.bytes, keys, memory);
        self.memory += memory + keys * shard.order_bytes(key.bytes) as i64;
    }

    /// Removes an expired key that is being looked at, or its expired fields, if the log has room for that. How much it
    /// removed.
    #[inline]
    fn bury_expired(&mut self, key: &Key<'_>) -> u64 {
        let may_expire = self.guards.shard(key.shard()).may_expire(self.now_ms);
        if may_expire { self.bury_due(key, Self::bury_expired_fields) } else { 0 }
    }

    fn bury_due(&mut self, key: &Key<'_>, bury_fields: impl FnOnce(&mut Self, &Key<'_>) -> u64) -> u64 {
        if self.store.holds_expiry() {
            return 0;
        }
        let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) else { return 0 };
        let due = entry.deadline().is_some_and(|at| at <= self.now_ms);
        if !due && entry.value_type() == HASH {
            return bury_fields(self, key);
        }
        let tomb = || self.scratch.batch.bytes() as u64 + frame_cost(key.bytes.len(), 0, None) as u64;
        if !due || !self.store.log().takes_tomb(tomb()) {
            return 0;
        }
        self.bury(key);
        self.store.count_expired();
        self.notify(Class::Expired, "expired", key);
        1
    }

    fn bury(&mut self, key: &Key<'_>) {
        let blob = self.take_blob(key);
        self.retire(blob);
        self.bury_without_blob(key, blob.is_some());
    }

    fn bury_without_blob(&mut self, key: &Key<'_>, was_blob: bool) {
        let shard = self.guards.shard(key.shard());
        let table = shard.table_mut(self.database);
        let before = table.memory();
        let Some(entry) = table.remove(key.hash, key.bytes) else { return };
        self.memory += table.memory() as i64 - before as i64;
        self.live -= live_cost(&entry, was_blob, self.store.options().part_bytes);
        shard.note_due(self.database, key.hash, Due::of(&entry), Due::default());
        self.count(key, -1, -(entry.footprint() as i64));
        self.store.count_keys(self.database, -1);
        if entry.is_cold() {
            self.store.count_cold(self.database, -1);
        }
        let due = entry.deadline().is_some_and(|at| at <= self.now_ms);
        let emptied = !Item::of(&entry, 0).has_elements();
        self.store.free(entry);
        let unlogged = due && planted("expiry_unlogged")
            || emptied && planted("emptied_not_buried")
            || self.evicts && planted("eviction_unlogged");
        if !unlogged {
            self.push(key, Kind::Tomb, None, None, [b"", b""]);
        }
    }
}

#[cold]
fn time_hold(hold: &mut Option<Hold>, store: &Store) {
    hold.get_or_insert_with(|| Hold::begin(&**store.clock()));
}

/// Notes that what a key holds, or that it holds nothing, is told: it has to be safe first.
#[inline]
fn reveal(gate: &mut Lsn, safe: Lsn, found: Option<&Entry>, last_removed: Lsn, last_swapped: Lsn) {
    let mut revealed = found.map_or(last_removed, Entry::lsn);
    if !planted("swap_ungated") {
        revealed = revealed.max(last_swapped);
    }
    if revealed >= safe {
        let skipped = planted(if found.is_some() { "ungated_read" } else { "nil_after_del_ungated" });
        if revealed != 0 && !skipped {
            *gate = (*gate).max(revealed + 1);
        }
    }
}
