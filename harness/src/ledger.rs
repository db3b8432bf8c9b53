//! One client's notes: what it asked for before it asked, what it was told after it was told.
//!
//! The notes live in the judge's process, which is never killed; when a rule is broken they are written to a file.
//!
//! Invariants: `pending` is in the order sent; `tip` is the state after every answered command and none of the pending;
//! a stamp is taken before a command's first byte leaves and after a reply's last byte came.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::clock::{self, Interval};
use crate::content::Content;
use crate::op::{Common, Family, Key, Op, Sender};
use crate::oracle::{Expected, Oracle};
use crate::rules::{Rule, Violation};
use crate::value::{self, Digest, Reading, Writer};
use crate::wire::Reply;

/// A moment in the order of all clients' notes.
pub type Stamp = u64;

/// Gives out stamps.
#[derive(Debug, Default)]
pub struct Stamps(AtomicU64);

impl Stamps {
    /// Later than all before.
    pub fn next(&self) -> Stamp {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A command without its reply.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its number among the client's commands.
    pub seq: u64,
    /// What it is.
    pub op: Op,
    /// When it was sent, at the earliest.
    pub invoked: Instant,
    /// The same, in the order of notes.
    pub stamp: Stamp,
}

/// A command with its reply.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The command.
    pub command: Pending,
    /// From when it was sent to when its reply was there.
    pub at: Interval,
    /// When its reply was there, in the order of notes.
    pub stamp: Stamp,
    /// What it was told.
    pub reply: Reply,
}

impl Answered {
    /// An error: it had no effect.
    pub fn is_refused(&self) -> bool {
        matches!(self.reply, Reply::Error(_))
    }

    /// Does to a state what the command did.
    pub fn redo(&self, state: &mut Oracle) {
        if !self.is_refused() {
            state.apply_told(self.command.seq, &self.command.op, self.at, &self.reply);
        }
    }
}

/// All answered commands since the last restart, for a judge that goes back to one of them.
#[derive(Clone, Debug)]
pub struct Past {
    /// The state before the first.
    pub base: Oracle,
    /// In their order.
    pub answered: Vec<Answered>,
}

/// A value that a key had, by an answered command.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// The command.
    pub seq: u64,
    /// What it left; nothing: it removed the key.
    pub digest: Option<Digest>,
    /// When its reply was there.
    pub stamp: Stamp,
}

/// What a client saw of another client's key.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Whose key.
    pub target: u16,
    /// Which.
    pub key: Key,
    /// What it held.
    pub seen: Option<(Digest, Reading)>,
    /// Before the read was sent.
    pub stamp: Stamp,
}

/// An answered write of a shared key.
#[derive(Clone, Copy, Debug)]
pub struct SharedAck {
    /// The client.
    pub client: u16,
    /// Its command.
    pub seq: u64,
    /// The reply: the counter, the row's length in bytes, the list's in elements.
    pub reply: i64,
}

/// One client's notes between two kills.
#[derive(Debug)]
pub struct Ledger {
    /// Whose.
    pub client: u16,
    /// The database it lives in.
    pub database: u32,
    /// The one it moves keys to.
    pub away: u32,
    /// The state after all answered commands.
    pub tip: Oracle,
    /// Sent, not answered, in order.
    pub pending: Vec<Pending>,
    /// The next command's number.
    pub next_seq: u64,
    /// Every value its keys had since the last kill.
    pub versions: HashMap<Key, Vec<Version>>,
    /// Commands that got an error reply.
    pub refused: Vec<u64>,
    /// What it saw of others.
    pub observations: Vec<Observation>,
    /// Its part in the shared keys.
    pub shared: BTreeMap<Common, Vec<SharedAck>>,
    /// Rules broken before any kill: wrong replies.
    pub violations: Vec<Violation>,
    /// Answered writes since the last kill.
    pub acked_writes: u64,
    /// The same by what they were about.
    pub acked_by_family: BTreeMap<Family, u64>,
    /// Replies compared with the oracle since the last kill.
    pub checked_replies: u64,
    /// The first error reply that was not expected, and when.
    pub refusal: Option<(Instant, String)>,
    /// What may be gone back to, if anything may.
    pub past: Option<Past>,
    run: u32,
    history: Vec<String>,
}

/// Longest text about a wrong reply: a collection may be long.
const DETAIL_BYTES: usize = 2000;

/// Lines of history kept for a file that a person reads.
const HISTORY_LINES: usize = 4096;

impl Ledger {
    /// An empty ledger.
    pub fn new(run: u32, client: u16, (database, away): (u32, u32)) -> Self {
        Self {
            client,
            database,
            away,
            run,
            tip: Oracle::new(run, client),
            pending: Vec::new(),
            next_seq: 1,
            versions: HashMap::new(),
            refused: Vec::new(),
            observations: Vec::new(),
            shared: BTreeMap::new(),
            violations: Vec::new(),
            acked_writes: 0,
            acked_by_family: BTreeMap::new(),
            checked_replies: 0,
            refusal: None,
            past: None,
            history: Vec::new(),
        }
    }

    /// Keeps what was answered from now on: an answered write may get lost.
    pub fn keep_past(&mut self) {
        self.past = Some(Past { base: self.tip.clone(), answered: Vec::new() });
    }

    /// Notes a command before it is sent; gives its number.
    pub fn invoke(&mut self, op: Op, stamps: &Stamps) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.pending.push(Pending { seq, op, invoked: clock::now(), stamp: stamps.next() });
        seq
    }

    /// Notes the reply of the oldest pending command.
    pub fn answer(&mut self, reply: &Reply, stamps: &Stamps) {
        assert!(!self.pending.is_empty(), "a reply belongs to a command");
        let pending = self.pending.remove(0);
        let at = Interval { from: pending.invoked, to: clock::now() };
        let stamp = stamps.next();
        self.note(&pending, reply);
        self.checked_replies += 1;
        if let Some(past) = &mut self.past {
            past.answered.push(Answered { command: pending.clone(), at, stamp, reply: reply.clone() });
        }
        if let Reply::Error(text) = reply {
            self.refused.push(pending.seq);
            if !self.tip.refuses(pending.seq, &pending.op, at) {
                let told = || (at.to, cut(format!("#{} {:?}: {text}", pending.seq, pending.op)));
                self.refusal.get_or_insert_with(told);
            }
            return;
        }
        let touched = self.tip.touched(&pending.op);
        let expected = self.tip.apply_told(pending.seq, &pending.op, at, reply);
        if !expected.allows(reply) {
            self.wrong_reply(&pending, &expected, reply);
        }
        if *reply == Reply::Nil && matches!(expected, Expected::ValueOrNil(_)) {
            self.seen_expired(&pending.op, stamp, pending.seq);
        }
        for key in touched {
            self.version(key, pending.seq, stamp);
        }
        if pending.op.is_write() {
            self.acked_writes += 1;
            *self.acked_by_family.entry(pending.op.family()).or_default() += 1;
        }
        self.share(&pending, reply);
    }

    /// Where a command with this number is sent from.
    pub fn sender(&self, seq: u64, round: u32) -> Sender {
        let writer = Writer { run: self.run, client: self.client, seq };
        Sender { writer, round, home: self.database, away: self.away }
    }

    /// The database in which a key lies.
    pub fn database_of(&self, key: Key) -> u32 {
        if key.away { self.away } else { self.database }
    }

    /// Forgets the past: what was found after the restart is the new beginning.
    pub fn begin_round(&mut self) {
        self.pending.clear();
        self.versions.clear();
        for key in self.tip.keys().collect::<Vec<_>>() {
            self.version(key, 0, 0);
        }
        self.refused.clear();
        self.observations.clear();
        self.shared.clear();
        self.violations.clear();
        self.acked_writes = 0;
        self.acked_by_family.clear();
        self.checked_replies = 0;
        self.refusal = None;
        if self.past.is_some() {
            self.keep_past();
        }
    }

    /// Goes back to when only the first `kept` of the commands had been run, if answered ones are not among them: those and
    /// all without an answer are lost.
    pub fn set_back(&mut self, kept: usize) {
        let Some(past) = &mut self.past else { return };
        let Some(first_lost) = past.answered.get(kept).map(|answered| answered.command.seq) else { return };
        past.answered.truncate(kept);
        self.tip = past.base.clone();
        past.answered.iter().for_each(|answered| answered.redo(&mut self.tip));
        self.pending.clear();
        self.versions.values_mut().for_each(|versions| versions.retain(|version| version.seq < first_lost));
        self.shared.values_mut().for_each(|acks| acks.retain(|ack| ack.seq < first_lost));
    }

    /// Forgets what it saw of others by a reply that came later.
    pub fn forget_seen_after(&mut self, at: Instant) {
        let late = self.past.iter().flat_map(|past| &past.answered).find(|answered| answered.at.to > at);
        if let Some(sent) = late.map(|answered| answered.command.stamp) {
            self.observations.retain(|seen| seen.stamp < sent);
        }
    }

    /// Sent writes without a reply.
    pub fn unknown_writes(&self) -> u64 {
        self.pending.iter().filter(|pending| pending.op.is_write()).count() as u64
    }

    /// The state after the answered commands and the first 0, 1, 2 … of the pending, the crash being at `crash`.
    pub fn candidates(&self, crash: Instant) -> Vec<Oracle> {
        let mut states = vec![self.tip.clone()];
        for pending in &self.pending {
            let mut state = states[states.len() - 1].clone();
            state.apply(pending.seq, &pending.op, Interval { from: pending.invoked, to: crash.max(pending.invoked) });
            states.push(state);
        }
        states
    }

    /// The notes as text, for a person.
    pub fn dump(&self) -> String {
        let mut text = format!("client {} database {}\n", self.client, self.database);
        for line in &self.history {
            let _ = writeln!(text, "{line}");
        }
        for pending in &self.pending {
            let _ = writeln!(text, "#{} {:?} -> no reply", pending.seq, pending.op);
        }
        text
    }

    fn version(&mut self, key: Key, seq: u64, stamp: Stamp) {
        let digest = self.tip.get(key).map(crate::oracle::Entry::digest);
        self.versions.entry(key).or_default().push(Version { seq, digest, stamp });
    }

    fn seen_expired(&mut self, op: &Op, stamp: Stamp, seq: u64) {
        if let Op::Get(key) = op {
            self.version(*key, seq, stamp);
        }
    }

    fn share(&mut self, pending: &Pending, reply: &Reply) {
        let client = self.client;
        match (&pending.op, reply) {
            (Op::Shared(common), Reply::Int(reply)) => {
                let ack = SharedAck { client, seq: pending.seq, reply: *reply };
                self.shared.entry(*common).or_default().push(ack);
            }
            (Op::Peek(target, key), reply) => {
                let found = key.kind.holds().and_then(|kind| kind.parse(reply)).filter(|found| !found.is_empty());
                let seen = match reply {
                    Reply::Bulk(bytes) => Some((Digest::of(bytes), value::read(bytes))),
                    _ => found.as_ref().map(|found: &Content| (found.digest(), found.reading())),
                };
                self.observations.push(Observation { target: *target, key: *key, seen, stamp: pending.stamp });
            }
            _ => {}
        }
    }

    fn wrong_reply(&mut self, pending: &Pending, expected: &Expected, reply: &Reply) {
        let detail = format!("#{} {:?}: expected {expected:?}, got {}", pending.seq, pending.op, brief(reply));
        self.violations.push(Violation::new(Rule::WrongReply, format!("c{}", self.client), cut(detail)));
    }

    fn note(&mut self, pending: &Pending, reply: &Reply) {
        if self.history.len() >= 2 * HISTORY_LINES {
            self.history.drain(..HISTORY_LINES);
        }
        self.history.push(format!("#{} {:?} -> {}", pending.seq, pending.op, brief(reply)));
    }
}

fn cut(mut detail: String) -> String {
    detail.truncate(detail.floor_char_boundary(DETAIL_BYTES));
    detail
}

/// A reply, short enough for a line.
fn brief(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => format!("{} bytes, {:?}", bytes.len(), value::read(bytes)),
        Reply::Array(items) if items.len() > 8 => format!("{} items", items.len()),
        Reply::Array(items) => format!("[{}]", items.iter().map(brief).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}
