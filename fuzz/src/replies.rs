//! Reply bytes: the same frames however they are cut, and every frame survives being written and read again.

use bytes::{Bytes, BytesMut};
use resp::{Frame, ReplyCodec, ReplyError, ReplyLimits, Version};
use tokio_util::codec::{Decoder, Encoder};

const LIMITS: ReplyLimits =
    ReplyLimits { max_depth: 16, max_elements: 1 << 16, max_bulk_bytes: 1 << 20, max_line_bytes: 512 };

/// Decodes a stream whole and in pieces, then writes each frame in RESP3 and reads it back.
pub fn round_trip(input: &[u8]) {
    let Some((sizes, stream)) = input.split_first_chunk::<4>() else { return };
    let (frames, error) = feed([stream]);
    let mut cuts = sizes.iter().cycle();
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let size = usize::from(*cuts.next()?).clamp(1, rest.len().max(1));
        let (piece, left) = rest.split_at_checked(size)?;
        rest = left;
        Some(piece)
    });
    let (cut_frames, cut_error) = feed(pieces);
    // By their text, in which a NaN equals itself.
    assert_eq!(format!("{frames:?}"), format!("{cut_frames:?}"));
    assert_eq!(error, cut_error);
    for frame in frames {
        write_and_read(frame);
    }
}

/// A frame written in RESP3 and read again is the same frame.
pub fn write_and_read(frame: Frame) {
    let mut codec = ReplyCodec::new(Version::Resp3);
    let mut wire = BytesMut::new();
    codec.encode(frame.clone(), &mut wire).expect("encoding cannot fail");
    let bytes = Bytes::copy_from_slice(&wire);
    let again = codec.decode(&mut wire).expect("what was written can be read").expect("and is whole");
    assert!(wire.is_empty(), "{} bytes left of {bytes:?}", wire.len());
    assert_eq!(format!("{again:?}"), format!("{:?}", with_one_null(frame)), "{bytes:?}");
}

/// The frames of a stream and the error that ended it.
pub fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<ReplyError>) {
    let mut codec = ReplyCodec::with_limits(Version::Resp3, LIMITS);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The frame as RESP3 can say it: there is only one null.
fn with_one_null(frame: Frame) -> Frame {
    let all = |items: Vec<Frame>| items.into_iter().map(with_one_null).collect();
    let both = |pairs: Vec<(Frame, Frame)>| {
        pairs.into_iter().map(|(key, value)| (with_one_null(key), with_one_null(value))).collect()
    };
    match frame {
        Frame::NullArray => Frame::Null,
        Frame::Array(items) => Frame::Array(all(items)),
        Frame::Set(items) => Frame::Set(all(items)),
        Frame::Push(items) => Frame::Push(all(items)),
        Frame::Map(pairs) => Frame::Map(both(pairs)),
        Frame::Attribute(pairs, reply) => Frame::Attribute(both(pairs), Box::new(with_one_null(*reply))),
        other => other,
    }
}
