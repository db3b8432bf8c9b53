//! Errors: a request or a reply that breaks the protocol. After one, the connection cannot be read any further.

use std::borrow::Cow;
use std::io;

use thiserror::Error;

/// A request that breaks the protocol, in Redis's words. Answer it and close the connection.
///
/// The text is what follows `-` in the reply. [`RequestError::reply_text`] gives it byte for byte as Redis sends it;
/// `Display` is the same except that a byte beyond ASCII is shown as the Latin-1 character.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The count of arguments is no integer or too large.
    #[error("ERR Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// An argument does not begin with `$`; the byte is what stood there.
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(printed(*.0)))]
    ExpectedBulk(u8),
    /// The length of an argument is no integer, negative or too large.
    #[error("ERR Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// An inline request has no end within the limit.
    #[error("ERR Protocol error: too big inline request")]
    InlineTooBig,
    /// The line with the count of arguments has no end within the limit.
    #[error("ERR Protocol error: too big mbulk count string")]
    MultibulkLineTooBig,
    /// The line with an argument's length has no end within the limit.
    #[error("ERR Protocol error: too big bulk count string")]
    BulkLineTooBig,
    /// An inline request has a quote without its partner, or text directly behind a closing one.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// It is no request at all, but the beginning of a TLS connection, whose end would not come before an answer.
    #[error("ERR Protocol error: TLS handshake at a port without TLS")]
    TlsHandshake,
    /// The arguments together exceed the limit of one request. Redis closes such a connection without a word.
    #[error("ERR Protocol error: too big request")]
    RequestTooBig,
    /// The connection failed or ended inside a request; only a framed reader reports this.
    #[error("connection failed: {0}")]
    Io(io::ErrorKind),
}

impl RequestError {
    /// The text of the error reply, without the leading `-` and the line end.
    pub fn reply_text(&self) -> Cow<'static, [u8]> {
        match self {
            RequestError::ExpectedBulk(byte) => {
                Cow::Owned([b"ERR Protocol error: expected '$', got '", &[printed(*byte)][..], b"'"].concat())
            }
            other => Cow::Owned(other.to_string().into_bytes()),
        }
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        RequestError::Io(error.kind())
    }
}

/// A reply that breaks the protocol or a limit of the client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// No reply begins with this byte.
    #[error("unknown reply type {:?}", char::from(*.0))]
    UnknownType(u8),
    /// A line ends in something else than CR LF.
    #[error("a line does not end in CR LF")]
    BadLineEnd,
    /// An integer, double, boolean, big number or null is not written as the protocol says.
    #[error("malformed value of type {:?}", char::from(*.0))]
    BadValue(u8),
    /// A length or count is not a number, or negative where it must not be.
    #[error("malformed length of type {:?}", char::from(*.0))]
    BadLength(u8),
    /// Streamed strings and aggregates (`$?`, `*?`) are part of the specification, but no server sends them.
    #[error("streamed replies are not supported")]
    Streamed,
    /// A line, a string, the depth or the number of elements exceeds the limit of the client.
    #[error("{0} exceed the limit of {1}")]
    LimitExceeded(&'static str, usize),
    /// The connection failed or ended inside a reply.
    #[error("connection failed: {0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for ReplyError {
    fn from(error: io::Error) -> Self {
        ReplyError::Io(error.kind())
    }
}

/// Redis replaces line ends inside an error's text and sends every other byte as it is.
fn printed(byte: u8) -> u8 {
    if byte == b'\r' || byte == b'\n' { b' ' } else { byte }
}
