//! When something in a shard is due: an ordered index of deadlines that makes expiry punctual.
//!
//! A heap of (deadline, hash of the key). It may hold what is no longer so, but never too little: **for every entry that
//! is to expire there is an item at or before its time.** A deadline that is moved back is therefore not noted (a session
//! that is prolonged with each request costs nothing): its item comes up at the old time, is found to be early, and is
//! noted again. Items whose entry is gone are dropped when they come up. When they are most of the heap, all are looked at, a few
//! with each change: the heap is put aside as the old one, and what is true of its items goes over to a new one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing is due.
pub const NEVER: u64 = u64::MAX;
/// Stale items that are not worth a look.
const SPARE_ITEMS: usize = 64;
/// Items of the old heap that are looked at with each change, which adds one at most.
const STEP: usize = 4;

/// An entry that may be due: when, in which physical database, and the hash of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Milliseconds since the epoch, and the database in the lowest bits.
    when: u64,
    /// The whole hash.
    pub hash: u64,
}

const DATABASE_BITS: u32 = 4;

impl Item {
    fn new(deadline: u64, database: u8, hash: u64) -> Item {
        // Deadlines beyond the year 36,000,000 come up early and are noted again.
        let deadline = deadline.min(u64::MAX >> DATABASE_BITS);
        Item { when: deadline << DATABASE_BITS | u64::from(database), hash }
    }

    /// Milliseconds since the epoch.
    pub fn deadline(self) -> u64 {
        self.when >> DATABASE_BITS
    }

    /// The physical database.
    pub fn database(self) -> u8 {
        (self.when & ((1 << DATABASE_BITS) - 1)) as u8
    }
}

/// The times at which something is due, for who waits for them without a lock.
#[derive(Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<Item>>,
    /// Items that have yet to be looked at, and the last that was: the same item may be there twice.
    old: BinaryHeap<Reverse<Item>>,
    last: Option<Item>,
    next: Arc<Next>,
}

/// The least deadline of a shard.
pub struct Next(AtomicU64);

impl Default for Next {
    fn default() -> Next {
        Next(AtomicU64::new(NEVER))
    }
}

impl Next {
    /// Nothing in the shard expires before this time.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Deadlines {
    /// The least deadline, to be read while others hold the shard.
    pub fn next(&self) -> Arc<Next> {
        self.next.clone()
    }

    /// Whether something may be due. False is certain.
    #[inline]
    pub fn may_be_due(&self, now_ms: u64) -> bool {
        self.least().is_some_and(|item| item.deadline() <= now_ms)
    }

    #[inline]
    fn least(&self) -> Option<Item> {
        let least = |heap: &BinaryHeap<Reverse<Item>>| heap.peek().map(|Reverse(item)| *item);
        match (least(&self.heap), least(&self.old)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// An entry is due at another time than before.
    #[inline]
    pub fn note(&mut self, database: u8, hash: u64, before: Option<u64>, after: Option<u64>) {
        if let Some(after) = after
            && before.is_none_or(|before| after < before)
        {
            self.heap.push(Reverse(Item::new(after, database, hash)));
            self.publish();
        }
    }

    /// Takes out the next item that is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<Item> {
        if !self.may_be_due(now_ms) {
            return None;
        }
        let from_old = self.least() == self.old.peek().map(|Reverse(item)| *item);
        let Reverse(item) = if from_old { self.old.pop() } else { self.heap.pop() }?;
        self.publish();
        Some(item)
    }

    /// Whether some items should be looked at, when there are so many entries: most are of entries that are gone, or not all
    /// were looked at since that was so.
    #[inline]
    pub fn are_stale(&self, entries: usize) -> bool {
        !self.old.is_empty() || self.heap.len() > 2 * entries + SPARE_ITEMS
    }

    /// Puts the times that are true in the place of a few items: `times` tells those of the entries that may be meant, and
    /// none when there is no such entry any more.
    pub fn renew_some(&mut self, mut times: impl FnMut(&Item, &mut dyn FnMut(u64))) {
        if self.old.is_empty() {
            std::mem::swap(&mut self.heap, &mut self.old);
            self.last = None;
        }
        for Reverse(item) in std::iter::from_fn(|| self.old.pop()).take(STEP) {
            if self.last.replace(item) == Some(item) {
                continue;
            }
            times(&item, &mut |deadline| {
                let renewed = Item::new(deadline, item.database(), item.hash);
                // A time that is earlier has an item of its own.
                if item <= renewed {
                    self.heap.push(Reverse(renewed));
                }
            });
        }
        if self.old.is_empty() {
            self.old = BinaryHeap::new();
        }
        self.publish();
    }

    /// No entry is due at any time.
    pub fn clear(&mut self) {
        self.heap = BinaryHeap::new();
        self.old = BinaryHeap::new();
        self.publish();
    }

    /// All items, in an order that means little.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        self.heap.iter().chain(&self.old).map(|Reverse(item)| *item)
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        (self.heap.capacity() + self.old.capacity()) * size_of::<Item>()
    }

    #[inline]
    fn publish(&self) {
        let next = self.least().map_or(NEVER, Item::deadline);
        self.next.0.store(next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_stands_at_or_before_each_deadline() {
        let mut deadlines = Deadlines::default();
        let next = deadlines.next();
        assert_eq!(next.get(), NEVER);
        deadlines.note(3, 7, None, Some(50));
        deadlines.note(3, 7, Some(50), Some(90));
        deadlines.note(3, 7, Some(90), Some(20));
        deadlines.note(3, 7, Some(20), None);
        assert_eq!((next.get(), deadlines.heap.len()), (20, 2));
        assert_eq!(deadlines.pop(19), None);
        let item = deadlines.pop(20).expect("it is due");
        assert_eq!((item.deadline(), item.database(), item.hash), (20, 3, 7));
        assert_eq!(next.get(), 50);
        for _ in 0..3 {
            deadlines.note(3, 7, None, Some(50));
        }
        deadlines.renew_some(|_, time| time(70));
        assert_eq!((next.get(), deadlines.heap.len()), (70, 1));
        deadlines.renew_some(|_, _| {});
        assert_eq!((next.get(), deadlines.pop(u64::MAX)), (NEVER, None));
    }

    #[test]
    fn many_stale_items_go_a_few_at_a_time_and_nothing_is_late() {
        const ENTRIES: u64 = 1000;
        let mut deadlines = Deadlines::default();
        // Each was due at three times, each before the last; half of the entries are gone.
        for (before, deadline) in [(None, 90_000), (Some(90_000), 70_000), (Some(70_000), 50_000)] {
            (0..ENTRIES).for_each(|hash| deadlines.note(0, hash, before, Some(deadline + hash)));
        }
        let left = |item: &Item| item.hash.is_multiple_of(2);
        let (mut steps, mut looks) = (0, 0);
        while deadlines.are_stale(ENTRIES as usize / 2) {
            deadlines.renew_some(|item, time| {
                looks += 1;
                if left(item) {
                    time(50_000 + item.hash);
                }
            });
            steps += 1;
            assert_eq!(deadlines.next().get(), 50_000 + deadlines.items().map(|item| item.hash).min().unwrap());
            // What comes meanwhile is noted.
            if steps == 10 {
                deadlines.note(0, ENTRIES, None, Some(40_000));
                assert_eq!(deadlines.pop(40_000).map(|item| item.hash), Some(ENTRIES));
            }
        }
        assert_eq!((steps, looks), (3 * ENTRIES as usize / STEP, 3 * ENTRIES as usize));
        let mut due: Vec<u64> = std::iter::from_fn(|| deadlines.pop(u64::MAX)).map(|item| item.hash).collect();
        due.dedup();
        assert_eq!(due, (0..ENTRIES).filter(|hash: &u64| hash.is_multiple_of(2)).collect::<Vec<_>>());
    }

    #[test]
    fn deadlines_at_the_end_of_time_keep_their_database() {
        let item = Item::new(u64::MAX, 15, 1);
        assert_eq!(item.database(), 15);
        assert!(item.deadline() > 1 << 59);
    }
}
