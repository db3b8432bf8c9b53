//! What a database holds, in figures.

use std::sync::atomic::{AtomicI64, Ordering};

/// Figures of one database while one thread counts.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Keys, expired ones included until they are removed.
    pub keys: i64,
    /// Bytes of memory that keys, values and tables take.
    pub memory: i64,
    /// Bytes of log that the keys need.
    pub live_bytes: i64,
    /// Keys whose values lie in the log only.
    pub cold: i64,
}

impl Figures {
    /// Adds those of another part of the database.
    pub fn add(&mut self, other: &Figures) {
        self.keys += other.keys;
        self.memory += other.memory;
        self.live_bytes += other.live_bytes;
        self.cold += other.cold;
    }
}

/// The same while many count. Each may be a little ahead of the others.
pub struct SharedFigures {
    pub keys: AtomicI64,
    pub memory: AtomicI64,
    pub live_bytes: AtomicI64,
    pub cold: AtomicI64,
}

impl SharedFigures {
    /// Goes on from these.
    pub fn new(from: Figures) -> SharedFigures {
        let Figures { keys, memory, live_bytes, cold } = from;
        SharedFigures {
            keys: AtomicI64::new(keys),
            memory: AtomicI64::new(memory),
            live_bytes: AtomicI64::new(live_bytes),
            cold: AtomicI64::new(cold),
        }
    }

    /// The database is emptied: how many keys it had. A database without keys keeps what its tables take.
    pub fn clear(&self) -> i64 {
        let keys = self.keys.swap(0, Ordering::Relaxed);
        if keys != 0 {
            self.memory.store(0, Ordering::Relaxed);
            self.live_bytes.store(0, Ordering::Relaxed);
            self.cold.store(0, Ordering::Relaxed);
        }
        keys
    }
}
