//! One of many independent parts of the keyspace, behind its own short lock.

use parking_lot::{Mutex, MutexGuard};

use super::entry::Entry;
use super::table::Table;
use crate::log::Lsn;

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

/// What one lock protects.
#[derive(Default)]
pub struct Shard {
    tables: Vec<Table>,
    /// The newest removal (deletion, expiry, flush) in this shard: what a miss reveals.
    pub last_removed: Lsn,
    /// Entries with a deadline, by physical database.
    volatile: [u32; DATABASES],
    /// All of them.
    volatile_total: u32,
    /// No entry here expires before this time.
    pub earliest_deadline: u64,
}

impl Shard {
    /// The table of a physical database, if it was ever written to.
    #[inline]
    pub fn table(&self, database: u8) -> Option<&Table> {
        self.tables.get(usize::from(database))
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

    /// All tables with their physical numbers.
    pub fn tables(&self) -> impl Iterator<Item = (u8, &Table)> {
        (0..).zip(&self.tables)
    }

    /// Whether some entry may have expired by this time. False is certain.
    #[inline]
    pub fn may_expire(&self, now_ms: u64) -> bool {
        self.volatile_total != 0 && self.earliest_deadline <= now_ms
    }

    /// Entries of a database that have a deadline.
    pub fn volatile(&self, database: u8) -> u32 {
        self.volatile[usize::from(database)]
    }

    /// Notes that an entry's deadline changed, came or went.
    #[inline]
    pub fn note_deadline(&mut self, database: u8, before: bool, after: Option<u64>) {
        if before {
            self.volatile[usize::from(database)] -= 1;
            self.volatile_total -= 1;
        }
        if let Some(deadline) = after {
            self.earliest_deadline =
                if self.volatile_total == 0 { deadline } else { self.earliest_deadline.min(deadline) };
            self.volatile[usize::from(database)] += 1;
            self.volatile_total += 1;
        }
    }

    /// Empties a database. Its table, to be dropped elsewhere.
    pub fn take_table(&mut self, database: u8) -> Table {
        self.volatile_total -= std::mem::take(&mut self.volatile[usize::from(database)]);
        std::mem::take(self.table_mut(database))
    }
}

/// A shard on cache lines of its own: neighbours' locks do not slow each other.
#[repr(align(64))]
#[derive(Default)]
struct Slot(Mutex<Shard>);

/// All shards.
pub struct Shards(Box<[Slot]>);

impl Shards {
    /// Empty shards.
    pub fn new() -> Shards {
        Shards((0..SHARDS).map(|_| Slot::default()).collect())
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

    /// Every shard held.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Shard> {
        let (one, many) = match self {
            Guards::One(_, guard) => (Some(&mut **guard), None),
            Guards::Many(guards) => (None, Some(guards.iter_mut().map(|(_, guard)| &mut **guard))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
