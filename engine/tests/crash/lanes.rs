//! However many lanes replay a log, and whether on threads of their own: the same store, or the same damage.

use std::sync::Arc;

use engine::clock::SimClock;
use engine::disk::sim::{SimDisk, Survival};
use engine::value::op::{self, Op};
use engine::{Error, FsyncMode, Lanes, Options, Store, Value};

use crate::bench::{Bench, bench, options};

const WAYS: [Lanes; 4] = [
    Lanes { count: 1, threads: false },
    Lanes { count: 3, threads: false },
    Lanes { count: 2, threads: true },
    Lanes { count: 5, threads: true },
];

/// Some thousand frames of all kinds over several segments.
fn full() -> Bench {
    let bench = bench(FsyncMode::EverySec);
    let store = &bench.store;
    for round in 0..400_u32 {
        let name = |number: u32| format!("key {}", number % 70).into_bytes();
        let names: Vec<Vec<u8>> = (round..round + 4).map(name).collect();
        let keys: Vec<_> = names.iter().map(|name| store.key(name)).collect();
        let mut transaction = store.begin((round % 3) as u8, &keys, store.now_ms());
        for (at, key) in keys.iter().enumerate() {
            match (round as usize + at) % 7 {
                0 => _ = transaction.remove(key),
                1 => _ = transaction.append(key, &[b'a'; 300]),
                2 => _ = transaction.set_deadline(key, Some(1 << 50)),
                3 => transaction.set(key, Value::Copy(&[b'v'; 900]), None),
                4 => _ = transaction.set_range(key, 5, b"range"),
                _ => transaction.set(key, Value::Copy(b"short"), Some(1 << 51)),
            }
        }
        transaction.commit();
        if round == 200 {
            store.flush(&[1]);
        }
        store.log().write_out();
    }
    bench
}

fn open(disk: &SimDisk, lanes: Lanes, memory_goal: u64) -> Result<Arc<Store>, Error> {
    let options = Options { lanes, memory_goal, ..options(FsyncMode::EverySec) };
    Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1 << 40)), options)
}

#[test]
fn lanes_make_the_same_store() {
    let bench = full();
    bench.store.close();
    let found = |lanes, memory_goal| {
        let store = open(&bench.disk.power_loss_with(Survival::Everything), lanes, memory_goal).unwrap();
        store.audit().unwrap();
        let records = store.recovery().records;
        (store.digest(None), records, store.live_log_bytes(), store.options().progress.keys(), store.cold_keys() > 0)
    };
    for memory_goal in [u64::MAX, 0] {
        let alone = found(WAYS[0], memory_goal);
        assert_eq!(alone.4, memory_goal == 0, "values are left to the log when there is no room for them");
        for lanes in WAYS {
            assert_eq!(found(lanes, memory_goal), alone, "{lanes:?}");
        }
    }
    assert_eq!(found(WAYS[2], 0).0, found(WAYS[2], u64::MAX).0);
}

#[test]
fn lanes_tell_the_same_damage() {
    let bench = full();
    bench.store.close();
    let names = bench.disk.names();
    let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".log")).collect();
    for (name, byte) in [(segments[0], 5000), (segments[1], 30_000)] {
        let told = |lanes| {
            let disk = bench.disk.power_loss_with(Survival::Everything);
            disk.flip_bit(name, byte, 3);
            open(&disk, lanes, u64::MAX).map(drop).expect_err(name).to_string()
        };
        let alone = told(WAYS[0]);
        assert!(alone.contains("corrupt"), "{alone}");
        WAYS.iter().for_each(|lanes| assert_eq!(told(*lanes), alone));
    }
}

#[test]
fn lanes_read_back_what_a_change_stands_upon() {
    let bench = bench(FsyncMode::EverySec);
    let key = bench.store.key(b"list");
    let elements: Vec<Vec<u8>> = (0..40).map(|number| format!("element {number}").into_bytes()).collect();
    bench.set(b"string", &[b's'; 500]);
    let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
    let push = Op::over(op::LIST_PUSH_BACK, elements.iter().map(|element| &element[..]));
    transaction.apply(&key, &push).unwrap();
    transaction.commit();
    let string = bench.store.key(b"string");
    let mut transaction = bench.store.begin(0, &[string], bench.store.now_ms());
    transaction.append(&string, b"tail");
    transaction.commit();
    bench.store.close();
    let store = open(&bench.disk.process_crash(), WAYS[1], 0).unwrap();
    store.audit().unwrap();
    assert_eq!(store.digest(None), bench.store.digest(None));
    assert_eq!(store.cold_keys(), 1, "the string was changed, and had to be read");
}
