//! The server's own log: lines for people, no keys and no values.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::LogLevel;

/// Puts another filter in the place of the one in force.
static RELOAD: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Begins logging, to standard output or to a file that is appended to. `KVD_LOG` may name a finer filter.
pub fn start(level: LogLevel, file: Option<&Path>) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("KVD_LOG").unwrap_or_else(|_| filter(level));
    let writer = match file {
        Some(path) => {
            #[expect(clippy::disallowed_methods, reason = "the log for people is not a file of the store")]
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            BoxMakeWriter::new(file)
        }
        None => BoxMakeWriter::new(io::stdout),
    };
    let colours = file.is_none() && io::IsTerminal::is_terminal(&io::stdout());
    let builder = tracing_subscriber::fmt().with_writer(writer).with_ansi(colours).with_target(false);
    let builder = builder.with_env_filter(filter).with_filter_reloading();
    let handle = builder.reload_handle();
    // An error would say that the subscriber is gone: there is one for the whole life of the process.
    let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
    builder.init();
    Ok(())
}

/// From now on messages of this level and above are logged.
pub fn set_level(level: LogLevel) {
    if let Some(reload) = RELOAD.get() {
        reload(filter(level));
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Debug => "trace",
        LogLevel::Verbose => "debug",
        LogLevel::Notice => "info",
        LogLevel::Warning => "warn",
        LogLevel::Nothing => "off",
    })
}
