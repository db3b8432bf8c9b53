//! Clients of one life: operations on the store and, the same, on the model; replies that wait for their position.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::log::STALL_US;
use engine::random::Random;
use engine::{FsyncMode, Lsn, Need, Reference, Refusal, Store, Transaction, Value};

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

    pub fn name(&self, key: usize) -> &[u8] {
        &self.names[key].1
    }

    /// Everything in a store, expired keys left out. An unknown key is a phantom.
    pub fn read(&self, store: &Store) -> Result<BTreeMap<usize, Cell>, String> {
        let mut found = BTreeMap::new();
        for database in (0..16).filter(|database| store.key_count(*database) > 0) {
            let (mut cursor, before) = (0, found.len());
            loop {
                let mut phantom = None;
                cursor =
                    store.scan(database, cursor, 1000, |key, item| match self.numbers.get(&(database, key.to_vec())) {
                        Some(&number) => {
                            let cell = Cell { value: item.value().to_vec(), deadline: item.deadline() };
                            found.insert(number, cell);
                        }
                        None => phantom = Some(key.to_vec()),
                    });
                if let Some(key) = phantom {
                    return Err(format!("phantom key {:?} in database {database}", String::from_utf8_lossy(&key)));
                }
                if cursor == 0 {
                    break;
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
    Rename(usize),
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
    sequence: u64,
    pub refused: u64,
    /// When the log was first seen to take nothing any more.
    pub failed_us: Option<u64>,
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
        Session {
            store,
            model,
            chance,
            clock,
            keys,
            sizes,
            waiting: Vec::new(),
            last_gate,
            sequence,
            refused: 0,
            failed_us: None,
        }
    }

    /// One request of some client.
    pub fn request(&mut self) -> Verdict {
        self.look_at_clock();
        match self.chance.below(60) {
            0 => self.flush(),
            1 | 2 => self.scan(),
            _ => self.transact(),
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
        let count = if self.chance.below(4) == 0 { 2 + self.chance.below(5) } else { 1 };
        let plan: Vec<(usize, Action)> = (0..count).map(|_| (self.any_key(database), self.action(database))).collect();
        let bytes: usize = plan.iter().map(|(_, action)| 400 + action.bytes()).sum();
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
            .flat_map(|(key, action)| [Some(*key), if let Action::Rename(to) = action { Some(*to) } else { None }])
            .flatten()
            .map(name)
            .collect();
        // As a server does before it names a value anew; at other times it changes nothing a client sees either.
        if self.chance.below(8) == 0 {
            for key in &named {
                let _ = store.settle(DATABASES[database], key);
            }
        }
        let now_ms = store.now_ms();
        let before = store.log().appended();
        let mut transaction = store.begin(DATABASES[database], &named, now_ms);
        self.model.begin();
        let mut revealed = 0;
        for (key, action) in plan {
            revealed = revealed.max(self.model.revealed_by(key));
            if !matches!(action, Action::Set(..)) {
                let got = transaction
                    .get(&name(key))
                    .map(|item| Cell { value: item.value().to_vec(), deadline: item.deadline() });
                self.seen(key, got)?;
            }
            self.run(&mut transaction, &name, key, action)?;
        }
        let gate = transaction.commit();
        self.reply(gate, revealed, before);
        Ok(())
    }

    /// Compares what the store shows of a key with the model. A key whose time has come may be there or not.
    fn seen(&mut self, key: usize, got: Option<Cell>) -> Verdict {
        let (now_ms, newest_ms) = (self.store.now_ms(), self.model.newest_ms);
        let expected = self.model.get(key, 0);
        let may_be_gone = expected.as_ref().is_some_and(|cell| cell.deadline.is_some_and(|at| at <= newest_ms));
        let say = |cell: Option<&Cell>| cell.map(|cell| (cell.value.len(), cell.deadline));
        match (expected.as_deref(), &got) {
            (None, None) => Ok(()),
            (Some(expected), Some(got)) if expected == got && got.deadline.is_none_or(|at| at > now_ms) => Ok(()),
            (Some(_), None) if may_be_gone => {
                if !self.store.log().is_read_only() {
                    self.model.vanish(key);
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
                self.model.put(key, Some(Cell { value, deadline }));
            }
            Action::Remove => {
                told("remove", transaction.remove(&name(key)) == present)?;
                if present {
                    self.model.put(key, None);
                }
            }
            Action::Append(bytes) => {
                let mut cell = cell.unwrap_or(Cell { value: Vec::new(), deadline: None });
                cell.value.extend_from_slice(&bytes);
                told("append", transaction.append(&name(key), &bytes) == cell.value.len())?;
                self.model.put(key, Some(cell));
            }
            Action::SetRange(offset, bytes) => {
                let mut cell = cell.unwrap_or(Cell { value: Vec::new(), deadline: None });
                cell.value.resize(cell.value.len().max(offset + bytes.len()), 0);
                cell.value[offset..offset + bytes.len()].copy_from_slice(&bytes);
                told("set_range", transaction.set_range(&name(key), offset, &bytes) == cell.value.len())?;
                self.model.put(key, Some(cell));
            }
            Action::Deadline(deadline) => {
                told("set_deadline", transaction.set_deadline(&name(key), deadline) == present)?;
                if let Some(cell) = cell {
                    self.model.put(key, Some(Cell { deadline, ..cell }));
                }
            }
            Action::Rename(to) if to != key => {
                told("rename", transaction.rename(&name(key), &name(to)) == present)?;
                if present {
                    self.model.put(key, None);
                    self.model.put(to, cell);
                }
            }
            Action::Rename(_) => {}
        }
        Ok(())
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
        self.model.begin();
        let before = self.store.log().appended();
        let (gate, tables) = self.store.flush(&[DATABASES[database]]);
        drop(tables);
        let mut revealed = 0;
        for key in database * self.keys.in_each..(database + 1) * self.keys.in_each {
            revealed = revealed.max(self.model.revealed_by(key));
            if self.model.get(key, 0).is_some() {
                self.model.put(key, None);
            }
        }
        self.reply(gate, revealed, before);
    }

    /// Looks at all keys. As every reply about the whole store, this one waits for the end of the log.
    fn scan(&mut self) -> Verdict {
        let before = self.store.log().appended();
        let found = self.keys.read(&self.store)?;
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
            _ => Action::Rename(self.any_key(database)),
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
        let mut value = format!("{}.", self.sequence).into_bytes();
        let pattern = self.chance.next_u64().to_le_bytes();
        while (value.len() as u64) < length {
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

impl Action {
    fn bytes(&self) -> usize {
        match self {
            Action::Set(value, ..) | Action::Append(value) => value.len(),
            Action::SetRange(offset, value) => offset + value.len(),
            _ => 0,
        }
    }
}
