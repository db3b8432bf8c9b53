//! Files of segments that compaction has emptied become segments again: what they held before is never seen.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::clock::Clock;
use engine::disk::sim::{Faults, SimDisk, Survival};
use engine::format::frame::{self, Seed};
use engine::format::segment::{self, Header};
use engine::{FsyncMode, Need, Options, check};

use crate::bench::{Bench, bench, bench_with, options};
use crate::disks::with_slow_read;

/// What `filler` writes at once.
const VALUE: usize = 4000;

/// Segments that were begun in used files.
fn recycled(bench: &Bench) -> u64 {
    bench.store.log().counters().recycled.load(Ordering::Relaxed)
}

/// Writes over one key until so many segments are full, with all work that is due between.
fn fill_segments(bench: &mut Bench, segments: usize) {
    for round in 0..segments * (64 << 10) / VALUE {
        bench.maintain();
        assert_eq!(bench.store.admit(Need::Grow, VALUE as u64 + 100), Ok(()), "in round {round}");
        bench.set(b"filler", &[round as u8; VALUE]);
        bench.store.log().write_out();
        bench.clock.advance_ms(250);
        bench.step();
    }
}

fn small(mode: FsyncMode) -> Options {
    Options { compact_from_bytes: 100 << 10, ..options(mode) }
}

fn segments_on(disk: &SimDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| segment::parse_name("dump.kv", name).is_some()).collect()
}

#[test]
fn emptied_segments_are_used_again_and_no_more_are_kept_than_of_use() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        let mut bench = bench_with(SimDisk::new(3), small(mode));
        bench.set(b"kept", b"1");
        fill_segments(&mut bench, 40);
        assert!(recycled(&bench) > 20, "{mode:?}: {} of 40 segments are in used files", recycled(&bench));
        assert!(segments_on(&bench.disk).len() < 12, "{mode:?}: {:?}", segments_on(&bench.disk));
        for survival in [Survival::Nothing, Survival::Everything, Survival::Random(5)] {
            let reopened = bench.reopened(survival);
            assert_eq!(reopened.get(b"kept").0, Some(b"1".to_vec()));
            assert_eq!(reopened.get(b"filler").0.map(|value| value.len()), Some(VALUE));
        }
    }
}

/// What a file held before is not a torn tail.
#[test]
fn what_a_file_held_before_is_not_counted_as_torn() {
    let mut bench = bench_with(SimDisk::new(3), small(FsyncMode::Always));
    fill_segments(&mut bench, 20);
    let before = recycled(&bench);
    while recycled(&bench) == before {
        fill_segments(&mut bench, 1);
    }
    bench.store.close();
    let disk = bench.disk.process_crash();
    let torn_bytes = |disk: &SimDisk| {
        let found = check(&(Arc::new(disk.clone()) as _), &*bench.clock, &small(FsyncMode::Always)).unwrap();
        assert!(found.is_sound());
        found.torn_bytes
    };
    let used_file = |name: &String| {
        let bytes = disk.bytes(name).unwrap();
        let number = segment::parse_name("dump.kv", name);
        Header::parse(&bytes)
            .filter(|header| header.used && Some(header.number) == number)
            .map(|header| (header, bytes))
    };
    let names = segments_on(&disk);
    let (header, mut bytes) = names.iter().rev().find_map(used_file).unwrap();
    let mut end = segment::HEADER as usize;
    let lsn_at = |offset: usize| header.base + offset as u64 - segment::HEADER;
    while let Some(frame) = frame::parse(&bytes[end..], lsn_at(end), &Seed::new(header.id, header.number)) {
        end += frame.padded;
    }
    assert!(bytes[end..].iter().any(|byte| *byte != 0), "something of before lies behind the end");
    assert_eq!(torn_bytes(&disk), 0);
    // A frame of which only the front was written.
    bytes[end + 4..end + 8].copy_from_slice(&200_u32.to_le_bytes());
    bytes[end + 8..end + 16].copy_from_slice(&lsn_at(end).to_le_bytes());
    disk.put(&segment::file_name("dump.kv", header.number), &bytes);
    assert_eq!(torn_bytes(&disk), 208);
}

/// A reader that took hold of a segment before compaction emptied it, and reads after its file would be another's.
pub fn slow_reader() -> Result<(), String> {
    let options = Options { memory_goal: 0, ..small(FsyncMode::EverySec) };
    let mut bench = bench_with(SimDisk::new(3), options);
    bench.set(b"cold", &[b'c'; 3000]);
    fill_segments(&mut bench, 2);
    bench.store.compact();
    let key = bench.store.key(b"cold");
    let want_of = |bench: &Bench| {
        let mut wants = Vec::new();
        bench.store.begin(0, &[key], bench.store.now_ms()).wants(&key, &mut wants);
        wants.pop()
    };
    let first = want_of(&bench).ok_or("the value is in memory")?;
    // Compaction moves it; where it goes to is not durable yet, so that it is read where it was.
    let moved = (0..1000).find_map(|_| {
        bench.maintenance.step(&bench.store, bench.clock.monotonic_us());
        want_of(&bench).filter(|want| *want != first)
    });
    let want = moved.ok_or("compaction did not move it")?;
    let store = bench.store.clone();
    let bench = Rc::new(RefCell::new(bench));
    let others = bench.clone();
    let meanwhile = move || fill_segments(&mut others.borrow_mut(), 16);
    let read = with_slow_read(meanwhile, || store.read(&want));
    if recycled(&bench.borrow()) == 0 {
        return Err("no segment was used again meanwhile".to_owned());
    }
    read.map(drop).map_err(|why| format!("a value that was there all the time: {why}"))
}

#[test]
fn no_segment_is_used_again_while_it_is_read() {
    slow_reader().unwrap();
}

#[test]
fn a_disk_that_is_full_gets_its_space_back() {
    let mut bench = bench(FsyncMode::EverySec);
    fill_segments(&mut bench, 4);
    let used: usize = segments_on(&bench.disk).iter().filter_map(|name| bench.disk.bytes(name)).map(|b| b.len()).sum();
    bench.disk.set_faults(Faults { capacity_bytes: Some(used as u64 + 10_000), ..Faults::default() });
    fill_segments(&mut bench, 30);
    assert!(recycled(&bench) > 0);
}

/// The disk is full, and what was appended goes on into a segment that has no file, while compaction waits for a sync. What it
/// then gives back is for that segment.
pub fn segment_without_file() -> Result<(), String> {
    let mut bench = bench(FsyncMode::EverySec);
    fill_segments(&mut bench, 4);
    let used: usize = segments_on(&bench.disk).iter().filter_map(|name| bench.disk.bytes(name)).map(|b| b.len()).sum();
    bench.disk.set_faults(Faults { capacity_bytes: Some(used as u64 + 10_000), ..Faults::default() });
    // Not durable yet: what is copied from waits for it.
    bench.set(b"filler", &[0; VALUE]);
    bench.store.log().write_out();
    bench.store.compact();
    for _ in 0..10 {
        bench.clock.advance_ms(10);
        bench.maintenance.step(&bench.store, bench.clock.monotonic_us());
    }
    let before = segments_on(&bench.disk).len();
    while bench.store.admit(Need::Compact, 100) == Ok(()) {
        bench.set(b"filler", &[0; VALUE]);
    }
    bench.set(b"filler", &[1; VALUE]);
    bench.store.log().write_out();
    if bench.store.log().written() == bench.store.log().appended() || segments_on(&bench.disk).len() != before {
        return Err("there is a file for all that was appended".to_owned());
    }
    for _ in 0..20 {
        bench.clock.advance_ms(250);
        bench.step();
        bench.maintain();
        bench.store.log().write_out();
    }
    match bench.store.log().written() == bench.store.log().appended() {
        true => Ok(()),
        false => Err("what was appended waits for space that compaction has given back".to_owned()),
    }
}

#[test]
fn the_segment_that_is_being_filled_gets_the_space_first() {
    segment_without_file().unwrap();
}
