//! A connection's own task: it reads, runs what was read where it was read, and leaves the replies to be sent.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::ready;
use std::time::Duration;

use bytes::BytesMut;
use resp::{Batch, Limits, RequestCodec};
use tokio::time::Instant;
use tokio_util::codec::Decoder;

use super::Server;
use super::apart::{self, Held};
use super::cold;
use super::connection::Connection;
use super::execute::{self, Ready};
use super::halt::Pause;
use super::listen::PROTECTED;
use super::socket::Reader;
use super::wait;
use super::worker::Worker;
use crate::commands::error::CommandError;
use crate::commands::{After, Reply};
use crate::session::output::Output;
use crate::session::{Replies, Session, gate};

/// Room for one read: an exactly filled buffer would cost another call that finds nothing.
const READ_BYTES: usize = 64 << 10;
/// Room for the next read of a request that has begun: at least this, at most what has already come.
const PARTIAL_BYTES: usize = 16 << 10;
/// What has come of a longer request is not copied into a larger buffer while others wait.
const LONG_PARTIAL: usize = 4 << 20;
/// Time for a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Time for a client to authenticate.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
pub async fn run(connection: Rc<Connection>, reader: Reader, worker: Rc<Worker>) {
    let session = Session::new(connection.client().clone(), &worker.server.users);
    let mut task = Task {
        codec: RequestCodec::new(limits(session.authenticated, &worker)),
        connection,
        reader,
        worker,
        session,
        partial: BytesMut::new(),
        held_bytes: 0,
    };
    let id = task.session.client.id;
    if task.reader.is_encrypted() && !task.begin_encrypted().await {
        task.connection.end();
        task.worker.forget(id);
        return;
    }
    let ended = if task.session.authenticated { task.serve().await } else { task.serve_unauthenticated().await };
    if let Err(error) = ended {
        tracing::debug!(%error, client = id, "connection ended");
    }
    while task.session.fall_silent_some(&task.worker.server) {
        tokio::task::yield_now().await;
    }
    task.session.drop_pending(&task.worker.server);
    if task.session.authenticated {
        Box::pin(task.finish()).await;
    } else {
        // A stranger who does not read holds nothing for longer than he may stay.
        let _ = Box::pin(tokio::time::timeout(AUTHENTICATE_WITHIN, task.finish())).await;
        task.connection.end();
    }
    task.count_held(0);
    task.worker.forget(id);
}

struct Task {
    connection: Rc<Connection>,
    reader: Reader,
    worker: Rc<Worker>,
    session: Session,
    codec: RequestCodec,
    /// The beginning of a request whose end has not come.
    partial: BytesMut,
    /// What was counted for it.
    held_bytes: usize,
}

impl Task {
    /// Shakes hands and greets, or turns away, who has come. Whether the connection goes on.
    async fn begin_encrypted(&mut self) -> bool {
        let server = &self.worker.server;
        if let Err(error) = shake_hands(&mut self.reader).await {
            let address = &self.session.client.address;
            tracing::debug!("Error accepting a client connection: {error} (addr={address})");
            server.stats.count_failed_handshake();
            return false;
        }
        if !server.is_protected() || self.session.client.is_local() {
            return true;
        }
        server.stats.count_rejected();
        self.connection.output().tail().extend_from_slice(PROTECTED.as_bytes());
        self.connection.send(0);
        false
    }

    /// The first ten seconds of a client that owes its password. What follows it in the same write has all the time.
    async fn serve_unauthenticated(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + AUTHENTICATE_WITHIN;
        while !self.session.authenticated && !gate::is_open(&self.worker.server) {
            let Ok(read) = tokio::time::timeout_at(deadline, self.read()).await else {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not authenticate in time"));
            };
            if !self.run_read(read?).await? {
                return Ok(());
            }
        }
        self.serve().await
    }

    async fn serve(&mut self) -> io::Result<()> {
        while self.turn().await? {}
        Ok(())
    }

    /// Sends what is left, as far as the client takes it, then lets go.
    async fn finish(&self) {
        while !self.connection.has_ended() && !self.connection.output().is_empty() {
            self.worker.mark_dirty(&self.connection);
            wait::unless_gone(self.connection.progress(), &self.connection).await;
        }
        self.connection.end();
    }

    /// Reads once and runs what came. Whether the connection goes on.
    async fn turn(&mut self) -> io::Result<bool> {
        let read = self.read().await?;
        self.run_read(read).await
    }

    /// Runs what one read brought. Whether the connection goes on.
    async fn run_read(&mut self, read: usize) -> io::Result<bool> {
        // The shared buffer belongs to the next reader from here on: what it holds is taken out first, also when nothing
        // is done with it any more.
        let mut buffer = std::mem::take(&mut self.partial);
        if buffer.is_empty() {
            buffer = self.worker.read_buffer.take();
        }
        if read == 0 || self.connection.has_ended() {
            buffer.clear();
            self.give_back(buffer);
            return Ok(false);
        }
        self.worker.server.stats.count_input(self.worker.index, read);
        if self.worker.draining.get() {
            // The process ends: what is not executed is not acknowledged.
            return std::future::pending().await;
        }
        let now_ms = self.worker.server.monotonic_ms();
        self.session.client.active_ms.store(now_ms, Ordering::Relaxed);
        // CONFIG SET and RESET change them.
        let trusted = self.session.authenticated || gate::is_open(&self.worker.server);
        self.codec.set_limits(limits(trusted, &self.worker));
        let before = self.session.client.requests.load(Ordering::Relaxed);
        let goes_on = self.run_buffer(&mut buffer).await?;
        let is_new = before != self.session.client.requests.load(Ordering::Relaxed);
        self.connection.set_begun(buffer.len(), is_new);
        if buffer.is_empty() {
            self.give_back(buffer);
            self.session.client.query_bytes.store(0, Ordering::Relaxed);
            self.count_held(0);
            return Ok(goes_on);
        }
        self.keep(buffer);
        Ok(goes_on && self.may_grow())
    }

    /// Counts what is held of a request against what all connections may hold.
    fn count_held(&mut self, bytes: usize) {
        self.worker.server.client_memory.change(&self.session.client, self.held_bytes, bytes);
        self.held_bytes = bytes;
    }

    /// Whether there may be memory for the next part of the request that is under way.
    fn may_grow(&self) -> bool {
        let spare = self.partial.capacity() - self.partial.len();
        let more = self.room().saturating_sub(spare);
        more == 0 || self.worker.server.makes_client_room(&self.session.client, more)
    }

    /// Room for the next read of a request that has begun. Doubling keeps the copying linear; what is announced is
    /// trusted only as far as bytes have come.
    fn room(&self) -> usize {
        self.codec.bytes_wanted().clamp(PARTIAL_BYTES, PARTIAL_BYTES.max(self.partial.len()))
    }

    /// Gives an empty buffer to the next reader on this worker.
    fn give_back(&self, buffer: BytesMut) {
        let mut shared = self.worker.read_buffer.borrow_mut();
        if shared.capacity() < buffer.capacity() && buffer.capacity() <= 2 * READ_BYTES {
            *shared = buffer;
        }
    }

    /// Waits for bytes; how many came.
    async fn read(&mut self) -> io::Result<usize> {
        let room = self.room();
        if self.partial.len() > LONG_PARTIAL && self.partial.capacity() - self.partial.len() < room {
            // In a box: a connection that waits for its next request has no room for this.
            Box::pin(self.make_room(room)).await?;
        }
        let (reader, worker, partial) = (&mut self.reader, &*self.worker, &mut self.partial);
        poll_fn(|context| {
            if partial.is_empty() {
                let mut shared = worker.read_buffer.borrow_mut();
                debug_assert!(shared.is_empty(), "what was read is taken out at once");
                reader.poll_read(&mut shared, READ_BYTES, context)
            } else {
                ready!(reader.poll_ready(context))?;
                reader.poll_read(partial, room, context)
            }
        })
        .await
    }

    /// Makes room for so many bytes behind what has come, on another thread: that is copied.
    async fn make_room(&mut self, room: usize) -> io::Result<()> {
        let mut partial = std::mem::take(&mut self.partial);
        let copied = tokio::task::spawn_blocking(move || {
            partial.reserve(room);
            partial
        });
        self.partial = self.connection.excused(copied).await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Keeps the beginning of a request in a buffer of its own.
    fn keep(&mut self, mut buffer: BytesMut) {
        if buffer.capacity() - buffer.len() >= READ_BYTES / 2 && buffer.len() < READ_BYTES / 4 {
            // Small and in a large buffer: that one goes back to the worker.
            self.partial = BytesMut::from(&buffer[..]);
            buffer.clear();
            *self.worker.read_buffer.borrow_mut() = buffer;
        } else {
            self.partial = buffer;
        }
        self.session.client.query_bytes.store(self.partial.len(), Ordering::Relaxed);
        self.count_held(self.partial.capacity() + self.codec.memory_bytes() + self.reader.held_bytes());
    }

    /// Runs every whole request in the buffer. Whether the connection goes on.
    async fn run_buffer(&mut self, buffer: &mut BytesMut) -> io::Result<bool> {
        loop {
            match self.codec.decode(buffer) {
                Ok(Some(batch)) => {
                    let goes_on = self.run_batch(&batch).await?;
                    self.codec.recycle(batch);
                    if !goes_on {
                        return Ok(false);
                    }
                }
                Ok(None) => return Ok(true),
                Err(error) => {
                    self.worker.server.stats.count_protocol_error();
                    let mut output = self.connection.output();
                    Reply::new(&mut output, self.session.version).write().error(error.reply_text());
                    drop(output);
                    buffer.clear();
                    return Ok(false);
                }
            }
        }
    }

    /// Runs the requests of a batch, waiting where one has to. Whether the connection goes on.
    async fn run_batch(&mut self, batch: &Batch) -> io::Result<bool> {
        let mut at = 0;
        // While it runs, nothing is its client's to send.
        self.connection.set_begun(0, true);
        let mut ready = Ready { tries_cached: self.worker.disk_reads.tries_cached(), ..Ready::default() };
        let requests = batch.len() as u64;
        self.session.client.requests.fetch_add(requests, Ordering::Relaxed);
        self.worker.server.stats.count_commands(self.worker.index, requests);
        loop {
            self.worker.deliver();
            let paused = {
                let mut output = self.connection.output();
                self.worker.lend_buffer(&mut output);
                execute::run(batch, at, &mut ready, &mut self.session, &self.worker.server, &mut output)
            };
            self.discard_unused(&mut ready);
            let Some((next, pause)) = paused else {
                self.release();
                return Ok(true);
            };
            at = next;
            // In a box: a connection that waits for its next request has no room for this.
            let goes_on = Box::pin(self.pass(pause, batch, &mut at, &mut ready)).await;
            if !goes_on || self.connection.has_ended() {
                self.discard_unused(&mut ready);
                return Ok(false);
            }
            if self.worker.draining.get() {
                // The process ends: what has run is answered when it is durable, nothing more is run.
                self.release();
                return std::future::pending().await;
            }
        }
    }

    /// Does what a batch was left for at a request, and waits as long as that takes. Whether the connection goes on.
    async fn pass(&mut self, pause: Pause, batch: &Batch, at: &mut usize, ready: &mut Ready) -> bool {
        match pause {
            Pause::After(after) => {
                let reply = (!self.session.silenced).then_some(self.session.version);
                wait::carry_out(after, &self.session.client, &self.connection, &self.worker, reply).await
            }
            Pause::Postponed => {
                self.release();
                wait::for_unpause(&self.connection, &self.worker).await
            }
            Pause::Overflow => {
                self.connection.overflow();
                false
            }
            Pause::Widened => {
                self.codec.set_limits(limits(true, &self.worker));
                true
            }
            Pause::Messages => true,
            Pause::Turn => {
                self.release();
                tokio::task::yield_now().await;
                true
            }
            Pause::Stalled => {
                self.release();
                let retry = tokio::time::sleep(wait::STALL_RETRY);
                self.connection.excused(wait::unless_gone(retry, &self.connection)).await.is_some()
            }
            Pause::Blobs => {
                self.release();
                let written = wait::write_blobs(batch.request(*at), &self.worker.server.store);
                match self.connection.excused(written).await {
                    Ok(written) => ready.blobs = written,
                    Err(error) => {
                        self.refuse(CommandError::not_written(&error));
                        *at += 1;
                    }
                }
                true
            }
            // What runs a batch has tried to read them at once.
            Pause::Wants(_) => true,
            Pause::Cold(readings) => {
                self.release();
                let read = cold::read(readings, &self.worker, &mut ready.fetched);
                match self.connection.excused(wait::unless_gone(read, &self.connection)).await {
                    None => return false,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        if self.session.pending.multi.is_some() {
                            // It was EXEC, which has run nothing.
                            self.session.drop_pending(&self.worker.server);
                        }
                        self.refuse(CommandError::unreadable(&error));
                        *at += 1;
                    }
                }
                true
            }
            Pause::Blocked(waiting) => {
                let reply = (!self.session.silenced).then_some(self.session.version);
                wait::for_element(*waiting, &self.session.client, &self.connection, &self.worker, reply).await
            }
            Pause::Apart(held) => {
                self.release();
                let (ran, pause) = self.run_apart(batch.only(*at), held, ready).await;
                *at += ran;
                match pause {
                    None => true,
                    Some(pause) => Box::pin(self.pass(pause, batch, at, ready)).await,
                }
            }
            Pause::Unsettled(key) => {
                self.release();
                let settled = wait::settle(self.session.database, key, &self.worker.server.store);
                if let Err(error) = self.connection.excused(settled).await {
                    self.refuse(CommandError::not_written(&error));
                    *at += 1;
                }
                true
            }
            // Replies to a stranger are few, or he is sent away.
            Pause::Output if !self.session.authenticated && !gate::is_open(&self.worker.server) => false,
            Pause::Output => {
                self.release();
                self.connection.count_output(&self.connection.output());
                wait::for_output(&self.connection, execute::OUTPUT_PAUSE).await;
                true
            }
        }
    }

    /// Runs a batch of one request apart. How many have run, and what remains to be done.
    async fn run_apart(&mut self, batch: Batch, held: Held, ready: &mut Ready) -> (usize, Option<Pause>) {
        let server = self.worker.server.clone();
        let substitute = Session::new(self.session.client.clone(), &server.users);
        let mut session = std::mem::replace(&mut self.session, substitute);
        let mut given = Ready { is_apart: true, tries_cached: true, ..std::mem::take(ready) };
        let work = move |server: &Server| {
            let mut output = Output::default();
            let stopped = execute::run(&batch, 0, &mut given, &mut session, server, &mut output);
            (session, given, output, stopped)
        };
        let Ok(done) = self.connection.excused(apart::run(&server, held, work)).await else {
            return (1, Some(Pause::After(After::Close)));
        };
        let (session, given, output, stopped) = done;
        self.session = session;
        *ready = Ready { is_apart: false, tries_cached: self.worker.disk_reads.tries_cached(), ..given };
        self.connection.output().append(output);
        let (ran, pause) = stopped.map_or((1, None), |(ran, pause)| (ran, Some(pause)));
        if ran != 0 {
            server.apart.note_run();
        }
        (ran, pause)
    }

    /// Answers a request that cannot be run.
    fn refuse(&mut self, error: CommandError) {
        if self.session.replies != Replies::On && self.session.silences(false) {
            return;
        }
        let mut output = self.connection.output();
        execute::refuse(error, &self.worker.server, &self.session, &mut output);
    }

    /// Blobs that the request did not store after all go again.
    fn discard_unused(&self, ready: &mut Ready) {
        for (_, reference) in ready.blobs.drain(..) {
            self.worker.server.store.discard_blob(reference);
        }
    }

    #[inline]
    fn release(&self) {
        self.worker.release(&self.connection);
    }
}

/// Shakes hands, in time.
pub(super) async fn shake_hands(reader: &mut Reader) -> io::Result<()> {
    let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, poll_fn(|context| reader.poll_handshake(context)));
    shaken.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake takes too long")))
}

/// The limits on this connection's requests.
fn limits(authenticated: bool, worker: &Worker) -> Limits {
    if !authenticated {
        return Limits::UNAUTHENTICATED;
    }
    let hot = &worker.server.hot;
    Limits {
        max_bulk_bytes: hot.max_bulk_bytes.load(Ordering::Relaxed) as usize,
        max_arguments: hot.max_arguments.load(Ordering::Relaxed) as usize,
        max_request_bytes: hot.max_request_bytes.load(Ordering::Relaxed) as usize,
        ..Limits::AUTHENTICATED
    }
}
