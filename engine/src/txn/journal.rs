//! The frames of a transaction, and the blobs they name, from the first change to the commit.

use std::cell::RefCell;

use super::{SAME_TRANSACTION, Transaction};
use crate::blobs::Blobs;
use crate::format::blob::Reference;
use crate::format::frame::{Draft, Kind};
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::Key;
use crate::listener::Event;
use crate::log::{FrameBatch, Lsn};
use crate::mutant::planted;
use crate::value::{STRING, Slot};

/// A frame whose position the entry must learn when the log has given it one.
struct Touched {
    database: u8,
    hash: u64,
    frame: usize,
    kind: Kind,
}

pub(super) struct NewBlob {
    database: u8,
    hash: u64,
    frame: usize,
    reference: Reference,
}

impl NewBlob {
    pub(super) fn is_of(&self, physical: u8) -> bool {
        self.database == physical
    }

    pub(super) fn number(&self) -> u64 {
        self.reference.number
    }

    /// Whether the value that an entry had at its base lies in a blob, one of these if it came in this transaction.
    #[inline]
    pub(super) fn holds(entry: &Entry, database: u8, hash: u64, new: &[NewBlob], blobs: &Blobs) -> bool {
        if blobs.is_empty() && new.is_empty() {
            return false;
        }
        match entry.base().unwrap_or(entry.lsn()) {
            0 => new.iter().any(|blob| blob.database == database && blob.hash == hash),
            lsn => blobs.contains(lsn),
        }
    }
}

#[derive(Default)]
pub(super) struct Scratch {
    pub(super) batch: FrameBatch,
    touched: Vec<Touched>,
}

impl Scratch {
    /// Adds a frame for the key of this hash.
    #[inline]
    pub(super) fn push(&mut self, draft: &Draft<'_>, hash: u64) {
        self.batch.push(draft);
        self.touched.push(Touched { database: draft.database, hash, frame: self.batch.len() - 1, kind: draft.kind });
    }

    /// Adds an entry's whole value. A long one of a collection takes several frames: an image of its beginning, and
    /// changes that add the rest.
    pub(super) fn push_image(&mut self, database: u8, key: &Key<'_>, entry: &Entry, part_bytes: usize) {
        let image = Draft {
            kind: Kind::Image,
            database,
            value_type: entry.value_type(),
            deadline: entry.deadline(),
            previous: None,
            key: key.bytes,
            value: [entry.value(), b""],
        };
        let Some(object) = entry.object() else { return self.push(&image, key.hash) };
        let mut first = true;
        object.image_parts(part_bytes, &mut |part| {
            if !first && planted("image_part_lost") {
                return;
            }
            let more = Draft { kind: Kind::Delta, deadline: None, previous: Some(SAME_TRANSACTION), ..image };
            self.push(&Draft { value: [part, b""], ..if first { image } else { more } }, key.hash);
            first = false;
        });
    }
}

thread_local! {
    /// Buffers of the last transaction on this thread, so that a steady stream of writes allocates nothing.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Transaction<'_> {
    /// Gives the frames to the log and tells entries and blobs where they went; the position to wait for.
    pub(super) fn finish(&mut self) -> Lsn {
        if self.scratch.batch.is_empty() {
            let unlogged = ["emptied_not_buried", "field_expiry_unlogged", "eviction_unlogged"];
            if unlogged.into_iter().any(planted) {
                self.account();
            }
            if !self.events.is_empty() {
                self.tell_events(self.gate);
            }
            return self.gate;
        }
        let Scratch { batch, touched } = &mut self.scratch;
        let end = self.store.log().append(batch);
        let watched = self.store.attention().to_changes() && !self.is_silent;
        let listener = if watched { self.store.listener() } else { None };
        for touch in touched.drain(..) {
            let key = Key { bytes: batch.key(touch.frame), hash: touch.hash };
            if let Some(listener) = listener {
                listener.changed(self.store.logical(touch.database), key.bytes, touch.kind != Kind::Tomb);
            }
            let shard = self.guards.shard(key.shard());
            let lsn = batch.lsn(touch.frame);
            if touch.kind == Kind::Tomb {
                shard.last_removed = lsn;
            } else if let Some(entry) = shard.find_mut(touch.database, &key) {
                let before = entry.footprint() as i64;
                // The last frame decides: what an earlier one says of the base is put right by a later one.
                match (touch.kind, entry.base(), entry.lsn()) {
                    (Kind::Delta, None, before) if before != 0 => entry.set_base(Some(before)),
                    (Kind::Image | Kind::Blob, Some(_), _) => entry.set_base(None),
                    _ => {}
                }
                if entry.is_cold() && !planted("moved_not_noted") {
                    self.store.moved().insert(entry.lsn(), lsn);
                }
                entry.set_lsn(lsn);
                let grown = entry.footprint() as i64 - before;
                self.store.account(touch.database, grown, 0);
                if !planted("namespace_forgets_growth") {
                    shard.count(touch.database, key.bytes, 0, grown);
                }
            }
        }
        for blob in self.new_blobs.drain(..) {
            self.store.blobs().insert(batch.lsn(blob.frame), blob.database, blob.reference);
        }
        self.store.blobs().retire(end, std::mem::take(&mut self.dead_blobs));
        if self.swapped {
            // (Where the first of them stands, if there are several.)
            self.store.note_map(batch.lsn(0));
            for shard in self.guards.all() {
                shard.last_swapped = end - 1;
            }
        }
        batch.clear();
        self.account();
        self.gate = self.gate.max(end);
        if self.flushed {
            for shard in self.guards.all() {
                // A position in the last frame, as a tomb's is: the one behind it is reached by the next frame only.
                shard.last_removed = end - 1;
            }
        }
        if !self.events.is_empty() {
            self.tell_events(end);
        }
        self.gate
    }

    #[cold]
    fn tell_events(&mut self, lsn: Lsn) {
        let Some(listener) = self.store.listener() else { return };
        for (class, name, physical, key) in self.events.drain(..) {
            listener.event(&Event { class, name, database: self.store.logical(physical), key: &key, lsn });
        }
    }

    #[inline]
    pub(super) fn take_scratch(&mut self) {
        if !self.writes {
            self.writes = true;
            self.scratch = SCRATCH.take();
        }
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
        self.push_typed(key, kind, STRING, deadline, previous, value);
    }

    /// Logs a change of a key whose value is of a type.
    pub(super) fn push_typed(
        &mut self,
        key: &Key<'_>,
        kind: Kind,
        value_type: u8,
        deadline: Option<u64>,
        previous: Option<Lsn>,
        value: [&[u8]; 2],
    ) {
        let database = self.database;
        self.take_scratch();
        self.scratch.push(&Draft { kind, database, value_type, deadline, previous, key: key.bytes, value }, key.hash);
    }

    /// Logs a present entry's whole value.
    pub(super) fn push_image(&mut self, key: &Key<'_>) {
        self.take_scratch();
        if let Some(entry) = self.guards.shard(key.shard()).find(self.database, key) {
            self.scratch.push_image(self.database, key, entry, self.store.options().part_bytes);
        }
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

    /// The blob of a value whose frame lies at `lsn`, as for [`take_blob`](Transaction::take_blob); 0 when it came in this transaction.
    pub(super) fn take_blob_at(&mut self, key: &Key<'_>, lsn: Lsn) -> Option<Reference> {
        if lsn != 0 {
            return self.store.blobs().take(lsn);
        }
        let of_key = |blob: &NewBlob| blob.database == self.database && blob.hash == key.hash;
        let at = self.new_blobs.iter().rposition(of_key)?;
        Some(self.new_blobs.remove(at).reference)
    }

    /// Whether a blob that came in this transaction has changes behind it.
    pub(super) fn is_new_and_changed(&mut self, key: &Key<'_>) -> bool {
        let database = self.database;
        let entry = self.guards.shard(key.shard()).find(database, key);
        let last = |touch: &&Touched| touch.database == database && touch.hash == key.hash;
        entry.is_some_and(|entry| entry.lsn() == 0)
            && self.scratch.touched.iter().rev().find(last).is_some_and(|touch| touch.kind == Kind::Delta)
            && !planted("changed_blob_named_again")
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
        if self.writes || !self.events.is_empty() {
            self.finish();
        }
        if self.writes {
            SCRATCH.set(std::mem::take(&mut self.scratch));
        }
        if let Some(hold) = &self.hold {
            self.store.holds().end(hold, &**self.store.clock());
        }
    }
}
