//! The rules, each a pure function over what was noted and what was found. Every one has a test in which it fails.
//!
//! A client's commands run in order, so a crash cuts its pending commands somewhere: the first k happened, the others
//! did not. What each key holds allows some k; the rules ask whether any k explains everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::ledger::{SharedAck, Version};
use crate::op::Kind;
use crate::snapshot::Found;
use crate::value::{self, Digest, Reading};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// What was answered is there.
    AckedSurvives,
    /// What is there was asked for.
    NoPhantom,
    /// A value is whole.
    NoTear,
    /// What was deleted, expired or overwritten does not come back.
    NoResurrection,
    /// A refused command changed nothing.
    ErrorWithoutEffect,
    /// If one write is lost, so are all after it.
    Prefix,
    /// An increment or appended piece counts once.
    CountedOnce,
    /// All keys of MSET, of a transaction, of a move, or none.
    BatchWhole,
    /// What a reader saw is there.
    ObservedSurvives,
    /// A reader sees no state older than an answered write.
    FreshReads,
    /// Opening again changes nothing.
    ReopenSame,
    /// SCAN, KEYS, DBSIZE, TYPE, the counts of elements and full reads tell one story.
    ViewsAgree,
    /// A reply is the one the command must get.
    WrongReply,
    /// A server that nobody killed goes on, and starts.
    Serves,
    /// In `everysec`, what a power cut takes was answered no longer than a second before.
    LossIsRecent,
    /// A sync that has failed is not tried again: the second would succeed without writing.
    SyncedOnce,
}

impl Rule {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 16] = [
        Self::AckedSurvives,
        Self::NoPhantom,
        Self::NoTear,
        Self::NoResurrection,
        Self::ErrorWithoutEffect,
        Self::Prefix,
        Self::CountedOnce,
        Self::BatchWhole,
        Self::ObservedSurvives,
        Self::FreshReads,
        Self::ReopenSame,
        Self::ViewsAgree,
        Self::WrongReply,
        Self::Serves,
        Self::LossIsRecent,
        Self::SyncedOnce,
    ];
}

/// A rule broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Key, client or server.
    pub place: String,
    /// What was expected and what was found.
    pub detail: String,
    /// Answered writes that are gone, by client and number, where they are known. A batch may be in several violations.
    pub lost: Vec<(u16, u64)>,
}

impl Violation {
    /// A broken rule that lost no write, or nobody knows which.
    pub fn new(rule: Rule, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { rule, place: place.into(), detail: detail.into(), lost: Vec::new() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}: {}", self.rule, self.place, self.detail)
    }
}

/// The numbers of pending commands that may have happened, as a set of at most 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts(u64);

impl Cuts {
    /// The cuts for which `allowed` says yes.
    pub fn of(allowed: impl IntoIterator<Item = bool>) -> Self {
        let mut bits = 0;
        for (cut, yes) in allowed.into_iter().enumerate() {
            assert!(cut < 64, "a pipeline is shorter than a set of cuts");
            bits |= u64::from(yes) << cut;
        }
        Self(bits)
    }

    /// `count` pending commands, nothing known.
    pub fn all(count: usize) -> Self {
        Self::of(std::iter::repeat_n(true, count + 1))
    }

    /// No cut explains it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Explained by both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// At least `cut` commands happened.
    pub fn at_least(self, cut: usize) -> Self {
        Self(self.0 & !((1u64 << cut) - 1))
    }

    /// At most `cut` commands happened.
    pub fn at_most(self, cut: usize) -> Self {
        Self(self.0 & (u64::MAX >> (63 - cut)))
    }

    /// The fewest.
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// The most.
    pub fn last(self) -> Option<usize> {
        (self.0 != 0).then(|| 63 - self.0.leading_zeros() as usize)
    }
}

/// A key that no cut explains: says which rule that breaks.
pub struct Unexplained<'a> {
    /// Its name.
    pub place: &'a str,
    /// Its client.
    pub client: u16,
    /// What is done with it.
    pub kind: Kind,
    /// What it holds.
    pub seen: Option<&'a Found>,
    /// What it held after the last answered command, in full.
    pub tip_content: Option<&'a Content>,
    /// What it held after the last answered command.
    pub tip: Option<Digest>,
    /// All it held since the last restart, oldest first.
    pub versions: &'a [Version],
    /// The client's refused commands.
    pub refused: &'a [u64],
    /// The counter's value at the tip.
    pub tip_number: Option<i64>,
}

impl Unexplained<'_> {
    /// The broken rule.
    pub fn judge(&self) -> Violation {
        let rule = self.rule();
        let detail = format!(
            "expected {:?} or what unanswered commands made of it, found {:?}; {} answered versions",
            self.tip,
            self.seen.map(|found| (found.digest(), found.reading, found.content.len())),
            self.versions.len()
        );
        let lost = if matches!(rule, Rule::AckedSurvives | Rule::NoResurrection) { self.lost() } else { Vec::new() };
        Violation { lost, ..Violation::new(rule, self.place, detail) }
    }

    fn rule(&self) -> Rule {
        let Some(found) = self.seen else {
            return Rule::AckedSurvives;
        };
        let (digest, reading) = (found.digest(), found.reading);
        if reading == Reading::Torn {
            return Rule::NoTear;
        }
        if self.versions.iter().any(|version| version.digest == Some(digest)) {
            return if self.tip.is_some() { Rule::AckedSurvives } else { Rule::NoResurrection };
        }
        if !matches!(found.content, Content::Text(..)) {
            return collection::rule(self.tip_content, &found.content, self.refused);
        }
        match reading {
            Reading::By { seq, .. } if self.refused.contains(&seq) => Rule::ErrorWithoutEffect,
            Reading::Number(found) if self.tip_number.is_some_and(|tip| found > tip) => Rule::CountedOnce,
            Reading::Pieces if self.kind == Kind::Row => Rule::CountedOnce,
            _ => Rule::NoPhantom,
        }
    }

    /// The commands after the one whose version is there.
    fn lost(&self) -> Vec<(u16, u64)> {
        let seen = self.seen.map(Found::digest);
        let kept = self.versions.iter().rposition(|version| version.digest == seen);
        let lost = &self.versions[kept.map_or(0, |at| at + 1)..];
        // Number 0 is what the last restart found.
        lost.iter().filter(|version| version.seq > 0).map(|version| (self.client, version.seq)).collect()
    }
}

/// One cut explains all of a client's keys.
pub fn prefix(place: &str, keys: &[(String, Cuts)], whole: Cuts) -> Result<Cuts, Violation> {
    let mut cuts = whole;
    for (key, allowed) in keys.iter().filter(|(_, allowed)| !allowed.is_empty()) {
        let both = cuts.and(*allowed);
        if both.is_empty() {
            let detail = format!("{key} allows cuts {allowed:?}, the keys before it {cuts:?}");
            return Err(Violation::new(Rule::Prefix, place, detail));
        }
        cuts = both;
    }
    Ok(cuts)
}

/// The keys of the batch that is pending command number `index` have it all or have it not.
pub fn batch_whole(place: &str, index: usize, keys: &[(String, Cuts)]) -> Option<Violation> {
    let without: Vec<_> =
        keys.iter().filter(|(_, cuts)| !cuts.is_empty() && cuts.at_least(index + 1).is_empty()).collect();
    let with: Vec<_> = keys.iter().filter(|(_, cuts)| !cuts.is_empty() && cuts.at_most(index).is_empty()).collect();
    let torn = !with.is_empty() && !without.is_empty();
    torn.then(|| Violation::new(Rule::BatchWhole, place, format!("{with:?} have the batch, {without:?} do not")))
}

/// A reader saw a state after at least `floor` pending commands: the store is no older.
pub fn observed_survives(place: &str, cuts: Cuts, floor: usize) -> Option<Violation> {
    let gone = !cuts.is_empty() && cuts.at_least(floor).is_empty();
    let detail = || format!("a reader saw {floor} pending commands done, the store has cuts {cuts:?}");
    gone.then(|| Violation::new(Rule::ObservedSurvives, place, detail()))
}

/// The shared counter: every answer is another number, all are counted, and of the pending at least and at most so many.
pub fn counted_once(place: &str, base: i64, acks: &[SharedAck], pending: (u64, u64), seen: i64) -> Vec<Violation> {
    let mut broken = Vec::new();
    let distinct: BTreeSet<i64> = acks.iter().map(|ack| ack.reply).collect();
    if distinct.len() != acks.len() || distinct.first().is_some_and(|&first| first <= base) {
        let detail = format!("{} answers, {} different, base {base}", acks.len(), distinct.len());
        broken.push(Violation::new(Rule::CountedOnce, place, detail));
    }
    let low = (base + acks.len() as i64 + pending.0 as i64).max(distinct.last().copied().unwrap_or(base));
    let high = base + acks.len() as i64 + pending.1 as i64;
    let detail = format!("holds {seen}, must be in {low}..={high}");
    if seen < low {
        let lost: Vec<_> = acks.iter().filter(|ack| ack.reply > seen).map(|ack| (ack.client, ack.seq)).collect();
        let rule = if !lost.is_empty() { Rule::AckedSurvives } else { Rule::Prefix };
        broken.push(Violation { lost, ..Violation::new(rule, place, detail) });
    } else if seen > high {
        broken.push(Violation::new(Rule::CountedOnce, place, detail));
    }
    broken
}

/// The shared row: every answered piece once and where its answer said, of the pending each at most once, no others,
/// each client's in its order. Also says which pending pieces are there.
pub fn row_whole(
    place: &str,
    acks: &[SharedAck],
    pending: &BTreeSet<(u16, u64)>,
    seen: &[u8],
) -> (Vec<Violation>, BTreeSet<(u16, u64)>) {
    let Some(pieces) = value::pieces(seen) else {
        let detail = format!("{} bytes are no row of pieces", seen.len());
        return (vec![Violation::new(Rule::NoTear, place, detail)], BTreeSet::new());
    };
    let mut end = 0;
    let pieces = pieces.into_iter().map(|(client, seq)| {
        end += value::piece(client, seq).len() as i64;
        ((client, seq), end)
    });
    sequence_whole(place, acks, pending, pieces)
}

/// Elements with their writers, each with what its answer must have said.
fn sequence_whole(
    place: &str,
    acks: &[SharedAck],
    pending: &BTreeSet<(u16, u64)>,
    elements: impl Iterator<Item = ((u16, u64), i64)>,
) -> (Vec<Violation>, BTreeSet<(u16, u64)>) {
    let mut broken = Vec::new();
    let mut fail = |rule, detail: String| broken.push(Violation::new(rule, place, detail));
    let acked: BTreeMap<_, _> = acks.iter().map(|ack| ((ack.client, ack.seq), ack.reply)).collect();
    let (mut found, mut newest) = (BTreeSet::new(), BTreeMap::new());
    for ((client, seq), end) in elements {
        if !found.insert((client, seq)) {
            fail(Rule::CountedOnce, format!("piece {client}.{seq} twice"));
        } else if newest.insert(client, seq).is_some_and(|before| before > seq) {
            fail(Rule::Prefix, format!("client {client}'s piece {seq} stands behind a later one"));
        }
        match acked.get(&(client, seq)) {
            Some(&told) if told != end => {
                fail(Rule::WrongReply, format!("{client}.{seq} ends at {end}, told {told}"));
            }
            None if !pending.contains(&(client, seq)) => fail(Rule::NoPhantom, format!("piece {client}.{seq}")),
            _ => {}
        }
    }
    let lost: Vec<_> = acked.keys().filter(|piece| !found.contains(piece)).copied().collect();
    if !lost.is_empty() {
        let detail = format!("{} of {} answered pieces are gone", lost.len(), acked.len());
        broken.push(Violation { lost, ..Violation::new(Rule::AckedSurvives, place, detail) });
    }
    (broken, found.intersection(pending).copied().collect())
}

/// The same of a shared list: an answer says how long the list was with its element.
pub fn list_whole(
    place: &str,
    acks: &[SharedAck],
    pending: &BTreeSet<(u16, u64)>,
    seen: &VecDeque<Vec<u8>>,
) -> (Vec<Violation>, BTreeSet<(u16, u64)>) {
    let writer = |element: &Vec<u8>| match value::read(element) {
        Reading::By { client, seq } => Some((client, seq)),
        _ => None,
    };
    match seen.iter().map(writer).collect::<Option<Vec<_>>>() {
        Some(elements) => sequence_whole(place, acks, pending, elements.into_iter().zip(1..)),
        None => {
            let detail = format!("one of {} elements is no element", seen.len());
            (vec![Violation::new(Rule::NoTear, place, detail)], BTreeSet::new())
        }
    }
}

/// Keys by three ways and their number. Volatile keys may go between two looks and are not in the sets.
pub fn views_agree(
    place: &str,
    got: &BTreeSet<String>,
    scanned: &BTreeSet<String>,
    listed: &BTreeSet<String>,
    size: (i64, i64),
) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (way, keys) in [("SCAN", scanned), ("KEYS", listed)] {
        if let Some(odd) = keys.symmetric_difference(got).next() {
            let detail = format!("{way} has {} keys, GET {}; one of them differs: {odd}", keys.len(), got.len());
            broken.push(Violation::new(Rule::ViewsAgree, place, detail));
        }
    }
    let (size, volatile) = size;
    let exact = got.len() as i64;
    if !(exact..=exact + volatile).contains(&size) {
        let detail = format!("DBSIZE {size}, GET finds {exact} and up to {volatile} volatile");
        broken.push(Violation::new(Rule::ViewsAgree, place, detail));
    }
    broken
}

/// Two readings with nothing but a restart between them.
pub fn reopen_same(
    place: &str,
    before: &BTreeMap<String, Digest>,
    after: &BTreeMap<String, Digest>,
) -> Option<Violation> {
    let odd = before.iter().find(|(key, digest)| after.get(*key) != Some(digest));
    let odd = odd.or_else(|| after.iter().find(|(key, _)| !before.contains_key(*key)));
    odd.map(|(key, _)| {
        let detail = format!("{key} was {:?}, is {:?}", before.get(key), after.get(key));
        Violation::new(Rule::ReopenSame, place, detail)
    })
}

mod collection;

#[cfg(test)]
mod tests;
