//! A disk that loses, tears and reorders whatever a real one may: an in-memory directory, deterministic from a seed.
//!
//! ```text
//!   write_at, set_len, allocate ──► live bytes ──sync──────► durable bytes
//!   create, rename, remove ───────► live names ──sync_dir──► durable names
//!                                       │                         │
//!                              process_crash: all         power_loss: all, and of
//!                              of it survives             the live any part
//! ```
//!
//! * [`SimDisk::crash_at`] stops the machine before the n-th operation (a write may happen in part). From then on
//!   every call of every handle fails with [`PowerLoss`]; [`SimDisk::power_loss`] or [`SimDisk::process_crash`] give
//!   the disk that the next life finds.
//! * A power loss keeps, drops or tears (at 512-byte sectors) each unsynced write, in any order; the length is that
//!   after some change. Name changes survive in any subset in which each has the earlier changes of its names.
//!   A file without a durable name is gone.
//! * A failed sync leaves the bytes visible but never again pending: later syncs succeed and do not save them.
//! * A failed directory sync is the end of the file system's journal: all later ones fail too.
//!
//! Not modelled: stale bytes of deleted files in a new file's tail, reads that fail, clean pages that are dropped
//! after a failed sync so that old bytes are read again. `corrupt` and `flip_bit` stand in for the first.

mod chance;
mod content;
mod handle;
mod inode;
mod machine;
mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use self::chance::Chance;
use self::content::Content;
use self::inode::Inode;
use self::machine::State;
use self::names::{InodeId, NameChange, Names};

pub use self::inode::Survival;

/// A simulated directory. Clones are handles of the same one.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What goes wrong. Counts start at 1 and run from the moment of [`SimDisk::set_faults`].
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// This write fails with `EIO`, after any part of its bytes.
    pub write_error_at: Option<u64>,
    /// Of the writes at the beginning of a file, as of a segment's header, this one fails with `EIO`.
    pub first_write_error_at: Option<u64>,
    /// Every other write, by chance, takes only a part of its bytes.
    pub short_writes: bool,
    /// This file sync fails with `EIO`; what it should have made durable never will be.
    pub sync_error_at: Option<u64>,
    /// This directory sync and all later ones fail with `EIO`.
    pub sync_dir_error_at: Option<u64>,
    /// `ENOSPC` where the files (their length, or what was allocated) would take more.
    pub capacity_bytes: Option<u64>,
}

/// The machine is off: the error of every call after [`SimDisk::crash_at`] came true.
#[derive(Debug)]
pub struct PowerLoss;

impl fmt::Display for PowerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated power loss")
    }
}

impl std::error::Error for PowerLoss {}

/// Whether an error is a [`PowerLoss`], and not one that the software under test has to survive.
#[must_use]
pub fn is_power_loss(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PowerLoss>())
}

impl SimDisk {
    /// An empty directory. The same seed and the same calls give the same outcome.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::start(Names::default(), BTreeMap::new(), seed)
    }

    fn start(names: Names, inodes: BTreeMap<InodeId, Inode>, seed: u64) -> SimDisk {
        SimDisk { state: Arc::new(Mutex::new(State::new(names, inodes, seed))) }
    }

    /// Changing and syncing operations so far, failed ones included. Reading is not counted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The machine stops at the `n`-th operation from now, 1 being the next: it does not happen, or, being a write,
    /// happens in part.
    pub fn crash_at(&self, n: u64) {
        let mut state = self.state.lock();
        state.crash_at = Some(state.operations + n.max(1));
    }

    /// The machine stops now.
    pub fn stop(&self) {
        self.state.lock().is_down = true;
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.state.lock().is_down
    }

    /// The disk as found after a power loss, by chance: each call gives another possible outcome. This disk is left
    /// as it is, and the new one has no faults but the same capacity, and no locks.
    #[must_use]
    pub fn power_loss(&self) -> SimDisk {
        let seed = self.state.lock().chance.next();
        self.power_loss_with(Survival::Random(seed))
    }

    /// The disk as found after a power loss that left this much.
    #[must_use]
    pub fn power_loss_with(&self, survival: Survival) -> SimDisk {
        let mut state = self.state.lock();
        let directory = state.names.survivor(survival);
        let survivors: BTreeMap<InodeId, Inode> = directory
            .values()
            .map(|&id| (id, Inode::durable(state.inodes[&id].survivor(for_file(survival, id)))))
            .collect();
        let disk = SimDisk::next_life(&mut state, Names::durable(directory), survivors);
        disk.note(|state| format!("power loss, {survival:?} survives: {}", state.listing()));
        disk
    }

    /// The disk as found after the process was killed: all of the live view, still as unsynced as it was.
    #[must_use]
    pub fn process_crash(&self) -> SimDisk {
        let mut state = self.state.lock();
        let mut inodes = state.inodes.clone();
        inodes.values_mut().for_each(|inode| inode.handles = 0);
        let names = state.names.clone();
        let disk = SimDisk::next_life(&mut state, names, inodes);
        disk.note(|state| format!("process crash: {}", state.listing()));
        disk
    }

    /// Sets what goes wrong from now on, and starts its counts.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state.lock();
        state.note(|_| format!("{faults:?}"));
        (state.writes, state.first_writes, state.syncs, state.directory_syncs) = (0, 0, 0, 0);
        state.faults = faults;
    }

    /// Bit rot: flips one bit (0 to 7) of the platter and of the cache. Panics when there is no such byte.
    pub fn flip_bit(&self, name: &str, byte: u64, bit: u8) {
        self.alter(name, byte, 1, |bytes| bytes[0] ^= 1 << bit);
    }

    /// Overwrites bytes on the platter and in the cache. Panics when the file does not reach that far.
    pub fn corrupt(&self, name: &str, offset: u64, bytes: &[u8]) {
        self.alter(name, offset, bytes.len(), |old| old.copy_from_slice(bytes));
    }

    fn alter(&self, name: &str, offset: u64, length: usize, change: impl Fn(&mut [u8])) {
        let mut state = self.state.lock();
        state.note(|_| format!("damage {name} {offset}+{length}"));
        let id = state.names.live[name];
        let inode = state.inodes.get_mut(&id).expect("a name leads to a file");
        assert!(offset + length as u64 <= inode.live().length(), "damage behind the end of {name}");
        inode.corrupt(|content| {
            let mut bytes = vec![0; length];
            let present = content.read(&mut bytes, offset);
            change(&mut bytes);
            // The platter may be shorter than the live view: nothing there to damage.
            content.write(&bytes[..present], offset);
        });
    }

    /// Makes a file with this content, name and all durable, along with all name changes up to now.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.lock();
        let mut content = Content::default();
        content.write(bytes, 0);
        let inode = state.add(Inode::durable(content));
        state.names.change(NameChange::Create { name: name.to_owned(), inode });
        state.sync_names();
    }

    /// The bytes that readers see.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.names.live.get(name).map(|id| state.inodes[id].live().to_vec())
    }

    /// The bytes certain to survive a power loss, if the name does.
    #[must_use]
    pub fn durable_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let id = state.names.live.get(name)?;
        Some(state.inodes[id].survivor(Survival::Nothing).to_vec())
    }

    /// All names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().names.live.keys().cloned().collect()
    }

    /// Records every operation from now on, also in the lives that follow.
    pub fn record(&self) {
        self.state.lock().trace.get_or_insert_default();
    }

    /// Adds a line to what is recorded.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        self.note(|_| line());
    }

    /// What was recorded, one line an operation.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state.lock().trace.clone().unwrap_or_default()
    }

    fn next_life(state: &mut State, names: Names, inodes: BTreeMap<InodeId, Inode>) -> SimDisk {
        let disk = SimDisk::start(names, inodes, state.chance.next());
        let mut next = disk.state.lock();
        next.faults.capacity_bytes = state.faults.capacity_bytes;
        next.trace.clone_from(&state.trace);
        next.forget_unreachable();
        drop(next);
        disk
    }

    fn note(&self, line: impl FnOnce(&State) -> String) {
        self.state.lock().note(line);
    }
}

/// Each file has its own luck.
fn for_file(survival: Survival, id: InodeId) -> Survival {
    match survival {
        Survival::Random(seed) => Survival::Random(Chance::new(seed ^ id.wrapping_mul(0xA076_1D64_78BD_642F)).next()),
        extreme => extreme,
    }
}
