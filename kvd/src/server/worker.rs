//! One thread, one event loop, some of the connections.
//!
//! ```text
//!  epoll ─► connections read, execute, write replies to their outputs
//!        ─► disk reads: those that were asked for begin with one call, and what has ended wakes its connection
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use engine::FsyncMode;

use super::Server;
use super::connection::Connection;
use super::disk_reads::DiskReads;
use super::mailbox::Wake;
use crate::pubsub::Inbox;
use crate::session::output::Output;

/// Output buffers kept by a worker.
const SPARE_OUTPUTS: usize = 64;
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
    spare_outputs: RefCell<Vec<BytesMut>>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    dirty: RefCell<Vec<Rc<Connection>>>,
    /// Something was appended to the log in this turn.
    appended: Cell<bool>,
    /// The process ends: nothing more is run.
    pub draining: Cell<bool>,
    wake: Arc<Wake>,
    load: Arc<AtomicUsize>,
    inbox: Arc<Inbox>,
    /// Its reads of values that lie in the log only.
    pub disk_reads: DiskReads,
}

impl Worker {
    /// A worker without connections, which counts them in `load` and is woken by `wake`. Made by its own thread, within its
    /// event loop.
    pub fn new(server: Arc<Server>, index: usize, wake: Arc<Wake>, load: Arc<AtomicUsize>) -> Worker {
        let disk_reads = DiskReads::new(&server);
        Worker {
            inbox: server.pubsub.inbox(index).clone(),
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
            disk_reads,
        }
    }

    /// Gives an empty output a buffer that another connection has left.
    #[inline]
    pub fn lend_buffer(&self, output: &mut Output) {
        if output.is_empty()
            && let Some(mut spare) = self.spare_outputs.borrow_mut().pop()
        {
            output.swap_tail(&mut spare);
        }
    }

    /// Sends what needs no log position at once, and leaves the rest to the end of the turn.
    #[inline]
    pub fn release(&self, connection: &Rc<Connection>) {
        let gated = {
            let output = connection.output();
            let gated = output.waits_for().is_some();
            // A write whose reply nobody wants goes to the log like any other.
            if output.is_empty() && !gated {
                return;
            }
            gated
        };
        if gated {
            self.appended.set(true);
            self.mark_dirty(connection);
            return;
        }
        connection.send(0);
        self.take_buffer(&mut connection.output());
    }

    /// Takes the buffer of an output that was sent, for another connection.
    #[inline]
    fn take_buffer(&self, output: &mut Output) {
        if output.is_empty() {
            let mut buffer = BytesMut::new();
            output.swap_tail(&mut buffer);
            let mut spares = self.spare_outputs.borrow_mut();
            if buffer.capacity() > 0 && spares.len() < SPARE_OUTPUTS {
                spares.push(buffer);
            }
        }
    }

    /// Puts a connection on the list of those with something to send.
    #[inline]
    pub fn mark_dirty(&self, connection: &Rc<Connection>) {
        if !connection.dirty.replace(true) {
            self.dirty.borrow_mut().push(connection.clone());
        }
        self.wake.notify.notify_one();
    }

    /// A connection has come.
    pub fn admit(&self, connection: &Rc<Connection>) {
        let client = connection.client();
        self.server.registry.insert(client.clone());
        self.connections.borrow_mut().insert(client.id, connection.clone());
    }

    /// A connection has ended.
    pub fn forget(&self, id: u64) {
        self.connections.borrow_mut().remove(&id);
        self.server.registry.remove(id);
        self.lose();
    }

    /// One connection less than were handed over.
    pub fn lose(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Writes the messages that have come to the outputs of those they are for. No output may be borrowed.
    #[inline]
    pub fn deliver(&self) {
        if self.inbox.is_pending() {
            self.deliver_all();
        }
    }

    #[cold]
    fn deliver_all(&self) {
        let connections = self.connections.borrow();
        let mut deaf = Vec::new();
        for message in self.inbox.take() {
            self.server.pubsub.receivers(&message, self.index, |id, pattern| {
                let Some(connection) = connections.get(&id).filter(|connection| !connection.has_ended()) else {
                    return;
                };
                self.lend_buffer(&mut connection.output());
                if !connection.push(&message, pattern) {
                    deaf.push(connection.clone());
                }
                if connection.waits() {
                    self.appended.set(true);
                }
                self.mark_dirty(connection);
            });
            // Outside of the hub's lock: this closes sockets. One that is reached through several patterns is here twice.
            for connection in deaf.drain(..).filter(|connection| !connection.has_ended()) {
                connection.overflow();
            }
        }
    }

    /// Delivers messages as they come.
    pub async fn deliver_task(self: Rc<Self>) {
        loop {
            self.inbox.arrived.notified().await;
            self.deliver();
        }
    }

    /// Has the reads done that were asked for.
    pub async fn read_task(self: Rc<Self>) {
        self.disk_reads.run(&self.server).await;
    }

    /// Closes a connection at once.
    pub fn kill(&self, id: u64) {
        if let Some(connection) = self.connections.borrow().get(&id) {
            connection.abort();
        }
    }

    /// Once a second: closes connections whose clients do nothing, or leave too much, for too long.
    pub async fn watch_task(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        loop {
            ticks.tick().await;
            let now_ms = self.server.monotonic_ms();
            let connections: Vec<Rc<Connection>> = self.connections.borrow().values().cloned().collect();
            for connection in connections {
                connection.watch(now_ms);
            }
        }
    }

    /// Sends every reply that can still be sent; connections run nothing more.
    pub async fn drain(&self) {
        self.draining.set(true);
        let log = self.server.store.log();
        for _ in 0..DRAIN_ROUNDS {
            self.wake.notify.notify_one();
            tokio::task::yield_now().await;
            let waiting =
                self.connections.borrow().values().any(|connection| connection.waits() && !connection.is_blocked());
            if !waiting || log.is_read_only() {
                break;
            }
            log.want_sync(log.appended());
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
    }

    /// Writes the log once for all, then sends what is safe.
    pub async fn release_task(self: Rc<Self>) {
        let mut batch: Vec<Rc<Connection>> = Vec::new();
        loop {
            self.wake.notify.notified().await;
            let log = self.server.store.log();
            // Before the marks are read: progress behind this point wakes the task again.
            self.wake.waiting.declare();
            self.server.store.spill_at_once();
            if self.appended.replace(false) {
                match log.mode() {
                    FsyncMode::Always => log.wake_flusher(),
                    FsyncMode::EverySec | FsyncMode::No => {
                        let is_written = self.server.large_writes.write_out(log);
                        self.appended.set(!is_written);
                    }
                }
            }
            let _ = engine::failpoint::hit("ack.before");
            std::mem::swap(&mut batch, &mut *self.dirty.borrow_mut());
            let mark = log.acknowledged();
            let read_only = log.is_read_only();
            for connection in batch.drain(..) {
                connection.dirty.set(false);
                connection.send(mark);
                self.take_buffer(&mut connection.output());
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
                self.wake.waiting.withdraw();
            }
        }
    }
}
