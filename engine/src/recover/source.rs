//! Values that are read back from the log while it is being replayed.

use parking_lot::Mutex;

use crate::blobs::Blobs;
use crate::cold::{Fetched, SegmentFiles, Want, entry_of};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::format::{StoreId, segment};
use crate::log::Lsn;

/// The segments that were found so far.
pub(super) struct Source<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    id: StoreId,
    /// Numbers and first LSNs, in order.
    segments: Mutex<Vec<(u64, Lsn)>>,
    files: SegmentFiles,
}

impl<'a> Source<'a> {
    /// Of a store none of whose segments is known yet.
    pub(super) fn new(disk: &'a dyn Disk, name: &'a str, id: StoreId) -> Source<'a> {
        Source { disk, name, id, segments: Mutex::default(), files: SegmentFiles::default() }
    }

    /// The next segment.
    pub(super) fn add(&self, number: u64, base: Lsn) {
        self.segments.lock().push((number, base));
    }

    /// Reads a value that lies in one frame.
    pub(super) fn read(&self, want: &Want, is_blob: bool, blobs: &Blobs) -> Result<Fetched, Error> {
        let (number, base) = {
            let segments = self.segments.lock();
            let behind = segments.partition_point(|(_, base)| *base <= want.lsn);
            behind.checked_sub(1).map_or((0, 0), |at| segments[at])
        };
        let name = segment::file_name(self.name, number);
        let offset = segment::HEADER + want.lsn.saturating_sub(base);
        let file = self.files.open(self.disk, number, &name)?;
        let mut bytes = vec![0; want.frame_bytes(is_blob)];
        disk::read_exact_at(&*file, &mut bytes, offset)?;
        let corrupt = |what| Error::Corrupt { file: name, offset, what };
        entry_of(want, want.lsn, self.id, number, &bytes, blobs).map_err(corrupt)?
    }
}
