//! What is as large as a limit allows, and one byte or element more; numbers around which their text grows.

use bytes::BytesMut;
use resp::{
    Frame, Limits, Queue, ReplyCodec, ReplyError, ReplyLimits, ReplyWriter, RequestCodec, RequestError, Version,
    exact_integer, shortest, split_words,
};
use tokio_util::codec::{Decoder, Encoder};

/// The least that a limit of a line may be.
const LINE: usize = 64;

fn request_error(bytes: &[u8]) -> Option<RequestError> {
    let mut codec = RequestCodec::new(Limits { max_inline_bytes: LINE, ..Limits::AUTHENTICATED });
    codec.decode(&mut BytesMut::from(bytes)).err()
}

#[test]
fn a_line_may_be_as_long_as_its_limit() {
    let inline = |length: usize| [&vec![b'a'; length][..], b"\n"].concat();
    assert_eq!(request_error(&inline(LINE)), None);
    assert_eq!(request_error(&inline(LINE + 1)), Some(RequestError::InlineTooBig));
    // A count that is no number is told as that, unless its line is too long.
    let count = |length: usize| [&b"*"[..], &vec![b'x'; length - 1], b"\r\n"].concat();
    assert_eq!(request_error(&count(LINE)), Some(RequestError::InvalidMultibulkLength));
    assert_ne!(request_error(&count(LINE + 1)), Some(RequestError::InvalidMultibulkLength));
}

#[test]
fn a_line_may_have_as_many_words_as_a_request() {
    let error = |wire: &[u8]| {
        let mut codec = RequestCodec::new(Limits { max_arguments: 3, ..Limits::AUTHENTICATED });
        codec.decode(&mut BytesMut::from(wire)).err()
    };
    assert_eq!(error(b"a b c\r\n"), None);
    assert_eq!(error(b"a b c d\r\n"), Some(RequestError::InvalidMultibulkLength));
    // A password may be long.
    let line = format!("AUTH {}\r\n", "p".repeat(60_000));
    let batch =
        RequestCodec::new(Limits::UNAUTHENTICATED).decode(&mut BytesMut::from(line.as_bytes())).unwrap().unwrap();
    assert_eq!(batch.request(0)[1].len(), 60_000);
}

fn reply(limits: ReplyLimits, pieces: &[&[u8]]) -> Result<Option<Frame>, ReplyError> {
    let mut codec = ReplyCodec::with_limits(Version::Resp3, limits);
    let mut buffer = BytesMut::new();
    let mut last = Ok(None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        last = codec.decode(&mut buffer);
        if last.is_err() {
            break;
        }
    }
    last
}

#[test]
fn a_reply_may_be_as_large_as_its_limits() {
    let limits = ReplyLimits { max_line_bytes: 10, max_bulk_bytes: 5, max_elements: 3, ..Default::default() };
    let told = |name, limit| Err(ReplyError::LimitExceeded(name, limit));
    for (long, result) in [(false, Ok(Some(Frame::Simple("123456789".into())))), (true, told("bytes of a line", 10))] {
        let line: &[u8] = if long { b"+123456789a" } else { b"+123456789" };
        assert_eq!(reply(limits, &[line, b"\r\n"]), result);
        assert_eq!(reply(limits, &[&[line, b"\r\n"].concat()]), result);
        // Nor does it depend on the pieces whether a bad end or the length is told.
        let bad_end = if long { told("bytes of a line", 10) } else { Err(ReplyError::BadLineEnd) };
        assert_eq!(reply(limits, &[line, b"\n\n"]), bad_end);
        assert_eq!(reply(limits, &[&[line, b"\n\n"].concat()]), bad_end);
    }
    assert_eq!(reply(limits, &[b"$5\r\n12345\r\n"]), Ok(Some(Frame::Bulk("12345".into()))));
    assert_eq!(reply(limits, &[b"$6\r\n"]), told("bytes of a string", 5));
    let three = vec![Frame::Integer(1), Frame::Integer(2), Frame::Integer(3)];
    assert_eq!(reply(limits, &[b"*3\r\n:1\r\n:2\r\n:3\r\n"]), Ok(Some(Frame::Array(three))));
    assert_eq!(reply(limits, &[b"*4\r\n"]), told("elements", 3));
}

#[test]
fn a_codec_speaks_the_version_that_it_is_told() {
    let mut codec = ReplyCodec::new(Version::Resp2);
    codec.set_version(Version::Resp3);
    let mut out = BytesMut::new();
    codec.encode(Frame::Null, &mut out).unwrap();
    assert_eq!(&out[..], b"_\r\n");
}

#[test]
fn heads_are_right_around_the_numbers_where_they_grow() {
    for length in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 1023, 1024, 1025, 65_536] {
        let mut out = BytesMut::new();
        let mut writer = ReplyWriter::new(&mut out, Version::Resp3);
        assert_eq!(writer.version(), Version::Resp3);
        writer.bulk_header(length);
        writer.raw(b"raw");
        writer.integer_bulk(length as i64);
        writer.bulk(&vec![b'v'; length]);
        writer.integer(-(length as i64));
        let digits = length.to_string();
        let value = "v".repeat(length);
        let negative = -(length as i64);
        let wanted =
            format!("${length}\r\nraw${}\r\n{digits}\r\n${length}\r\n{value}\r\n:{negative}\r\n", digits.len());
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }
}

#[test]
fn counts_of_one_two_and_three_digits_are_read_alike() {
    for count in [1, 9, 10, 99, 100, 101] {
        let mut wire = format!("*{count}\r\n").into_bytes();
        wire.extend_from_slice(&b"$1\r\na\r\n".repeat(count));
        let batch = RequestCodec::new(Limits::AUTHENTICATED).decode(&mut BytesMut::from(&wire[..])).unwrap().unwrap();
        assert_eq!((batch.len(), batch.is_empty(), batch.request(0).len()), (1, false, count));
    }
    // The byte in front says what it is, whatever its digits look like.
    for wire in [&b"*1\r\n*1\r\n"[..], b"*1\r\n*10\r\n", b"*1\r\n:1\r\n"] {
        assert!(matches!(request_error(wire), Some(RequestError::ExpectedBulk(_))));
    }
    assert_eq!(exact_integer(b"10"), Some(10));
}

#[test]
fn a_queue_gives_back_what_it_was_given() {
    let mut queue = Queue::default();
    assert_eq!((queue.is_empty(), queue.len(), queue.memory_bytes()), (true, 0, 0));
    let requests: [&[&[u8]]; 2] = [&[b"SET", b"k", &[7; 5000]], &[b"GET", b""]];
    for (index, request) in requests.into_iter().enumerate() {
        assert!(queue.push(request.iter().copied()));
        assert_eq!((queue.len(), queue.is_empty()), (index + 1, false));
    }
    // The bytes, and where they lie: eight for an argument, four for a request.
    let (bytes, least) = (queue.memory_bytes(), 5007 + 5 * 8 + 2 * 4);
    assert!((least..2 * least).contains(&bytes), "{bytes} bytes");
    let batch = queue.into_batch();
    for (request, wanted) in batch.iter().zip(requests) {
        assert!(request.iter().eq(wanted.iter().copied()));
        assert_eq!(request.get(wanted.len()), None);
        assert_eq!(request.get(0), Some(wanted[0]));
    }
    assert_eq!(batch.len(), 2);
}

#[test]
fn a_batch_of_one_shares_what_was_received() {
    let wire = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nset \"a b\" c\r\n*1\r\n$4\r\nPING\r\n";
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let batch = codec.decode(&mut BytesMut::from(&wire[..])).unwrap().unwrap();
    for index in 0..3 {
        let one = batch.only(index);
        assert_eq!(one.len(), 1);
        assert!(one.request(0).iter().eq(batch.request(index).iter()));
        assert_eq!(one.request(0)[0].as_ptr(), batch.request(index)[0].as_ptr());
    }
    assert_eq!(batch.request(0).pinned_bytes(), wire.len());
    let (bytes, least) = (batch.memory_bytes(), wire.len() + 3 + 6 * 8 + 3 * 4);
    assert!((least..3 * least).contains(&bytes), "{bytes} bytes");
    assert!(batch.only(2).memory_bytes() < bytes);
}

#[test]
fn a_codec_tells_what_it_holds() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    assert_eq!(codec.memory_bytes(), 0);
    // A request under way: 200 arguments are known, of eight bytes each.
    let mut buffer = BytesMut::from(&b"*201\r\n"[..]);
    buffer.extend_from_slice(&b"$1\r\na\r\n".repeat(200));
    assert!(codec.decode(&mut buffer).unwrap().is_none());
    let bytes = codec.memory_bytes();
    assert!((1600..4000).contains(&bytes), "{bytes} bytes");
    buffer.extend_from_slice(b"$1\r\na\r\n");
    let batch = codec.decode(&mut buffer).unwrap().unwrap();
    // The vectors have gone with the batch, and come back.
    assert!(codec.memory_bytes() < 100, "{} bytes", codec.memory_bytes());
    codec.recycle(batch);
    assert!(codec.memory_bytes() >= 1600, "{} bytes", codec.memory_bytes());
}

#[test]
fn words_are_split_and_unescaped() {
    let words = |line: &[u8]| split_words(line).ok();
    let of = |words: &[&[u8]]| Some(words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
    assert_eq!(words(b""), of(&[]));
    assert_eq!(words(b"  maxmemory\t1gb "), of(&[b"maxmemory", b"1gb"]));
    assert_eq!(words(br#"a 'b c' "\x41\xf0\xFf""#), of(&[b"a", b"b c", b"A\xf0\xff"]));
    assert_eq!(words(br#""\n\r\t\b\a\q" 'it\'s'"#), of(&[b"\n\r\t\x08\x07q", b"it's"]));
    for open in [&b"\"a"[..], b"'a", b"\"a\"b", b"'a'b"] {
        assert_eq!(words(open), None, "{}", open.escape_ascii());
    }
}

#[test]
fn doubles_have_a_point_or_an_exponent_as_redis_has() {
    for (value, text) in [
        (1e7, "10000000"),
        (1e8, "1e+8"),
        (1.5e8, "150000000"),
        (1.5e9, "1.5e+9"),
        (123_456_789.0, "123456789"),
        (0.000_001, "0.000001"),
        (1e-7, "1e-7"),
        (1.25e-7, "1.25e-7"),
        (0.001_234_567, "0.001234567"),
        (0.000_123_456_7, "1.234567e-4"),
        (-1e-9, "-1e-9"),
    ] {
        assert_eq!(shortest(value), text);
    }
}
