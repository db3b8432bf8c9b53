//! Large values that have changed: they get a file of their own again, so that no whole image of them is ever made under
//! a lock.
//!
//! A large value that comes in goes to a blob before its transaction. One that grew by `append`, or whose blob has changes
//! behind it, would have to be logged whole when it is copied forward or gets another name. Before that it is settled:
//! its bytes are shared under the lock, written to a blob without, and logged as a blob if nothing changed meanwhile.

use std::io;

use bytes::Bytes;

use crate::error::Refusal;
use crate::failpoint;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::Key;
use crate::log::{Lsn, Need};
use crate::store::Store;
use crate::value::STRING;

impl Store {
    /// Whether a key's value is large and, logged now, would be logged whole.
    pub fn is_unsettled(&self, database: u8, key: &Key<'_>) -> bool {
        self.unsettled(self.physical(database), key, None).is_some()
    }

    /// Gives a large value that has changed a file of its own, durable and named by the log. Whether there was need and it
    /// is done; not when the value changes meanwhile, or the disk is behind. Blocks on the disk.
    pub fn settle(&self, database: u8, key: &Key<'_>) -> io::Result<bool> {
        self.settle_at(self.physical(database), key, None)
    }

    /// The same in a physical database, if the log holds the key's last whole value at this position.
    pub(crate) fn settle_at(&self, physical: u8, key: &Key<'_>, base: Option<Lsn>) -> io::Result<bool> {
        let Some((version, value)) = self.unsettled(physical, key, base) else { return Ok(false) };
        match self.admit(Need::Compact, key.bytes.len() as u64) {
            Ok(()) => {}
            Err(Refusal::Stalled) => return Ok(false),
            Err(Refusal::NoSpace) => return Err(io::ErrorKind::StorageFull.into()),
            Err(refusal) => return Err(io::Error::other(format!("{refusal:?}"))),
        }
        let reference = self.write_blob(&value)?;
        if let Err(error) = failpoint::hit("spill.settle") {
            self.discard_blob(reference);
            return Err(error);
        }
        let mut transaction = self.begin(0, &[*key], self.now_ms());
        let settled = transaction.settle(key, physical, version, reference);
        transaction.commit();
        if !settled {
            self.discard_blob(reference);
        }
        Ok(settled)
    }

    /// Which version of a large value must be settled.
    fn unsettled(&self, physical: u8, key: &Key<'_>, base: Option<Lsn>) -> Option<(Lsn, Bytes)> {
        let shard = self.shards().lock(key.shard());
        let large = |entry: &&Entry| entry.value_type() == STRING && entry.value().len() >= self.options().blob_bytes;
        let entry = shard.find(physical, key).filter(large)?;
        if base.is_some_and(|base| base != entry.base().unwrap_or(entry.lsn())) {
            return None;
        }
        if entry.base().is_none() && self.blobs().contains(entry.lsn()) {
            return None;
        }
        // Where blobs begin below the length of values that are shared, this is a small copy.
        let value = entry.shared_value().cloned().unwrap_or_else(|| Bytes::copy_from_slice(entry.value()));
        Some((entry.lsn(), value))
    }
}
