//! One thread, one event loop, some of the connections.
//!
//! ```text
//!  epoll ─► connections read, execute, write replies to their outputs
//!        ─► release: the log is written once for all of them, then every reply that is safe is sent
//! ```
//!
//! A connection whose reply needs no log position sends it at once. The others put themselves on the worker's list and
//! wake the release task, which the scheduler runs after every connection that was ready in the same turn. The flusher
//! wakes it too, once per sync.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use engine::FsyncMode;
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, mpsc};

use super::Server;
use super::connection::{Connection, Socket};

/// What can be sent to a worker.
pub enum Message {
    /// A new connection.
    Serve(Socket),
    /// Close this one.
    Kill(u64),
    /// The process ends: run nothing more, send what is safe, then drop the sender.
    Drain(mpsc::Sender<()>),
}

/// How others reach a worker.
#[derive(Clone)]
pub struct Mailbox {
    sender: mpsc::UnboundedSender<Message>,
    load: Arc<AtomicUsize>,
    wake: Arc<Wake>,
}

/// Wakes the release task, at most once until it has run.
#[derive(Default)]
pub struct Wake {
    notify: Notify,
    /// Whether any connection waits for the log: a flusher's progress interests nobody otherwise.
    waiting: AtomicBool,
}

impl Mailbox {
    /// Sends a message; lost when the worker has ended.
    pub fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// Connections it serves.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// A connection was handed over or has ended.
    pub fn add_load(&self) {
        self.load.fetch_add(1, Ordering::Relaxed);
    }

    /// The log has moved.
    pub fn progress(&self) {
        if self.wake.waiting.load(Ordering::Acquire) {
            self.wake.notify.notify_one();
        }
    }
}

/// How often idle connections are looked for.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often, and how far apart, a worker that is to end looks whether replies still wait for the log.
const DRAIN_ROUNDS: usize = 1000;
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// What the connections of one worker share.
pub struct Worker {
    /// Everything shared by all workers.
    pub server: Arc<Server>,
    /// Its number.
    pub index: usize,
    /// Where requests are read into: a connection takes a buffer of its own only while it holds part of a request.
    pub read_buffer: RefCell<BytesMut>,
    /// Buffers for outputs, taken while there is something to send.
    pub spare_outputs: RefCell<Vec<BytesMut>>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    dirty: RefCell<Vec<Rc<Connection>>>,
    /// Something was appended to the log in this turn.
    pub appended: Cell<bool>,
    /// The process ends: nothing more is run.
    pub draining: Cell<bool>,
    wake: Arc<Wake>,
    load: Arc<AtomicUsize>,
}

/// Starts a worker's thread; its mailbox.
pub fn start(server: Arc<Server>, index: usize) -> std::io::Result<(Mailbox, std::thread::JoinHandle<()>)> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let wake = Arc::new(Wake::default());
    let mailbox = Mailbox { sender, load: load.clone(), wake: wake.clone() };
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a worker has no event loop");
                server.stop.pull();
                return;
            }
        };
        let worker = Rc::new(Worker {
            server,
            index,
            read_buffer: RefCell::default(),
            spare_outputs: RefCell::default(),
            connections: RefCell::default(),
            dirty: RefCell::default(),
            appended: Cell::new(false),
            draining: Cell::new(false),
            wake,
            load,
        });
        runtime.block_on(async move {
            tokio::task::spawn_local(worker.clone().release_task());
            tokio::task::spawn_local(worker.clone().watch_task());
            while let Some(message) = receiver.recv().await {
                match message {
                    Message::Serve(socket) => worker.serve(socket),
                    Message::Kill(id) => worker.kill(id),
                    Message::Drain(done) => {
                        worker.drain().await;
                        drop(done);
                    }
                }
            }
        });
    })?;
    Ok((mailbox, thread))
}

impl Worker {
    /// Puts a connection on the list of those with something to send.
    #[inline]
    pub fn mark_dirty(&self, connection: &Rc<Connection>) {
        if !connection.dirty.replace(true) {
            self.dirty.borrow_mut().push(connection.clone());
        }
        self.wake.notify.notify_one();
    }

    /// A connection has ended.
    pub fn forget(&self, id: u64) {
        self.connections.borrow_mut().remove(&id);
        self.server.registry.remove(id);
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    fn serve(self: &Rc<Self>, socket: Socket) {
        let server = &self.server;
        match Connection::open(socket, self) {
            Ok((connection, reader)) => {
                server.registry.insert(connection.client());
                self.connections.borrow_mut().insert(connection.id(), connection.clone());
                tokio::task::spawn_local(connection.run(reader, self.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was gone before it was served");
                self.load.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn kill(&self, id: u64) {
        if let Some(connection) = self.connections.borrow().get(&id) {
            connection.abort();
        }
    }

    /// Once a second: closes connections that were idle for too long.
    async fn watch_task(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        loop {
            ticks.tick().await;
            let limit_ms = self.server.hot.timeout_seconds.load(Ordering::Relaxed) * 1000;
            let now_ms = self.server.monotonic_ms();
            let connections: Vec<Rc<Connection>> = self.connections.borrow().values().cloned().collect();
            for connection in connections {
                connection.watch(now_ms, limit_ms);
            }
        }
    }

    /// Sends every reply that can still be sent; connections run nothing more.
    async fn drain(&self) {
        self.draining.set(true);
        let log = self.server.store.log();
        for _ in 0..DRAIN_ROUNDS {
            self.wake.notify.notify_one();
            tokio::task::yield_now().await;
            let waiting = self.connections.borrow().values().any(|connection| connection.waits());
            if !waiting || log.is_read_only() {
                break;
            }
            log.want_sync(log.appended());
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
    }

    /// Writes the log once for all, then sends what is safe.
    async fn release_task(self: Rc<Self>) {
        let log = self.server.store.log().clone();
        let mut batch: Vec<Rc<Connection>> = Vec::new();
        loop {
            self.wake.notify.notified().await;
            // Before the marks are read: progress behind this point wakes the task again.
            self.wake.waiting.store(true, Ordering::Release);
            if self.appended.replace(false) {
                match log.mode() {
                    FsyncMode::Always => log.wake_flusher(),
                    FsyncMode::EverySec | FsyncMode::No => log.write_out(),
                }
            }
            let _ = engine::failpoint::hit("ack.before");
            std::mem::swap(&mut batch, &mut *self.dirty.borrow_mut());
            let mark = log.acknowledged();
            let read_only = log.is_read_only();
            for connection in batch.drain(..) {
                connection.dirty.set(false);
                connection.send(mark);
                if connection.waits() {
                    if read_only {
                        // What it waits for will never be safe: no reply, the connection ends.
                        connection.abort();
                    } else if !connection.dirty.replace(true) {
                        self.dirty.borrow_mut().push(connection);
                    }
                }
            }
            if self.dirty.borrow().is_empty() {
                self.wake.waiting.store(false, Ordering::Release);
            }
        }
    }
}
