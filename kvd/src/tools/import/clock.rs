//! The time during an import: it stands still at its beginning, so that no key goes before its last deadline has come.
//!
//! A key that has expired may stand in front of the command that gave it a later deadline. What has expired in the end goes
//! when the store is used.

use engine::clock::{Clock, SystemClock};

/// A clock whose wall time stands still.
pub(super) struct StoppedClock(SystemClock);

/// The wall time: zero would be no time at all.
pub(super) const STOPPED_MS: u64 = 1;

impl StoppedClock {
    pub(super) fn new() -> StoppedClock {
        StoppedClock(SystemClock::new())
    }
}

impl Clock for StoppedClock {
    fn wall_ms(&self) -> u64 {
        STOPPED_MS
    }

    fn monotonic_us(&self) -> u64 {
        self.0.monotonic_us()
    }
}
