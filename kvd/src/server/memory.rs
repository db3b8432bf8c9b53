//! What all connections hold together: requests whose end has not come, and replies that wait to be sent.
//!
//! It is one number, so that no number of connections gets around it. When it is reached, who wants more is closed; who
//! holds little is spared, so that one that hoards drives nobody else out.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::MaxMemory;
use crate::session::output::Bounds;

/// A client that holds no more than this is not closed for what all hold.
pub const SPARED_REQUEST_BYTES: usize = 64 << 10;
/// The same for its replies: as much as a connection gathers before it is asked to wait for its client.
const SPARED_REPLY_BYTES: usize = 1 << 20;
/// A smaller limit is not taken at its word: nobody could talk to the server to change it. Redis has the same.
const LEAST_LIMIT: u64 = 128 << 10;
/// The share of the machine when no limit was set. With `maxmemory` at its default, a twentieth remains.
const DEFAULT_PERCENT: u8 = 25;

/// Bytes held for clients.
#[derive(Default)]
pub struct ClientMemory {
    held: AtomicUsize,
}

impl ClientMemory {
    /// What somebody holds was `before` and is `now`.
    #[inline]
    pub fn change(&self, before: usize, now: usize) {
        if now > before {
            self.held.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.held.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Whether somebody who holds so much of a request may not hold `more`.
    pub fn refuses(&self, holds: usize, more: usize, limit: usize) -> bool {
        holds + more > SPARED_REQUEST_BYTES && self.held.load(Ordering::Relaxed).saturating_add(more) > limit
    }

    /// How much may wait for one client, when all may hold `limit` and one may have `hard` waiting, 0 for any.
    #[inline]
    pub fn bounds(&self, limit: usize, hard: usize) -> Bounds {
        let left = limit.saturating_sub(self.held.load(Ordering::Relaxed));
        Bounds { hard_bytes: if hard == 0 { usize::MAX } else { hard }, room_bytes: left.max(SPARED_REPLY_BYTES) }
    }
}

/// `maxmemory-clients` in bytes, where `maxmemory` is so many: a share is one of `maxmemory`.
pub fn limit_in_bytes(setting: MaxMemory, max_memory: u64, machine_bytes: u64) -> u64 {
    let limit = match setting {
        MaxMemory::Auto | MaxMemory::Bytes(0) => MaxMemory::Percent(DEFAULT_PERCENT).in_bytes(machine_bytes),
        setting => setting.in_bytes(max_memory),
    };
    limit.max(LEAST_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_little_is_spared() {
        let memory = ClientMemory::default();
        memory.change(0, 1000 << 10);
        assert!(!memory.refuses(60 << 10, 4 << 10, 1000 << 10));
        assert!(!memory.refuses(200 << 10, 24 << 10, 1 << 20), "there is room");
        assert!(memory.refuses(200 << 10, 25 << 10, 1 << 20));
        memory.change(1000 << 10, 0);
        assert!(!memory.refuses(200 << 10, 25 << 10, 1 << 20));
    }

    #[test]
    fn one_client_may_have_waiting_what_the_others_leave() {
        let memory = ClientMemory::default();
        assert_eq!(memory.bounds(10 << 20, 0), Bounds { hard_bytes: usize::MAX, room_bytes: 10 << 20 });
        memory.change(0, 6 << 20);
        assert_eq!(memory.bounds(10 << 20, 5), Bounds { hard_bytes: 5, room_bytes: 4 << 20 });
        memory.change(6 << 20, 60 << 20);
        assert_eq!(memory.bounds(10 << 20, 0).room_bytes, SPARED_REPLY_BYTES);
    }

    #[test]
    fn the_limit_is_a_share_of_maxmemory_or_a_quarter_of_the_machine() {
        let limit = |setting| limit_in_bytes(setting, 1 << 30, 8 << 30);
        assert_eq!(limit(MaxMemory::Bytes(0)), 2 << 30);
        assert_eq!(limit(MaxMemory::Percent(50)), 512 << 20);
        assert_eq!(limit(MaxMemory::Bytes(5 << 20)), 5 << 20);
        assert_eq!(limit(MaxMemory::Bytes(1)), 128 << 10);
    }
}
