//! What DEBUG does to every key, in slices between which other clients are served.

use engine::format::frame::MAX_KEY;
use engine::{DATABASES, Key, Lsn, Need, Refusal, Transaction, Value};

use super::digest::{self, Digest};
use crate::commands::error::{CommandError, KEY_TOO_LONG, OOM, READ_ONLY, RELOAD_FAILED};
use crate::commands::{Reply, Slices, Step};
use crate::server::Server;
use crate::server::execute::whole_store_gate;

/// Keys looked at before others are served.
const SLICE_KEYS: usize = 1000;
/// Keys made in one transaction.
const MADE_AT_ONCE: usize = 100;

/// All databases, one after the other.
#[derive(Default)]
struct Place {
    database: u8,
    cursor: u64,
}

impl Place {
    /// Goes on behind a scan that ended at this cursor. Whether there is more.
    fn advance(&mut self, cursor: u64) -> Step {
        self.cursor = cursor;
        if cursor == 0 {
            self.database += 1;
        }
        if usize::from(self.database) < DATABASES { Step::More } else { Step::Done }
    }
}

/// DEBUG DIGEST on its way. Certain while nobody writes.
#[derive(Default)]
pub(super) struct Signature {
    place: Place,
    digest: Digest,
}

impl Slices for Signature {
    fn step(&mut self, server: &Server, held: Option<&mut Transaction<'_>>) -> Step {
        let Place { database, cursor } = self.place;
        if cursor == 0 {
            if server.store.key_count(database) == 0 {
                return self.place.advance(0);
            }
            self.digest.mix(&u32::from(database).to_be_bytes());
        }
        let digest = &mut self.digest;
        let mut cold = Vec::new();
        let cursor = server.store.scan(held, database, cursor, SLICE_KEYS, |key, item| match item.is_cold() {
            true => cold.push(key.to_vec()),
            false => digest.add_digest(digest::of_key(key, item)),
        });
        for name in cold {
            let key = server.store.key(&name);
            let mut transaction = server.store.begin(database, &[key], server.store.now_ms());
            transaction.read_at_once();
            if let Some(item) = transaction.get(&key) {
                digest.add_digest(digest::of_key(&name, item));
            }
        }
        self.place.advance(cursor)
    }

    fn finish(
        self: Box<Self>,
        server: &Server,
        _held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        reply.write().simple(self.digest.to_string());
        Ok(whole_store_gate(server))
    }
}

/// DEBUG RELOAD on its way: first all is durable, then every value is made again.
pub(super) struct Remaking {
    durable: Lsn,
    place: Place,
}

impl Remaking {
    /// When the log is durable up to here.
    pub(super) fn new(durable: Lsn) -> Remaking {
        Remaking { durable, place: Place::default() }
    }
}

impl Slices for Remaking {
    fn step(&mut self, server: &Server, _held: Option<&mut Transaction<'_>>) -> Step {
        let (store, log) = (&server.store, server.store.log());
        if log.durable() < self.durable {
            if log.is_read_only() {
                return Step::Failed(READ_ONLY);
            }
            log.want_sync(self.durable);
            return Step::Stalled;
        }
        let Place { database, cursor } = self.place;
        let mut names: Vec<Vec<u8>> = Vec::new();
        let cursor = store.scan(None, database, cursor, SLICE_KEYS, |key, _| names.push(key.to_vec()));
        for name in &names {
            let key = store.key(name);
            let mut transaction = store.begin(database, &[key], store.now_ms());
            let made = transaction.remake(&key);
            transaction.commit();
            if made.is_err() {
                tracing::error!("DEBUG RELOAD: the image of a value makes no sense");
                return Step::Failed(RELOAD_FAILED);
            }
        }
        self.place.advance(cursor)
    }

    fn finish(
        self: Box<Self>,
        server: &Server,
        _held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        reply.ok();
        Ok(whole_store_gate(server))
    }
}

/// DEBUG POPULATE on its way.
pub(super) struct Population {
    database: u8,
    next: u64,
    count: u64,
    prefix: Vec<u8>,
    value_bytes: usize,
    gate: Lsn,
}

/// Digits of the largest count, and the colon before them.
const LONGEST_NUMBER: usize = 21;

impl Population {
    /// So many keys whose names begin alike; values of no bytes are as long as they turn out.
    pub(super) fn new(database: u8, count: u64, prefix: &[u8], value_bytes: usize) -> Result<Population, CommandError> {
        if prefix.len() + LONGEST_NUMBER > MAX_KEY {
            return Err(KEY_TOO_LONG);
        }
        Ok(Population { database, next: 0, count, prefix: prefix.to_vec(), value_bytes, gate: 0 })
    }

    /// The value of a number: its text, cut or filled with zeros to the wanted length.
    fn value(&self, number: u64) -> Vec<u8> {
        let mut value = format!("value:{number}").into_bytes();
        if self.value_bytes != 0 {
            value.resize(self.value_bytes, 0);
        }
        value
    }
}

impl Slices for Population {
    fn step(&mut self, server: &Server, _held: Option<&mut Transaction<'_>>) -> Step {
        let store = &server.store;
        // Large values one by one, so that a slice is no longer than it must be.
        let at_once = if self.value_bytes > 1 << 16 { 1 } else { MADE_AT_ONCE as u64 };
        let end = self.count.min(self.next.saturating_add(at_once));
        let one = (self.prefix.len() + self.value_bytes.max(LONGEST_NUMBER) + FRAME_BYTES) as u64;
        let bytes = one * (end - self.next);
        if server.is_out_of_memory(bytes) {
            return Step::Failed(OOM);
        }
        match store.admit(Need::Grow, bytes) {
            Ok(()) => {}
            Err(Refusal::Stalled) => return Step::Stalled,
            Err(refusal) => return Step::Failed(refusal.into()),
        }
        let named = |number: u64| [&self.prefix[..], b":", number.to_string().as_bytes()].concat();
        let names: Vec<(u64, Vec<u8>)> = (self.next..end).map(|number| (number, named(number))).collect();
        let keys: Vec<Key<'_>> = names.iter().map(|(_, name)| store.key(name)).collect();
        let mut transaction = store.begin(self.database, &keys, store.now_ms());
        for ((number, _), key) in names.iter().zip(&keys) {
            if transaction.get(key).is_none() {
                transaction.set(key, Value::Copy(&self.value(*number)), None);
            }
        }
        self.gate = self.gate.max(transaction.commit());
        self.next = end;
        if self.next == self.count { Step::Done } else { Step::More }
    }

    fn finish(
        self: Box<Self>,
        _server: &Server,
        _held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError> {
        reply.ok();
        Ok(self.gate)
    }
}

/// Bytes of log that a string takes beside itself and its name, at most.
const FRAME_BYTES: usize = 128;
