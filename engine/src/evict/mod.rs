//! Eviction: keys that go to keep memory below its limit.
//!
//! Whoever is about to need memory makes room first ([`Store::make_room`]), and the [`Evictor`] does so in the background,
//! so that memory falls also when nobody writes. Each victim goes in a transaction of its own, which holds one shard; its
//! tomb is in the log like that of a deleted key.
//!
//! What counts as too much is asked in one place, [`Store::excess_memory`].

mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::keyspace::policy::Policy;
use crate::keyspace::rules::Rules;
use crate::keyspace::shard::SHARDS;
use crate::log::Need;
use crate::store::Store;
use crate::txn::Evicted;
use pool::{Pool, Search};

/// Keys that one call evicts at most before it lets others go on.
const KEYS_AT_ONCE: u64 = 128;
/// Buckets that one call looks at, at most.
const LOOKS_AT_ONCE: usize = 4096;
/// Threads that search for victims at once without a wait.
const POOLS: usize = 8;
/// Entries that were read are looked for so often, where they go for that.
const READ_SWEEP_MS: u64 = 500;
/// Of these so many are taken under one lock.
const READ_AT_ONCE: usize = 16;

/// What is evicted, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictionSettings {
    /// Which keys go, and how their uses are counted.
    pub rules: Rules,
    /// Bytes of memory that must not be exceeded; 0 for no limit.
    pub limit_bytes: u64,
    /// Percent of the limit at which eviction begins.
    pub threshold_percent: u64,
    /// Keys to choose from for each that goes.
    pub samples: usize,
}

impl Default for EvictionSettings {
    fn default() -> EvictionSettings {
        EvictionSettings { rules: Rules::default(), limit_bytes: 0, threshold_percent: 100, samples: 5 }
    }
}

/// Whether there is room in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Go on.
    Enough,
    /// Not yet: ask again a little later.
    Later,
    /// There is none, and nothing that may go.
    Full,
}

/// The state of eviction.
pub(crate) struct Eviction {
    rules: RwLock<Arc<Rules>>,
    limit_bytes: AtomicU64,
    /// Where eviction begins.
    threshold_bytes: AtomicU64,
    samples: AtomicU64,
    /// Whether anything may go at all.
    evicts: AtomicBool,
    /// Whether keys go because they were read.
    expires_after_read: AtomicBool,
    evicted: AtomicU64,
    /// Bytes that somebody waits for beyond those there are too many.
    awaited: AtomicU64,
    /// The evictor has found nothing that may go.
    is_exhausted: AtomicBool,
    pools: [Mutex<Pool>; POOLS],
}

impl Default for Eviction {
    fn default() -> Eviction {
        Eviction {
            rules: RwLock::default(),
            limit_bytes: AtomicU64::new(0),
            threshold_bytes: AtomicU64::new(0),
            samples: AtomicU64::new(5),
            evicts: AtomicBool::new(false),
            expires_after_read: AtomicBool::new(false),
            evicted: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            is_exhausted: AtomicBool::new(false),
            pools: Default::default(),
        }
    }
}

impl Eviction {
    pub(crate) fn count(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed).max(1) as usize
    }

    /// A pool that nobody uses now.
    fn with_pool<T>(&self, search: impl FnOnce(&mut Pool) -> T) -> T {
        match self.pools.iter().find_map(Mutex::try_lock) {
            Some(mut pool) => search(&mut pool),
            None => search(&mut self.pools[0].lock()),
        }
    }
}

impl Store {
    /// Sets what is evicted and when. When uses are to be kept in another way, this looks at every key.
    pub fn set_eviction(&self, settings: &EvictionSettings) {
        let eviction = self.eviction();
        let EvictionSettings { rules, limit_bytes, threshold_percent, samples } = settings;
        let mut current = eviction.rules.write();
        if **current != *rules {
            let rules = Arc::new(rules.clone());
            let now_ms = self.now_ms();
            (0..SHARDS).for_each(|index| self.shards().lock(index).set_rules(&rules, now_ms));
            *current = rules;
        }
        eviction.evicts.store(pool::lets_go(rules), Ordering::Relaxed);
        eviction.expires_after_read.store(rules.policy == Policy::ExpireAfterRead, Ordering::Relaxed);
        eviction.samples.store(*samples as u64, Ordering::Relaxed);
        let threshold = u128::from(*limit_bytes) * u128::from(*threshold_percent) / 100;
        eviction.limit_bytes.store(*limit_bytes, Ordering::Relaxed);
        eviction.threshold_bytes.store(threshold as u64, Ordering::Relaxed);
        eviction.awaited.store(0, Ordering::Relaxed);
        eviction.is_exhausted.store(false, Ordering::Relaxed);
    }

    /// By how many bytes memory is above its limit, or would be with so many more.
    #[inline]
    pub fn excess_memory(&self, growth: u64) -> u64 {
        self.memory_above(&self.eviction().limit_bytes, growth)
    }

    #[inline]
    fn memory_above(&self, limit: &AtomicU64, growth: u64) -> u64 {
        match limit.load(Ordering::Relaxed) {
            0 => 0,
            limit => (self.memory() + growth).saturating_sub(limit),
        }
    }

    /// By how many bytes memory is above the point at which eviction begins.
    #[inline]
    fn memory_to_free(&self, growth: u64) -> u64 {
        self.memory_above(&self.eviction().threshold_bytes, growth)
    }

    /// Makes room for a write that brings `bytes` and makes values grow by `growth` beyond that: evicts some keys when
    /// memory is full. It takes a bounded time, and lets the write go on when as much was freed as it brings, also if that
    /// is not enough: the rest is the evictor's.
    #[inline]
    pub fn make_room(&self, growth: u64, bytes: impl FnOnce() -> u64) -> Room {
        match self.memory_to_free(growth) {
            0 => Room::Enough,
            excess => self.evict_for(excess, growth, bytes()),
        }
    }

    /// Whether there is room for so many bytes more, or will be a little later because keys go for it; to be asked by who
    /// holds locks and cannot make any.
    pub fn await_room(&self, growth: u64) -> Room {
        let eviction = self.eviction();
        if self.excess_memory(growth) == 0 {
            return Room::Enough;
        }
        if !eviction.evicts.load(Ordering::Relaxed) || eviction.is_exhausted.load(Ordering::Relaxed) {
            return Room::Full;
        }
        eviction.awaited.fetch_max(growth, Ordering::Relaxed);
        Room::Later
    }

    #[cold]
    fn evict_for(&self, excess: u64, growth: u64, bytes: u64) -> Room {
        let eviction = self.eviction();
        let search = match eviction.evicts.load(Ordering::Relaxed) {
            false => Search::Nothing,
            true => {
                let policy = eviction.rules.read().policy;
                eviction.with_pool(|pool| pool.evict(self, policy, excess, KEYS_AT_ONCE, LOOKS_AT_ONCE))
            }
        };
        let above = self.excess_memory(growth);
        match search {
            _ if above == 0 => Room::Enough,
            Search::Freed(freed, _) if freed >= growth + bytes => Room::Enough,
            Search::Nothing | Search::NoRoom => Room::Full,
            Search::Freed(..) | Search::Unfinished => {
                eviction.awaited.fetch_max(growth, Ordering::Relaxed);
                Room::Later
            }
        }
    }

    /// Keys removed to make room.
    pub fn evicted_count(&self) -> u64 {
        self.eviction().evicted.load(Ordering::Relaxed)
    }
}

/// Evicts what is too much when nobody asks for it, and what was read where keys go for that: a machine that a thread, or a
/// simulation, steps.
#[derive(Default)]
pub struct Evictor {
    pool: Pool,
    shard: usize,
    look_at_read_ms: u64,
}

impl Evictor {
    /// Evicts some keys if it is time. Whether there is more to do at once.
    pub fn step(&mut self, store: &Store) -> bool {
        let eviction = store.eviction();
        if !eviction.evicts.load(Ordering::Relaxed) || store.log().is_read_only() {
            return false;
        }
        let reads_left = eviction.expires_after_read.load(Ordering::Relaxed) && self.sweep_read(store);
        let excess_left = self.sweep_excess(store);
        reads_left | excess_left
    }

    fn sweep_excess(&mut self, store: &Store) -> bool {
        let eviction = store.eviction();
        let growth = eviction.awaited.load(Ordering::Relaxed);
        let excess = store.memory_to_free(growth);
        if excess == 0 {
            eviction.awaited.store(0, Ordering::Relaxed);
            eviction.is_exhausted.store(false, Ordering::Relaxed);
            return false;
        }
        let policy = eviction.rules.read().policy;
        let search = self.pool.evict(store, policy, excess, KEYS_AT_ONCE, LOOKS_AT_ONCE);
        eviction.is_exhausted.store(matches!(search, Search::Nothing | Search::NoRoom), Ordering::Relaxed);
        if matches!(search, Search::Freed(..)) {
            store.log().write_out();
        }
        matches!(search, Search::Freed(freed, _) if freed < excess) || search == Search::Unfinished
    }

    /// Removes entries that were read.
    fn sweep_read(&mut self, store: &Store) -> bool {
        let now_ms = store.clock().monotonic_ms();
        if self.shard == 0 && now_ms < self.look_at_read_ms {
            return false;
        }
        let mut gone = 0;
        while gone < KEYS_AT_ONCE {
            let read = store.shards().lock(self.shard).take_read(READ_AT_ONCE);
            if read.is_empty() {
                self.shard += 1;
            }
            if self.shard == SHARDS {
                self.shard = 0;
                self.look_at_read_ms = now_ms + READ_SWEEP_MS;
                break;
            }
            gone += read.len() as u64;
            if !store.evict_read(&read) {
                self.shard = 0;
                self.look_at_read_ms = now_ms + READ_SWEEP_MS;
                return false;
            }
        }
        if gone > 0 {
            store.log().write_out();
        }
        gone >= KEYS_AT_ONCE
    }
}

impl Store {
    /// Evicts entries that were read. Whether the log had room.
    fn evict_read(&self, read: &[(u8, Vec<u8>)]) -> bool {
        let may = self.admit(Need::Shrink, 0).is_ok();
        let mut room = may;
        for (database, bytes) in read {
            let key = self.key(bytes);
            let mut transaction = self.begin(0, &[key], self.now_ms());
            let evicted = if room { transaction.evict(&key, *database, 0) } else { Evicted::NoRoom };
            transaction.commit();
            if evicted == Evicted::NoRoom {
                room = false;
                self.shards().lock(key.shard()).put_back_read(*database, key.hash);
            }
        }
        room
    }
}
