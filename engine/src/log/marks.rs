//! How far the log is: in memory, in the kernel, on the disk; and who waits for it to go further.

use super::Lsn;
use crate::mutant::planted;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The ends of the log. Who sees a mark sees all that was done before it moved there.
pub(super) struct Marks {
    appended: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,
}

impl Marks {
    pub(super) fn new(at: Lsn) -> Marks {
        Marks { appended: AtomicU64::new(at), written: AtomicU64::new(at), durable: AtomicU64::new(at) }
    }

    #[inline]
    pub(super) fn appended(&self) -> Lsn {
        self.appended.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn written(&self) -> Lsn {
        self.written.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn durable(&self) -> Lsn {
        self.durable.load(Ordering::Acquire)
    }

    /// By the holder of the appender's lock.
    #[inline]
    pub(super) fn append_to(&self, end: Lsn) {
        self.appended.store(end, Ordering::Release);
    }

    /// By the holder of the writer's lock.
    #[inline]
    pub(super) fn write_to(&self, end: Lsn) {
        self.written.store(end, if planted("marks_relaxed") { Ordering::Relaxed } else { Ordering::Release });
    }

    pub(super) fn sync_to(&self, end: Lsn) {
        self.durable.fetch_max(end, if planted("marks_relaxed") { Ordering::Relaxed } else { Ordering::Release });
    }
}

/// Whether anybody waits for a mark, so that who moves it wakes nobody in vain.
///
/// ```text
///  who waits    declares, looks at the mark, sleeps
///  who moves    moves the mark, looks whether somebody waits, wakes
/// ```
///
/// Each writes one place and reads the other's: without a fence between, both could read what was there before, and the one who
/// waits would sleep on.
#[derive(Default)]
pub struct Interest(AtomicBool);

impl Interest {
    /// Somebody waits. To be followed by a look at the mark.
    #[inline]
    pub fn declare(&self) {
        self.0.store(true, Ordering::Release);
        order();
    }

    /// Nobody waits any more.
    #[inline]
    pub fn withdraw(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether somebody waits. To be asked when the mark has moved.
    #[inline]
    pub fn is_declared(&self) -> bool {
        order();
        self.0.load(Ordering::Acquire)
    }
}

#[inline]
fn order() {
    if !planted("interest_unfenced") {
        fence(Ordering::SeqCst);
    }
}
