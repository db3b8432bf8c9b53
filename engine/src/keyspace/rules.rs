//! What a shard has to know of eviction: how uses of its entries are kept.
//!
//! Every shard holds the rules that its entries follow now, and changes entries and rules together under its lock. So the
//! two bytes of an entry never have to be guessed at.

use super::access::{self, Kind, Scale, Use};
use super::entry::Entry;
use super::policy::Policy;
use crate::random::Random;

/// Rules of eviction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What goes first.
    pub policy: Policy,
    /// How uses are counted.
    pub scale: Scale,
}

/// What is known of the uses of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It was last used so many seconds ago, as far as that is kept.
    Idle(u64),
    /// It is used so often, on Redis's scale.
    Frequency(u8),
    /// Only whether it was read is kept.
    Read(bool),
}

impl Rules {
    /// What goes first of the keys that are evicted together with this one.
    #[inline]
    pub fn policy_of(&self, _key: &[u8]) -> Policy {
        self.policy
    }

    /// What a new key begins with.
    #[inline]
    pub fn first(&self, key: &[u8], now_ms: u64) -> u16 {
        match self.policy_of(key).kind() {
            Kind::Time => access::at(now_ms),
            Kind::Count => self.scale.with(Scale::FIRST, now_ms),
            Kind::Read => access::UNREAD,
        }
    }

    /// What is kept after a use.
    #[inline]
    pub fn used(&self, entry: &Entry, used: Use, now_ms: u64, chance: &mut Random) -> u16 {
        match (self.policy_of(entry.key()).kind(), used) {
            (Kind::Time, _) => access::at(now_ms),
            (Kind::Count, _) => self.scale.used(entry.access(), now_ms, chance),
            (Kind::Read, Use::Read) => access::READ,
            (Kind::Read, Use::Write) => entry.access(),
        }
    }

    /// What is known of an entry.
    pub fn usage(&self, entry: &Entry, now_ms: u64) -> Usage {
        match self.policy_of(entry.key()).kind() {
            Kind::Time => Usage::Idle(access::idle_seconds(entry.access(), now_ms)),
            Kind::Count => Usage::Frequency(self.scale.count(entry.access(), now_ms)),
            Kind::Read => Usage::Read(entry.access() == access::READ),
        }
    }

    /// What to keep so that this is known of a key; `None` when something else is kept.
    pub fn access_of(&self, key: &[u8], usage: Usage, now_ms: u64) -> Option<u16> {
        match (self.policy_of(key).kind(), usage) {
            (Kind::Time, Usage::Idle(seconds)) => Some(access::before(now_ms, seconds)),
            (Kind::Count, Usage::Frequency(count)) => Some(self.scale.with(count, now_ms)),
            _ => None,
        }
    }

    /// What an entry that followed other rules has to keep from now on.
    pub fn taken_over(&self, entry: &Entry, before: &Rules, now_ms: u64) -> u16 {
        let kind = self.policy_of(entry.key()).kind();
        match kind == before.policy_of(entry.key()).kind() {
            // The period has another number when it has another length.
            true if kind == Kind::Count => self.scale.with(before.scale.count(entry.access(), now_ms), now_ms),
            true => entry.access(),
            false => self.first(entry.key(), now_ms),
        }
    }
}
