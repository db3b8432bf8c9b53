//! The search for victims: a few good ones, found by looking at some keys at a time.
//!
//! A *round* goes over all shards and buckets. Keys lie there in the order of a secret hash, so that the next ones of a
//! round are as good a sample as any drawn by lot; and when a round has found no victim, there is none. The best of all
//! that were looked at are kept from one search to the next, as in Redis: so a sample of five comes close to the true
//! order.

use crate::keyspace::policy::Policy;
use crate::keyspace::rules::Rules;
use crate::keyspace::shard::{DATABASES, SHARDS, Shard};
use crate::random::Random;
use crate::store::Store;
use crate::txn::Evicted;

/// Victims that are kept.
const KEPT: usize = 16;
/// Buckets looked at under one lock.
const BUCKETS_AT_ONCE: usize = 16;

/// A key that may go.
struct Candidate {
    score: u64,
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

/// Where a round is, and the best victims so far.
#[derive(Default)]
pub(crate) struct Pool {
    /// The best is the last.
    best: Vec<Candidate>,
    /// By which policy they are the best.
    policy: Policy,
    shard: usize,
    database: usize,
    bucket: u64,
    /// Shards that were left since a victim was seen.
    fruitless: usize,
    /// Orders victims where the policy draws lots: the order of a bucket would favour the oldest.
    chance: Random,
}

impl Pool {
    /// Evicts keys until so many bytes are free or so many keys are gone, and looks at no more than so many buckets.
    pub(crate) fn evict(&mut self, store: &Store, policy: Policy, wanted: u64, keys: u64, looks: usize) -> Search {
        if policy == Policy::NoEviction {
            return Search::Nothing;
        }
        if policy != self.policy {
            *self = Pool { policy, shard: self.shard, chance: self.chance.clone(), ..Pool::default() };
        }
        self.fruitless = 0;
        let (mut freed, mut gone, mut left) = (0, 0, looks);
        let now_ms = store.now_ms();
        let ended = loop {
            if freed >= wanted || gone >= keys {
                return Search::Freed(freed, gone);
            }
            let end = self.look(store, now_ms, &mut left);
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
                return Search::Nothing;
            }
            if *left == 0 {
                return Search::Unfinished;
            }
            let shard = store.shards().lock(self.shard);
            let seen = self.look_at(&shard, now_ms, wanted - found, left);
            drop(shard);
            found += seen;
            if seen > 0 {
                self.fruitless = 0;
            }
        }
        Search::Unfinished
    }

    /// Looks at some of a shard; how many may go.
    fn look_at(&mut self, shard: &Shard, now_ms: u64, wanted: usize, left: &mut usize) -> usize {
        let (mut found, mut buckets) = (0, BUCKETS_AT_ONCE);
        let rules = shard.rules().clone();
        while self.database < DATABASES.min(shard.databases()) {
            let database = self.database as u8;
            let none = match self.policy {
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
                    self.bucket = table.scan(self.bucket, |entry| {
                        let policy = rules.policy_of(entry.key());
                        let score = policy.score(entry, now_ms, rules.scale).filter(|_| policy == self.policy);
                        if let Some(score) = score {
                            found += 1;
                            let score = if policy.draws_lots() { self.chance.next_u64() } else { score };
                            offer(&mut self.best, score, database, entry.key());
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
fn offer(best: &mut Vec<Candidate>, score: u64, database: u8, key: &[u8]) {
    best.retain(|other| other.database != database || other.key != key);
    let at = best.partition_point(|other| other.score <= score);
    if best.len() < KEPT {
        best.insert(at, Candidate { score, database, key: key.to_vec() });
    } else if at > 0 {
        best.insert(at, Candidate { score, database, key: key.to_vec() });
        best.remove(0);
    }
}

/// Whether rules let anything go.
pub(crate) fn lets_go(rules: &Rules) -> bool {
    rules.policy != Policy::NoEviction
}
