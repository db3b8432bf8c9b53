//! What parsing and writing cost: `cargo bench -p resp`.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use resp::{Limits, ReplyWriter, RequestCodec, Version, encode_request};
use tokio_util::codec::Decoder;

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n";

criterion_group!(benches, small_requests, many_arguments, big_value, replies);
criterion_main!(benches);

/// Requests as a server reads them: bytes arrive, a batch is taken, every argument is looked at.
fn small_requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for (name, request) in [("set_33_bytes", SET), ("get_36_bytes", GET)] {
        for depth in [1, 16, 64] {
            let wire = request.repeat(depth);
            let mut connection = Connection::new();
            group.throughput(Throughput::Elements(depth as u64));
            group.bench_function(format!("{name}/pipeline_{depth}"), |bencher| {
                bencher.iter(|| connection.receive(&wire));
            });
        }
    }
    group.finish();
}

/// An MSET of 64 k arguments, in one piece and in reads of 16 KiB.
fn many_arguments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mset");
    for arguments in [1 << 12, 1 << 16] {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, &vec!["key:00000042"; arguments]);
        group.throughput(Throughput::Elements(arguments as u64));
        group.bench_function(format!("{arguments}_arguments/whole"), |bencher| {
            let mut connection = Connection::new();
            bencher.iter(|| connection.receive(&wire));
        });
        group.bench_function(format!("{arguments}_arguments/reads_of_16_kib"), |bencher| {
            let mut connection = Connection::new();
            bencher.iter(|| wire.chunks(16 << 10).map(|piece| connection.receive(piece)).sum::<usize>());
        });
    }
    group.finish();
}

/// A value in reads of 16 KiB, into a buffer that has the room: the time is copying and parsing.
fn big_value(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("value_in_reads_of_16_kib");
    group.sample_size(10);
    for megabytes in [10, 100] {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, &[&b"SET"[..], b"k", &vec![b'v'; megabytes * 1_000_000]]);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("{megabytes}_mb"), |bencher| {
            let mut connection = Connection::new();
            connection.buffer.reserve(wire.len());
            bencher.iter(|| wire.chunks(16 << 10).map(|piece| connection.receive(piece)).sum::<usize>());
        });
    }
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(1));
    let value = [b'v'; 64];
    type Write = fn(&mut ReplyWriter<'_>, &[u8]);
    let writes: [(&str, Write); 6] = [
        ("status", |writer, _| writer.simple("OK")),
        ("null", |writer, _| writer.null()),
        ("integer_small", |writer, _| writer.integer(black_box(42))),
        ("integer_large", |writer, _| writer.integer(black_box(1_234_567_890_123))),
        ("bulk_64_bytes", |writer, value| writer.bulk(value)),
        ("double", |writer, _| writer.double(black_box(3.25))),
    ];
    for (name, write) in writes {
        let mut out = BytesMut::with_capacity(16 << 10);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                if out.len() > 15 << 10 {
                    out.clear();
                }
                write(&mut ReplyWriter::new(&mut out, Version::Resp3), black_box(&value));
            });
        });
    }
    group.finish();
}

struct Connection {
    codec: RequestCodec,
    buffer: BytesMut,
}

impl Connection {
    fn new() -> Self {
        Connection { codec: RequestCodec::new(Limits::AUTHENTICATED), buffer: BytesMut::with_capacity(16 << 10) }
    }

    /// Takes a read's bytes; the bytes of all arguments that are whole now.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        self.buffer.extend_from_slice(black_box(bytes));
        let mut total = 0;
        while let Some(batch) = self.codec.decode(&mut self.buffer).expect("the bytes are well formed") {
            total += batch.iter().flat_map(|request| request.iter()).map(<[u8]>::len).sum::<usize>();
            self.codec.recycle(batch);
        }
        total
    }
}
