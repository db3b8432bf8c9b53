//! Looking over all keys of a database: scans, some key, and figures that only the shards know.
//!
//! Who is within a transaction that holds all locks gives it, and none is taken again.

use parking_lot::MutexGuard;

use crate::keyspace::entry::Entry;
use crate::keyspace::shard::{Due, SHARDS, Shard};
use crate::keyspace::table::Table;
use crate::mutant::planted;
use crate::store::Store;
use crate::txn::{Item, Transaction};

/// Buckets looked at by one scan call at least, however few keys they hold.
const SCAN_BUCKETS: usize = 100;
/// Keys from which the average time to live is estimated, and how many of them one shard gives.
const TTL_SAMPLES: u128 = 1000;
const TTL_SAMPLES_OF_SHARD: usize = 100;
/// Random places tried before a walk.
const RANDOM_TRIES: usize = 100;

impl Store {
    /// Keys of a database that have a deadline. Walks the shards; within a transaction that holds all locks, that must be
    /// given.
    pub fn volatile_count(&self, held: Option<&mut Transaction<'_>>, database: u8) -> u64 {
        let physical = self.physical(database);
        self.sum_of_shards(held, |shard| u64::from(shard.volatile(physical)))
    }

    /// Hashes of a database that have fields with a deadline. Walks the shards; within a transaction that holds all locks,
    /// that must be given.
    pub fn hashes_with_deadlines(&self, held: Option<&mut Transaction<'_>>, database: u8) -> u64 {
        let physical = self.physical(database);
        self.sum_of_shards(held, |shard| u64::from(shard.with_fields(physical)))
    }

    fn sum_of_shards(&self, mut held: Option<&mut Transaction<'_>>, of: impl Fn(&Shard) -> u64) -> u64 {
        (0..SHARDS).map(|index| of(self.look_at(index, &mut held, &mut None))).sum()
    }

    /// A shard that the transaction holds, or that is locked now for as long as `locked` is kept.
    fn look_at<'g, 's: 'g>(
        &'s self,
        index: usize,
        held: &'g mut Option<&mut Transaction<'_>>,
        locked: &'g mut Option<MutexGuard<'s, Shard>>,
    ) -> &'g Shard {
        match held {
            Some(transaction) => transaction.shard(index),
            None => locked.insert(self.shards().lock(index)),
        }
    }

    /// How long the keys of a database that have a deadline have left on average, in milliseconds; estimated from some of
    /// them, 0 when there are none. Within a transaction that holds all locks, that must be given.
    pub fn average_ttl_ms(&self, mut held: Option<&mut Transaction<'_>>, database: u8) -> u64 {
        let (physical, now_ms) = (self.physical(database), self.now_ms());
        let (mut sum, mut seen) = (0_u128, 0_u128);
        for index in 0..SHARDS {
            let mut locked = None;
            let shard = self.look_at(index, &mut held, &mut locked);
            shard.sample_deadlines(physical, TTL_SAMPLES_OF_SHARD, &mut |deadline| {
                if deadline > now_ms {
                    sum += u128::from(deadline - now_ms);
                    seen += 1;
                }
            });
            if seen >= TTL_SAMPLES {
                break;
            }
        }
        sum.checked_div(seen).map_or(0, |average| u64::try_from(average).unwrap_or(u64::MAX))
    }

    /// Visits some keys of a database: whole buckets from `cursor` on, until `enough` entries were seen. The next
    /// cursor, 0 at the end. Every key that is there from the first call to the last is seen at least once, whatever
    /// is written in between. Expired keys are removed. What it shows may be told when the log's end is safe.
    ///
    /// Within a transaction that holds all locks, that transaction must be given.
    pub fn scan(
        &self,
        mut held: Option<&mut Transaction<'_>>,
        database: u8,
        cursor: u64,
        enough: usize,
        mut visit: impl FnMut(&[u8], Item<'_>),
    ) -> u64 {
        let now_ms = self.now_ms();
        let physical = self.physical(database);
        let (mut index, mut bucket) = ((cursor % SHARDS as u64) as usize, cursor / SHARDS as u64);
        let (mut seen, mut looked) = (0, 0);
        // Who is not shown an expired key has been told that it is gone.
        let mut due = Vec::new();
        'shards: while index < SHARDS {
            let mut locked = None;
            let shard = self.look_at(index, &mut held, &mut locked);
            // An empty table costs no look: whoever has a few keys is shown them all by one call.
            if let Some(table) = shard.table(physical).filter(|table| !table.is_empty()) {
                loop {
                    if seen >= enough || looked > SCAN_BUCKETS.max(enough) {
                        break 'shards;
                    }
                    looked += 1;
                    bucket = table.scan(bucket, |entry| {
                        if Due::of(entry).at.is_some_and(|at| at <= now_ms) {
                            due.push((physical, entry.key().to_vec()));
                        }
                        let item = Item::of(entry, now_ms);
                        if item.is_live() {
                            seen += 1;
                            visit(entry.key(), item);
                        }
                    });
                    if bucket == 0 {
                        break;
                    }
                }
            }
            index += 1;
            bucket = 0;
        }
        match held {
            Some(transaction) => due.iter().for_each(|(_, key)| _ = transaction.get(&self.key(key))),
            None if planted("scan_leaves_expired") => {}
            None => self.bury(&due, now_ms),
        }
        if index < SHARDS { bucket * SHARDS as u64 + index as u64 } else { 0 }
    }

    /// Some key of a database that has not expired. Within a transaction that holds all locks, that must be given.
    pub fn random_key(
        &self,
        mut held: Option<&mut Transaction<'_>>,
        database: u8,
        random: &mut crate::random::Random,
    ) -> Option<Vec<u8>> {
        let physical = self.physical(database);
        let now_ms = self.now_ms();
        let live = |entry: &&Entry| Item::of(entry, now_ms).is_live();
        let mut look = |index: usize, find: &mut dyn FnMut(&Table) -> Option<Vec<u8>>| {
            let mut locked = None;
            let shard = self.look_at(index, &mut held, &mut locked);
            find(shard.table(physical)?)
        };
        for _ in 0..RANDOM_TRIES {
            let (index, position) = (random.below(SHARDS as u64) as usize, random.next_u64());
            let found = look(index, &mut |table| Some(table.random(position).filter(live)?.key().to_vec()));
            if found.is_some() {
                return found;
            }
        }
        // Few keys, or most expired: the first that is found.
        (0..SHARDS).find_map(|index| look(index, &mut |table| Some(table.iter().find(live)?.key().to_vec())))
    }
}
