//! Checkpoints: where the log holds every key's value, so that an opening reads that and only the end of the log.
//!
//! ```text
//!  log    ├──────────────┬──────────────────────┬─────────►
//!                      start                   end
//!                        └─ the walk over all keys ─┘  durable to the end? then the manifest names it
//! ```
//!
//! The walk is fuzzy: keys change while it goes on, and nobody waits for it. What it finds changed since its start it leaves
//! out, for the log from the start on holds all of that. What was changed before, far behind its last image, it has logged
//! whole again, which then is in the log behind the start too. So an entry is named with its position only, and whatever
//! happens to it later stands in the log behind that position.
//!
//! The last two checkpoints are kept. None is ever needed: without one the log is read from its beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cold::spill::LONGEST_COLLECTION;
use crate::disk::{self, File};
use crate::error::Error;
use crate::failpoint;
use crate::format::checkpoint::{self, BLOCK, BLOCK_HEADER, Block, HEADER, Header, Place, Record};
use crate::format::manifest;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::{DATABASES, Due, SHARDS, Shard};
use crate::log::{Lsn, is_full};
use crate::mutant::planted;
use crate::store::Store;
use crate::txn::{image_bytes, live_cost};
use crate::value::{STRING, Slot};

/// Checkpoints that are kept.
const KEPT: usize = 2;
/// A checkpoint is due when the log has grown by so many times the last one: at most half more is written, however large values are.
const LAST_TIMES: u64 = 2;
/// Buckets looked at under one lock.
const RUN: usize = 64;
/// Values up to this length stand in the checkpoint itself: an entry without its value would be about as long.
const LONGEST_HERE: usize = 64;
/// Bytes written between two syncs: many at once would hold up the log's.
const SYNC_EVERY: u64 = 8 << 20;
/// Bytes written in a second at most, and those that may be written at once. What the log grows by meanwhile is replayed.
const BYTES_PER_SECOND: u64 = 128 << 20;
const BURST: u64 = 4 << 20;
/// How soon a failed checkpoint is begun again.
const RETRY_US: u64 = 1_000_000;

/// What a store knows of its checkpoints.
pub(crate) struct Checkpoints {
    /// The number of the next.
    next: AtomicU64,
    /// Where the last one began.
    start: AtomicU64,
    /// Bytes of the last one, and of all since the opening, whether they came to an end or not.
    size: AtomicU64,
    written: AtomicU64,
    requested: AtomicBool,
    under_way: AtomicBool,
    /// Keys that the one under way has looked at.
    looked_at: AtomicU64,
    finished: AtomicU64,
}

impl Checkpoints {
    /// The next has this number; the last began there and has so many bytes.
    pub(crate) fn new(next: u64, start: Lsn, size: u64) -> Checkpoints {
        Checkpoints {
            next: AtomicU64::new(next),
            start: AtomicU64::new(start),
            size: AtomicU64::new(size),
            written: AtomicU64::new(0),
            requested: AtomicBool::new(false),
            under_way: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }
}

/// What a checkpointer is doing.
#[derive(Default)]
enum State {
    #[default]
    Idle,
    Walking(Box<Walk>),
    /// The file is whole and durable; the log must be, up to its end, before it counts.
    Waiting(Done),
}

/// A checkpoint that is written.
#[derive(Clone, Copy)]
struct Done {
    checkpoint: manifest::Checkpoint,
    bytes: u64,
}

/// Writes checkpoints: a machine that a thread, or a simulation, steps.
#[derive(Default)]
pub(crate) struct Checkpointer {
    state: State,
    retry_at_us: u64,
}

impl Checkpointer {
    /// Does a little work if there is some. Whether it did.
    pub(crate) fn step(&mut self, store: &Store, now_us: u64) -> bool {
        if now_us < self.retry_at_us || store.log().is_read_only() {
            return false;
        }
        let advanced = self.advance(store, now_us);
        store.checkpoints().under_way.store(!matches!(self.state, State::Idle), Ordering::Relaxed);
        advanced.unwrap_or_else(|_| {
            self.retry_at_us = now_us + RETRY_US;
            false
        })
    }

    fn advance(&mut self, store: &Store, now_us: u64) -> Result<bool, Error> {
        match std::mem::take(&mut self.state) {
            State::Idle => {
                if store.wants_checkpoint() {
                    self.state = State::Walking(Box::new(Walk::begin(store, now_us)?));
                    return Ok(true);
                }
                Ok(false)
            }
            State::Walking(mut walk) => {
                if walk.is_ahead(now_us) {
                    self.state = State::Walking(walk);
                    return Ok(false);
                }
                let finished = walk.go_on(store);
                match finished {
                    Ok(None) => self.state = State::Walking(walk),
                    Ok(Some(done)) => self.state = State::Waiting(done),
                    Err(error) => {
                        // No manifest names it: should it stay behind, the next start removes it.
                        let _ = store.disk().remove(&checkpoint::file_name(&store.options().name, walk.number));
                        return Err(error);
                    }
                }
                Ok(true)
            }
            State::Waiting(done)
                if store.log().durable() < done.checkpoint.end && !planted("checkpoint_published_early") =>
            {
                store.log().want_sync(done.checkpoint.end);
                self.state = State::Waiting(done);
                Ok(false)
            }
            State::Waiting(done) => {
                // Tried again if this fails: the manifest may name it by then.
                self.state = State::Waiting(done);
                store.publish(done)?;
                self.state = State::Idle;
                Ok(true)
            }
        }
    }
}

/// A checkpoint that is being written.
struct Walk {
    number: u64,
    file: Arc<dyn File>,
    start: Lsn,
    map: [u8; DATABASES],
    began_us: u64,
    /// Where to look next.
    shard: usize,
    database: u8,
    bucket: u64,
    /// The block that is being filled, and the first shard of its keys.
    block: Vec<u8>,
    first_shard: usize,
    offset: u64,
    unsynced: u64,
    index: Vec<u8>,
    blocks: u32,
    records: u64,
}

impl Walk {
    fn begin(store: &Store, now_us: u64) -> Result<Walk, Error> {
        let number = store.checkpoints().next.fetch_add(1, Ordering::Relaxed);
        let (start, map) = store.position_and_map();
        store.checkpoints().requested.store(false, Ordering::Relaxed);
        store.checkpoints().looked_at.store(0, Ordering::Relaxed);
        failpoint::hit("checkpoint.create")?;
        let file = store.disk().create(&checkpoint::file_name(&store.options().name, number))?;
        Ok(Walk {
            number,
            file,
            start,
            map,
            began_us: now_us,
            shard: 0,
            database: 0,
            bucket: 0,
            block: vec![0; BLOCK_HEADER],
            first_shard: 0,
            offset: HEADER as u64,
            unsynced: 0,
            index: Vec::new(),
            blocks: 0,
            records: 0,
        })
    }

    /// Whether more is written than the disk should be asked to take by now.
    fn is_ahead(&self, now_us: u64) -> bool {
        let allowed = u128::from(now_us.saturating_sub(self.began_us)) * u128::from(BYTES_PER_SECOND) / 1_000_000;
        u128::from(self.offset) > allowed + u128::from(BURST)
    }

    /// Goes on for a few buckets; the checkpoint, when it is whole and durable.
    fn go_on(&mut self, store: &Store) -> Result<Option<Done>, Error> {
        let changed = self.look(store);
        if !changed.is_empty() && !planted("checkpoint_passes_over_changed") {
            store.log_whole(&changed);
            // A walk that leaves something behind its start has failed.
            if changed.iter().any(|(database, key, _)| !store.is_logged_since(*database, key, self.start)) {
                return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
            }
        }
        if self.block.len() >= BLOCK || (self.shard == SHARDS && self.block.len() > BLOCK_HEADER) {
            self.write_block(store)?;
        }
        if self.shard < SHARDS { Ok(None) } else { self.finish(store).map(Some) }
    }

    /// Looks at some buckets. Keys whose values have to be logged whole, with the positions of their images.
    fn look(&mut self, store: &Store) -> Vec<(u8, Vec<u8>, Lsn)> {
        let mut changed = Vec::new();
        let mut looked = 0;
        while self.shard < SHARDS && looked < RUN && self.block.len() < BLOCK {
            let shard = store.shards().lock(self.shard);
            while usize::from(self.database) < shard.databases() && looked < RUN && self.block.len() < BLOCK {
                looked += 1;
                if self.look_at_bucket(store, &shard, &mut changed) {
                    self.database += 1;
                }
            }
            if usize::from(self.database) >= shard.databases() {
                self.shard += 1;
                self.database = 0;
            }
        }
        changed
    }

    /// Whether it was the last bucket of its table.
    fn look_at_bucket(&mut self, store: &Store, shard: &Shard, changed: &mut Vec<(u8, Vec<u8>, Lsn)>) -> bool {
        let Some(table) = shard.table(self.database).filter(|table| !table.is_empty()) else {
            self.bucket = 0;
            return true;
        };
        let (mut keys, database) = (0, self.database);
        self.bucket = table.scan(self.bucket, |entry| {
            keys += 1;
            let base = entry.base().unwrap_or(entry.lsn());
            // The log behind the start has all of it.
            if base >= self.start {
                return;
            }
            match store.place_of(entry) {
                Some(place) => {
                    let (value_type, key, deadline) = (entry.value_type(), entry.key(), entry.deadline());
                    let lsn = if planted("checkpoint_names_the_image") { base } else { entry.lsn() };
                    Record { value_type, database, key, lsn, deadline, place }.encode(&mut self.block);
                    self.records += 1;
                }
                None => changed.push((database, entry.key().to_vec(), base)),
            }
        });
        store.checkpoints().looked_at.fetch_add(keys, Ordering::Relaxed);
        self.bucket == 0
    }

    fn write_block(&mut self, store: &Store) -> Result<(), Error> {
        let length = (self.block.len() - BLOCK_HEADER) as u32;
        self.block[4..8].copy_from_slice(&length.to_le_bytes());
        let sum = checkpoint::block_checksum(&self.block[4..], store.id(), self.number, self.blocks);
        self.block[..4].copy_from_slice(&sum.to_le_bytes());
        failpoint::hit("checkpoint.write")?;
        disk::write_all_at(&*self.file, &self.block, self.offset)?;
        let last_shard = self.shard.min(SHARDS - 1);
        let (first_shard, last_shard) = (self.first_shard as u16, last_shard as u16);
        self.index.extend_from_slice(&Block { offset: self.offset, first_shard, last_shard }.encode());
        self.offset += self.block.len() as u64;
        self.unsynced += self.block.len() as u64;
        store.checkpoints().written.fetch_add(self.block.len() as u64, Ordering::Relaxed);
        self.blocks += 1;
        self.first_shard = self.shard;
        self.block.truncate(BLOCK_HEADER);
        if self.unsynced >= SYNC_EVERY {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Writes what is known at the end only, and makes all of it durable.
    fn finish(&mut self, store: &Store) -> Result<Done, Error> {
        store.log().write_out();
        let end = store.log().appended();
        let start = if planted("checkpoint_starts_at_its_end") { end } else { self.start };
        let header = Header {
            id: store.id(),
            number: self.number,
            start,
            end,
            newest_ms: store.now_ms(),
            records: self.records,
            index: self.offset,
            blocks: self.blocks,
            map: self.map,
        };
        disk::write_all_at(&*self.file, &self.index, self.offset)?;
        disk::write_all_at(&*self.file, &header.encode(&self.index), 0)?;
        failpoint::hit("checkpoint.sync")?;
        if !planted("checkpoint_not_synced") {
            self.file.sync()?;
        }
        store.disk().sync_dir()?;
        store.checkpoints().written.fetch_add((HEADER + self.index.len()) as u64, Ordering::Relaxed);
        let bytes = self.offset + self.index.len() as u64;
        Ok(Done { checkpoint: manifest::Checkpoint { number: self.number, start, end }, bytes })
    }
}

impl Store {
    /// Asks for a checkpoint, soon. It is not needed for anything to be durable.
    pub fn request_checkpoint(&self) {
        self.checkpoints().requested.store(true, Ordering::Relaxed);
    }

    /// Whether a checkpoint is being written.
    pub fn is_checkpointing(&self) -> bool {
        self.checkpoints().under_way.load(Ordering::Relaxed)
    }

    /// Keys that the checkpoint under way, or the last one, has looked at.
    pub fn checkpointed_keys(&self) -> u64 {
        self.checkpoints().looked_at.load(Ordering::Relaxed)
    }

    /// Checkpoints finished since the start.
    pub fn checkpoint_count(&self) -> u64 {
        self.checkpoints().finished.load(Ordering::Relaxed)
    }

    /// Bytes of the last checkpoint, 0 if there is none.
    pub fn checkpoint_size(&self) -> u64 {
        self.checkpoints().size.load(Ordering::Relaxed)
    }

    /// Bytes of checkpoints written since the start.
    pub fn checkpoint_written(&self) -> u64 {
        self.checkpoints().written.load(Ordering::Relaxed)
    }

    fn wants_checkpoint(&self) -> bool {
        let of = self.checkpoints();
        if self.log().is_full() {
            return false;
        }
        let due = self.options().checkpoint_bytes.max(LAST_TIMES * self.checkpoint_size());
        of.requested.load(Ordering::Relaxed)
            || self.log().appended().saturating_sub(of.start.load(Ordering::Relaxed)) >= due
    }

    /// Where the value of an entry can be found by who knows only that; `None` when it has to be logged whole before.
    fn place_of<'e>(&self, entry: &'e Entry) -> Option<Place<'e>> {
        let (lsn, options) = (entry.lsn(), self.options());
        if let Some(base) = entry.base() {
            // A few changes behind its image are read with it.
            let reach = 2 * live_cost(entry, false, options.part_bytes) as u64 + (4 << 10);
            return (lsn - base <= reach).then_some(Place::Frames(base));
        }
        if let Some(reference) = self.blobs().reference(lsn) {
            return Some(Place::Blob(reference));
        }
        if entry.is_cold() {
            return Some(Place::Image(entry.cold_length()));
        }
        let length = image_bytes(entry);
        if entry.object().is_none() && length <= LONGEST_HERE {
            return Some(Place::Here(entry.value()));
        }
        let longest = match entry.value_type() {
            STRING => options.blob_bytes,
            // The deadlines of its fields have to be seen.
            _ if Due::of(entry).has_fields => 0,
            _ => LONGEST_COLLECTION.min(options.part_bytes),
        };
        Some(if length < longest { Place::Image(length as u32) } else { Place::Frames(lsn) })
    }

    /// Whether the log behind a position has all of a key's value, or the key is gone.
    fn is_logged_since(&self, database: u8, key: &[u8], start: Lsn) -> bool {
        let key = self.key(key);
        let shard = self.shards().lock(key.shard());
        shard.find(database, &key).is_none_or(|entry| entry.base().unwrap_or(entry.lsn()) >= start)
    }

    /// Names a checkpoint in the manifest, and removes those that it makes superfluous.
    fn publish(&self, Done { checkpoint: done, bytes }: Done) -> Result<(), Error> {
        let mut manifest = self.manifest().lock();
        if done.start < manifest.base && !planted("checkpoint_outlives_log") {
            // Compaction was faster: the log does not reach back to its start any more.
            drop(manifest);
            let _ = self.disk().remove(&checkpoint::file_name(&self.options().name, done.number));
            return Ok(());
        }
        failpoint::hit("checkpoint.manifest.before")?;
        let mut next = manifest.clone();
        next.checkpoints.retain(|of| of.number != done.number);
        next.checkpoints.insert(0, done);
        let old = next.checkpoints.split_off(KEPT.min(next.checkpoints.len()));
        next.durable = next.durable.max(self.log().durable());
        let replace = || disk::replace(self.disk(), &self.options().name, &next.encode());
        match replace() {
            Err(e) if is_full(&e) && self.log().give_back_one() => replace()?,
            replaced => replaced?,
        }
        *manifest = next;
        drop(manifest);
        self.checkpoints().start.store(done.start, Ordering::Relaxed);
        self.checkpoints().size.store(bytes, Ordering::Relaxed);
        self.checkpoints().finished.fetch_add(1, Ordering::Relaxed);
        failpoint::hit("checkpoint.manifest.after")?;
        for of in old {
            failpoint::hit("checkpoint.unlink")?;
            // No manifest names it any more: if this fails, the next start removes it.
            let _ = self.disk().remove(&checkpoint::file_name(&self.options().name, of.number));
        }
        Ok(())
    }
}
