//! The request parser: bytes in whatever pieces the network delivers them, batches of whole requests out.
//!
//! ```text
//!   front of the buffer
//!   ▼
//!   *2␍␊$3␍␊GET␍␊$1␍␊k␍␊ *3␍␊$3␍␊SET␍␊$1␍␊k␍␊$70000␍␊aaaaaaaaaa…   not yet received
//!   └── one whole request ┘ └ request under way ──────┘ └ wanted ────────┘
//!                         ▲                             ▲
//!                  request_start                    position
//! ```
//!
//! One call parses forward from `position` until the bytes or the batch end, splits everything before `request_start`
//! off in one piece, and keeps the ranges of the request under way. All positions count from the front of the buffer,
//! so its owner may move the bytes elsewhere between calls. Nothing in front of `position` is read again, and a line
//! that lacks its end is searched on from where the search stopped.

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use crate::error::RequestError;
use crate::inline::split_arguments;
use crate::limits::{Limits, Stage};
use crate::parse::{Flaw, Parsed, bulk_header, count_header};
use crate::request::{ArgumentRange, Batch, Layout};

/// Decodes requests, RESP arrays and inline ones, into [`Batch`]es.
///
/// `decode` consumes every complete request in the buffer, up to [`Limits::max_batch_requests`]: call it until it
/// returns `None`, then read more. Requests in front of a protocol error are returned first; the next call, and every
/// later one, returns the error. Empty requests (`*0`, `*-1`, an empty line) are skipped, as in Redis.
///
/// Deliberate differences from Redis 7.4:
///
/// * A NUL byte in a line is a byte like any other; Redis does not see the line's end behind it.
/// * The limit of a line holds however its bytes arrive; Redis lets a longer one pass if one read delivers its end.
/// * More than [`Limits::max_arguments`] arguments are refused as an invalid multibulk length; Redis allows 2³¹−1.
/// * Before authentication the limits hold for inline requests too.
/// * A request beyond [`Limits::max_request_bytes`] gets an error; Redis has a limit for its whole query buffer and
///   closes the connection without a word.
/// * A line that begins like a TLS connection is an error at once; Redis waits for its end, which does not come.
///
/// As in Redis, the two bytes behind an argument, and the byte behind the CR of a header, are skipped unread.
#[derive(Debug)]
pub struct RequestCodec {
    limits: Limits,
    /// Of the whole requests of this call, then of the request under way.
    layout: Layout,
    /// Emptied vectors of an earlier batch.
    spare: Layout,
    unescaped: Vec<u8>,
    /// Where the request under way begins: everything before it is whole.
    request_start: usize,
    /// The first byte that is not parsed.
    position: usize,
    /// Bytes from `position` on that are known to hold no line end.
    searched: usize,
    arguments_left: usize,
    /// The announced length of the argument at `position`, once its header is parsed.
    bulk_bytes: Option<usize>,
    bytes_wanted: usize,
    failure: Option<RequestError>,
    /// Bytes looked at, to prove that the work is linear.
    #[cfg(test)]
    examined: usize,
}

/// How every TLS connection begins, in all versions: the record of a handshake, major version 3.
const TLS_HANDSHAKE: &[u8] = &[0x16, 3];

/// How far a step of the parser came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// On to the next one.
    Done,
    /// The bytes, or the room in the batch, have ended.
    Stopped,
}

impl RequestCodec {
    /// A request beginning beyond this position waits for the next batch. With the largest request, 1 GiB, positions
    /// stay below 2³¹.
    const MAX_BATCH_BYTES: usize = (1 << 30) - 1;

    /// A codec for one connection.
    pub fn new(limits: Limits) -> Self {
        RequestCodec {
            limits: limits.clamped(),
            layout: Layout::default(),
            spare: Layout::default(),
            unescaped: Vec::new(),
            request_start: 0,
            position: 0,
            searched: 0,
            arguments_left: 0,
            bulk_bytes: None,
            bytes_wanted: 0,
            failure: None,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Changes the limits, from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits.clamped();
    }

    /// Takes a batch back for the sake of its vectors, so that a steady stream of requests allocates nothing.
    #[inline]
    pub fn recycle(&mut self, batch: Batch) {
        let mut layout = batch.layout;
        if layout.reuse() {
            self.spare = layout;
        }
    }

    /// After a partial request: how many more bytes its known part needs, 0 when there is none.
    ///
    /// A hint for reserving room. It may be as large as [`Limits::max_bulk_bytes`] and is only an announcement: who
    /// reserves it at once lets a client allocate memory with a few bytes.
    #[inline]
    pub fn bytes_wanted(&self) -> usize {
        self.bytes_wanted
    }

    /// Whether the last call ended inside a request.
    #[inline]
    pub fn is_mid_request(&self) -> bool {
        self.arguments_left > 0 || self.searched > 0
    }

    /// Bytes of memory held between calls, the buffer of received bytes not included.
    pub fn memory_bytes(&self) -> usize {
        self.layout.memory_bytes() + self.spare.memory_bytes() + self.unescaped.capacity()
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        loop {
            if self.arguments_left == 0 && self.begin_request(bytes)? == Step::Stopped {
                return Ok(());
            }
            if self.arguments_left > 0 && self.read_arguments(bytes)? == Step::Stopped {
                return Ok(());
            }
        }
    }

    /// Reads a count line, or a whole inline request.
    #[inline]
    fn begin_request(&mut self, bytes: &[u8]) -> Result<Step, RequestError> {
        let full = self.layout.ends.len() >= self.limits.max_batch_requests;
        if full || self.request_start > Self::MAX_BATCH_BYTES {
            return Ok(Step::Stopped);
        }
        match bytes.get(self.position) {
            None => Ok(Step::Stopped),
            Some(b'*') => self.read_count(bytes),
            Some(_) => self.read_inline(bytes),
        }
    }

    #[inline]
    fn read_count(&mut self, bytes: &[u8]) -> Result<Step, RequestError> {
        let too_long = RequestError::MultibulkLineTooBig;
        let Some(count) = self.read_header(bytes, count_header, too_long, |_| RequestError::InvalidMultibulkLength)?
        else {
            return Ok(Step::Stopped);
        };
        if count > self.limits.max_arguments as i64 {
            return Err(match self.limits.stage {
                Stage::BeforeAuth if count <= i64::from(i32::MAX) => RequestError::UnauthenticatedMultibulkLength,
                _ => RequestError::InvalidMultibulkLength,
            });
        }
        if count <= 0 {
            self.request_start = self.position;
        } else {
            self.arguments_left = count as usize;
            // A planted bug: memory for what was announced instead of what was received.
            #[cfg(feature = "mutants")]
            self.layout.ranges.reserve(self.arguments_left);
        }
        Ok(Step::Done)
    }

    #[inline]
    fn read_arguments(&mut self, bytes: &[u8]) -> Result<Step, RequestError> {
        while self.arguments_left > 0 {
            let length = match self.bulk_bytes {
                Some(length) => length,
                None => match self.read_bulk_length(bytes)? {
                    Some(length) => length,
                    None => return Ok(Step::Stopped),
                },
            };
            let end = self.position + length;
            if bytes.len() < end + 2 {
                self.bulk_bytes = Some(length);
                self.bytes_wanted = end + 2 - bytes.len();
                return Ok(Step::Stopped);
            }
            self.layout.ranges.push(ArgumentRange::received(self.position, end));
            self.position = end + 2;
            self.bulk_bytes = None;
            self.arguments_left -= 1;
        }
        self.finish_request();
        Ok(Step::Done)
    }

    #[inline]
    fn read_bulk_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestError> {
        let flawed = |flaw| match flaw {
            Flaw::WrongType(byte) => RequestError::ExpectedBulk(byte),
            Flaw::NotANumber | Flaw::LineEnd => RequestError::InvalidBulkLength,
        };
        let Some(length) = self.read_header(bytes, bulk_header, RequestError::BulkLineTooBig, flawed)? else {
            return Ok(None);
        };
        if length < 0 || length > self.limits.max_bulk_bytes as i64 {
            return Err(self.refused_length(length));
        }
        let length = length as usize;
        if self.position + length + 2 - self.request_start > self.limits.max_request_bytes {
            return Err(RequestError::RequestTooBig);
        }
        Ok(Some(length))
    }

    #[cold]
    fn refused_length(&self, length: i64) -> RequestError {
        match self.limits.stage {
            Stage::BeforeAuth if (0..=Limits::AUTHENTICATED.max_bulk_bytes as i64).contains(&length) => {
                RequestError::UnauthenticatedBulkLength
            }
            _ => RequestError::InvalidBulkLength,
        }
    }

    /// Reads one header line at `position`, or remembers how far its end was searched.
    #[inline(always)]
    fn read_header(
        &mut self,
        bytes: &[u8],
        header: fn(&[u8]) -> Parsed<'_, i64>,
        too_long: RequestError,
        flawed: impl Fn(Flaw) -> RequestError,
    ) -> Result<Option<i64>, RequestError> {
        if self.searched > 0 && !self.search_on(bytes, b'\r') {
            return self.line_incomplete(too_long);
        }
        match header(&bytes[self.position..]) {
            Ok((rest, number)) => {
                self.count_examined(bytes.len() - rest.len() - self.position);
                self.position = bytes.len() - rest.len();
                self.searched = 0;
                Ok(Some(number))
            }
            Err(nom::Err::Incomplete(_)) => {
                self.count_examined(bytes.len() - self.position);
                self.search_on(bytes, b'\r');
                self.line_incomplete(too_long)
            }
            Err(nom::Err::Error(flaw) | nom::Err::Failure(flaw)) => {
                self.search_on(bytes, b'\r');
                if self.searched > self.limits.max_inline_bytes { Err(too_long) } else { Err(flawed(flaw)) }
            }
        }
    }

    /// Searches the end of the line at `position` where the last search stopped; whether it, and for CR one byte more,
    /// is there. `searched` becomes the length of the line, or of its known part.
    fn search_on(&mut self, bytes: &[u8], end: u8) -> bool {
        let line = &bytes[self.position..];
        let found = memchr::memchr(end, &line[self.searched..]);
        self.count_examined(found.unwrap_or(line.len() - self.searched));
        self.searched = found.map_or(line.len(), |offset| self.searched + offset);
        found.is_some() && (end == b'\n' || self.searched + 1 < line.len())
    }

    #[cold]
    fn line_incomplete(&mut self, too_long: RequestError) -> Result<Option<i64>, RequestError> {
        if self.searched > self.limits.max_inline_bytes {
            return Err(too_long);
        }
        self.bytes_wanted = 2;
        Ok(None)
    }

    #[cold]
    fn read_inline(&mut self, bytes: &[u8]) -> Result<Step, RequestError> {
        if bytes[self.position..].starts_with(TLS_HANDSHAKE) {
            return Err(RequestError::TlsHandshake);
        }
        let ended = self.search_on(bytes, b'\n');
        if self.searched > self.limits.max_inline_bytes {
            return Err(RequestError::InlineTooBig);
        }
        if !ended {
            self.bytes_wanted = 1;
            return Ok(Step::Stopped);
        }
        let line = &bytes[self.position..self.position + self.searched];
        self.count_examined(line.len());
        let before = self.layout.ranges.len();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        split_arguments(line, self.position, &mut self.unescaped, &mut self.layout.ranges)?;
        self.position += self.searched + 1;
        self.searched = 0;
        let arguments = self.layout.ranges.len() - before;
        if arguments > self.limits.max_arguments {
            return Err(match self.limits.stage {
                Stage::BeforeAuth => RequestError::UnauthenticatedMultibulkLength,
                Stage::AfterAuth => RequestError::InvalidMultibulkLength,
            });
        }
        if arguments == 0 {
            self.request_start = self.position;
        } else {
            self.finish_request();
        }
        Ok(Step::Done)
    }

    #[inline]
    fn finish_request(&mut self) {
        self.layout.ends.push(self.layout.ranges.len() as u32);
        self.request_start = self.position;
    }

    /// Splits the whole requests off the front of `src`; what remains is the request under way.
    fn take_batch(&mut self, src: &mut BytesMut) -> Batch {
        let data = src.split_to(self.request_start).freeze();
        let mut layout = std::mem::replace(&mut self.layout, std::mem::take(&mut self.spare));
        let whole = layout.ends.last().map_or(0, |end| *end as usize);
        let moved = layout.ranges[whole..].iter().map(|range| range.moved_back(self.request_start));
        self.layout.ranges.extend(moved);
        layout.ranges.truncate(whole);
        self.position -= self.request_start;
        self.request_start = 0;
        let unescaped = Bytes::from(std::mem::take(&mut self.unescaped));
        Batch { data, unescaped, layout }
    }

    /// Drops empty requests from the front of `src`.
    fn skip_empty(&mut self, src: &mut BytesMut) {
        src.advance(self.request_start);
        let skipped = self.request_start;
        for range in &mut self.layout.ranges {
            *range = range.moved_back(skipped);
        }
        self.position -= skipped;
        self.request_start = 0;
    }

    #[inline(always)]
    fn count_examined(&mut self, _bytes: usize) {
        #[cfg(test)]
        {
            self.examined += _bytes;
        }
    }
}

impl Decoder for RequestCodec {
    type Item = Batch;
    type Error = RequestError;

    /// Consumes every complete request in `src`. `src` must begin with the bytes the last call left there.
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Batch>, RequestError> {
        if self.failure.is_none() {
            self.bytes_wanted = 0;
            debug_assert!(self.position <= src.len(), "bytes of the request under way were taken away");
            if let Err(error) = self.parse(src) {
                self.failure = Some(error);
                let whole = self.layout.ends.last().map_or(0, |end| *end as usize);
                self.layout.ranges.truncate(whole);
            }
            if !self.layout.ends.is_empty() {
                return Ok(Some(self.take_batch(src)));
            }
            if self.request_start > 0 {
                self.skip_empty(src);
            }
        }
        self.failure.clone().map_or(Ok(None), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode_request;

    /// Bytes looked at while `wire` arrives in pieces.
    fn examined(wire: &[u8], piece_bytes: usize) -> usize {
        let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
        let mut buffer = BytesMut::with_capacity(wire.len());
        let mut requests = 0;
        for piece in wire.chunks(piece_bytes) {
            buffer.extend_from_slice(piece);
            while let Some(batch) = codec.decode(&mut buffer).unwrap() {
                requests += batch.len();
                codec.recycle(batch);
            }
        }
        assert_eq!(requests, 1);
        assert!(codec.examined > 0, "what is looked at is counted");
        codec.examined
    }

    #[test]
    fn a_long_value_is_not_looked_at() {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, &[&b"SET"[..], b"k", &vec![b'v'; 100_000_000]]);
        let headers = wire.len() - 100_000_000;
        assert!(examined(&wire, 16 << 10) <= headers);
        assert!(examined(&wire[..], 1 << 20) <= headers);
    }

    #[test]
    fn many_arguments_are_parsed_once() {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, &vec![b"argument"; 65_536]);
        for piece_bytes in [1, 7, 1000, 16 << 10] {
            let examined = examined(&wire, piece_bytes);
            assert!(examined <= 3 * wire.len(), "{examined} of {} in pieces of {piece_bytes}", wire.len());
        }
    }

    #[test]
    fn a_line_is_searched_once() {
        let line = [&b"a ".repeat(30_000)[..], b"\r\n"].concat();
        for piece_bytes in [1, 100, 16 << 10] {
            assert!(examined(&line, piece_bytes) <= 2 * line.len());
        }
    }

    #[test]
    fn a_header_without_end_is_searched_once() {
        let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
        let mut buffer = BytesMut::new();
        let mut received = 0;
        while codec.decode(&mut buffer).is_ok() {
            buffer.extend_from_slice(b"*");
            received += 1;
        }
        assert_eq!(received, codec.limits.max_inline_bytes + 1);
        assert!(codec.examined <= 2 * received);
    }
}
