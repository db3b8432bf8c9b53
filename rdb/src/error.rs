//! Why a dump was refused, by what the caller answers.

/// Why a dump was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too short for a footer, of a version that is not known yet, or changed on its way.
    #[error("version or checksum of the dump are wrong")]
    BadVersionOrChecksum,
    /// The value's bytes do not make a value. Says what was wrong, for the log.
    #[error("bad dump: {0}")]
    BadFormat(&'static str),
    /// A value of a type that this crate does not read: a stream, or a module's.
    #[error("values of type {0} are not supported")]
    UnsupportedType(&'static str),
    /// The value would take more memory than [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("the value takes more than {limit_bytes} bytes")]
    TooLarge {
        /// What is allowed.
        limit_bytes: usize,
    },
}

/// The bytes end where more must follow.
pub(crate) const TRUNCATED: Error = Error::BadFormat("ends too early");

/// A collection of nothing, which Redis does not store; older ones had a way to.
pub(crate) const NO_ELEMENTS: Error = Error::BadFormat("no elements");
