//! How an entry was used, in two bytes: when, how often, or whether it was read. Which of these is decided by what is
//! evicted first.
//!
//! * The time: seconds of wall time, of which the upper bits are left out. They come round after eighteen hours: who was
//!   idle for longer seems to have been idle for the rest of that.
//! * How often: Redis's counter, eight bits that grow ever more seldom, and by one for each *period* without a use fall
//!   again; and eight bits of the number of the period up to which they have fallen. These come round after 256 periods,
//!   more than four hours by default: who was not used for longer seems to have been unused for the rest of that.
//! * Whether it was read since it was written.

use crate::random::Random;

/// What the two bytes of an entry hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// When it was last used.
    Time,
    /// How often it is used.
    Count,
    /// Whether it was read.
    Read,
}

/// A use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is only read.
    Read,
    /// It may be changed.
    Write,
}

/// An entry that was not read since it was written.
pub const UNREAD: u16 = 0;
/// An entry that was.
pub const READ: u16 = 1;

/// Up to here ages are told apart from times to come: the wall clock may be set back by the rest.
const LONGEST_IDLE_SECONDS: u16 = u16::MAX - 3600;

/// A time as it is kept.
#[inline]
pub fn at(now_ms: u64) -> u16 {
    (now_ms / 1000) as u16
}

/// The time so many seconds ago, as far as it can be told.
pub fn before(now_ms: u64, seconds: u64) -> u16 {
    at(now_ms).wrapping_sub(u16::try_from(seconds).unwrap_or(u16::MAX).min(LONGEST_IDLE_SECONDS))
}

/// Seconds from a kept time until now.
pub fn idle_seconds(access: u16, now_ms: u64) -> u64 {
    match at(now_ms).wrapping_sub(access) {
        idle @ ..=LONGEST_IDLE_SECONDS => u64::from(idle),
        _ => 0,
    }
}

/// How fast the counter grows and falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The greater, the more uses a step takes.
    pub log_factor: u32,
    /// Minutes of a period; 0 when it never falls.
    pub decay_minutes: u32,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale { log_factor: 10, decay_minutes: 1 }
    }
}

impl Scale {
    /// The counter of a new key, which must not be the first to go.
    pub const FIRST: u8 = 5;
    /// Periods that are told apart from those to come.
    const LONGEST: u8 = u8::MAX - 8;

    fn period(self, now_ms: u64) -> u8 {
        let minutes = now_ms / 60_000;
        minutes.checked_div(u64::from(self.decay_minutes)).unwrap_or(0) as u8
    }

    /// A counter as it is kept.
    pub fn with(self, count: u8, now_ms: u64) -> u16 {
        u16::from_le_bytes([count, self.period(now_ms)])
    }

    /// The counter now.
    pub fn count(self, access: u16, now_ms: u64) -> u8 {
        let [count, period] = access.to_le_bytes();
        match self.period(now_ms).wrapping_sub(period) {
            unused @ ..=Scale::LONGEST => count.saturating_sub(unused),
            // The clock was set back.
            _ => count,
        }
    }

    /// What is kept after one use more.
    pub fn used(self, access: u16, now_ms: u64, chance: &mut Random) -> u16 {
        let count = self.count(access, now_ms);
        let above = u64::from(count.saturating_sub(Scale::FIRST));
        let grows = count < u8::MAX && chance.below(above * u64::from(self.log_factor) + 1) == 0;
        self.with(count + u8::from(grows), now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_up_to_seventeen_hours() {
        let now_ms = 1_700_000_000_000;
        for seconds in [0, 1, 1000, 60_000, u64::from(LONGEST_IDLE_SECONDS)] {
            assert_eq!(idle_seconds(before(now_ms, seconds), now_ms), seconds);
            assert_eq!(idle_seconds(at(now_ms), now_ms + seconds * 1000), seconds);
        }
        assert_eq!(idle_seconds(before(now_ms, u64::MAX), now_ms), u64::from(LONGEST_IDLE_SECONDS));
        assert_eq!(idle_seconds(at(now_ms), now_ms - 3_000_000), 0, "the clock was set back");
    }

    /// The table in Redis's redis.conf: counters after so many hits, by factor.
    #[test]
    fn the_counter_grows_as_redis_says() {
        for (factor, hits, about) in [(0, 100, 104), (1, 1000, 49), (10, 1000, 18), (100, 1000, 11), (10, 100_000, 142)]
        {
            let scale = Scale { log_factor: factor, decay_minutes: 1 };
            let mut chance = Random::new(7);
            let runs = 20;
            let grown = |_| {
                let first = scale.with(Scale::FIRST, 0);
                let last = (0..hits).fold(first, |access, _| scale.used(access, 0, &mut chance));
                u64::from(scale.count(last, 0))
            };
            let average = (0..runs).map(grown).sum::<u64>() / runs;
            assert!(average.abs_diff(about) <= 2 + about / 10, "factor {factor}, {hits} hits: {average}");
        }
    }

    #[test]
    fn the_counter_falls_by_one_for_each_period_without_a_use() {
        let minute = 60_000;
        let start = 1_700_000_000_000 / (2 * minute) * (2 * minute);
        let scale = Scale { log_factor: 10, decay_minutes: 2 };
        let access = scale.with(9, start);
        for (minutes, left) in [(0, 9), (1, 9), (2, 8), (7, 6), (18, 0), (300, 0)] {
            assert_eq!(scale.count(access, start + minutes * minute), left, "after {minutes} minutes");
        }
        assert_eq!(scale.count(access, start - 3 * minute), 9, "the clock was set back");
        let never = Scale { decay_minutes: 0, ..scale };
        assert_eq!(never.count(never.with(9, start), start + 500 * minute), 9);
        let full = scale.with(255, start);
        assert_eq!(scale.count(scale.used(full, start, &mut Random::new(1)), start), 255);
    }
}
