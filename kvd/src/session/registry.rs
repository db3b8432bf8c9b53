//! All connections, as CLIENT LIST and CLIENT KILL see them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use resp::Version;
use tokio::sync::oneshot;

use crate::acl::User;
use crate::server::blocked::{Ended, Waiter};

/// What others may see of a connection. Counters are written by its worker and read by anyone.
pub struct Client {
    /// Never given twice by one process.
    pub id: u64,
    /// The other end, `127.0.0.1:50000` or the socket's path and `:0`.
    pub address: String,
    /// This end.
    pub local_address: String,
    /// File descriptor number.
    pub descriptor: i32,
    /// Over the unix socket.
    pub unix: bool,
    /// Which worker serves it.
    pub worker: usize,
    /// Monotonic milliseconds when it came.
    pub connected_ms: u64,
    /// Monotonic milliseconds of its last request.
    pub active_ms: AtomicU64,
    /// Index of its last command in the table, `usize::MAX` before the first.
    pub last_command: AtomicUsize,
    /// Bytes read and not yet executed.
    pub query_bytes: AtomicUsize,
    /// Bytes waiting to be sent.
    pub output_bytes: AtomicUsize,
    /// Bytes held for it in all: of requests, replies, and what it has queued, watches and subscribes to.
    pub held_bytes: AtomicUsize,
    /// Requests executed.
    pub requests: AtomicU64,
    /// To be closed by its worker.
    pub killed: AtomicBool,
    /// Subscriptions to channels, patterns and shard channels.
    pub subscriptions: [AtomicUsize; 3],
    /// Whether it monitors.
    pub monitors: AtomicBool,
    /// Whose it is.
    user: Mutex<Arc<User>>,
    /// What it waits for, while it does.
    pub waiter: Mutex<Option<Arc<Waiter>>>,
    /// Ends its wait for the log or for replicas, while it does.
    pub waits: Mutex<Option<oneshot::Sender<Ended>>>,
    /// CLIENT NO-EVICT: it is not closed for what all clients hold together.
    pub stays: AtomicBool,
    /// CLIENT NO-TOUCH: what it reads does not count as used.
    pub no_touch: AtomicBool,
    /// One more than the requests it has queued; 0 without MULTI.
    queued: AtomicU64,
    watched: AtomicU64,
    database: AtomicU8,
    version: AtomicU8,
    text: Mutex<Texts>,
}

/// What CLIENT SETNAME and SETINFO set.
#[derive(Clone, Default)]
pub struct Texts {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: String,
}

/// Both ends of a connection.
pub struct Ends {
    /// The client's.
    pub address: String,
    /// The server's.
    pub local_address: String,
    /// File descriptor number.
    pub descriptor: i32,
    /// Over the unix socket.
    pub unix: bool,
}

impl Client {
    /// A connection that has just come.
    pub fn new(id: u64, ends: Ends, worker: usize, now_ms: u64, user: Arc<User>) -> Client {
        let Ends { address, local_address, descriptor, unix } = ends;
        Client {
            id,
            address,
            local_address,
            descriptor,
            unix,
            worker,
            connected_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            last_command: AtomicUsize::new(usize::MAX),
            query_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            held_bytes: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            subscriptions: Default::default(),
            monitors: AtomicBool::new(false),
            user: Mutex::new(user),
            waiter: Mutex::new(None),
            waits: Mutex::new(None),
            stays: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            watched: AtomicU64::new(0),
            database: AtomicU8::new(0),
            version: AtomicU8::new(2),
            text: Mutex::default(),
        }
    }

    /// Whether a request of it waits.
    pub fn is_blocked(&self) -> bool {
        self.waiter.lock().is_some() || self.waits.lock().is_some()
    }

    /// Ends the wait of its request; false when there is none.
    pub fn unblock(&self, how: Ended) -> bool {
        if let Some(waiter) = &*self.waiter.lock() {
            return waiter.end(how);
        }
        self.waits.lock().take().is_some_and(|waits| waits.send(how).is_ok())
    }

    /// Whose it is, as of the last request that made it somebody's.
    pub fn user(&self) -> Arc<User> {
        self.user.lock().clone()
    }

    /// What was set by name.
    pub fn texts(&self) -> Texts {
        self.text.lock().clone()
    }

    /// CLIENT SETNAME.
    pub fn set_name(&self, name: &[u8]) {
        self.text.lock().name = String::from_utf8_lossy(name).into_owned();
    }

    /// CLIENT SETINFO.
    pub fn set_library(&self, name: Option<&[u8]>, version: Option<&[u8]>) {
        let mut text = self.text.lock();
        if let Some(name) = name {
            text.lib_name = String::from_utf8_lossy(name).into_owned();
        }
        if let Some(version) = version {
            text.lib_ver = String::from_utf8_lossy(version).into_owned();
        }
    }

    /// Whether it comes from this machine.
    pub fn is_local(&self) -> bool {
        let is_loopback = |peer: SocketAddr| peer.ip().to_canonical().is_loopback();
        self.unix || self.address.parse().is_ok_and(is_loopback)
    }

    /// Whether it subscribes to anything.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions.iter().any(|count| count.load(Ordering::Relaxed) != 0)
    }

    /// Whether it is there to be told, and need not ask anything.
    pub fn listens(&self) -> bool {
        self.is_subscriber() || self.monitors.load(Ordering::Relaxed)
    }

    /// The database it uses.
    pub fn database(&self) -> u8 {
        self.database.load(Ordering::Relaxed)
    }

    /// 2 or 3.
    pub fn protocol(&self) -> u8 {
        self.version.load(Ordering::Relaxed)
    }

    /// The same as the writer of replies knows it.
    pub fn version(&self) -> Version {
        if self.protocol() == 3 { Version::Resp3 } else { Version::Resp2 }
    }

    /// How many requests it has queued for EXEC, if MULTI has begun, and how many keys it watches.
    pub fn pending(&self) -> (Option<u64>, u64) {
        let queued = self.queued.load(Ordering::Relaxed);
        (queued.checked_sub(1), self.watched.load(Ordering::Relaxed))
    }

    pub(super) fn set_user(&self, user: &Arc<User>) {
        *self.user.lock() = user.clone();
    }

    pub(super) fn publish_pending(&self, queued: Option<usize>, watched: usize) {
        self.queued.store(queued.map_or(0, |queued| queued as u64 + 1), Ordering::Relaxed);
        self.watched.store(watched as u64, Ordering::Relaxed);
    }

    pub(super) fn publish(&self, database: u8, version: Version) {
        self.database.store(database, Ordering::Relaxed);
        self.version.store(if version == Version::Resp3 { 3 } else { 2 }, Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Default)]
pub struct Registry {
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    next: AtomicU64,
}

impl Registry {
    /// The next connection's number.
    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A connection came.
    pub fn insert(&self, client: Arc<Client>) {
        self.clients.lock().insert(client.id, client);
    }

    /// A connection went.
    pub fn remove(&self, id: u64) {
        self.clients.lock().remove(&id);
    }

    /// The connection of a number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.clients.lock().get(&id).cloned()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.clients.lock().values().cloned().collect()
    }
}
