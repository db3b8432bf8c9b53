//! Clients of one life: operations on the store and, the same, on the model; replies that wait for their position.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::cold::Fetched;
use engine::disk::sim::SimDisk;
use engine::log::STALL_US;
use engine::random::Random;
use engine::value::{HASH, LIST, SET, STRING, ZSET, op};
use engine::{FsyncMode, KeyRange, Lsn, Need, Reference, Refusal, Store, Transaction, Use, Value};

use crate::content::{Change, Content, Element};
use crate::evictions::{self, Evictions};
use crate::model::{Cell, Model, Verdict};

/// The keys of a run: names in two databases.
pub struct Keys {
    names: Vec<(u8, Vec<u8>)>,
    numbers: BTreeMap<(u8, Vec<u8>), usize>,
    in_each: usize,
}

const DATABASES: [u8; 2] = [0, 5];

impl Keys {
    pub fn new(in_each: usize) -> Keys {
        let name = |number: usize| match number % 5 {
            4 => format!("key{number}{}", "-".repeat(number * 31)),
            1 => format!("a/{number}"),
            3 => format!("{}/{number}", ["b", "c", "default"][number / 5 % 3]),
            _ => format!("k{number}"),
        };
        let names: Vec<_> =
            DATABASES.iter().flat_map(|db| (0..in_each).map(|key| (*db, name(key).into_bytes()))).collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        Keys { names, numbers, in_each }
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The logical database of a key.
    pub fn database(&self, key: usize) -> u8 {
        self.names[key].0
    }

    pub fn name(&self, key: usize) -> &[u8] {
        &self.names[key].1
    }

    /// Everything in a store, expired keys left out. An unknown key is a phantom.
    pub fn read(&self, store: &Store) -> Result<BTreeMap<usize, Cell>, String> {
        let mut found = BTreeMap::new();
        for database in (0..16).filter(|database| store.key_count(*database) > 0) {
            let (mut cursor, before) = (0, found.len());
            let mut cold = Vec::new();
            loop {
                let mut phantom = None;
                cursor = store.scan(None, database, cursor, 1000, |key, item| {
                    match self.numbers.get(&(database, key.to_vec())) {
                        Some(&number) if item.is_cold() => cold.push(number),
                        Some(&number) => {
                            found.insert(number, Cell::of(&item));
                        }
                        None => phantom = Some(key.to_vec()),
                    }
                });
                if let Some(key) = phantom {
                    return Err(format!("phantom key {:?} in database {database}", String::from_utf8_lossy(&key)));
                }
                if cursor == 0 {
                    break;
                }
            }
            for number in cold {
                let key = store.key(self.name(number));
                let mut transaction = store.begin(database, &[key], store.now_ms());
                if !transaction.warm(&key) {
                    return Err(format!("{UNREADABLE} {number}"));
                }
                if let Some(item) = transaction.get(&key) {
                    found.insert(number, Cell::of(&item));
                }
            }
            // Fields whose time has come were removed behind the scan, which puts others in their places.
            for (&number, cell) in found.range_mut(..).filter(|(_, cell)| cell.value.value_type() == HASH) {
                let (of, name) = &self.names[number];
                let key = store.key(name);
                if *of == database
                    && let Some(item) = store.begin(database, &[key], store.now_ms()).get(&key)
                {
                    *cell = Cell::of(&item);
                }
            }
            let (seen, counted) = ((found.len() - before) as u64, store.key_count(database));
            // A log without room for tombs cannot bury what has expired.
            if seen != counted && !store.log().is_read_only() && !store.log().is_full() {
                return Err(format!("{counted} keys counted and {seen} seen in database {database}"));
            }
        }
        Ok(found)
    }
}

/// How a value begins to be told of that lies in the log and cannot be read.
pub const UNREADABLE: &str = "unreadable: key";

/// How large values are.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Values from here on lie in files of their own.
    pub blob_bytes: usize,
    /// One value in so many is as long as this or longer.
    pub giant_bytes: usize,
    pub giant_in: u64,
}

enum Action {
    Get,
    Set(Vec<u8>, Option<u64>, Option<Reference>),
    Remove,
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    Deadline(Option<u64>),
    /// Carried out on the collection; a value of another type is removed before, or replaced as a whole.
    Change(Change, bool),
    /// To a key of any database; the source goes, or stays.
    Carry(usize, bool),
    /// With all locks only: the database of the key is emptied.
    Flush,
    /// With all locks only.
    Swap,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Get => f.write_str("get"),
            Action::Set(value, deadline, reference) => {
                let place = if reference.is_some() { " in a file" } else { "" };
                write!(f, "set {} bytes{place}, deadline {deadline:?}", value.len())
            }
            Action::Remove => f.write_str("remove"),
            Action::Append(value) => write!(f, "append {} bytes", value.len()),
            Action::SetRange(offset, value) => write!(f, "set {} bytes from {offset} on", value.len()),
            Action::Deadline(deadline) => write!(f, "deadline {deadline:?}"),
            Action::Change(change, whole) => write!(f, "{change:?}{}", if *whole { ", as a whole" } else { "" }),
            Action::Carry(to, true) => write!(f, "move to {to}"),
            Action::Carry(to, false) => write!(f, "copy to {to}"),
            Action::Flush => f.write_str("empty the database"),
            Action::Swap => f.write_str("exchange the databases"),
        }
    }
}

/// A reply that has not left.
struct Waiting {
    gate: Lsn,
    commits: usize,
    own: bool,
}

pub struct Session {
    pub store: Arc<Store>,
    pub model: Model,
    pub chance: Random,
    clock: Arc<SimClock>,
    keys: Arc<Keys>,
    sizes: Sizes,
    waiting: Vec<Waiting>,
    last_gate: Lsn,
    /// Values read back for a transaction; those of earlier ones may be others by now.
    fetched: Vec<Fetched>,
    /// Keys of the last transaction that named several: a look at one shows what must not leave before the whole is safe.
    lately: Vec<usize>,
    sequence: u64,
    pub refused: u64,
    pub evicted: u64,
    evictions: Arc<Evictions>,
    /// When the log was first seen to take nothing any more.
    pub failed_us: Option<u64>,
    /// Where it is recorded what clients do, if it is.
    pub recorded_by: Option<SimDisk>,
}

impl Session {
    pub fn new(
        store: Arc<Store>,
        model: Model,
        chance: Random,
        clock: Arc<SimClock>,
        keys: Arc<Keys>,
        sizes: Sizes,
        sequence: u64,
    ) -> Session {
        let last_gate = store.log().appended();
        let evictions = Evictions::of(&store);
        let mut chance = chance;
        if chance.below(2) == 0 {
            let settings = evictions::settings(&mut chance);
            store.set_memory_goal(evictions::usual_goal(&settings, store.options().memory_goal));
            store.set_eviction(&settings);
        }
        Session {
            store,
            model,
            chance,
            clock,
            keys,
            sizes,
            waiting: Vec::new(),
            last_gate,
            fetched: Vec::new(),
            lately: Vec::new(),
            sequence,
            refused: 0,
            evicted: 0,
            evictions,
            failed_us: None,
            recorded_by: None,
        }
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(disk) = &self.recorded_by {
            disk.tell(|| line().chars().take(120).collect());
        }
    }

    /// One request of some client.
    pub fn request(&mut self) -> Verdict {
        self.look_at_clock();
        match self.chance.below(60) {
            0 => self.flush(),
            1 | 2 => {
                self.tell(|| "all keys are read".to_owned());
                self.scan()
            }
            3 => {
                self.tell(|| "memory is short".to_owned());
                self.evict();
                Ok(())
            }
            4 => {
                self.tell(|| "compaction is asked for".to_owned());
                self.store.compact();
                Ok(())
            }
            _ => self.transact(),
        }
    }

    /// Memory is short all of a sudden, for a moment or for longer.
    fn evict(&mut self) {
        let settings = evictions::settings(&mut self.chance);
        self.store.set_memory_goal(u64::MAX);
        self.store.set_eviction(&settings);
        self.store.set_memory_goal(evictions::goal(&mut self.chance, self.store.memory()));
        let key = self.chance.below(self.keys.len() as u64) as usize;
        let _ = self.store.make_room(self.chance.below(100), || (self.keys.name(key), 100));
        if self.chance.below(4) > 0 {
            self.store.set_memory_goal(evictions::usual_goal(&settings, self.store.options().memory_goal));
        }
        self.hear_evictions();
    }

    /// Each eviction was a transaction of its own, of the store's own accord: nobody waits for it.
    fn hear_evictions(&mut self) {
        for (database, name, lsn) in self.evictions.take() {
            let key = self.keys.numbers[&(database, name)];
            self.evicted += 1;
            self.last_gate = self.last_gate.max(lsn);
            self.model.begin();
            if self.model.get(key, 0).is_some() {
                self.model.put(key, None);
            }
            self.model.commit(self.last_gate);
        }
    }

    /// The end of a worker's turn.
    pub fn end_turn(&mut self) {
        if self.store.log().mode() != FsyncMode::Always {
            self.store.log().write_out();
        }
        self.release();
    }

    /// Lets go of the replies whose position is safe.
    pub fn release(&mut self) {
        self.look_at_clock();
        let log = self.store.log();
        let (mark, now_us, always) = (log.acknowledged(), self.clock.monotonic_us(), log.mode() == FsyncMode::Always);
        let model = &mut self.model;
        self.waiting.retain(|reply| {
            let leaves = reply.gate <= mark;
            if leaves {
                model.released(reply.commits, reply.own, now_us, always);
            }
            !leaves
        });
        model.durable(log.durable());
        if log.is_read_only() {
            self.failed_us.get_or_insert(now_us);
        }
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn look_at_clock(&mut self) {
        self.hear_evictions();
        self.model.newest_ms = self.model.newest_ms.max(self.store.now_ms());
    }

    /// Whether a write is let in; if so the disk may not be too far behind.
    fn admitted(&mut self, need: Need, bytes: usize) -> Result<bool, String> {
        self.release();
        match self.store.admit(need, bytes as u64) {
            Ok(()) => {}
            // Two that ask in one instant are let in for the same room: the second finds what this one finds.
            Err(Refusal::Stalled) if self.store.log().unsynced_age_us() < STALL_US && self.chance.below(8) == 0 => {}
            Err(_) => {
                self.refused += 1;
                return Ok(false);
            }
        }
        let age_us = self.model.oldest_age_us(self.clock.monotonic_us());
        if self.store.log().mode() == FsyncMode::EverySec && age_us > 2_000_000 {
            return Err(format!("a write was let in although an acked one has not been durable for {age_us} us"));
        }
        Ok(true)
    }

    fn transact(&mut self) -> Verdict {
        let database = self.chance.below(2) as usize;
        // Some lock everything, as EXEC may: only these flush and swap beside other changes.
        let locks_all = self.chance.below(24) == 0;
        let count = if locks_all || self.chance.below(4) == 0 { 2 + self.chance.below(6) } else { 1 };
        let plan: Vec<(usize, Action)> = (0..count).map(|_| self.planned(database, locks_all)).collect();
        let plan = if self.chance.below(64) == 0 { self.changed_blob(plan[0].0) } else { plan };
        let plan = match self.chance.below(5) {
            0 if !self.lately.is_empty() => {
                vec![(self.lately[self.chance.below(self.lately.len() as u64) as usize], Action::Get)]
            }
            _ => plan,
        };
        if plan.len() > 1 {
            self.lately = plan.iter().map(|(key, _)| *key).collect();
        }
        let bytes: usize = plan.iter().map(|(key, action)| 400 + self.bytes(*key, action)).sum();
        let reads = plan.iter().all(|(_, action)| matches!(action, Action::Get));
        let shrinks = plan.iter().all(|(_, action)| matches!(action, Action::Get | Action::Remove));
        if !reads && !self.admitted(if shrinks { Need::Shrink } else { Need::Grow }, bytes)? {
            return Ok(());
        }
        let Some(plan) = self.with_blobs(plan) else { return Ok(()) };
        let (store, keys) = (self.store.clone(), self.keys.clone());
        let name = |key: usize| store.key(&keys.names[key].1);
        let named: Vec<_> = plan
            .iter()
            .flat_map(|(key, action)| [Some(*key), if let Action::Carry(to, _) = action { Some(*to) } else { None }])
            .flatten()
            .map(name)
            .collect();
        // As a server does before it names a value anew; at other times it changes nothing a client sees either.
        if self.chance.below(8) == 0 {
            for key in &named {
                let _ = store.settle(DATABASES[database], key);
            }
        }
        if self.chance.below(2) == 0 {
            self.fetch(&plan)?;
        }
        let now_ms = store.now_ms();
        let before = store.log().appended();
        let mut transaction = match locks_all {
            true => store.begin_all(DATABASES[database], now_ms),
            false => store.begin(DATABASES[database], &named, now_ms),
        };
        transaction.set_uses([None, Some(Use::Read), Some(Use::Write)][self.chance.below(3) as usize]);
        transaction.bring(&self.fetched);
        // What was not brought is read now, as a server does that has not known before which keys it needs.
        let mut wants = Vec::new();
        for (key, _) in &plan {
            transaction.select(self.keys.database(*key));
            transaction.wants(&name(*key), &mut wants);
            if !wants.is_empty() && !transaction.warm(&name(*key)) {
                return Err(format!("{UNREADABLE} {key}"));
            }
        }
        self.model.begin();
        let mut revealed = 0;
        for (key, action) in plan {
            transaction.select(self.keys.database(key));
            if matches!(action, Action::Flush | Action::Swap) {
                revealed = (0..self.keys.len()).map(|key| self.model.revealed_by(key)).max().unwrap_or(0).max(revealed);
                self.change_all(&mut transaction, self.keys.database(key), matches!(action, Action::Swap));
                continue;
            }
            revealed = revealed.max(self.model.revealed_by(key));
            // Databases may have been exchanged since.
            if locks_all && !transaction.warm(&name(key)) {
                return Err(format!("{UNREADABLE} {key}"));
            }
            if !matches!(action, Action::Set(..)) {
                let got = transaction.get(&name(key)).map(|item| Cell::of(&item));
                self.seen(key, got)?;
            }
            self.run(&mut transaction, &name, key, action)?;
        }
        let gate = transaction.commit();
        self.reply(gate, revealed, before);
        Ok(())
    }

    /// Reads back what a transaction will need, if it lies in the log only, and perhaps lets time pass.
    fn fetch(&mut self, plan: &[(usize, Action)]) -> Verdict {
        let mut wants = Vec::new();
        for (key, _) in plan {
            let (database, name) = &self.keys.names[*key];
            let name = self.store.key(name);
            self.store.begin(*database, &[name], self.store.now_ms()).wants(&name, &mut wants);
        }
        for want in wants {
            let read = self.store.read(&want);
            self.fetched.push(read.map_err(|why| format!("{UNREADABLE} {want:?}: {why}"))?);
        }
        let known = self.fetched.len().saturating_sub(16);
        self.fetched.drain(..known);
        Ok(())
    }

    /// Compares what the store shows of a key with the model. A key whose time has come may be there or not.
    fn seen(&mut self, key: usize, got: Option<Cell>) -> Verdict {
        let (now_ms, newest_ms) = (self.store.now_ms(), self.model.newest_ms);
        let expected = self.model.get(key, 0);
        let may_be_gone = expected.as_ref().is_some_and(|cell| cell.may_be_gone(newest_ms));
        let say = |cell: Option<&Cell>| cell.map(|cell| format!("{cell:.300?}"));
        let log = self.store.log();
        let (is_read_only, is_full) = (log.is_read_only(), log.is_full());
        match (expected.as_deref(), &got) {
            (None, None) => Ok(()),
            (Some(expected), Some(got)) if expected == got && got.deadline.is_none_or(|at| at > now_ms) => Ok(()),
            (None, Some(got)) if self.model.may_stay(key, got) => Ok(()),
            (Some(_), None) if may_be_gone => {
                if !is_read_only {
                    self.model.vanish(key, None);
                }
                if is_full {
                    // What is due is not shown, and is still there, where the log has no room for its tomb.
                    self.model.stay(key, expected);
                }
                Ok(())
            }
            (Some(expected), Some(got))
                if expected.may_be(got, newest_ms) && got.deadline.is_none_or(|at| at > now_ms) =>
            {
                if !is_read_only {
                    self.model.vanish(key, Some(got.clone()));
                }
                Ok(())
            }
            (expected, got) => {
                Err(format!("key {key} reads as {:?} instead of {:?} at {now_ms}", say(got.as_ref()), say(expected)))
            }
        }
    }

    fn run<'a>(
        &mut self,
        transaction: &mut Transaction<'_>,
        name: &impl Fn(usize) -> engine::Key<'a>,
        key: usize,
        action: Action,
    ) -> Verdict {
        self.tell(|| format!("key {key}: {action:?}"));
        // After the look above: what is there now is there, expired or not.
        let present = transaction.get(&name(key)).is_some();
        let old = if present { self.model.get(key, 0) } else { None };
        let cell = old.as_deref().cloned();
        let told =
            |what: &str, right: bool| if right { Ok(()) } else { Err(format!("{what} told wrongly of key {key}")) };
        match action {
            Action::Get => {}
            Action::Set(value, deadline, reference) => {
                match reference {
                    Some(reference) => {
                        transaction.set(&name(key), Value::Blob(value.clone().into(), reference), deadline);
                    }
                    None => transaction.set(&name(key), Value::Copy(&value), deadline),
                }
                self.model.put(key, Some(Cell::string(value, deadline)));
            }
            Action::Remove => {
                told("remove", transaction.remove(&name(key)) == present)?;
                if present {
                    self.model.put(key, None);
                }
            }
            Action::Append(bytes) => {
                let (mut value, deadline) = string_or_none(transaction, &name(key), cell);
                value.extend_from_slice(&bytes);
                told("append", transaction.append(&name(key), &bytes) == value.len())?;
                self.model.put(key, Some(Cell::string(value, deadline)));
            }
            // A reader's note within the value is made only if the log has room.
            Action::SetRange(offset, bytes)
                if key.is_multiple_of(2)
                    && cell
                        .as_ref()
                        .and_then(|cell| cell.value.string())
                        .is_some_and(|old| offset + bytes.len() <= old.len()) =>
            {
                if transaction.note(&name(key), offset, &bytes) {
                    let (mut value, deadline) = string_or_none(transaction, &name(key), cell);
                    value[offset..offset + bytes.len()].copy_from_slice(&bytes);
                    self.model.put(key, Some(Cell::string(value, deadline)));
                }
            }
            Action::SetRange(offset, bytes) => {
                let (mut value, deadline) = string_or_none(transaction, &name(key), cell);
                value.resize(value.len().max(offset + bytes.len()), 0);
                value[offset..offset + bytes.len()].copy_from_slice(&bytes);
                told("set_range", transaction.set_range(&name(key), offset, &bytes) == value.len())?;
                self.model.put(key, Some(Cell::string(value, deadline)));
            }
            Action::Change(change, whole) => {
                let left = change.run(transaction, &name(key), cell.as_ref().map(|cell| &cell.value), whole);
                let left = left.map_err(|why| format!("key {key}: {why}"))?;
                // A change that goes on keeps the deadline, one that begins anew has none.
                let deadline = transaction.get(&name(key)).and_then(|item| item.deadline());
                let goes_on = cell
                    .as_ref()
                    .zip(left.as_ref())
                    .is_some_and(|(old, left)| old.value.value_type() == left.value_type());
                let expected = cell.as_ref().and_then(|cell| cell.deadline).filter(|_| goes_on);
                told("a deadline", deadline == expected)?;
                let left = left.map(|value| Cell { value, deadline });
                if left != cell {
                    self.model.put(key, left);
                }
            }
            Action::Deadline(deadline) => {
                told("set_deadline", transaction.set_deadline(&name(key), deadline) == present)?;
                if let Some(cell) = cell {
                    self.model.put(key, Some(Cell { deadline, ..cell }));
                }
            }
            Action::Carry(to, moves) if to != key => {
                let database = self.keys.database(to);
                let carried = match (moves, database == self.keys.database(key)) {
                    (true, true) => transaction.rename(&name(key), &name(to)),
                    (true, false) => transaction.rename_into(&name(key), &name(to), database),
                    (false, _) => transaction.copy(&name(key), &name(to), database),
                };
                told("carry", carried == present)?;
                if present {
                    transaction.select(database);
                    let there = transaction.get(&name(to)).map(|item| Cell::of(&item));
                    let newest_ms = self.model.newest_ms;
                    // Perhaps without fields that are not shown any more.
                    let is_same =
                        cell.as_ref().zip(there.as_ref()).is_some_and(|(cell, got)| cell.may_be(got, newest_ms));
                    told("what was carried", is_same)?;
                    if moves {
                        self.model.put(key, None);
                    }
                    self.model.put(to, there);
                }
            }
            Action::Carry(..) | Action::Flush | Action::Swap => {}
        }
        Ok(())
    }

    /// Empties a database, or exchanges the two.
    fn change_all(&mut self, transaction: &mut Transaction<'_>, database: u8, swaps: bool) {
        self.tell(
            || if swaps { "databases are exchanged".to_owned() } else { format!("database {database} is emptied") },
        );
        let in_each = self.keys.in_each;
        if swaps {
            transaction.swap_databases(DATABASES[0], DATABASES[1]);
            for key in 0..in_each {
                let cells = [key, key + in_each].map(|key| self.model.get(key, 0).as_deref().cloned());
                let [one, other] = cells;
                self.model.put(key, other);
                self.model.put(key + in_each, one);
            }
        } else {
            transaction.flush(&[database]);
            for key in (0..2 * in_each).filter(|key| self.keys.database(*key) == database) {
                if self.model.get(key, 0).is_some() {
                    self.model.put(key, None);
                }
            }
        }
    }

    fn flush(&mut self) -> Verdict {
        if self.chance.below(3) > 0 || !self.admitted(Need::Shrink, 64)? {
            return Ok(());
        }
        let database = self.chance.below(2) as usize;
        self.flush_now(database);
        if self.chance.below(2) == 0 {
            // Another client's, just behind it: nothing is left to remove, and that is told.
            self.end_turn();
            self.flush_now(database);
        }
        Ok(())
    }

    fn flush_now(&mut self, database: usize) {
        self.tell(|| format!("database {} is emptied", DATABASES[database]));
        self.model.begin();
        let before = self.store.log().appended();
        let gate = self.store.flush(&[DATABASES[database]]);
        let mut revealed = 0;
        for key in database * self.keys.in_each..(database + 1) * self.keys.in_each {
            revealed = revealed.max(self.model.revealed_by(key));
            if self.model.get(key, 0).is_some() {
                self.model.put(key, None);
            }
        }
        self.reply(gate, revealed, before);
    }

    /// Walks over all keys in their order, page by page: they are those that were found.
    fn walk(&mut self, found: &BTreeMap<usize, Cell>) -> Verdict {
        for database in DATABASES {
            let descending = self.chance.below(2) == 0;
            let mut range = KeyRange { prefix: Vec::new(), behind: None, descending };
            let mut seen = Vec::new();
            loop {
                let enough = 1 + self.chance.below(7) as usize;
                range.behind = self.store.walk(None, database, &range, enough, |key, _| seen.push(key.to_vec()));
                if range.behind.is_none() {
                    break;
                }
            }
            let of_database = found.keys().filter(|key| self.keys.database(**key) == database);
            let mut expected: Vec<Vec<u8>> = of_database.map(|key| self.keys.name(*key).to_vec()).collect();
            expected.sort_unstable();
            if descending {
                expected.reverse();
            }
            if seen != expected {
                return Err(format!("{} keys in order instead of {}", seen.len(), expected.len()));
            }
        }
        Ok(())
    }

    /// Looks at all keys. As every reply about the whole store, this one waits for the end of the log.
    fn scan(&mut self) -> Verdict {
        let before = self.store.log().appended();
        let found = self.keys.read(&self.store)?;
        if self.store.keeps_order() {
            self.walk(&found)?;
        }
        self.model.begin();
        for key in 0..self.model.keys() {
            self.seen(key, found.get(&key).cloned())?;
        }
        self.reply(self.store.log().appended(), self.model.len() - 1, before);
        Ok(())
    }

    /// A reply that waits for `gate` and reveals so many commits; the log ended at `before` when it was begun.
    fn reply(&mut self, gate: Lsn, revealed: usize, before: Lsn) {
        let end = self.store.log().appended();
        self.last_gate = self.last_gate.max(end);
        // Nothing of its own in the log: the keys that turned out to be gone were removed by the sweep, some time ago.
        let own = self.model.commit(self.last_gate).filter(|_| end > before);
        self.waiting.push(Waiting { gate, commits: own.unwrap_or(revealed), own: own.is_some() });
    }

    fn any_key(&mut self, database: usize) -> usize {
        // Few keys get most of the traffic: changes upon changes.
        let among = if self.chance.below(2) == 0 { 3.min(self.keys.in_each) } else { self.keys.in_each };
        database * self.keys.in_each + self.chance.below(among as u64) as usize
    }

    fn planned(&mut self, database: usize, locks_all: bool) -> (usize, Action) {
        let elsewhere = self.chance.below(8) == 0;
        let database = if elsewhere || locks_all { self.chance.below(2) as usize } else { database };
        let key = self.any_key(database);
        match self.chance.below(12) {
            0 if locks_all => return (key, Action::Flush),
            1 | 2 if locks_all => return (key, Action::Swap),
            _ => {}
        }
        // Each key has a type that it is most of the time, so that something grows.
        let usual = [STRING, LIST, HASH, STRING, SET, ZSET][key % self.keys.in_each % 6];
        let value_type = match (self.chance.below(12), self.keys.in_each) {
            (0, _) | (0..4, 2) => [STRING, LIST, HASH, SET, ZSET][self.chance.below(5) as usize],
            _ => usual,
        };
        if value_type != STRING && self.chance.below(3) > 0 {
            let whole = self.chance.below(2) == 0;
            return (key, Action::Change(self.change(value_type), whole));
        }
        let action = self.action(database);
        match action {
            // What would make a string of it happens now and then only.
            Action::Set(..) | Action::Append(_) | Action::SetRange(..) if value_type != STRING => {
                (key, Action::Change(self.change(value_type), false))
            }
            action => (key, action),
        }
    }

    /// A large value that comes, perhaps is changed, and gets another name, at once.
    fn changed_blob(&mut self, key: usize) -> Vec<(usize, Action)> {
        let mut value = self.value();
        value.resize(value.len().max(self.sizes.blob_bytes.min(20_000)), b'b');
        let to = self.any_key(key / self.keys.in_each);
        let mut plan = vec![(key, Action::Set(value, None, None)), (key, Action::Carry(to, true))];
        if self.chance.below(2) == 0 {
            plan.insert(1, (key, Action::Append(b"changed".to_vec())));
        }
        plan
    }

    /// An operation on a collection of a type.
    fn change(&mut self, value_type: u8) -> Change {
        let code = match (value_type, self.chance.below(8)) {
            (LIST, 0 | 1) => op::LIST_PUSH_FRONT,
            (LIST, 2 | 3) => op::LIST_PUSH_BACK,
            (LIST, 4) => [op::LIST_POP_FRONT, op::LIST_POP_BACK][self.chance.below(2) as usize],
            (LIST, 5) => op::LIST_SET,
            (LIST, 6) => op::LIST_INSERT,
            (LIST, _) => op::LIST_REMOVE,
            (HASH, 0..=2) => op::HASH_SET,
            (HASH, 3) => op::HASH_SET_KEEP,
            (HASH, 4) => op::HASH_DELETE,
            (HASH, _) => op::HASH_EXPIRE,
            (SET, 0..=4) => op::SET_ADD,
            (SET, _) => op::SET_REMOVE,
            (_, 0..=4) => op::ZSET_ADD,
            _ => op::ZSET_REMOVE,
        };
        let most = match self.chance.below(16) {
            0 => 60,
            1..=4 => 12,
            _ => 2,
        };
        let count = 1 + self.chance.below(most);
        let elements = (0..count).map(|_| self.element(value_type)).collect();
        let numbers = match code {
            op::HASH_EXPIRE => [self.some_deadline(1).unwrap_or(0), 0],
            op::LIST_SET | op::LIST_INSERT => [self.chance.below(1000), 0],
            op::LIST_REMOVE => [self.chance.below(30), self.chance.below(40)],
            _ => [self.chance.below([4, 4, 4, 100][count as usize % 4]), 0],
        };
        Change { code, numbers, elements }
    }

    /// Few names, so that they are met again; some are integers, some long.
    fn element(&mut self, value_type: u8) -> Element {
        let number = self.chance.below(70);
        let name = match (number % 7, value_type) {
            (0, _) => format!("{number}{}", "~".repeat(10 + number as usize)),
            (1..=4, SET) | (1..=3, _) => format!("{}", number as i64 - 20),
            _ => format!("m{number}"),
        };
        self.sequence += 1;
        let value = match value_type {
            HASH if self.chance.below(10) == 0 => format!("{}{}", self.sequence, "+".repeat(90)),
            HASH => format!("{}", self.sequence),
            _ => String::new(),
        };
        let (name, number) = match value_type {
            LIST => (format!("{}.{name}", self.sequence), 0),
            ZSET => (name, (self.chance.below(20) as f64 / 4.0).to_bits()),
            _ => (name, 0),
        };
        Element { name: name.into_bytes(), value: value.into_bytes(), number }
    }

    /// Bytes of log that an action needs.
    fn bytes(&self, key: usize, action: &Action) -> usize {
        match action {
            Action::Set(value, ..) | Action::Append(value) => value.len(),
            Action::SetRange(offset, value) => offset + value.len(),
            Action::Change(change, _) => change.bytes(),
            Action::Carry(..) => self.model.get(key, 0).map_or(0, |cell| match &cell.value {
                Content::String(bytes) => bytes.len(),
                Content::Collection { elements, .. } => {
                    elements.iter().map(|e| 80 + e.name.len() + e.value.len()).sum()
                }
            }),
            _ => 0,
        }
    }

    fn action(&mut self, database: usize) -> Action {
        match self.chance.below(32) {
            0..=7 => Action::Get,
            8..=16 => {
                let deadline = self.some_deadline(4);
                Action::Set(self.value(), deadline, None)
            }
            17..=20 => Action::Remove,
            21..=24 => Action::Append(self.value()),
            25..=26 => Action::SetRange(self.chance.below(600) as usize, self.value()),
            27..=29 => Action::Deadline(self.some_deadline(1)),
            _ => {
                let to = if self.chance.below(2) == 0 { database } else { self.chance.below(2) as usize };
                Action::Carry(self.any_key(to), self.chance.below(3) > 0)
            }
        }
    }

    fn some_deadline(&mut self, one_in: u64) -> Option<u64> {
        let never = self.chance.below(5) == 0;
        (self.chance.below(one_in) == 0 && !never).then(|| self.store.now_ms() + 1 + self.chance.below(3000))
    }

    /// Bytes that no other write writes.
    fn value(&mut self) -> Vec<u8> {
        self.sequence += 1;
        let length = match self.chance.below(self.sizes.giant_in) {
            0 => self.sizes.giant_bytes as u64 + self.chance.below(1000),
            1..=4 => self.chance.below(self.sizes.blob_bytes as u64 + 2000),
            n if n % 3 == 0 => 200 + self.chance.below(400),
            _ => self.chance.below(40),
        };
        let name = format!("{}.", self.sequence);
        let pattern = self.chance.next_u64().to_le_bytes();
        let patterns = (length as usize).saturating_sub(name.len()).div_ceil(pattern.len());
        let mut value = Vec::with_capacity(name.len() + patterns * pattern.len());
        value.extend_from_slice(name.as_bytes());
        for _ in 0..patterns {
            value.extend_from_slice(&pattern);
        }
        value
    }

    /// Writes large values to files of their own, as the server does before the transaction. `None` when the disk
    /// would not have them.
    fn with_blobs(&mut self, mut plan: Vec<(usize, Action)>) -> Option<Vec<(usize, Action)>> {
        for (_, action) in &mut plan {
            if let Action::Set(value, _, reference) = action
                && value.len() >= self.sizes.blob_bytes
            {
                *reference = Some(self.store.write_blob(value).ok()?);
            }
        }
        Some(plan)
    }
}

/// The string that a key holds and its deadline. A value of another type makes room for a new one.
fn string_or_none(
    transaction: &mut Transaction<'_>,
    key: &engine::Key<'_>,
    cell: Option<Cell>,
) -> (Vec<u8>, Option<u64>) {
    match cell {
        Some(Cell { value: Content::String(bytes), deadline }) => (bytes, deadline),
        Some(_) => {
            transaction.remove(key);
            (Vec::new(), None)
        }
        None => (Vec::new(), None),
    }
}
