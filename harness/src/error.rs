//! What can go wrong with the harness itself. A fault of the server is a `Violation`, never one of these.

use std::path::PathBuf;

/// The harness could not do its work: exit code 3, no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program under test could not be built.
    #[error("cannot build kvd: {0}")]
    Build(String),
    /// The program under test is not there.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program ended, or did not answer, before it served.
    #[error("the server did not start: {reason}; its output ends: {output}")]
    Start {
        /// Exit status or "no answer".
        reason: String,
        /// The last lines it wrote.
        output: String,
    },
    /// A connection broke where no fault was planned.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// The server answered something that is not RESP.
    #[error("reply: {0}")]
    Reply(String),
    /// A file of the harness's own.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Wrong arguments or a state file that cannot be read.
    #[error("{0}")]
    Usage(String),
}

/// The harness's result.
pub type Result<T> = std::result::Result<T, Failure>;
