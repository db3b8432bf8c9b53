//! Expiry of keys that nobody looks at.
//!
//! A walk over the shards that have deadlines, a few at a time. Each shard knows a time before which nothing in it
//! expires, so a shard is walked only when something may be due, and at most ten times a second. Not done here: an ordered
//! index of deadlines, which would make expiry punctual at millions of volatile keys.

use crate::keyspace::shard::SHARDS;
use crate::log::Need;
use crate::store::Store;

/// Shards walked by one step.
const STEP_SHARDS: usize = 32;
/// Keys removed under one lock.
const BURY_AT_ONCE: usize = 64;
/// Time between two walks over the same shard.
const ROUND_US: u64 = 100_000;

/// Removes expired keys: a machine that a thread, or a simulation, steps.
#[derive(Default)]
pub struct Sweeper {
    next: usize,
    round_began_us: u64,
}

impl Sweeper {
    /// Walks some shards. Whether there is more to do at once.
    pub fn step(&mut self, store: &Store, now_us: u64) -> bool {
        if self.next == 0 {
            if now_us < self.round_began_us + ROUND_US && self.round_began_us != 0 {
                return false;
            }
            self.round_began_us = now_us.max(1);
        }
        if store.log().is_read_only() || store.admit(Need::Shrink, 0).is_err() {
            return false;
        }
        let now_ms = store.now_ms();
        let end = (self.next + STEP_SHARDS).min(SHARDS);
        for index in self.next..end {
            while store.bury_expired_in(index, now_ms) == BURY_AT_ONCE {}
        }
        self.next = end % SHARDS;
        self.next != 0
    }
}

impl Store {
    /// Removes up to [`BURY_AT_ONCE`] expired keys of a shard; how many.
    fn bury_expired_in(&self, index: usize, now_ms: u64) -> usize {
        let mut due: Vec<(u8, Vec<u8>)> = Vec::new();
        {
            let mut shard = self.shards().lock(index);
            if !shard.may_expire(now_ms) {
                return 0;
            }
            let mut earliest = u64::MAX;
            'walk: for (database, table) in shard.tables() {
                for entry in table.iter() {
                    let Some(deadline) = entry.deadline() else { continue };
                    // Those that are due count too: looking at them below removes them only if something here is due.
                    earliest = earliest.min(deadline);
                    if deadline <= now_ms {
                        due.push((database, entry.key().to_vec()));
                        if due.len() == BURY_AT_ONCE {
                            break 'walk;
                        }
                    }
                }
            }
            shard.earliest_deadline = earliest;
        }
        let buried = self.bury(&due, now_ms);
        if buried != 0 {
            self.log().write_out();
        }
        buried
    }

    /// Removes these keys of physical databases if they have expired and the log has room; how many.
    pub(crate) fn bury(&self, keys: &[(u8, Vec<u8>)], now_ms: u64) -> usize {
        let mut buried = 0;
        for (physical, bytes) in keys {
            let key = self.key(bytes);
            let mut transaction = self.begin(0, &[key], now_ms);
            buried += usize::from(transaction.look(&key, *physical));
            transaction.commit();
        }
        buried
    }
}
