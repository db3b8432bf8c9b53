//! Where values are read from: segments, kept open, and former positions of what compaction moves.
//!
//! Who reads holds the file: one that compaction removes meanwhile stays readable for as long as that takes, and is not used
//! for another segment. A value that was written again at the end of the log is read where it was until that is durable: a log that fails loses no value.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::disk::{Disk, File};
use crate::log::Lsn;
use crate::mutant::planted;

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
pub(crate) struct SegmentFiles(RwLock<Open>);

#[derive(Default)]
struct Open {
    files: HashMap<u64, Arc<dyn File>>,
    /// Segments below are gone. A file that was opened by the name of one may be another segment's by now.
    first: u64,
}

impl SegmentFiles {
    /// A segment, if it is open.
    pub(super) fn opened(&self, number: u64) -> Option<Arc<dyn File>> {
        self.0.read().files.get(&number).cloned()
    }

    /// A segment, opened now if it was not. One that is gone is not found.
    pub(crate) fn open(&self, disk: &dyn Disk, number: u64, name: &str) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.opened(number) {
            return Ok(file);
        }
        let file = disk.open(name)?;
        let mut open = self.0.write();
        if number < open.first {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(open.files.entry(number).or_insert(file).clone())
    }

    /// Lets go of the oldest segment, which is to be removed: nobody gets it any more. Whether nobody reads it either; else
    /// its room is given back with the last who does.
    pub(crate) fn close_oldest(&self, number: u64) -> bool {
        let mut open = self.0.write();
        open.first = number + 1;
        let kept = open.files.remove(&number);
        // Whoever reads it has been given it under this lock.
        kept.is_none_or(|mut file| Arc::get_mut(&mut file).is_some()) || planted("recycled_under_reader")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    #[test]
    fn a_segment_that_is_gone_is_given_to_nobody() {
        let disk = SimDisk::new(1);
        for name in ["a", "b", "c"] {
            disk.create(name).unwrap();
        }
        let files = SegmentFiles::default();
        let read = files.open(&disk, 1, "a").unwrap();
        files.open(&disk, 2, "b").unwrap();
        assert!(!files.close_oldest(1), "it is being read");
        assert!(files.opened(1).is_none());
        assert!(files.open(&disk, 1, "a").is_err(), "opened by its name, which is another's by now");
        drop(read);
        assert!(files.close_oldest(2) && files.close_oldest(3), "nobody reads these");
    }
}
