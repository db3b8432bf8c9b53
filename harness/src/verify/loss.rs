//! What a power cut has taken where writes are answered before they are durable: it must be a suffix of the commit order.
//!
//! ```text
//! client 1   ●───●───●───●─┊─○───○        ● there  ○ gone: answered, sent or neither
//! client 2   ●───●─────────┊───○          ┊ one moment for all: what is there was not sent after the answer
//! client 3   ●──────●───●──┊──────○         of something that is gone
//! ```
//!
//! Each client's commands are done again one by one: after how many of them would its keys be as they are found? Shared
//! keys say which of the commands that wrote them are there. Of the numbers that explain all clients together the
//! greatest are taken, and the notes are set back to them: the other rules then judge them like any notes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{SHARED_DATABASE, Shared, Snapshot, counted, explains};
use crate::clock::Interval;
use crate::content::Content;
use crate::ledger::{Answered, Ledger, Past, Pending, Stamp};
use crate::mix;
use crate::op::{Common, Key, Op};
use crate::oracle::Oracle;
use crate::process::Mode;
use crate::rules::{Rule, Violation};
use crate::snapshot::{Found, Look};
use crate::value::{self, Reading};
use crate::wire::Reply;

/// How long before a power cut the oldest write that it takes may have been answered, in `everysec`.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Writes that were answered before the power was cut, and are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The power cut.
    pub cut: Interval,
    /// Which, by client and number.
    pub writes: Vec<(u16, u64)>,
    /// When the first of them was answered.
    pub oldest: Option<Instant>,
}

impl Loss {
    /// The age of the oldest at the cut, no less than it was.
    pub fn age(&self) -> Option<Duration> {
        self.oldest.map(|oldest| self.cut.to.saturating_duration_since(oldest))
    }

    /// The rule that it breaks in this mode.
    pub fn judge(&self, mode: Mode) -> Option<Violation> {
        // Nobody knows at which moment of it the cut took place: the earliest accuses no server falsely.
        let least = self.cut.from.saturating_duration_since(self.oldest?);
        let rule = match mode {
            Mode::Always => Rule::AckedSurvives,
            Mode::EverySec if least > WINDOW => Rule::LossIsRecent,
            Mode::EverySec | Mode::No => return None,
        };
        let detail =
            format!("{} answered writes are gone, the oldest answered {least:?} before the cut", self.writes.len());
        Some(Violation { lost: self.writes.clone(), ..Violation::new(rule, "server", detail) })
    }
}

/// Finds what was lost and sets the notes back to before it. Notes that nothing explains stay as they are.
///
/// What was answered after the cut may be lost in every mode: a machine without power answers nobody, and a sync that the
/// cut overtakes may tell of success.
pub fn set_back(
    ledgers: &mut [Ledger],
    shared: &Shared,
    snapshot: &Snapshot,
    (cut, mode): (Interval, Mode),
) -> Result<Loss, Violation> {
    let kept = kept(ledgers, shared, snapshot, cut)?;
    let mut loss = Loss { cut, writes: Vec::new(), oldest: None };
    for (ledger, kept) in ledgers.iter_mut().zip(kept) {
        let lost = steps(ledger).split_off(kept).into_iter().filter(Step::writes).filter_map(|step| step.answer);
        for answered in lost.filter(|answer| answer.at.to <= cut.from) {
            loss.writes.push((ledger.client, answered.command.seq));
            loss.oldest = Some(loss.oldest.map_or(answered.at.to, |oldest| oldest.min(answered.at.to)));
        }
        match mode {
            Mode::Always => ledger.forget_seen_after(cut.from),
            Mode::EverySec | Mode::No => ledger.observations.clear(),
        }
        ledger.set_back(kept);
    }
    Ok(loss)
}

/// The greatest numbers of commands, one for each client, that explain everything together.
fn kept(ledgers: &[Ledger], shared: &Shared, snapshot: &Snapshot, cut: Interval) -> Result<Vec<usize>, Violation> {
    let common = CommonKeys::found(shared, snapshot);
    let line = |ledger| Line::of(ledger, &common, snapshot, cut);
    let lines: Vec<Line<'_>> = ledgers.iter().map(line).collect();
    let mut kept: Vec<usize> = lines.iter().map(|line| line.steps.len()).collect();
    loop {
        let lost = lines.iter().zip(&kept).filter_map(|(line, &kept)| line.first_lost(kept)).min();
        let fewer =
            lines.iter().zip(&kept).map(|(line, &kept)| line.most(kept, lost)).collect::<Result<Vec<_>, _>>()?;
        if fewer == kept {
            return Ok(kept);
        }
        kept = fewer;
    }
}

/// One client's commands and after which number of them its keys would be as they are found.
struct Line<'a> {
    client: u16,
    steps: Vec<Step<'a>>,
    explained: Vec<bool>,
}

impl<'a> Line<'a> {
    fn of(ledger: &'a Ledger, common: &CommonKeys, snapshot: &Snapshot, cut: Interval) -> Self {
        Self { client: ledger.client, steps: steps(ledger), explained: explained(ledger, common, snapshot, cut) }
    }

    /// When the first write that is lost was answered.
    fn first_lost(&self, kept: usize) -> Option<Stamp> {
        self.steps[kept..].iter().filter(|step| step.writes()).find_map(|step| step.answer).map(|answer| answer.stamp)
    }

    /// At most so many commands, none of the writes sent after something was answered that is lost.
    fn most(&self, kept: usize, lost: Option<Stamp>) -> Result<usize, Violation> {
        let is_late = |step: &Step<'_>| step.writes() && lost.is_some_and(|lost| step.command.stamp > lost);
        let bound = self.steps[..kept].iter().position(is_late).unwrap_or(kept);
        (0..=bound).rev().find(|&kept| self.explained[kept]).ok_or_else(|| {
            let numbers = self.explained.iter().filter(|explained| **explained).count();
            let detail = format!(
                "{numbers} numbers of its {} commands explain its keys, none of them up to {bound}: \
                 what comes behind was sent after the answer of a write that is lost",
                self.steps.len()
            );
            Violation::new(Rule::Prefix, format!("c{}", self.client), detail)
        })
    }
}

/// One command of a client.
struct Step<'a> {
    command: &'a Pending,
    answer: Option<&'a Answered>,
}

/// All of a client's commands, in order.
fn steps(ledger: &Ledger) -> Vec<Step<'_>> {
    let answered = ledger.past.iter().flat_map(|past| &past.answered);
    let answered = answered.map(|answer| Step { command: &answer.command, answer: Some(answer) });
    answered.chain(ledger.pending.iter().map(|command| Step { command, answer: None })).collect()
}

impl Step<'_> {
    /// Whether it may have changed something.
    fn writes(&self) -> bool {
        self.command.op.is_write() && !self.answer.is_some_and(Answered::is_refused)
    }

    /// Does it, without an answer at some moment until the cut; gives the keys that may be others now.
    fn run(&self, state: &mut Oracle, cut: Interval) -> Vec<Key> {
        let keys = match &self.command.op {
            // What has expired is gone once it was looked at.
            Op::Get(key) | Op::Read(key, _) => vec![*key],
            // Within a transaction it takes what the transaction has made, too.
            op if op.is_of_databases() => mix::universe().collect(),
            op => state.touched(op),
        };
        match self.answer {
            Some(answer) => answer.redo(state),
            None => {
                let at = Interval { from: self.command.invoked, to: cut.to.max(self.command.invoked) };
                state.apply(self.command.seq, &self.command.op, at);
            }
        }
        keys
    }
}

/// After which numbers of commands the client's keys would be as they are found.
fn explained(ledger: &Ledger, common: &CommonKeys, snapshot: &Snapshot, cut: Interval) -> Vec<bool> {
    let look = |key: Key| Some((key, snapshot[&ledger.database_of(key)].looks.get(&key.name(ledger.client))?));
    let looks: BTreeMap<Key, &Look> = mix::universe().filter_map(look).collect();
    let mut state = ledger.past.as_ref().map_or_else(|| ledger.tip.clone(), |Past { base, .. }| base.clone());
    let is_odd = |state: &Oracle, key: Key| looks.get(&key).is_some_and(|look| !explains(state.get(key), look));
    let mut odd: BTreeSet<Key> = looks.keys().copied().filter(|key| is_odd(&state, *key)).collect();
    let mut explained = vec![odd.is_empty()];
    for step in steps(ledger) {
        for key in step.run(&mut state, cut) {
            _ = if is_odd(&state, key) { odd.insert(key) } else { odd.remove(&key) };
        }
        explained.push(odd.is_empty());
    }
    for (at, step) in steps(ledger).iter().enumerate() {
        match common.has(ledger.client, step) {
            Some(true) => explained[..=at].fill(false),
            Some(false) => explained[at + 1..].fill(false),
            None => {}
        }
    }
    explained
}

/// What is found in the keys that all clients write.
struct CommonKeys {
    written: BTreeSet<(Common, u16, u64)>,
    counts: BTreeMap<Common, i64>,
}

impl CommonKeys {
    fn found(shared: &Shared, snapshot: &Snapshot) -> Self {
        let (mut written, mut counts) = (BTreeSet::new(), BTreeMap::new());
        for common in Common::ALL {
            let look = snapshot[&SHARED_DATABASE].looks.get(&common.name(shared.round));
            let found = look.and_then(|look| look.found.as_ref());
            if common.is_sequence() {
                written.extend(found.into_iter().flat_map(writers).map(|(client, seq)| (common, client, seq)));
            } else {
                counts.insert(common, found.map_or(0, counted));
            }
        }
        Self { written, counts }
    }

    /// Whether this command is among what is found, if that can be told.
    fn has(&self, client: u16, step: &Step<'_>) -> Option<bool> {
        match (&step.command.op, step.answer.map(|answer| &answer.reply)) {
            (_, Some(Reply::Error(_))) => None,
            (Op::Shared(common), _) if common.is_sequence() => {
                Some(self.written.contains(&(*common, client, step.command.seq)))
            }
            (Op::Shared(common), Some(Reply::Int(told))) => Some(*told <= self.counts[common]),
            _ => None,
        }
    }
}

/// Who wrote what stands in a shared sequence. What cannot be read there is another rule's.
fn writers(found: &Found) -> Vec<(u16, u64)> {
    let writer = |element: &Vec<u8>| match value::read(element) {
        Reading::By { client, seq } => Some((client, seq)),
        _ => None,
    };
    match &found.content {
        Content::List(items) => items.iter().filter_map(writer).collect(),
        _ => found.bytes.as_deref().and_then(value::pieces).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
