//! Segments that compaction has emptied: their files are used again, as the next ones made ahead.
//!
//! The space is there, and bytes that were written before are written again without a change of the file's metadata, so
//! there are no zeros to write. The file gets its new name now and its new header with the first frames. Until then the old
//! header says that it is not in use; behind the new frames no old one has the LSN of its place.

use std::io;
use std::sync::atomic::Ordering;

use super::prepare::Claimed;
use super::{Log, Need};
use crate::failpoint;
use crate::format::segment;

impl Log {
    /// Makes the file of a segment that no manifest names and nobody reads one of those made ahead. Whether it did.
    pub(crate) fn recycle(&self, number: u64) -> bool {
        // What keeps it from being done is nothing that matters: the file is removed.
        self.try_to_recycle(number).unwrap_or(false)
    }

    fn try_to_recycle(&self, number: u64) -> io::Result<bool> {
        let name = |number| segment::file_name(&self.store_name, number);
        let bytes = self.disk.open(&name(number))?.len()?;
        let _creating = self.creating.lock();
        let is_full = self.is_full();
        let next = self.ready_behind_current().and_then(|mut ready| ready.begin_renaming(bytes, is_full));
        let Some(next) = next else { return Ok(false) };
        failpoint::hit("segment.recycle.before")?;
        self.disk.rename(&name(number), &name(next))?;
        let renamed = self.sync_names().inspect_err(|error| self.note_refusal(error));
        match renamed.and_then(|()| self.disk.open(&name(next))) {
            Ok(file) => {
                let mut ready = self.ready.lock();
                ready.put(Claimed { number: next, bytes, used: true, file: Some(file) });
                self.behind.store(ready.next_for(Need::Grow), Ordering::Relaxed);
            }
            // As a file that could not be made.
            Err(_) => self.disk.remove(&name(next))?,
        }
        let _ = failpoint::hit("segment.recycle.after");
        Ok(true)
    }
}
