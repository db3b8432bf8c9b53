//! What can go wrong, by what the caller does about it.

use std::io;

/// Why a store could not be opened, or its background work stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the store open.
    #[error("the store {0} is in use by another process")]
    Locked(String),
    /// The store was written by a newer program.
    #[error("{file} has format version {found}, this program reads up to {known}")]
    NewerFormat {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Bytes that were durable once are not valid now. Never served; nothing is dropped silently.
    #[error("{file} is corrupt at byte {offset}: {what}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// How it was noticed.
        what: &'static str,
    },
    /// A file has the store's name but is not one.
    #[error("{0} is not a kvd store")]
    Foreign(String),
    /// There is nothing with the store's name.
    #[error("there is no store {0} here")]
    Missing(String),
    /// Segments lie there but the manifest does not: taking that for an empty store would lose it.
    #[error("{0} is missing, but segments of a store with this name are there")]
    ManifestMissing(String),
    /// The disk said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a write was not begun. Nothing of it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The disk is full; goes away by itself when there is room.
    NoSpace,
    /// A write or sync failed; only a restart helps.
    ReadOnly,
    /// The disk is behind: the caller waits and asks again.
    Stalled,
    /// More memory than allowed.
    OutOfMemory,
}
