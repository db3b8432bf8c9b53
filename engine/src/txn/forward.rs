//! Values that are logged again although nobody changed them: by compaction, and when they go to files of their own.

use super::{Transaction, live_cost};
use crate::format::blob::Reference;
use crate::format::frame::Kind;
use crate::keyspace::shard::Key;
use crate::log::{Lsn, Need};
use crate::mutant::planted;

impl Transaction<'_> {
    /// Whether there is room in the log to write a key again whose base lies at `lsn`; none is needed when it lies elsewhere.
    pub(crate) fn may_copy_forward(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn) -> bool {
        let Some(entry) = self.guards.shard(key.shard()).find(physical, key) else { return true };
        let bytes = live_cost(entry, false, self.store.options().part_bytes) as u64;
        entry.base().unwrap_or(entry.lsn()) != lsn || self.store.admit(Need::Compact, bytes).is_ok()
    }

    /// Writes a key again at the end of the log if its base, which was this value, lies at `lsn`. Whether it did. This is
    /// compaction: the state does not change.
    ///
    /// Who does not have the value passes none, and then nothing is done for a key that has it in the log only.
    pub(crate) fn copy_forward(&mut self, key: &Key<'_>, physical: u8, lsn: Lsn, value: Option<&[u8]>) -> bool {
        self.is_silent = true;
        self.go_to(physical);
        let Some(entry) = self.guards.shard(key.shard()).find_mut(physical, key) else { return false };
        let changed = entry.base().is_some();
        let cold_type = entry.is_cold().then(|| entry.value_type());
        let is_last =
            entry.base().unwrap_or(entry.lsn()) == lsn || (cold_type.is_some() && planted("compaction_copies_older"));
        if !is_last || (cold_type.is_some() && value.is_none()) {
            return false;
        }
        let (deadline, outside) = (
            entry.deadline(),
            live_cost(entry, false, self.store.options().part_bytes)
                - live_cost(entry, true, self.store.options().part_bytes),
        );
        let before = entry.footprint() as i64;
        entry.set_base(None);
        let grown = entry.footprint() as i64 - before;
        self.count(key, 0, grown);
        match self.take_blob_at(key, lsn) {
            Some(reference) if !changed => {
                self.push(key, Kind::Blob, deadline, None, [&reference.encode(), b""]);
                self.note_blob(key, reference);
            }
            blob => {
                if blob.is_some() {
                    self.live += outside;
                }
                self.retire(blob);
                match cold_type.zip(value) {
                    Some((value_type, value)) => {
                        self.push_typed(key, Kind::Image, value_type, deadline, None, [value, b""]);
                    }
                    None => self.push_image(key),
                }
            }
        }
        true
    }

    /// Logs a value again that a new blob holds, if it is still the one of that version. Whether it was.
    pub(crate) fn settle(&mut self, key: &Key<'_>, physical: u8, version: Lsn, reference: Reference) -> bool {
        self.is_silent = true;
        self.go_to(physical);
        let found = self.guards.shard(key.shard()).find_mut(physical, key);
        let Some(entry) = found.filter(|entry| entry.lsn() == version) else { return false };
        let (deadline, outside) = (
            entry.deadline(),
            live_cost(entry, false, self.store.options().part_bytes)
                - live_cost(entry, true, self.store.options().part_bytes),
        );
        let base = entry.base().unwrap_or(version);
        let before = entry.footprint() as i64;
        entry.set_base(None);
        let grown = entry.footprint() as i64 - before;
        self.count(key, 0, grown);
        let old_blob = self.take_blob_at(key, base);
        if old_blob.is_none() {
            self.live -= outside;
        }
        self.retire(old_blob);
        self.push(key, Kind::Blob, deadline, None, [&reference.encode(), b""]);
        self.note_blob(key, reference);
        true
    }
}
