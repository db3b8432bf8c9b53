//! The log: every change of the store, in one order, in memory first, then in the kernel, then on the disk.
//!
//! ```text
//!  transactions ── append (memory, never fails) ──► appended
//!                  write_out (pwrite)            ──► written     kill -9 loses nothing below
//!                  sync (fdatasync)              ──► durable     power loss loses nothing below
//! ```
//!
//! A position is an [`Lsn`], a byte's place in the endless log. A reply may leave when the mark its mode asks for has
//! passed the position of what it reveals. Appending takes one short lock; writing takes another, whose holder writes
//! everything appended so far, so the others find their bytes written. Nothing here decides *when*: workers call
//! [`Log::write_out`] at the end of their turn, [`flusher::Flusher`] calls `Log::sync`.
//!
//! Errors: a failed `pwrite` for lack of space keeps the bytes and tries again; any other failed write, and any failed
//! sync, makes the log read-only for good: a sync is never tried twice, because after an error the kernel forgets
//! which pages were not written.

mod append;
mod bell;
pub mod flusher;
mod marks;
#[cfg(all(test, feature = "loom", feature = "mutants"))]
mod models;
mod prepare;
mod recycle;
pub mod scan;
mod sync;
mod under_way;
pub(crate) mod window;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

pub use append::FrameBatch;
pub use marks::Interest;
pub use prepare::Preparer;
pub(crate) use prepare::is_full;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Refusal;
use crate::format::{StoreId, segment};
use crate::mutant::planted;
use append::Appender;
use bell::Bell;
use marks::Marks;
use prepare::Ready;
use write::Writer;

/// A byte position in the endless log.
pub type Lsn = u64;

/// Where the log of a new store begins: zero is left to mean "nothing".
pub const START: Lsn = 4096;

/// When an acknowledgement may leave, as in `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FsyncMode {
    /// After its bytes are durable; also what a read reveals is durable.
    Always = 0,
    /// After its bytes are in the kernel; the disk follows within a second.
    EverySec = 1,
    /// After its bytes are in the kernel; the disk follows when a segment is full.
    No = 2,
}

impl FsyncMode {
    fn from_byte(byte: u8) -> FsyncMode {
        match byte {
            0 => FsyncMode::Always,
            1 => FsyncMode::EverySec,
            _ => FsyncMode::No,
        }
    }
}

/// What a write needs the log to have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Ordinary writes, which leave two ready files alone when the disk is full.
    Grow = 2,
    /// Removals, which may use the reserve because they give room back.
    Shrink = 1,
    /// Compaction, which gives back more than it takes and has the last of the reserve.
    Compact = 0,
}

/// In `everysec` a write waits when the oldest byte that is not durable is this old.
pub const STALL_US: u64 = 1_900_000;

/// The log of one open store.
pub struct Log {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    store_name: String,
    id: StoreId,
    epoch: u64,
    mode: AtomicU8,
    health: AtomicU8,
    appender: Mutex<Appender>,
    writer: Mutex<Writer>,
    /// Held while a segment file is made, so that zeros never land on frames.
    creating: Mutex<()>,
    ready: Mutex<Ready>,
    /// Bytes left in the segment that is being filled; 0 while that has no file.
    room: AtomicU64,
    /// Bytes in the next file, unless it is in reserve. A disk is full before it is known to be: nobody may use up the
    /// reserve in between.
    behind: AtomicU64,
    /// A transaction waits for so many bytes in one piece; 0 when none does.
    asked: AtomicU64,
    /// What a segment may be made longer to for a large transaction.
    longest_segment_bytes: u64,
    /// Bytes wait for space: their write found none.
    stuck: AtomicBool,
    /// Compaction is at work: there will be room.
    reclaiming: AtomicBool,
    /// How often it has given space back, and how often that was seen by who makes segments of it.
    given_back: AtomicU64,
    taken_up: AtomicU64,
    marks: Marks,
    /// The latest time anyone was told: a clock that steps back revives nothing.
    newest_ms: AtomicU64,
    /// Monotonic microseconds of the oldest byte that is written but not durable; `u64::MAX` when there is none.
    oldest_unsynced_us: AtomicU64,
    sync_wanted: AtomicU64,
    flusher_bell: Bell,
    listeners: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    counters: Counters,
}

/// What the log has done since it was opened.
#[derive(Default)]
pub struct Counters {
    /// Successful syncs.
    pub syncs: AtomicU64,
    /// Calls that wrote bytes.
    pub writes: AtomicU64,
    /// Bytes appended.
    pub bytes: AtomicU64,
    /// Frames appended.
    pub frames: AtomicU64,
    /// Segments that were begun in the file of one that compaction had emptied.
    pub recycled: AtomicU64,
    /// Longest sync in microseconds.
    pub longest_sync_us: AtomicU64,
    /// Failed writes and syncs.
    pub errors: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Health {
    Good = 0,
    /// No room for another segment.
    Full = 1,
    /// A write or a sync failed; nothing is written any more.
    ReadOnly = 2,
}

/// How many bytes a segment has at most.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    /// As a rule.
    pub segment: u64,
    /// For a large transaction.
    pub longest: u64,
    /// Bytes of log to expect.
    pub expected: u64,
}

/// Where a newly opened log goes on.
pub(crate) struct Continue {
    /// First segment of this opening; its file is made when it is first written.
    pub number: u64,
    /// LSN of its first frame.
    pub base: Lsn,
    /// This opening's count.
    pub epoch: u64,
    /// The newest time in the log.
    pub newest_ms: u64,
    /// Of segments to come.
    pub lengths: Lengths,
}

impl Log {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        store_name: &str,
        id: StoreId,
        mode: FsyncMode,
        from: &Continue,
    ) -> Log {
        let mut ready = Ready::new(from.number, from.lengths.segment, from.lengths.expected);
        let first = ready.claim(0);
        Log {
            disk,
            clock,
            store_name: store_name.to_owned(),
            id,
            epoch: from.epoch,
            mode: AtomicU8::new(mode as u8),
            health: AtomicU8::new(Health::Good as u8),
            appender: Mutex::new(Appender::new(first, from.base, id)),
            writer: Mutex::new(Writer::new(from.base)),
            creating: Mutex::new(()),
            ready: Mutex::new(ready),
            room: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            longest_segment_bytes: from.lengths.longest.clamp(prepare::MIN_SEGMENT, scan::MAX_SEGMENT),
            stuck: AtomicBool::new(false),
            reclaiming: AtomicBool::new(false),
            given_back: AtomicU64::new(0),
            taken_up: AtomicU64::new(0),
            marks: Marks::new(from.base),
            newest_ms: AtomicU64::new(from.newest_ms),
            oldest_unsynced_us: AtomicU64::new(u64::MAX),
            sync_wanted: AtomicU64::new(0),
            flusher_bell: Bell::new(),
            listeners: Mutex::new(Vec::new()),
            counters: Counters::default(),
        }
    }

    /// The mode in force.
    #[inline]
    pub fn mode(&self) -> FsyncMode {
        FsyncMode::from_byte(self.mode.load(Ordering::Acquire))
    }

    /// Changes the mode. What was acknowledged before is durable once [`Log::durable`] reaches [`Log::appended`].
    pub fn set_mode(&self, mode: FsyncMode) {
        self.mode.store(mode as u8, Ordering::Release);
        self.want_sync(self.appended());
    }

    /// The end of the log in memory.
    #[inline]
    pub fn appended(&self) -> Lsn {
        self.marks.appended()
    }

    /// Everything below is in the kernel.
    #[inline]
    pub fn written(&self) -> Lsn {
        self.marks.written()
    }

    /// Everything below is on the disk.
    #[inline]
    pub fn durable(&self) -> Lsn {
        self.marks.durable()
    }

    /// The mark that acknowledgements wait for in the present mode.
    #[inline]
    pub fn acknowledged(&self) -> Lsn {
        match self.mode() {
            _ if planted("ack_before_write") => self.appended(),
            FsyncMode::Always if !planted("ack_before_sync") => self.durable(),
            _ => self.written(),
        }
    }

    /// Milliseconds since the epoch, for deadlines: never behind what was told before, here or in the log.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        let (now, newest) = (self.clock.wall_ms(), self.newest_ms.load(Ordering::Relaxed));
        if now > newest {
            self.newest_ms.fetch_max(now, Ordering::Relaxed);
        }
        now.max(newest)
    }

    /// Whether a write of about `bytes` may start. Asked before anything is changed: afterwards appending cannot fail.
    pub fn admit(&self, need: Need, bytes: u64) -> Result<(), Refusal> {
        self.admit_at(self.clock.monotonic_us(), need, || bytes)
    }

    /// As [`Log::admit`], for a caller that asks often and brings the time.
    #[inline]
    pub fn admit_at(&self, now_us: u64, need: Need, bytes: impl FnOnce() -> u64) -> Result<(), Refusal> {
        let bytes = self.in_one_piece(bytes());
        // In one piece: what does not fit in the rest of a segment goes to the next, and all of it has to fit there.
        let room = self.room.load(Ordering::Relaxed).max(self.behind.load(Ordering::Relaxed));
        if self.health.load(Ordering::Acquire) != Health::Good as u8 || room <= bytes + prepare::SLACK {
            return self.admit_in_need(need, bytes);
        }
        let since_us = self.oldest_unsynced_us.load(Ordering::Relaxed);
        if now_us.saturating_sub(since_us) >= STALL_US && self.mode() == FsyncMode::EverySec && !planted("no_stall") {
            return Err(Refusal::Stalled);
        }
        Ok(())
    }

    /// For how much of so many bytes a piece of a segment is asked: what is longer than any segment, as the image of a large
    /// collection may be, goes on in segments that are made while it is written. There is no frame that long.
    #[inline]
    fn in_one_piece(&self, bytes: u64) -> u64 {
        bytes.min(self.longest_segment_bytes - segment::HEADER - 4 * prepare::SLACK)
    }

    #[cold]
    fn admit_in_need(&self, need: Need, bytes: u64) -> Result<(), Refusal> {
        if self.is_read_only() {
            return Err(Refusal::ReadOnly);
        }
        if self.mode() == FsyncMode::EverySec && self.unsynced_age_us() >= STALL_US {
            return Err(Refusal::Stalled);
        }
        let room = self.appender.lock().room_on_disk();
        let ready = self.ready.lock();
        // A reserved file that was taken into use: what is left of it is the reserve.
        let room = if ready.count() < need as usize { 0 } else { room.max(ready.next_for(need)) };
        if room > bytes + prepare::SLACK {
            return Ok(());
        }
        // The next file is being made; or all are there, and the segment is made longer for a large transaction. It is soon
        // known whether there is space for it.
        if ready.is_complete() {
            self.asked.fetch_max(bytes, Ordering::Relaxed);
        }
        if !self.is_full() {
            return Err(Refusal::Stalled);
        }
        let there_will_be_room = self.reclaiming.load(Ordering::Relaxed)
            || self.given_back.load(Ordering::Relaxed) != self.taken_up.load(Ordering::Relaxed);
        match need != Need::Grow && there_will_be_room {
            true => Err(Refusal::Stalled),
            false => Err(Refusal::NoSpace),
        }
    }

    /// Whether the tomb of an expired key may be appended without being asked for. Who has been told that a key is gone is not
    /// to find it again when the clock is set back: only a disk that has no room for it at all is a reason.
    pub(crate) fn takes_tomb(&self, bytes: u64) -> bool {
        match self.admit(Need::Compact, bytes) {
            Ok(()) | Err(Refusal::Stalled) => true,
            Err(_) => false,
        }
    }

    /// Compaction has begun or ended: removals wait for it instead of being refused.
    pub(crate) fn set_reclaiming(&self, reclaiming: bool) {
        self.reclaiming.store(reclaiming, Ordering::Relaxed);
    }

    /// Compaction has given space back, which may be made a segment.
    pub(crate) fn note_given_back(&self) {
        self.given_back.fetch_add(1, Ordering::AcqRel);
    }

    /// Age of the oldest written byte that is not durable, in microseconds; 0 when there is none.
    pub fn unsynced_age_us(&self) -> u64 {
        match self.oldest_unsynced_us.load(Ordering::Relaxed) {
            u64::MAX => 0,
            since => self.clock.monotonic_us().saturating_sub(since),
        }
    }

    /// Whether a write or sync has failed for good.
    pub fn is_read_only(&self) -> bool {
        self.health.load(Ordering::Acquire) == Health::ReadOnly as u8
    }

    /// Whether there was no room for another segment when it was last tried.
    pub fn is_full(&self) -> bool {
        self.health.load(Ordering::Acquire) == Health::Full as u8
    }

    /// What the log has done.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Calls `listener` whenever written or durable moved by the flusher, or the log failed. It must be quick.
    pub fn on_progress(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.listeners.lock().push(listener);
    }

    /// Asks that everything below `lsn` be made durable now, whatever the mode.
    pub fn want_sync(&self, lsn: Lsn) {
        self.sync_wanted.fetch_max(lsn, Ordering::AcqRel);
        self.wake_flusher();
    }

    /// Tells a sleeping flusher that there is work.
    pub fn wake_flusher(&self) {
        self.flusher_bell.ring();
    }

    /// The highest segment number given out so far, and the number after it.
    pub(crate) fn next_number(&self) -> u64 {
        self.ready.lock().next_number()
    }

    /// Segments of this opening that were begun, with their first LSNs, oldest first. Cleared by the call.
    pub(crate) fn take_begun(&self) -> Vec<(u64, Lsn)> {
        self.appender.lock().take_begun()
    }

    fn tell_listeners(&self) {
        for listener in self.listeners.lock().iter() {
            listener();
        }
    }

    fn fail(&self) {
        self.counters.errors.fetch_add(1, Ordering::Relaxed);
        self.health.store(Health::ReadOnly as u8, Ordering::Release);
        self.tell_listeners();
    }
}
