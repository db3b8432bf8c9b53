//! What a handler writes its answer to.

use std::ops::Range;

use bytes::Bytes;
use engine::Item;
use resp::{ReplyWriter, Version};

use crate::session::output::Output;

/// Values of this length and more are sent from where they lie, without a copy.
const SEND_SHARED_FROM: usize = 16 << 10;

/// The reply to one request, in the connection's protocol version.
pub struct Reply<'a> {
    output: &'a mut Output,
    version: Version,
}

impl<'a> Reply<'a> {
    /// Replies go behind what the connection has still to send.
    #[inline]
    pub fn new(output: &'a mut Output, version: Version) -> Reply<'a> {
        Reply { output, version }
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// HELLO has changed the version: its own reply is in the new one.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Whether nobody gets what is written: more waits for the client than may.
    pub fn is_lost(&self) -> bool {
        self.output.is_out_of_bounds()
    }

    /// Every plain reply type.
    #[inline]
    pub fn write(&mut self) -> ReplyWriter<'_> {
        ReplyWriter::new(self.output.tail(), self.version)
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.write().raw(b"+OK\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.write().integer(value);
    }

    /// Nothing there.
    #[inline]
    pub fn null(&mut self) {
        self.write().null();
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.write().bulk(bytes);
    }

    /// A stored value: large ones are shared.
    #[inline]
    pub fn item(&mut self, item: Item<'_>) {
        match item.shared() {
            Some(bytes) if bytes.len() >= SEND_SHARED_FROM => self.shared(bytes.clone()),
            _ => self.bulk(item.string().unwrap_or_default()),
        }
    }

    /// A bulk string that may lie elsewhere too: a large one is shared.
    pub fn bytes(&mut self, bytes: &Bytes) {
        if bytes.len() >= SEND_SHARED_FROM { self.shared(bytes.clone()) } else { self.bulk(bytes) }
    }

    /// Part of a stored value, which lies within it.
    pub fn item_range(&mut self, item: Item<'_>, range: Range<usize>) {
        match item.shared() {
            Some(bytes) if range.len() >= SEND_SHARED_FROM => self.shared(bytes.slice(range)),
            _ => self.bulk(&item.string().unwrap_or_default()[range]),
        }
    }

    /// A bulk string that is shared, not copied.
    pub fn shared(&mut self, bytes: Bytes) {
        self.write().bulk_header(bytes.len());
        self.output.push_shared(bytes);
        self.write().raw(b"\r\n");
    }
}
