//! The log is written at the end of a worker's turn: by the worker itself, or apart where that takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::log::Log;

/// More than this takes the kernel some milliseconds.
const LARGE: u64 = 4 << 20;

/// Whether a thread writes what is large.
#[derive(Debug, Default)]
pub struct LargeWrites {
    under_way: Arc<AtomicBool>,
}

impl LargeWrites {
    /// Writes everything appended so far, or sees to it that it is written. Whether it is written; if not, its listeners are told
    /// when it is, and the caller asks again.
    pub fn write_out(&self, log: &Arc<Log>) -> bool {
        if !is_large(log) {
            log.write_out();
            return true;
        }
        if !self.under_way.swap(true, Ordering::AcqRel) {
            let (log, under_way) = (log.clone(), self.under_way.clone());
            tokio::task::spawn_blocking(move || write_all(&log, &under_way));
        }
        false
    }
}

fn is_large(log: &Log) -> bool {
    log.appended().saturating_sub(log.written()) > LARGE
}

/// Writes until what is left is small. Whoever came meanwhile and relied on this has appended before it looks again.
fn write_all(log: &Log, under_way: &AtomicBool) {
    loop {
        // What cannot be written now, because the disk is full, is tried again by whoever asks next, and by the flusher.
        let is_stuck = !log.write_out_for_others();
        under_way.swap(false, Ordering::AcqRel);
        if is_stuck || !is_large(log) || under_way.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}
