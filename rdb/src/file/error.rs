//! Why a file could not be read to its end: what is wrong, where, and at which key.

use std::{fmt, io};

use crate::Error;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It ends where more must follow.
    #[error("the file ends too early: it is cut off, or was not written to its end")]
    Truncated,
    /// It does not begin as an RDB file does.
    #[error("this is no RDB file")]
    Foreign,
    /// It is of a version that is not read.
    #[error("RDB version {0} is not supported: versions {oldest} to {newest} are", oldest = super::VERSIONS.start(),
        newest = super::VERSIONS.end())]
    Version(u32),
    /// Its bytes are not those that were written.
    #[error("the checksum at the end does not hold: the file is damaged")]
    Checksum,
    /// The bytes of a value make none.
    #[error("{0}")]
    Value(Error),
    /// Something else than may stand there.
    #[error("{0}")]
    Format(&'static str),
}

/// A key, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The database.
    pub database: u64,
    /// The key.
    pub key: Vec<u8>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key \"{}\" of database {}", self.key.escape_ascii(), self.database)
    }
}

/// Why a file could not be read to its end.
#[derive(Debug)]
pub struct FileError {
    /// Byte of the file up to which it could be read.
    pub offset: u64,
    /// The key whose value was being read.
    pub inside: Option<Place>,
    /// The last key before, whose value is whole.
    pub behind: Option<Place>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        match (&self.inside, &self.behind) {
            (Some(key), _) => write!(f, ", in the value of {key}")?,
            (None, Some(key)) => write!(f, ", behind {key}")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Value(error) => Some(error),
            _ => None,
        }
    }
}
