//! A simulated disk whose syncs and reads take time, during which something else happens.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use engine::disk::sim::SimDisk;
use engine::disk::{Disk, File};

use crate::through::Through;

type Meanwhile = Box<dyn FnMut()>;

thread_local! {
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    static BEFORE_READ: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
}

/// Runs `work`; while it waits for a file sync, `meanwhile` is called.
pub fn with_slow_sync<T>(meanwhile: impl FnMut() + 'static, work: impl FnOnce() -> T) -> T {
    MEANWHILE.set(Some(Box::new(meanwhile)));
    let result = work();
    MEANWHILE.take();
    result
}

/// Runs `work`; before it is given what it reads of a file, `meanwhile` is called, once.
pub fn with_slow_read<T>(meanwhile: impl FnMut() + 'static, work: impl FnOnce() -> T) -> T {
    BEFORE_READ.set(Some(Box::new(meanwhile)));
    let result = work();
    BEFORE_READ.take();
    result
}

/// A disk that waits there.
pub fn slow(disk: SimDisk) -> Arc<dyn Disk> {
    Arc::new(Through(disk, |_: &str, file| -> Arc<dyn File> { Arc::new(SlowFile(file)) }))
}

struct SlowFile(Arc<dyn File>);

impl File for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(mut meanwhile) = BEFORE_READ.take() {
            meanwhile();
        }
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        // Taken out meanwhile: what happens during a sync does not happen again inside itself.
        if let Some(mut meanwhile) = MEANWHILE.take() {
            meanwhile();
            MEANWHILE.set(Some(meanwhile));
        }
        self.0.sync()
    }
}
