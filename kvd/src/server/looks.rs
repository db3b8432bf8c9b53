//! What must be known of values before a request runs: how large they are.

use engine::cold::Fetched;
use engine::{Item, Key, Transaction};
use resp::Request;

use super::Server;
use super::execute::keys_of;
use crate::commands::Entry;

/// Looks at the values at the keys of a request, at each in a transaction of its own. They may be others when the request
/// runs.
pub(super) struct Looks<'r> {
    entry: &'static Entry,
    request: Request<'r>,
    database: u8,
    server: &'r Server,
    now_ms: u64,
    fetched: &'r [Fetched],
    /// All of its keys, once another than the first is asked for: there may be very many.
    keys: Option<Vec<Key<'r>>>,
}

impl<'r> Looks<'r> {
    #[inline]
    pub(super) fn new(
        entry: &'static Entry,
        request: Request<'r>,
        database: u8,
        server: &'r Server,
        now_ms: u64,
        fetched: &'r [Fetched],
    ) -> Looks<'r> {
        Looks { entry, request, database, server, now_ms, fetched, keys: None }
    }

    /// Measures the value at a key.
    pub(super) fn measure(&mut self, index: usize, of: &dyn Fn(Item<'_>) -> u64) -> u64 {
        let key = match index {
            0 => keys_of(self.entry, &self.request, self.server).next(),
            _ => {
                let keys = || keys_of(self.entry, &self.request, self.server).collect();
                self.keys.get_or_insert_with(keys).get(index).copied()
            }
        };
        let Some(key) = key else { return 0 };
        let mut transaction = self.server.store.begin(self.database, &[key], self.now_ms);
        transaction.bring(self.fetched);
        let measured = measure_in(&mut transaction, &[key], 0, of);
        transaction.commit();
        measured
    }
}

/// Measures the value at one of the keys that a transaction holds.
pub(super) fn measure_in(
    transaction: &mut Transaction<'_>,
    keys: &[Key<'_>],
    index: usize,
    of: &dyn Fn(Item<'_>) -> u64,
) -> u64 {
    keys.get(index).and_then(|key| transaction.get(key)).map_or(0, of)
}
