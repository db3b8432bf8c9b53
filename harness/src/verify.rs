//! Lays what was found beside what was noted, and asks every rule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::ledger::{Ledger, Observation, SharedAck};
use crate::op::{self, Key, Op};
use crate::oracle::{Entry, Oracle};
use crate::rules::{self, Cuts, Rule, Unexplained, Violation};
use crate::snapshot::{self, Database, Look};
use crate::value::{Digest, Reading};
use crate::workload;

/// What all clients of a store share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// The number of the current shared row: one per kill.
    pub round: u32,
    /// The shared counter after the last restart.
    pub count: i64,
    /// Rows of earlier rounds; nobody writes them any more.
    pub settled: BTreeMap<String, Digest>,
}

/// What was found, by database.
pub type Snapshot = BTreeMap<u32, Database>;

/// The database of the shared keys.
pub const SHARED_DATABASE: u32 = 0;

/// All keys that may be in a database.
pub fn universe(ledgers: &[Ledger], shared: &Shared, database: u32) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for ledger in ledgers.iter().filter(|ledger| ledger.database == database) {
        names.extend(workload::universe().map(|key| key.name(ledger.client)));
    }
    if database == SHARED_DATABASE {
        names.insert(op::shared_counter());
        names.insert(op::shared_row(shared.round));
        names.extend(shared.settled.keys().cloned());
    }
    names
}

/// Asks every rule about a crash at `crash`.
pub fn judge(ledgers: &[Ledger], shared: &Shared, snapshot: &Snapshot, crash: Instant) -> Vec<Violation> {
    let mut broken: Vec<Violation> = ledgers.iter().flat_map(|ledger| ledger.violations.clone()).collect();
    for (number, database) in snapshot {
        broken.extend(judge_views(*number, database));
        broken.extend(judge_strangers(database, &universe(ledgers, shared, *number)));
    }
    let base = &snapshot[&SHARED_DATABASE];
    let (row_broken, present) = judge_row(ledgers, shared, base);
    broken.extend(row_broken);
    let mut pending_increments = (0, 0);
    for ledger in ledgers {
        let watched = ledgers.iter().flat_map(|other| &other.observations);
        let watched: Vec<_> = watched.filter(|seen| seen.target == ledger.client).collect();
        let (client_broken, cuts) = judge_client(ledger, &snapshot[&ledger.database], crash, &watched, &present);
        broken.extend(client_broken);
        let (low, high) = increments_done(ledger, cuts);
        pending_increments = (pending_increments.0 + low, pending_increments.1 + high);
    }
    broken.extend(judge_counter(ledgers, shared, base, pending_increments));
    broken
}

/// Makes what was found the new beginning of all notes.
pub fn adopt(ledgers: &mut [Ledger], shared: &mut Shared, snapshot: &Snapshot, crash: Instant) {
    for ledger in ledgers {
        let database = &snapshot[&ledger.database];
        let states = ledger.candidates(crash);
        for key in workload::universe() {
            if let Some(look) = database.looks.get(&key.name(ledger.client)) {
                let entry = adopted(look, &states, key);
                ledger.tip.adopt(key, entry);
            }
        }
        ledger.begin_round();
    }
    let base = &snapshot[&SHARED_DATABASE];
    shared.count = counter(base);
    let row = op::shared_row(shared.round);
    if let Some(found) = base.looks.get(&row).and_then(|look| look.found.as_ref()) {
        shared.settled.insert(row, found.digest);
    }
    shared.round += 1;
}

/// A value found, with the deadline of the command that may have written it.
fn adopted(look: &Look, states: &[Oracle], key: Key) -> Option<Entry> {
    let found = look.found.as_ref()?;
    let known = states.iter().filter_map(|state| state.get(key)).find(|entry| entry.digest == found.digest);
    let number = match found.reading {
        Reading::Number(number) => Some(number),
        _ => None,
    };
    let unknown = || (key.kind == op::Kind::Volatile).then(|| (look.at.from, look.at.to + Duration::from_secs(86_400)));
    let deadline = known.map_or_else(unknown, |entry| entry.deadline);
    Some(Entry { digest: found.digest, number, deadline })
}

fn judge_views(number: u32, database: &Database) -> Vec<Violation> {
    let steady = |names: &BTreeSet<String>| names.iter().filter(|name| !snapshot::is_volatile(name)).cloned().collect();
    let got = database.steady().into_keys().collect();
    let size = (database.size, database.volatile());
    rules::views_agree(&format!("db{number}"), &got, &steady(&database.scanned), &steady(&database.listed), size)
}

fn judge_strangers(database: &Database, universe: &BTreeSet<String>) -> Vec<Violation> {
    let strangers = database.looks.keys().filter(|name| !universe.contains(*name));
    strangers.map(|name| Violation::new(Rule::NoPhantom, name, "nobody writes this key")).collect()
}

fn judge_row(ledgers: &[Ledger], shared: &Shared, database: &Database) -> (Vec<Violation>, BTreeSet<(u16, u64)>) {
    let mut broken = Vec::new();
    for (name, digest) in &shared.settled {
        let found = database.looks.get(name).and_then(|look| look.found.as_ref()).map(|found| found.digest);
        if found != Some(*digest) {
            let detail = format!("a row of an earlier round was {digest:?}, is {found:?}");
            broken.push(Violation::new(Rule::AckedSurvives, name, detail));
        }
    }
    let name = op::shared_row(shared.round);
    let acks: Vec<SharedAck> = ledgers.iter().flat_map(|ledger| ledger.pieces.clone()).collect();
    let pending = ledgers.iter().flat_map(|ledger| ledger.pending.iter().map(move |pending| (ledger.client, pending)));
    let pending = pending.filter(|(_, pending)| pending.op == Op::SharedAppend);
    let pending = pending.map(|(client, pending)| (client, pending.seq)).collect();
    let found = database.looks.get(&name).and_then(|look| look.found.as_ref()?.bytes.as_deref());
    let (row_broken, present) = rules::row_whole(&name, &acks, &pending, found.unwrap_or_default());
    broken.extend(row_broken);
    (broken, present)
}

fn judge_counter(ledgers: &[Ledger], shared: &Shared, database: &Database, pending: (u64, u64)) -> Vec<Violation> {
    let acks: Vec<SharedAck> = ledgers.iter().flat_map(|ledger| ledger.increments.clone()).collect();
    rules::counted_once(&op::shared_counter(), shared.count, &acks, pending, counter(database))
}

fn counter(database: &Database) -> i64 {
    let found = database.looks.get(&op::shared_counter()).and_then(|look| look.found.as_ref());
    match found.map(|found| found.reading) {
        Some(Reading::Number(number)) => number,
        _ => 0,
    }
}

/// How many of the client's pending increments happened, at least and at most.
fn increments_done(ledger: &Ledger, cuts: Cuts) -> (u64, u64) {
    let done =
        |cut: usize| ledger.pending.iter().take(cut).filter(|pending| pending.op == Op::SharedIncr).count() as u64;
    (done(cuts.first().unwrap_or(0)), done(cuts.last().unwrap_or(ledger.pending.len())))
}

/// One client: each key, then all together. Also gives the cuts that explain it.
fn judge_client(
    ledger: &Ledger,
    database: &Database,
    crash: Instant,
    watched: &[&Observation],
    present: &BTreeSet<(u16, u64)>,
) -> (Vec<Violation>, Cuts) {
    let states = ledger.candidates(crash);
    let place = format!("c{}", ledger.client);
    let mut broken = Vec::new();
    let mut allowed: BTreeMap<Key, Cuts> = BTreeMap::new();
    for key in workload::universe() {
        let name = key.name(ledger.client);
        let Some(look) = database.looks.get(&name) else { continue };
        let cuts = Cuts::of(states.iter().map(|state| explains(state.get(key), look)));
        if cuts.is_empty() {
            broken.push(unexplained(ledger, key, &name, look));
        }
        allowed.insert(key, cuts);
    }
    let keys: Vec<_> = allowed.iter().map(|(key, cuts)| (key.name(ledger.client), *cuts)).collect();
    let batches = broken_batches(ledger, &allowed);
    let whole = row_cuts(ledger, present);
    match rules::prefix(&place, &keys, whole) {
        Ok(cuts) => {
            broken.extend(watched.iter().filter_map(|seen| judge_observation(ledger, &states, cuts, seen)));
            (broken, cuts)
        }
        Err(violation) => {
            broken.extend(if batches.is_empty() { vec![violation] } else { batches });
            (broken, Cuts::all(ledger.pending.len()))
        }
    }
}

/// Whether a key in this state may look like this.
fn explains(entry: Option<&Entry>, look: &Look) -> bool {
    match (entry, &look.found) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(entry), None) => entry.may_be_gone(look.at),
        (Some(entry), Some(found)) => entry.digest == found.digest && entry.may_live(look.at),
    }
}

fn unexplained(ledger: &Ledger, key: Key, place: &str, look: &Look) -> Violation {
    let tip = ledger.tip.get(key);
    let seen = look.found.as_ref().map(|found| (found.digest, found.reading));
    Unexplained {
        place,
        client: ledger.client,
        kind: key.kind,
        seen,
        tip: tip.filter(|entry| entry.may_live(look.at)).map(|entry| entry.digest),
        versions: ledger.versions.get(&key).map_or(&[], Vec::as_slice),
        refused: &ledger.refused,
        tip_number: tip.and_then(|entry| entry.number),
    }
    .judge()
}

fn broken_batches(ledger: &Ledger, allowed: &BTreeMap<Key, Cuts>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (index, pending) in ledger.pending.iter().enumerate() {
        if let Op::MSet(pairs) = &pending.op {
            let cuts = pairs.iter().filter_map(|(key, _)| Some((key.name(ledger.client), *allowed.get(key)?)));
            let place = format!("c{} #{}", ledger.client, pending.seq);
            broken.extend(rules::batch_whole(&place, index, &cuts.collect::<Vec<_>>()));
        }
    }
    broken
}

/// The client's pending pieces of the shared row say how far it came: a piece that is there happened, with all before.
fn row_cuts(ledger: &Ledger, present: &BTreeSet<(u16, u64)>) -> Cuts {
    let mut cuts = Cuts::all(ledger.pending.len());
    for (index, pending) in ledger.pending.iter().enumerate() {
        if pending.op == Op::SharedAppend {
            let there = present.contains(&(ledger.client, pending.seq));
            cuts = if there { cuts.at_least(index + 1) } else { cuts.at_most(index) };
        }
    }
    cuts
}

/// What another client saw of this one's key while it was written.
fn judge_observation(ledger: &Ledger, states: &[Oracle], cuts: Cuts, seen: &Observation) -> Option<Violation> {
    let place = seen.key.name(ledger.client);
    let digest = seen.seen.map(|(digest, _)| digest);
    let holds = |state: &Oracle| state.get(seen.key).map(|entry| entry.digest) == digest;
    let by_pending = match seen.seen {
        Some((_, Reading::By { client, seq })) if client == ledger.client => {
            ledger.pending.iter().any(|pending| pending.seq == seq)
        }
        _ => false,
    };
    let last_change = ledger.versions.get(&seen.key).and_then(|versions| versions.last()).map_or(0, |last| last.stamp);
    if holds(&states[0]) || (seen.stamp < last_change && !by_pending) {
        return None;
    }
    match states.iter().position(holds) {
        Some(floor) => rules::observed_survives(&place, cuts, floor),
        None if by_pending => None,
        None => {
            let detail = format!("a reader saw {:?} after a newer state was answered", seen.seen);
            Some(Violation::new(Rule::FreshReads, place, detail))
        }
    }
}

#[cfg(test)]
mod tests;
