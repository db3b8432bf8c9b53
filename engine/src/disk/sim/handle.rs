//! The simulated disk through the door of the real one: [`Disk`], [`File`] and locks.

use std::io;
use std::sync::Arc;

use super::SimDisk;
use super::machine::{EIO, State};
use super::names::{InodeId, NameChange};
use crate::disk::os::plain;
use crate::disk::{Disk, File};

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        plain(name)?;
        let mut state = self.state.lock();
        let inode = state.create(name)?;
        Ok(self.open_inode(&mut state, inode, name))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        plain(name)?;
        let mut state = self.state.lock();
        state.check_up()?;
        let inode = state.find(name)?;
        Ok(self.open_inode(&mut state, inode, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        plain(from)?;
        plain(to)?;
        let mut state = self.state.lock();
        state.operate(|| format!("rename {from} {to}"))?;
        state.find(from)?;
        if from != to {
            state.names.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        plain(name)?;
        let mut state = self.state.lock();
        state.operate(|| format!("remove {name}"))?;
        state.find(name)?;
        state.names.change(NameChange::Remove { name: name.to_owned() });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.check_up()?;
        Ok(state.names.live.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.operate(|| "sync_dir".to_owned())?;
        state.directory_syncs += 1;
        let count = state.directory_syncs;
        if state.faults.sync_dir_error_at.is_some_and(|n| count >= n) {
            return Err(state.fail(EIO));
        }
        state.sync_names();
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        plain(name)?;
        let mut state = self.state.lock();
        state.check_up()?;
        // As on a real disk the lock is a file, which is created when it is missing.
        if state.find(name).is_err() {
            state.create(name)?;
        }
        if !state.locks.insert(name.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), name: name.to_owned() }))
    }
}

impl SimDisk {
    fn open_inode(&self, state: &mut State, inode: InodeId, name: &str) -> Arc<dyn File> {
        state.inodes.get_mut(&inode).expect("a name leads to a file").handles += 1;
        Arc::new(SimFile { disk: self.clone(), inode, name: name.to_owned() })
    }
}

struct SimLock {
    disk: SimDisk,
    name: String,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state.lock().locks.remove(&self.name);
    }
}

struct SimFile {
    disk: SimDisk,
    inode: InodeId,
    /// As it was opened; for the trace.
    name: String,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.state.lock().inode(self.inode).handles -= 1;
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.check_up()?;
        Ok(state.inode(self.inode).live().length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        state.check_up()?;
        Ok(state.inode(self.inode).live().read(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.state.lock().write_at(self.inode, &self.name, bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.operate(|| format!("set_len {} {bytes}", self.name))?;
        state.check_growth(self.inode, bytes)?;
        state.inode(self.inode).set_length(bytes);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.operate(|| format!("allocate {} {bytes}", self.name))?;
        let refused = state.check_growth(self.inode, bytes);
        // Some file systems keep what they had reserved when they found no more.
        let reserved = state.room(self.inode, bytes);
        state.inode(self.inode).allocate(reserved);
        refused
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.operate(|| format!("sync {}", self.name))?;
        state.sync(self.inode)
    }
}
