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
use crate::keyspace::access;
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::figures::Figures;
use crate::keyspace::shard::{DATABASES, Due, Key, Shard, Shards};
use crate::log::Lsn;
use crate::mutant::planted;
use crate::store::{MAX_VALUE, Options};
use crate::txn::{Collection, SAME_TRANSACTION, delta, live_cost};
use crate::value::{self, HASH, LIST, Limits, Malformed, SET, STRING, Slot, ZSET, op};

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
    limits: Limits,
    part_bytes: usize,
    /// When it is done, as [`access`] keeps it: when anything was used before is not known.
    access: u16,
    waiting: Vec<Waiting>,
    /// Where the transaction began that is being applied.
    began: Lsn,
    /// Compaction may have dropped the segment in which a transaction began. All of it was durable then: frames below
    /// this position, before the first beginning of a transaction, count. 0 once a beginning was seen.
    headless_below: Lsn,
    /// Keys whose value cannot be known unless something later replaces it.
    broken: HashMap<(u8, Vec<u8>), &'static str>,
    blob_frames: HashMap<Lsn, (u8, Vec<u8>, Reference)>,
}

impl<'a> Replay<'a> {
    /// An empty state; everything below `durable` is known to have been durable.
    pub(super) fn new(
        secrets: RapidSecrets,
        blobs: &'a Blobs,
        durable: Lsn,
        options: &Options,
        now_ms: u64,
    ) -> Replay<'a> {
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
            limits: options.limits,
            part_bytes: options.part_bytes,
            access: access::at(now_ms),
            waiting: Vec::new(),
            began: 0,
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
            self.began = frame.lsn;
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
        let passed_over = |w: &&Waiting| w.kind == Kind::Tomb && planted("renamed_not_buried");
        waiting.iter().filter(|w| !passed_over(w)).all(|w| {
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

    /// Keys so far, in all databases.
    pub(super) fn keys(&self) -> u64 {
        self.figures.iter().map(|of| of.keys).sum::<i64>().max(0) as u64
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
                self.figures[usize::from(database)].live_bytes -=
                    live_cost(entry, false, self.part_bytes) - live_cost(entry, true, self.part_bytes);
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
                let stored = match value_type {
                    STRING if value.len() <= MAX_VALUE => Stored::copy(value),
                    LIST..=ZSET => match value::load(value_type, value) {
                        // An empty collection is no value: its key would have gone.
                        Ok(Some(object)) if object.is_empty() => return false,
                        Ok(None) if value::len(value_type, value, None) == 0 => return false,
                        Ok(Some(_)) if planted("encoding_not_kept") => {
                            let mut other = Collection::new(value_type);
                            let code = match value_type {
                                LIST => op::LIST_PUSH_BACK,
                                HASH => op::HASH_LOAD,
                                SET => op::SET_ADD,
                                _ => op::ZSET_ADD,
                            };
                            let _ = value::apply(&mut other, &[&[code], &value[1..]].concat(), &self.limits);
                            self.set(database, &key, other.stored(), deadline, lsn);
                            return true;
                        }
                        Ok(Some(object)) => Stored::Object(Box::new(object)),
                        Ok(None) => Stored::Packed(value_type, value),
                        Err(Malformed) => return false,
                    },
                    _ => return false,
                };
                self.set(database, &key, stored, deadline, lsn);
                true
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
        let (due, now_due);
        match shard.find_mut(database, key) {
            Some(entry) => {
                due = Due::of(entry);
                let before = entry.footprint() as i64;
                self.figures[usize::from(database)].live_bytes -= live_cost(entry, false, self.part_bytes);
                drop(entry.replace(value, deadline, None, lsn));
                now_due = Due::of(entry);
                self.figures[usize::from(database)].live_bytes += live_cost(entry, false, self.part_bytes);
                self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
            }
            None => {
                let mut entry = Entry::new(key.bytes, value, deadline, lsn);
                entry.set_access(self.access);
                (due, now_due) = (Due::default(), Due::of(&entry));
                self.figures[usize::from(database)].live_bytes += live_cost(&entry, false, self.part_bytes);
                self.figures[usize::from(database)].memory += entry.footprint() as i64;
                let secrets = &self.secrets;
                let table = shard.table_mut(database);
                let before = table.memory() as i64;
                table.insert(key.hash, entry, |entry| rapidhash_v3_seeded(entry.key(), secrets));
                self.figures[usize::from(database)].memory += table.memory() as i64 - before;
                self.figures[usize::from(database)].keys += 1;
            }
        }
        shard.note_due(database, key.hash, due, now_due);
    }

    fn remove(&mut self, database: u8, key: &Key<'_>, lsn: Lsn) {
        let mut shard = self.shards.lock(key.shard());
        shard.last_removed = lsn;
        let table = shard.table_mut(database);
        let before = table.memory() as i64;
        let Some(entry) = table.remove(key.hash, key.bytes) else { return };
        self.figures[usize::from(database)].memory += table.memory() as i64 - before;
        shard.note_due(database, key.hash, Due::of(&entry), Due::default());
        self.figures[usize::from(database)].live_bytes -= live_cost(&entry, false, self.part_bytes);
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
        // What it changes is not what the table still holds.
        if !self.broken.is_empty() && self.broken.contains_key(&(database, key.bytes.to_vec())) {
            return true;
        }
        let operand = (rest.len() >= 8).then(|| u64_at(rest, 0));
        let mut guard = self.shards.lock(key.shard());
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
        let (before, cost_before) = (entry.footprint() as i64, live_cost(entry, false, self.part_bytes));
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
                    let _ = value::apply(entry, value, &self.limits);
                }
                let applied = value::apply(entry, value, &self.limits).is_ok();
                if !applied || value::len(entry.value_type(), entry.packed(), entry.object()) == 0 {
                    return false;
                }
            }
            _ => return false,
        }
        entry.set_base(Some(base));
        entry.set_lsn(lsn);
        self.figures[usize::from(database)].memory += entry.footprint() as i64 - before;
        self.figures[usize::from(database)].live_bytes += live_cost(entry, false, self.part_bytes) - cost_before;
        let now_due = Due::of(entry);
        shard.note_due(database, key.hash, due, now_due);
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
