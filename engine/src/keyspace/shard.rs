//! One of many independent parts of the keyspace, behind its own short lock.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::deadlines::{Deadlines, Next};
use super::entry::Entry;
use super::table::Table;
use crate::log::Lsn;
use crate::value::{HASH, HashView, Slot};

/// How many shards there are: enough that two workers seldom want the same, few enough to lock them all.
pub const SHARDS: usize = 1024;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// Physical databases.
pub const DATABASES: usize = 16;

/// A key and its hash, computed once for a request.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key.
    pub bytes: &'a [u8],
    /// Its hash under the store's secret.
    pub hash: u64,
}

impl Key<'_> {
    /// The shard of a key: the top bits, which the tables do not use.
    #[inline]
    pub fn shard(&self) -> usize {
        (self.hash >> (64 - SHARD_BITS)) as usize
    }
}

/// When an entry is due: the less of its own deadline and those of its fields.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// Milliseconds since the epoch.
    pub at: Option<u64>,
    /// It has a deadline of its own.
    pub is_volatile: bool,
    /// Some of its fields have.
    pub has_fields: bool,
}

impl Due {
    /// Of an entry as it is.
    #[inline]
    pub fn of(entry: &Entry) -> Due {
        let own = entry.deadline();
        let is_volatile = own.is_some();
        // No hash whose fields have deadlines is ever cold.
        if entry.value_type() != HASH || entry.is_cold() {
            return Due { at: own, is_volatile, has_fields: false };
        }
        let field = HashView::new(entry.packed(), entry.object(), 0).next_deadline();
        Due { at: own.into_iter().chain(field).min(), is_volatile, has_fields: field.is_some() }
    }
}

/// What one lock protects.
#[derive(Default)]
pub struct Shard {
    tables: Vec<Table>,
    /// The newest removal (deletion, expiry, flush) in this shard: what a miss reveals.
    pub last_removed: Lsn,
    /// The newest exchange of databases: what any look reveals.
    pub last_swapped: Lsn,
    /// Entries with a deadline, by physical database.
    volatile: [u32; DATABASES],
    /// Hashes with fields that have a deadline, by physical database.
    with_fields: [u32; DATABASES],
    /// Entries that are due at some time, for their own sake or for a field's, by physical database.
    due: [u32; DATABASES],
    /// All of them.
    due_total: u32,
    /// When.
    deadlines: Deadlines,
}

impl Shard {
    /// The table of a physical database, if it was ever written to.
    #[inline]
    pub fn table(&self, database: u8) -> Option<&Table> {
        self.tables.get(usize::from(database))
    }

    /// Databases that have a table, whether something is in it or not.
    pub fn databases(&self) -> usize {
        self.tables.len()
    }

    /// The table of a physical database, to find in or to write to.
    #[inline]
    pub fn table_mut(&mut self, database: u8) -> &mut Table {
        let index = usize::from(database);
        if index >= self.tables.len() {
            self.tables.resize_with(index + 1, Table::default);
        }
        &mut self.tables[index]
    }

    /// The entry of a key.
    #[inline]
    pub fn find(&self, database: u8, key: &Key<'_>) -> Option<&Entry> {
        self.table(database)?.find(key.hash, key.bytes)
    }

    /// The entry of a key, to be changed.
    #[inline]
    pub fn find_mut(&mut self, database: u8, key: &Key<'_>) -> Option<&mut Entry> {
        self.tables.get_mut(usize::from(database))?.find_mut(key.hash, key.bytes)
    }

    /// Whether some entry may have expired by this time. False is certain.
    #[inline]
    pub fn may_expire(&self, now_ms: u64) -> bool {
        self.deadlines.may_be_due(now_ms)
    }

    /// Entries of a database that are due at some time.
    pub fn due(&self, database: u8) -> u32 {
        self.due[usize::from(database)]
    }

    /// Entries of a database that have a deadline.
    pub fn volatile(&self, database: u8) -> u32 {
        self.volatile[usize::from(database)]
    }

    /// Hashes of a database that have fields with a deadline.
    pub fn with_fields(&self, database: u8) -> u32 {
        self.with_fields[usize::from(database)]
    }

    /// The deadlines of some entries of a database, at most about so many. One may come twice.
    pub fn sample_deadlines(&self, database: u8, most: usize, visit: &mut dyn FnMut(u64)) {
        let Some(table) = self.table(database) else { return };
        for item in self.deadlines.items().filter(|item| item.database() == database).take(most) {
            table.find_where(item.hash, |entry| {
                entry.deadline().into_iter().for_each(&mut *visit);
                false
            });
        }
    }

    /// Notes that an entry, known by the hash of its key, is due at another time, came or went.
    #[inline]
    pub fn note_due(&mut self, database: u8, hash: u64, before: Due, after: Due) {
        if before == after {
            return;
        }
        let volatile = &mut self.volatile[usize::from(database)];
        *volatile = *volatile + u32::from(after.is_volatile) - u32::from(before.is_volatile);
        let with_fields = &mut self.with_fields[usize::from(database)];
        *with_fields = *with_fields + u32::from(after.has_fields) - u32::from(before.has_fields);
        let due = &mut self.due[usize::from(database)];
        let (came, went) = (u32::from(after.at.is_some()), u32::from(before.at.is_some()));
        *due = *due + came - went;
        self.due_total = self.due_total + came - went;
        self.deadlines.note(database, hash, before.at, after.at);
        if self.deadlines.are_stale(self.due_total as usize) {
            self.drop_stale_deadlines();
        }
    }

    #[cold]
    fn drop_stale_deadlines(&mut self) {
        let tables = &self.tables;
        self.deadlines.renew(|item, time| {
            if let Some(table) = tables.get(usize::from(item.database())) {
                table.find_where(item.hash, |entry| {
                    if let Some(at) = Due::of(entry).at {
                        time(at);
                    }
                    false
                });
            }
        });
    }

    /// Keys of some entries that are due, at most so many, each with its database and its time. They stay noted until the
    /// next call finds them gone: until then a reader must see that something may be due. What is due later is noted for
    /// then.
    pub fn find_due(&mut self, now_ms: u64, most: usize) -> Vec<(u8, Vec<u8>, u64)> {
        let mut due = Vec::new();
        let mut items = Vec::new();
        while due.len() < most
            && let Some(item) = self.deadlines.pop(now_ms)
        {
            let Some(table) = self.tables.get(usize::from(item.database())) else { continue };
            let mut later = None;
            let found = table.find_where(item.hash, |entry| match Due::of(entry).at {
                Some(at) if at <= now_ms => true,
                at => {
                    later = later.or(at);
                    false
                }
            });
            match (found, later) {
                (Some(entry), _) => {
                    let at = Due::of(entry).at.unwrap_or(now_ms);
                    due.push((item.database(), entry.key().to_vec(), at));
                    items.push((item, at));
                }
                (None, Some(later)) => self.deadlines.note(item.database(), item.hash, None, Some(later)),
                (None, None) => {}
            }
        }
        for (item, at) in items {
            self.deadlines.note(item.database(), item.hash, None, Some(at));
        }
        due
    }

    /// Entries that are due at some time.
    #[cfg(test)]
    pub fn due_total(&self) -> u32 {
        self.due_total
    }

    /// Bytes of memory that their deadlines take.
    #[cfg(test)]
    pub fn deadline_bytes(&self) -> usize {
        self.deadlines.memory()
    }

    /// Where the least deadline can be read without the lock.
    pub fn next_due(&self) -> Arc<Next> {
        self.deadlines.next()
    }

    /// Empties a database. Its table, to be dropped elsewhere.
    pub fn take_table(&mut self, database: u8) -> Table {
        self.volatile[usize::from(database)] = 0;
        self.with_fields[usize::from(database)] = 0;
        self.due_total -= std::mem::take(&mut self.due[usize::from(database)]);
        if self.due_total == 0 {
            // Nothing else would look at what is stale until its time comes.
            self.deadlines.clear();
        }
        std::mem::take(self.table_mut(database))
    }
}

/// A shard on cache lines of its own: neighbours' locks do not slow each other.
#[repr(align(64))]
#[derive(Default)]
struct Line(Mutex<Shard>);

/// All shards.
pub struct Shards(Box<[Line]>);

impl Shards {
    /// Empty shards.
    pub fn new() -> Shards {
        Shards((0..SHARDS).map(|_| Line::default()).collect())
    }

    /// Locks one.
    #[inline]
    pub fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.0[index].0.lock()
    }

    /// Locks all, in order.
    pub fn lock_all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.0.iter().map(|slot| slot.0.lock()).collect()
    }
}

/// The locks of one transaction, in shard order.
pub enum Guards<'s> {
    /// All keys in one shard.
    One(usize, MutexGuard<'s, Shard>),
    /// Several shards, sorted by number.
    Many(Vec<(usize, MutexGuard<'s, Shard>)>),
}

impl<'s> Guards<'s> {
    /// Locks the shards of the keys, in order: two transactions cannot wait for each other.
    #[inline]
    pub fn lock(shards: &'s Shards, keys: &[Key<'_>]) -> Guards<'s> {
        if let [key] = keys {
            return Guards::One(key.shard(), shards.lock(key.shard()));
        }
        let mut wanted: Vec<usize> = keys.iter().map(Key::shard).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Guards::Many(wanted.into_iter().map(|index| (index, shards.lock(index))).collect())
    }

    /// Locks all shards.
    pub fn lock_all(shards: &'s Shards) -> Guards<'s> {
        Guards::Many(shards.lock_all().into_iter().enumerate().collect())
    }

    /// The shard of a key that was named when the transaction began.
    #[inline]
    pub fn shard(&mut self, index: usize) -> &mut Shard {
        match self {
            Guards::One(held, guard) => {
                assert_eq!(*held, index, "a transaction touches only the keys it named");
                guard
            }
            Guards::Many(guards) => {
                let at = guards
                    .binary_search_by_key(&index, |(held, _)| *held)
                    .expect("a transaction touches only the keys it named");
                &mut guards[at].1
            }
        }
    }

    /// The same, to be looked at only.
    pub fn peek(&self, index: usize) -> &Shard {
        match self {
            Guards::One(held, guard) => {
                assert_eq!(*held, index, "a transaction touches only the keys it named");
                guard
            }
            Guards::Many(guards) => {
                let at = guards
                    .binary_search_by_key(&index, |(held, _)| *held)
                    .expect("a transaction touches only the keys it named");
                &guards[at].1
            }
        }
    }

    /// Whether a shard is held.
    pub fn holds(&self, index: usize) -> bool {
        match self {
            Guards::One(held, _) => *held == index,
            Guards::Many(guards) => guards.binary_search_by_key(&index, |(held, _)| *held).is_ok(),
        }
    }

    /// Every shard held.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Shard> {
        let (one, many) = match self {
            Guards::One(_, guard) => (Some(&mut **guard), None),
            Guards::Many(guards) => (None, Some(guards.iter_mut().map(|(_, guard)| &mut **guard))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
