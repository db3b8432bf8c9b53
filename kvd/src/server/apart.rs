//! Requests that take long run apart, on a thread of their own, with the locks of their keys: who asks for a key of the same
//! shards meanwhile waits without holding up its thread, and everybody else is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::value::STRING;
use engine::{Item, Key, Reference, Transaction};
use parking_lot::Mutex;
use resp::Request;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::Server;
use super::execute::keys_of;
use super::looks::measure_in;
use super::wait::STALL_RETRY;
use crate::commands::{Entry, Flag, Handler};
use crate::session::{Session, gate};

/// A request that looks at every element of collections runs apart when their images are larger than this together.
const LARGE: u64 = 1 << 20;
/// The bytes of strings are copied, not looked at one by one: so many of them take as long as one of a collection.
const STRING_BYTES: u64 = 4;
/// So does one that brings more bytes than this, or adds them to a value.
const LONG: u64 = STRING_BYTES * LARGE;
/// And one of more words than this.
pub(super) const MANY_WORDS: usize = 50_000;
/// Of a request with more keys than this all shards count as held.
const MANY_KEYS: usize = 256;
/// Whoever did not see what is held has its locks by then, and has given most of them back.
const SEEN_WITHIN: Duration = Duration::from_millis(1);

/// Which shards a request holds that runs apart.
#[derive(Debug)]
pub enum Held {
    /// Those of its keys.
    Shards(Vec<usize>),
    /// All.
    All,
}

impl Held {
    /// Of a request that asks for no key.
    pub fn nothing() -> Held {
        Held::Shards(Vec::new())
    }

    /// What a request with these keys holds.
    pub fn of(keys: &[Key<'_>], widens: bool) -> Held {
        if widens || keys.len() > MANY_KEYS { Held::All } else { Held::Shards(keys.iter().map(Key::shard).collect()) }
    }
}

/// What runs apart: one request at a time, for others need processors too.
#[derive(Default)]
pub struct Apart {
    /// When the last one ended, if somebody waited for it.
    turn: tokio::sync::Mutex<Option<Instant>>,
    is_busy: AtomicBool,
    is_met: AtomicBool,
    count: AtomicU64,
    held: Mutex<Option<Held>>,
}

impl Apart {
    /// Whether a request runs apart, or is about to.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// Counts a request that has run.
    pub fn note_run(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether a request may need a lock that it holds.
    #[cold]
    pub fn is_met_by(&self, entry: &Entry, request: &Request<'_>, session: &Session, server: &Server) -> bool {
        let command = entry.command;
        let is_met = match command.handler {
            Handler::Container => false,
            Handler::Server(_) => {
                let runs_queued = session.pending.multi.is_some() && command.name == "EXEC";
                runs_queued || [Flag::Reads, Flag::Writes, Flag::WalksShards].iter().any(|flag| command.has(*flag))
            }
            Handler::Read(_) | Handler::Write(_) | Handler::Blocking(_) => {
                command.widens_for(request) || keys_of(entry, request, server).any(|key| self.holds(&key))
            }
        };
        if is_met {
            self.is_met.store(true, Ordering::Relaxed);
        }
        is_met
    }

    /// Whether it holds the shard of a key.
    fn holds(&self, key: &Key<'_>) -> bool {
        match &*self.held.lock() {
            Some(Held::Shards(shards)) => shards.contains(&key.shard()),
            Some(Held::All) => true,
            None => false,
        }
    }
}

/// Whether a request has so many words that it is to run apart. (What was written to files for it, `blobs`, is for the very
/// attempt that is under way.)
#[inline]
pub fn has_many_words(entry: &Entry, request: &Request<'_>, blobs: &[(usize, Reference)]) -> bool {
    request.len() > MANY_WORDS && may_run_apart(entry, blobs)
}

fn may_run_apart(entry: &Entry, blobs: &[(usize, Reference)]) -> bool {
    blobs.is_empty() && !matches!(entry.command.handler, Handler::Blocking(_))
}

/// Whether a request looks at so much, or brings so much, that it is to run apart. `growth`: what it adds to values beyond
/// what it brings.
#[inline]
pub fn takes_long(
    entry: &Entry,
    request: &Request<'_>,
    blobs: &[(usize, Reference)],
    growth: u64,
    transaction: &mut Transaction<'_>,
    keys: &[Key<'_>],
) -> bool {
    // (The bytes of a whole batch are a number at hand.)
    let is_long = request.len() > MANY_WORDS
        || growth > LONG
        || request.pinned_bytes() as u64 > LONG && gate::bytes_of(request, usize::MAX) > LONG;
    is_long && may_run_apart(entry, blobs)
        || blobs.is_empty() && entry.command.whole.is_some_and(|whole| whole(request)) && are_large(transaction, keys)
}

/// Whether to look at all that is at these keys takes long.
fn are_large(transaction: &mut Transaction<'_>, keys: &[Key<'_>]) -> bool {
    let bytes = |item: Item<'_>| {
        let bytes = item.image_bytes() as u64;
        if item.value_type() == STRING { bytes / STRING_BYTES } else { bytes }
    };
    let each = (0..keys.len()).map(|index| measure_in(transaction, keys, index, &bytes));
    each.sum::<u64>() > LARGE
}

/// What is held, until this is dropped.
struct Mark(Arc<Server>);

impl Mark {
    fn of(server: &Arc<Server>, held: Held) -> Mark {
        *server.apart.held.lock() = Some(held);
        server.apart.is_busy.store(true, Ordering::Release);
        Mark(server.clone())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.apart.is_busy.store(false, Ordering::Release);
        *self.0.apart.held.lock() = None;
    }
}

/// Has something done apart that holds these shards. The only error is that it panicked, which has been told.
pub async fn run<T: Send + 'static>(
    server: &Arc<Server>,
    held: Held,
    work: impl FnOnce(&Server) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let mut last = server.apart.turn.lock().await;
    if let Some(ended) = *last {
        // Those who waited for the one before go first.
        tokio::time::sleep_until(ended + 2 * STALL_RETRY).await;
    }
    let mark = Mark::of(server, held);
    tokio::time::sleep(SEEN_WITHIN).await;
    let done = tokio::task::spawn_blocking(move || work(&mark.0)).await;
    *last = server.apart.is_met.swap(false, Ordering::Relaxed).then(Instant::now);
    done
}
