//! What all connections hold together: requests whose end has not come, replies that wait to be sent, and what was queued,
//! watched and subscribed to.
//!
//! It is one number, so that no number of connections gets around it. When there would be more than may be, whoever holds
//! most is closed, and then the next, until there is room; who holds little is spared, so that one that hoards drives nobody
//! else out. What is closed is a connection between two requests, or in the midst of one that has not run.
//!
//! A reply is bounded while it is written: by what is left, or by what the largest of the others holds, which it may take
//! the place of.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Server;
use crate::commands;
use crate::config::MaxMemory;
use crate::session::output::Bounds;
use crate::session::registry::Client;

/// A client that holds no more than this is not closed for what all hold.
const SPARED_BYTES: usize = 64 << 10;
/// The same for its replies: as much as a connection gathers before it is asked to wait for its client.
const SPARED_REPLY_BYTES: usize = 1 << 20;
/// A smaller limit is not taken at its word: nobody could talk to the server to change it. Redis has the same.
const LEAST_LIMIT: u64 = 128 << 10;
/// The share of the machine when no limit was set. With `maxmemory` at its default, a twentieth remains.
const DEFAULT_PERCENT: u8 = 25;

/// How often it is looked who holds most, while there is little left.
const LOOK_EVERY_MS: u64 = 10;

/// Bytes held for clients.
#[derive(Default)]
pub struct ClientMemory {
    held: AtomicUsize,
    /// The two that held most when somebody looked, and when that was.
    largest: Mutex<(u64, [Holder; 2])>,
}

/// Somebody who may be closed for what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holder {
    bytes: usize,
    id: u64,
}

impl ClientMemory {
    /// What a client holds of something was `before` and is `now`.
    #[inline]
    pub fn change(&self, client: &Client, before: usize, now: usize) {
        for held in [&self.held, &client.held_bytes] {
            if now > before {
                held.fetch_add(now - before, Ordering::Relaxed);
            } else if now < before {
                held.fetch_sub(before - now, Ordering::Relaxed);
            }
        }
    }

    fn left(&self, limit: usize) -> usize {
        limit.saturating_sub(self.held.load(Ordering::Relaxed))
    }
}

impl Server {
    /// Makes room for what a client wants to hold, by closing those who hold more. If there is none, it is the client itself
    /// that is closed.
    pub fn makes_client_room(&self, client: &Client, more: usize) -> bool {
        let wanted = client.held_bytes.load(Ordering::Relaxed).saturating_add(more);
        if wanted <= SPARED_BYTES || client.stays.load(Ordering::Relaxed) {
            return true;
        }
        if more <= self.client_memory.left(self.client_limit()) {
            return true;
        }
        self.close_largest(Some((client.id, more)))
    }

    /// Closes those who hold most, if all together hold too much.
    pub fn bound_client_memory(&self) {
        if self.client_memory.held.load(Ordering::Relaxed) > self.client_limit() {
            self.close_largest(None);
        }
    }

    /// How much may wait for one client, of whose class one may have `hard` bytes waiting, 0 for any.
    #[inline]
    pub fn reply_bounds(&self, client: &Client, hard: usize) -> Bounds {
        let limit = self.client_limit();
        let left = self.client_memory.left(limit);
        let room = if client.stays.load(Ordering::Relaxed) {
            usize::MAX
        } else if left > limit / 2 {
            left
        } else {
            left.max(self.largest_beside(client.id))
        };
        let hard_bytes = if hard == 0 { usize::MAX } else { hard };
        Bounds { hard_bytes, room_bytes: room.max(SPARED_REPLY_BYTES) }
    }

    #[inline]
    fn client_limit(&self) -> usize {
        self.hot.max_client_bytes.load(Ordering::Relaxed) as usize
    }

    /// What the largest of the others holds.
    #[cold]
    fn largest_beside(&self, id: u64) -> usize {
        let now_ms = self.monotonic_ms();
        let mut seen = self.client_memory.largest.lock();
        if seen.0 == 0 || now_ms.saturating_sub(seen.0) >= LOOK_EVERY_MS {
            let mut holders = self.holders().1;
            holders.sort_unstable_by_key(|holder| Reverse(holder.bytes));
            let nth = |index: usize| holders.get(index).copied().unwrap_or_default();
            *seen = (now_ms.max(1), [nth(0), nth(1)]);
        }
        seen.1.into_iter().find(|holder| holder.id != id).map_or(0, |holder| holder.bytes)
    }

    /// What clients hold that are not being closed, and those of them who may be.
    fn holders(&self) -> (usize, Vec<Holder>) {
        let (mut all, mut holders) = (0, Vec::new());
        for client in self.registry.all() {
            // What those held who are not here any more is about to be let go of.
            if client.killed.load(Ordering::Relaxed) {
                continue;
            }
            let bytes = client.held_bytes.load(Ordering::Relaxed);
            all += bytes;
            if bytes > SPARED_BYTES && !client.stays.load(Ordering::Relaxed) {
                holders.push(Holder { bytes, id: client.id });
            }
        }
        (all, holders)
    }

    /// Closes clients, the largest first, until there is room for what somebody wants more. Whether that one stays.
    #[cold]
    fn close_largest(&self, wants: Option<(u64, usize)>) -> bool {
        let (all, holders) = self.holders();
        let (close, stays) = plan(holders, all, wants, self.client_limit());
        for id in close {
            // One that held little and wants much is not among the holders.
            if let Some(client) = self.registry.get(id) {
                let line = commands::client::describe(&client, self.monotonic_ms());
                tracing::info!("Evicting client: {line}");
                self.stats.count_eviction();
                self.kill(&client);
            }
        }
        stays
    }
}

/// Who is closed when all hold so much, somebody wants more and there is a limit; and whether the one who wants more stays.
fn plan(mut holders: Vec<Holder>, all: usize, wants: Option<(u64, usize)>, limit: usize) -> (Vec<u64>, bool) {
    let (me, more) = wants.unwrap_or((u64::MAX, 0));
    if let Some(mine) = holders.iter_mut().find(|holder| holder.id == me) {
        mine.bytes += more;
    } else if wants.is_some() {
        holders.push(Holder { bytes: more, id: me });
    }
    holders.sort_unstable_by_key(|holder| Reverse((holder.bytes, holder.id)));
    let (mut left, mut close) = (all.saturating_add(more), Vec::new());
    for holder in holders {
        if left <= limit {
            break;
        }
        close.push(holder.id);
        if holder.id == me {
            return (close, false);
        }
        left = left.saturating_sub(holder.bytes);
    }
    (close, true)
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

    fn holders(bytes: [usize; 4]) -> Vec<Holder> {
        bytes.into_iter().zip(1..).map(|(bytes, id)| Holder { bytes, id }).collect()
    }

    #[test]
    fn the_largest_go_first_and_no_more_than_have_to() {
        let some = holders([10, 40, 20, 30]);
        assert_eq!(plan(some.clone(), 100, None, 100), (vec![], true));
        assert_eq!(plan(some.clone(), 100, None, 99), (vec![2], true));
        assert_eq!(plan(some.clone(), 100, None, 60), (vec![2], true));
        assert_eq!(plan(some.clone(), 100, None, 59), (vec![2, 4], true));
        // Somebody else holds what is not theirs to give.
        assert_eq!(plan(some, 200, None, 50), (vec![2, 4, 3, 1], true));
    }

    #[test]
    fn who_wants_more_is_closed_when_it_would_hold_most() {
        let some = holders([10, 40, 20, 30]);
        assert_eq!(plan(some.clone(), 100, Some((1, 20)), 100), (vec![2], true));
        assert_eq!(plan(some.clone(), 100, Some((1, 31)), 100), (vec![1], false));
        assert_eq!(plan(some.clone(), 100, Some((3, 65)), 100), (vec![3], false));
        assert_eq!(plan(some.clone(), 100, Some((9, 35)), 100), (vec![2], true));
        assert_eq!(plan(some, 100, Some((9, 45)), 100), (vec![9], false));
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
