//! What a connection waits for before its batch goes on. None of it holds up other connections.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::{Reference, Store};
use resp::{Request, Version};
use tokio::sync::{Semaphore, oneshot};

use super::Server;
use super::blocked::Ended;
use super::cold;
use super::connection::Connection;
use super::halt::Waiting;
use super::socket::Closed;
use super::worker::Worker;
use crate::commands::error::{FAILED, UNBLOCKED};
use crate::commands::{After, CommandError, Reply, Step};
use crate::session::output::Output;
use crate::session::registry::Client;

/// Large values that are written to files at once: each takes a thread and a descriptor while it waits for the disk.
static BLOB_WRITERS: Semaphore = Semaphore::const_new(16);
/// How long a stalled request waits before it asks again.
pub const STALL_RETRY: Duration = Duration::from_millis(5);

/// Does what remains of a request when its handler has returned, and answers it if there is a version to do it in.
/// Whether the connection goes on.
pub async fn carry_out(
    after: After,
    client: &Client,
    connection: &Rc<Connection>,
    worker: &Worker,
    version: Option<Version>,
) -> bool {
    let server = &*worker.server;
    match after {
        // Done where the handler returned: no batch is left for these.
        After::Reply | After::Gate(_) | After::Again | After::Apart | After::Exec => {}
        After::Durable(lsn) => {
            connection.output().hold();
            worker.release(connection);
            if blocked(server.wait_durable(lsn, None), 0, connection, worker, Closed::Whole).await != Some(true) {
                // Not durable, and the reply would say so: there is none.
                connection.abort();
            }
            connection.output().release_hold();
            worker.release(connection);
        }
        After::Sleep(ms) => {
            connection.output().hold();
            worker.release(connection);
            let over = tokio::time::sleep(Duration::from_millis(ms));
            let slept = connection.excused(unless_gone(over, connection)).await;
            connection.output().release_hold();
            worker.release(connection);
            return slept.is_some();
        }
        After::Elsewhere(errand) => {
            worker.release(connection);
            let done = connection.excused(tokio::task::spawn_blocking(errand.0)).await;
            // The only error is that it panicked, which has been told.
            let done = done.unwrap_or(Err(FAILED));
            if let Err(error) = &done {
                server.stats.count_error(&error.0);
            }
            if let Some(version) = version {
                let mut output = connection.output();
                let mut reply = Reply::new(&mut output, version);
                match done {
                    Ok(()) => reply.ok(),
                    Err(error) => reply.write().error(error.0.as_bytes()),
                }
            }
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
            let enough = if replicas { Closed::Half } else { Closed::Whole };
            let waited = unless_unblocked(waited, client);
            let waited = blocked(waited, timeout_ms, connection, worker, enough).await;
            *client.waits.lock() = None;
            let Some(waited) = waited else { return false };
            let Some(version) = version else { return true };
            let mut output = connection.output();
            let durable = match waited {
                Ok(durable) => durable,
                Err(Ended::Unblocked) => {
                    answer_wait(Ended::Unblocked, &mut output, server, version);
                    return true;
                }
                Err(_) => server.store.log().durable() >= lsn,
            };
            let mut reply = Reply::new(&mut output, version);
            reply.write().array(2);
            reply.integer(i64::from(durable));
            reply.integer(0);
        }
        After::WaitReplicas { timeout_ms } => {
            worker.release(connection);
            let waited = unless_unblocked(run_out(limit(timeout_ms)), client);
            let waited = blocked(waited, timeout_ms, connection, worker, Closed::Half).await;
            *client.waits.lock() = None;
            let Some(waited) = waited else { return false };
            let Some(version) = version else { return true };
            let mut output = connection.output();
            match waited {
                Err(Ended::Unblocked) => answer_wait(Ended::Unblocked, &mut output, server, version),
                _ => Reply::new(&mut output, version).integer(0),
            }
        }
        After::Slices(mut slices) => {
            worker.release(connection);
            let failed = loop {
                // It may need any lock.
                let step = if server.apart.is_busy() { Step::Stalled } else { slices.step(server, None) };
                match step {
                    Step::Done => break None,
                    Step::More => tokio::task::yield_now().await,
                    Step::Stalled => {
                        let retry = tokio::time::sleep(STALL_RETRY);
                        if connection.excused(unless_gone(retry, connection)).await.is_none() {
                            return false;
                        }
                    }
                    Step::Wants(wants) => {
                        let mut fetched = Vec::new();
                        let left = cold::read_cached(wants, worker.disk_reads.tries_cached(), server, &mut fetched);
                        let read = cold::read(left, worker, &mut fetched);
                        match connection.excused(unless_gone(read, connection)).await {
                            None => return false,
                            Some(Ok(())) => slices.bring(fetched),
                            Some(Err(error)) => break Some(CommandError::unreadable(&error)),
                        }
                        // What the kernel had in memory was no wait, and others wait too.
                        tokio::task::yield_now().await;
                    }
                    Step::Failed(error) => break Some(error),
                }
                if connection.has_ended() {
                    return false;
                }
            };
            let mut silent = Output::default();
            let mut shown = connection.output();
            // Nobody may want the answer; what was done waits for the log all the same.
            let output = if version.is_some() { &mut *shown } else { &mut silent };
            let mut reply = Reply::new(output, version.unwrap_or(Version::Resp2));
            let done = match failed {
                None => slices.finish(server, None, &mut reply),
                Some(error) => Err(error),
            };
            match done {
                Ok(gate) => shown.gate(gate),
                Err(error) => {
                    server.stats.count_error(&error.0);
                    reply.write().error(error.0.as_bytes());
                }
            }
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

/// Waits until clients may not be paused any more. A request of a client that has gone does not run, as in Redis. Whether the connection goes on.
pub async fn for_unpause(connection: &Connection, worker: &Worker) -> bool {
    let over = worker.server.pause.over(&*worker.server.clock);
    blocked(over, 0, connection, worker, Closed::Half).await.is_some()
}

/// Waits until no more than so many bytes are to be sent, or the connection has ended.
pub async fn for_output(connection: &Connection, bytes: usize) {
    while connection.output().len() > bytes && !connection.has_ended() {
        unless_gone(connection.progress(), connection).await;
    }
}

/// Waits for something while there is somebody to be answered. When the client is gone, the connection ends.
pub async fn unless_gone<T>(waited: impl Future<Output = T>, connection: &Connection) -> Option<T> {
    let outcome = unless_closed(waited, connection, Closed::Whole).await;
    if outcome.is_none() {
        connection.abort();
    }
    outcome
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

/// Waits until another client brings what a command waits for, and answers it if there is a version to do it in. Whether
/// the connection goes on.
pub async fn for_element(
    mut waiting: Waiting,
    client: &Client,
    connection: &Rc<Connection>,
    worker: &Worker,
    version: Option<Version>,
) -> bool {
    let server = &*worker.server;
    worker.release(connection);
    *client.waiter.lock() = Some(waiting.waiter.clone());
    let waited = {
        let waited = async {
            let limit = run_out(limit(waiting.wait.timeout_ms));
            tokio::select! {
                biased;
                ended = &mut waiting.ended => Some(ended.unwrap_or(Ended::TimedOut)),
                () = limit => None,
            }
        };
        blocked(waited, waiting.wait.timeout_ms, connection, worker, Closed::Half).await
    };
    // From here on nobody gives it anything; what it was given meanwhile counts.
    let in_time = !waiting.waiter.end(Ended::TimedOut);
    let ended = match waited {
        Some(None) if in_time => waiting.ended.try_recv().ok(),
        Some(ended) => Some(ended.unwrap_or(Ended::TimedOut)),
        None => None,
    };
    *client.waiter.lock() = None;
    server.blocked.remove(&waiting.waiter, server);
    let Some(ended) = ended else { return false };
    if matches!(ended, Ended::Unblocked) {
        waiting.waiter.count_failure();
    }
    if let Some(version) = version {
        answer_wait(ended, &mut connection.output(), server, version);
    }
    true
}

fn answer_wait(ended: Ended, output: &mut Output, server: &Server, version: Version) {
    match ended {
        Ended::Served(served, gate) => {
            served.into_pieces().into_iter().for_each(|piece| output.push_shared(piece));
            output.gate(gate);
        }
        Ended::TimedOut => Reply::new(output, version).write().null_array(),
        Ended::Unblocked => {
            server.stats.count_error(&UNBLOCKED.0);
            Reply::new(output, version).write().error(UNBLOCKED.0.as_bytes());
        }
    }
}

/// Waits for what a command asks to wait for. A wait that may have no end ends when the client closes half its end, as
/// in Redis; with the others, a client that only has nothing more to say gets its reply. A wait without a time has 0.
async fn blocked<T>(
    waited: impl Future<Output = T>,
    timeout_ms: u64,
    connection: &Connection,
    worker: &Worker,
    enough: Closed,
) -> Option<T> {
    worker.server.stats.count_blocked(1, timeout_ms != 0);
    let outcome = match enough {
        Closed::Half => connection.excused(unless_closed(waited, connection, enough)).await,
        Closed::Whole => connection.excused(unless_gone(waited, connection)).await,
    };
    worker.server.stats.count_blocked(-1, timeout_ms != 0);
    outcome
}

/// Waits for something until CLIENT UNBLOCK ends it. Whoever calls forgets how to be unblocked afterwards.
fn unless_unblocked<T>(waited: impl Future<Output = T>, client: &Client) -> impl Future<Output = Result<T, Ended>> {
    let (sender, receiver) = oneshot::channel();
    // Before anybody is told that it waits.
    *client.waits.lock() = Some(sender);
    async {
        tokio::select! {
            biased;
            Ok(ended) = receiver => Err(ended),
            outcome = waited => Ok(outcome),
        }
    }
}

async fn unless_closed<T>(waited: impl Future<Output = T>, connection: &Connection, enough: Closed) -> Option<T> {
    tokio::select! {
        biased;
        outcome = waited => Some(outcome),
        () = connection.closed(enough) => None,
    }
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
