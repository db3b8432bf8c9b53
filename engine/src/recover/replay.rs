//! Replay: from frames to the state they describe, one transaction at a time.
//!
//! One rule is enough: a frame at or below its entry's LSN is skipped; a delta applies on top of exactly the frame it
//! names; any other delta breaks its key until an image or a tomb comes. A key broken at the end is corruption.

use std::collections::HashMap;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use crate::blobs::Blobs;
use crate::error::Error;
use crate::format::blob::Reference;
use crate::format::frame::{Frame, Kind};
use crate::format::u64_at;
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::figures::Figures;
use crate::keyspace::shard::{DATABASES, Key, Shard, Shards};
use crate::log::Lsn;
use crate::mutant::planted;
use crate::store::MAX_VALUE;
use crate::txn::{STRING, delta, live_cost};

/// A frame kept until its transaction is known to be whole.
struct Waiting {
    lsn: Lsn,
    kind: Kind,
    database: u8,
    value_type: u8,
    deadline: Option<u64>,
    previous: Option<Lsn>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The state so far.
pub(super) struct Replay<'a> {
    pub shards: Shards,
    pub figures: [Figures; DATABASES],
    pub map: [u8; DATABASES],
    pub newest_ms: u64,
    pub records: u64,
    secrets: RapidSecrets,
    blobs: &'a Blobs,
    waiting: Vec<Waiting>,
    /// Compaction may have dropped the segment in which a transaction began. All of it was durable then: frames below
    /// this position, before the first beginning of a transaction, count. 0 once a beginning was seen.
    headless_below: Lsn,
    /// Keys whose value cannot be known unless something later replaces it.
    broken: HashMap<(u8, Vec<u8>), &'static str>,
    blob_frames: HashMap<Lsn, (u8, Vec<u8>, Reference)>,
}

impl<'a> Replay<'a> {
    /// An empty state; everything below `durable` is known to have been durable.
    pub(super) fn new(secrets: RapidSecrets, blobs: &'a Blobs, durable: Lsn) -> Replay<'a> {
        let mut map = [0; DATABASES];
        for (logical, physical) in (0..).zip(&mut map) {
            *physical = logical;
        }
        Replay {
            shards: Shards::new(),
            figures: [Figures::default(); DATABASES],
            map,
            newest_ms: 0,
            records: 0,
            secrets,
            blobs,
            waiting: Vec::new(),
            headless_below: if planted("compacted_transaction_refused") { 0 } else { durable },
            broken: HashMap::new(),
            blob_frames: HashMap::new(),
        }
    }

    /// Takes the next frame of the log. Whether it makes sense.
    pub(super) fn apply(&mut self, frame: &Frame<'_>) -> bool {
        self.records += 1;
        let continued = !frame.first && self.waiting.is_empty() && frame.lsn < self.headless_below;
        if usize::from(frame.database) >= DATABASES || (frame.first != self.waiting.is_empty() && !continued) {
            return false;
        }
        if frame.first {
            self.headless_below = 0;
        }
        if continued || (frame.first && frame.last) {
            return self.apply_one(
                frame.lsn,
                frame.kind,
                frame.database,
                frame.value_type,
                (frame.deadline, frame.previous),
                frame.key,
                frame.value,
            );
        }
        self.waiting.push(Waiting {
            lsn: frame.lsn,
            kind: frame.kind,
            database: frame.database,
            value_type: frame.value_type,
            deadline: frame.deadline,
            previous: frame.previous,
            key: frame.key.to_vec(),
            value: frame.value.to_vec(),
        });
        if !frame.last {
            return true;
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting.iter().all(|w| {
            self.apply_one(w.lsn, w.kind, w.database, w.value_type, (w.deadline, w.previous), &w.key, &w.value)
        })
    }

    /// The log has ended: a transaction without its last frame never was.
    pub(super) fn drop_unfinished(&mut self) {
        self.records -= self.waiting.len() as u64;
        if planted("torn_tail_kept") {
            for w in std::mem::take(&mut self.waiting) {
                let times = (w.deadline, w.previous);
                self.apply_one(w.lsn, w.kind, w.database, w.value_type, times, &w.key, &w.value);
            }
        }
        self.waiting.clear();
    }

    /// Whether every key's value is known.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.broken.iter().next() {
            Some((_, what)) => Err(Error::Corrupt { file: "the log".to_owned(), offset: 0, what }),
            None => Ok(()),
        }
    }

    /// Tells the blobs which of them are named by live entries.
    pub(super) fn finish_blobs(&mut self) {
        for (lsn, (database, key, reference)) in std::mem::take(&mut self.blob_frames) {
            let hash = rapidhash_v3_seeded(&key, &self.secrets);
            let key = Key { bytes: &key, hash };
            let shard = self.shards.lock(key.shard());
            let named = shard.find(database, &key).filter(|entry| entry.base().unwrap_or(entry.lsn()) == lsn);
            if let Some(entry) = named {
                self.figures[usize::from(database)].live_bytes -= live_cost(entry, false) - live_cost(entry, true);
                self.blobs.insert(lsn, database, reference);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a frame, borrowed or kept, taken apart")]
    fn apply_one(
        &mut self,
        lsn: Lsn,
        kind: Kind,
        database: u8,
        value_type: u8,
        (deadline, previous): (Option<u64>, Option<Lsn>),
        bytes: &[u8],
        value: &[u8],
    ) -> bool {
        let key = Key { bytes, hash: rapidhash_v3_seeded(bytes, &self.secrets) };
        match kind {
            Kind::Mark => {
                if value.len() == 16 {
                    self.newest_ms = self.newest_ms.max(u64_at(value, 8));
                }
                value.len() == 16
            }
            Kind::Swap => {
                let known = value.len() == DATABASES && value.iter().all(|&to| usize::from(to) < DATABASES);
                if known {
                    self.map.copy_from_slice(value);
                }
                known
            }
            Kind::Flush => {
                self.flush(database, lsn);
                true
            }
            Kind::Tomb => {
                self.mend(database, bytes);
                self.remove(database, &key, lsn);
                true
            }
            Kind::Image => {
                self.mend(database, bytes);
                self.set(database, &key, Stored::copy(value), deadline, lsn);
                value_type == STRING && value.len() <= MAX_VALUE
            }
            Kind::Blob => {
                let Some(reference) = Reference::parse(value) else { return false };
                match self.blobs.read(&reference, MAX_VALUE as u64) {
                    Ok(Some(bytes)) => {
                        self.mend(database, key.bytes);
                        self.set(database, &key, Stored::own(bytes), deadline, lsn);
                        self.blob_frames.insert(lsn, (database, key.bytes.to_vec(), reference));
                    }
                    Ok(None) => self.break_key(database, bytes, "the file of a large value is missing"),
                    Err(_) => self.break_key(database, bytes, "the file of a large value is damaged"),
                }
                true
            }
            Kind::Delta => self.change(database, &key, previous, value, lsn),
        }
    }

    fn set(&mut self, database: u8, key: &Key<'_>, value: Stored<'_>, deadline: Option<u64>, lsn: Lsn) {
        let mut shard = self.shards.lock(key.shard());
        let mut was_volatile = false;
        match shard.find_mut(database, key) {
            Some(entry) => {
                was_volatile = entry.deadline().is_some();
                let before = entry.footprint() as i64;
                self.figures[usize::from(database)].live_bytes -= live_cost(entry, false);
                entry.replace(value, deadline, None, lsn);
                self.figures[usize::from(database)].live_bytes += live_cost(entry, false);
                self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
            }
            None => {
                let entry = Entry::new(key.bytes, value, deadline, lsn);
                self.figures[usize::from(database)].live_bytes += live_cost(&entry, false);
                self.figures[usize::from(database)].memory += entry.footprint() as i64;
                let secrets = &self.secrets;
                let table = shard.table_mut(database);
                let before = table.memory() as i64;
                table.insert(key.hash, entry, |entry| rapidhash_v3_seeded(entry.key(), secrets));
                self.figures[usize::from(database)].memory += table.memory() as i64 - before;
                self.figures[usize::from(database)].keys += 1;
            }
        }
        shard.note_deadline(database, was_volatile, deadline);
    }

    fn remove(&mut self, database: u8, key: &Key<'_>, lsn: Lsn) {
        let mut shard = self.shards.lock(key.shard());
        shard.last_removed = lsn;
        let Some(entry) = shard.table_mut(database).remove(key.hash, key.bytes) else { return };
        shard.note_deadline(database, entry.deadline().is_some(), None);
        self.figures[usize::from(database)].live_bytes -= live_cost(&entry, false);
        self.figures[usize::from(database)].memory -= entry.footprint() as i64;
        self.figures[usize::from(database)].keys -= 1;
    }

    fn flush(&mut self, database: u8, lsn: Lsn) {
        for mut shard in self.shards.lock_all() {
            shard.last_removed = lsn;
            drop(shard.take_table(database));
        }
        self.figures[usize::from(database)] = Figures::default();
        self.broken.retain(|(of, _), _| *of != database);
    }

    fn change(&mut self, database: u8, key: &Key<'_>, previous: Option<Lsn>, value: &[u8], lsn: Lsn) -> bool {
        let Some((&operation, rest)) = value.split_first() else { return false };
        let operand = (rest.len() >= 8).then(|| u64_at(rest, 0));
        let mut guard = self.shards.lock(key.shard());
        let shard: &mut Shard = &mut guard;
        let Some(entry) = shard.find_mut(database, key).filter(|entry| Some(entry.lsn()) == previous) else {
            drop(guard);
            self.break_key(database, key.bytes, "a change stands in the log without what it changes");
            return true;
        };
        let base = entry.base().unwrap_or(entry.lsn());
        let (before, cost_before) = (entry.footprint() as i64, live_cost(entry, false));
        let was_volatile = entry.deadline().is_some();
        let length = entry.value().len();
        match (operation, operand) {
            (delta::APPEND, _) if length + rest.len() <= MAX_VALUE => {
                entry.append(rest);
                if planted("delta_applied_twice") {
                    entry.append(rest);
                }
            }
            (delta::SET_RANGE, Some(offset)) if offset.saturating_add(rest.len() as u64 - 8) <= MAX_VALUE as u64 => {
                entry.set_range(offset as usize, &rest[8..]);
            }
            (delta::DEADLINE, Some(deadline)) => entry.set_deadline((deadline != 0).then_some(deadline)),
            _ => return false,
        }
        entry.set_base(Some(base));
        entry.set_lsn(lsn);
        self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
        self.figures[usize::from(database)].live_bytes += live_cost(entry, false) - cost_before;
        let deadline = entry.deadline();
        shard.note_deadline(database, was_volatile, deadline);
        true
    }

    fn mend(&mut self, database: u8, key: &[u8]) {
        if !self.broken.is_empty() {
            self.broken.remove(&(database, key.to_vec()));
        }
    }

    fn break_key(&mut self, database: u8, key: &[u8], what: &'static str) {
        self.broken.insert((database, key.to_vec()), what);
    }
}
