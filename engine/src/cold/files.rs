//! Where values are read from: segments, kept open, and former positions of what compaction moves.
//!
//! Who reads holds the file: one that compaction removes meanwhile stays readable for as long as that takes. A value that
//! was written again at the end of the log is read where it was until that is durable: a log that fails loses no value.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::disk::{Disk, File};
use crate::log::Lsn;

/// Former positions by those that are not durable yet.
#[derive(Default)]
pub(crate) struct Moved(RwLock<HashMap<Lsn, Lsn>>);

impl Moved {
    /// A value that lies in the log only has another position.
    pub(crate) fn insert(&self, from: Lsn, to: Lsn) {
        self.0.write().insert(to, from);
    }

    /// Where to read what has this position.
    pub(super) fn readable(&self, lsn: Lsn) -> Lsn {
        self.0.read().get(&lsn).copied().unwrap_or(lsn)
    }

    /// Forgets what has become durable.
    pub(crate) fn settle(&self, durable: Lsn) {
        self.0.write().retain(|lsn, _| *lsn >= durable);
    }
}

/// Open segments by number.
#[derive(Default)]
pub(crate) struct SegmentFiles(RwLock<HashMap<u64, Arc<dyn File>>>);

impl SegmentFiles {
    /// A segment, if it is open.
    pub(super) fn opened(&self, number: u64) -> Option<Arc<dyn File>> {
        self.0.read().get(&number).cloned()
    }

    /// A segment, opened now if it was not.
    pub(crate) fn open(&self, disk: &dyn Disk, number: u64, name: &str) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.opened(number) {
            return Ok(file);
        }
        let file = disk.open(name)?;
        Ok(self.0.write().entry(number).or_insert(file).clone())
    }

    /// Lets go of a segment that is to be removed: its room is given back with the last who reads it.
    pub(crate) fn close(&self, number: u64) {
        self.0.write().remove(&number);
    }
}
