//! Segments that values are read from, kept open.
//!
//! Who reads holds the file: one that compaction removes meanwhile stays readable for as long as that takes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::disk::{Disk, File};

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
