//! A lane of a replay: some of the shards, and the frames of their keys in the order of the log.
//!
//! One rule is enough: a frame at or below its entry's LSN is skipped; a delta applies on top of exactly the frame it
//! names; any other delta breaks its key until an image or a tomb comes. A key broken at the end is corruption.
//!
//! When memory holds as much as it should, values are left to the log alone; a change of one reads it back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::checkpoint::Unusable;
use super::progress::Progress;
use super::source::Source;
use crate::blobs::Blobs;
use crate::cold::spill::LONGEST_COLLECTION;
use crate::cold::{Want, stored_of};
use crate::format::blob::Reference;
use crate::format::checkpoint::{Place, Record};
use crate::format::frame::{Frame, Kind};
use crate::format::{lost, u64_at};
use crate::keyspace::access;
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::figures::Figures;
use crate::keyspace::shard::{DATABASES, Due, Key, SHARDS, Shard, Shards};
use crate::log::Lsn;
use crate::mutant::planted;
use crate::options::Options;
use crate::store::MAX_VALUE;
use crate::txn::{Collection, SAME_TRANSACTION, delta, live_cost};
use crate::value::{self, HASH, HashView, LIST, Limits, SET, STRING, Slot, ZSET, op};

/// What all lanes share.
pub(super) struct Common<'a> {
    pub shards: Shards,
    pub secrets: RapidSecrets,
    pub blobs: &'a Blobs,
    pub source: Source<'a>,
    options: &'a Options,
    /// Where the log begins.
    log_base: Lsn,
    /// Whether what is found is to be served, as [`super::find::Finder`] says.
    serves: bool,
    limits: Limits,
    part_bytes: usize,
    /// When it is done, as [`access`] keeps it: when anything was used before is not known.
    access: u16,
    /// Bytes of memory that all lanes take.
    memory: AtomicI64,
    /// Bytes of segments that are at hand.
    held: AtomicU64,
}

/// Why a key's value cannot be known.
pub(super) struct Broken {
    pub what: &'static str,
    /// The file that holds it, if it is there.
    pub blob: Option<u64>,
}

/// Whether it is a hash with fields that have a deadline: those have to be seen.
fn has_field_deadlines(stored: &Stored<'_>) -> bool {
    let next = match stored {
        Stored::Packed(HASH, packed) => HashView::new(packed, None, 0).next_deadline(),
        Stored::Object(object) if object.value_type() == HASH => HashView::new(&[], Some(object), 0).next_deadline(),
        _ => None,
    };
    next.is_some()
}

/// Shorter values stay in memory: the entry is about as long without them.
const SHORTEST_COLD: usize = 64;

impl<'a> Common<'a> {
    pub(super) fn new(
        secrets: RapidSecrets,
        blobs: &'a Blobs,
        source: Source<'a>,
        options: &'a Options,
        log_base: Lsn,
        now_ms: u64,
        serves: bool,
    ) -> Common<'a> {
        Common {
            shards: Shards::new(),
            secrets,
            blobs,
            source,
            options,
            log_base,
            serves,
            limits: options.limits,
            part_bytes: options.part_bytes,
            access: access::at(now_ms),
            memory: AtomicI64::new(0),
            held: AtomicU64::new(0),
        }
    }

    /// Bytes of memory that keys and values should take at most.
    pub(super) fn memory_goal(&self) -> u64 {
        self.options.memory_goal
    }

    /// So many bytes of segments are at hand.
    pub(super) fn hold(&self, bytes: u64) {
        self.held.store(bytes, Ordering::Relaxed);
    }

    /// Who is told how far it is.
    pub(super) fn progress(&self) -> &Progress {
        &self.options.progress
    }

    pub(super) fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        rapidhash_v3_seeded(key, &self.secrets)
    }

    /// Removes a key from its shard, and from what is counted.
    pub(super) fn remove(&self, figures: &mut [Figures; DATABASES], database: u8, key: &Key<'_>, lsn: Lsn) {
        let figures = &mut figures[usize::from(database)];
        let mut shard = self.shards.lock(key.shard());
        shard.last_removed = lsn;
        let table = shard.table_mut(database);
        let before = table.memory() as i64;
        let Some(entry) = table.remove(key.hash, key.bytes) else { return };
        figures.memory += table.memory() as i64 - before;
        shard.note_due(database, key.hash, Due::of(&entry), Due::default());
        figures.live_bytes -= live_cost(&entry, false, self.part_bytes);
        figures.memory -= entry.footprint() as i64;
        figures.keys -= 1;
        figures.cold -= i64::from(entry.is_cold());
    }
}

/// The lane, of so many, that has the shard of a hash.
pub(super) fn lane_of(hash: u64, lanes: usize) -> usize {
    lane_of_shard(Key { bytes: b"", hash }.shard(), lanes)
}

fn lane_of_shard(shard: usize, lanes: usize) -> usize {
    shard * lanes / SHARDS
}

/// Some shards, and what was found for them.
pub(super) struct Lane<'c> {
    common: &'c Common<'c>,
    index: usize,
    lanes: usize,
    pub figures: [Figures; DATABASES],
    /// What of its figures the others know of.
    told: (i64, i64),
    /// Where the transaction began that is being applied.
    began: Lsn,
    /// The lowest position that a checkpoint has named.
    pub lowest: Lsn,
    /// Entries may be ahead of frames below this position.
    ahead_below: Lsn,
    /// Keys whose value cannot be known unless something later replaces it.
    pub broken: HashMap<(u8, Vec<u8>), Broken>,
    pub blob_frames: HashMap<Lsn, (u8, Vec<u8>, Reference)>,
}

impl<'c> Lane<'c> {
    /// One of so many lanes.
    pub(super) fn new(common: &'c Common<'c>, index: usize, lanes: usize) -> Lane<'c> {
        Lane {
            common,
            index,
            lanes,
            figures: [Figures::default(); DATABASES],
            told: (0, 0),
            began: 0,
            lowest: Lsn::MAX,
            ahead_below: 0,
            broken: HashMap::new(),
            blob_frames: HashMap::new(),
        }
    }

    /// Takes the next frame of a key with this hash, of a transaction that began there; or one about a whole database.
    /// Whether it makes sense.
    pub(super) fn apply(&mut self, frame: &Frame<'_>, hash: u64, began: Lsn) -> bool {
        self.began = began;
        let key = Key { bytes: frame.key, hash };
        let (database, value, deadline, lsn) = (frame.database, frame.value, frame.deadline, frame.lsn);
        if self.knows(database, &key, lsn) && !planted("checkpoint_frames_repeated") {
            return true;
        }
        match frame.kind {
            // The front has done these.
            Kind::Mark | Kind::Swap => true,
            Kind::Flush => {
                self.flush(database, lsn);
                true
            }
            Kind::Tomb => {
                self.mend(database, key.bytes);
                self.common.remove(&mut self.figures, database, &key, lsn);
                true
            }
            Kind::Image => {
                self.mend(database, key.bytes);
                self.image(&key, frame)
            }
            Kind::Blob => {
                let Some(reference) = Reference::parse(value) else { return false };
                self.blob(database, &key, reference, deadline, lsn);
                true
            }
            Kind::Lost => self.lose(&key, frame),
            Kind::Delta => self.change(database, &key, frame.previous, value, lsn),
        }
    }

    /// Whether the entry of a key holds this frame already: a checkpoint has brought a later one.
    fn knows(&self, database: u8, key: &Key<'_>, lsn: Lsn) -> bool {
        // Only what comes from a checkpoint is ahead of the log.
        lsn < self.ahead_below
            && self.common.shards.lock(key.shard()).find(database, key).is_some_and(|entry| entry.lsn() >= lsn)
    }

    /// Whether some of these shards are its own.
    pub(super) fn has_some_of(&self, first: usize, last: usize) -> bool {
        first <= last && lane_of_shard(first, self.lanes) <= self.index && self.index <= lane_of_shard(last, self.lanes)
    }

    /// Takes what a checkpoint says of a key, if that is one of its own. Whether it is.
    pub(super) fn take_record(&mut self, record: &Record<'_>) -> Result<bool, Unusable> {
        let hash = self.common.hash(record.key);
        if lane_of(hash, self.lanes) != self.index {
            return Ok(false);
        }
        let Record { value_type, database, lsn, deadline, .. } = *record;
        let key = Key { bytes: record.key, hash };
        let base = if let Place::Frames(base) = record.place { base } else { lsn };
        self.lowest = self.lowest.min(base);
        self.ahead_below = self.ahead_below.max(lsn + 1);
        // A key that was moved by the growth of its table may be there twice.
        if self.knows(database, &key, lsn) {
            return Ok(true);
        }
        match record.place {
            Place::Image(length) => self.set(database, &key, Stored::Cold(value_type, length), deadline, lsn),
            Place::Blob(reference) => {
                let length = u32::try_from(reference.length).map_err(|_| "a value is longer than any")?;
                self.set(database, &key, Stored::Cold(STRING, length), deadline, lsn);
                self.blob_frames.insert(lsn, (database, key.bytes.to_vec(), reference));
            }
            Place::Here(value) => {
                let stored = stored_of(value_type, value).ok_or("a value makes no sense")?;
                self.set(database, &key, stored, deadline, lsn);
            }
            // Compaction has gone beyond them, so the log holds the value again behind the checkpoint's start: that will
            // replace this, or it will be missed.
            Place::Frames(base) if base < self.common.log_base => {
                self.set(database, &key, Stored::Cold(value_type, 0), deadline, base);
            }
            Place::Frames(base) => self.take_frames(database, &key, base, lsn)?,
        }
        Ok(true)
    }

    /// Replays the frames of a key from its image to the last.
    fn take_frames(&mut self, database: u8, key: &Key<'_>, base: Lsn, last: Lsn) -> Result<(), Unusable> {
        let common = self.common;
        let mut sense = true;
        common.source.frames(base, last, &mut |frame| {
            if frame.key == key.bytes && frame.database == database {
                sense &= self.apply(frame, key.hash, base);
            }
        })?;
        // A large value that was replaced since has no file any more: what replaced it comes, or it will be missed.
        if self.broken.contains_key(&(database, key.bytes.to_vec())) {
            return Ok(());
        }
        let shard = common.shards.lock(key.shard());
        match shard.find(database, key).is_some_and(|entry| sense && entry.lsn() == last) {
            true => Ok(()),
            false => Err("the log does not hold a value where it should".to_owned()),
        }
    }

    /// Counts bytes of a checkpoint that were read.
    pub(super) fn note_loaded(&self, bytes: u64) {
        self.common.progress().add_loaded_bytes(bytes);
    }

    /// Lets the others know how much there is.
    pub(super) fn tell(&mut self) {
        let sum = |of: fn(&Figures) -> i64| self.figures.iter().map(of).sum::<i64>();
        let now = (sum(|of| of.memory), sum(|of| of.keys));
        self.common.memory.fetch_add(now.0 - self.told.0, Ordering::Relaxed);
        self.common.progress().add_keys(now.1 - self.told.1);
        self.told = now;
    }

    /// Whether a value of this length is left to the log alone.
    fn leaves(&self, length: usize) -> bool {
        let memory = self.common.memory.load(Ordering::Relaxed).max(0) as u64;
        let goal = self.common.memory_goal();
        // What is read from takes of it too, but not all.
        let held = self.common.held.load(Ordering::Relaxed).min(goal / 2);
        length >= SHORTEST_COLD && length <= u32::MAX as usize && memory >= goal - held
    }

    /// Stores a whole value. Whether it makes sense.
    fn image(&mut self, key: &Key<'_>, frame: &Frame<'_>) -> bool {
        let Frame { database, value_type, value, deadline, lsn, .. } = *frame;
        let leaves = self.leaves(value.len());
        if value_type == STRING && leaves && value.len() <= MAX_VALUE {
            self.set(database, key, Stored::Cold(STRING, value.len() as u32), deadline, lsn);
            return true;
        }
        let Some(mut stored) = stored_of(value_type, value) else { return false };
        let longest = LONGEST_COLLECTION.min(self.common.part_bytes);
        if leaves && value_type != STRING && value.len() < longest && !has_field_deadlines(&stored) {
            stored = Stored::Cold(value_type, value.len() as u32);
        }
        if matches!(stored, Stored::Object(_)) && planted("encoding_not_kept") {
            let mut other = Collection::new(value_type);
            let code = match value_type {
                LIST => op::LIST_PUSH_BACK,
                HASH => op::HASH_LOAD,
                SET => op::SET_ADD,
                _ => op::ZSET_ADD,
            };
            let _ = value::apply(&mut other, &[&[code], &value[1..]].concat(), &self.common.limits);
            self.set(database, key, other.stored(), deadline, lsn);
            return true;
        }
        self.set(database, key, stored, deadline, lsn);
        true
    }

    /// Notes a key whose value was lost earlier. Whether that makes sense.
    fn lose(&mut self, key: &Key<'_>, frame: &Frame<'_>) -> bool {
        let Frame { database, value_type, value, deadline, lsn, .. } = *frame;
        let Some(place) = lost::Place::parse(value).filter(|_| value_type <= ZSET) else { return false };
        match self.common.serves {
            true => {
                self.mend(database, key.bytes);
                self.set(database, key, Stored::Cold(value_type, place.length), deadline, lsn);
            }
            false => self.break_key(database, key.bytes, lost::WHAT),
        }
        true
    }

    /// Stores a value that lies in a file of its own.
    fn blob(&mut self, database: u8, key: &Key<'_>, reference: Reference, deadline: Option<u64>, lsn: Lsn) {
        let length = usize::try_from(reference.length).ok().filter(|length| *length <= MAX_VALUE);
        let cold = length.filter(|length| self.leaves(*length)).map(|length| Stored::Cold(STRING, length as u32));
        let stored = match cold {
            // Whether its file is there is looked at when it is known that nothing later replaces it.
            Some(cold) if self.common.serves => cold,
            cold => match self.common.blobs.read(&reference, MAX_VALUE as u64) {
                Ok(Some(bytes)) => cold.unwrap_or_else(|| Stored::own(bytes)),
                Ok(None) => return self.break_key(database, key.bytes, "the file of a large value is missing"),
                Err(_) => {
                    let blob = Some(reference.number);
                    return self.note_broken(database, key.bytes, "the file of a large value is damaged", blob);
                }
            },
        };
        self.mend(database, key.bytes);
        self.set(database, key, stored, deadline, lsn);
        self.blob_frames.insert(lsn, (database, key.bytes.to_vec(), reference));
    }

    /// Puts the value of an entry that has it in the log only in memory. Whether there is one that can be read.
    fn warm(&mut self, database: u8, key: &Key<'_>) -> bool {
        let common = self.common;
        let mut shard = common.shards.lock(key.shard());
        let Some(entry) = shard.find_mut(database, key).filter(|entry| entry.is_cold()) else { return true };
        let want = Want::of(database, entry);
        let is_blob = self.blob_frames.contains_key(&want.lsn);
        let Ok(read) = common.source.read(&want, is_blob, common.blobs) else { return false };
        let (before, cost_before) = (entry.footprint() as i64, live_cost(entry, false, common.part_bytes));
        entry.warm(read.to_entry());
        let figures = &mut self.figures[usize::from(database)];
        figures.memory += entry.footprint() as i64 - before;
        figures.live_bytes += live_cost(entry, false, common.part_bytes) - cost_before;
        figures.cold -= 1;
        true
    }

    fn set(&mut self, database: u8, key: &Key<'_>, value: Stored<'_>, deadline: Option<u64>, lsn: Lsn) {
        let mut shard = self.common.shards.lock(key.shard());
        let (due, now_due);
        match shard.find_mut(database, key) {
            Some(entry) => {
                due = Due::of(entry);
                let before = entry.footprint() as i64;
                self.figures[usize::from(database)].live_bytes -= live_cost(entry, false, self.common.part_bytes);
                let was_cold = i64::from(entry.is_cold());
                drop(entry.replace(value, deadline, None, lsn));
                self.figures[usize::from(database)].cold += i64::from(entry.is_cold()) - was_cold;
                now_due = Due::of(entry);
                self.figures[usize::from(database)].live_bytes += live_cost(entry, false, self.common.part_bytes);
                self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
            }
            None => {
                let mut entry = Entry::new(key.bytes, value, deadline, lsn);
                entry.set_access(self.common.access);
                let is_cold = entry.is_cold();
                (due, now_due) = (Due::default(), Due::of(&entry));
                self.figures[usize::from(database)].live_bytes += live_cost(&entry, false, self.common.part_bytes);
                self.figures[usize::from(database)].memory += entry.footprint() as i64;
                let secrets = &self.common.secrets;
                let table = shard.table_mut(database);
                let before = table.memory() as i64;
                table.insert(key.hash, entry, |entry| rapidhash_v3_seeded(entry.key(), secrets));
                self.figures[usize::from(database)].memory += table.memory() as i64 - before;
                self.figures[usize::from(database)].keys += 1;
                self.figures[usize::from(database)].cold += i64::from(is_cold);
            }
        }
        shard.note_due(database, key.hash, due, now_due);
    }

    fn flush(&mut self, database: u8, lsn: Lsn) {
        for shard in (0..SHARDS).filter(|shard| lane_of_shard(*shard, self.lanes) == self.index) {
            let mut shard = self.common.shards.lock(shard);
            shard.last_removed = lsn;
            drop(shard.take_table(database));
        }
        self.figures[usize::from(database)] = Figures::default();
        self.broken.retain(|(of, _), _| *of != database);
    }

    fn change(&mut self, database: u8, key: &Key<'_>, previous: Option<Lsn>, value: &[u8], lsn: Lsn) -> bool {
        let Some((&operation, rest)) = value.split_first() else { return false };
        // What it changes is not what the table still holds.
        if !self.broken.is_empty() && self.broken.contains_key(&(database, key.bytes.to_vec())) {
            return true;
        }
        if !self.warm(database, key) {
            self.break_key(database, key.bytes, "what a change stands upon cannot be read");
            return true;
        }
        let operand = (rest.len() >= 8).then(|| u64_at(rest, 0));
        let mut guard = self.common.shards.lock(key.shard());
        let shard: &mut Shard = &mut guard;
        let began = self.began;
        let builds_on = |entry: &&mut Entry| match previous {
            Some(SAME_TRANSACTION) => entry.lsn() >= began || planted("same_transaction_of_another"),
            previous => Some(entry.lsn()) == previous,
        };
        let Some(entry) = shard.find_mut(database, key).filter(builds_on) else {
            drop(guard);
            self.break_key(database, key.bytes, "a change stands in the log without what it changes");
            return true;
        };
        let base = entry.base().unwrap_or(entry.lsn());
        let (before, cost_before) = (entry.footprint() as i64, live_cost(entry, false, self.common.part_bytes));
        let due = Due::of(entry);
        let (length, is_string) = (entry.value().len(), entry.value_type() == STRING);
        match (operation, operand) {
            (delta::APPEND, _) if is_string && length + rest.len() <= MAX_VALUE => {
                entry.append(rest);
                if planted("delta_applied_twice") {
                    entry.append(rest);
                }
            }
            (delta::SET_RANGE, Some(offset))
                if is_string && offset.saturating_add(rest.len() as u64 - 8) <= MAX_VALUE as u64 =>
            {
                entry.set_range(offset as usize, &rest[8..]);
            }
            (delta::DEADLINE, Some(_)) if planted("deadline_not_replayed") => {}
            (delta::DEADLINE, Some(deadline)) => entry.set_deadline((deadline != 0).then_some(deadline)),
            _ if value::type_of_operation(value) == Some(entry.value_type()) && planted("operation_not_replayed") => {}
            _ if value::type_of_operation(value) == Some(entry.value_type()) => {
                let is_push = matches!(operation, op::LIST_PUSH_BACK | op::LIST_PUSH_FRONT);
                if is_push && planted("delta_applied_twice") {
                    let _ = value::apply(entry, value, &self.common.limits);
                }
                let applied = value::apply(entry, value, &self.common.limits).is_ok();
                if !applied || value::len(entry.value_type(), entry.packed(), entry.object()) == 0 {
                    return false;
                }
            }
            _ => return false,
        }
        entry.set_base(Some(base));
        entry.set_lsn(lsn);
        self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
        self.figures[usize::from(database)].live_bytes += live_cost(entry, false, self.common.part_bytes) - cost_before;
        let now_due = Due::of(entry);
        shard.note_due(database, key.hash, due, now_due);
        true
    }

    fn mend(&mut self, database: u8, key: &[u8]) {
        if !self.broken.is_empty() {
            self.broken.remove(&(database, key.to_vec()));
        }
    }

    /// The value of a key cannot be known.
    pub(super) fn break_key(&mut self, database: u8, key: &[u8], what: &'static str) {
        self.note_broken(database, key, what, None);
    }

    fn note_broken(&mut self, database: u8, key: &[u8], what: &'static str, blob: Option<u64>) {
        self.broken.insert((database, key.to_vec()), Broken { what, blob });
    }
}
