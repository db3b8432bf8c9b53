//! The simulated machine: counts operations, stops at the one it is told to, and lets the others succeed or fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::chance::Chance;
use super::inode::Inode;
use super::names::{InodeId, NameChange, Names};
use super::{Faults, PowerLoss};

/// No simulated file is longer: a wild offset is an error, as on a real disk, and not a page table of many gigabytes.
const MAX_FILE_BYTES: u64 = 1 << 32;

/// Error numbers, so that errors have the kind and text that the operating system gives them.
pub(super) const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EFBIG: i32 = 27;

pub(super) struct State {
    pub(super) names: Names,
    pub(super) inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
    pub(super) chance: Chance,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) is_down: bool,
    pub(super) faults: Faults,
    pub(super) writes: u64,
    pub(super) first_writes: u64,
    pub(super) syncs: u64,
    pub(super) directory_syncs: u64,
    pub(super) locks: BTreeSet<String>,
    /// `None`: not recorded.
    pub(super) trace: Option<Vec<String>>,
}

/// Why an operation does not happen.
pub(super) enum Halt {
    /// The machine stops at this very operation.
    Now,
    /// The machine stopped before.
    Before,
}

impl From<Halt> for io::Error {
    fn from(_: Halt) -> io::Error {
        io::Error::other(PowerLoss)
    }
}

impl State {
    pub(super) fn new(names: Names, inodes: BTreeMap<InodeId, Inode>, seed: u64) -> State {
        State {
            names,
            next_inode: inodes.last_key_value().map_or(0, |(&id, _)| id + 1),
            inodes,
            chance: Chance::new(seed),
            operations: 0,
            crash_at: None,
            is_down: false,
            faults: Faults::default(),
            writes: 0,
            first_writes: 0,
            syncs: 0,
            directory_syncs: 0,
            locks: BTreeSet::new(),
            trace: None,
        }
    }

    /// Counts an operation and lets the machine stop at it.
    pub(super) fn operate(&mut self, line: impl FnOnce() -> String) -> Result<(), Halt> {
        if self.is_down {
            return Err(Halt::Before);
        }
        self.operations += 1;
        self.note(|state| format!("{} {}", state.operations, line()));
        if self.crash_at.is_some_and(|n| self.operations >= n) {
            self.is_down = true;
            self.note(|_| "the machine stops".to_owned());
            return Err(Halt::Now);
        }
        Ok(())
    }

    pub(super) fn check_up(&self) -> io::Result<()> {
        if self.is_down { Err(Halt::Before.into()) } else { Ok(()) }
    }

    pub(super) fn note(&mut self, line: impl FnOnce(&State) -> String) {
        if self.trace.is_some() {
            let line = line(self);
            self.trace.get_or_insert_default().push(line);
        }
    }

    pub(super) fn fail(&mut self, code: i32) -> io::Error {
        let error = io::Error::from_raw_os_error(code);
        self.note(|_| format!("  {error}"));
        error
    }

    pub(super) fn listing(&self) -> String {
        let files = self.names.live.iter().map(|(name, id)| format!("{name} {}", self.inodes[id].live().length()));
        files.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn add(&mut self, inode: Inode) -> InodeId {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, inode);
        id
    }

    pub(super) fn find(&self, name: &str) -> io::Result<InodeId> {
        self.names.live.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn sync_names(&mut self) {
        self.names.sync();
        self.forget_unreachable();
    }

    pub(super) fn forget_unreachable(&mut self) {
        let named = self.names.inodes();
        self.inodes.retain(|id, inode| inode.handles > 0 || named.contains(id));
    }

    pub(super) fn inode(&mut self, id: InodeId) -> &mut Inode {
        self.inodes.get_mut(&id).expect("a handle keeps its file")
    }

    /// Space left, `None` without limit.
    pub(super) fn free(&self) -> Option<u64> {
        let capacity = self.faults.capacity_bytes?;
        let used: u64 = self.names.live.values().map(|id| self.inodes[id].space()).sum();
        Some(capacity.saturating_sub(used))
    }

    /// How far a file may grow: `bytes`, or as far as there is space.
    pub(super) fn room(&self, id: InodeId, bytes: u64) -> u64 {
        let present = self.inodes[&id].space();
        self.free().map_or(bytes, |free| bytes.min(present + free))
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<InodeId> {
        self.operate(|| format!("create {name}"))?;
        if self.names.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.free() == Some(0) {
            return Err(self.fail(ENOSPC));
        }
        let inode = self.add(Inode::default());
        self.names.change(NameChange::Create { name: name.to_owned(), inode });
        Ok(inode)
    }

    pub(super) fn write_at(&mut self, id: InodeId, name: &str, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let end = offset.saturating_add(bytes.len() as u64);
        if let Err(halt) = self.operate(|| format!("write {name} {offset}+{}", bytes.len())) {
            if matches!(halt, Halt::Now) && end <= MAX_FILE_BYTES {
                self.write_part(id, bytes, offset);
            }
            return Err(halt.into());
        }
        if end > MAX_FILE_BYTES {
            return Err(self.fail(EFBIG));
        }
        self.writes += 1;
        self.first_writes += u64::from(offset == 0);
        let first = offset == 0 && self.faults.first_write_error_at == Some(self.first_writes);
        if first || self.faults.write_error_at == Some(self.writes) {
            self.write_part(id, bytes, offset);
            return Err(self.fail(EIO));
        }
        let mut length = self.room(id, end).saturating_sub(offset).min(bytes.len() as u64);
        if length == 0 && !bytes.is_empty() {
            return Err(self.fail(ENOSPC));
        }
        if self.faults.short_writes && length > 1 && self.chance.coin() {
            length = 1 + self.chance.below(length - 1);
        }
        if length < bytes.len() as u64 {
            self.note(|_| format!("  only {length}"));
        }
        self.inode(id).write(&bytes[..length as usize], offset);
        Ok(length as usize)
    }

    /// A write that is going to fail: any first part of it happens.
    fn write_part(&mut self, id: InodeId, bytes: &[u8], offset: u64) {
        let room = self.room(id, offset + bytes.len() as u64).saturating_sub(offset);
        let length = self.chance.below(bytes.len() as u64 + 1).min(room);
        self.inode(id).write(&bytes[..length as usize], offset);
    }

    pub(super) fn check_growth(&mut self, id: InodeId, bytes: u64) -> io::Result<()> {
        if bytes > MAX_FILE_BYTES {
            return Err(self.fail(EFBIG));
        }
        if self.room(id, bytes) < bytes {
            return Err(self.fail(ENOSPC));
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, id: InodeId) -> io::Result<()> {
        self.syncs += 1;
        if self.faults.sync_error_at == Some(self.syncs) {
            self.inode(id).fail_sync();
            return Err(self.fail(EIO));
        }
        self.inode(id).sync();
        Ok(())
    }
}
