//! The largest of some seconds: what a figure that lasts a moment was at worst a little while ago.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds that are looked back on.
const SECONDS: usize = 10;

/// The largest value of each of the last seconds.
#[derive(Default)]
pub struct RecentMost {
    /// For each second the number of the second and the value, in one word, so that neither is of another.
    cells: [AtomicU64; SECONDS],
}

/// Bits of a value; larger ones count as the largest.
const VALUE_BITS: u32 = 32;
const MOST: u64 = (1 << VALUE_BITS) - 1;

impl RecentMost {
    /// A value that was seen at this time, in milliseconds.
    pub fn note(&self, value: u64, now_ms: u64) {
        let second = now_ms / 1000;
        let cell = &self.cells[(second % SECONDS as u64) as usize];
        // A later second is the larger number, and in one second the larger value is.
        cell.fetch_max(second << VALUE_BITS | value.min(MOST), Ordering::Relaxed);
    }

    /// The largest value of the last seconds.
    pub fn get(&self, now_ms: u64) -> u64 {
        let oldest = (now_ms / 1000 + 1).saturating_sub(SECONDS as u64);
        let cells = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed));
        cells.filter(|cell| cell >> VALUE_BITS >= oldest).map(|cell| cell & MOST).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_ten_seconds() {
        let recent = RecentMost::default();
        assert_eq!(recent.get(0), 0);
        recent.note(7, 500);
        recent.note(3, 900);
        recent.note(5, 4000);
        assert_eq!((recent.get(900), recent.get(9_999), recent.get(10_000)), (7, 7, 5));
        recent.note(1, 10_000);
        recent.note(u64::MAX, 20_000);
        assert_eq!((recent.get(13_999), recent.get(20_000)), (MOST, MOST));
        assert_eq!(recent.get(30_000), 0);
    }
}
