//! Eviction: keys that go to keep memory below its limit.
//!
//! Whoever is about to need memory makes room first ([`Store::make_room`]), and the [`Evictor`] does so in the background,
//! so that memory falls also when nobody writes. Each victim goes in a transaction of its own, which holds one shard; its
//! tomb is in the log like that of a deleted key.
//!
//! With namespaces a write takes its victims from its own alone, and so does the background: from the one that needed
//! memory last, or from the largest when none did, because the limit was lowered.
//!
//! What counts as too much is asked in one place, [`Store::excess_memory`].

mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::keyspace::access::Kind;
use crate::keyspace::namespace::DEFAULT;
use crate::keyspace::policy::Policy;
use crate::keyspace::rules::{EvictionRules, Group, Rules};
use crate::keyspace::shard::{DATABASES, SHARDS};
use crate::log::Need;
use crate::store::Store;
use crate::txn::Evicted;
use pool::{Pool, Search, Wanted};

/// Keys that one call evicts at most before it lets others go on.
const KEYS_AT_ONCE: u64 = 128;
/// Buckets that one call looks at, at most.
const LOOKS_AT_ONCE: usize = 4096;
/// When the limit was lowered, victims are looked for in so many of the largest namespaces.
const LARGEST: usize = 8;
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
    pub rules: EvictionRules,
    /// Percent of the goal of memory ([`Store::set_memory_goal`]) at which eviction begins.
    pub threshold_percent: u64,
    /// Keys to choose from for each that goes.
    pub samples: usize,
}

impl Default for EvictionSettings {
    fn default() -> EvictionSettings {
        EvictionSettings { rules: EvictionRules::default(), threshold_percent: 100, samples: 5 }
    }
}

/// What a namespace has of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFigures {
    /// Its name.
    pub name: Vec<u8>,
    /// Its keys.
    pub keys: u64,
    /// Bytes of memory that they take; those of `default` include all tables.
    pub memory: u64,
    /// Keys that went to make room.
    pub evicted: u64,
    /// What goes first.
    pub policy: Policy,
}

/// A figure that others change while it is read.
fn positive(figure: i64) -> u64 {
    u64::try_from(figure).unwrap_or(0)
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
    /// Where eviction begins, in percent of the goal.
    threshold_percent: AtomicU64,
    samples: AtomicU64,
    /// Whether anything may go at all.
    evicts: AtomicBool,
    /// Whether keys go because they were read.
    expires_after_read: AtomicBool,
    evicted: AtomicU64,
    /// Who needed memory last, if anybody.
    asked: Mutex<Option<Group>>,
    /// The settings, or the goal by much, have changed, and memory was not below its limit since: that is nobody's doing.
    shrinks: AtomicBool,
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
            threshold_percent: AtomicU64::new(100),
            samples: AtomicU64::new(5),
            evicts: AtomicBool::new(false),
            expires_after_read: AtomicBool::new(false),
            evicted: AtomicU64::new(0),
            asked: Mutex::new(None),
            shrinks: AtomicBool::new(false),
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

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// A pool that nobody uses now, for one group the same if possible.
    fn with_pool<T>(&self, group: Group, search: impl FnOnce(&mut Pool) -> T) -> T {
        let first = match group {
            Group::All | Group::Default => 0,
            Group::Namespace(place) => 1 + place % (POOLS - 1),
        };
        let pools = || (0..POOLS).map(|step| &self.pools[(first + step) % POOLS]);
        match pools().find_map(Mutex::try_lock) {
            Some(mut pool) => search(&mut pool),
            None => search(&mut self.pools[first].lock()),
        }
    }
}

impl Store {
    /// Sets what is evicted and when. When uses are to be kept in another way, or keys to be counted in other namespaces,
    /// this looks at every key, one shard after the other.
    pub fn set_eviction(&self, settings: &EvictionSettings) {
        let eviction = self.eviction();
        let EvictionSettings { rules, threshold_percent, samples } = settings;
        let mut current = eviction.rules.write();
        if current.set != *rules {
            let rules = Arc::new(Rules::new(rules.clone()));
            self.set_rules(&rules);
            let before = std::mem::replace(&mut *current, rules);
            current.take_over_evicted(&before);
        }
        eviction.evicts.store(current.any_policy(|policy| policy != Policy::NoEviction), Ordering::Relaxed);
        eviction.expires_after_read.store(current.any_policy(|policy| policy.kind() == Kind::Read), Ordering::Relaxed);
        eviction.samples.store(*samples as u64, Ordering::Relaxed);
        eviction.threshold_percent.store(*threshold_percent, Ordering::Relaxed);
        self.note_lower_goal();
        *eviction.asked.lock() = None;
        eviction.awaited.store(0, Ordering::Relaxed);
        eviction.is_exhausted.store(false, Ordering::Relaxed);
    }

    /// Has all shards follow other rules, which may mean to look at every key: by as many threads as the log is replayed by, for
    /// a start does this too.
    fn set_rules(&self, rules: &Arc<Rules>) {
        let now_ms = self.now_ms();
        let set = |from: usize, to: usize| {
            (from..to).for_each(|index| self.shards().lock(index).set_rules(rules, now_ms));
        };
        let lanes = self.options().lanes;
        let threads = if lanes.threads { lanes.count.max(1) } else { 1 };
        let part = SHARDS.div_ceil(threads);
        std::thread::scope(|scope| {
            for from in (part..SHARDS).step_by(part) {
                // Where there is no other thread it is this one's.
                let other = std::thread::Builder::new().name("rules".into());
                if other.spawn_scoped(scope, move || set(from, SHARDS.min(from + part))).is_err() {
                    set(from, SHARDS.min(from + part));
                }
            }
            set(0, part);
        });
    }

    /// By how many bytes memory is above its goal, or would be with so many more.
    #[inline]
    pub fn excess_memory(&self, growth: u64) -> u64 {
        (self.memory() + growth).saturating_sub(self.memory_goal())
    }

    /// By how many bytes memory is above the point at which eviction begins.
    #[inline]
    fn memory_to_free(&self, growth: u64) -> u64 {
        let threshold = match self.eviction().threshold_percent.load(Ordering::Relaxed) {
            100 => self.memory_goal(),
            percent => self.memory_goal() / 100 * percent,
        };
        self.memory().saturating_add(growth).saturating_sub(threshold)
    }

    /// The goal of memory is much lower now: what is above it is nobody's fault.
    pub(crate) fn note_lower_goal(&self) {
        if self.memory_to_free(0) > 0 {
            self.eviction().shrinks.store(true, Ordering::Relaxed);
        }
    }

    /// Whether keys are evicted, as far as is known: that some may be, and that some were found when last looked for.
    pub(crate) fn evicts(&self) -> bool {
        let eviction = self.eviction();
        eviction.evicts.load(Ordering::Relaxed) && !eviction.is_exhausted.load(Ordering::Relaxed)
    }

    /// Makes room for a write to a key that brings `bytes` and makes values grow by `growth` beyond that: evicts some keys,
    /// of the same namespace, when memory is full. It takes a bounded time, and lets the write go on when as much was freed as it brings, also if that
    /// is not enough: the rest is the evictor's.
    #[inline]
    pub fn make_room<'k>(&self, growth: u64, write: impl FnOnce() -> (&'k [u8], u64)) -> Room {
        /// With less than this left it is noted who writes.
        const NEAR: u64 = 1 << 20;
        match self.memory_to_free(growth.saturating_add(NEAR)) {
            0 => Room::Enough,
            _ => self.make_room_near(growth, write),
        }
    }

    #[cold]
    fn make_room_near<'k>(&self, growth: u64, write: impl FnOnce() -> (&'k [u8], u64)) -> Room {
        let eviction = self.eviction();
        match self.memory_to_free(growth) {
            0 if eviction.evicts.load(Ordering::Relaxed) => {
                let (key, bytes) = write();
                // It is let in, as in Redis. What it takes too much is to come from its own namespace.
                if self.memory_to_free(growth.saturating_add(bytes)) > 0 {
                    *eviction.asked.lock() = Some(eviction.rules().group_of_new(key));
                }
                Room::Enough
            }
            0 => Room::Enough,
            excess => self.evict_for(excess, growth, write()),
        }
    }

    /// Whether there is room for so many bytes more, or will be a little later because keys go for it; to be asked by who
    /// holds locks and cannot make any.
    pub fn await_room(&self, growth: u64, key: &[u8]) -> Room {
        let eviction = self.eviction();
        if self.excess_memory(growth) == 0 {
            return Room::Enough;
        }
        if !eviction.evicts.load(Ordering::Relaxed) || eviction.is_exhausted.load(Ordering::Relaxed) {
            return self.room_by_spilling(growth);
        }
        *eviction.asked.lock() = Some(eviction.rules().group_of_new(key));
        eviction.awaited.fetch_max(growth, Ordering::Relaxed);
        Room::Later
    }

    #[cold]
    fn evict_for(&self, excess: u64, growth: u64, (key, bytes): (&[u8], u64)) -> Room {
        let eviction = self.eviction();
        let search = match eviction.evicts.load(Ordering::Relaxed) {
            false => Search::Nothing,
            true => {
                let rules = eviction.rules();
                let group = rules.group_of_new(key);
                *eviction.asked.lock() = Some(group);
                eviction.with_pool(group, |pool| pool.evict(self, &rules, group, wanted(excess)))
            }
        };
        let above = self.excess_memory(growth);
        match search {
            _ if above == 0 => Room::Enough,
            Search::Freed(freed, _) if freed >= growth + bytes => Room::Enough,
            Search::Nothing | Search::NoRoom => self.room_by_spilling(growth),
            Search::Freed(..) | Search::Unfinished => {
                eviction.awaited.fetch_max(growth, Ordering::Relaxed);
                Room::Later
            }
        }
    }

    /// The figures of all namespaces, `default` first, the others by name; none when there are no namespaces.
    pub fn namespaces(&self) -> Vec<NamespaceFigures> {
        let rules = self.eviction().rules();
        let Some(namespaces) = rules.namespaces() else { return Vec::new() };
        let keys = (0..DATABASES as u8).map(|database| self.key_count(database) as i64).sum::<i64>();
        let mut left = (keys, self.memory() as i64, self.evicted_count());
        let mut figures = Vec::new();
        for (_, namespace) in namespaces.all() {
            let ((keys, memory), evicted) = (namespace.totals(), namespace.evicted());
            left = (left.0 - keys, left.1 - memory, left.2.saturating_sub(evicted));
            let (name, policy) = (namespace.name().to_vec(), namespace.policy());
            figures.push(NamespaceFigures { name, keys: positive(keys), memory: positive(memory), evicted, policy });
        }
        figures.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let policy = rules.policy_of_group(Group::Default);
        let (keys, memory, evicted) = (positive(left.0), positive(left.1), left.2);
        figures.insert(0, NamespaceFigures { name: DEFAULT.to_vec(), keys, memory, evicted, policy });
        figures
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
        if store.memory_to_free(0) == 0 {
            eviction.shrinks.store(false, Ordering::Relaxed);
        }
        let excess = store.memory_to_free(growth);
        if excess == 0 {
            *eviction.asked.lock() = None;
            eviction.awaited.store(0, Ordering::Relaxed);
            eviction.is_exhausted.store(false, Ordering::Relaxed);
            return false;
        }
        let rules = eviction.rules();
        let asked = eviction.asked.lock().filter(|_| !eviction.shrinks.load(Ordering::Relaxed));
        let search = match asked {
            Some(group) => self.pool.evict(store, &rules, group, wanted(excess)),
            None => self.shrink_largest(store, &rules, excess),
        };
        eviction.is_exhausted.store(matches!(search, Search::Nothing | Search::NoRoom), Ordering::Relaxed);
        if matches!(search, Search::Freed(..)) {
            store.log().write_out();
        }
        matches!(search, Search::Freed(freed, _) if freed < excess) || search == Search::Unfinished
    }

    /// Evicts from the largest namespace that has something to give.
    fn shrink_largest(&mut self, store: &Store, rules: &Arc<Rules>, excess: u64) -> Search {
        for group in store.largest_groups(rules) {
            match self.pool.evict(store, rules, group, wanted(excess)) {
                Search::Nothing => {}
                found => return found,
            }
        }
        Search::Nothing
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

fn wanted(bytes: u64) -> Wanted {
    Wanted { bytes, keys: KEYS_AT_ONCE, looks: LOOKS_AT_ONCE }
}

impl Store {
    /// Groups of keys, the largest first, as far as it is worth while to look.
    fn largest_groups(&self, rules: &Rules) -> Vec<Group> {
        let Some(namespaces) = rules.namespaces().filter(|namespaces| !namespaces.is_empty()) else {
            return vec![Group::All];
        };
        let mut groups: Vec<_> = namespaces
            .all()
            .map(|(place, namespace)| (namespace.totals().1, namespace.name(), Group::Namespace(place)))
            .collect();
        let tracked: i64 = groups.iter().map(|(memory, ..)| memory).sum();
        // Tables, which are nobody's, would make it the largest.
        let tables: usize = (0..SHARDS).map(|index| self.shards().lock(index).table_memory()).sum();
        groups.push((self.memory() as i64 - tracked - tables as i64, DEFAULT, Group::Default));
        groups.sort_unstable_by(|one, other| (other.0, other.1).cmp(&(one.0, one.1)));
        groups.into_iter().take(LARGEST).map(|(.., group)| group).collect()
    }

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
