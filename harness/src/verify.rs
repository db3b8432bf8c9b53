//! Lays what was found beside what was noted, and asks every rule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::content::Content;
use crate::ledger::{Ledger, Observation, SharedAck};
use crate::mix;
use crate::op::{self, Common, Key, Kind, Op};
use crate::oracle::{Entry, Oracle};
use crate::rules::{self, Cuts, Rule, Unexplained, Violation};
use crate::snapshot::{self, Database, Found, Look};
use crate::value::{Digest, Reading};

/// What all clients of a store share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// The number of the current shared row: one per kill.
    pub round: u32,
    /// The shared counters after the last restart.
    pub counts: BTreeMap<Common, i64>,
    /// Rows and lists of earlier rounds; nobody writes them any more.
    pub settled: BTreeMap<String, Digest>,
}

/// What was found, by database.
pub type Snapshot = BTreeMap<u32, Database>;

/// The database of the shared keys.
pub const SHARED_DATABASE: u32 = 0;

/// All keys that may be in a database.
pub fn universe(ledgers: &[Ledger], shared: &Shared, database: u32) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for ledger in ledgers {
        let here = mix::universe().filter(|key| ledger.database_of(*key) == database);
        names.extend(here.map(|key| key.name(ledger.client)));
    }
    if database == SHARED_DATABASE {
        names.extend(Common::ALL.map(|common| common.name(shared.round)));
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
    let (sequences_broken, present) = judge_sequences(ledgers, shared, base);
    broken.extend(sequences_broken);
    let mut explained = Vec::new();
    for ledger in ledgers {
        let watched = ledgers.iter().flat_map(|other| &other.observations);
        let watched: Vec<_> = watched.filter(|seen| seen.target == ledger.client).collect();
        let (client_broken, cuts) = judge_client(ledger, snapshot, crash, &watched, &present);
        broken.extend(client_broken);
        explained.push((ledger, cuts));
    }
    for common in Common::ALL.into_iter().filter(|common| !common.is_sequence()) {
        broken.extend(judge_counter(common, &explained, shared, base));
    }
    broken
}

/// The same after a life in which files could not be written. A command with a large value may have been refused for itself,
/// those behind it not, and nobody was told, because the server has ended: what is found may be explained by such refusals.
pub fn judge_with_refusals(
    ledgers: &mut [Ledger],
    shared: &Shared,
    snapshot: &Snapshot,
    crash: Instant,
) -> Vec<Violation> {
    let mut broken = judge(ledgers, shared, snapshot, crash);
    for client in 0..ledgers.len() {
        let mut at = 0;
        while !broken.is_empty() && at < ledgers[client].pending.len() {
            let pending = ledgers[client].pending.remove(at);
            let is_large = pending.op.writes().iter().any(|key| key.kind == Kind::Big);
            let without = if is_large { judge(ledgers, shared, snapshot, crash) } else { broken.clone() };
            if without.len() < broken.len() {
                broken = without;
            } else {
                ledgers[client].pending.insert(at, pending);
                at += 1;
            }
        }
    }
    broken
}

/// Makes what was found the new beginning of all notes.
pub fn adopt(ledgers: &mut [Ledger], shared: &mut Shared, snapshot: &Snapshot) {
    for ledger in ledgers {
        for key in mix::universe() {
            if let Some(look) = snapshot[&ledger.database_of(key)].looks.get(&key.name(ledger.client)) {
                let adopted = |found: &Found| Entry { deadline: look.deadline, ..Entry::new(found.content.clone()) };
                ledger.tip.adopt(key, look.found.as_ref().map(adopted));
            }
        }
        ledger.begin_round();
    }
    let base = &snapshot[&SHARED_DATABASE];
    for common in Common::ALL {
        let name = common.name(shared.round);
        match base.looks.get(&name).and_then(|look| look.found.as_ref()) {
            Some(found) if common.is_sequence() => drop(shared.settled.insert(name, found.digest())),
            found => drop(shared.counts.insert(common, found.map_or(0, counted))),
        }
    }
    shared.round += 1;
}

fn judge_views(number: u32, database: &Database) -> Vec<Violation> {
    let steady = |names: &BTreeSet<String>| names.iter().filter(|name| !snapshot::is_volatile(name)).cloned().collect();
    let got = database.steady().into_keys().collect();
    let size = (database.size, database.volatile());
    let odd = database.contradictions.iter();
    let odd = odd.map(|(name, told)| Violation::new(Rule::ViewsAgree, name, told));
    let mut broken: Vec<Violation> = odd.collect();
    broken.extend(rules::views_agree(
        &format!("db{number}"),
        &got,
        &steady(&database.scanned),
        &steady(&database.listed),
        size,
    ));
    broken
}

fn judge_strangers(database: &Database, universe: &BTreeSet<String>) -> Vec<Violation> {
    let strangers = database.looks.keys().filter(|name| !universe.contains(*name));
    strangers.map(|name| Violation::new(Rule::NoPhantom, name, "nobody writes this key")).collect()
}

/// Which pending elements of the shared sequences are there.
type Present = BTreeSet<(Common, u16, u64)>;

fn judge_sequences(ledgers: &[Ledger], shared: &Shared, database: &Database) -> (Vec<Violation>, Present) {
    let (mut broken, mut present) = (Vec::new(), Present::new());
    for (name, digest) in &shared.settled {
        let found = database.looks.get(name).and_then(|look| look.found.as_ref()).map(Found::digest);
        if found != Some(*digest) {
            let detail = format!("a row or list of an earlier round was {digest:?}, is {found:?}");
            broken.push(Violation::new(Rule::AckedSurvives, name, detail));
        }
    }
    for common in Common::ALL.into_iter().filter(|common| common.is_sequence()) {
        let name = common.name(shared.round);
        let acks = acks_of(ledgers.iter(), common);
        let waiting = |ledger: &'_ Ledger| -> Vec<(u16, u64)> {
            let pending = ledger.pending.iter().filter(|pending| pending.op == Op::Shared(common));
            pending.map(|pending| (ledger.client, pending.seq)).collect()
        };
        let pending = ledgers.iter().flat_map(waiting).collect();
        let found = database.looks.get(&name).and_then(|look| look.found.as_ref());
        let (found_broken, there) = match found.map(|found| (&found.content, &found.bytes)) {
            Some((Content::List(items), _)) => rules::list_whole(&name, &acks, &pending, items),
            Some((_, Some(bytes))) => rules::row_whole(&name, &acks, &pending, bytes),
            _ => rules::row_whole(&name, &acks, &pending, b""),
        };
        broken.extend(found_broken);
        present.extend(there.into_iter().map(|(client, seq)| (common, client, seq)));
    }
    (broken, present)
}

fn acks_of<'a>(ledgers: impl Iterator<Item = &'a Ledger>, common: Common) -> Vec<SharedAck> {
    ledgers.filter_map(|ledger| ledger.shared.get(&common)).flatten().copied().collect()
}

fn judge_counter(
    common: Common,
    explained: &[(&Ledger, Cuts)],
    shared: &Shared,
    database: &Database,
) -> Vec<Violation> {
    let acks = acks_of(explained.iter().map(|(ledger, _)| *ledger), common);
    let pending = explained.iter().map(|(ledger, cuts)| increments_done(ledger, common, *cuts));
    let pending = pending.fold((0, 0), |sum, (low, high)| (sum.0 + low, sum.1 + high));
    let base = shared.counts.get(&common).copied().unwrap_or(0);
    let name = common.name(shared.round);
    let found = database.looks.get(&name).and_then(|look| look.found.as_ref());
    rules::counted_once(&name, base, &acks, pending, found.map_or(0, counted))
}

/// What a shared counter holds: as a string, or in its field.
fn counted(found: &Found) -> i64 {
    let field = match &found.content {
        Content::Text(_, number) => return number.unwrap_or(0),
        Content::Hash(fields) => fields.get(op::COMMON_FIELD.as_bytes()),
        _ => None,
    };
    match field.map(|field| Content::text(&field.value)) {
        Some(Content::Text(_, Some(number))) => number,
        _ => 0,
    }
}

/// How many of the client's pending increments happened, at least and at most.
fn increments_done(ledger: &Ledger, common: Common, cuts: Cuts) -> (u64, u64) {
    let is_one = |op: &Op| *op == Op::Shared(common);
    let done = |cut: usize| ledger.pending.iter().take(cut).filter(|pending| is_one(&pending.op)).count() as u64;
    (done(cuts.first().unwrap_or(0)), done(cuts.last().unwrap_or(ledger.pending.len())))
}

/// One client: each key, then all together. Also gives the cuts that explain it.
fn judge_client(
    ledger: &Ledger,
    snapshot: &Snapshot,
    crash: Instant,
    watched: &[&Observation],
    present: &Present,
) -> (Vec<Violation>, Cuts) {
    let states = ledger.candidates(crash);
    let place = format!("c{}", ledger.client);
    let mut broken = Vec::new();
    let mut allowed: BTreeMap<Key, Cuts> = BTreeMap::new();
    for key in mix::universe() {
        let name = key.name(ledger.client);
        let Some(look) = snapshot[&ledger.database_of(key)].looks.get(&name) else { continue };
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
        (Some(entry), Some(found)) => {
            // A string is compared by its digest; a read that contradicts itself is no collection.
            let whole = found.reading != Reading::Torn || matches!(found.content, Content::Text(..));
            let in_time =
                entry.may_live(look.at) && entry.content.allows_deadline(entry.deadline, look.deadline, look.at);
            let fields_in_time = entry.content.allows_deadlines(&found.content, look.at);
            whole && in_time && fields_in_time && entry.content.allows(&found.content, look.at)
        }
    }
}

fn unexplained(ledger: &Ledger, key: Key, place: &str, look: &Look) -> Violation {
    let tip = ledger.tip.get(key);
    let seen = look.found.as_ref();
    Unexplained {
        place,
        client: ledger.client,
        kind: key.kind,
        seen,
        tip_content: tip.map(|entry| &*entry.content),
        tip: tip.filter(|entry| entry.may_live(look.at)).map(Entry::digest),
        versions: ledger.versions.get(&key).map_or(&[], Vec::as_slice),
        refused: &ledger.refused,
        tip_number: tip.and_then(Entry::as_number),
    }
    .judge()
}

fn broken_batches(ledger: &Ledger, allowed: &BTreeMap<Key, Cuts>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (index, pending) in ledger.pending.iter().enumerate() {
        // SWAPDB and FLUSHDB are a batch of all keys.
        let keys = if pending.op.is_of_databases() { allowed.keys().copied().collect() } else { pending.op.writes() };
        if keys.len() > 1 {
            let cuts = keys.iter().filter_map(|key| Some((key.name(ledger.client), *allowed.get(key)?)));
            let place = format!("c{} #{}", ledger.client, pending.seq);
            broken.extend(rules::batch_whole(&place, index, &cuts.collect::<Vec<_>>()));
        }
    }
    broken
}

/// The client's pending elements of shared sequences say how far it came: one that is there happened, with all before.
fn row_cuts(ledger: &Ledger, present: &Present) -> Cuts {
    let mut cuts = Cuts::all(ledger.pending.len());
    for (index, pending) in ledger.pending.iter().enumerate() {
        if let Op::Shared(common @ (Common::Row | Common::List)) = pending.op {
            let there = present.contains(&(common, ledger.client, pending.seq));
            cuts = if there { cuts.at_least(index + 1) } else { cuts.at_most(index) };
        }
    }
    cuts
}

/// What another client saw of this one's key while it was written.
fn judge_observation(ledger: &Ledger, states: &[Oracle], cuts: Cuts, seen: &Observation) -> Option<Violation> {
    let place = seen.key.name(ledger.client);
    let digest = seen.seen.map(|(digest, _)| digest);
    let holds = |state: &Oracle| state.get(seen.key).map(Entry::digest) == digest;
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

pub mod loss;

#[cfg(test)]
mod tests;
