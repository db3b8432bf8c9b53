//! RESP, the wire protocol of Redis: requests and replies of versions 2 and 3, in both directions.
//!
//! ```text
//! server   socket ─► BytesMut ─► RequestCodec ─► Batch ─► Request ─► argument slices
//!          socket ◄─ BytesMut ◄─ ReplyWriter
//! client   socket ◄─ BytesMut ◄─ encode_request
//!          socket ─► BytesMut ─► ReplyCodec ─► Frame
//! ```
//!
//! * A [`Batch`] is every complete request a read delivered: one shared buffer and ranges into it. Nothing is copied
//!   and no argument has a reference count of its own.
//! * Both decoders are resumable. An element that was parsed is never looked at again, however the bytes are cut.
//! * A length that was announced is checked and remembered, never allocated: memory grows with bytes received.
//! * This crate knows no command. What a request means, and which reply belongs to it, is the caller's business.
//!
//! The protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. Where that page is silent, Redis 7.4
//! (`networking.c`, `sds.c`) is the judge; the few deliberate differences are listed at [`RequestCodec`].

mod codec;
mod double;
mod encode;
mod error;
mod frame;
mod inline;
mod limits;
mod parse;
mod reply;
mod request;

pub use codec::RequestCodec;
pub use double::shortest;
pub use encode::{ReplyWriter, Version, encode_request};
pub use error::{ReplyError, RequestError};
pub use frame::Frame;
pub use inline::split_words;
pub use limits::{Limits, ReplyLimits, Stage};
pub use parse::exact_integer;
pub use reply::ReplyCodec;
pub use request::{Batch, Queue, Request};
