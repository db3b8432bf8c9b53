//! Writing: replies of either version, and requests.
//!
//! A reply has the same shape in both versions as far as the caller is concerned; the writer turns what RESP2 does not
//! know into what Redis sends instead (a map into an array of twice the length, a double into a bulk string, …).

use bytes::{BufMut, BytesMut};
use itoa::Buffer;

use crate::double::DoubleText;

/// The protocol a connection speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// Maps, sets, doubles, booleans, pushes and one null.
    Resp3,
}

/// Appends replies to a connection's output buffer.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut BytesMut,
    version: Version,
}

impl<'a> ReplyWriter<'a> {
    /// A writer that appends to `out`.
    #[inline]
    pub fn new(out: &'a mut BytesMut, version: Version) -> Self {
        ReplyWriter { out, version }
    }

    /// The protocol written.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// A status such as `OK`. Line ends in the text become spaces.
    #[inline]
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'+', text.as_ref());
    }

    /// An error; the text begins with its code, such as `ERR`. Line ends in the text become spaces, as in Redis.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        header(self.out, b':', value);
    }

    /// A bulk string: any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        bulk(self.out, bytes);
    }

    /// The head of a bulk string whose `length` bytes and final CR LF follow through [`raw`](Self::raw) or from
    /// another buffer.
    #[inline]
    pub fn bulk_header(&mut self, length: usize) {
        header(self.out, b'$', length as i64);
    }

    /// Bytes that are already encoded.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    /// A bulk string of an integer's decimal digits.
    #[inline]
    pub fn integer_bulk(&mut self, value: i64) {
        bulk(self.out, Buffer::new().format(value).as_bytes());
    }

    /// No value: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.put_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// No array: `*-1` or `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.put_slice(match self.version {
            Version::Resp2 => b"*-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array; `length` replies follow.
    #[inline]
    pub fn array(&mut self, length: usize) {
        header(self.out, b'*', length as i64);
    }

    /// The head of a map; `pairs` times two replies follow. RESP2: an array of all of them.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => header(self.out, b'*', pairs as i64 * 2),
            Version::Resp3 => header(self.out, b'%', pairs as i64),
        }
    }

    /// The head of a set; `length` replies follow. RESP2: an array.
    #[inline]
    pub fn set(&mut self, length: usize) {
        self.aggregate(b'~', length);
    }

    /// The head of an out-of-band message; `length` replies follow. RESP2: an array.
    #[inline]
    pub fn push(&mut self, length: usize) {
        self.aggregate(b'>', length);
    }

    /// The head of attributes, which precede the reply they describe; `pairs` times two replies follow. RESP2 has no
    /// attributes: nothing is written, and `false` says to leave the pairs out.
    #[must_use = "in RESP2 the pairs must be left out"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        if self.version == Version::Resp3 {
            header(self.out, b'|', pairs as i64);
        }
        self.version == Version::Resp3
    }

    /// A double: the shortest digits that read back as the same number, `inf`, `-inf` or `nan`. RESP2: a bulk string.
    pub fn double(&mut self, value: f64) {
        let text = DoubleText::new(value);
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A boolean. RESP2: 1 or 0.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.out.put_slice(match (self.version, value) {
            (Version::Resp2, true) => b":1\r\n",
            (Version::Resp2, false) => b":0\r\n",
            (Version::Resp3, true) => b"#t\r\n",
            (Version::Resp3, false) => b"#f\r\n",
        });
    }

    /// An integer of any size; `digits` may begin with a sign. RESP2: a bulk string.
    pub fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        match self.version {
            Version::Resp2 => self.bulk(digits.as_ref()),
            Version::Resp3 => self.line(b'(', digits.as_ref()),
        }
    }

    /// Text for people, with a format such as `txt` or `mkd`. RESP2: a bulk string.
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.version {
            Version::Resp2 => self.bulk(text),
            Version::Resp3 => {
                header(self.out, b'=', text.len() as i64 + 4);
                self.out.put_slice(format);
                self.out.put_u8(b':');
                self.out.put_slice(text);
                self.out.put_slice(b"\r\n");
            }
        }
    }

    /// An error of any bytes. RESP2: an error whose line ends become spaces.
    pub fn blob_error(&mut self, text: &[u8]) {
        match self.version {
            Version::Resp2 => self.line(b'-', text),
            Version::Resp3 => {
                header(self.out, b'!', text.len() as i64);
                self.out.put_slice(text);
                self.out.put_slice(b"\r\n");
            }
        }
    }

    #[inline]
    fn aggregate(&mut self, kind: u8, length: usize) {
        let kind = if self.version == Version::Resp2 { b'*' } else { kind };
        header(self.out, kind, length as i64);
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.put_u8(kind);
        let start = self.out.len();
        self.out.put_slice(text);
        if memchr::memchr2(b'\r', b'\n', text).is_some() {
            for byte in self.out[start..].iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')) {
                *byte = b' ';
            }
        }
        self.out.put_slice(b"\r\n");
    }
}

/// Appends a request: the command's name and its arguments as an array of bulk strings.
pub fn encode_request(out: &mut BytesMut, args: &[impl AsRef<[u8]>]) {
    header(out, b'*', args.len() as i64);
    for argument in args {
        bulk(out, argument.as_ref());
    }
}

/// Heads of small numbers: the text with a place for the type in front, and its length.
static SMALL_HEADERS: [([u8; 8], u8); SMALL_NUMBERS] = small_headers();

const SMALL_NUMBERS: usize = 1024;

const fn small_headers() -> [([u8; 8], u8); SMALL_NUMBERS] {
    let mut table = [([0; 8], 0); SMALL_NUMBERS];
    let mut number = 0;
    while number < SMALL_NUMBERS {
        let digits = if number < 10 {
            1
        } else if number < 100 {
            2
        } else if number < 1000 {
            3
        } else {
            4
        };
        let mut left = number;
        let mut place = digits;
        while place > 0 {
            table[number].0[place] = b'0' + (left % 10) as u8;
            left /= 10;
            place -= 1;
        }
        table[number].0[digits + 1] = b'\r';
        table[number].0[digits + 2] = b'\n';
        table[number].1 = digits as u8 + 3;
        number += 1;
    }
    table
}

/// `<kind><number>␍␊`
#[inline]
fn header(out: &mut BytesMut, kind: u8, number: i64) {
    match usize::try_from(number).ok().and_then(|index| SMALL_HEADERS.get(index)) {
        Some((text, len)) => {
            // A copy of fixed length, cut afterwards, is one store instead of a call.
            let mut text = *text;
            text[0] = kind;
            let end = out.len() + *len as usize;
            out.extend_from_slice(&text);
            out.truncate(end);
        }
        None => long_header(out, kind, number),
    }
}

fn long_header(out: &mut BytesMut, kind: u8, number: i64) {
    out.reserve(24);
    out.put_u8(kind);
    out.put_slice(Buffer::new().format(number).as_bytes());
    out.put_slice(b"\r\n");
}

#[inline]
fn bulk(out: &mut BytesMut, bytes: &[u8]) {
    out.reserve(bytes.len() + 26);
    header(out, b'$', bytes.len() as i64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
