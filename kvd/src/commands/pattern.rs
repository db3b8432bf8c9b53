//! KEYS and PDEL: all keys whose names match a pattern, in slices between which other clients are served.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use engine::cold::{Fetched, Want};
use engine::listener::Class;
use engine::{Key, KeyRange, Lsn, Need, Refusal, Transaction, value};

use super::args::{integer, is};
use super::error::{NO_KEY_PERMISSION, SYNTAX};
use super::glob::{self, Case};
use super::keys::Names;
use super::touch::Permission;
use super::{After, Call, Command, CommandError, Context, Flag, Reply, Slices, Step};
use crate::server::Server;
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("KEYS", "pattern:pattern [PIVOT pivot] [LIMIT count:int] [DESC] [WITHVALUES]", keys)
        .flags(&[Flag::Reads, Flag::Dangerous])
        .reaches(|request| {
            let shows_values = request.iter().skip(2).any(|word| is(word, "WITHVALUES"));
            shows_values.then_some((Permission::READ, NO_KEY_PERMISSION))
        })
        .cost("O(N), N being the number of keys in the database; O(N*log(count)) with LIMIT; with key-order, O(log(N)+M), M being \
               the number of keys that begin as the pattern does, or of those up to the limit")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .doc("Returns the names of all keys that match a pattern, with an option in the order of their bytes."),
    Command::server("PDEL", "pattern:pattern", pdel)
        .flags(&[Flag::Writes, Flag::Shrinks, Flag::Dangerous])
        .reaches(|_| Some((Permission::WRITE, NO_KEY_PERMISSION)))
        .since("1.0.0")
        .cost("O(N), N being the number of keys in the database; with key-order, that begin as the pattern does")
        .doc("Removes all keys that match a pattern, a thousand at a time, and returns how many there were."),
];

/// Keys looked at before others are served.
const SLICE_KEYS: usize = 10_000;
/// Keys looked at for values that have left memory, and bytes of values that are read, before others are served.
const SOUGHT_KEYS: usize = 1000;
const SOUGHT_BYTES: usize = 1 << 20;
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
    /// They come as they are wanted.
    InOrder(Vec<Vec<u8>>),
    First(BinaryHeap<Vec<u8>>),
    Last(BinaryHeap<Reverse<Vec<u8>>>),
}

impl Found {
    /// Whether no key that comes later is wanted.
    fn is_complete(&self, limit: usize) -> bool {
        matches!(self, Found::InOrder(names) if names.len() >= limit)
    }

    /// All of them, in the wanted order; none that come in any.
    fn into_sorted(self) -> Vec<Vec<u8>> {
        match self {
            Found::Any(_) => Vec::new(),
            Found::InOrder(names) => names,
            Found::First(heap) => heap.into_sorted_vec(),
            Found::Last(heap) => heap.into_sorted_vec().into_iter().map(|name| name.0).collect(),
        }
    }

    fn push(&mut self, key: &[u8], limit: usize) {
        match self {
            Found::Any(names) => names.push(key),
            Found::InOrder(names) if names.len() < limit => names.push(key.to_vec()),
            Found::InOrder(_) => {}
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

/// How far a walk over the keys of a database is.
enum At {
    /// Over the tables.
    Cursor(u64),
    /// Over the keys in their order, as far as they begin as the pattern does.
    Range(KeyRange),
}

impl At {
    /// The beginning. In their order the keys come where that is wanted, or where a pattern leaves most of them out.
    fn start(server: &Server, pattern: &[u8], is_ordered: bool, behind: Option<&[u8]>, descending: bool) -> At {
        let prefix = glob::prefix(pattern);
        if !server.store.keeps_order() || !is_ordered && prefix.is_empty() {
            return At::Cursor(0);
        }
        At::Range(KeyRange { prefix: prefix.to_vec(), behind: behind.map(<[u8]>::to_vec), descending })
    }

    /// Looks at about so many keys. Whether there are more.
    fn go_on(
        &mut self,
        server: &Server,
        held: Option<&mut Transaction<'_>>,
        database: u8,
        enough: usize,
        mut visit: impl FnMut(&[u8]),
    ) -> bool {
        match self {
            At::Cursor(cursor) => {
                *cursor = server.store.scan(held, database, *cursor, enough, |key, _| visit(key));
                *cursor != 0
            }
            At::Range(range) => {
                range.behind = server.store.walk(held, database, range, enough, |key, _| visit(key));
                range.behind.is_some()
            }
        }
    }

    fn is_ordered(&self) -> bool {
        matches!(self, At::Range(_))
    }
}

/// What was found, of which the values are wanted too: those that have left memory are read before any is shown.
struct Sought {
    names: Vec<(Vec<u8>, Option<Fetched>)>,
    /// For those before nothing is to be read.
    at: usize,
    /// For those before something was asked for.
    asked: usize,
}

impl Sought {
    fn new(names: Vec<Vec<u8>>) -> Sought {
        Sought { names: names.into_iter().map(|name| (name, None)).collect(), at: 0, asked: 0 }
    }

    /// The values of some of them that lie in the log only.
    fn wants(&mut self, server: &Server, database: u8) -> Vec<Want> {
        let (mut wants, mut bytes) = (Vec::new(), 0);
        let now_ms = server.store.now_ms();
        self.asked = self.at;
        for (name, _) in self.names[self.at..].iter().take(SOUGHT_KEYS) {
            if bytes >= SOUGHT_BYTES {
                break;
            }
            let key = server.store.key(name);
            let mut transaction = server.store.begin(database, &[key], now_ms);
            if transaction.get(&key).is_some_and(|item| item.value_type() == value::STRING) {
                let wanted = transaction.take_wanted();
                bytes += wanted.iter().map(Want::value_bytes).sum::<usize>();
                wants.extend(wanted);
            }
            transaction.commit();
            self.asked += 1;
        }
        wants
    }

    /// Takes what was read for those that were asked for.
    fn bring(&mut self, fetched: Vec<Fetched>) {
        let mut by_key: HashMap<Vec<u8>, Fetched> =
            fetched.into_iter().map(|fetched| (fetched.key().to_vec(), fetched)).collect();
        for (name, read) in &mut self.names[self.at..self.asked] {
            *read = by_key.remove(name);
        }
        self.at = self.asked;
    }

    fn step(&mut self, server: &Server, database: u8) -> Step {
        let wants = self.wants(server, database);
        if !wants.is_empty() {
            return Step::Wants(wants);
        }
        self.at = self.asked;
        if self.at < self.names.len() { Step::More } else { Step::Done }
    }
}

/// KEYS on its way.
struct Listing {
    wanted: Wanted,
    database: u8,
    at: At,
    /// Keys to look at in the next slice.
    slice: usize,
    found: Found,
    sought: Option<Sought>,
}

fn keys(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let wanted = Wanted::parse(call)?;
    let (pivot, descending) = (wanted.pivot.as_deref(), wanted.descending);
    let at = At::start(context.server, &wanted.pattern, wanted.is_ordered, pivot, descending);
    let found = match (wanted.is_ordered, at.is_ordered(), wanted.descending) {
        (false, ..) => Found::Any(Names::default()),
        (true, true, _) => Found::InOrder(Vec::new()),
        (true, false, false) => Found::First(BinaryHeap::new()),
        (true, false, true) => Found::Last(BinaryHeap::new()),
    };
    let database = context.session.database;
    // A short page is read with few looks, however many keys there are.
    let slice = if matches!(found, Found::InOrder(_)) { wanted.limit.clamp(1, SLICE_KEYS) } else { SLICE_KEYS };
    super::run_slices(Box::new(Listing { wanted, database, at, slice, found, sought: None }), context, reply)
}

impl Slices for Listing {
    fn step(&mut self, server: &Server, held: Option<&mut Transaction<'_>>) -> Step {
        if let Some(sought) = &mut self.sought {
            return sought.step(server, self.database);
        }
        let is_held = held.is_some();
        let (wanted, found) = (&self.wanted, &mut self.found);
        let more = self.at.go_on(server, held, self.database, self.slice, |key| {
            if wanted.limit != 0 && wanted.matches(key) {
                found.push(key, wanted.limit);
            }
        });
        self.slice = SLICE_KEYS;
        if more && !found.is_complete(wanted.limit) {
            return Step::More;
        }
        if !wanted.with_values || is_held || server.store.cold_keys() == 0 {
            return Step::Done;
        }
        let found = std::mem::replace(found, Found::InOrder(Vec::new()));
        self.sought.insert(Sought::new(found.into_sorted())).step(server, self.database)
    }

    fn bring(&mut self, fetched: Vec<Fetched>) {
        if let Some(sought) = &mut self.sought {
            sought.bring(fetched);
        }
    }

    fn finish(
        self: Box<Self>,
        server: &Server,
        mut held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        let names = match (self.sought, self.found) {
            (Some(sought), _) => sought.names,
            (None, Found::Any(names)) => {
                names.write(reply);
                return Ok(whole_store_gate(server));
            }
            (None, found) => Sought::new(found.into_sorted()).names,
        };
        reply.write().array(if self.wanted.with_values { 2 * names.len() } else { names.len() });
        for (name, read) in names {
            reply.bulk(&name);
            if self.wanted.with_values {
                let key = server.store.key(&name);
                match &mut held {
                    Some(transaction) => value_at(transaction, &key, reply),
                    None => {
                        let mut transaction = server.store.begin(self.database, &[key], server.store.now_ms());
                        transaction.bring(read.as_slice());
                        // Only what has changed meanwhile, and left memory since.
                        transaction.read_at_once();
                        value_at(&mut transaction, &key, reply);
                        transaction.commit();
                    }
                }
            }
        }
        Ok(whole_store_gate(server))
    }
}

/// The string at a key; nothing when it is not one, or gone meanwhile.
fn value_at(transaction: &mut Transaction<'_>, key: &Key<'_>, reply: &mut Reply<'_>) {
    match transaction.get(key).filter(|item| item.string().is_ok()) {
        Some(item) => reply.item(item),
        None => reply.null(),
    }
}

/// PDEL on its way.
struct Removal {
    pattern: Vec<u8>,
    database: u8,
    at: At,
    more: bool,
    /// Found and not yet removed.
    found: Vec<Vec<u8>>,
    removed: i64,
    gate: Lsn,
}

fn pdel(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let (pattern, database) = (call.arg(1).to_vec(), context.session.database);
    let at = At::start(context.server, &pattern, false, None, false);
    let removal = Removal { pattern, database, at, more: true, found: Vec::new(), removed: 0, gate: 0 };
    super::run_slices(Box::new(removal), context, reply)
}

impl Slices for Removal {
    fn step(&mut self, server: &Server, mut held: Option<&mut Transaction<'_>>) -> Step {
        if self.found.is_empty() {
            let (pattern, found) = (&self.pattern, &mut self.found);
            let held = held.as_deref_mut();
            self.more = self.at.go_on(server, held, self.database, REMOVED_AT_ONCE, |key| {
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
        if self.more { Step::More } else { Step::Done }
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
