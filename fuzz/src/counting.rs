//! The system's allocator, counting the bytes in use and their peak. A target that asks for them installs it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The counting allocator.
pub struct Counting;

impl Counting {
    /// Begins to watch. What it returns tells how far memory rose since above its level now.
    pub fn watch() -> impl Fn() -> usize {
        let start = LIVE_BYTES.load(Relaxed);
        PEAK_BYTES.store(start, Relaxed);
        move || PEAK_BYTES.load(Relaxed).saturating_sub(start)
    }
}

// SAFETY: every call is handed to the system's allocator unchanged; the counters do not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE_BYTES.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK_BYTES.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
