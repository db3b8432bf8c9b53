//! Threads that loop over the machines: some sync, one makes segments ahead, one expires and evicts, one lets go of values, one
//! writes checkpoints, one compacts and frees.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::checkpoint::Checkpointer;
use crate::compact::Compactor;
use crate::evict::Evictor;
use crate::log::flusher::{Decision, Flusher, SYNCS_AT_ONCE};
use crate::log::{Lsn, Preparer};
use crate::store::Store;
use crate::sweep::Sweeper;

/// All background work but syncing, as one machine.
#[derive(Default)]
pub struct Maintenance {
    preparer: Preparer,
    upkeep: Upkeep,
    checkpointer: Checkpointer,
    sweeper: Sweeper,
    evictor: Evictor,
}

impl Maintenance {
    /// Does a little of everything. Whether there is more to do at once.
    pub fn step(&mut self, store: &Store, now_us: u64) -> bool {
        let prepared = self.preparer.step(store.log(), store.log_bytes(), now_us);
        let swept = self.sweeper.step(store);
        let evicted = self.evictor.step(store);
        let kept = self.upkeep.step(store, now_us) | self.checkpointer.step(store, now_us);
        prepared | kept | swept | evicted | store.spill_some()
    }
}

/// What can wait: compacting, and freeing.
#[derive(Default)]
struct Upkeep {
    compactor: Compactor,
    look_at_blobs_us: u64,
}

/// How often dead blobs ask for a sync at most.
const LOOK_AT_BLOBS_US: u64 = 1_000_000;

impl Upkeep {
    fn step(&mut self, store: &Store, now_us: u64) -> bool {
        let compacted = self.compactor.step(store, now_us);
        let blobs = store.blobs().sweep(store.log().durable()) > 0;
        // Where no sync comes by the clock, large files would wait for one while others fill the disk.
        if now_us >= self.look_at_blobs_us && store.blobs().waits_beyond(store.log().durable()) {
            store.log().want_sync(store.log().appended());
            self.look_at_blobs_us = now_us + LOOK_AT_BLOBS_US;
        }
        compacted | blobs | store.free_garbage()
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

/// By how much those stand back whose work can wait (`nice(2)`, which Linux applies to the calling thread).
const NICENESS: i32 = 10;
/// How long a thread rests that has nothing to do.
const REST: Duration = Duration::from_millis(5);
/// And at most, while nothing is written: who writes next may wait so long for a segment, or for memory.
const LONG_REST: Duration = Duration::from_millis(25);
/// The same for what nobody waits for.
const LONGER_REST: Duration = Duration::from_millis(100);

/// The rests of one thread: each is twice as long as the one before while nothing is written, so that a store that nobody
/// uses takes no processor time.
struct Rests {
    longest: Duration,
    last: Duration,
    appended: Lsn,
}

impl Rests {
    fn up_to(longest: Duration) -> Rests {
        Rests { longest, last: REST, appended: 0 }
    }

    /// How long to rest now that so much has been written.
    fn next(&mut self, appended: Lsn) -> Duration {
        self.last = if appended == self.appended { self.longest.min(2 * self.last) } else { REST };
        self.appended = appended;
        self.last
    }
}

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
        let (mut sweeper, mut evictor) = (Sweeper::default(), Evictor::default());
        background.loop_over("expiry", 0, LONG_REST, move |store| sweeper.step(store) | evictor.step(store))?;
        let (spilled, until) = (store.clone(), stop);
        background.threads.push(std::thread::Builder::new().name("spill".into()).spawn(move || {
            // Workers let go of values themselves, at the end of their turns: memory is best freed by the thread that took it.
            // This one is for what they cannot do, and for when they have nothing to do.
            let (mut seen, mut rests) = (0, Rests::up_to(LONG_REST));
            while !until.load(Ordering::Acquire) {
                let [by_all, _] = spilled.spill_counts();
                let others_do = by_all != seen;
                if others_do || !spilled.spill_some() {
                    std::thread::park_timeout(rests.next(spilled.log().appended()));
                }
                // What this one has done is not theirs.
                seen = if others_do { by_all } else { spilled.spill_counts()[0] };
            }
        })?);
        // Those who write wait when there is no segment ahead: it must not wait for what compaction syncs.
        let mut preparer = Preparer::default();
        background.loop_over("segments", 0, LONG_REST, move |store| {
            preparer.step(store.log(), store.log_bytes(), store.clock().monotonic_us())
        })?;
        // A start replays what was logged since the last checkpoint: one that waits for its turn makes starts slow.
        let mut checkpointer = Checkpointer::default();
        background.loop_over("checkpoint", 0, LONGER_REST, move |store| {
            checkpointer.step(store, store.clock().monotonic_us())
        })?;
        let mut upkeep = Upkeep::default();
        background.loop_over("maintenance", NICENESS, LONGER_REST, move |store| {
            upkeep.step(store, store.clock().monotonic_us())
        })?;
        Ok(background)
    }

    /// Starts a thread that does steps, and rests when there is nothing to do.
    fn loop_over(
        &mut self,
        name: &str,
        niceness: i32,
        longest_rest: Duration,
        mut step: impl FnMut(&Store) -> bool + Send + 'static,
    ) -> io::Result<()> {
        let (store, stop) = (self.store.clone(), self.stop.clone());
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(move || {
            if niceness > 0 {
                // Must not take a time slice from a worker that shares the processor. Best effort.
                let _ = rustix::process::nice(niceness);
            }
            let mut rests = Rests::up_to(longest_rest);
            while !stop.load(Ordering::Acquire) {
                if !step(&store) {
                    std::thread::park_timeout(rests.next(store.log().appended()));
                }
            }
        })?);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_are_longer_while_nothing_is_written() {
        let mut rests = Rests::up_to(LONG_REST);
        let written = [7, 7, 7, 7, 7, 8, 8];
        let rests = written.map(|appended| rests.next(appended).as_millis());
        assert_eq!(rests, [5, 10, 20, 25, 25, 5, 10]);
    }
}
