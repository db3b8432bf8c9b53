//! Group commit: many writers, one sync.
//!
//! ```text
//!  always     appended ── write ── sync ── wake all up to the mark; meanwhile the next group gathers
//!  everysec   written  ── sync when the oldest byte is 200 ms old, or 16 MiB wait ── wake
//!  no         written  ── sync when a segment is full
//! ```
//!
//! 200 ms leaves 0.8 s for the sync itself before an acknowledged byte is a second old. A machine: [`Flusher::step`]
//! does what is due at a time and says when to come back; a thread, or a simulation, calls it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{FlusherState, FsyncMode, Log};
use crate::disk::{self, Disk};
use crate::mutant::planted;

/// In `everysec` a sync starts when the oldest byte that is not durable has this age.
const SYNC_AFTER_US: u64 = 200_000;
/// … or when this many bytes wait.
pub(super) const SYNC_AFTER_BYTES: u64 = 16 << 20;
/// An idle log gets a mark this long after its last sync.
const MARK_AFTER_US: u64 = 50_000;

/// When the next step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: there was work and there may be more.
    Now,
    /// At this time at the latest, earlier when woken.
    At(u64),
    /// When woken.
    Woken,
}

/// Decides when the log is written and synced.
pub struct Flusher {
    log: Arc<Log>,
    last_sync_us: u64,
    commit_file: bool,
}

impl Flusher {
    /// The flusher of a log.
    #[must_use]
    pub fn new(log: Arc<Log>) -> Flusher {
        Flusher { log, last_sync_us: 0, commit_file: false }
    }

    /// Does what is due.
    pub fn step(&mut self, now_us: u64) -> Next {
        let log = self.log.clone();
        if log.is_read_only() {
            return Next::Woken;
        }
        let mode = log.mode();
        if (mode == FsyncMode::Always || log.is_full()) && log.written() < log.appended() {
            let before = log.written();
            log.write_out();
            if log.written() != before && mode != FsyncMode::Always {
                log.tell_listeners();
            }
        }
        let wanted = log.sync_wanted.load(Ordering::Acquire);
        if wanted > log.durable() && log.written() < log.appended() {
            log.write_out();
        }
        let unsynced = log.unsynced();
        let due_us = match mode {
            FsyncMode::Always => 0,
            FsyncMode::EverySec if unsynced.bytes >= SYNC_AFTER_BYTES => 0,
            FsyncMode::EverySec => unsynced.since_us.saturating_add(SYNC_AFTER_US),
            FsyncMode::No if unsynced.sealed => 0,
            FsyncMode::No => u64::MAX,
        };
        if unsynced.since_us != u64::MAX && (now_us >= due_us || wanted > log.durable()) {
            log.sync();
            self.last_sync_us = now_us;
            self.commit_file = true;
            log.tell_listeners();
            return Next::Now;
        }
        if unsynced.since_us == u64::MAX && self.commit_file {
            let at = self.last_sync_us + MARK_AFTER_US;
            if now_us < at {
                return Next::At(at);
            }
            self.commit_file = false;
            if log.mark_when_idle() {
                log.write_out();
                self.publish();
                return Next::Now;
            }
        }
        if due_us == u64::MAX || unsynced.since_us == u64::MAX { Next::Woken } else { Next::At(due_us) }
    }

    /// `<dbfilename>.commit`: the durable position, for people. Nothing reads it, so it is not synced and a failure
    /// is no one's loss.
    fn publish(&self) {
        let name = format!("{}.commit", self.log.store_name);
        let disk: &dyn Disk = &*self.log.disk;
        let file = disk.open(&name).or_else(|_| disk.create(&name));
        if let Ok(file) = file {
            let _ = disk::write_all_at(&*file, format!("{:020}\n", self.log.durable()).as_bytes(), 0);
        }
    }
}

impl Log {
    /// Sleeps until woken, or until the time a step asked for; wakes at least twice a second to look around.
    pub fn wait_for_work(&self, next: Next) {
        let at_most = Duration::from_millis(500);
        let time = match next {
            Next::Now => return,
            Next::At(at_us) => Duration::from_micros(at_us.saturating_sub(self.clock.monotonic_us())).min(at_most),
            Next::Woken => at_most,
        };
        let mut state = self.flusher_state.lock();
        if *state != FlusherState::Called {
            *state = FlusherState::Asleep;
            self.flusher_wake.wait_for(&mut state, time);
        }
        *state = FlusherState::Awake;
    }

    /// Writes and syncs everything and leaves a mark: afterwards nothing of this log is a tail.
    pub fn close(&self) {
        self.write_out();
        if planted("shutdown_without_sync") {
            return;
        }
        self.sync();
        if self.mark_when_idle() {
            self.write_out();
            self.sync();
        }
    }
}
