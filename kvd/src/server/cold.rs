//! Values that lie in the log only, for the requests of a connection: which are needed, and reading them while it waits.
//!
//! A request that turns out to need such a value has changed nothing: it is left, the value is read without any lock, and it
//! runs again with what was read. What the requests behind it will need is read at the same time.

use std::io;
use std::sync::Arc;

use engine::cold::{Fetched, Want};
use engine::{Error, Key, Store, Transaction};
use resp::{Batch, Request};
use tokio::task::JoinSet;

use super::Server;
use super::execute::keys_of;
use crate::commands::{self, Entry};

/// Requests behind one that waits for which values are read with it.
const AHEAD: usize = 64;
/// Bytes of values that are read for them.
const AHEAD_BYTES: usize = 1 << 20;
/// Threads that read for one connection.
const READERS: usize = 16;

/// The values that a request which changes keys needs and that are not in memory.
#[inline]
pub fn wants(entry: &Entry, request: &Request<'_>, keys: &[Key<'_>], transaction: &Transaction<'_>) -> Vec<Want> {
    let mut wants = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        if entry.command.needs_value(request, index) {
            transaction.wants(key, &mut wants);
        }
    }
    wants
}

/// Adds what the requests behind one will want, as far as can be told from their keys.
pub fn look_ahead(batch: &Batch, at: usize, database: u8, server: &Server, wants: &mut Vec<Want>) {
    let mut bytes = 0;
    for request in (at + 1..batch.len().min(at + AHEAD)).map(|index| batch.request(index)) {
        let Some(entry) = request.get(0).and_then(commands::lookup) else { return };
        if entry.command.name == "SELECT" || bytes > AHEAD_BYTES {
            return;
        }
        for (index, key) in keys_of(entry, &request, server).enumerate().take(AHEAD) {
            let is_needed = !entry.command.is_write() || entry.command.needs_value(&request, index);
            let before = wants.len();
            if is_needed {
                server.store.begin(database, &[key], server.store.now_ms()).wants(&key, wants);
            }
            bytes += wants[before..].iter().map(Want::value_bytes).sum::<usize>();
        }
    }
}

/// Reads what the kernel has in memory. Whether that is all.
pub fn read_cached(wants: &[Want], store: &Store, fetched: &mut Vec<Fetched>) -> bool {
    fetched.retain(|one| wants.iter().any(|want| one.is(want)));
    for want in wants {
        if !fetched.iter().any(|one| one.is(want)) {
            let Some(read) = store.read_cached(want) else { return false };
            fetched.push(read);
        }
    }
    true
}

/// Reads the rest, off this thread. The first that is damaged ends it; one that has changed meanwhile is left out.
pub async fn read(wants: Vec<Want>, store: &Arc<Store>, fetched: &mut Vec<Fetched>) -> Result<(), Error> {
    fetched.retain(|one| wants.iter().any(|want| one.is(want)));
    let missing: Vec<Want> = wants.into_iter().filter(|want| !fetched.iter().any(|one| one.is(want))).collect();
    let each = missing.len().div_ceil(READERS).max(1);
    let mut missing = missing.into_iter();
    let mut readers = JoinSet::new();
    loop {
        let part: Vec<Want> = missing.by_ref().take(each).collect();
        if part.is_empty() {
            break;
        }
        let store = store.clone();
        readers.spawn_blocking(move || read_now(&part, &store));
    }
    while let Some(read) = readers.join_next().await {
        fetched.extend(read.map_err(io::Error::other)??);
    }
    Ok(())
}

fn read_now(wants: &[Want], store: &Store) -> Result<Vec<Fetched>, Error> {
    let mut fetched = Vec::with_capacity(wants.len());
    for want in wants {
        match store.read(want) {
            Ok(read) => fetched.push(read),
            Err(error) if store.is_wanted(want) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(fetched)
}
