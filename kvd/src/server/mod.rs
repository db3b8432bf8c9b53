//! Everything shared by the workers, and the way from a socket to a command.
//!
//! ```text
//!  listen ─► mailbox ─► thread ─► task: reads ─► execute ─► wait, when the rest of a batch cannot run yet
//!                                  └─► connection: its output ◄─ worker: sends what is safe, at the end of a turn
//! ```

pub mod connection;
pub mod descriptors;
pub mod execute;
pub mod listen;
pub mod mailbox;
pub mod memory;
pub mod shutdown;
pub mod socket;
mod task;
pub mod thread;
mod wait;
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use engine::clock::Clock;
use engine::{FsyncMode, Lsn, Store};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use self::listen::Listeners;
use self::mailbox::{Mailbox, Message};
use self::memory::ClientMemory;
use crate::commands::After;
use crate::config::{SetError, Settings};
use crate::observe::stats::Stats;
use crate::observe::{log, machine};
use crate::session::output::Bounds;
use crate::session::registry::{Client, Registry};

/// What all workers share.
pub struct Server {
    /// The keys and values.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Settings in force; replaced as a whole.
    pub settings: RwLock<Arc<Settings>>,
    /// Settings that are read for every request or connection, taken out of [`Server::settings`] when they change.
    pub hot: Hot,
    /// All connections.
    pub registry: Registry,
    /// Counters.
    pub stats: Stats,
    /// Where the configuration file is, if there was one.
    pub config_file: Option<PathBuf>,
    /// Forty hexadecimal digits, new for each start.
    pub run_id: String,
    /// Monotonic milliseconds at start.
    pub started_ms: u64,
    /// Seconds since the epoch of the last SAVE.
    pub last_save: AtomicI64,
    /// Asks the main thread to end the process.
    pub stop: shutdown::Trigger,
    /// Where connections come from.
    pub listeners: Listeners,
    /// The workers' mailboxes.
    pub workers: Mutex<Vec<Mailbox>>,
    /// Wakes whoever waits for durability.
    pub progress: Notify,
    /// Connections that the file descriptors allow.
    pub fitting_clients: AtomicUsize,
    /// What connections hold.
    pub client_memory: ClientMemory,
}

/// Settings as the hot path reads them.
#[derive(Default)]
pub struct Hot {
    /// Bytes of memory in force, 0 for no limit.
    pub max_memory: AtomicU64,
    /// Whether a password is needed.
    pub password: AtomicBool,
    /// `maxmemory-clients` in bytes.
    pub max_client_bytes: AtomicU64,
    /// `client-output-buffer-limit` of the class `normal`, its hard limit; 0 for none.
    pub output_hard_bytes: AtomicU64,
    /// Its soft limit, 0 for none, and the milliseconds a client may be above it.
    pub output_soft_bytes: AtomicU64,
    /// See `output_soft_bytes`.
    pub output_soft_ms: AtomicU64,
    /// `proto-max-bulk-len`.
    pub max_bulk_bytes: AtomicU64,
    /// `max-arguments`.
    pub max_arguments: AtomicU64,
    /// `client-query-buffer-limit`.
    pub max_request_bytes: AtomicU64,
    /// Seconds, 0 for ever.
    pub timeout_seconds: AtomicU64,
    /// `databases`.
    pub databases: AtomicU64,
}

impl Server {
    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Monotonic milliseconds.
    pub fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    /// Whether memory is full for commands that need more, of which so many bytes are known.
    #[inline]
    pub fn is_out_of_memory(&self, growth: u64) -> bool {
        let limit = self.hot.max_memory.load(Ordering::Relaxed);
        limit != 0 && self.store.memory() + growth > limit
    }

    /// How much may wait to be sent to one client now.
    #[inline]
    pub fn output_bounds(&self) -> Bounds {
        let bytes = |cell: &AtomicU64| cell.load(Ordering::Relaxed) as usize;
        self.client_memory.bounds(bytes(&self.hot.max_client_bytes), bytes(&self.hot.output_hard_bytes))
    }

    /// Puts new settings in force. What must be safe before the change may be answered, or why nothing was changed.
    pub fn apply(&self, settings: Settings, changed: &[&'static str]) -> Result<After, SetError> {
        // What can fail comes first, and what cannot be taken back last of it.
        if changed.contains(&"maxclients") {
            let wanted = settings.maxclients as usize;
            let fitting = descriptors::raise_limit(wanted);
            if fitting < wanted {
                return Err(SetError::too_many_clients(fitting));
            }
            self.fitting_clients.fetch_max(fitting, Ordering::Relaxed);
        }
        if changed.contains(&"port") {
            self.listeners.change_port(&settings).map_err(|error| {
                tracing::warn!("{error}");
                SetError::cannot_listen()
            })?;
        }
        self.hot.set(&settings);
        if changed.contains(&"loglevel") {
            log::set_level(settings.loglevel);
        }
        let mode = settings.appendfsync;
        *self.settings.write() = Arc::new(settings);
        let log = self.store.log();
        if changed.contains(&"appendfsync") && mode != log.mode() {
            log.set_mode(mode);
            if mode == FsyncMode::Always {
                return Ok(After::Durable(log.appended()));
            }
        }
        Ok(After::Reply)
    }

    /// Has a connection closed by its worker.
    pub fn kill(&self, client: &Client) {
        client.killed.store(true, Ordering::Relaxed);
        if let Some(worker) = self.workers.lock().get(client.worker) {
            worker.send(Message::Kill(client.id));
        }
    }

    /// Drops something large on a thread of its own.
    pub fn drop_behind(&self, garbage: impl Send + 'static) {
        let garbage = Box::new(garbage);
        let spawned = std::thread::Builder::new().name("dropper".into()).spawn(move || drop(garbage));
        if let Err(error) = spawned {
            // The closure, and what it holds, was dropped here.
            tracing::debug!(%error, "no thread for freeing memory");
        }
    }

    /// Waits until the log is durable up to a position; whether it is.
    pub async fn wait_durable(&self, lsn: Lsn, limit: Option<Duration>) -> bool {
        let log = self.store.log();
        let reached = async {
            loop {
                let progress = self.progress.notified();
                if log.durable() >= lsn {
                    return true;
                }
                if log.is_read_only() {
                    return false;
                }
                log.want_sync(lsn);
                progress.await;
            }
        };
        match limit {
            None => reached.await,
            Some(limit) => tokio::time::timeout(limit, reached).await.unwrap_or(false),
        }
    }

    /// The log has moved or failed: called by the flusher.
    pub fn on_log_progress(&self) {
        self.progress.notify_waiters();
        for worker in self.workers.lock().iter() {
            worker.progress();
        }
        if self.store.log().is_read_only() && self.store.log().mode() == FsyncMode::Always {
            // Nothing can be acknowledged any more, in no way. The exit status will say so.
            self.stop.pull();
        }
    }

    /// How many connections are served at most: the setting, less what the file descriptors allow.
    pub fn max_clients(&self) -> usize {
        (self.settings.read().maxclients as usize).min(self.fitting_clients.load(Ordering::Relaxed))
    }
}

impl Hot {
    /// Takes out of the settings what is read often.
    pub fn set(&self, settings: &Settings) {
        let set = |cell: &AtomicU64, value: u64| cell.store(value, Ordering::Relaxed);
        let machine_bytes = machine::memory_limit_bytes();
        let max_memory = settings.maxmemory.in_bytes(machine_bytes);
        set(&self.max_memory, max_memory);
        set(&self.max_client_bytes, memory::limit_in_bytes(settings.maxmemory_clients, max_memory, machine_bytes));
        let output = settings.client_output_buffer_limit.normal;
        set(&self.output_hard_bytes, output.hard_bytes);
        set(&self.output_soft_bytes, output.soft_bytes);
        set(&self.output_soft_ms, output.soft_seconds.saturating_mul(1000));
        set(&self.max_bulk_bytes, settings.proto_max_bulk_len);
        set(&self.max_arguments, settings.max_arguments);
        set(&self.max_request_bytes, settings.client_query_buffer_limit.min(1 << 30));
        set(&self.timeout_seconds, settings.timeout);
        set(&self.databases, u64::from(settings.databases));
        self.password.store(!settings.requirepass.is_empty(), Ordering::Relaxed);
    }
}
