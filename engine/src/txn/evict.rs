//! Eviction of one key, and what is known of its uses.

use super::Transaction;
use super::value::frame_cost;
use crate::keyspace::policy::Policy;
use crate::keyspace::rules::Usage;
use crate::keyspace::shard::Key;
use crate::listener::Class;

/// What came of an eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evicted {
    /// The key is gone, which has freed so many bytes.
    Freed(u64),
    /// It is not there any more, or has become a worse victim than it was.
    Spared,
    /// The log has no room for a tomb.
    NoRoom,
}

impl Transaction<'_> {
    /// Evicts a key of a physical database if it is still as good a victim as it was.
    pub(crate) fn evict(&mut self, key: &Key<'_>, physical: u8, score: u64) -> Evicted {
        self.go_to(physical);
        let now_ms = self.now_ms;
        let shard = self.guards.shard(key.shard());
        let Some(entry) = shard.find(physical, key) else { return Evicted::Spared };
        let (rules, freed) = (shard.rules(), entry.footprint() as u64);
        let policy = rules.policy_of(key.bytes);
        let Some(now) = policy.score(entry, now_ms, rules.set.scale) else { return Evicted::Spared };
        if now < score && policy.spares_the_used() {
            return Evicted::Spared;
        }
        if !self.store.log().takes_tomb(frame_cost(key.bytes.len(), 0, None) as u64) {
            return Evicted::NoRoom;
        }
        if let Some(namespace) = rules.namespace_of(key.bytes) {
            namespace.add_evicted(1);
        }
        self.evicts = true;
        self.bury(key);
        self.memory -= self.guards.shard(key.shard()).give_back_empty(physical) as i64;
        self.store.eviction().count();
        self.notify(Class::Evicted, "evicted", key);
        Evicted::Freed(freed)
    }

    /// What goes first of the keys that are evicted together with this one.
    pub fn policy(&mut self, key: &Key<'_>) -> Policy {
        self.guards.shard(key.shard()).rules().policy_of(key.bytes)
    }

    /// What is known of the uses of a key that is there.
    pub fn usage(&mut self, key: &Key<'_>) -> Option<Usage> {
        let (database, now_ms) = (self.database, self.now_ms);
        let shard = self.guards.shard(key.shard());
        shard.find(database, key).map(|entry| shard.rules().usage(entry, now_ms))
    }

    /// Lets a key seem to have been used so, as far as that is kept. No log holds it.
    pub fn set_usage(&mut self, key: &Key<'_>, usage: Usage) {
        let (database, now_ms) = (self.database, self.now_ms);
        let shard = self.guards.shard(key.shard());
        let access = shard.rules().access_of(key.bytes, usage, now_ms);
        if let (Some(entry), Some(access)) = (shard.find_mut(database, key), access) {
            entry.set_access(access);
        }
    }
}
