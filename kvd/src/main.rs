//! The program `kvd`: settings, store, workers, listeners, and a clean end.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use engine::clock::{Clock, SystemClock};
use engine::disk::OsDisk;
use engine::{Background, Error, Lanes, Options, Store};
use kvd::config::{self, Loaded, Named, Start};
use kvd::observe::log;
use kvd::observe::stats::Stats;
use kvd::pubsub::Hub;
use kvd::server::descriptors;
use kvd::server::listen::{self, Listeners};
use kvd::server::listener::Ears;
use kvd::server::loading::LateStore;
use kvd::server::mailbox::Message;
use kvd::server::thread;
use kvd::server::{Hot, Server};
use parking_lot::{Mutex, RwLock};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often INFO's rates take a sample.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Threads that replay the log at most: one that reads it feeds no more.
const MOST_LANES: usize = 8;
/// How long clients wait unanswered for a store that is being opened. Small ones are open by then.
const TELL_LOADING_AFTER: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let read = |path: &std::path::Path| match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).map(String::into_bytes),
        _ => std::fs::read(path),
    };
    match config::load(std::env::args_os().skip(1), std::env::vars_os(), read) {
        Ok(Start::Version) => {
            println!("kvd {} (Redis 7.4.0 compatible)", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Start::Help(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Start::Run(loaded)) => match run(*loaded) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("kvd: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(loaded: Loaded) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Loaded { settings, warnings, file } = loaded;
    log::start(settings.loglevel, settings.logfile.as_deref())?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let fitting_clients = descriptors::raise_limit(settings.maxclients as usize);
    if fitting_clients < settings.maxclients as usize {
        tracing::warn!("the limit of open files allows {fitting_clients} clients, not {}", settings.maxclients);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Bound before the store is opened: a port that is taken is said at once.
    let listeners = Listeners::bind(&settings, runtime.handle().clone())?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let disk = OsDisk::open(&settings.dir)
        .map_err(|error| format!("cannot use the directory {}: {error}", settings.dir.display()))?;
    let late_store = LateStore::new(&clock)?;
    let hot = Hot::default();
    hot.set(&settings);
    let options = Options {
        name: settings.dbfilename.clone(),
        mode: settings.appendfsync,
        segment_bytes: settings.segment_size,
        checkpoint_bytes: settings.checkpoint_after,
        limits: settings.value_limits(),
        memory_goal: hot.memory_to_load(),
        lanes: Lanes { count: processors().min(MOST_LANES), threads: true },
        progress: late_store.progress.clone(),
        ..Options::default()
    };
    let workers = match settings.threads {
        0 => processors(),
        threads => threads as usize,
    };
    let run_id: String = engine::random::secret()?
        .iter()
        .chain(&engine::random::secret()?)
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let server = Arc::new(Server {
        store: late_store,
        started_ms: clock.monotonic_ms(),
        last_save: AtomicI64::new((clock.wall_ms() / 1000) as i64),
        saved_frames: Default::default(),
        clock: clock.clone(),
        settings: RwLock::new(Arc::new(settings)),
        hot,
        registry: Default::default(),
        stats: Stats::new(workers),
        config_file: file,
        history_id: RwLock::new(run_id.clone()),
        run_id,
        stop: Default::default(),
        listeners,
        workers: Mutex::default(),
        progress: Default::default(),
        fitting_clients: AtomicUsize::new(fitting_clients),
        client_memory: Default::default(),
        governor: Default::default(),
        cold_reads: Default::default(),
        pubsub: Hub::new(workers),
        watches: Default::default(),
        blocked: Default::default(),
        pause: Default::default(),
        slow_log: Default::default(),
        latency: Default::default(),
    });
    for index in 0..workers {
        server.workers.lock().push(thread::start(server.clone(), index)?);
    }
    let opening = open_behind(Arc::new(disk), clock, options)?;
    let mut ends = {
        let _registered_with = runtime.enter();
        Ends::new()?
    };
    let Some(opened) = runtime.block_on(load(&server, opening, &mut ends)) else {
        // Whatever the opening has done so far may be done again, as after a crash.
        remove_socket(&server);
        return Ok(ExitCode::SUCCESS);
    };
    let dir = server.settings().dir.clone();
    let store = opened
        .map_err(|error| format!("cannot open the store in {}: {}", dir.display(), explain(&error)))
        .inspect_err(|_| remove_socket(&server))?;
    store.set_listener(Arc::new(Ears(Arc::downgrade(&server))));
    let watched = server.clone();
    store.log().on_progress(Box::new(move || watched.on_log_progress()));
    let background = Background::start(&store)?;
    server.serve_store(store.clone());
    server.govern_memory();
    banner(&server, workers);
    let pid_file = server.settings().pidfile.clone();
    if let Some(path) = &pid_file {
        write_pid(path);
    }

    runtime.block_on(serve(&server, &mut ends));
    server.listeners.close();
    drop(runtime);
    background.stop();
    store.close();
    remove_socket(&server);
    if let Some(path) = &pid_file {
        #[expect(clippy::disallowed_methods, reason = "a process id is not a file of the store")]
        let _ = std::fs::remove_file(path);
    }
    if store.log().is_read_only() {
        tracing::error!("the log failed: what was not acknowledged may be missing after a restart");
        return Ok(ExitCode::FAILURE);
    }
    tracing::info!("everything is durable, bye bye");
    Ok(ExitCode::SUCCESS)
}

/// Writes the process id for a service manager. As in Redis, a server without the file is better than none.
#[expect(clippy::disallowed_methods, reason = "a process id is not a file of the store")]
fn write_pid(path: &std::path::Path) {
    if let Err(error) = std::fs::write(path, format!("{}\n", std::process::id())) {
        tracing::warn!(%error, "cannot write the pidfile {}", path.display());
    }
}

/// Removes the unix socket, so that nobody takes it for one that is listened on.
fn remove_socket(server: &Server) {
    if let Some(path) = &server.settings().unixsocket {
        #[expect(clippy::disallowed_methods, reason = "a socket is not a file of the store")]
        let _ = std::fs::remove_file(path);
    }
}

/// Processors this process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Opens the store on a thread of its own.
fn open_behind(disk: Arc<OsDisk>, clock: Arc<dyn Clock>, options: Options) -> std::io::Result<Opening> {
    let (sender, opening) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("opener".into()).spawn(move || {
        // When the process ends meanwhile nobody waits for it.
        let _ = sender.send(Store::open(disk, clock, options));
    })?;
    Ok(opening)
}

/// What becomes of an opening.
type Opening = tokio::sync::oneshot::Receiver<Result<Arc<Store>, Error>>;

/// Who may ask for the end of the process from outside.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Ends> {
        Ok(Ends { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits until somebody does.
    async fn asked(&mut self, server: &Server) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("SIGTERM: shutting down"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: shutting down"),
            () = server.stop.pulled() => tracing::info!("shutting down"),
        }
    }
}

/// Waits until the store is open, or nothing when the process is to end before. Clients are answered meanwhile, unless it
/// is a matter of moments: then they find it open.
async fn load(server: &Arc<Server>, opening: Opening, ends: &mut Ends) -> Option<Result<Arc<Store>, Error>> {
    let gone = |_| Err(Error::Io(std::io::Error::other("the thread that opens the store has ended")));
    let opened = async {
        tokio::pin!(opening);
        let early = tokio::time::timeout(TELL_LOADING_AFTER, &mut opening).await;
        listen::serve(server);
        match early {
            Ok(opened) => opened,
            Err(_) => {
                tracing::info!("loading the store; until it is open, commands that need it are refused");
                opening.await
            }
        }
        .unwrap_or_else(gone)
    };
    tokio::select! {
        opened = opened => Some(opened),
        () = ends.asked(server) => None,
    }
}

/// Serves until someone asks for the end, then drains.
async fn serve(server: &Arc<Server>, ends: &mut Ends) {
    let sampled = server.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SAMPLE_EVERY);
        loop {
            ticks.tick().await;
            let now_ms = sampled.monotonic_ms();
            sampled.stats.note_expire_lag(sampled.store.take_expire_lag_ms(), now_ms);
            sampled.stats.tick(now_ms, sampled.store.memory());
            sampled.govern_memory();
        }
    });
    ends.asked(server).await;
    let (done, mut drained) = tokio::sync::mpsc::channel(1);
    for mailbox in server.workers.lock().iter() {
        mailbox.send(Message::Drain(done.clone()));
    }
    drop(done);
    let limit = Duration::from_secs(server.settings().shutdown_timeout.max(1));
    // Nothing is sent: the channel closes when the last worker has dropped its end.
    if tokio::time::timeout(limit, drained.recv()).await.is_err() {
        tracing::warn!("some replies could not be sent in time");
    }
}

fn banner(server: &Server, workers: usize) {
    let settings = server.settings();
    let recovery = server.store.recovery();
    let found = if recovery.created {
        "a new store".to_owned()
    } else {
        format!(
            "{} records from {} segments ({} bytes) in {} ms, {} bytes of a torn tail dropped",
            recovery.records,
            recovery.segments,
            recovery.log_bytes,
            recovery.took_us / 1000,
            recovery.dropped_bytes,
        )
    };
    for refused in &recovery.refused_checkpoints {
        tracing::warn!("a restart from the log took longer than it had to: {refused}");
    }
    if let Some(number) = recovery.checkpoint {
        tracing::info!(
            "checkpoint {number} spared reading the log before it; {} values are in the log only",
            server.store.cold_keys()
        );
    }
    let mut addresses = server.listeners.addresses();
    addresses.extend(settings.unixsocket.as_ref().map(|path| path.display().to_string()));
    tracing::info!("kvd {} (Redis 7.4.0 compatible), process {}", env!("CARGO_PKG_VERSION"), std::process::id());
    tracing::info!("listening on {}, {workers} worker threads", addresses.join(", "));
    let path = settings.dir.join(&settings.dbfilename);
    tracing::info!("store {}, appendfsync {}", path.display(), settings.appendfsync.name());
    tracing::info!("recovered {found}");
    tracing::info!("ready to accept connections");
}

/// An error of opening, with what to do about it.
fn explain(error: &Error) -> String {
    match error {
        Error::Locked(_) => format!("{error}: only one server may use a store at a time"),
        Error::NewerFormat { .. } => format!("{error}: use the newer kvd that wrote it"),
        Error::Foreign(_) => format!("{error}: name another file with --dbfilename, nothing was changed"),
        Error::ManifestMissing(_) => format!("{error}: nothing was changed"),
        Error::Corrupt { .. } => format!("{error}: nothing was changed"),
        Error::Io(_) => error.to_string(),
    }
}
