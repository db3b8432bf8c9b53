//! Everything shared by the workers, and the way from a socket to a command.
//!
//! ```text
//!  listen ─► mailbox ─► thread ─► task: reads ─► execute ─► wait, when the rest of a batch cannot run yet
//!                                  └─► connection: its output ◄─ worker: sends what is safe, at the end of a turn
//! ```

pub mod apart;
pub mod blocked;
pub mod cold;
pub mod connection;
pub mod descriptors;
pub mod disk_reads;
pub mod dismiss;
mod exec;
pub mod execute;
pub mod halt;
pub mod listen;
pub mod listener;
pub mod loading;
mod looks;
pub mod mailbox;
pub mod memory;
pub mod pause;
mod prepare;
pub mod resident;
pub mod rewrite;
pub mod room;
pub mod shutdown;
pub mod socket;
pub mod stopwatch;
mod task;
pub mod thread;
mod unix_socket;
pub mod user_file;
mod wait;
pub mod watch;
pub mod worker;
mod write_out;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::clock::Clock;
use engine::{FsyncMode, Lsn};
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use tokio::sync::Notify;

use self::apart::Apart;
use self::blocked::Blocked;
use self::listen::Listeners;
use self::loading::LateStore;
use self::mailbox::{Mailbox, Message};
use self::memory::ClientMemory;
use self::pause::ClientPause;
use self::resident::Governor;
use self::watch::Watches;
use self::write_out::LargeWrites;
use crate::acl::Users;
use crate::commands::After;
use crate::config::{ChannelDefault, SetError, Settings};
use crate::observe::latency::Latency;
use crate::observe::slow_log::SlowLog;
use crate::observe::stats::Stats;
use crate::observe::{log, machine};
use crate::pubsub::notify::{self, Events};
use crate::pubsub::{Hub, Kind};
use crate::session::output::Bounds;
use crate::session::registry::{Client, Registry};
use crate::tls::{Tls, TlsError};

/// What all workers share.
pub struct Server {
    /// The keys and values.
    pub store: LateStore,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Settings in force; replaced as a whole.
    pub settings: RwLock<Arc<Settings>>,
    /// Settings that are read for every request or connection, taken out of [`Server::settings`] when they change.
    pub hot: Hot,
    /// All connections.
    pub registry: Registry,
    /// Who they may be.
    pub users: Users,
    /// Counters.
    pub stats: Stats,
    /// Where the configuration file is, if there was one.
    pub config_file: Option<PathBuf>,
    /// Forty hexadecimal digits, new for each start.
    pub run_id: String,
    /// The name of this server's history: `run_id` until DEBUG gives it another.
    pub history_id: RwLock<String>,
    /// Monotonic milliseconds at start.
    pub started_ms: u64,
    /// Seconds since the epoch of the last SAVE.
    pub last_save: AtomicI64,
    /// Frames of the log that there were then.
    pub saved_frames: AtomicU64,
    /// Asks the main thread to end the process.
    pub stop: shutdown::Trigger,
    /// Where connections come from.
    pub listeners: Listeners,
    /// How connections on `tls-port` are encrypted.
    pub tls: Tls,
    /// The workers' mailboxes.
    pub workers: Mutex<Vec<Mailbox>>,
    /// Wakes whoever waits for durability.
    pub progress: Notify,
    /// Connections that the file descriptors allow.
    pub fitting_clients: AtomicUsize,
    /// What connections hold.
    pub client_memory: ClientMemory,
    /// Values that are being read back from the log.
    pub cold_reads: cold::UnderWay,
    /// Workers whose reads of such values are done by io_uring.
    pub rings: AtomicUsize,
    /// What was seen of the memory that the process holds.
    pub governor: Governor,
    /// Who listens to what.
    pub pubsub: Hub,
    /// Who watches what.
    pub watches: Watches,
    /// Who waits for what.
    pub blocked: Blocked,
    /// What takes long.
    pub apart: Apart,
    /// What is large in the log.
    pub large_writes: LargeWrites,
    /// Whether clients have to wait.
    pub pause: ClientPause,
    /// Requests that took long.
    pub slow_log: SlowLog,
    /// When requests took long.
    pub latency: Latency,
}

/// Settings as the hot path reads them.
#[derive(Default)]
pub struct Hot {
    /// `maxmemory` in bytes.
    pub max_memory: AtomicU64,
    /// `maxmemory-clients` in bytes.
    pub max_client_bytes: AtomicU64,
    /// `client-output-buffer-limit` of the class `normal`.
    pub output_normal: HotOutputLimit,
    /// The same of the class `pubsub`.
    pub output_pubsub: HotOutputLimit,
    /// `notify-keyspace-events` as the bits of [`Events`]; 0 when nothing would be published.
    pub events: AtomicU32,
    /// Microseconds from which a request is slow for SLOWLOG or LATENCY; [`stopwatch::OFF`] for never.
    pub slow_us: AtomicU64,
    /// `latency-tracking`.
    pub tracks_latency: AtomicBool,
    /// `proto-max-bulk-len`.
    pub max_bulk_bytes: AtomicU64,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: AtomicU64,
    /// `max-arguments`.
    pub max_arguments: AtomicU64,
    /// `client-query-buffer-limit`.
    pub max_request_bytes: AtomicU64,
    /// Seconds, 0 for ever.
    pub timeout_seconds: AtomicU64,
    /// `request-timeout` in milliseconds, 0 for ever.
    pub request_ms: AtomicU64,
    /// `databases`.
    pub databases: AtomicU64,
}

/// A class of `client-output-buffer-limit`.
#[derive(Default)]
pub struct HotOutputLimit {
    /// Its hard limit, 0 for none.
    pub hard_bytes: AtomicU64,
    /// Its soft limit, 0 for none, and the milliseconds a client may be above it.
    pub soft_bytes: AtomicU64,
    /// See `soft_bytes`.
    pub soft_ms: AtomicU64,
}

impl Server {
    /// A server over a store that comes later, with [`Server::serve_store`]. Its workers are started by the caller.
    pub fn new(
        store: LateStore,
        clock: Arc<dyn Clock>,
        settings: Settings,
        listeners: Listeners,
        workers: usize,
        config_file: Option<PathBuf>,
    ) -> io::Result<Arc<Server>> {
        let digits = engine::random::secret()?.into_iter().chain(engine::random::secret()?).take(20);
        let run_id: String = digits.map(|byte| format!("{byte:02x}")).collect();
        let hot = Hot::default();
        hot.set(&settings);
        let users = user_file::users(&settings).map_err(io::Error::other)?;
        let fitting_clients = descriptors::raise_limit(settings.maxclients as usize);
        let tls = Tls::new(&settings, clock.clone())?;
        Ok(Arc::new(Server {
            started_ms: clock.monotonic_ms(),
            last_save: AtomicI64::new((clock.wall_ms() / 1000) as i64),
            saved_frames: AtomicU64::default(),
            clock,
            settings: RwLock::new(Arc::new(settings)),
            hot,
            registry: Registry::default(),
            users,
            stats: Stats::new(workers),
            config_file,
            history_id: RwLock::new(run_id.clone()),
            run_id,
            stop: shutdown::Trigger::default(),
            listeners,
            tls,
            workers: Mutex::default(),
            progress: Notify::new(),
            fitting_clients: AtomicUsize::new(fitting_clients),
            client_memory: ClientMemory::default(),
            governor: Governor::default(),
            cold_reads: cold::UnderWay::default(),
            rings: AtomicUsize::default(),
            pubsub: Hub::new(workers),
            watches: Watches::default(),
            blocked: Blocked::default(),
            apart: Apart::default(),
            large_writes: LargeWrites::default(),
            pause: ClientPause::default(),
            slow_log: SlowLog::default(),
            latency: Latency::default(),
            store,
        }))
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Monotonic milliseconds.
    pub fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    /// Frames of the log since the last SAVE.
    pub fn changes_since_save(&self) -> u64 {
        let frames = self.store.log().counters().frames.load(Ordering::Relaxed);
        frames.saturating_sub(self.saved_frames.load(Ordering::Relaxed))
    }

    /// How much may wait to be sent to one client now.
    #[inline]
    pub fn output_bounds(&self, client: &Client) -> Bounds {
        let limit = self.hot.output_limit(client.is_subscriber());
        self.reply_bounds(client, limit.hard_bytes.load(Ordering::Relaxed) as usize)
    }

    /// Publishes a message that nobody may see before the log is safe up to `lsn` (0: at once). How many times it is
    /// delivered: once for each subscription that it fits.
    #[inline]
    pub fn publish(&self, channel: Bytes, payload: Bytes, lsn: Lsn) -> usize {
        self.pubsub.publish(Kind::Channel, channel, payload, lsn)
    }

    /// Whether events of a class are published at all. [`Server::notify`] asks the same.
    #[inline]
    pub fn notifies(&self, class: Events) -> bool {
        Events::from_bits(self.hot.events.load(Ordering::Relaxed)).contains(class)
    }

    /// Publishes that something happened to a key, if events of this class are turned on and somebody listens. Nobody
    /// learns of it before the log is safe up to `lsn`: what [`engine::Transaction::commit`] has returned.
    #[inline]
    pub fn notify(&self, class: Events, event: &str, database: u8, key: &[u8], lsn: Lsn) {
        let turned_on = Events::from_bits(self.hot.events.load(Ordering::Relaxed));
        if turned_on.contains(class) && !self.pubsub.is_silent() {
            notify::publish(&self.pubsub, turned_on, event, database, key, lsn);
        }
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
        let tls_changes = changed.iter().find(|name| name.starts_with("tls-"));
        let _tls_changing = tls_changes.map(|_| self.tls.changing());
        // Before the port is open, or its first clients would find none.
        let tls_before = tls_changes.map(|name| self.change_tls(name, &settings)).transpose()?;
        if let Some(name) = ["port", "bind", "tls-port"].into_iter().find(|name| changed.contains(name)) {
            self.listeners.change(&settings, &self.settings()).map_err(|error| {
                tracing::warn!("{error}");
                if let Some(before) = tls_before {
                    self.tls.replace(before);
                }
                SetError::cannot_listen(name)
            })?;
        }
        if changed.contains(&"requirepass") {
            self.users.set_default_password(settings.requirepass.expose());
        }
        self.users.set_channel_default(settings.acl_pubsub_default == ChannelDefault::All);
        let mut in_force = self.settings.write();
        self.hot.set(&settings);
        self.store.set_spills(settings.spill);
        self.store.set_compaction_rate(settings.compaction_rate);
        self.govern_memory();
        self.store.attention().set_events(self.hot.events.load(Ordering::Relaxed) != 0);
        if changed.contains(&"loglevel") {
            log::set_level(settings.loglevel);
        }
        self.store.set_limits(settings.value_limits());
        self.store.set_eviction(&settings.eviction());
        let mode = settings.appendfsync;
        *in_force = Arc::new(settings);
        self.bound_client_memory();
        let log = self.store.log();
        if changed.contains(&"appendfsync") && mode != log.mode() {
            log.set_mode(mode);
            if mode == FsyncMode::Always {
                return Ok(After::Durable(log.appended()));
            }
        }
        Ok(After::Reply)
    }

    /// Puts a new TLS configuration in force, made for the sake of this setting; the one before.
    fn change_tls(&self, name: &str, settings: &Settings) -> Result<Option<Arc<ServerConfig>>, SetError> {
        let prepared = self.tls.prepare(settings).map_err(|error| {
            tracing::warn!("{error}");
            SetError::cannot_configure_tls(name)
        });
        Ok(self.tls.replace(prepared?))
    }

    /// Reads the files of TLS again, for handshakes to come. Whether there were any to be read. After an error those that
    /// were read before stay in force.
    pub fn reload_tls(&self) -> Result<bool, TlsError> {
        let _changing = self.tls.changing();
        let prepared = self.tls.prepare(&self.settings())?;
        let is_on = prepared.is_some();
        self.tls.replace(prepared);
        Ok(is_on)
    }

    /// Whether clients from elsewhere are refused.
    pub fn is_protected(&self) -> bool {
        let settings = self.settings.read();
        settings.protected_mode && self.users.default_user().needs_no_password()
    }

    /// Has a connection closed by its worker.
    pub fn kill(&self, client: &Client) {
        client.killed.store(true, Ordering::Relaxed);
        // Nobody finds it from here on.
        self.registry.remove(client.id);
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
    /// The limit of a client's class.
    #[inline]
    pub fn output_limit(&self, is_subscriber: bool) -> &HotOutputLimit {
        if is_subscriber { &self.output_pubsub } else { &self.output_normal }
    }

    /// Takes out of the settings what is read often.
    pub fn set(&self, settings: &Settings) {
        let set = |cell: &AtomicU64, value: u64| cell.store(value, Ordering::Relaxed);
        let machine_bytes = machine::memory_limit_bytes();
        let max_memory = settings.maxmemory.in_bytes(machine_bytes);
        set(&self.max_memory, max_memory);
        set(&self.max_client_bytes, memory::limit_in_bytes(settings.maxmemory_clients, max_memory, machine_bytes));
        let limits = settings.client_output_buffer_limit;
        for (cells, limit) in [(&self.output_normal, limits.normal), (&self.output_pubsub, limits.pubsub)] {
            set(&cells.hard_bytes, limit.hard_bytes);
            set(&cells.soft_bytes, limit.soft_bytes);
            set(&cells.soft_ms, limit.soft_seconds.saturating_mul(1000));
        }
        let slow_us = u64::try_from(settings.slowlog_log_slower_than).unwrap_or(stopwatch::OFF);
        let latency_us = match settings.latency_monitor_threshold {
            0 => stopwatch::OFF,
            limit_ms => limit_ms.saturating_mul(1000),
        };
        // Who tracks latencies measures, although nothing is ever slow.
        let most_us = if settings.latency_tracking { stopwatch::OFF - 1 } else { stopwatch::OFF };
        set(&self.slow_us, slow_us.min(latency_us).min(most_us));
        self.tracks_latency.store(settings.latency_tracking, Ordering::Relaxed);
        let events = Events::parse(&settings.notify_keyspace_events).unwrap_or_default();
        let published = events.contains(Events::KEYSPACE) || events.contains(Events::KEYEVENT);
        self.events.store(if published { events.bits() } else { 0 }, Ordering::Relaxed);
        set(&self.max_bulk_bytes, settings.proto_max_bulk_len);
        set(&self.hll_sparse_max_bytes, settings.hll_sparse_max_bytes);
        set(&self.max_arguments, settings.max_arguments);
        set(&self.max_request_bytes, settings.client_query_buffer_limit.min(1 << 30));
        set(&self.timeout_seconds, settings.timeout);
        set(&self.request_ms, settings.request_timeout.saturating_mul(1000));
        set(&self.databases, u64::from(settings.databases));
    }
}
