//! An opening from a checkpoint: the state of the log alone, whatever is wrong with the checkpoint.

use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::Disk;
use engine::disk::sim::{SimDisk, Survival};
use engine::format::segment::{self, Header};
use engine::value::op::{self, Op};
use engine::{Digest, Error, FsyncMode, Options, Store, check, salvage};

use crate::bench::{Bench, bench_with, options};

fn with_checkpoints() -> Options {
    Options { checkpoint_bytes: 20_000, ..options(FsyncMode::Always) }
}

/// A store with two checkpoints and something behind the last; its digest.
fn full() -> (Bench, Digest) {
    let mut bench = bench_with(SimDisk::new(5), with_checkpoints());
    let mut exchange = bench.store.begin_all(0, bench.store.now_ms());
    exchange.swap_databases(0, 7);
    exchange.commit();
    for round in 0..60_u32 {
        for number in 0..3 {
            bench.set(format!("key {}", (round * 7 + number) % 40).as_bytes(), &vec![b'a'; 20 + round as usize * 30]);
        }
        let list = bench.store.key(b"list");
        let mut transaction = bench.store.begin(0, &[list], bench.store.now_ms());
        let elements: Vec<String> = (0..20).map(|number| format!("element {round} {number}")).collect();
        let push = Op::over(op::LIST_PUSH_BACK, elements.iter().map(|element| element.as_bytes()));
        transaction.apply(&list, &push).unwrap();
        transaction.commit();
        let hash = bench.store.key(b"hash");
        let mut transaction = bench.store.begin(3, &[hash], bench.store.now_ms());
        let set = Op::over(op::HASH_SET, [&b"field"[..], elements[0].as_bytes()]);
        transaction.apply(&hash, &set).unwrap();
        transaction.commit();
        bench.remove(format!("key {}", round % 40).as_bytes());
        bench.step();
        bench.maintain();
        bench.step();
        bench.clock.advance_ms(100);
        bench.maintain();
    }
    while bench.store.is_checkpointing() {
        bench.maintain();
        bench.step();
    }
    bench.set(b"last", b"behind");
    bench.store.close();
    let digest = bench.store.digest(None);
    (bench, digest)
}

fn open(disk: &SimDisk) -> Arc<Store> {
    try_open(disk).unwrap()
}

fn try_open(disk: &SimDisk) -> Result<Arc<Store>, Error> {
    let clock = Arc::new(SimClock::new(1 << 40));
    clock.advance_ms(60_000);
    Store::open(Arc::new(disk.clone()), clock, with_checkpoints())
}

fn checkpoints_of(disk: &SimDisk) -> Vec<String> {
    let mut names: Vec<String> = disk.names().into_iter().filter(|name| name.ends_with(".ckpt")).collect();
    names.sort();
    names
}

#[test]
fn an_opening_from_a_checkpoint_reads_the_end_of_the_log_only() {
    let (bench, digest) = full();
    let files = checkpoints_of(&bench.disk.process_crash());
    assert_eq!(files.len(), 2, "the last two are kept: {files:?}");
    let store = open(&bench.disk.power_loss_with(Survival::Nothing));
    let recovery = store.recovery();
    assert!(recovery.checkpoint.is_some() && recovery.refused_checkpoints.is_empty(), "{recovery:?}");
    assert!(recovery.log_bytes < store.log_bytes() / 2, "{recovery:?}");
    assert!(store.cold_keys() > 0, "values are left to the log");
    assert_eq!(store.digest(None), digest);
    store.audit().unwrap();
}

#[test]
fn the_more_a_checkpoint_takes_the_more_the_log_grows_before_the_next() {
    let mut bench = bench_with(SimDisk::new(5), Options { checkpoint_bytes: 4096, ..options(FsyncMode::Always) });
    let count = |bench: &mut Bench, from: u64, to: u64| {
        for number in from..to {
            bench.set(format!("key {number:06}").as_bytes(), b"a value that stands in the checkpoint itself");
        }
        bench.step();
        bench.maintain();
        while bench.store.is_checkpointing() {
            bench.maintain();
            bench.step();
            bench.clock.advance_ms(1);
        }
        bench.store.checkpoint_count()
    };
    assert_eq!(count(&mut bench, 0, 1000), 1);
    let size = bench.store.checkpoint_size();
    assert!(size > 50_000 && bench.store.checkpoint_written() == size, "{size}");
    let before = bench.store.log().appended();
    assert_eq!(count(&mut bench, 1000, 1500), 1, "not twice the last one yet");
    assert_eq!(count(&mut bench, 1500, 4000), 2);
    assert!(bench.store.log().appended() - before > 2 * size);
    assert!(bench.store.checkpoint_size() > 3 * size);

    // A store that is opened knows how large its last checkpoint is.
    bench.store.close();
    let size = bench.store.checkpoint_size();
    assert_eq!(open(&bench.disk.power_loss_with(Survival::Nothing)).checkpoint_size(), size);
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let (bench, digest) = full();
    let files = checkpoints_of(&bench.disk.process_crash());
    for damaged in [&files[1..], &files[..], &files[..1]] {
        for byte in [3, 45, 90, 130, 140, 200] {
            let disk = bench.disk.power_loss_with(Survival::Everything);
            damaged.iter().for_each(|name| disk.flip_bit(name, byte, 2));
            let store = open(&disk);
            let recovery = store.recovery();
            let newest_is_whole = !damaged.contains(&files[1]);
            let told = if newest_is_whole { 0 } else { damaged.len() };
            assert_eq!(recovery.refused_checkpoints.len(), told, "byte {byte}: {recovery:?}");
            assert_eq!(recovery.checkpoint.is_some(), damaged.len() < 2, "byte {byte}: {recovery:?}");
            assert_eq!(store.digest(None), digest, "byte {byte} of {damaged:?}");
            store.audit().unwrap();
            drop(store);
            let again = open(&disk.process_crash());
            assert_eq!(again.recovery().refused_checkpoints.len(), 0, "what was refused is not tried again");
            assert_eq!(again.digest(None), digest);
        }
    }
}

#[test]
fn a_missing_or_short_checkpoint_is_passed_over() {
    let (bench, digest) = full();
    let files = checkpoints_of(&bench.disk.process_crash());
    let disk = bench.disk.power_loss_with(Survival::Everything);
    disk.remove(&files[1]).unwrap();
    let store = open(&disk);
    assert_eq!((store.recovery().refused_checkpoints.len(), store.recovery().checkpoint.is_some()), (1, true));
    assert_eq!(store.digest(None), digest);
}

/// A value, or that it cannot be read.
fn read(store: &Store, number: u32) -> Result<Option<Vec<u8>>, ()> {
    let name = format!("key {number}");
    let key = store.key(name.as_bytes());
    let mut transaction = store.begin(0, &[key], store.now_ms());
    if !transaction.warm(&key) {
        return Err(());
    }
    Ok(transaction.get(&key).map(|item| item.string().unwrap_or_default().to_vec()))
}

#[test]
fn a_value_that_is_rotten_below_a_checkpoint_is_told_when_it_is_read() {
    let (bench, _) = full();
    let disk = bench.disk.power_loss_with(Survival::Everything);
    let sound = open(&disk.process_crash());
    let segments = disk.names().into_iter().filter(|name| name.ends_with(".log"));
    let (mut unread, mut refused) = (0, 0);
    for (name, byte) in segments.flat_map(|name| (5..60).map(move |at| (name.clone(), at * 1000))) {
        let rotten = bench.disk.power_loss_with(Survival::Everything);
        rotten.flip_bit(&name, byte, 1);
        let Ok(store) = try_open(&rotten) else {
            refused += 1;
            continue;
        };
        for number in 0..40 {
            let found = read(&store, number);
            assert!(found.is_err() || found == read(&sound, number), "a wrong value was believed: {name} {byte}");
            unread += usize::from(found.is_err());
        }
    }
    assert!(unread > 0 && refused > 0, "{unread} values told when they were read, {refused} openings refused");
}

#[test]
fn a_checkpoint_that_is_asked_for_is_taken() {
    let mut bench = bench_with(SimDisk::new(5), options(FsyncMode::Always));
    bench.set(b"a", &[b'a'; 100]);
    bench.step();
    bench.maintain();
    assert_eq!((bench.store.checkpoint_count(), bench.store.is_checkpointing()), (0, false));
    bench.store.request_checkpoint();
    for _ in 0..4 {
        bench.maintain();
        bench.step();
    }
    assert_eq!((bench.store.checkpoint_count(), bench.store.checkpointed_keys()), (1, 1));
    let Bench { disk, .. } = bench;
    assert!(open(&disk.process_crash()).recovery().checkpoint.is_some());
}

#[test]
fn a_check_names_the_checkpoints_that_are_passed_over() {
    let (bench, _) = full();
    let whole = bench.disk.power_loss_with(Survival::Everything);
    let files = checkpoints_of(&whole);
    let look = |disk: &SimDisk| {
        let found =
            check(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &SimClock::new(1 << 40), &with_checkpoints()).unwrap();
        assert!(found.is_sound(), "the log alone is enough: {found:?}");
        found.passed_over.into_iter().map(|of| of.file).collect::<Vec<String>>()
    };
    assert_eq!(look(&whole), [""; 0]);
    let length = whole.bytes(&files[0]).unwrap().len() as u64;
    for byte in [3, 45, 90, 130, 140, 200, length / 2, length - 1] {
        let disk = whole.process_crash();
        disk.flip_bit(&files[0], byte, 2);
        assert_eq!(look(&disk), files[..1], "byte {byte}");
    }
    whole.remove(&files[1]).unwrap();
    assert_eq!(look(&whole), files[1..]);
}

#[test]
fn a_repair_puts_checkpoints_aside_and_goes_by_the_log() {
    let (bench, _) = full();
    let whole = bench.disk.power_loss_with(Survival::Everything);
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(1 << 40));
    let files = checkpoints_of(&whole);
    let first = whole.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let mut repaired = 0;
    for byte in (5..60).map(|at| at * 1000) {
        let rotten = whole.process_crash();
        rotten.flip_bit(&first, byte, 1);
        let shared: Arc<dyn Disk> = Arc::new(rotten.clone());
        let done = salvage(&shared, &clock, &with_checkpoints()).unwrap();
        if done.found.is_sound() {
            continue;
        }
        repaired += 1;
        assert!(files.iter().all(|file| done.aside.contains(&format!("{file}.aside"))), "{:?}", done.aside);
        let found = check(&shared, &*clock, &with_checkpoints()).unwrap();
        assert!(found.is_sound() && found.passed_over.is_empty(), "{found:?}");
        let mut bench = bench_with(rotten.power_loss_with(Survival::Nothing), with_checkpoints());
        let recovery = bench.store.recovery();
        assert_eq!((recovery.checkpoint, recovery.refused_checkpoints.len()), (None, 0));
        bench.store.audit().unwrap();
        bench.store.request_checkpoint();
        for _ in 0..4 {
            bench.maintain();
            bench.step();
        }
        let new = checkpoints_of(&bench.disk);
        assert!(new.len() == 1 && new[0] > files[1], "numbers of what was put aside are not given again: {new:?}");
    }
    assert!(repaired > 0);
}

/// Opens a store again, whose machines then do what is due.
fn again(bench: &Bench) -> Bench {
    bench_with(bench.disk.process_crash(), options(FsyncMode::Always))
}

fn take_checkpoint(bench: &mut Bench) {
    bench.store.request_checkpoint();
    for _ in 0..4 {
        bench.maintain();
        bench.step();
    }
}

/// Stores whose newest checkpoint begins where a segment ends, in the midst of one, and where one begins; and something behind.
fn with_starts() -> Vec<Bench> {
    let mut first = bench_with(SimDisk::new(5), options(FsyncMode::Always));
    first.set(b"old", &[b'o'; 100]);
    // The end of the log that was found is copied to a segment of its own. Nothing is written behind it before the checkpoint.
    first.step();
    let mut copied = again(&first);
    copied.set(b"unmarked", b"1");
    copied.step();
    let mut between = again(&copied);
    take_checkpoint(&mut between);
    let mut midst = again(&between);
    midst.set(b"before", b"1");
    midst.step();
    take_checkpoint(&mut midst);
    let mut at_once = again(&between);
    at_once.set(b"filler", &[b'f'; 40_000]);
    at_once.set(b"filler", &[b'g'; 40_000]);
    at_once.step();
    at_once.maintain();
    take_checkpoint(&mut at_once);
    let behind = |mut bench: Bench| {
        bench.set(b"behind", b"2");
        bench.remove(b"old");
        bench.step();
        // A mark, in the segment that was written last.
        bench.store.close();
        bench
    };
    [between, midst, at_once].map(behind).into()
}

/// The header of a segment is damaged: the start is refused, or finds all there was.
pub fn lost_headers() -> Result<(), String> {
    let mut refused = 0;
    for (case, bench) in with_starts().into_iter().enumerate() {
        let digest = bench.store.digest(None);
        let whole = bench.disk.process_crash();
        if open(&whole.process_crash()).recovery().checkpoint.is_none() {
            return Err(format!("case {case}: there is no checkpoint"));
        }
        for name in whole.names().into_iter().filter(|name| name.ends_with(".log")) {
            for byte in 0..64 {
                let disk = whole.process_crash();
                disk.flip_bit(&name, byte, (byte % 8) as u8);
                match try_open(&disk) {
                    Err(Error::Corrupt { .. }) => refused += 1,
                    Err(error) => return Err(error.to_string()),
                    Ok(store) if store.digest(None) != digest => {
                        return Err(format!("case {case}: byte {byte} of {name} is rotten, and something is gone"));
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    if refused > 0 { Ok(()) } else { Err("no header was missed".to_owned()) }
}

#[test]
fn a_lost_header_is_not_the_end_of_the_log_behind_a_checkpoint() {
    lost_headers().unwrap();
}

/// Compaction has left nothing, and no segment has been begun behind that: a checkpoint of nothing is as good as any.
pub fn of_nothing() -> Result<(), String> {
    let first = bench_with(SimDisk::new(5), options(FsyncMode::Always));
    first.set(b"key", b"value");
    first.remove(b"key");
    first.store.close();
    let mut bench = again(&first);
    bench.store.compact();
    take_checkpoint(&mut bench);
    let disk = bench.disk.process_crash();
    // Files made ahead have no header, or that of the segment that they were.
    let is_begun = |name: &String| {
        let header = disk.bytes(name).and_then(|bytes| Header::parse(&bytes));
        header.is_some_and(|header| segment::parse_name("dump.kv", name) == Some(header.number))
    };
    if let Some(name) = disk.names().into_iter().filter(|name| name.ends_with(".log")).find(is_begun) {
        return Err(format!("{name} has been begun"));
    }
    let recovery = open(&disk).recovery().clone();
    match recovery.checkpoint.is_some() && recovery.refused_checkpoints.is_empty() {
        true => Ok(()),
        false => Err(format!("{recovery:?}")),
    }
}

#[test]
fn a_checkpoint_of_nothing_is_used() {
    of_nothing().unwrap();
}
