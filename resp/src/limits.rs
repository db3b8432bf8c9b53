//! Limits: what one request or reply may cost, before and after authentication.

/// Whether the client has authenticated. It decides the words of an error, not the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A password is required and was not given yet.
    BeforeAuth,
    /// The client may send what the server's settings allow.
    AfterAuth,
}

/// Bounds on requests. A request that breaks one ends its connection with a [`RequestError`](crate::RequestError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arguments of one request, the command's name included.
    pub max_arguments: usize,
    /// Bytes of one argument (`proto-max-bulk-len`).
    pub max_bulk_bytes: usize,
    /// Bytes of one line: an inline request, a count or a bulk's length. At least 64, so that every number fits.
    pub max_inline_bytes: usize,
    /// Bytes of one request with its headers. At most 1 GiB, which is what keeps positions in 32 bits.
    pub max_request_bytes: usize,
    /// Requests in one batch, at least 1. The rest stays in the buffer for the next call.
    pub max_batch_requests: usize,
    /// Which error an oversized length is answered with.
    pub stage: Stage,
}

impl Limits {
    /// For a client that may do what its user may do.
    pub const AUTHENTICATED: Limits = Limits {
        max_arguments: 1_048_576,
        max_bulk_bytes: 512 << 20,
        max_inline_bytes: 64 << 10,
        max_request_bytes: 1 << 30,
        max_batch_requests: 1024,
        stage: Stage::AfterAuth,
    };

    /// For a client that still owes its password: small requests, one at a time, so that AUTH takes effect before the
    /// request behind it is parsed.
    pub const UNAUTHENTICATED: Limits = Limits {
        max_arguments: 10,
        max_bulk_bytes: 16 << 10,
        max_inline_bytes: 64 << 10,
        max_request_bytes: 64 << 10,
        max_batch_requests: 1,
        stage: Stage::BeforeAuth,
    };

    /// The same limits with every bound in the range the parser's arithmetic relies on.
    pub(crate) fn clamped(self) -> Limits {
        let request = self.max_request_bytes.clamp(1, Self::AUTHENTICATED.max_request_bytes);
        Limits {
            max_arguments: self.max_arguments.max(1),
            max_bulk_bytes: self.max_bulk_bytes.min(request),
            max_inline_bytes: self.max_inline_bytes.max(64),
            max_request_bytes: request,
            max_batch_requests: self.max_batch_requests.max(1),
            stage: self.stage,
        }
    }
}

/// Bounds on replies, for a client that does not trust its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Aggregates inside aggregates; a reply that is not an aggregate has depth 0.
    pub max_depth: usize,
    /// Elements of one reply, counted at every level.
    pub max_elements: usize,
    /// Bytes of one bulk string, blob error or verbatim string.
    pub max_bulk_bytes: usize,
    /// Bytes of one line: a simple string, an error, a number or a header.
    pub max_line_bytes: usize,
}

impl ReplyLimits {
    /// Enough for every reply of a Redis server with its default settings.
    pub const DEFAULT: ReplyLimits =
        ReplyLimits { max_depth: 128, max_elements: 64 << 20, max_bulk_bytes: 512 << 20, max_line_bytes: 64 << 10 };
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
