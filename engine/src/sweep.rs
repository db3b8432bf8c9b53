//! Expiry of keys and hash fields that nobody looks at.
//!
//! Each shard knows the least deadline in it and shows it without its lock. A step looks at all of them, which takes some
//! microseconds, and removes what is due, a few keys under a lock. So what is due goes within one rest of the thread that
//! steps, however many keys there are, and a thousand deadlines at once hold no lock for longer than one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::keyspace::deadlines::Next;
use crate::keyspace::shard::SHARDS;
use crate::log::Need;
use crate::store::Store;

/// Keys looked for under one lock.
const TAKE_AT_ONCE: usize = 16;
/// Keys and fields removed by one step, which then lets others step.
const STEP_REMOVALS: u64 = 1024;

/// Removes what has expired: a machine that a thread, or a simulation, steps.
#[derive(Default)]
pub struct Sweeper {
    next_due: Vec<Arc<Next>>,
    shard: usize,
}

impl Sweeper {
    /// Removes what is due. Whether there is more to do at once.
    pub fn step(&mut self, store: &Store) -> bool {
        if !store.sweeps() || store.holds_expiry() {
            return false;
        }
        if self.next_due.is_empty() {
            self.next_due = (0..SHARDS).map(|index| store.shards().lock(index).next_due()).collect();
        }
        let now_ms = store.now_ms();
        let mut buried = 0;
        for _ in 0..SHARDS {
            let index = self.shard;
            self.shard = (index + 1) % SHARDS;
            if self.next_due[index].get() > now_ms {
                continue;
            }
            if store.log().is_read_only() || store.admit(Need::Shrink, 0).is_err() {
                return false;
            }
            while buried < STEP_REMOVALS
                && let some @ 1.. = store.bury_due_in(index, now_ms)
            {
                buried += some;
            }
            if buried >= STEP_REMOVALS {
                store.log().write_out();
                return true;
            }
        }
        if buried != 0 {
            store.log().write_out();
        }
        false
    }
}

impl Store {
    /// Removes some of what is due in a shard: keys, and fields of hashes; how many. What the log has no room for stays.
    fn bury_due_in(&self, index: usize, now_ms: u64) -> u64 {
        let due = self.shards().lock(index).find_due(now_ms, TAKE_AT_ONCE);
        let mut buried = 0;
        for (physical, bytes, at) in due {
            let key = self.key(&bytes);
            let mut transaction = self.begin(0, &[key], now_ms);
            let removed = transaction.look(&key, physical);
            if removed != 0 {
                buried += removed;
                self.expire_lag_ms.fetch_max(now_ms.saturating_sub(at), Ordering::Relaxed);
            }
            transaction.commit();
            if buried >= STEP_REMOVALS {
                break;
            }
        }
        buried
    }

    /// Removes these keys of physical databases if they have expired and the log has room.
    pub(crate) fn bury(&self, keys: &[(u8, Vec<u8>)], now_ms: u64) {
        for (physical, bytes) in keys {
            let key = self.key(bytes);
            let mut transaction = self.begin(0, &[key], now_ms);
            transaction.look(&key, *physical);
            transaction.commit();
        }
    }

    /// Whether what nobody looks at is removed when its time has come. Who looks never sees it either way.
    pub fn set_sweeps(&self, sweeps: bool) {
        self.sweeps.store(sweeps, Ordering::Relaxed);
    }

    /// Lets nothing go because its time has come, until this monotonic time; 0 ends that. Who looks does not see it all the
    /// same.
    pub fn hold_expiry(&self, until_ms: u64) {
        self.expiry_held_until_ms.store(until_ms, Ordering::Relaxed);
    }

    pub(crate) fn holds_expiry(&self) -> bool {
        let until_ms = self.expiry_held_until_ms.load(Ordering::Relaxed);
        until_ms != 0 && self.clock().monotonic_ms() < until_ms
    }

    fn sweeps(&self) -> bool {
        self.sweeps.load(Ordering::Relaxed)
    }

    /// By how many milliseconds at most something was late that has expired since the last call.
    pub fn take_expire_lag_ms(&self) -> u64 {
        self.expire_lag_ms.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
