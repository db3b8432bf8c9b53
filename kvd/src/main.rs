//! The program `kvd`: settings, store, workers, listeners, and a clean end.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, SystemClock};
use engine::disk::{Disk, OsDisk};
use engine::{Background, Error, Options, Salvage, Store};
use kvd::config::{self, Loaded, Named, Recover, Start};
use kvd::observe::{log, machine};
use kvd::server::Server;
use kvd::server::listen::{self, Listeners};
use kvd::server::mailbox::Message;
use kvd::server::thread;
use kvd::tools::import::marker;
use kvd::tools::{self, check};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often INFO's rates take a sample.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Bound before the store is opened: a port that is taken is said at once.
    let listeners = Listeners::bind(&settings, runtime.handle().clone())?;

    let max_memory = settings.maxmemory.in_bytes(machine::memory_limit_bytes());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let disk = OsDisk::open(&settings.dir)
        .map_err(|error| format!("cannot use the directory {}: {error}", settings.dir.display()))?;
    marker::refuse(&disk, &settings.dbfilename)?;
    let options = Options {
        name: settings.dbfilename.clone(),
        mode: settings.appendfsync,
        segment_bytes: settings.segment_size,
        limits: settings.value_limits(),
        expected_keys: settings.expected_keys(max_memory),
        expected_value_bytes: settings.value_bytes,
        key_order: settings.key_order,
        ..Options::default()
    };
    let store = open_store(Arc::new(disk), &clock, options, settings.recover)
        .map_err(|error| format!("cannot open the store in {}: {}", settings.dir.display(), explain(&error)))?;
    let background = Background::start(&store)?;

    let workers = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    };
    let server = Server::new(store.clone(), clock, settings, listeners, workers, file)?;
    let (fitting, wanted) = (server.max_clients(), server.settings().maxclients as usize);
    if fitting < wanted {
        tracing::warn!("the limit of open files allows {fitting} clients, not {wanted}");
    }
    for index in 0..workers {
        server.workers.lock().push(thread::start(server.clone(), index)?);
    }
    banner(&server, workers);
    let pid_file = server.settings().pidfile.clone();
    if let Some(path) = &pid_file {
        write_pid(path);
    }

    runtime.block_on(serve(&server))?;
    server.listeners.close();
    drop(runtime);
    background.stop();
    store.close();
    for path in server.settings().unixsocket.iter().chain(&pid_file) {
        #[expect(clippy::disallowed_methods, reason = "neither a socket nor a process id is a file of the store")]
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

/// Accepts and serves until someone asks for the end, then drains.
async fn serve(server: &Arc<Server>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    listen::serve(server);
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
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: shutting down"),
        _ = interrupt.recv() => tracing::info!("SIGINT: shutting down"),
        () = server.stop.pulled() => tracing::info!("shutting down"),
    }
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
    Ok(())
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
        Error::Missing(_) => error.to_string(),
        Error::ManifestMissing(_) => format!("{error}: nothing was changed; kvd check --repair makes it again"),
        Error::Corrupt { .. } => format!("{error}: nothing was changed; kvd check says what is damaged"),
        Error::Io(_) => error.to_string(),
    }
}
