//! The program `kvd`: settings, store, workers, listeners, and a clean end.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, SystemClock};
use engine::disk::{Disk, OsDisk};
use engine::{Background, Error, Lanes, Options, Salvage, Store};
use kvd::config::{self, Loaded, Named, Recover, Start};
use kvd::observe::{log, machine};
use kvd::server::listen::{self, Listeners};
use kvd::server::loading::LateStore;
use kvd::server::mailbox::Message;
use kvd::server::{Server, resident, thread};
use kvd::tools::import::marker;
use kvd::tools::{self, check};
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
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = tools::run(&arguments, std::env::vars_os(), read) {
        return code;
    }
    match config::load(arguments.into_iter(), std::env::vars_os(), read) {
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
    if settings.disable_thp
        && let Err(error) = rustix::thread::disable_transparent_huge_pages(true)
    {
        tracing::warn!("transparent huge pages stay on: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Bound before the store is opened: a port that is taken is said at once.
    let listeners = Listeners::bind(&settings, runtime.handle().clone())?;

    let max_memory = settings.maxmemory.in_bytes(machine::memory_limit_bytes());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let disk = OsDisk::open(&settings.dir)
        .map_err(|error| format!("cannot use the directory {}: {error}", settings.dir.display()))?;
    marker::refuse(&disk, &settings.dbfilename)?;
    let late_store = LateStore::new(&clock)?;
    let options = Options {
        name: settings.dbfilename.clone(),
        mode: settings.appendfsync,
        segment_bytes: resident::segment_bytes(settings.segment_size, max_memory),
        checkpoint_bytes: settings.checkpoint_after,
        limits: settings.value_limits(),
        memory_goal: resident::first_goal(max_memory, settings.spill),
        expected_keys: settings.expected_keys(max_memory),
        expected_value_bytes: settings.value_bytes,
        key_order: settings.key_order,
        lanes: Lanes { count: processors().min(MOST_LANES), threads: true },
        progress: late_store.progress.clone(),
        ..Options::default()
    };
    let recover = settings.recover;
    let workers = match settings.threads {
        0 => processors(),
        threads => threads as usize,
    };
    let server = Server::new(late_store, clock.clone(), settings, listeners, workers, file)?;
    let (fitting, wanted) = (server.max_clients(), server.settings().maxclients as usize);
    if fitting < wanted {
        tracing::warn!("the limit of open files allows {fitting} clients, not {wanted}");
    }
    for index in 0..workers {
        server.workers.lock().push(thread::start(server.clone(), index)?);
    }
    let opening = open_behind(Arc::new(disk), clock, options, recover)?;
    let (mut ends, hangup) = {
        let _registered_with = runtime.enter();
        (Ends::new()?, signal(SignalKind::hangup())?)
    };
    runtime.spawn(reload_at_hangup(server.clone(), hangup));
    let Some(opened) = runtime.block_on(load(&server, opening, &mut ends)) else {
        // Whatever the opening has done so far may be done again, as after a crash.
        server.listeners.remove_socket();
        return Ok(ExitCode::SUCCESS);
    };
    let dir = server.settings().dir.clone();
    let store = opened
        .map_err(|error| format!("cannot open the store in {}: {}", dir.display(), explain(&error)))
        .inspect_err(|_| server.listeners.remove_socket())?;
    server.hear_from(&store);
    let background = Background::start(&store)?;
    server.serve_store(store.clone());
    // A log that failed while it was opened had nobody to tell.
    server.on_log_progress();
    banner(&server, workers);
    let pid_file = server.settings().pidfile.clone();
    if let Some(path) = &pid_file {
        write_pid(path);
    }

    runtime.block_on(serve(&server, &mut ends));
    server.listeners.close();
    server.listeners.remove_socket();
    drop(runtime);
    background.stop();
    store.close();
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

/// Opens the store; one that is corrupt is salvaged first if the settings ask for it.
fn open_store(
    disk: Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    options: Options,
    recover: Recover,
) -> Result<Arc<Store>, Error> {
    match Store::open(disk.clone(), clock.clone(), options.clone()) {
        Err(error @ (Error::Corrupt { .. } | Error::ManifestMissing(_))) if recover == Recover::Salvage => {
            tracing::warn!("{error}: everything else is kept");
            let Salvage { found, aside } = engine::salvage(&disk, clock, &options)?;
            for line in check::describe(&found, &aside) {
                tracing::warn!("{line}");
            }
            Store::open(disk, clock.clone(), options)
        }
        opened => opened,
    }
}

/// Writes the process id for a service manager. As in Redis, a server without the file is better than none.
#[expect(clippy::disallowed_methods, reason = "a process id is not a file of the store")]
fn write_pid(path: &std::path::Path) {
    if let Err(error) = std::fs::write(path, format!("{}\n", std::process::id())) {
        tracing::warn!(%error, "cannot write the pidfile {}", path.display());
    }
}

/// Reads the files of TLS again whenever somebody sends SIGHUP.
async fn reload_at_hangup(server: Arc<Server>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let reloading = server.clone();
        match tokio::task::spawn_blocking(move || reloading.reload_tls()).await {
            Ok(Ok(true)) => tracing::info!("SIGHUP: certificate, key and authorities for TLS were read again"),
            Ok(Ok(false)) => tracing::info!("SIGHUP: there is no port for TLS, nothing is read again"),
            Ok(Err(error)) => tracing::error!("SIGHUP: {error}: what was read before stays in force"),
            Err(error) => tracing::error!(%error, "SIGHUP"),
        }
    }
}

/// Processors this process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Opens the store on a thread of its own.
fn open_behind(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: Options,
    recover: Recover,
) -> std::io::Result<Opening> {
    let (sender, opening) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("opener".into()).spawn(move || {
        // When the process ends meanwhile nobody waits for it.
        let _ = sender.send(open_store(disk, &clock, options, recover));
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
            sampled.store.take_damages().iter().for_each(|damaged| tracing::error!("{damaged}"));
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
    if recovery.kept_segments > 0 {
        tracing::warn!(
            "{} damaged segments are kept: `kvd check` names them, and keys that are lost",
            recovery.kept_segments
        );
    }
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
    tracing::info!("Ready to accept connections");
}

/// An error of opening, with what to do about it.
fn explain(error: &Error) -> String {
    match error {
        Error::Locked(_) => format!("{error}: only one server may use a store at a time"),
        Error::NewerFormat { .. } => format!("{error}: use the newer kvd that wrote it"),
        Error::Foreign(_) => format!("{error}: name another file with --dbfilename, nothing was changed"),
        Error::Missing(_) => error.to_string(),
        Error::ManifestMissing(_) => format!("{error}: nothing was changed; kvd check --repair makes it again"),
        Error::Corrupt { .. } => format!("{error}: nothing was changed; kvd check says what is damaged"),
        Error::Io(_) => error.to_string(),
    }
}
