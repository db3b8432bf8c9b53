//! Threads that loop over the machines: some sync, one expires and evicts, one lets go of values, one prepares segments,
//! compacts and frees.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::checkpoint::Checkpointer;
use crate::compact::Compactor;
use crate::evict::Evictor;
use crate::log::Preparer;
use crate::log::flusher::{Decision, Flusher, SYNCS_AT_ONCE};
use crate::store::Store;
use crate::sweep::Sweeper;

/// All background work but syncing, as one machine.
#[derive(Default)]
pub struct Maintenance {
    upkeep: Upkeep,
    sweeper: Sweeper,
    evictor: Evictor,
}

impl Maintenance {
    /// Does a little of everything. Whether there is more to do at once.
    pub fn step(&mut self, store: &Store, now_us: u64) -> bool {
        let swept = self.sweeper.step(store);
        let evicted = self.evictor.step(store);
        self.upkeep.step(store, now_us) | swept | evicted | store.spill_some()
    }
}

/// What can wait: making segments ahead, compacting, and freeing.
#[derive(Default)]
struct Upkeep {
    preparer: Preparer,
    compactor: Compactor,
    checkpointer: Checkpointer,
    look_at_blobs_us: u64,
}

/// How often dead blobs ask for a sync at most.
const LOOK_AT_BLOBS_US: u64 = 1_000_000;

impl Upkeep {
    fn step(&mut self, store: &Store, now_us: u64) -> bool {
        let prepared = self.preparer.step(store.log(), store.log_bytes(), now_us);
        let compacted = self.compactor.step(store, now_us);
        if compacted {
            self.preparer.retry_at_once();
        }
        let checkpointed = self.checkpointer.step(store, now_us);
        let blobs = store.blobs().sweep(store.log().durable()) > 0;
        // Where no sync comes by the clock, large files would wait for one while others fill the disk.
        if now_us >= self.look_at_blobs_us && store.blobs().waits_beyond(store.log().durable()) {
            store.log().want_sync(store.log().appended());
            self.look_at_blobs_us = now_us + LOOK_AT_BLOBS_US;
        }
        prepared | compacted | checkpointed | blobs | store.free_garbage()
    }
}

/// One of the threads that flush. Who holds the flusher decides; who waits for the disk has let go of it, so that another
/// can decide meanwhile.
fn flush(store: &Store, flusher: &Mutex<Flusher>, stop: &AtomicBool) {
    let mut deciding = flusher.lock();
    while !stop.load(Ordering::Acquire) {
        match deciding.decide(store.clock().monotonic_us()) {
            Decision::Sync(sync) if sync.may_overlap => MutexGuard::unlocked(&mut deciding, || sync.run()),
            Decision::Sync(sync) => {
                sync.run();
                // Those who were told write again. Where they share this processor they go first, so that the next sync
                // carries more of them; elsewhere this costs nothing.
                std::thread::yield_now();
            }
            Decision::Rest(next) => store.log().wait_for_work(next),
        }
    }
}

/// The running threads of a store. Stopped when dropped; the store itself is closed by [`Store::close`].
pub struct Background {
    stop: Arc<AtomicBool>,
    store: Arc<Store>,
    threads: Vec<JoinHandle<()>>,
}

/// By how much the maintenance thread stands back (`nice(2)`, which Linux applies to the calling thread).
const MAINTENANCE_NICENESS: i32 = 10;
/// How long these threads rest when there is nothing to do.
const REST: Duration = Duration::from_millis(5);

impl Background {
    /// Starts the threads.
    pub fn start(store: &Arc<Store>) -> io::Result<Background> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut background = Background { stop: stop.clone(), store: store.clone(), threads: Vec::new() };
        let flusher = Arc::new(Mutex::new(Flusher::new(store.log().clone())));
        for _ in 0..SYNCS_AT_ONCE {
            let (flushed, flusher, until) = (store.clone(), flusher.clone(), stop.clone());
            let thread = std::thread::Builder::new().name("flusher".into());
            background.threads.push(thread.spawn(move || flush(&flushed, &flusher, &until))?);
        }
        // A thread of its own, which does not stand back: who waits for an `expired` event, or for memory, waits for this
        // one.
        let (swept, until) = (store.clone(), stop.clone());
        background.threads.push(std::thread::Builder::new().name("expiry".into()).spawn(move || {
            let (mut sweeper, mut evictor) = (Sweeper::default(), Evictor::default());
            while !until.load(Ordering::Acquire) {
                let more = sweeper.step(&swept) | evictor.step(&swept);
                if !more {
                    std::thread::park_timeout(REST);
                }
            }
        })?);
        let (spilled, until) = (store.clone(), stop.clone());
        background.threads.push(std::thread::Builder::new().name("spill".into()).spawn(move || {
            // Workers let go of values themselves, at the end of their turns: memory is best freed by the thread that took it.
            // This one is for what they cannot do, and for when they have nothing to do.
            let mut seen = 0;
            while !until.load(Ordering::Acquire) {
                let [by_all, _] = spilled.spill_counts();
                let others_do = by_all != seen;
                if others_do || !spilled.spill_some() {
                    std::thread::park_timeout(REST);
                }
                // What this one has done is not theirs.
                seen = if others_do { by_all } else { spilled.spill_counts()[0] };
            }
        })?);
        let (kept, until) = (store.clone(), stop);
        background.threads.push(std::thread::Builder::new().name("maintenance".into()).spawn(move || {
            // Work that can wait must not take a time slice from a worker that shares the processor. Best effort.
            let _ = rustix::process::nice(MAINTENANCE_NICENESS);
            let mut upkeep = Upkeep::default();
            while !until.load(Ordering::Acquire) {
                if !upkeep.step(&kept, kept.clock().monotonic_us()) {
                    std::thread::park_timeout(REST);
                }
            }
        })?);
        Ok(background)
    }

    /// Stops the threads and waits for them.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.store.log().wake_flusher();
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.join();
    }
}
