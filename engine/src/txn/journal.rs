//! The frames of a transaction, and the blobs they name, from the first change to the commit.

use std::cell::RefCell;

use super::{STRING, Transaction};
use crate::format::blob::Reference;
use crate::format::frame::{Draft, Kind};
use crate::keyspace::shard::Key;
use crate::log::{FrameBatch, Lsn};

/// A frame whose position the entry must learn when the log has given it one.
struct Touched {
    database: u8,
    hash: u64,
    frame: usize,
    removed: bool,
}

pub(super) struct NewBlob {
    database: u8,
    hash: u64,
    frame: usize,
    reference: Reference,
}

#[derive(Default)]
pub(super) struct Scratch {
    pub(super) batch: FrameBatch,
    touched: Vec<Touched>,
}

thread_local! {
    /// Buffers of the last transaction on this thread, so that a steady stream of writes allocates nothing.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Transaction<'_> {
    /// Gives the frames to the log and tells entries and blobs where they went; the position to wait for.
    pub(super) fn finish(&mut self) -> Lsn {
        if self.scratch.batch.is_empty() {
            return self.gate;
        }
        let Scratch { batch, touched } = &mut self.scratch;
        let end = self.store.log().append(batch);
        for touch in touched.drain(..) {
            let key = Key { bytes: batch.key(touch.frame), hash: touch.hash };
            let shard = self.guards.shard(key.shard());
            if touch.removed {
                shard.last_removed = batch.lsn(touch.frame);
            } else if let Some(entry) = shard.find_mut(touch.database, &key) {
                entry.set_lsn(batch.lsn(touch.frame));
            }
        }
        for blob in self.new_blobs.drain(..) {
            self.store.blobs().insert(batch.lsn(blob.frame), blob.database, blob.reference);
        }
        self.store.blobs().retire(end, std::mem::take(&mut self.dead_blobs));
        batch.clear();
        self.account();
        self.gate = self.gate.max(end);
        self.gate
    }

    #[inline]
    pub(super) fn take_scratch(&mut self) {
        if !self.writes {
            self.writes = true;
            self.scratch = SCRATCH.take();
        }
    }

    /// Logs a present entry's whole value.
    pub(super) fn push_image(&mut self, key: &Key<'_>) {
        self.take_scratch();
        let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) else { return };
        self.scratch.batch.push(&Draft {
            kind: Kind::Image,
            database: self.database,
            value_type: STRING,
            deadline: entry.deadline(),
            previous: None,
            key: key.bytes,
            value: [entry.value(), b""],
        });
        self.touch(key, false);
    }

    /// Logs a change of a key.
    pub(super) fn push(
        &mut self,
        key: &Key<'_>,
        kind: Kind,
        deadline: Option<u64>,
        previous: Option<Lsn>,
        value: [&[u8]; 2],
    ) {
        let database = self.database;
        self.take_scratch();
        self.scratch.batch.push(&Draft {
            kind,
            database,
            value_type: STRING,
            deadline,
            previous,
            key: key.bytes,
            value,
        });
        self.touch(key, kind == Kind::Tomb);
    }

    fn touch(&mut self, key: &Key<'_>, removed: bool) {
        let frame = self.scratch.batch.len() - 1;
        self.scratch.touched.push(Touched { database: self.database, hash: key.hash, frame, removed });
    }

    /// The blob a key's value lies in, which the caller now answers for.
    #[inline]
    pub(super) fn take_blob(&mut self, key: &Key<'_>) -> Option<Reference> {
        if self.store.blobs().is_empty() && self.new_blobs.is_empty() {
            return None;
        }
        let entry = self.guards.shard(key.shard()).find(self.database, key)?;
        let at = entry.base().unwrap_or(entry.lsn());
        self.take_blob_at(key, at)
    }

    /// Whether the value a key had at its base lies in a blob.
    #[inline]
    pub(super) fn is_in_blob(&mut self, key: &Key<'_>) -> bool {
        if self.store.blobs().is_empty() && self.new_blobs.is_empty() {
            return false;
        }
        let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) else { return false };
        match entry.base().unwrap_or(entry.lsn()) {
            0 => self.new_blobs.iter().any(|blob| blob.database == self.database && blob.hash == key.hash),
            lsn => self.store.blobs().contains(lsn),
        }
    }

    /// The same, for a value whose frame lies at `lsn`; 0 when it came in this transaction.
    pub(super) fn take_blob_at(&mut self, key: &Key<'_>, lsn: Lsn) -> Option<Reference> {
        if lsn != 0 {
            return self.store.blobs().take(lsn);
        }
        let of_key = |blob: &NewBlob| blob.database == self.database && blob.hash == key.hash;
        let at = self.new_blobs.iter().rposition(of_key)?;
        Some(self.new_blobs.remove(at).reference)
    }

    /// A blob that nothing names any more when this transaction is durable.
    pub(super) fn retire(&mut self, blob: Option<Reference>) {
        self.dead_blobs.extend(blob.map(|reference| reference.number));
    }

    /// The value in the last frame lies in this blob.
    pub(super) fn note_blob(&mut self, key: &Key<'_>, reference: Reference) {
        let frame = self.scratch.batch.len() - 1;
        self.store.blobs().claim(reference.number);
        self.new_blobs.push(NewBlob { database: self.database, hash: key.hash, frame, reference });
    }
}

impl Drop for Transaction<'_> {
    /// What was changed in memory is in the log, also when a caller forgets to commit.
    fn drop(&mut self) {
        if self.writes {
            self.finish();
            SCRATCH.set(std::mem::take(&mut self.scratch));
        }
    }
}
