//! Values that lie in the log only, for the requests of a connection: which are needed, and reading them while it waits.
//!
//! A request that turns out to need such a value has changed nothing: it is left, the value is read without any lock, and it
//! runs again with what was read. What the requests behind it will need is read at the same time.

use std::io;
use std::sync::Arc;

use engine::cold::{Fetched, Reading, Want};
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

/// Reads what the kernel has in memory. What it has not is left.
pub fn read_cached(wants: Vec<Want>, store: &Store, fetched: &mut Vec<Fetched>) -> Vec<Reading> {
    fetched.retain(|one| wants.iter().any(|want| one.is(want)));
    let mut left = Vec::new();
    for want in wants {
        if fetched.iter().any(|one| one.is(&want)) {
            continue;
        }
        let mut reading = Reading::new(want, store);
        match reading.fill_cached(store).then(|| reading.finish(store)) {
            Some(Ok(read)) => fetched.push(read),
            _ => left.push(reading),
        }
    }
    left
}

/// Reads the rest, off this thread. What has changed meanwhile is left out; one that is damaged is an error.
pub async fn read(readings: Vec<Reading>, store: &Arc<Store>, fetched: &mut Vec<Fetched>) -> Result<(), Error> {
    let each = readings.len().div_ceil(READERS).max(1);
    let mut left = readings.into_iter();
    let mut readers = JoinSet::new();
    loop {
        let mut part: Vec<Reading> = left.by_ref().take(each).collect();
        if part.is_empty() {
            break;
        }
        let store = store.clone();
        readers.spawn_blocking(move || {
            let read: Vec<bool> = part.iter_mut().map(|reading| reading.fill(&store).is_ok()).collect();
            (part, read)
        });
    }
    while let Some(part) = readers.join_next().await {
        let (part, read) = part.map_err(io::Error::other)?;
        for (reading, read) in part.into_iter().zip(read) {
            match read.then(|| reading.finish(store)) {
                Some(Ok(read)) => fetched.push(read),
                _ => fetched.extend(read_again(reading.want().clone(), store).await?),
            }
        }
    }
    Ok(())
}

/// Reads once more what could not be read: it has perhaps only moved.
#[cold]
async fn read_again(want: Want, store: &Arc<Store>) -> Result<Option<Fetched>, Error> {
    let store = store.clone();
    let read = tokio::task::spawn_blocking(move || match store.read(&want) {
        Err(error) if store.is_wanted(&want) => Err(error),
        read => Ok(read.ok()),
    });
    read.await.map_err(io::Error::other)?
}
