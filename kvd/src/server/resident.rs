//! `maxmemory` is a bound on all memory that the process holds: what keys and values may take of it is measured out here, ten
//! times a second.
//!
//! The rest of the process (buffers, the log's pages, what the allocator keeps) grows and shrinks, and memory that is freed
//! value by value is given back to the system late or never: it waits for the next values. So the goal for keys and values is
//! not computed but steered: up a part of the way while the process holds less than it may and the goal is what holds memory
//! down; down by what is too much when that grows, or does not go away.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Server;
use crate::observe::machine;

/// Less than this the process may take by itself: smaller limits are for keys and values alone.
const LEAST_LIMIT: u64 = 64 << 20;
/// What a start takes into memory: less than may be, for the log that it reads takes some too, and values that were replaced
/// leave holes. Where a goal begins, the most it becomes, and the least. In percent of the limit.
const LOADED_PERCENT: u64 = 50;
const FIRST_PERCENT: u64 = 75;
const MOST_PERCENT: u64 = 92;
const LEAST_PERCENT: u64 = 30;
/// Below so many percent of the limit the goal goes up, above the other it goes down if the process grows.
const LOW_PERCENT: u64 = 92;
const HIGH_PERCENT: u64 = 97;
/// Above the limit itself it goes down again and again, after so many looks.
const PATIENCE: u64 = 12;

/// Memory that is freed goes back to the system some time later, when the allocator is asked for something large: it is asked.
fn give_back_freed() {
    /// More than the allocator has at hand.
    const LARGE: usize = 4 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// What has been seen.
#[derive(Default)]
pub struct Governor {
    /// Looks since the goal went down.
    since: AtomicU64,
    /// What the process held then.
    held: AtomicU64,
}

impl Governor {
    /// What the goal should be now.
    fn next_goal(&self, limit: u64, resident: u64, memory: u64, goal: u64) -> u64 {
        let percent = |of: u64| limit / 100 * of;
        let since = self.since.fetch_add(1, Ordering::Relaxed);
        let goal = if goal > percent(MOST_PERCENT) { percent(FIRST_PERCENT) } else { goal };
        let next = if resident > percent(HIGH_PERCENT) {
            let grows = resident > self.held.load(Ordering::Relaxed) + percent(1);
            if !grows && (resident <= limit || since < PATIENCE) {
                return goal;
            }
            self.since.store(0, Ordering::Relaxed);
            self.held.store(resident, Ordering::Relaxed);
            memory.min(goal).saturating_sub(resident - percent(HIGH_PERCENT - 1))
        } else if resident < percent(LOW_PERCENT) && memory >= goal / 100 * 95 {
            self.held.store(0, Ordering::Relaxed);
            goal + (percent(LOW_PERCENT) - resident) / 4
        } else {
            goal
        };
        next.clamp(percent(LEAST_PERCENT), percent(MOST_PERCENT))
    }
}

/// The goal before anything was measured, under a limit of so many bytes: what a store that is opened takes into memory; where
/// values spill, those beyond are left to the log.
pub fn first_goal(limit: u64, spills: bool) -> u64 {
    match limit {
        limit if limit == 0 || !spills => u64::MAX,
        limit if limit < LEAST_LIMIT => limit,
        limit => limit / 100 * LOADED_PERCENT,
    }
}

/// How long a segment of the log is to be: a start reads it in one piece.
pub fn segment_bytes(wanted: u64, limit: u64) -> u64 {
    /// The part of memory that one may be.
    const PART: u64 = 16;
    match limit {
        limit if limit < LEAST_LIMIT => wanted,
        limit => wanted.min(limit / PART),
    }
}

impl Server {
    /// Looks at what the process holds and says how much of it may be keys and values.
    pub fn govern_memory(&self) {
        let limit = self.hot.max_memory.load(Ordering::Relaxed);
        let goal = match limit {
            0 => u64::MAX,
            // As in Redis, keys and values alone are counted.
            limit if limit < LEAST_LIMIT || !self.store.spills() => limit,
            _ => {
                give_back_freed();
                let (memory, goal) = (self.store.memory(), self.store.memory_goal());
                self.governor.next_goal(limit, machine::resident_bytes(), memory, goal)
            }
        };
        self.store.set_memory_goal(goal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000 << 20;
    const MB: u64 = 1 << 20;

    #[test]
    fn the_goal_goes_down_when_the_process_grows_and_then_waits() {
        let governor = Governor::default();
        assert_eq!(governor.next_goal(LIMIT, 980 * MB, 900 * MB, u64::MAX), 730 * MB);
        assert_eq!(governor.next_goal(LIMIT, 985 * MB, 800 * MB, 730 * MB), 730 * MB, "it does not grow");
        assert_eq!(governor.next_goal(LIMIT, 1010 * MB, 730 * MB, 730 * MB), 680 * MB, "it grows");
        for _ in 0..PATIENCE {
            assert_eq!(governor.next_goal(LIMIT, 1010 * MB, 680 * MB, 680 * MB), 680 * MB);
        }
        assert_eq!(governor.next_goal(LIMIT, 1010 * MB, 680 * MB, 680 * MB), 630 * MB, "it does not go away");
        assert_eq!(governor.next_goal(LIMIT, 5000 * MB, 680 * MB, 630 * MB), 300 * MB);
    }

    #[test]
    fn what_is_loaded_is_bounded_where_values_spill() {
        assert_eq!(first_goal(LIMIT, true), 500 * MB);
        assert_eq!(first_goal(LEAST_LIMIT - 1, true), LEAST_LIMIT - 1, "keys and values alone are counted");
        assert_eq!((first_goal(LIMIT, false), first_goal(0, true)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn segments_are_a_small_part_of_memory() {
        assert_eq!((segment_bytes(64 * MB, LIMIT), segment_bytes(64 * MB, 2 * LIMIT)), (LIMIT / 16, 64 * MB));
        assert_eq!((segment_bytes(64 * MB, 0), segment_bytes(64 * MB, MB)), (64 * MB, 64 * MB), "what is not bounded");
    }

    #[test]
    fn it_comes_back_only_where_it_is_what_holds_memory_down() {
        let next = |resident, memory, goal| Governor::default().next_goal(LIMIT, resident * MB, memory * MB, goal);
        assert_eq!(next(880, 800, 800 * MB), 810 * MB);
        assert_eq!(next(880, 300, 800 * MB), 800 * MB, "freed memory is kept for what comes next");
        assert_eq!(next(940, 800, 800 * MB), 800 * MB);
        assert_eq!(next(10, 10, u64::MAX), 750 * MB);
    }
}
