//! One connection as all the tasks of its worker see it: who the client is, what is to be sent, and the sending of what
//! is safe.

use std::cell::{Cell, RefCell, RefMut};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use engine::Lsn;
use engine::mutant::planted;
use tokio::sync::Notify;

use super::Server;
use super::socket::{Closed, Reader, Socket, Writer};
use crate::commands;
use crate::pubsub::Message;
use crate::session::output::{MAX_SLICES, Output};
use crate::session::registry::{Client, Ends};

/// What a client that has begun a request has to send, beyond `request-timeout`.
const LEAST_BYTES_A_SECOND: usize = 1 << 10;
/// How often a client that has closed half its end is looked at.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(100);

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
    /// It waits for something that is not its client's doing.
    excused: Cell<bool>,
    watched: Cell<Watched>,
    /// The request that its client has begun and not ended.
    begun: Cell<Option<Begun>>,
    /// Bytes of the output as counted against what all connections may hold.
    counted_output: Cell<usize>,
}

/// A request of which a part has come.
#[derive(Clone, Copy)]
struct Begun {
    at_ms: u64,
    bytes: usize,
}

/// What [`Connection::watch`] saw the last time.
#[derive(Clone, Copy)]
struct Watched {
    /// Stream position of the output, and when it was last elsewhere.
    position: u64,
    moved_ms: u64,
    /// When the output was last below the soft limit.
    below_ms: u64,
}

impl Connection {
    /// Registers an accepted socket with the event loop of this worker.
    pub fn open(socket: Socket, server: &Arc<Server>, worker: usize) -> io::Result<(Rc<Connection>, Reader)> {
        let (now_ms, user) = (server.monotonic_ms(), server.users.default_user());
        let id = server.registry.next_id();
        let ends = match &socket {
            Socket::Tcp(stream) | Socket::Tls(stream, _) => Ends {
                address: stream.peer_addr()?.to_string(),
                local_address: stream.local_addr()?.to_string(),
                descriptor: stream.as_raw_fd(),
                unix: false,
            },
            Socket::Unix(stream) => {
                let path = server.settings().unixsocket.clone().unwrap_or_default();
                let name = format!("{}:0", path.display());
                Ends { address: name.clone(), local_address: name, descriptor: stream.as_raw_fd(), unix: true }
            }
        };
        let client = Client::new(id, ends, worker, now_ms, user);
        let (reader, writer) = socket.split()?;
        let connection = Connection {
            server: server.clone(),
            client: Arc::new(client),
            writer,
            output: RefCell::default(),
            dirty: Cell::new(false),
            blocked: Cell::new(false),
            ended: Cell::new(false),
            progress: Notify::new(),
            excused: Cell::new(false),
            begun: Cell::new(None),
            counted_output: Cell::new(0),
            watched: Cell::new(Watched { position: 0, moved_ms: now_ms, below_ms: now_ms }),
        };
        Ok((Rc::new(connection), reader))
    }

    /// What others may see of it.
    #[inline]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// What is still to be sent. Not to be held while waiting.
    #[inline]
    pub fn output(&self) -> RefMut<'_, Output> {
        self.output.borrow_mut()
    }

    /// Whether nothing more is sent.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Nothing more is sent from here on. Whoever hears that it was closed finds it no more.
    pub fn end(&self) {
        if !self.ended.replace(true) {
            self.writer.say_goodbye();
        }
        self.server.registry.remove(self.client.id);
        self.note_output(0, 0);
    }

    /// Writes what its client has not asked for now, and leaves it to be sent. Whether there was room: if not, it is to
    /// be closed.
    pub fn push(&self, message: &Message, pattern: Option<&Bytes>) -> bool {
        let mut output = self.output.borrow_mut();
        output.set_bounds(self.server.output_bounds(&self.client));
        message.write(pattern, &mut output, self.client.version());
        self.count_output(&output);
        !output.is_out_of_bounds()
    }

    /// Ends it because more waits for its client than may.
    pub fn overflow(&self) {
        let wanted = self.output.borrow().wanted();
        self.note_output(wanted, 0);
        let client = commands::client::describe(&self.client, self.server.monotonic_ms());
        tracing::warn!("Client {client} scheduled to be closed ASAP for overcoming of output buffer limits.");
        self.server.stats.count_overflow();
        self.abort();
    }

    /// Counts what waits to be sent, for others to see and against what all connections may hold: if that is too much, those
    /// with most are closed.
    #[inline]
    pub fn count_output(&self, output: &Output) {
        // Over TLS some of it is encrypted and not yet with the kernel.
        let encrypted = self.writer.held_bytes();
        if self.note_output(output.len() + encrypted, output.held_bytes() + encrypted) {
            self.server.bound_client_memory();
        }
    }

    /// The same of so many bytes, of which so many are held for this client alone; nobody is closed. Whether these are more
    /// than before.
    fn note_output(&self, bytes: usize, held: usize) -> bool {
        let [bytes, held] = if self.ended.get() { [0; 2] } else { [bytes, held] };
        self.client.output_bytes.store(bytes, Ordering::Relaxed);
        let before = self.counted_output.replace(held);
        self.server.client_memory.change(&self.client, before, held);
        held > before
    }

    /// So much has come of a request whose end has not; `is_new` when that is another than the last time. Of none: nothing
    /// is waited for.
    pub fn set_begun(&self, bytes: usize, is_new: bool) {
        let before = self.begun.take().filter(|_| !is_new);
        if bytes > 0 {
            let at_ms = before.map_or_else(|| self.server.monotonic_ms(), |begun| begun.at_ms);
            self.begun.set(Some(Begun { at_ms, bytes }));
        }
    }

    /// Whether its client takes too long for the request that it has begun: who sends a KiB in a second may send as long
    /// a request as there may be.
    fn dawdles(&self, now_ms: u64) -> bool {
        let limit_ms = self.server.hot.request_ms.load(Ordering::Relaxed);
        let is_limited = limit_ms != 0 && !planted("request_waited_for");
        let Some(begun) = self.begun.get().filter(|_| is_limited) else { return false };
        let for_bytes_ms = (begun.bytes / LEAST_BYTES_A_SECOND) as u64 * 1000;
        now_ms.saturating_sub(begun.at_ms) > limit_ms.saturating_add(for_bytes_ms)
    }

    /// Ends it at once: what was not sent never will be.
    pub fn abort(&self) {
        self.end();
        self.writer.shutdown_now();
        self.progress.notify_one();
    }

    /// Ends it when its client has asked nothing and taken nothing for too long, unless it is there to listen, or has left
    /// too much for too long.
    pub fn watch(&self, now_ms: u64) {
        let hot = &self.server.hot;
        let (position, waiting_bytes, gated) = {
            let output = self.output.borrow();
            (output.sent(), output.len() as u64, output.waits_for().is_some())
        };
        let mut watched = self.watched.get();
        // It is not the client who keeps the connection waiting for the disk, or as long as it has asked to wait.
        if watched.position != position || self.excused.get() || (gated && !self.blocked.get()) {
            watched.position = position;
            watched.moved_ms = now_ms;
        }
        let limit = hot.output_limit(self.client.is_subscriber());
        let soft_bytes = limit.soft_bytes.load(Ordering::Relaxed);
        if soft_bytes == 0 || waiting_bytes <= soft_bytes {
            watched.below_ms = now_ms;
        }
        self.watched.set(watched);
        let active_ms = self.client.active_ms.load(Ordering::Relaxed).max(watched.moved_ms);
        let limit_ms = hot.timeout_seconds.load(Ordering::Relaxed) * 1000;
        if now_ms.saturating_sub(watched.below_ms) > limit.soft_ms.load(Ordering::Relaxed) {
            self.overflow();
        } else if self.dawdles(now_ms) {
            let client = commands::client::describe(&self.client, now_ms);
            tracing::info!("Closing a client that takes too long for a request (request-timeout): {client}");
            self.server.stats.count_dawdler();
            self.abort();
        } else if limit_ms != 0 && !self.client.listens() && now_ms.saturating_sub(active_ms) > limit_ms {
            self.abort();
        }
    }

    /// Waits for something that is not its client's doing.
    pub async fn excused<T>(&self, waited: impl Future<Output = T>) -> T {
        self.excused.set(true);
        let outcome = waited.await;
        self.excused.set(false);
        outcome
    }

    /// Waits until the client has closed its end so far, or others have ended the connection.
    pub async fn closed(&self, enough: Closed) {
        // Ending it closes the socket, which wakes this.
        while self.writer.closed().await < enough {
            tokio::time::sleep(LOOK_FOR_CLIENT).await;
        }
    }

    /// Whether it has replies that wait for the log.
    #[inline]
    pub fn waits(&self) -> bool {
        !self.ended.get() && self.output.borrow().waits_for().is_some()
    }

    /// Whether its client is the reason that nothing more is sent.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Waits until the output has become shorter, or the connection has ended.
    pub async fn progress(&self) {
        self.progress.notified().await;
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
                tokio::task::spawn_local(self.clone().unblock());
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
        self.count_output(&output);
        self.progress.notify_one();
        Ok(true)
    }

    /// Goes on sending when the socket takes more: what is safe by then.
    async fn unblock(self: Rc<Self>) {
        loop {
            self.count_output(&self.output.borrow());
            let sent = match self.writer.writable().await {
                Ok(()) => self.send_now(self.server.store.log().acknowledged()),
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
}
