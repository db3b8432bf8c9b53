//! What a connection waits for before its batch goes on. None of it holds up other connections.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::{Reference, Store};
use resp::{Request, Version};
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::worker::Worker;
use crate::commands::{After, Reply};

/// Large values that are written to files at once: each takes a thread and a descriptor while it waits for the disk.
static BLOB_WRITERS: Semaphore = Semaphore::const_new(16);
/// How long a stalled request waits before it asks again.
pub const STALL_RETRY: Duration = Duration::from_millis(5);
/// How often a connection that waits for something else is looked at.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(100);

/// Does what remains of a request when its handler has returned. Whether the connection goes on.
pub async fn carry_out(after: After, connection: &Rc<Connection>, worker: &Worker, version: Version) -> bool {
    let server = &*worker.server;
    match after {
        // Done where the handler returned: no batch is left for these.
        After::Reply | After::Gate(_) | After::Again => {}
        After::Durable(lsn) => {
            connection.output().hold();
            worker.release(connection);
            if or_gone(server.wait_durable(lsn, None), connection, worker).await != Some(true) {
                // Not durable, and the reply would say so: there is none.
                connection.abort();
            }
            connection.output().release_hold();
            worker.release(connection);
        }
        After::WaitDurable { lsn, replicas, timeout_ms } => {
            worker.release(connection);
            let limit = limit(timeout_ms);
            let waited = async {
                if !replicas {
                    return server.wait_durable(lsn, limit).await;
                }
                let started_ms = server.monotonic_ms();
                let durable = server.wait_durable(lsn, limit).await;
                let spent = Duration::from_millis(server.monotonic_ms() - started_ms);
                run_out(limit.map(|limit| limit.saturating_sub(spent))).await;
                durable
            };
            let Some(durable) = or_gone(waited, connection, worker).await else { return false };
            let mut output = connection.output();
            let mut reply = Reply::new(&mut output, version);
            reply.write().array(2);
            reply.integer(i64::from(durable));
            reply.integer(0);
        }
        After::WaitReplicas { timeout_ms } => {
            worker.release(connection);
            if or_gone(run_out(limit(timeout_ms)), connection, worker).await.is_none() {
                return false;
            }
            Reply::new(&mut connection.output(), version).integer(0);
        }
        After::Close => {
            worker.release(connection);
            return false;
        }
        After::Shutdown => {
            server.stop.pull();
            return false;
        }
    }
    true
}

/// Waits until no more than so many bytes are to be sent, or the connection has ended.
pub async fn for_output(connection: &Connection, bytes: usize) {
    while connection.output().len() > bytes && !connection.has_ended() {
        connection.progress().await;
    }
}

/// Writes the large arguments of a request to files of their own, off this thread.
pub async fn write_blobs(request: Request<'_>, store: &Arc<Store>) -> io::Result<Vec<(usize, Reference)>> {
    let store = store.clone();
    let limit = store.options().blob_bytes;
    let large: Vec<(usize, Bytes)> = (2..request.len())
        .filter(|index| request.get(*index).is_some_and(|argument| argument.len() >= limit))
        .map(|index| (index, request.shared(index)))
        .collect();
    let _turn = BLOB_WRITERS.acquire().await.map_err(io::Error::other)?;
    let written = tokio::task::spawn_blocking(move || {
        let mut written = Vec::new();
        for (index, bytes) in large {
            match store.write_blob(&bytes) {
                Ok(reference) => written.push((index, reference)),
                Err(error) => {
                    written.into_iter().for_each(|(_, reference)| store.discard_blob(reference));
                    return Err(error);
                }
            }
        }
        Ok(written)
    });
    written.await.map_err(io::Error::other)?
}

/// Gives a large value that has changed a file of its own, off this thread.
pub async fn settle(database: u8, key: Bytes, store: &Arc<Store>) -> io::Result<()> {
    let store = store.clone();
    let _turn = BLOB_WRITERS.acquire().await.map_err(io::Error::other)?;
    let settled = tokio::task::spawn_blocking(move || store.settle(database, &store.key(&key)));
    if !settled.await.map_err(io::Error::other)?? {
        // It changes all the time, or the disk is behind.
        tokio::time::sleep(STALL_RETRY).await;
    }
    Ok(())
}

/// Waits for something that is not the client's doing, unless the client goes away meanwhile.
async fn or_gone<T>(waited: impl Future<Output = T>, connection: &Connection, worker: &Worker) -> Option<T> {
    let gone = async {
        while !connection.is_gone() {
            tokio::time::sleep(LOOK_FOR_CLIENT).await;
        }
    };
    worker.server.stats.count_blocked(1);
    let outcome = tokio::select! {
        outcome = waited => Some(outcome),
        () = gone => None,
    };
    worker.server.stats.count_blocked(-1);
    outcome
}

/// A time of so many milliseconds; 0 is for ever.
fn limit(timeout_ms: u64) -> Option<Duration> {
    (timeout_ms != 0).then(|| Duration::from_millis(timeout_ms))
}

/// Waits for a time, or for ever.
async fn run_out(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
