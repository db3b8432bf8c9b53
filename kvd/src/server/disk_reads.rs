//! Reads that a worker has the kernel do while it serves its connections: begun all at once at the end of a turn, noticed by
//! its event loop when they have ended.
//!
//! Where the kernel does not offer that (io_uring), or not any more, nothing begins here, and threads wait for the disk.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use engine::Store;
use engine::cold::{LONGEST_PIECE, Reading};
use engine::disk::ring::{Ended, Ring};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};

use super::Server;
use crate::config::SpillReads;

/// Reads that the kernel has at once for one worker. More wait for their turn.
const ENTRIES: u32 = 256;

/// Gets what was read. It is dropped when that has failed.
type Reply = oneshot::Sender<Vec<u8>>;

/// The reads of one worker.
pub struct DiskReads {
    ring: RefCell<Option<Ring<Reply>>>,
    pushed: Notify,
    /// The kernel had in memory what was read last.
    was_cached: Cell<bool>,
}

impl DiskReads {
    /// Those of a new worker, on the thread that will be its own.
    pub fn new(server: &Server) -> DiskReads {
        let ring = match server.settings().spill_reads {
            SpillReads::Threads => None,
            SpillReads::Auto => Ring::new(ENTRIES, LONGEST_PIECE)
                .inspect_err(|error| tracing::info!(%error, "no io_uring: threads read values back"))
                .ok(),
        };
        server.rings.fetch_add(usize::from(ring.is_some()), Ordering::Relaxed);
        DiskReads { ring: RefCell::new(ring), pushed: Notify::new(), was_cached: Cell::new(false) }
    }

    /// Begins a read, which ends with its bytes or a failure. `None` of what is to be read by threads.
    pub fn begin(&self, reading: &mut Reading, store: &Store) -> Option<oneshot::Receiver<Vec<u8>>> {
        let mut ring = self.ring.borrow_mut();
        let ring = ring.as_mut()?;
        let read = reading.begin(store)?;
        let (sender, receiver) = oneshot::channel();
        ring.push(read, sender);
        self.was_cached.set(false);
        self.pushed.notify_one();
        Some(receiver)
    }

    /// Whether what the kernel has in memory is worth a call of its own. The ring asks for it in passing; but a value that is
    /// there needs no ring.
    pub fn tries_cached(&self) -> bool {
        self.was_cached.get() || self.ring.borrow().is_none()
    }

    /// Has done what was begun, for as long as the kernel does it.
    pub async fn run(&self, server: &Server) {
        if self.ring.borrow().is_none() {
            return;
        }
        if let Err(error) = self.turns().await {
            tracing::warn!(%error, "io_uring has failed: threads read values back from now on");
        }
        // Whoever waits is told that it has failed, and reads by threads.
        *self.ring.borrow_mut() = None;
        server.rings.fetch_sub(1, Ordering::Relaxed);
    }

    async fn turns(&self) -> io::Result<()> {
        let Some(descriptor) = self.descriptor()? else { return Ok(()) };
        #[expect(deprecated, reason = "what replaces it is unsafe for types that may lie; an owned descriptor cannot")]
        let ended = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        loop {
            tokio::select! {
                () = self.pushed.notified() => {}
                // Before the turn: what ends during it is noticed again.
                ready = ended.readable() => ready?.clear_ready(),
            }
            let mut ring = self.ring.borrow_mut();
            let Some(ring) = ring.as_mut() else { return Ok(()) };
            ring.turn(|Ended { tag, read, at_once }| {
                if let Ok(bytes) = read {
                    self.was_cached.set(at_once);
                    // Who waited may be gone.
                    let _ = tag.send(bytes);
                }
            })?;
        }
    }

    /// Another descriptor of the ring, which does not borrow it.
    fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        self.ring.borrow().as_ref().map(|ring| ring.as_fd().try_clone_to_owned()).transpose()
    }
}
