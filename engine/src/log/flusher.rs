//! Group commit: many writers, one sync.
//!
//! ```text
//!  always     appended ── write ── sync ── wake all up to the mark; meanwhile the next group gathers
//!  everysec   written  ── sync when the oldest byte is 180 ms old, 16 MiB wait, or a segment is full ── wake
//!  no         written  ── sync when a segment is full
//! ```
//!
//! In `everysec` no acknowledged byte is to be older than a second while a sync takes up to 0.8 s. So the next sync begins
//! when the oldest byte it takes up is 180 ms old, whether the last has ended or not. Five fit beside each other; a few
//! more are for segments that are filled meanwhile, each of which is a file to sync.
//!
//! A machine: [`Flusher::step`] does what is due at a time and says when to come back; a thread, or a simulation, calls
//! it. Who has other hands for the waiting calls [`Flusher::decide`], which leaves the sync to them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::sync::BegunSync;
use super::{FsyncMode, Log};
use crate::disk::{self, Disk};
use crate::mutant::planted;

/// In `everysec` a sync starts when the oldest byte that is not durable has this age.
const SYNC_AFTER_US: u64 = 180_000;
/// So many syncs are under way at once, in the modes in which they follow the clock.
pub const SYNCS_AT_ONCE: usize = 8;
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

/// What a flusher decided.
pub enum Decision {
    /// A sync is due: somebody calls [`DueSync::run`].
    Sync(DueSync),
    /// Nothing to wait for but time.
    Rest(Next),
}

/// A sync that has begun and waits for the disk to be asked.
pub struct DueSync {
    log: Arc<Log>,
    begun: BegunSync,
    /// Whether the flusher may decide again before this has run.
    pub may_overlap: bool,
}

impl DueSync {
    /// Asks the disk and waits; then the durable mark has moved, unless an earlier sync still waits or one has failed.
    pub fn run(self) {
        self.log.finish_sync(self.begun);
        if self.may_overlap {
            self.log.wake_flusher();
        }
        self.log.tell_listeners();
    }
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

    /// Does what is due, a sync too.
    pub fn step(&mut self, now_us: u64) -> Next {
        match self.decide(now_us) {
            Decision::Sync(sync) => {
                sync.run();
                Next::Now
            }
            Decision::Rest(next) => next,
        }
    }

    /// Does what is due but the syncs, which are the caller's to run.
    pub fn decide(&mut self, now_us: u64) -> Decision {
        let log = self.log.clone();
        if log.is_read_only() {
            return Decision::Rest(Next::Woken);
        }
        let mode = log.mode();
        if (mode == FsyncMode::Always || log.stuck.load(Ordering::Relaxed)) && log.written() < log.appended() {
            // In `always` they are told when it is durable.
            match mode {
                FsyncMode::Always => log.write_out(),
                FsyncMode::EverySec | FsyncMode::No => _ = log.write_out_for_others(),
            }
        }
        let wanted = log.sync_wanted.load(Ordering::Acquire);
        if wanted > log.durable() && log.written() < log.appended() {
            log.write_out();
        }
        let backlog = log.backlog();
        let due_us = match mode {
            FsyncMode::Always => 0,
            // A filled segment is a file more to sync: one each before the next is full.
            FsyncMode::EverySec if backlog.sealed || backlog.bytes >= SYNC_AFTER_BYTES => 0,
            FsyncMode::EverySec => backlog.since_us.saturating_add(SYNC_AFTER_US),
            FsyncMode::No if backlog.sealed => 0,
            FsyncMode::No => u64::MAX,
        };
        let waits = backlog.since_us != u64::MAX;
        let at_once = if mode == FsyncMode::Always { 1 } else { SYNCS_AT_ONCE };
        if waits && backlog.under_way < at_once && (now_us >= due_us || wanted > backlog.covered) {
            // Without a descriptor for it, it is tried again when one of those under way has ended.
            if let Some(begun) = log.begin_sync() {
                self.last_sync_us = now_us;
                self.commit_file = true;
                return Decision::Sync(DueSync { log, begun, may_overlap: mode != FsyncMode::Always });
            }
            return Decision::Rest(Next::Woken);
        }
        if !waits && backlog.under_way == 0 && self.commit_file {
            let at = self.last_sync_us + MARK_AFTER_US;
            if now_us < at {
                return Decision::Rest(Next::At(at));
            }
            self.commit_file = false;
            if log.mark_when_idle() {
                log.write_out();
                self.publish();
                return Decision::Rest(Next::Now);
            }
        }
        let woken = due_us == u64::MAX || !waits || backlog.under_way >= at_once;
        Decision::Rest(if woken { Next::Woken } else { Next::At(due_us) })
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
        self.flusher_bell.sleep(time);
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
