//! `maxmemory` is a bound on all memory that the process holds: what keys and values may take of it is measured out here, ten
//! times a second.
//!
//! The rest of the process (buffers, the log's pages, what the allocator keeps) grows and shrinks, and memory that was freed is
//! often kept for what comes next. So the goal for keys and values is not computed but steered: down by as much as the process
//! holds too much, up a part of the way while the goal is what holds it down.

use std::sync::atomic::Ordering;

use super::{Hot, Server};
use crate::observe::machine;

/// Where a goal begins, and the most it becomes, in percent of the limit.
const MOST_PERCENT: u64 = 96;
/// Above so many percent of the limit the goal goes down, below the other it may go up.
const HIGH_PERCENT: u64 = 99;
const LOW_PERCENT: u64 = 97;
/// It never goes below so many percent: what is resident beyond is not there for values.
const LEAST_PERCENT: u64 = 5;
/// What an opening takes into memory: the rest of the process has to fit beside it, which nobody has measured yet.
const LOADED_PERCENT: u64 = 75;

/// What the goal should be now.
fn next_goal(limit: u64, resident: u64, memory: u64, goal: u64) -> u64 {
    let percent = |of: u64| limit / 100 * of;
    let goal = goal.min(percent(MOST_PERCENT));
    let next = if resident > percent(HIGH_PERCENT) {
        memory.min(goal).saturating_sub(resident - percent(LOW_PERCENT))
    } else if resident < percent(LOW_PERCENT) && memory >= goal / 100 * LOW_PERCENT {
        goal + (percent(LOW_PERCENT) - resident) / 4
    } else {
        goal
    };
    next.clamp(percent(LEAST_PERCENT), percent(MOST_PERCENT))
}

impl Hot {
    /// Bytes of keys and values that are taken into memory when the store is opened; values beyond are left to the log.
    pub fn memory_to_load(&self) -> u64 {
        match self.max_memory.load(Ordering::Relaxed) {
            limit if limit != 0 && self.spills.load(Ordering::Relaxed) => limit / 100 * LOADED_PERCENT,
            _ => u64::MAX,
        }
    }
}

impl Server {
    /// Looks at what the process holds and says how much of it may be keys and values.
    pub fn govern_memory(&self) {
        let limit = self.hot.max_memory.load(Ordering::Relaxed);
        let goal = match limit {
            0 => u64::MAX,
            _ if !self.hot.spills.load(Ordering::Relaxed) => u64::MAX,
            _ => next_goal(limit, machine::resident_bytes(), self.store.memory(), self.store.memory_goal()),
        };
        self.store.set_memory_goal(goal);
    }

    /// Whether memory is full for commands that need more, of which so many bytes are known.
    #[inline]
    pub fn is_out_of_memory(&self, growth: u64) -> bool {
        let limit = self.hot.max_memory.load(Ordering::Relaxed);
        if limit == 0 || self.store.memory() + growth <= self.store.memory_goal().min(limit) {
            return false;
        }
        // While values can leave memory there is room, though perhaps not at once.
        !self.hot.spills.load(Ordering::Relaxed) || self.store.is_exhausted() || growth > limit
    }

    /// Whether whoever needs memory has to wait until values have left it.
    #[inline]
    pub fn waits_for_memory(&self) -> bool {
        let goal = self.store.memory_goal();
        self.store.memory() > goal.saturating_add(goal / 32) && !self.store.is_exhausted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000 << 20;
    const MB: u64 = 1 << 20;

    #[test]
    fn the_goal_goes_down_by_what_is_too_much() {
        assert_eq!(next_goal(LIMIT, 1020 * MB, 900 * MB, u64::MAX), 850 * MB);
        assert_eq!(next_goal(LIMIT, 995 * MB, 900 * MB, 800 * MB), 775 * MB);
        assert_eq!(next_goal(LIMIT, 5000 * MB, 900 * MB, 800 * MB), 50 * MB);
    }

    #[test]
    fn it_comes_back_only_where_it_is_what_holds_memory_down() {
        assert_eq!(next_goal(LIMIT, 930 * MB, 800 * MB, 800 * MB), 810 * MB);
        assert_eq!(
            next_goal(LIMIT, 930 * MB, 300 * MB, 800 * MB),
            800 * MB,
            "freed memory is kept for what comes next"
        );
        assert_eq!(next_goal(LIMIT, 980 * MB, 800 * MB, 800 * MB), 800 * MB);
        assert_eq!(next_goal(LIMIT, 10 * MB, 10 * MB, u64::MAX), 960 * MB);
    }
}
