//! Databases that are exchanged: compaction keeps the map as it is, and nothing of the maps before.

use engine::clock::Clock;
use engine::disk::sim::{SimDisk, Survival};
use engine::{FsyncMode, Options};

use crate::bench::{Bench, bench_with, options};

/// From so much log on compaction looks for garbage.
const COMPACT_FROM: u64 = 100 << 10;
/// Their frames are more than that together.
const EXCHANGES: u64 = COMPACT_FROM / 16;

fn exchange(bench: &Bench, one: u8, other: u8) {
    let mut transaction = bench.store.begin_all(0, bench.store.now_ms());
    transaction.swap_databases(one, other);
    transaction.commit();
}

/// All work that is due in so many turns; not more, for it may never end.
fn turns(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        bench.store.log().write_out();
        bench.step();
        for _ in 0..20 {
            bench.maintenance.step(&bench.store, bench.clock.monotonic_us());
        }
        bench.clock.advance_ms(100);
    }
}

/// Exchanges databases very often, lets compaction come to rest and pass over the last exchange, and opens what is left.
pub fn often() -> Result<(), String> {
    let small = Options { compact_from_bytes: COMPACT_FROM, ..options(FsyncMode::EverySec) };
    let mut bench = bench_with(SimDisk::new(4), small);
    bench.set(b"key", b"of the database that is 7 from now on");
    exchange(&bench, 0, 7);
    bench.set(b"key", b"of the database that was 7");
    for number in 0..EXCHANGES {
        exchange(&bench, 1, 2);
        if number % 100 == 0 {
            turns(&mut bench, 1);
        }
    }
    turns(&mut bench, 300);
    let (log_bytes, appended) = (bench.store.log_bytes(), bench.store.log().appended());
    if log_bytes > 2 * COMPACT_FROM {
        return Err(format!("{EXCHANGES} exchanges have left a log of {log_bytes} bytes"));
    }
    turns(&mut bench, 50);
    if bench.store.log().appended() != appended {
        return Err("compaction does not come to rest".to_owned());
    }
    // What is written over and over makes compaction go on beyond the last exchange.
    for round in 0..100_u8 {
        bench.set(b"filler", &[round; 4000]);
        turns(&mut bench, 10);
    }
    let before = bench.store.digest(None);
    let after = bench.reopened(Survival::Nothing).store.digest(None);
    if before == after { Ok(()) } else { Err("an exchange is forgotten".to_owned()) }
}

#[test]
fn databases_that_are_exchanged_often_leave_nothing_in_the_log() {
    often().unwrap();
}
