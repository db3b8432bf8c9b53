//! One of many independent parts of the keyspace, behind its own short lock.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::access::{Kind, READ, Use};
use super::deadlines::{Deadlines, Next};
use super::entry::Entry;
use super::order::{Order, Orders};
use super::rules::Rules;
use super::table::Table;
use crate::log::Lsn;
use crate::mutant::planted;
use crate::random::Random;
use crate::value::{HASH, HashView, Slot};

/// How many shards there are: enough that two workers seldom want the same, few enough to lock them all. A simulation opens
/// thousands of stores a second, each with a few keys.
pub const SHARDS: usize = if cfg!(feature = "few-shards") { 32 } else { 1024 };
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
    /// How the uses of its entries are kept.
    rules: Arc<Rules>,
    /// Decides which uses count, where not all do.
    chance: Random,
    /// Entries that were read, where that is what they go for: physical database and hash. Some may be gone since.
    read: Vec<(u8, u64)>,
    /// The order of all keys, where it is kept; the same in every shard.
    order: Option<Box<Orders>>,
}

impl Shard {
    /// The table of a physical database, if it was ever written to.
    #[inline]
    pub fn table(&self, database: u8) -> Option<&Table> {
        self.tables.get(usize::from(database))
    }

    /// Bytes of memory that its tables take.
    pub fn table_memory(&self) -> usize {
        self.tables.iter().map(Table::memory).sum()
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

    /// The same, for a use of it at this time; and how idle it was before, if its value lies in the log only.
    #[inline]
    pub fn find_used(
        &mut self,
        database: u8,
        key: &Key<'_>,
        used: Option<Use>,
        now_ms: u64,
    ) -> Option<(&mut Entry, u64)> {
        let entry = self.tables.get_mut(usize::from(database))?.find_mut(key.hash, key.bytes)?;
        let idle = if entry.is_cold() { self.rules.idleness(entry, now_ms) } else { 0 };
        if let Some(used) = used {
            let access = self.rules.used(entry, used, now_ms, &mut self.chance);
            // Of all that is kept only this says that an entry was read: a time that looks the same does no harm.
            if access == READ && access != entry.access() {
                note_read(&self.rules, &mut self.read, database, key);
            }
            entry.set_access(access);
        }
        Some((entry, idle))
    }

    /// What an entry keeps of its uses when it comes, or gets another value.
    #[inline]
    pub fn access_of_written(&mut self, database: u8, key: &Key<'_>, now_ms: u64) -> u16 {
        let counted = match self.rules.policy_of(key.bytes).kind() {
            Kind::Count => self.tables.get(usize::from(database)).and_then(|table| table.find(key.hash, key.bytes)),
            Kind::Time | Kind::Read => None,
        };
        match counted {
            Some(entry) => self.rules.set.scale.used(entry.access(), now_ms, &mut self.chance),
            None => self.rules.first(key.bytes, now_ms),
        }
    }

    /// How the uses of its entries are kept.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Has the uses of its entries kept in another way from now on.
    pub fn set_rules(&mut self, rules: &Arc<Rules>, now_ms: u64) {
        let before = std::mem::replace(&mut self.rules, rules.clone());
        if !rules.differ_from(&before) {
            return;
        }
        self.read = Vec::new();
        for (database, table) in (0..).zip(&mut self.tables) {
            table.for_each_mut(|entry| {
                let access = rules.take_over(entry, database, &before, now_ms);
                entry.set_access(access);
            });
        }
    }

    /// The order of the keys of a physical database, where it is kept.
    pub fn order(&self, database: u8) -> Option<&Arc<Order>> {
        self.order.as_ref().map(|orders| &orders[usize::from(database)])
    }

    /// Keeps the order of keys from now on.
    pub fn set_order(&mut self, orders: Box<Orders>) {
        self.order = Some(orders);
    }

    /// A physical database is empty: its keys have another order, which has none yet. The old one, to be dropped elsewhere.
    pub fn replace_order(&mut self, database: u8, order: &Arc<Order>) -> Option<Arc<Order>> {
        let orders = self.order.as_mut()?;
        Some(std::mem::replace(&mut orders[usize::from(database)], order.clone()))
    }

    /// Bytes that the order takes for a key, where it is kept.
    #[inline]
    pub fn order_bytes(&self, key: &[u8]) -> usize {
        if self.order.is_some() { Order::bytes_of(key) } else { 0 }
    }

    /// Counts keys and bytes of memory that have come to a namespace, or left it, and keeps the order of keys.
    #[inline]
    pub fn count(&self, database: u8, key: &[u8], keys: i64, memory: i64) {
        match (&self.order, keys) {
            (None, _) | (Some(_), 0) => {}
            (Some(orders), 1..) => orders[usize::from(database)].add(key),
            (Some(_), _) if planted("order_keeps_removed") => {}
            (Some(orders), _) => orders[usize::from(database)].remove(key),
        }
        if keys == 0 && memory == 0 {
            return;
        }
        if let Some(namespaces) = self.rules.namespaces() {
            let namespace = if keys > 0 { namespaces.of_new(key) } else { namespaces.of(key) };
            if let Some(namespace) = namespace {
                namespace.add(database, keys, memory);
            }
        }
    }

    /// Takes some of the entries that were read, as physical database and key.
    pub fn take_read(&mut self, most: usize) -> Vec<(u8, Vec<u8>)> {
        let at = self.read.len().saturating_sub(most);
        let read = self.read.split_off(at);
        if self.read.is_empty() {
            self.read = Vec::new();
        }
        let found = read.into_iter().filter_map(|(database, hash)| {
            let table = self.tables.get(usize::from(database))?;
            let entry = table.find_where(hash, |entry| entry.access() == READ)?;
            Some((database, entry.key().to_vec()))
        });
        found.collect()
    }

    /// Notes again that an entry was read.
    pub fn put_back_read(&mut self, database: u8, hash: u64) {
        self.read.push((database, hash));
    }

    /// Whether some entry may have been read, where that is what they go for.
    pub fn has_read(&self) -> bool {
        !self.read.is_empty()
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
            self.renew_some_deadlines();
        }
    }

    #[cold]
    fn renew_some_deadlines(&mut self) {
        let tables = &self.tables;
        self.deadlines.renew_some(|item, time| {
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

    /// Gives back the table of a database if nothing is left in it; how many bytes. Whoever is scanning it misses nothing: no
    /// entry has been in it all the time.
    pub fn give_back_empty(&mut self, database: u8) -> usize {
        let table = self.table_mut(database);
        if table.is_empty() { std::mem::take(table).memory() } else { 0 }
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

#[cold]
fn note_read(rules: &Rules, read: &mut Vec<(u8, u64)>, database: u8, key: &Key<'_>) {
    if rules.policy_of(key.bytes).kind() == Kind::Read {
        read.push((database, key.hash));
    }
}

/// A shard on cache lines of its own: neighbours' locks do not slow each other.
#[repr(align(64))]
struct Line(Mutex<Shard>);

/// All shards.
pub struct Shards(Box<[Line]>);

impl Shards {
    /// Empty shards.
    pub fn new() -> Shards {
        let shard = |index| Shard { chance: Random::new(index), ..Shard::default() };
        Shards((0..SHARDS as u64).map(|index| Line(Mutex::new(shard(index)))).collect())
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
