//! KEYS and PDEL: all keys whose names match a pattern, in slices between which other clients are served.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine::listener::Class;
use engine::{Key, Lsn, Need, Refusal, Transaction};

use super::args::{integer, is};
use super::error::SYNTAX;
use super::glob::{self, Case};
use super::keys::Names;
use super::{After, Call, Command, CommandError, Context, Flag, Reply, Slices, Step};
use crate::server::Server;
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("KEYS", "pattern:pattern [PIVOT pivot] [LIMIT count:int] [DESC] [WITHVALUES]", keys)
        .flags(&[Flag::Reads, Flag::Dangerous])
        .cost("O(N), N being the number of keys in the database; O(N*log(count)) with LIMIT")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .doc("Returns the names of all keys that match a pattern, with an option in the order of their bytes."),
    Command::server("PDEL", "pattern:pattern", pdel)
        .flags(&[Flag::Writes, Flag::Shrinks, Flag::Dangerous])
        .since("1.0.0")
        .cost("O(N), N being the number of keys in the database")
        .doc("Removes all keys that match a pattern, a thousand at a time, and returns how many there were."),
];

/// Keys looked at before others are served.
const SLICE_KEYS: usize = 10_000;
/// Keys removed in one transaction.
const REMOVED_AT_ONCE: usize = 1000;

/// What KEYS is asked for.
#[derive(Clone)]
struct Wanted {
    pattern: Vec<u8>,
    is_ordered: bool,
    pivot: Option<Vec<u8>>,
    limit: usize,
    descending: bool,
    with_values: bool,
}

impl Wanted {
    fn parse(call: &Call<'_>) -> Result<Wanted, CommandError> {
        let mut wanted = Wanted {
            pattern: call.arg(1).to_vec(),
            is_ordered: call.len() > 2,
            pivot: None,
            limit: usize::MAX,
            descending: false,
            with_values: false,
        };
        let mut at = 2;
        while at < call.len() {
            let (word, more) = (call.arg(at), at + 1 < call.len());
            if is(word, "DESC") {
                wanted.descending = true;
            } else if is(word, "WITHVALUES") {
                wanted.with_values = true;
            } else if is(word, "PIVOT") && more {
                at += 1;
                wanted.pivot = Some(call.arg(at).to_vec());
            } else if is(word, "LIMIT") && more {
                at += 1;
                wanted.limit = usize::try_from(integer(call.arg(at))?).map_err(|_| SYNTAX)?;
            } else {
                // As a server that knows none of these says.
                return Err(CommandError::arity(&call.entry.full_name));
            }
            at += 1;
        }
        Ok(wanted)
    }

    fn matches(&self, key: &[u8]) -> bool {
        let behind_pivot =
            self.pivot.as_deref().is_none_or(|pivot| if self.descending { key < pivot } else { key > pivot });
        behind_pivot && matches(&self.pattern, key)
    }
}

fn matches(pattern: &[u8], key: &[u8]) -> bool {
    glob::matches_all(pattern) || glob::matches(pattern, key, Case::Exact)
}

/// Names in the wanted order, never more than are wanted.
enum Found {
    Any(Names),
    First(BinaryHeap<Vec<u8>>),
    Last(BinaryHeap<Reverse<Vec<u8>>>),
}

impl Found {
    fn push(&mut self, key: &[u8], limit: usize) {
        match self {
            Found::Any(names) => names.push(key),
            Found::First(heap) if heap.len() < limit => heap.push(key.to_vec()),
            Found::First(heap) => {
                if let Some(mut last) = heap.peek_mut().filter(|last| key < &last[..]) {
                    *last = key.to_vec();
                }
            }
            Found::Last(heap) if heap.len() < limit => heap.push(Reverse(key.to_vec())),
            Found::Last(heap) => {
                if let Some(mut last) = heap.peek_mut().filter(|last| key > &last.0[..]) {
                    *last = Reverse(key.to_vec());
                }
            }
        }
    }
}

/// KEYS on its way.
struct Listing {
    wanted: Wanted,
    database: u8,
    cursor: u64,
    found: Found,
}

fn keys(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let wanted = Wanted::parse(call)?;
    let found = match (wanted.is_ordered, wanted.descending) {
        (false, _) => Found::Any(Names::default()),
        (true, false) => Found::First(BinaryHeap::new()),
        (true, true) => Found::Last(BinaryHeap::new()),
    };
    let database = context.session.database;
    super::run_slices(Box::new(Listing { wanted, database, cursor: 0, found }), context, reply)
}

impl Slices for Listing {
    fn step(&mut self, server: &Server, held: Option<&mut Transaction<'_>>) -> Step {
        let (wanted, found) = (&self.wanted, &mut self.found);
        self.cursor = server.store.scan(held, self.database, self.cursor, SLICE_KEYS, |key, _| {
            if wanted.limit != 0 && wanted.matches(key) {
                found.push(key, wanted.limit);
            }
        });
        if self.cursor == 0 { Step::Done } else { Step::More }
    }

    fn finish(
        self: Box<Self>,
        server: &Server,
        mut held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        let names: Vec<Vec<u8>> = match self.found {
            Found::Any(names) => {
                names.write(reply);
                return Ok(whole_store_gate(server));
            }
            Found::First(heap) => heap.into_sorted_vec(),
            Found::Last(heap) => heap.into_sorted_vec().into_iter().map(|name| name.0).collect(),
        };
        reply.write().array(if self.wanted.with_values { 2 * names.len() } else { names.len() });
        for name in names {
            reply.bulk(&name);
            if self.wanted.with_values {
                let key = server.store.key(&name);
                match &mut held {
                    Some(transaction) => value(transaction, &key, reply),
                    None => {
                        let mut transaction = server.store.begin(self.database, &[key], server.store.now_ms());
                        transaction.read_at_once();
                        value(&mut transaction, &key, reply);
                        transaction.commit();
                    }
                }
            }
        }
        Ok(whole_store_gate(server))
    }
}

/// The string at a key; nothing when it is not one, or gone meanwhile.
fn value(transaction: &mut Transaction<'_>, key: &Key<'_>, reply: &mut Reply<'_>) {
    match transaction.get(key).filter(|item| item.string().is_ok()) {
        Some(item) => reply.item(item),
        None => reply.null(),
    }
}

/// PDEL on its way.
struct Removal {
    pattern: Vec<u8>,
    database: u8,
    cursor: u64,
    /// Found and not yet removed.
    found: Vec<Vec<u8>>,
    removed: i64,
    gate: Lsn,
}

fn pdel(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let (pattern, database) = (call.arg(1).to_vec(), context.session.database);
    let removal = Removal { pattern, database, cursor: 0, found: Vec::new(), removed: 0, gate: 0 };
    super::run_slices(Box::new(removal), context, reply)
}

impl Slices for Removal {
    fn step(&mut self, server: &Server, mut held: Option<&mut Transaction<'_>>) -> Step {
        if self.found.is_empty() {
            let (pattern, found) = (&self.pattern, &mut self.found);
            let held = held.as_deref_mut();
            self.cursor = server.store.scan(held, self.database, self.cursor, REMOVED_AT_ONCE, |key, _| {
                if matches(pattern, key) {
                    found.push(key.to_vec());
                }
            });
        }
        match held {
            Some(transaction) => self.removed += remove(transaction, &self.found, server),
            None => {
                let bytes: usize = self.found.iter().map(|key| key.len() + TOMB_BYTES).sum();
                match server.store.admit(Need::Shrink, bytes as u64) {
                    Ok(()) => {}
                    Err(Refusal::Stalled) => return Step::Stalled,
                    Err(refusal) => return Step::Failed(refusal.into()),
                }
                let keys: Vec<Key<'_>> = self.found.iter().map(|key| server.store.key(key)).collect();
                let mut transaction = server.store.begin(self.database, &keys, server.store.now_ms());
                self.removed += remove(&mut transaction, &self.found, server);
                self.gate = self.gate.max(transaction.commit());
            }
        }
        self.found.clear();
        if self.cursor == 0 { Step::Done } else { Step::More }
    }

    fn finish(
        self: Box<Self>,
        server: &Server,
        _held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        reply.integer(self.removed);
        Ok(self.gate.max(whole_store_gate(server)))
    }
}

/// Bytes of log that the removal of a key takes beside its name, at most.
const TOMB_BYTES: usize = 64;

fn remove(transaction: &mut Transaction<'_>, keys: &[Vec<u8>], server: &Server) -> i64 {
    let mut removed = 0;
    for key in keys {
        let key = server.store.key(key);
        if transaction.remove(&key) {
            transaction.notify(Class::Generic, "del", &key);
            removed += 1;
        }
    }
    removed
}
