//! Values that lie in the log only, for the requests of a connection: which are needed, and reading them while it waits.
//!
//! A request that turns out to need such a value has changed nothing: it is left, the value is read without any lock, and it
//! runs again with what was read. What the requests behind it will need is read at the same time.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::cold::{Fetched, Reading, Want};
use engine::{Error, Key, Lsn, Store, Transaction};
use parking_lot::Mutex;
use resp::{Batch, Request};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Server;
use super::execute::keys_of;
use super::worker::Worker;
use crate::commands;

/// Requests behind one that waits for which values are read with it.
const AHEAD: usize = 64;
/// Bytes of values that are read for them.
const AHEAD_BYTES: usize = 1 << 20;
/// Threads that read for one connection.
const READERS: usize = 16;

/// The values that a request which changes keys needs and that are not in memory.
#[inline]
pub fn wants(
    entry: &commands::Entry,
    request: &Request<'_>,
    keys: &[Key<'_>],
    transaction: &Transaction<'_>,
) -> Vec<Want> {
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

/// Reads what the kernel has in memory, if that is to be tried. What it has not is left.
pub fn read_cached(wants: Vec<Want>, tries: bool, server: &Server, fetched: &mut Vec<Fetched>) -> Vec<Reading> {
    let store = &*server.store;
    fetched.retain(|one| wants.iter().any(|want| one.is(want)));
    let mut left = Vec::new();
    for want in wants {
        if fetched.iter().any(|one| one.is(&want)) {
            continue;
        }
        let mut reading = Reading::new(want, store);
        match (tries && reading.fill_cached(store)).then(|| reading.finish(store)) {
            Some(Ok(read)) => {
                server.cold_reads.read.fetch_add(1, Ordering::Relaxed);
                fetched.push(read);
            }
            _ => left.push(reading),
        }
    }
    left
}

/// Values that are being read, and who else waits for each: what many want at once is read once.
#[derive(Default)]
pub struct UnderWay {
    waiting: Mutex<HashMap<Lsn, Vec<oneshot::Sender<Fetched>>>>,
    /// Values that were read since the start.
    pub read: AtomicU64,
}

impl UnderWay {
    /// The turn to read a value, or the way to get it from whoever has that.
    fn join(&self, lsn: Lsn) -> Result<Turn<'_>, oneshot::Receiver<Fetched>> {
        match self.waiting.lock().entry(lsn) {
            Entry::Vacant(place) => {
                place.insert(Vec::new());
                Ok(Turn { under_way: self, lsn, has_ended: Cell::new(false) })
            }
            Entry::Occupied(mut waiting) => {
                let (sender, receiver) = oneshot::channel();
                waiting.get_mut().push(sender);
                Err(receiver)
            }
        }
    }
}

/// The turn to read a value. It ends when it is dropped, with a value for all or without one.
struct Turn<'u> {
    under_way: &'u UnderWay,
    lsn: Lsn,
    has_ended: Cell<bool>,
}

impl Turn<'_> {
    fn end(&self, read: Option<&Fetched>) {
        if self.has_ended.replace(true) {
            return;
        }
        let waiting = self.under_way.waiting.lock().remove(&self.lsn).unwrap_or_default();
        let Some(read) = read else { return };
        for sender in waiting {
            // Who waited may be gone.
            let _ = sender.send(read.clone());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Reads the rest while this thread does other things: the kernel does it by itself, or other threads wait for it. What has
/// changed meanwhile is left out; one that is damaged is an error.
pub async fn read(readings: Vec<Reading>, worker: &Worker, fetched: &mut Vec<Fetched>) -> Result<(), Error> {
    let store = &*worker.server.store;
    let (mut begun, mut left, mut turns, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for mut reading in readings {
        match worker.server.cold_reads.join(reading.want().position()) {
            Ok(turn) => match worker.disk_reads.begin(&mut reading, store) {
                Some(read) => begun.push((reading, turn, read)),
                None => {
                    left.push(reading);
                    turns.push(turn);
                }
            },
            Err(receiver) => others.push((reading, receiver)),
        }
    }
    let mut readers = read_by_threads(left, store);
    for (mut reading, turn, read) in begun {
        let read = read.await.map(|bytes| reading.filled(bytes)).is_ok();
        let read = end(&reading, read, worker).await?;
        turn.end(read.as_ref());
        fetched.extend(read);
    }
    while let Some(part) = readers.join_next().await {
        for (reading, read) in part.map_err(io::Error::other)? {
            let read = end(&reading, read, worker).await?;
            let position = reading.want().position();
            if let Some(turn) = turns.iter().find(|turn| turn.lsn == position) {
                turn.end(read.as_ref());
            }
            fetched.extend(read);
        }
    }
    // Nobody may wait for this one while it waits for others: two could wait for each other.
    drop(turns);
    for (reading, receiver) in others {
        fetched.extend(match receiver.await {
            Ok(read) => Some(read),
            // Whoever had the turn has gone, or could not read it.
            Err(_) => read_again(reading.want().clone(), store).await?,
        });
    }
    Ok(())
}

/// Reads in threads that may wait for the disk: each a part, with whether it was read.
fn read_by_threads(readings: Vec<Reading>, store: &Arc<Store>) -> JoinSet<Vec<(Reading, bool)>> {
    let each = readings.len().div_ceil(READERS).max(1);
    let mut left = readings.into_iter();
    let mut readers = JoinSet::new();
    loop {
        let part: Vec<Reading> = left.by_ref().take(each).collect();
        if part.is_empty() {
            return readers;
        }
        let store = store.clone();
        readers.spawn_blocking(move || {
            let fill = |mut reading: Reading| {
                let read = reading.fill(&store).is_ok();
                (reading, read)
            };
            part.into_iter().map(fill).collect()
        });
    }
}

/// What was read, checked. What could not be read is read once more.
async fn end(reading: &Reading, read: bool, worker: &Worker) -> Result<Option<Fetched>, Error> {
    let store = &*worker.server.store;
    worker.server.cold_reads.read.fetch_add(1, Ordering::Relaxed);
    match read.then(|| reading.finish(store)) {
        Some(Ok(read)) => Ok(Some(read)),
        _ => read_again(reading.want().clone(), store).await,
    }
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
