//! A store: open it, run transactions on it, look over all of it, close it.

mod databases;
mod tally;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use crate::blobs::Blobs;
use crate::checkpoint::Checkpoints;
use crate::clock::Clock;
use crate::cold::spill::Spill;
use crate::cold::{Moved, SegmentFiles};
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::error::{Error, Refusal};
use crate::evict::Eviction;
use crate::format::StoreId;
use crate::format::blob::Reference;
use crate::format::manifest::Manifest;
use crate::garbage::Garbage;
use crate::heal::Damages;
use crate::keyspace::figures::{Figures, SharedFigures};
use crate::keyspace::hold::Holds;
use crate::keyspace::shard::{DATABASES, Guards, Key, SHARDS, Shards};
use crate::listener::{Attention, Listener};
use crate::log::{Log, Lsn, Need};
use crate::options::Options;
use crate::recover::{self, Recovery};
use crate::txn::{Item, Transaction};
use crate::value::{Limits, SharedLimits, Slot};

/// Length of the one segment of a store that takes no writes.
const STAND_IN_SEGMENT: u64 = 64 << 10;
/// Longest value.
pub const MAX_VALUE: usize = 512 << 20;

/// An open store. All methods take `&self`; share it in an [`Arc`].
pub struct Store {
    shards: Shards,
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    id: StoreId,
    segment_files: SegmentFiles,
    moved: Moved,
    spill: Spill,
    clock: Arc<dyn Clock>,
    secrets: RapidSecrets,
    options: Options,
    map: [AtomicU8; DATABASES],
    /// The map as it is now stands in the log here or further on; 0 while that is not known.
    map_at: AtomicU64,
    figures: [SharedFigures; DATABASES],
    expired: AtomicU64,
    expired_fields: AtomicU64,
    pub(crate) expire_lag_ms: AtomicU64,
    pub(crate) sweeps: AtomicBool,
    pub(crate) expiry_held_until_ms: AtomicU64,
    limits: SharedLimits,
    eviction: Eviction,
    holds: Holds,
    attention: Attention,
    listener: OnceLock<Arc<dyn Listener>>,
    garbage: Mutex<Vec<Garbage>>,
    compacting: AtomicBool,
    /// Somebody has asked that everything below be written anew.
    compact_until: AtomicU64,
    /// Bytes of log that compaction reads in a second; 0 for as many as it can.
    compaction_rate: AtomicU64,
    blobs: Blobs,
    manifest: Mutex<Manifest>,
    checkpoints: Checkpoints,
    /// The manifest's base, for those who do not wait until it is written.
    log_base: AtomicU64,
    /// First LSNs of all segments in use, by number.
    segments: Mutex<BTreeMap<u64, Lsn>>,
    damages: Damages,
    recovery: Recovery,
    _lock: Box<dyn Send + Sync>,
}

/// What [`Store::open`] puts together.
pub(crate) struct Parts {
    pub shards: Shards,
    pub log: Arc<Log>,
    pub blobs: Blobs,
    pub manifest: Manifest,
    pub segments: BTreeMap<u64, Lsn>,
    pub figures: [Figures; DATABASES],
    pub map: [u8; DATABASES],
    pub recovery: Recovery,
    pub checkpoints: Checkpoints,
    pub lock: Box<dyn Send + Sync>,
}

impl Store {
    /// Opens the store in a directory, or makes a new one where there is none, and recovers what a crash left. When
    /// it returns, everything it found is durable.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, options: Options) -> Result<Arc<Store>, Error> {
        let parts = recover::open(&disk, &clock, &options)?;
        Ok(Arc::new(Store::of_parts(parts, disk, clock, options)))
    }

    /// A store of what was recovered.
    pub(crate) fn of_parts(parts: Parts, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, options: Options) -> Store {
        let limits = options.limits;
        let spill = Spill::new(options.memory_goal);
        if parts.figures.iter().any(|of| of.cold != 0) {
            spill.note_cold();
        }
        let store = Store {
            secrets: secrets(&parts.manifest.hash_seed),
            shards: parts.shards,
            log: parts.log,
            disk,
            id: parts.manifest.id,
            segment_files: SegmentFiles::default(),
            moved: Moved::default(),
            spill,
            clock,
            options,
            map: parts.map.map(AtomicU8::new),
            map_at: AtomicU64::new(0),
            figures: parts.figures.map(SharedFigures::new),
            log_base: AtomicU64::new(parts.manifest.base),
            expired: AtomicU64::new(0),
            expired_fields: AtomicU64::new(0),
            expire_lag_ms: AtomicU64::new(0),
            sweeps: AtomicBool::new(true),
            expiry_held_until_ms: AtomicU64::new(0),
            limits: SharedLimits::new(&limits),
            eviction: Eviction::default(),
            holds: Holds::default(),
            garbage: Mutex::default(),
            attention: Attention::default(),
            listener: OnceLock::new(),
            compacting: AtomicBool::new(false),
            compact_until: AtomicU64::new(0),
            compaction_rate: AtomicU64::new(0),
            blobs: parts.blobs,
            checkpoints: parts.checkpoints,
            manifest: Mutex::new(parts.manifest),
            segments: Mutex::new(parts.segments),
            damages: Damages::new(parts.recovery.kept_segments),
            recovery: parts.recovery,
            _lock: parts.lock,
        };
        store.make_tables();
        if store.keeps_order() {
            store.make_order();
        }
        store
    }

    /// Makes the tables of the first database as large as its keys are expected to need.
    fn make_tables(&self) {
        let entries = usize::try_from(self.options.expected_keys / SHARDS as u64).unwrap_or(0);
        if entries == 0 {
            return;
        }
        let physical = self.physical(0);
        for index in 0..SHARDS {
            let mut shard = self.shards.lock(index);
            let table = shard.table_mut(physical);
            let before = table.memory();
            table.reserve(entries, |entry| self.hash(entry.key()));
            self.account(physical, (table.memory() - before) as i64, 0);
        }
    }

    /// An empty store in memory, for those who must have one while theirs is being opened. It takes no writes: nobody
    /// would find them again.
    pub fn stand_in(clock: Arc<dyn Clock>) -> Result<Arc<Store>, Error> {
        let options = Options { segment_bytes: STAND_IN_SEGMENT, ..Options::default() };
        Store::open(Arc::new(SimDisk::new(0)), clock, options)
    }

    /// A key with its hash.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hash(bytes) }
    }

    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        rapidhash_v3_seeded(bytes, &self.secrets)
    }

    /// Begins a transaction on these keys of a database, at a time.
    #[inline]
    pub fn begin(&self, database: u8, keys: &[Key<'_>], now_ms: u64) -> Transaction<'_> {
        Transaction::new(self, Guards::lock(&self.shards, keys), database, now_ms)
    }

    /// Begins a transaction that may touch any key.
    pub fn begin_all(&self, database: u8, now_ms: u64) -> Transaction<'_> {
        let mut transaction = Transaction::new(self, Guards::lock_all(&self.shards), database, now_ms);
        transaction.time_hold();
        transaction
    }

    /// Brings the memory that a request will need towards the processor: first all buckets, then all entries.
    #[inline]
    pub fn prefetch(&self, database: u8, keys: &[Key<'_>]) {
        let physical = self.physical(database);
        for key in keys {
            if let Some(table) = self.shards.lock(key.shard()).table(physical) {
                table.prefetch_bucket(key.hash);
            }
        }
        for key in keys {
            if let Some(table) = self.shards.lock(key.shard()).table(physical) {
                table.prefetch_entry(key.hash);
            }
        }
    }

    /// The same for fields or members of one collection, if it is large; `names` gives them when it is told the type.
    pub fn prefetch_elements<'n, N: Iterator<Item = &'n [u8]>>(
        &self,
        database: u8,
        key: &Key<'_>,
        names: impl FnOnce(u8) -> N,
    ) {
        let shard = self.shards.lock(key.shard());
        let entry = shard.table(self.physical(database)).and_then(|table| table.find(key.hash, key.bytes));
        if let Some(object) = entry.and_then(Slot::object) {
            object.prefetch(names(object.value_type()));
        }
    }

    /// Whether a write of about `bytes` may be begun.
    #[inline]
    pub fn admit(&self, need: Need, bytes: u64) -> Result<(), Refusal> {
        self.log.admit(need, bytes)
    }

    /// Milliseconds since the epoch, for deadlines.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.log.now_ms()
    }

    /// The clock of this store.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The log, for marks, modes and figures.
    #[inline]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Whether anybody wants to hear what transactions do.
    #[inline]
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// Sets who hears what transactions do: once, before there are any.
    pub fn set_listener(&self, listener: Arc<dyn Listener>) {
        // A second one would be a mistake of the caller; the first stays.
        let _ = self.listener.set(listener);
    }

    #[inline]
    pub(crate) fn listener(&self) -> Option<&dyn Listener> {
        self.listener.get().map(|listener| &**listener)
    }

    /// What was found at the start.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How the store was opened.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Bytes of log kept, live or not.
    pub fn log_bytes(&self) -> u64 {
        self.log.appended() - self.log_base.load(Ordering::Relaxed)
    }

    /// Asks that the log be compacted up to its present end, whatever is garbage in it. It goes on behind.
    pub fn compact(&self) {
        self.compact_until.fetch_max(self.log.appended(), Ordering::Relaxed);
    }

    pub(crate) fn compact_until(&self) -> Lsn {
        self.compact_until.load(Ordering::Relaxed)
    }

    pub(crate) fn log_base(&self) -> Lsn {
        self.log_base.load(Ordering::Relaxed)
    }

    /// Sets how many bytes of log compaction reads in a second; 0 for as many as it can.
    pub fn set_compaction_rate(&self, bytes_per_second: u64) {
        self.compaction_rate.store(bytes_per_second, Ordering::Relaxed);
    }

    pub(crate) fn compaction_rate(&self) -> u64 {
        self.compaction_rate.load(Ordering::Relaxed)
    }

    /// How long shards were held.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Whether the log is being compacted.
    pub fn is_compacting(&self) -> bool {
        self.compacting.load(Ordering::Relaxed)
    }

    /// Removes all keys of some databases, in a transaction of its own. The position to wait for.
    pub fn flush(&self, databases: &[u8]) -> Lsn {
        let mut transaction = self.begin_all(0, self.now_ms());
        transaction.flush(databases);
        transaction.commit()
    }

    /// Writes a large value to a file of its own, before the transaction that stores it. Blocks on the disk.
    pub fn write_blob(&self, value: &[u8]) -> std::io::Result<Reference> {
        self.blobs.write(value)
    }

    /// Gives up a blob, unless a transaction has stored it.
    pub fn discard_blob(&self, reference: Reference) {
        if self.blobs.claim(reference.number) {
            self.blobs.retire(self.log.appended(), vec![reference.number]);
        }
    }

    /// Makes everything durable and leaves a mark. Nothing may be written afterwards.
    pub fn close(&self) {
        let _ = crate::failpoint::hit("shutdown.before");
        self.log.close();
        let _ = crate::failpoint::hit("shutdown.after");
    }

    /// The logical database that a physical one is now.
    pub(crate) fn logical(&self, physical: u8) -> u8 {
        let at = self.map.iter().position(|to| to.load(Ordering::Relaxed) == physical);
        at.map_or(physical, |logical| logical as u8)
    }

    #[inline]
    pub(crate) fn physical(&self, database: u8) -> u8 {
        self.map[usize::from(database)].load(Ordering::Relaxed)
    }

    pub(crate) fn shards(&self) -> &Shards {
        &self.shards
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The manifest has been written with another base.
    pub(crate) fn garbage(&self) -> &Mutex<Vec<Garbage>> {
        &self.garbage
    }

    pub(crate) fn set_log_base(&self, base: Lsn) {
        self.log_base.store(base, Ordering::Relaxed);
    }

    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) fn segment_files(&self) -> &SegmentFiles {
        &self.segment_files
    }

    pub(crate) fn moved(&self) -> &Moved {
        &self.moved
    }

    pub(crate) fn spill(&self) -> &Spill {
        &self.spill
    }

    /// Number and first LSN of the segment that holds a position.
    pub(crate) fn segment_of(&self, lsn: Lsn) -> (u64, Lsn) {
        let segments = self.segments.lock();
        let holds = segments.iter().rev().find(|(_, base)| **base <= lsn);
        holds.map_or((0, 0), |(&number, &base)| (number, base))
    }

    pub(crate) fn damages(&self) -> &Damages {
        &self.damages
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    pub(crate) fn manifest(&self) -> &Mutex<Manifest> {
        &self.manifest
    }

    pub(crate) fn segments(&self) -> &Mutex<BTreeMap<u64, Lsn>> {
        &self.segments
    }

    #[inline]
    pub(crate) fn eviction(&self) -> &Eviction {
        &self.eviction
    }

    pub(crate) fn set_compacting(&self, compacting: bool) {
        self.compacting.store(compacting, Ordering::Relaxed);
    }

    /// What decides when a collection leaves its packed form.
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits.load()
    }

    /// Changes what decides when a collection leaves its packed form.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(&limits);
    }
}

/// The hash secrets of a store.
pub(crate) fn secrets(seed: &[u8; 16]) -> RapidSecrets {
    RapidSecrets::seed(crate::format::u64_at(seed, 0) ^ crate::format::u64_at(seed, 8).rotate_left(32))
}

/// A value as bytes that can outlive the transaction.
pub fn owned(item: Item<'_>) -> Bytes {
    item.shared().cloned().unwrap_or_else(|| Bytes::copy_from_slice(item.string().unwrap_or_default()))
}
