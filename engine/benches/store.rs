//! The store without a network: set, get, both mixed, collections, one group commit in each mode, and recovery.
//!
//! ```text
//! cargo bench -p engine --bench store
//! ```
//!
//! Set, get, mixed and collections run on a disk that forgets the log, so that they measure memory and the log's own
//! work; group commit and recovery use a directory of the real one (`TMPDIR` says where).

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed, as it should")]

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::clock::{SimClock, SystemClock};
use engine::disk::sim::SimDisk;
use engine::disk::{File, OsDisk};
use engine::random::Random;
use engine::value::op::{self, Op};
use engine::{Collection, Flusher, FsyncMode, Key, Maintenance, Options, Store, Transaction, Value};

#[path = "../tests/crash/through.rs"]
#[expect(unreachable_pub, reason = "shared with the crash tests")]
mod through;

use through::Through;

const KEYS: u64 = 100_000;
/// Requests of one turn of a worker, after which it writes what they appended.
const TURN: u64 = 16;
const VALUE: [u8; 64] = [b'v'; 64];

fn key_name(number: u64) -> [u8; 16] {
    let mut name = *b"key:000000000000";
    name[8..].copy_from_slice(&number.to_be_bytes());
    name
}

fn set(store: &Store, number: u64, now_ms: u64) -> u64 {
    let name = key_name(number);
    let key = store.key(&name);
    let mut transaction = store.begin(0, &[key], now_ms);
    transaction.set(&key, Value::Copy(&VALUE), None);
    transaction.commit()
}

fn get(store: &Store, number: u64, now_ms: u64) -> usize {
    let name = key_name(number);
    let key = store.key(&name);
    let mut transaction = store.begin(0, &[key], now_ms);
    transaction.get(&key).map_or(0, |item| item.string().unwrap_or_default().len())
}

/// A segment that forgets what is written to it.
struct Nothing;

impl File for Nothing {
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, bytes: &[u8], _offset: u64) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn forgetful() -> Arc<Store> {
    let clock = Arc::new(SimClock::new(1 << 40));
    let forget = |name: &str, file| -> Arc<dyn File> { if name.ends_with(".log") { Arc::new(Nothing) } else { file } };
    let store = Store::open(Arc::new(Through(SimDisk::new(1), forget)), clock, Options::default()).unwrap();
    for number in 0..KEYS {
        set(&store, number, 1);
    }
    store.log().write_out();
    store
}

fn requests(c: &mut Criterion) {
    let store = forgetful();
    let mut chance = Random::new(1);
    let mut group = c.benchmark_group("request");
    group.throughput(Throughput::Elements(TURN));
    for (name, sets_in_eight) in [("get", 0), ("mixed_1_set_in_8", 1), ("set", 8)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                for _ in 0..TURN {
                    let number = chance.below(KEYS);
                    if chance.below(8) < sets_in_eight {
                        black_box(set(&store, number, 1));
                    } else {
                        black_box(get(&store, number, 1));
                    }
                }
                store.log().write_out();
            });
        });
    }
    group.finish();
}

/// Keys of small collections, and the elements of one, and of the only large one.
const SMALL_KEYS: u64 = 1_000;
const SMALL: u64 = 100;
const LARGE: u64 = 100_000;

/// A command on a collection: name, the operation that fills it, what a turn does with an element, both by number.
type Case = (&'static str, u8, fn(&mut Transaction<'_>, &Key<'_>, u64, u64));

const CASES: [Case; 8] = [
    ("hset", op::HASH_SET, |transaction, key, number, turn| {
        let _ = transaction.apply(key, &Op::over(op::HASH_SET, [&key_name(number)[..], &turn.to_be_bytes()]));
    }),
    ("sadd_srem", op::SET_ADD, |transaction, key, _, turn| {
        let code = if turn % 2 == 0 { op::SET_ADD } else { op::SET_REMOVE };
        let _ = transaction.apply(key, &Op::over(code, [&key_name(LARGE + turn / 2)[..]]));
    }),
    ("zadd", op::ZSET_ADD, |transaction, key, number, turn| {
        let score = (turn * 7_919 % 100_003) as f64;
        let _ = transaction.apply(key, Op::new(op::ZSET_ADD).score(score).element(&key_name(number)));
    }),
    ("lpush_lpop", op::LIST_PUSH_BACK, |transaction, key, number, turn| {
        let _ = match turn % 2 {
            0 => transaction.apply(key, &Op::over(op::LIST_PUSH_FRONT, [&key_name(number)[..]])),
            _ => transaction.apply(key, Op::new(op::LIST_POP_FRONT).number(1)),
        };
    }),
    ("hget", op::HASH_SET, |transaction, key, number, _| {
        let item = transaction.get(key).unwrap();
        black_box(item.hash().unwrap().get(&key_name(number)));
    }),
    ("lrange100", op::LIST_PUSH_BACK, |transaction, key, _, _| {
        let list = transaction.get(key).unwrap().list().unwrap();
        black_box(list.iter_from(0).take(100).map(<[u8]>::len).sum::<usize>());
    }),
    ("zrange100", op::ZSET_ADD, |transaction, key, _, _| {
        let zset = transaction.get(key).unwrap().zset().unwrap();
        black_box(zset.from_rank(0).take(100).map(|(member, _)| member.len()).sum::<usize>());
    }),
    ("sismember", op::SET_ADD, |transaction, key, number, _| {
        black_box(transaction.get(key).unwrap().set().unwrap().contains(&key_name(number)));
    }),
];

fn fill(store: &Store, key: &Key<'_>, code: u8, count: u64) {
    let mut transaction = store.begin(0, &[*key], 1);
    let collection = Collection::of(code, &transaction.limits(), 0..count, |op, number| {
        if code == op::ZSET_ADD {
            op.score(number as f64);
        }
        op.element(&key_name(number));
        if code == op::HASH_SET {
            op.element(&VALUE[..8]);
        }
    });
    transaction.set_collection(key, collection, None);
    transaction.commit();
}

fn collections(c: &mut Criterion) {
    let mut group = c.benchmark_group("collection");
    group.throughput(Throughput::Elements(TURN));
    for (name, code, run) in CASES {
        for (keys, count) in [(SMALL_KEYS, SMALL), (1, LARGE)] {
            let store = forgetful();
            (0..keys).for_each(|number| fill(&store, &store.key(&key_name(number)), code, count));
            store.log().write_out();
            let mut turn = 0;
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    for _ in 0..TURN {
                        let bytes = key_name(turn / 2 % keys);
                        let key = store.key(&bytes);
                        let mut transaction = store.begin(0, &[key], 1);
                        run(&mut transaction, &key, turn % count, turn);
                        transaction.commit();
                        turn += 1;
                    }
                    store.log().write_out();
                });
            });
        }
    }
    group.finish();
}

fn on_disk(directory: &Path, mode: FsyncMode) -> Arc<Store> {
    let disk = Arc::new(OsDisk::open(directory).unwrap());
    Store::open(disk, Arc::new(SystemClock::new()), Options { mode, ..Options::default() }).unwrap()
}

/// So many clients write one value each, then all are acknowledged.
fn group_commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("group_commit");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        for clients in [1, 50] {
            let directory = tempfile::tempdir().unwrap();
            let store = on_disk(directory.path(), mode);
            let mut flusher = Flusher::new(store.log().clone());
            let mut maintenance = Maintenance::default();
            while maintenance.step(&store, store.clock().monotonic_us()) {}
            group.throughput(Throughput::Elements(clients));
            group.bench_function(BenchmarkId::new(format!("{mode:?}"), clients), |b| {
                b.iter(|| {
                    let last = (0..clients).map(|client| set(&store, client, 1)).max().unwrap();
                    store.log().write_out();
                    while store.log().acknowledged() < last {
                        flusher.step(store.clock().monotonic_us());
                    }
                });
            });
            maintenance.step(&store, store.clock().monotonic_us());
        }
    }
    group.finish();
}

fn recovery(c: &mut Criterion) {
    let mut group = c.benchmark_group("recovery");
    group.sample_size(10).throughput(Throughput::Elements(KEYS));
    let directory = tempfile::tempdir().unwrap();
    let store = on_disk(directory.path(), FsyncMode::No);
    for number in 0..KEYS {
        set(&store, number, 1);
    }
    store.close();
    drop(store);
    group.bench_function("open_100000_keys", |b| {
        b.iter_batched(|| (), |()| on_disk(directory.path(), FsyncMode::No), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, requests, collections, group_commit, recovery);
criterion_main!(benches);
