//! How often something took how long: counts by duration, in buckets about 6 % wide.
//!
//! ```text
//!  nanoseconds   0 1 … 15 │ 16 17 … 31 │ 32 34 … 62 │ 64 68 … │ …
//!  bucket        0 1 … 15 │ 16 17 … 31 │ 32 33 … 47 │ 48 …    │      16 for each power of two
//! ```
//!
//! Memory is taken when the first duration is noted. Counts are not of one moment: others note while they are read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of a power of two, as bits.
const SHARE_BITS: u32 = 4;
/// Durations of 2 to this many nanoseconds (18 minutes) and more share the last bucket.
const MAX_BITS: u32 = 40;
const BUCKETS: usize = ((MAX_BITS - SHARE_BITS + 1) << SHARE_BITS) as usize;

/// Counts of durations.
#[derive(Default)]
pub struct Histogram {
    counts: OnceLock<Box<[AtomicU64; BUCKETS]>>,
}

impl Histogram {
    /// Something has taken so many nanoseconds, so many times.
    #[inline]
    pub fn note(&self, took_ns: u64, times: u64) {
        let counts = self.counts.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS]));
        counts[bucket(took_ns)].fetch_add(times, Ordering::Relaxed);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.counts.get().into_iter().flat_map(|counts| counts.iter()).for_each(|count| {
            count.store(0, Ordering::Relaxed);
        });
    }

    /// The counts as they are now; `None` when there are none.
    pub fn read(&self) -> Option<Counts> {
        let counts: Vec<(u64, u64)> = (0..)
            .zip(self.counts.get()?.iter())
            .map(|(index, count)| (most_ns(index), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count != 0)
            .collect();
        let total = counts.iter().map(|(_, count)| count).sum();
        (total != 0).then_some(Counts { counts, total })
    }
}

/// What a histogram held at one time; never nothing.
pub struct Counts {
    /// The most nanoseconds of each bucket that holds something, and how many it holds.
    counts: Vec<(u64, u64)>,
    /// How many there are in all.
    pub total: u64,
}

impl Counts {
    /// The nanoseconds that this percentage of all took at most.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = (percent / 100.0 * self.total as f64).ceil().max(1.0);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        found.or(self.counts.last()).map_or(0, |(most_ns, _)| *most_ns)
    }

    /// Microseconds, and how many took at most as long; for about every power of two by which there are more. The limits
    /// are those of Redis, whose buckets end a little above the powers of two.
    pub fn cumulative_us(&self) -> Vec<(u64, u64)> {
        let mut shown = Vec::new();
        let (mut left, mut seen) = (self.counts.as_slice(), 0);
        for doubled in 0.. {
            let limit_ns = 1024_u64 << doubled;
            let within = left.partition_point(|(most_ns, _)| *most_ns < limit_ns);
            if within != 0 {
                seen += left[..within].iter().map(|(_, count)| count).sum::<u64>();
                shown.push(((limit_ns + (8 << doubled) - 1) / 1000, seen));
                left = &left[within..];
            }
            if left.is_empty() {
                break;
            }
        }
        shown
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << MAX_BITS) - 1);
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(SHARE_BITS + 1);
    // In the first two rows, which are one nanosecond wide, the shift is 0.
    ((shift << SHARE_BITS) as usize) + (ns >> shift) as usize
}

/// The longest duration of a bucket.
fn most_ns(bucket: usize) -> u64 {
    let shift = (bucket >> SHARE_BITS).saturating_sub(1);
    let first = bucket - (shift << SHARE_BITS);
    ((first as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_a_bucket_that_ends_at_or_above_it() {
        for ns in (0..5_000).chain((12..=MAX_BITS).flat_map(|bits| (1 << bits) - 3..(1 << bits) + 3)) {
            let most = most_ns(bucket(ns));
            assert!(ns >= 1 << MAX_BITS || (most >= ns && most <= ns + (ns >> SHARE_BITS)), "{ns} {most}");
            assert!(bucket(ns) == 0 || most_ns(bucket(ns) - 1) < ns.min((1 << MAX_BITS) - 1), "{ns}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_limits() {
        let histogram = Histogram::default();
        assert!(histogram.read().is_none());
        histogram.note(1_000, 98);
        histogram.note(40_000, 1);
        histogram.note(2_000_000, 1);
        let counts = histogram.read().expect("something was noted");
        let near = |percent: f64, ns: u64| {
            let got = counts.percentile_ns(percent);
            assert!((ns..=ns + ns / 16).contains(&got), "{percent}: {got}");
        };
        near(0.0, 1_000);
        near(50.0, 1_000);
        near(99.0, 40_000);
        near(99.9, 2_000_000);
        near(100.0, 2_000_000);
        assert_eq!(counts.cumulative_us(), [(1, 98), (66, 99), (2113, 100)]);
        histogram.clear();
        assert!(histogram.read().is_none());
    }
}
