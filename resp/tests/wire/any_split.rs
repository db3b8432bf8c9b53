//! However the network cuts a stream, what it says stays the same; and what is written can be read.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use resp::{Frame, Limits, ReplyCodec, Version, encode_request};
use tokio_util::codec::{Decoder, Encoder};

use crate::{replies, requests};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn requests_survive_any_split(parts in vec(request_bytes(), 1..8), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = parts.concat();
        for limits in [Limits::AUTHENTICATED, Limits::UNAUTHENTICATED, small_limits()] {
            let whole = requests::feed(limits, [&stream[..]]);
            prop_assert_eq!(&whole, &requests::feed(limits, cut(&stream, &cuts)));
            prop_assert_eq!(&whole, &requests::feed(limits, stream.chunks(1)));
        }
    }

    #[test]
    fn encoded_requests_are_decoded(all in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..10)) {
        let mut wire = BytesMut::new();
        for request in &all {
            encode_request(&mut wire, request);
        }
        prop_assert_eq!(requests::feed(Limits::AUTHENTICATED, [&wire[..]]), (all, None));
    }

    #[test]
    fn replies_survive_any_split(frames in vec(frame(), 1..5), cuts in vec(any::<prop::sample::Index>(), 0..12),
                                 version in prop_oneof![Just(Version::Resp2), Just(Version::Resp3)]) {
        let mut wire = BytesMut::new();
        let mut codec = ReplyCodec::new(version);
        for frame in frames {
            codec.encode(frame, &mut wire).unwrap();
        }
        let whole = replies::feed([&wire[..]]);
        prop_assert_eq!(&whole, &replies::feed(cut(&wire, &cuts)));
        prop_assert_eq!(&whole, &replies::feed(wire.chunks(1)));
    }

    #[test]
    fn random_replies_survive_any_split(stream in vec(reply_byte(), 0..60)) {
        let (frames, error) = replies::feed([&stream[..]]);
        let (cut_frames, cut_error) = replies::feed(stream.chunks(1));
        prop_assert_eq!(format!("{frames:?}"), format!("{cut_frames:?}"));
        prop_assert_eq!(error, cut_error);
    }

    #[test]
    fn frames_survive_resp3(frame in frame()) {
        replies::write_and_read(frame);
    }

    #[test]
    fn frames_of_resp2_survive_resp2(frame in resp2_frame()) {
        let mut codec = ReplyCodec::new(Version::Resp2);
        let mut wire = BytesMut::new();
        codec.encode(frame.clone(), &mut wire).unwrap();
        prop_assert_eq!(codec.decode(&mut wire).unwrap(), Some(frame));
        prop_assert!(wire.is_empty());
    }
}

/// Limits that ordinary test data reaches.
fn small_limits() -> Limits {
    Limits {
        max_arguments: 4,
        max_bulk_bytes: 30,
        max_inline_bytes: 64,
        max_request_bytes: 100,
        max_batch_requests: 2,
        ..Limits::AUTHENTICATED
    }
}

/// Bytes of one request: mostly right, sometimes empty, cut short or broken.
fn request_bytes() -> impl Strategy<Value = Vec<u8>> {
    let array = vec(vec(any::<u8>(), 0..40), 1..6).prop_map(|request| {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, &request);
        wire.to_vec()
    });
    let inline = "[a-c \\\\x4n\"'\t]{0,30}\r?\n".prop_map(String::into_bytes);
    let empty = prop_oneof![Just("*0\r\n"), Just("*-1\r\n"), Just("\r\n"), Just("\n")].prop_map(Vec::from);
    let broken = "[*$]{0,2}-?[0-9x]{0,3}[\r\n]{0,2}[$a]?".prop_map(String::into_bytes);
    let long_line = (prop_oneof![Just(b'*'), Just(b'$'), Just(b'a')], 60..70_usize).prop_map(|(first, length)| {
        let mut line = vec![b'1'; length];
        line[0] = first;
        line
    });
    let noise = vec(any::<u8>(), 0..20);
    prop_oneof![8 => array, 4 => inline, 2 => empty, 1 => broken, 1 => long_line, 1 => noise]
}

/// Bytes that often make sense as a reply.
fn reply_byte() -> impl Strategy<Value = u8> {
    prop::sample::select(&b"+-:$*_,#!=(%~|>0123\r\n\r\n\r\ntxt:ainfe."[..])
}

fn frame() -> impl Strategy<Value = Frame> {
    let leaf = prop_oneof![
        line().prop_map(Frame::Simple),
        line().prop_map(Frame::Error),
        any::<i64>().prop_map(Frame::Integer),
        blob().prop_map(Frame::Bulk),
        Just(Frame::Null),
        any::<f64>().prop_filter("a NaN is not equal to itself", |value| !value.is_nan()).prop_map(Frame::Double),
        (-1_000_000..1_000_000_i64).prop_map(|value| Frame::Double(value as f64 / 1000.0)),
        any::<bool>().prop_map(Frame::Boolean),
        blob().prop_map(Frame::BlobError),
        (any::<[u8; 3]>(), blob()).prop_map(|(format, text)| Frame::Verbatim { format, text }),
        "[+-]?[0-9]{1,40}".prop_map(|digits| Frame::BigNumber(Bytes::from(digits))),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Frame::Array),
            vec(inner.clone(), 0..5).prop_map(Frame::Set),
            vec(inner.clone(), 0..5).prop_map(Frame::Push),
            pairs.clone().prop_map(Frame::Map),
            (pairs, inner).prop_map(|(pairs, reply)| Frame::Attribute(pairs, Box::new(reply))),
        ]
    })
}

fn resp2_frame() -> impl Strategy<Value = Frame> {
    let leaf = prop_oneof![
        line().prop_map(Frame::Simple),
        line().prop_map(Frame::Error),
        any::<i64>().prop_map(Frame::Integer),
        blob().prop_map(Frame::Bulk),
        Just(Frame::Null),
        Just(Frame::NullArray),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| vec(inner, 0..5).prop_map(Frame::Array))
}

fn line() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>().prop_filter("no line ends", |byte| !b"\r\n".contains(byte)), 0..20).prop_map(Bytes::from)
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..50).prop_map(Bytes::from)
}

/// `stream` cut at the given places.
fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}
