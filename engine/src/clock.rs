//! The only reader of clocks. Deadlines use wall time, which may step; durations use monotonic time, which may not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64;
    /// Microseconds since the Unix epoch, as exact as the clock is.
    fn wall_us(&self) -> u64 {
        self.wall_ms() * 1000
    }
    /// Milliseconds since some fixed moment of this process; never runs backwards.
    fn monotonic_ms(&self) -> u64 {
        self.monotonic_us() / 1000
    }
    /// Microseconds since some fixed moment of this process; never runs backwards.
    fn monotonic_us(&self) -> u64;
    /// Microseconds for which the calling thread has had a processor.
    fn thread_us(&self) -> u64 {
        self.monotonic_us()
    }
}

/// The machine's clocks.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of clocks")]
    #[must_use]
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of clocks")]
    fn wall_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
    }

    #[expect(clippy::disallowed_methods, reason = "this module is the reader of clocks")]
    fn wall_us(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
    }

    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn thread_us(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
    }
}

/// A clock that moves only when told.
pub struct SimClock {
    wall_ms: AtomicU64,
    monotonic_us: AtomicU64,
}

impl SimClock {
    /// A clock that shows this wall time, and zero monotonic time.
    #[must_use]
    pub fn new(wall_ms: u64) -> Self {
        SimClock { wall_ms: AtomicU64::new(wall_ms), monotonic_us: AtomicU64::new(0) }
    }

    /// Time passes on both clocks.
    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
        self.monotonic_us.fetch_add(ms * 1000, Ordering::Relaxed);
    }

    /// Someone sets the wall clock, forwards or backwards.
    pub fn step_wall_to(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::Relaxed)
    }
}
