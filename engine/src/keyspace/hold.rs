//! How long shards were held: the longest time, of the holds that do more than an ordinary look or change.
//!
//! Two clock reads would be a good part of what an ordinary operation costs, so those are not timed. Timed are: the rest of a
//! transaction from an insert on that makes its table larger by a chunk of buckets (one insert in about a hundred, and the
//! only ones that take memory for the table or grow its directory), transactions that hold all shards, and looks for
//! values that can leave memory. A thread that loses its processor while it holds a shard holds it for so much longer, and that
//! counts: others wait for it all the same. How much of that the thread worked is counted apart: the one says what clients
//! feel, the other what the code does.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;

/// A hold that goes on: when it began, and how long its thread had worked by then.
pub struct Hold {
    since_us: u64,
    worked_us: u64,
}

impl Hold {
    /// One that begins now.
    #[cold]
    pub fn begin(clock: &dyn Clock) -> Hold {
        Hold { since_us: clock.monotonic_us(), worked_us: clock.thread_us() }
    }
}

/// The longest holds since the last reset.
#[derive(Default)]
pub struct Holds {
    longest_us: AtomicU64,
    longest_cpu_us: AtomicU64,
}

impl Holds {
    /// A hold ends now, on the thread that began it.
    #[cold]
    pub fn end(&self, hold: &Hold, clock: &dyn Clock) {
        let worked_us = clock.thread_us().saturating_sub(hold.worked_us);
        self.longest_cpu_us.fetch_max(worked_us, Ordering::Relaxed);
        self.longest_us.fetch_max(clock.monotonic_us().saturating_sub(hold.since_us), Ordering::Relaxed);
    }

    /// Microseconds of the longest.
    pub fn longest_us(&self) -> u64 {
        self.longest_us.load(Ordering::Relaxed)
    }

    /// Microseconds of work in the one with the most.
    pub fn longest_cpu_us(&self) -> u64 {
        self.longest_cpu_us.load(Ordering::Relaxed)
    }

    /// Forgets them.
    pub fn reset(&self) {
        self.longest_us.store(0, Ordering::Relaxed);
        self.longest_cpu_us.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::{Options, Store, Value};

    /// Each look at it takes a microsecond, of which the thread works none.
    #[derive(Default)]
    struct Ticking(AtomicU64);

    impl Clock for Ticking {
        fn wall_ms(&self) -> u64 {
            1000
        }

        fn monotonic_us(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }

        fn thread_us(&self) -> u64 {
            0
        }
    }

    const KEYS: u64 = 200_000;

    fn write_all(store: &Store) {
        for number in 0..KEYS {
            let name = number.to_le_bytes();
            let key = store.key(&name);
            store.begin(0, &[key], 1000).set(&key, Value::Copy(b"value"), None);
        }
    }

    #[test]
    fn inserts_that_grow_a_table_are_timed_and_ordinary_writes_read_no_clock() {
        let clock = Arc::new(Ticking::default());
        let options = Options { secrets_from: Some(1), ..Options::default() };
        let store = Store::open(Arc::new(SimDisk::new(1)), clock.clone(), options).unwrap();
        let looks = || clock.0.load(Ordering::Relaxed);

        let before = looks();
        write_all(&store);
        let grown = looks() - before;
        assert_eq!((store.holds().longest_us(), store.holds().longest_cpu_us()), (1, 0));
        // A thousand tables, each of them with a chunk for every hundred keys at least, and two looks for each.
        assert!((KEYS / 100 * 2..KEYS / 100 * 4 + 4096).contains(&grown), "{grown} looks at the clock");

        store.holds().reset();
        let before = looks();
        write_all(&store);
        assert_eq!((looks() - before, store.holds().longest_us()), (0, 0));

        store.begin_all(0, 1000);
        assert_eq!(store.holds().longest_us(), 1);
    }
}
