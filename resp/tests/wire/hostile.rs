//! Hostile senders: what is announced costs nothing, and no reply overflows a stack.

use bytes::BytesMut;
use resp::{Frame, Limits, ReplyCodec, ReplyError, RequestCodec, RequestError, Version};
use tokio_util::codec::Decoder;

/// Memory that a connection without a request under way may hold in its parser.
const IDLE_BYTES: usize = 16 << 10;

#[test]
fn announced_sizes_allocate_nothing() {
    let announcements: [&[u8]; 5] = [
        b"*1048576\r\n",
        b"*1048576\r\n$536870912\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc",
        b"*1\r\n$9223372036854775807\r\n",
        b"*1000000000000\r\n",
    ];
    for announcement in announcements {
        let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
        let mut buffer = BytesMut::from(announcement);
        let _ = codec.decode(&mut buffer);
        assert!(codec.memory_bytes() <= 256, "{} bytes for {}", codec.memory_bytes(), announcement.escape_ascii());
        assert!(buffer.capacity() <= 256);
    }
}

#[test]
fn nested_request_headers_are_refused_at_the_second() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::from(&b"*1\r\n".repeat(200_000)[..]);
    assert_eq!(codec.decode(&mut buffer).err(), Some(RequestError::ExpectedBulk(b'*')));
}

#[test]
fn deeply_nested_replies_are_refused() {
    let mut codec = ReplyCodec::new(Version::Resp3);
    let mut buffer = BytesMut::from(&b"*1\r\n".repeat(200_000)[..]);
    assert_eq!(codec.decode(&mut buffer), Err(ReplyError::LimitExceeded("levels", 128)));
}

#[test]
fn a_large_pipeline_leaves_little_behind() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::from(&b"PING\r\n".repeat(10_000)[..]);
    let mut requests = 0;
    while let Some(batch) = codec.decode(&mut buffer).unwrap() {
        requests += batch.len();
        codec.recycle(batch);
    }
    assert_eq!(requests, 10_000);
    assert!(codec.memory_bytes() <= IDLE_BYTES, "{} bytes", codec.memory_bytes());
}

#[test]
fn a_request_of_many_arguments_leaves_little_behind() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::from(&b"*65537\r\n$4\r\nMSET\r\n"[..]);
    buffer.extend_from_slice(&b"$1\r\nk\r\n".repeat(65_536));
    let batch = codec.decode(&mut buffer).unwrap().unwrap();
    assert_eq!(batch.request(0).len(), 65_537);
    codec.recycle(batch);
    assert!(codec.memory_bytes() <= IDLE_BYTES, "{} bytes", codec.memory_bytes());
}

#[test]
fn a_steady_stream_keeps_its_vectors() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::new();
    let mut held = Vec::new();
    for _ in 0..10 {
        buffer.extend_from_slice(&b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(16));
        let batch = codec.decode(&mut buffer).unwrap().unwrap();
        assert_eq!(batch.len(), 16);
        codec.recycle(batch);
        held.push(codec.memory_bytes());
    }
    // Two sets of vectors take turns; from the second batch on nothing grows.
    assert!(held[1..].iter().all(|bytes| *bytes == held[1]), "{held:?}");
}

#[test]
fn shared_arguments_are_slices_of_one_buffer() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nget \"a b\"\r\n"[..]);
    let batch = codec.decode(&mut buffer).unwrap().unwrap();
    let (first, second) = (batch.request(0), batch.request(1));
    assert_eq!(first.shared(1).as_ptr(), first[1].as_ptr());
    assert_eq!(&second.shared(1)[..], b"a b");
    assert_eq!(second.shared(1).as_ptr(), second[1].as_ptr());
    assert_eq!(second.get(2), None);
}

#[test]
fn limits_may_change_between_requests() {
    let mut codec = RequestCodec::new(Limits::UNAUTHENTICATED);
    let mut buffer = BytesMut::from(&b"AUTH secret\r\n*2\r\n$3\r\nGET\r\n$20000\r\n"[..]);
    assert_eq!(codec.decode(&mut buffer).unwrap().unwrap().len(), 1);
    codec.set_limits(Limits::AUTHENTICATED);
    assert!(codec.decode(&mut buffer).unwrap().is_none());
    assert_eq!(codec.bytes_wanted(), 20_002);
}

#[test]
fn a_framed_reader_reports_an_end_inside_a_request() {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n"[..]);
    assert!(matches!(codec.decode_eof(&mut buffer), Err(RequestError::Io(_))));
}

#[test]
fn elements_are_counted_over_all_levels() {
    let limits = resp::ReplyLimits { max_elements: 4, ..Default::default() };
    let mut codec = ReplyCodec::with_limits(Version::Resp3, limits);
    let mut buffer = BytesMut::from(&b"*2\r\n*1\r\n:1\r\n:2\r\n*2\r\n*2\r\n*1\r\n"[..]);
    let inner = Frame::Array(vec![Frame::Integer(1)]);
    assert_eq!(codec.decode(&mut buffer).unwrap(), Some(Frame::Array(vec![inner, Frame::Integer(2)])));
    assert_eq!(codec.decode(&mut buffer), Err(ReplyError::LimitExceeded("elements", 4)));
}
