//! The search for victims: a few good ones, found by looking at some keys at a time.
//!
//! A *round* goes over all shards and buckets. Keys lie there in the order of a secret hash, so that the next ones of a
//! round are as good a sample as any drawn by lot; and when a round has found no victim, there is none. The best of all
//! that were looked at are kept from one search to the next, as in Redis: so a sample of five comes close to the true
//! order.

use std::sync::Arc;

use crate::keyspace::policy::Policy;
use crate::keyspace::rules::{Group, Rules};
use crate::keyspace::shard::{DATABASES, SHARDS, Shard};
use crate::random::Random;
use crate::store::Store;
use crate::txn::Evicted;

/// Victims that are kept.
const KEPT: usize = 16;
/// Buckets looked at under one lock.
const BUCKETS_AT_ONCE: usize = 16;
/// So long nobody looks again where a round has found no victim.
const FRUITLESS_MS: u64 = 100;

/// A key that may go.
struct Candidate {
    score: u64,
    /// Drawn among those that are equally good: the order of a bucket would favour the oldest.
    lot: u64,
    database: u8,
    key: Vec<u8>,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// So many bytes were freed, by so many keys.
    Freed(u64, u64),
    /// There is no victim.
    Nothing,
    /// None was found so far.
    Unfinished,
    /// The log has no room for tombs.
    NoRoom,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Bytes to free.
    pub bytes: u64,
    /// Keys that may go at most.
    pub keys: u64,
    /// Buckets that may be looked at.
    pub looks: usize,
}

/// Where a round is, and the best victims so far.
#[derive(Default)]
pub(crate) struct Pool {
    /// The best is the last.
    best: Vec<Candidate>,
    /// Whose victims they are, under which rules.
    group: Group,
    rules: Option<Arc<Rules>>,
    policy: Policy,
    shard: usize,
    database: usize,
    bucket: u64,
    /// Shards that were left since a victim was seen.
    fruitless: usize,
    chance: Random,
    /// Monotonic time until which there is nothing to be found.
    fruitless_until_ms: u64,
}

impl Pool {
    /// Evicts keys of a group until enough is free or gone, or was looked at.
    pub(crate) fn evict(&mut self, store: &Store, rules: &Arc<Rules>, group: Group, wanted: Wanted) -> Search {
        let policy = rules.policy_of_group(group);
        let namespace = if let Group::Namespace(place) = group { rules.at(place) } else { None };
        if policy == Policy::NoEviction || namespace.is_some_and(|namespace| namespace.totals().0 <= 0) {
            return Search::Nothing;
        }
        if group != self.group || !self.rules.as_ref().is_some_and(|own| Arc::ptr_eq(own, rules)) {
            let (shard, chance) = (self.shard, self.chance.clone());
            *self = Pool { group, rules: Some(rules.clone()), policy, shard, chance, ..Pool::default() };
        }
        if store.clock().monotonic_ms() < self.fruitless_until_ms {
            return Search::Nothing;
        }
        let (mut freed, mut gone, mut left) = (0, 0, wanted.looks);
        let now_ms = store.now_ms();
        let mut end = Search::Unfinished;
        let ended = loop {
            if freed >= wanted.bytes || gone >= wanted.keys {
                return Search::Freed(freed, gone);
            }
            // Those that are kept may still be there when no others are.
            if end != Search::Nothing {
                end = self.look(store, now_ms, &mut left);
            }
            let Some(best) = self.best.pop() else { break end };
            let key = store.key(&best.key);
            let mut transaction = store.begin(0, &[key], now_ms);
            let evicted = transaction.evict(&key, best.database, best.score);
            transaction.commit();
            match evicted {
                Evicted::Freed(bytes) => (freed, gone) = (freed + bytes, gone + 1),
                Evicted::Spared => {}
                Evicted::NoRoom => break Search::NoRoom,
            }
        };
        if gone > 0 { Search::Freed(freed, gone) } else { ended }
    }

    /// Looks at the next keys, until so many may go as one eviction takes to choose from.
    fn look(&mut self, store: &Store, now_ms: u64, left: &mut usize) -> Search {
        let wanted = store.eviction().samples();
        let mut found = 0;
        while found < wanted {
            if self.fruitless > SHARDS {
                self.fruitless = 0;
                if self.best.is_empty() {
                    self.fruitless_until_ms = store.clock().monotonic_ms() + FRUITLESS_MS;
                }
                return Search::Nothing;
            }
            if *left == 0 {
                return Search::Unfinished;
            }
            let shard = store.shards().lock(self.shard);
            let seen = self.look_at(&shard, now_ms, wanted - found, left);
            drop(shard);
            found += seen;
        }
        Search::Unfinished
    }

    /// Looks at some of a shard; how many may go.
    fn look_at(&mut self, shard: &Shard, now_ms: u64, wanted: usize, left: &mut usize) -> usize {
        let (mut found, mut buckets) = (0, BUCKETS_AT_ONCE);
        let Some(rules) = self.rules.clone() else { return 0 };
        while self.database < DATABASES.min(shard.databases()) {
            let database = self.database as u8;
            // The rules are about to change: who asks then follows the new ones.
            let others = !Arc::ptr_eq(&rules, shard.rules());
            let none = match self.policy {
                _ if others => true,
                Policy::ExpireAfterRead => !shard.has_read(),
                policy => policy.is_volatile() && shard.volatile(database) == 0,
            };
            if let Some(table) = shard.table(database).filter(|table| !none && !table.is_empty()) {
                loop {
                    if buckets == 0 || *left == 0 || found >= wanted {
                        return found;
                    }
                    buckets -= 1;
                    *left -= 1;
                    let (group, policy) = (self.group, self.policy);
                    self.bucket = table.scan(self.bucket, |entry| {
                        if group != Group::All && rules.group_of(entry.key()) != group {
                            return;
                        }
                        if let Some(score) = policy.score(entry, now_ms, rules.set.scale) {
                            found += 1;
                            self.fruitless = 0;
                            let lot = self.chance.next_u64();
                            offer(&mut self.best, (score, lot), database, entry.key());
                        }
                    });
                    if self.bucket == 0 {
                        break;
                    }
                }
            }
            self.database += 1;
            self.bucket = 0;
        }
        self.shard = (self.shard + 1) % SHARDS;
        (self.database, self.bucket) = (0, 0);
        // An empty shard costs a look too, or nothing would bound the search.
        *left = left.saturating_sub(1);
        self.fruitless += 1;
        found
    }
}

/// Keeps a victim if it is among the best.
fn offer(best: &mut Vec<Candidate>, (score, lot): (u64, u64), database: u8, key: &[u8]) {
    best.retain(|other| other.database != database || other.key != key);
    let at = best.partition_point(|other| (other.score, other.lot) <= (score, lot));
    if best.len() < KEPT || at > 0 {
        best.insert(at, Candidate { score, lot, database, key: key.to_vec() });
    }
    if best.len() > KEPT {
        best.remove(0);
    }
}
