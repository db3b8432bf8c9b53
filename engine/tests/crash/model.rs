//! The reference: every commit in its order, and which of them a crash may take.
//!
//! Keys are numbers here, of a small universe that every seed fills again and again. After a crash the state that was
//! recovered must be the one after the first `n` commits, for an `n` that covers all that was promised.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::{Item, Lsn};

use crate::content::Content;

/// A value and its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub value: Content,
    pub deadline: Option<u64>,
}

impl Cell {
    pub fn of(item: &Item<'_>) -> Cell {
        Cell { value: Content::of(item), deadline: item.deadline() }
    }

    pub fn string(bytes: Vec<u8>, deadline: Option<u64>) -> Cell {
        Cell { value: Content::String(bytes), deadline }
    }

    /// Whether its time has come, or that of all its fields.
    pub fn may_be_gone(&self, newest_ms: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= newest_ms) || self.value.may_be_gone(newest_ms)
    }

    /// Whether this may be found as `other`: the same, or without fields whose time has come.
    pub fn may_be(&self, other: &Cell, newest_ms: u64) -> bool {
        self == other || self.deadline == other.deadline && self.value.is_without_due_fields(&other.value, newest_ms)
    }
}

pub type Slot = Option<Rc<Cell>>;

/// What one transaction replaced, and what is known of its reply.
struct Commit {
    undo: Vec<(usize, Slot)>,
    gate: Lsn,
    acked_us: Option<u64>,
}

#[derive(Default)]
pub struct Model {
    state: Vec<Slot>,
    commits: Vec<Commit>,
    /// By key: how many commits there were with the last that touched it.
    touched: Vec<usize>,
    /// By key: what is due and not shown, and may be there nevertheless. It is found again when the clock has been set back.
    staying: Vec<Slot>,
    /// So many commits must survive a killed process.
    acked: usize,
    /// So many commits must survive everything: acked or observed under `always`, or known durable.
    firm: usize,
    /// The latest time at which an expired key may have been removed.
    pub newest_ms: u64,
}

/// What is wrong.
pub type Verdict = Result<(), String>;

impl Model {
    pub fn new(keys: usize) -> Model {
        Model { state: vec![None; keys], touched: vec![0; keys], staying: vec![None; keys], ..Model::default() }
    }

    /// The value of a key, unless its time has come.
    pub fn get(&self, key: usize, now_ms: u64) -> Slot {
        self.state[key].clone().filter(|cell| cell.deadline.is_none_or(|deadline| deadline > now_ms))
    }

    pub fn keys(&self) -> usize {
        self.state.len()
    }

    /// Begins a transaction; changes go to it until [`Model::commit`].
    pub fn begin(&mut self) {
        self.commits.push(Commit { undo: Vec::new(), gate: 0, acked_us: None });
    }

    pub fn put(&mut self, key: usize, cell: Option<Cell>) {
        let old = std::mem::replace(&mut self.state[key], cell.map(Rc::new));
        self.staying[key] = None;
        self.touched[key] = self.commits.len();
        self.commits.last_mut().unwrap().undo.push((key, old));
    }

    /// A key whose time has come turned out to be gone, or fields of it. It was removed just now or some time ago, so that to see it
    /// again reveals nothing of this transaction.
    pub fn vanish(&mut self, key: usize, left: Option<Cell>) {
        let touched = self.touched[key];
        self.put(key, left);
        self.touched[key] = touched;
    }

    /// A key that has vanished may still be there as it was.
    pub fn stay(&mut self, key: usize, cell: Slot) {
        self.staying[key] = cell;
    }

    /// Whether a key that has vanished may be found like this.
    pub fn may_stay(&self, key: usize, got: &Cell) -> bool {
        self.staying[key].as_deref().is_some_and(|cell| cell.may_be(got, self.newest_ms))
    }

    /// Ends a transaction; its number if it changed anything.
    pub fn commit(&mut self, gate: Lsn) -> Option<usize> {
        let number = self.commits.len();
        let commit = self.commits.last_mut().unwrap();
        if commit.undo.is_empty() {
            self.commits.pop();
            return None;
        }
        commit.gate = gate;
        Some(number)
    }

    /// How many commits a look at this key reveals.
    pub fn revealed_by(&self, key: usize) -> usize {
        self.touched[key]
    }

    /// How many commits there are.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// How many commits end at or below a position.
    pub fn commits_below(&self, lsn: Lsn) -> usize {
        self.commits.partition_point(|commit| commit.gate <= lsn)
    }

    /// The reply that reveals the first `commits` has left; `own` says that the last is what it answers for.
    pub fn released(&mut self, commits: usize, own: bool, now_us: u64, always: bool) {
        // What a reply has shown is in the kernel, whoever wrote it: a kill takes it from nobody.
        self.acked = self.acked.max(commits);
        if own {
            self.commits[commits - 1].acked_us.get_or_insert(now_us);
        }
        if always {
            self.firm = self.firm.max(commits);
        }
    }

    /// The engine says that everything below is durable.
    pub fn durable(&mut self, mark: Lsn) {
        self.firm = self.firm.max(self.commits_below(mark));
    }

    /// Age of the oldest acked commit that is not known durable, in microseconds.
    pub fn oldest_age_us(&self, now_us: u64) -> u64 {
        let acked = self.commits[self.firm.min(self.acked)..self.acked].iter().filter_map(|commit| commit.acked_us);
        acked.min().map_or(0, |since| now_us - since)
    }

    /// How many commits must survive.
    pub fn required(&self, power_loss: bool) -> usize {
        if power_loss { self.firm } else { self.firm.max(self.acked) }
    }

    /// Finds how many commits a recovered state shows, the most if several; at least `required`.
    pub fn judge(&self, found: &BTreeMap<usize, Cell>, required: usize) -> Result<usize, String> {
        let agrees = |expected: &Slot, key: usize| match (expected, found.get(&key)) {
            (None, None) => true,
            (Some(cell), Some(got)) => cell.may_be(got, self.newest_ms),
            (Some(cell), None) => cell.may_be_gone(self.newest_ms),
            (None, Some(got)) => self.may_stay(key, got),
        };
        let mut at = self.state.clone();
        let mut agreement: Vec<bool> = (0..at.len()).map(|key| agrees(&at[key], key)).collect();
        let mut wrong = agreement.iter().filter(|good| !**good).count();
        let last: Vec<usize> = (0..at.len()).filter(|key| !agreement[*key]).collect();
        let mut count = self.commits.len();
        loop {
            if wrong == 0 {
                return Ok(count);
            }
            if count == required {
                return Err(self.explain(found, &last, &at, required));
            }
            count -= 1;
            for (key, old) in self.commits[count].undo.iter().rev() {
                at[*key].clone_from(old);
                let good = agrees(old, *key);
                wrong = wrong + usize::from(agreement[*key]) - usize::from(good);
                agreement[*key] = good;
            }
        }
    }

    /// Ages, in microseconds, of the oldest acked commit behind the first `kept`.
    pub fn oldest_lost_us(&self, kept: usize, now_us: u64) -> Option<u64> {
        self.commits[kept..].iter().filter_map(|commit| commit.acked_us).map(|since| now_us - since).max()
    }

    /// Goes on from a recovered state, all of which must survive from now on.
    pub fn recovered(&mut self, found: &BTreeMap<usize, Cell>) {
        for (key, slot) in self.state.iter_mut().enumerate() {
            *slot = found.get(&key).cloned().map(Rc::new);
        }
        self.commits.clear();
        self.touched.fill(0);
        self.staying.fill(None);
        (self.acked, self.firm) = (0, 0);
    }

    fn explain(&self, found: &BTreeMap<usize, Cell>, latest: &[usize], at: &[Slot], required: usize) -> String {
        let say = |cell: Option<&Cell>| match cell {
            None => "absent".to_owned(),
            Some(cell) => format!(
                "type {} of {} {:.90} deadline {:?}",
                cell.value.value_type(),
                cell.value.len(),
                format!("{:?}", cell.value),
                cell.deadline
            ),
        };
        let mut text = format!(
            "no prefix of {} commits with at least {required} (acked {}, firm {}) is what was recovered;",
            self.commits.len(),
            self.acked,
            self.firm
        );
        for &key in latest.iter().take(6) {
            text += &format!(
                "\n  key {key}: found {}; newest {}; after commit {required} {}; last touched by commit {}",
                say(found.get(&key)),
                say(self.state[key].as_deref()),
                say(at[key].as_deref()),
                self.touched[key],
            );
        }
        text
    }
}
