//! The reply parser: bytes in whatever pieces they arrive, frames out.
//!
//! Elements are taken off the front of the buffer one by one. Aggregates under way lie on an explicit stack, so that a
//! hostile depth meets a limit and not the end of the thread's stack:
//!
//! ```text
//! *2␍␊:1␍␊%1␍␊+a␍␊                 stack   array  1 to come   [1]
//!                                          map    1 to come   [a]
//! ```

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::encode::{ReplyWriter, Version};
use crate::error::ReplyError;
use crate::frame::Frame;
use crate::limits::ReplyLimits;
use crate::parse::{exact_integer, strict_bulk, strict_line};

/// Decodes replies of either version and encodes them in one of them.
#[derive(Debug)]
pub struct ReplyCodec {
    version: Version,
    limits: ReplyLimits,
    stack: Vec<Aggregate>,
    /// A string whose header is parsed and whose bytes are not all there.
    blob: Option<(u8, usize)>,
    /// Bytes of the buffer that are known to hold no line end.
    searched: usize,
    /// Elements announced so far in the reply under way.
    elements: usize,
    failure: Option<ReplyError>,
    /// Bytes looked at, to prove that the work is linear.
    #[cfg(test)]
    examined: usize,
}

/// An aggregate under way.
#[derive(Debug)]
struct Aggregate {
    kind: Kind,
    /// Elements to come: for maps both of a pair, for attributes also the reply they describe.
    left: usize,
    items: Vec<Frame>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Array,
    Map,
    Set,
    Attribute,
    Push,
}

/// What one line amounts to.
enum Element {
    Whole(Frame),
    Blob(usize),
    Open(Aggregate),
}

impl ReplyCodec {
    /// A codec that decodes either version and encodes `version`, with default limits.
    pub fn new(version: Version) -> Self {
        Self::with_limits(version, ReplyLimits::DEFAULT)
    }

    /// A codec with limits of its own.
    pub fn with_limits(version: Version, limits: ReplyLimits) -> Self {
        ReplyCodec {
            version,
            limits,
            stack: Vec::new(),
            blob: None,
            searched: 0,
            elements: 0,
            failure: None,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Changes the version replies are encoded in.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Whether a reply has begun and is not complete, not counting a line without its end.
    pub fn is_mid_reply(&self) -> bool {
        !self.stack.is_empty() || self.blob.is_some()
    }

    fn parse(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, ReplyError> {
        loop {
            let element = match self.blob {
                Some((kind, length)) => self.read_blob(kind, length, src)?.map(Element::Whole),
                None => self.read_line(src)?,
            };
            match element {
                None => return Ok(None),
                Some(Element::Blob(_)) => {}
                Some(Element::Open(aggregate)) => self.stack.push(aggregate),
                Some(Element::Whole(frame)) => {
                    if let Some(reply) = self.place(frame) {
                        self.elements = 0;
                        return Ok(Some(reply));
                    }
                }
            }
        }
    }

    /// Takes one line off the buffer.
    fn read_line(&mut self, src: &mut BytesMut) -> Result<Option<Element>, ReplyError> {
        let length = match strict_line(&src[self.searched..]) {
            Ok((_, line)) => {
                self.count_examined(line.len() + 2);
                self.searched + line.len()
            }
            Err(nom::Err::Incomplete(_)) => {
                self.count_examined(src.len() - self.searched);
                // A final CR must be seen again together with what follows it.
                self.searched = src.len() - usize::from(src.ends_with(b"\r"));
                return if self.searched > self.limits.max_line_bytes { Err(self.line_too_long()) } else { Ok(None) };
            }
            Err(_) => {
                // Which error it is must not depend on how much of the line a read delivered.
                let known = memchr::memchr2(b'\r', b'\n', &src[self.searched..]).unwrap_or(0);
                let too_long = self.searched + known > self.limits.max_line_bytes;
                return Err(if too_long { self.line_too_long() } else { ReplyError::BadLineEnd });
            }
        };
        if length > self.limits.max_line_bytes {
            return Err(self.line_too_long());
        }
        self.searched = 0;
        let line = src.split_to(length).freeze();
        src.advance(2);
        let Some((kind, text)) = line.split_first() else { return Err(ReplyError::UnknownType(b'\r')) };
        let element = self.element(*kind, text, &line)?;
        if let Element::Blob(length) = element {
            self.blob = Some((*kind, length));
        }
        Ok(Some(element))
    }

    /// What the line `kind` + `text` means; `line` is both, shared.
    fn element(&mut self, kind: u8, text: &[u8], line: &Bytes) -> Result<Element, ReplyError> {
        let bad = ReplyError::BadValue(kind);
        Ok(Element::Whole(match kind {
            b'+' => Frame::Simple(line.slice(1..)),
            b'-' => Frame::Error(line.slice(1..)),
            b':' => Frame::Integer(integer(text).ok_or(bad)?),
            b',' => Frame::Double(double(text).ok_or(bad)?),
            b'(' if is_big_number(text) => Frame::BigNumber(line.slice(1..)),
            b'_' if text.is_empty() => Frame::Null,
            b'#' if text == b"t" => Frame::Boolean(true),
            b'#' if text == b"f" => Frame::Boolean(false),
            b'(' | b'_' | b'#' => return Err(bad),
            b'$' if text == b"-1" => Frame::Null,
            b'*' if text == b"-1" => Frame::NullArray,
            b'$' | b'!' | b'=' => return self.blob_length(kind, text).map(Element::Blob),
            b'*' => return self.open(kind, Kind::Array, text),
            b'%' => return self.open(kind, Kind::Map, text),
            b'~' => return self.open(kind, Kind::Set, text),
            b'|' => return self.open(kind, Kind::Attribute, text),
            b'>' => return self.open(kind, Kind::Push, text),
            other => return Err(ReplyError::UnknownType(other)),
        }))
    }

    fn blob_length(&self, kind: u8, text: &[u8]) -> Result<usize, ReplyError> {
        let length = length(kind, text)?;
        if length > self.limits.max_bulk_bytes {
            return Err(ReplyError::LimitExceeded("bytes of a string", self.limits.max_bulk_bytes));
        }
        // A verbatim string begins with its format and a colon.
        if kind == b'=' && length < 4 { Err(ReplyError::BadLength(kind)) } else { Ok(length) }
    }

    fn open(&mut self, byte: u8, kind: Kind, text: &[u8]) -> Result<Element, ReplyError> {
        let too_many = ReplyError::LimitExceeded("elements", self.limits.max_elements);
        let count = length(byte, text)?;
        let left = match kind {
            Kind::Array | Kind::Set | Kind::Push => Some(count),
            Kind::Map => count.checked_mul(2),
            Kind::Attribute => count.checked_mul(2).and_then(|count| count.checked_add(1)),
        };
        let left = left.ok_or_else(|| too_many.clone())?;
        self.elements = self.elements.checked_add(left).ok_or_else(|| too_many.clone())?;
        if self.elements > self.limits.max_elements {
            return Err(too_many);
        }
        if self.stack.len() >= self.limits.max_depth {
            return Err(ReplyError::LimitExceeded("levels", self.limits.max_depth));
        }
        let aggregate = Aggregate { kind, left, items: Vec::new() };
        Ok(if left == 0 { Element::Whole(aggregate.close()) } else { Element::Open(aggregate) })
    }

    /// Takes the bytes of a string off the buffer, if all are there.
    fn read_blob(&mut self, kind: u8, length: usize, src: &mut BytesMut) -> Result<Option<Frame>, ReplyError> {
        self.count_examined(1);
        match strict_bulk(length)(src) {
            Ok(_) => {}
            Err(nom::Err::Incomplete(_)) => return Ok(None),
            Err(_) => return Err(ReplyError::BadLineEnd),
        }
        let mut bytes = src.split_to(length).freeze();
        src.advance(2);
        self.blob = None;
        Ok(Some(match kind {
            b'$' => Frame::Bulk(bytes),
            b'!' => Frame::BlobError(bytes),
            _ => {
                let [a, b, c, b':', ..] = bytes[..] else { return Err(ReplyError::BadValue(kind)) };
                bytes.advance(4);
                Frame::Verbatim { format: [a, b, c], text: bytes }
            }
        }))
    }

    /// Puts a whole frame where it belongs; the reply, if that completes it.
    fn place(&mut self, mut frame: Frame) -> Option<Frame> {
        while let Some(top) = self.stack.last_mut() {
            top.items.push(frame);
            top.left -= 1;
            if top.left > 0 {
                return None;
            }
            frame = self.stack.pop()?.close();
        }
        Some(frame)
    }

    fn line_too_long(&self) -> ReplyError {
        ReplyError::LimitExceeded("bytes of a line", self.limits.max_line_bytes)
    }

    #[inline(always)]
    fn count_examined(&mut self, _bytes: usize) {
        #[cfg(test)]
        {
            self.examined += _bytes;
        }
    }
}

impl Decoder for ReplyCodec {
    type Item = Frame;
    type Error = ReplyError;

    /// Takes one reply off `src`. After an error every call returns it again.
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, ReplyError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let parsed = self.parse(src);
        if let Err(error) = &parsed {
            self.failure = Some(error.clone());
            self.stack = Vec::new();
        }
        parsed
    }
}

impl Encoder<Frame> for ReplyCodec {
    type Error = ReplyError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), ReplyError> {
        frame.write(&mut ReplyWriter::new(out, self.version));
        Ok(())
    }
}

impl Aggregate {
    fn close(self) -> Frame {
        let mut items = self.items;
        match self.kind {
            Kind::Array => Frame::Array(items),
            Kind::Set => Frame::Set(items),
            Kind::Push => Frame::Push(items),
            Kind::Map => Frame::Map(pairs(items)),
            Kind::Attribute => {
                let reply = items.pop().unwrap_or(Frame::Null);
                Frame::Attribute(pairs(items), Box::new(reply))
            }
        }
    }
}

fn pairs(items: Vec<Frame>) -> Vec<(Frame, Frame)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn length(kind: u8, text: &[u8]) -> Result<usize, ReplyError> {
    if text == b"?" {
        return Err(ReplyError::Streamed);
    }
    exact_integer(text).and_then(|length| usize::try_from(length).ok()).ok_or(ReplyError::BadLength(kind))
}

/// Any way to write a 64-bit integer that the protocol allows: `:[<+|->]<digits>`.
fn integer(text: &[u8]) -> Option<i64> {
    exact_integer(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"inf" | b"+inf" => Some(f64::INFINITY),
        b"-inf" => Some(f64::NEG_INFINITY),
        b"nan" | b"-nan" => Some(f64::NAN),
        _ if text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes looked at while `wire`, one reply, arrives in pieces.
    fn examined(wire: &[u8], piece_bytes: usize) -> usize {
        let mut codec = ReplyCodec::new(Version::Resp3);
        let mut buffer = BytesMut::with_capacity(wire.len());
        let mut replies = 0;
        for piece in wire.chunks(piece_bytes) {
            buffer.extend_from_slice(piece);
            replies += usize::from(codec.decode(&mut buffer).unwrap().is_some());
        }
        assert_eq!(replies, 1);
        assert!(codec.examined > 0, "what is looked at is counted");
        codec.examined
    }

    #[test]
    fn elements_are_parsed_once() {
        let wire = [&b"*65536\r\n"[..], &b"*2\r\n$5\r\nhello\r\n:12\r\n".repeat(65_536)].concat();
        for piece_bytes in [1, 7, 1000, 16 << 10] {
            let examined = examined(&wire, piece_bytes);
            assert!(examined <= 3 * wire.len(), "{examined} of {} in pieces of {piece_bytes}", wire.len());
        }
    }

    #[test]
    fn a_long_string_is_not_looked_at() {
        let wire = [&b"$100000000\r\n"[..], &vec![b'v'; 100_000_000], b"\r\n"].concat();
        // One look a read, whether the end is there.
        assert!(examined(&wire, 16 << 10) <= 20 + wire.len() / (16 << 10) + 1);
    }

    #[test]
    fn a_line_is_searched_once() {
        let wire = [&b"+"[..], &vec![b'a'; 60_000], b"\r\n"].concat();
        for piece_bytes in [1, 100, 16 << 10] {
            assert!(examined(&wire, piece_bytes) <= 2 * wire.len());
        }
    }
}
