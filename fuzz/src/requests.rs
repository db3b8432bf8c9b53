//! Request bytes: the same requests however they are cut, and no more memory than was sent.

use bytes::BytesMut;
use resp::{Limits, RequestCodec, RequestError};
use tokio_util::codec::Decoder;

/// What a codec made of a stream: each request's arguments, and the error that ended it.
pub type Outcome = (Vec<Vec<Vec<u8>>>, Option<RequestError>);

/// Bytes of memory allowed for each byte received: the most costly request is `a␊`, which takes a range and an end.
const BYTES_PER_BYTE: usize = 32;
/// Bytes of memory allowed beside that.
const SLACK_BYTES: usize = 16 << 10;

/// The requests and the error are the same for a stream in one piece and for the same stream in many.
pub fn split(input: &[u8]) {
    let Some((options, sizes, stream)) = options(input) else { return };
    let whole = feed(options, [stream]);
    let pieces = feed(options, pieces(sizes, stream));
    assert_eq!(whole, pieces, "cutting {:?} changed its meaning", stream.escape_ascii().to_string());
}

/// Memory stays within a constant times the bytes received. `grown` tells how far it rose above its level at the start
/// (0 when nobody counts: then only what the codec says of itself is checked).
pub fn allocation(input: &[u8], mut grown: impl FnMut() -> usize) {
    let Some((limits, sizes, stream)) = options(input) else { return };
    let mut codec = RequestCodec::new(limits);
    let mut buffer = BytesMut::new();
    let mut received = 0;
    for piece in pieces(sizes, stream) {
        buffer.extend_from_slice(piece);
        received += piece.len();
        let bound = received * BYTES_PER_BYTE + SLACK_BYTES;
        loop {
            let decoded = codec.decode(&mut buffer);
            let mut held = codec.memory_bytes();
            if let Ok(Some(batch)) = &decoded {
                held += batch.memory_bytes();
            }
            assert!(held <= bound, "{held} bytes held after {received} received");
            let grown = grown();
            assert!(grown <= bound, "{grown} bytes allocated after {received} received");
            match decoded {
                Ok(Some(batch)) => codec.recycle(batch),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// Feeds pieces to a fresh codec, as a connection does.
pub fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut codec = RequestCodec::new(limits);
    let mut buffer = BytesMut::new();
    let mut requests = Vec::new();
    for piece in pieces {
        // A buffer of its own for every read: positions must not depend on where the bytes lie.
        buffer = BytesMut::from(&[&buffer[..], piece].concat()[..]);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(batch)) => {
                    assert!(!batch.is_empty() && batch.len() <= limits.max_batch_requests);
                    requests.extend(batch.iter().map(|request| request.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()));
                    codec.recycle(batch);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(codec.decode(&mut buffer).err().as_ref(), Some(&error), "an error stays");
                    return (requests, Some(error));
                }
            }
        }
        assert!(codec.is_mid_request() || buffer.is_empty(), "bytes left over that belong to no request");
        assert!(codec.is_mid_request() || codec.bytes_wanted() == 0);
    }
    (requests, None)
}

/// Limits, piece sizes and stream of an input.
fn options(input: &[u8]) -> Option<(Limits, [u8; 4], &[u8])> {
    let (options, rest) = input.split_first()?;
    let (sizes, stream) = rest.split_first_chunk()?;
    let limits = match options % 4 {
        0 => Limits::AUTHENTICATED,
        1 => Limits::UNAUTHENTICATED,
        // Small enough for a fuzzer to reach every limit.
        2 => Limits {
            max_arguments: 5,
            max_bulk_bytes: 20,
            max_inline_bytes: 64,
            max_request_bytes: 90,
            max_batch_requests: 3,
            ..Limits::AUTHENTICATED
        },
        _ => Limits { max_batch_requests: 2, ..Limits::AUTHENTICATED },
    };
    Some((limits, *sizes, stream))
}

/// Cuts `stream` into pieces whose sizes repeat.
fn pieces(sizes: [u8; 4], mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut sizes = sizes.into_iter().cycle();
    std::iter::from_fn(move || {
        let size = usize::from(sizes.next()?).clamp(1, stream.len().max(1));
        let (piece, rest) = stream.split_at_checked(size)?;
        stream = rest;
        Some(piece)
    })
}
