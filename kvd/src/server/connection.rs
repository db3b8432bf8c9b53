//! One connection: read, execute where it was read, send when it is safe.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::{Lsn, Reference};
use resp::{Batch, Limits, RequestCodec};
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio::sync::Notify;
use tokio_util::codec::Decoder;
use tokio_util::io::poll_read_buf;

use super::Server;
use super::execute::{self, Pause};
use super::worker::Worker;
use crate::commands::Reply;
use crate::session::output::{MAX_SLICES, Output};
use crate::session::registry::Client;
use crate::session::{Session, gate};

/// Room for one read: an exactly filled buffer would cost another call that finds nothing.
const READ_BYTES: usize = 64 << 10;
/// Room for the next read of a request that has begun: at least this, at most what has already come.
const PARTIAL_BYTES: usize = 16 << 10;
/// Output buffers larger than this are not kept.
const SPARE_OUTPUT: usize = 64 << 10;
/// Output buffers kept by a worker.
const SPARE_OUTPUTS: usize = 64;
/// Replies to a client that has not authenticated; beyond it is closed.
const UNAUTHENTICATED_OUTPUT: usize = 16 << 10;
/// Time for a client to authenticate.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(10);
/// How often a connection that waits for something else is looked at.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(100);
/// How long a stalled request waits before it asks again.
const STALL_RETRY: Duration = Duration::from_millis(5);

/// An accepted connection on its way to a worker.
pub enum Socket {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over the unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// The half that reads.
pub enum Reader {
    /// Over TCP.
    Tcp(tcp::OwnedReadHalf),
    /// Over the unix socket.
    Unix(unix::OwnedReadHalf),
}

enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl Writer {
    #[inline]
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write(bytes),
            Writer::Unix(half) => half.try_write(bytes),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write_vectored(slices),
            Writer::Unix(half) => half.try_write_vectored(slices),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Writer::Tcp(half) => half.writable().await,
            Writer::Unix(half) => half.writable().await,
        }
    }

    fn shutdown_now(&self) {
        let result = match self {
            Writer::Tcp(half) => SockRef::from(AsRef::<TcpStream>::as_ref(half)).shutdown(std::net::Shutdown::Both),
            Writer::Unix(half) => SockRef::from(AsRef::<UnixStream>::as_ref(half)).shutdown(std::net::Shutdown::Both),
        };
        if let Err(error) = result {
            tracing::trace!(%error, "a connection was already closed");
        }
    }
}

/// What the release task and the connection's own task share.
pub struct Connection {
    server: Arc<Server>,
    client: Arc<Client>,
    writer: Writer,
    output: RefCell<Output>,
    /// On the worker's list.
    pub dirty: Cell<bool>,
    /// The socket takes no more; a task waits for it.
    blocked: Cell<bool>,
    ended: Cell<bool>,
    /// The output has become shorter.
    progress: Notify,
}

impl Connection {
    /// Registers an accepted socket with this worker's event loop.
    pub fn open(socket: Socket, worker: &Worker) -> io::Result<(Rc<Connection>, Reader)> {
        let server = &worker.server;
        let now_ms = server.monotonic_ms();
        let id = server.registry.next_id();
        let (reader, writer, client) = match socket {
            Socket::Tcp(stream) => {
                let (peer, local) = (stream.peer_addr()?.to_string(), stream.local_addr()?.to_string());
                let client = Client::new(id, peer, local, stream.as_raw_fd(), false, worker.index, now_ms);
                let (reader, writer) = TcpStream::from_std(stream)?.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer), client)
            }
            Socket::Unix(stream) => {
                let path = server.settings().unixsocket.clone().unwrap_or_default();
                let name = format!("{}:0", path.display());
                let client = Client::new(id, name.clone(), name, stream.as_raw_fd(), true, worker.index, now_ms);
                let (reader, writer) = UnixStream::from_std(stream)?.into_split();
                (Reader::Unix(reader), Writer::Unix(writer), client)
            }
        };
        let connection = Connection {
            server: server.clone(),
            client: Arc::new(client),
            writer,
            output: RefCell::default(),
            dirty: Cell::new(false),
            blocked: Cell::new(false),
            ended: Cell::new(false),
            progress: Notify::new(),
        };
        Ok((Rc::new(connection), reader))
    }

    /// What others may see of it.
    pub fn client(&self) -> Arc<Client> {
        self.client.clone()
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.client.id
    }

    /// Ends it at once: what was not sent never will be.
    pub fn abort(&self) {
        self.ended.set(true);
        self.writer.shutdown_now();
        self.progress.notify_one();
    }

    /// Ends it when it was idle for longer than `limit_ms`; 0 is for ever.
    pub fn watch(&self, now_ms: u64, limit_ms: u64) {
        let idle_ms = now_ms.saturating_sub(self.client.active_ms.load(Ordering::Relaxed));
        if limit_ms != 0 && idle_ms > limit_ms && self.output.borrow().is_empty() {
            self.abort();
        }
    }

    /// Whether the client has closed its end, or others have ended the connection.
    fn is_gone(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = match &self.writer {
            Writer::Tcp(half) => SockRef::from(AsRef::<TcpStream>::as_ref(half)).peek(&mut byte),
            Writer::Unix(half) => SockRef::from(AsRef::<UnixStream>::as_ref(half)).peek(&mut byte),
        };
        self.ended.get() || matches!(peeked, Ok(0))
    }

    /// Whether it has replies that wait for the log.
    #[inline]
    pub fn waits(&self) -> bool {
        !self.blocked.get() && !self.ended.get() && self.output.borrow().waits_for().is_some()
    }

    /// Sends what is safe when the log is safe up to `mark`.
    #[inline]
    pub fn send(self: &Rc<Self>, mark: Lsn) {
        if self.blocked.get() || self.ended.get() {
            return;
        }
        match self.send_now(mark) {
            Ok(true) => {}
            Ok(false) => {
                self.blocked.set(true);
                tokio::task::spawn_local(self.clone().unblock(mark));
            }
            Err(error) => {
                tracing::debug!(%error, client = self.client.id, "a client went away");
                self.abort();
            }
        }
    }

    /// Whether everything that is safe has been sent; false when the socket takes no more.
    #[inline]
    fn send_now(&self, mark: Lsn) -> io::Result<bool> {
        let mut output = self.output.borrow_mut();
        let mut limit = output.releasable(mark);
        if limit == 0 {
            return Ok(true);
        }
        while limit > 0 {
            let sent = match output.only_tail() {
                Some(tail) => self.writer.try_write(&tail[..limit]),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let count = output.slices(limit, &mut slices);
                    self.writer.try_write_vectored(&slices[..count])
                }
            };
            match sent {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    self.server.stats.count_output(self.client.worker, sent);
                    output.advance(sent);
                    limit -= sent;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.client.output_bytes.store(output.len(), Ordering::Relaxed);
        self.progress.notify_one();
        Ok(true)
    }

    /// Goes on sending when the socket takes more.
    async fn unblock(self: Rc<Self>, mark: Lsn) {
        self.client.output_bytes.store(self.output.borrow().len(), Ordering::Relaxed);
        loop {
            let sent = match self.writer.writable().await {
                Ok(()) => self.send_now(mark),
                Err(error) => Err(error),
            };
            match sent {
                Ok(true) => break,
                Ok(false) if self.ended.get() => break,
                Ok(false) => {}
                Err(_) => {
                    self.abort();
                    break;
                }
            }
        }
        self.blocked.set(false);
        self.progress.notify_one();
    }

    /// Serves it until it ends.
    pub async fn run(self: Rc<Self>, reader: Reader, worker: Rc<Worker>) {
        let server = worker.server.clone();
        let session = Session::new(self.client.clone(), gate::is_open(&server));
        let mut task = Task {
            codec: RequestCodec::new(limits(session.authenticated, &worker)),
            connection: self.clone(),
            reader,
            worker: worker.clone(),
            session,
            partial: BytesMut::new(),
        };
        let ended = if task.session.authenticated { task.serve().await } else { task.serve_unauthenticated().await };
        if let Err(error) = ended {
            tracing::debug!(%error, client = self.client.id, "connection ended");
        }
        self.finish(&worker).await;
        worker.forget(self.client.id);
    }

    /// Sends what is left, as far as the client takes it, then lets go.
    async fn finish(self: &Rc<Self>, worker: &Worker) {
        while !self.ended.get() && !self.output.borrow().is_empty() {
            worker.mark_dirty(self);
            self.progress.notified().await;
        }
        self.ended.set(true);
    }
}

/// The connection's own task.
struct Task {
    connection: Rc<Connection>,
    reader: Reader,
    worker: Rc<Worker>,
    session: Session,
    codec: RequestCodec,
    /// The beginning of a request whose end has not come.
    partial: BytesMut,
}

impl Task {
    /// The first ten seconds of a client that owes its password.
    async fn serve_unauthenticated(&mut self) -> io::Result<()> {
        let before = tokio::time::timeout(AUTHENTICATE_WITHIN, async {
            while !self.session.authenticated && !gate::is_open(&self.worker.server) {
                if !self.turn().await? {
                    return Ok(false);
                }
                if self.connection.output.borrow().len() > UNAUTHENTICATED_OUTPUT {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        match before.await {
            Ok(Ok(true)) => self.serve().await,
            Ok(Ok(false)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not authenticate in time")),
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        while self.turn().await? {}
        Ok(())
    }

    /// Reads once and runs what came. Whether the connection goes on.
    async fn turn(&mut self) -> io::Result<bool> {
        let read = self.read().await?;
        if read == 0 || self.connection.ended.get() {
            return Ok(false);
        }
        self.worker.server.stats.count_input(self.worker.index, read);
        if self.worker.draining.get() {
            // The process ends: what is not executed is not acknowledged.
            return std::future::pending().await;
        }
        let now_ms = self.worker.server.monotonic_ms();
        self.client().active_ms.store(now_ms, Ordering::Relaxed);
        // The shared buffer may be used by others as soon as this task waits: what it holds is taken out first.
        let mut buffer = std::mem::take(&mut self.partial);
        if buffer.is_empty() {
            buffer = self.worker.read_buffer.take();
        }
        let goes_on = self.run_buffer(&mut buffer).await?;
        if buffer.is_empty() {
            let mut shared = self.worker.read_buffer.borrow_mut();
            if shared.capacity() < buffer.capacity() && buffer.capacity() <= 2 * READ_BYTES {
                *shared = buffer;
            }
            self.client().query_bytes.store(0, Ordering::Relaxed);
        } else {
            self.keep(buffer);
        }
        Ok(goes_on)
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
        self.client().query_bytes.store(self.partial.len(), Ordering::Relaxed);
    }

    /// Waits for bytes; how many came.
    async fn read(&mut self) -> io::Result<usize> {
        let wanted = self.codec.bytes_wanted();
        let (reader, worker, partial) = (&mut self.reader, &*self.worker, &mut self.partial);
        poll_fn(|context| {
            if partial.is_empty() {
                let mut shared = worker.read_buffer.borrow_mut();
                debug_assert!(shared.is_empty(), "what was read is taken out at once");
                poll_read(reader, &mut shared, READ_BYTES, context)
            } else {
                // Doubling keeps the copying linear; what is announced is trusted only as far as bytes have come.
                let room = wanted.clamp(PARTIAL_BYTES, PARTIAL_BYTES.max(partial.len()));
                poll_read(reader, partial, room, context)
            }
        })
        .await
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
                    let mut output = self.connection.output.borrow_mut();
                    Reply::new(&mut output, self.session.version).write().error(error.reply_text());
                    drop(output);
                    buffer.clear();
                    return Ok(false);
                }
            }
        }
    }

    async fn run_batch(&mut self, batch: &Batch) -> io::Result<bool> {
        let mut at = 0;
        let mut blobs: Vec<(usize, Reference)> = Vec::new();
        let requests = batch.len() as u64;
        self.client().requests.fetch_add(requests, Ordering::Relaxed);
        self.worker.server.stats.count_commands(self.worker.index, requests);
        loop {
            let paused = {
                let mut output = self.connection.output.borrow_mut();
                if output.is_empty()
                    && let Some(mut spare) = self.worker.spare_outputs.borrow_mut().pop()
                {
                    output.swap_tail(&mut spare);
                }
                execute::run(batch, at, &blobs, &mut self.session, &self.worker.server, &mut output)
            };
            self.discard_unused(&mut blobs);
            let Some((next, pause)) = paused else {
                self.release();
                return Ok(true);
            };
            at = next;
            match pause {
                Pause::Close => {
                    self.release();
                    return Ok(false);
                }
                Pause::Shutdown => {
                    self.worker.server.stop.pull();
                    return Ok(false);
                }
                Pause::Widened => self.codec.set_limits(limits(true, &self.worker)),
                pause @ Pause::Durable(_) => {
                    if !self.wait(pause, batch, at, &mut blobs).await? {
                        return Ok(false);
                    }
                }
                pause => {
                    self.release();
                    if !self.wait(pause, batch, at, &mut blobs).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Waits for what a paused batch waits for. Whether the connection goes on.
    async fn wait(
        &mut self,
        pause: Pause,
        batch: &Batch,
        at: usize,
        blobs: &mut Vec<(usize, Reference)>,
    ) -> io::Result<bool> {
        let server = self.worker.server.clone();
        match pause {
            Pause::Stalled => tokio::time::sleep(STALL_RETRY).await,
            Pause::Blobs => *blobs = self.write_blobs(batch, at).await?,
            Pause::Durable(lsn) => {
                self.connection.output.borrow_mut().hold();
                self.release();
                if self.or_gone(server.wait_durable(lsn, None)).await != Some(true) {
                    // Not durable, and the reply would say so: there is none.
                    self.connection.abort();
                }
                self.connection.output.borrow_mut().release_hold();
                self.release();
            }
            Pause::WaitDurable { lsn, replicas, timeout_ms } => {
                let limit = (timeout_ms != 0).then(|| Duration::from_millis(timeout_ms));
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
                let Some(durable) = self.or_gone(waited).await else { return Ok(false) };
                let mut output = self.connection.output.borrow_mut();
                let mut reply = Reply::new(&mut output, self.session.version);
                reply.write().array(2);
                reply.integer(i64::from(durable));
                reply.integer(0);
            }
            Pause::WaitReplicas { timeout_ms } => {
                let limit = (timeout_ms != 0).then(|| Duration::from_millis(timeout_ms));
                if self.or_gone(run_out(limit)).await.is_none() {
                    return Ok(false);
                }
                Reply::new(&mut self.connection.output.borrow_mut(), self.session.version).integer(0);
            }
            Pause::Output => {
                while self.connection.output.borrow().len() > execute::OUTPUT_PAUSE && !self.connection.ended.get() {
                    self.connection.progress.notified().await;
                }
            }
            Pause::Close | Pause::Shutdown | Pause::Widened => {}
        }
        Ok(!self.connection.ended.get())
    }

    /// Waits for something that is not the client's doing, unless the client goes away meanwhile.
    async fn or_gone<T>(&self, waited: impl Future<Output = T>) -> Option<T> {
        let gone = async {
            while !self.connection.is_gone() {
                tokio::time::sleep(LOOK_FOR_CLIENT).await;
            }
        };
        self.worker.server.stats.count_blocked(1);
        let outcome = tokio::select! {
            outcome = waited => Some(outcome),
            () = gone => None,
        };
        self.worker.server.stats.count_blocked(-1);
        outcome
    }

    /// Writes the large arguments of a request to files of their own, off this thread.
    async fn write_blobs(&self, batch: &Batch, at: usize) -> io::Result<Vec<(usize, Reference)>> {
        let request = batch.request(at);
        let store = self.worker.server.store.clone();
        let limit = store.options().blob_bytes;
        let large: Vec<(usize, Bytes)> = (2..request.len())
            .filter(|index| request.get(*index).is_some_and(|argument| argument.len() >= limit))
            .map(|index| (index, request.shared(index)))
            .collect();
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

    /// Blobs that the request did not store after all go again.
    fn discard_unused(&self, blobs: &mut Vec<(usize, Reference)>) {
        for (_, reference) in blobs.drain(..) {
            self.worker.server.store.discard_blob(reference);
        }
    }

    /// Sends what needs no log position at once, and leaves the rest to the end of the turn.
    #[inline]
    fn release(&mut self) {
        let gated = {
            let output = self.connection.output.borrow();
            if output.is_empty() {
                return;
            }
            output.waits_for().is_some()
        };
        if gated {
            self.worker.appended.set(true);
            self.worker.mark_dirty(&self.connection);
            return;
        }
        self.connection.send(0);
        let mut output = self.connection.output.borrow_mut();
        if output.is_empty() {
            let mut buffer = BytesMut::new();
            output.swap_tail(&mut buffer);
            let mut spares = self.worker.spare_outputs.borrow_mut();
            if buffer.capacity() > 0 && buffer.capacity() <= SPARE_OUTPUT && spares.len() < SPARE_OUTPUTS {
                spares.push(buffer);
            }
        }
    }

    fn client(&self) -> &Client {
        &self.connection.client
    }
}

/// Waits for a time, or for ever.
async fn run_out(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn poll_read(
    reader: &mut Reader,
    buffer: &mut BytesMut,
    room: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    buffer.reserve(room);
    match reader {
        Reader::Tcp(half) => poll_read_buf(Pin::new(half), context, buffer),
        Reader::Unix(half) => poll_read_buf(Pin::new(half), context, buffer),
    }
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
