//! The harness's only clock: real time, because real processes are killed in it.

use std::time::{Duration, Instant};

/// When something happened for sure between two moments of the judge's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Not before this.
    pub from: Instant,
    /// Not after this.
    pub to: Instant,
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "real processes are timed; this module is the one place that does it")]
pub fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds of the wall clock, to seed a run whose seed nobody chose.
#[expect(clippy::disallowed_methods, reason = "a fresh seed has to come from somewhere")]
pub fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |time| (time.as_nanos() % 1_000_000_007) as u64)
}

/// Waits until `ready` says yes, polling with a short sleep. False when `limit` passed first.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = now() + limit;
    loop {
        if ready() {
            return true;
        }
        if now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
