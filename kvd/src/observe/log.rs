//! The server's own log: lines for people, no keys and no values.

use std::io;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use crate::config::LogLevel;

/// Begins logging, to standard output or to a file that is appended to. `KVD_LOG` may name a finer filter.
pub fn start(level: LogLevel, file: Option<&Path>) -> io::Result<()> {
    let level = match level {
        LogLevel::Debug => "trace",
        LogLevel::Verbose => "debug",
        LogLevel::Notice => "info",
        LogLevel::Warning => "warn",
        LogLevel::Nothing => "off",
    };
    let filter = EnvFilter::try_from_env("KVD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match file {
        Some(path) => {
            #[expect(clippy::disallowed_methods, reason = "the log for people is not a file of the store")]
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            builder.with_ansi(false).with_writer(file).init();
        }
        None => builder.with_ansi(io::IsTerminal::is_terminal(&io::stdout())).init(),
    }
    Ok(())
}
