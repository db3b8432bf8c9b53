//! What a handler gets: the request, and what it may look at and change.

use std::sync::atomic::Ordering;

use engine::{Item, Key, Reference, Transaction};
use resp::Request;

use super::Entry;
use super::error::CommandError;
use crate::server::Server;
use crate::server::room::Room;
use crate::session::Session;

/// One request to be executed.
pub struct Call<'a> {
    /// The row.
    pub entry: &'static Entry,
    /// Name and arguments.
    pub request: Request<'a>,
    /// The keys, in the order of the arguments.
    pub keys: &'a [Key<'a>],
    /// Large arguments that already lie in blob files, by argument number.
    pub blobs: &'a [(usize, Reference)],
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    /// No command may make a value longer than this: `proto-max-bulk-len`.
    pub max_value_bytes: usize,
    /// How many databases there are.
    pub databases: u64,
    /// The client has waited for this: what is there now is perhaps not what it waits for.
    pub is_retry: bool,
    /// A random number, in the rows that say [`Command::random`](super::Command::random): a seed for as many as the handler needs.
    pub chance: u64,
    /// No sparse HyperLogLog becomes longer than this: `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: usize,
    /// What was asked for it and for those before it in its transaction; in rows that say [`Command::growth`](super::Command::growth), and in EXEC.
    pub room: Option<&'a Room<'a>>,
}

impl<'a> Call<'a> {
    /// A request that is to run now on these keys.
    #[inline]
    pub fn new(
        entry: &'static Entry,
        request: Request<'a>,
        keys: &'a [Key<'a>],
        now_ms: u64,
        server: &Server,
    ) -> Call<'a> {
        let max_value_bytes = server.hot.max_bulk_bytes.load(Ordering::Relaxed) as usize;
        let hll_sparse_max_bytes = server.hot.hll_sparse_max_bytes.load(Ordering::Relaxed) as usize;
        let databases = server.hot.databases.load(Ordering::Relaxed);
        Call {
            entry,
            request,
            keys,
            blobs: &[],
            now_ms,
            max_value_bytes,
            databases,
            is_retry: false,
            chance: 0,
            hll_sparse_max_bytes,
            room: None,
        }
    }

    /// An argument; 0 is the command's name. Arity was checked: asking beyond it is a mistake in the handler.
    #[inline]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.request.get(index).expect("the row's arity covers what its handler asks for")
    }

    /// Arguments, the name included.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a request has at least the command's name")]
    pub fn len(&self) -> usize {
        self.request.len()
    }

    /// Takes room for what the request adds, when no [`Growth`](super::Growth) can know it: before anything is changed.
    pub fn make_room(&self, growth: u64) -> Result<(), CommandError> {
        Ok(self.room.map_or(Ok(()), |room| room.extend(self.entry, growth))?)
    }

    /// An argument as a value to be stored: in its blob file, shared, or to be copied.
    #[inline]
    pub fn value(&self, index: usize) -> engine::Value<'a> {
        let bytes = self.arg(index);
        if bytes.len() < STORE_SHARED_FROM {
            return engine::Value::Copy(bytes);
        }
        match self.blobs.iter().find(|(argument, _)| *argument == index) {
            Some((_, reference)) => engine::Value::Blob(self.request.shared(index), *reference),
            None if 2 * bytes.len() < self.request.pinned_bytes() => engine::Value::Copy(bytes),
            None => engine::Value::Shared(self.request.shared(index)),
        }
    }
}

/// Values of this length and more are kept in the buffer they were read into if they are most of it; others are copied
/// out of it, or a few bytes would pin a whole buffer.
const STORE_SHARED_FROM: usize = 64 << 10;

/// A transaction without its setters, which counts the keys that were found and those that were not.
pub struct View<'a, 's> {
    transaction: &'a mut Transaction<'s>,
    hits: u64,
    misses: u64,
}

impl<'a, 's> View<'a, 's> {
    /// The read side of a transaction.
    #[inline]
    pub fn new(transaction: &'a mut Transaction<'s>) -> View<'a, 's> {
        View { transaction, hits: 0, misses: 0 }
    }

    /// The value of a key, unless it is absent or expired.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>) -> Option<Item<'_>> {
        if self.transaction.is_heard() && self.transaction.get(key).is_none() {
            self.transaction.notify(engine::listener::Class::KeyMiss, "keymiss", key);
        }
        self.look(key)
    }

    /// The same, but subscribers do not hear of a key that is not there.
    #[inline]
    pub fn look(&mut self, key: &Key<'_>) -> Option<Item<'_>> {
        let found = self.transaction.get(key);
        self.hits += u64::from(found.is_some());
        self.misses += u64::from(found.is_none());
        found
    }

    /// The value of a key that [`View::get`] has looked at, beside those of others.
    pub fn peek(&self, key: &Key<'_>) -> Option<Item<'_>> {
        self.transaction.peek(key)
    }

    /// The transaction itself, for what both reads and writes do.
    pub(crate) fn transaction(&mut self) -> &mut Transaction<'s> {
        self.transaction
    }

    /// Notes within a value what follows from the rest of it, if there is room in the log: all that a reader may leave.
    pub fn note(&mut self, key: &Key<'_>, offset: usize, bytes: &[u8]) {
        self.transaction.note(key, offset, bytes);
    }

    /// The time of this request.
    pub fn now_ms(&self) -> u64 {
        self.transaction.now_ms()
    }

    /// Keys that were found, and keys that were not.
    #[inline]
    pub fn lookups(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

/// What a [`ServerHandler`](super::ServerHandler) works on.
pub struct Context<'a, 's> {
    /// The connection's own state.
    pub session: &'a mut Session,
    /// Everything shared.
    pub server: &'s Server,
    /// Within EXEC: its transaction, which holds all locks.
    pub held: Option<&'a mut Transaction<'s>>,
    /// It runs apart already.
    pub is_apart: bool,
}

impl Context<'_, '_> {
    /// Whether it may leave what takes long to be run apart.
    pub fn may_go_apart(&self) -> bool {
        self.held.is_none() && !self.is_apart
    }
}
