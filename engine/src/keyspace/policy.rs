//! Which keys may be evicted, and in which order.

use super::access::{self, Kind, Scale};
use super::entry::Entry;

/// What goes when memory is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Nothing.
    #[default]
    NoEviction,
    /// The least recently used key.
    AllKeysLru,
    /// The least recently used key that has a deadline.
    VolatileLru,
    /// The least frequently used key.
    AllKeysLfu,
    /// The least frequently used key that has a deadline.
    VolatileLfu,
    /// Any key.
    AllKeysRandom,
    /// Any key that has a deadline.
    VolatileRandom,
    /// The key whose deadline is next.
    VolatileTtl,
    /// The most recently used key.
    Mru,
    /// The most frequently used key.
    Mfu,
    /// Keys that were read; they go soon after, whether memory is full or not.
    ExpireAfterRead,
}

impl Policy {
    /// What has to be kept of a key's uses.
    #[inline]
    pub fn kind(self) -> Kind {
        match self {
            Policy::AllKeysLfu | Policy::VolatileLfu | Policy::Mfu => Kind::Count,
            Policy::ExpireAfterRead => Kind::Read,
            _ => Kind::Time,
        }
    }

    /// Whether it matters when or how often a key is used.
    pub fn looks_at_uses(self) -> bool {
        use Policy::{AllKeysLfu, AllKeysLru, Mfu, Mru, VolatileLfu, VolatileLru};
        matches!(self, AllKeysLru | VolatileLru | AllKeysLfu | VolatileLfu | Mru | Mfu)
    }

    /// Whether only keys with a deadline go.
    pub fn is_volatile(self) -> bool {
        use Policy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(self, VolatileLfu | VolatileLru | VolatileRandom | VolatileTtl)
    }

    /// How good a victim an entry is: the greater the better. `None` when it must stay.
    pub(crate) fn score(self, entry: &Entry, now_ms: u64, scale: Scale) -> Option<u64> {
        let deadline = entry.deadline();
        if self.is_volatile() && deadline.is_none() {
            return None;
        }
        let access = entry.access();
        match self {
            Policy::NoEviction => None,
            Policy::AllKeysLru | Policy::VolatileLru => Some(access::idle_seconds(access, now_ms)),
            Policy::Mru => Some(u64::MAX - access::idle_seconds(access, now_ms)),
            Policy::AllKeysLfu | Policy::VolatileLfu => Some(u64::from(u8::MAX - scale.count(access, now_ms))),
            Policy::Mfu => Some(u64::from(scale.count(access, now_ms))),
            Policy::AllKeysRandom | Policy::VolatileRandom => Some(0),
            Policy::VolatileTtl => deadline.map(|deadline| u64::MAX - deadline),
            Policy::ExpireAfterRead => (access == access::READ).then_some(0),
        }
    }

    /// Whether a victim that was chosen a while ago is none any more when it is a worse one by now: it was used.
    pub(crate) fn spares_the_used(self) -> bool {
        !matches!(self, Policy::Mru | Policy::Mfu)
    }
}
