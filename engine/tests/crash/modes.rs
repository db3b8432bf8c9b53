//! What each mode promises, one behaviour a test, and what a store refuses.

use engine::clock::Clock;
use engine::disk::sim::{Faults, SimDisk, Survival};
use engine::{Error, FsyncMode, Need, Options, Refusal, Value};

use crate::bench::{Bench, bench, bench_on, bench_with, options};
use crate::disks::with_slow_sync;

#[test]
fn always_a_reader_waits_for_the_write_it_sees() {
    let mut bench = bench(FsyncMode::Always);
    let write = bench.set(b"a", b"1");
    let (value, read) = bench.get(b"a");
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
    assert!(!bench.may_leave(write) && !bench.may_leave(read));
    bench.store.log().write_out();
    assert!(!bench.may_leave(write) && !bench.may_leave(read), "the kernel is not the disk");
    bench.step();
    assert!(bench.may_leave(write) && bench.may_leave(read));
    assert!(bench.may_leave(bench.get(b"a").1));
}

/// More than one buffer of the log holds.
#[test]
fn megabytes_that_wait_to_be_written_are_written_in_their_order() {
    let mut bench = bench_with(SimDisk::new(3), Options { segment_bytes: 8 << 20, ..options(FsyncMode::Always) });
    let value = |number: u32| vec![number as u8; 5000 + number as usize % 700];
    // The log comes to have segments longer than a buffer.
    for number in 0..5000 {
        bench.set(b"first", &value(number));
        if number % 10 == 0 {
            bench.clock.advance_ms(1);
            bench.maintain();
            bench.step();
        }
    }
    for number in 0..800_u32 {
        bench.set(format!("key {}", number % 790).as_bytes(), &value(number));
    }
    let write = bench.set(b"last", b"1");
    // Each sync is of one segment.
    (0..50).for_each(|_| bench.step());
    assert!(bench.may_leave(write));
    let reopened = bench.reopened(Survival::Nothing);
    for number in 0..790 {
        let newest = if number < 10 { number + 790 } else { number };
        assert_eq!(reopened.get(format!("key {number}").as_bytes()).0, Some(value(newest)), "{number}");
    }
    assert_eq!(reopened.get(b"last").0.as_deref(), Some(&b"1"[..]));
}

#[test]
fn always_a_miss_waits_for_the_removal_it_reveals() {
    let mut bench = bench(FsyncMode::Always);
    bench.set(b"a", b"1");
    bench.step();
    assert!(bench.may_leave(bench.get(b"never there").1) || bench.get(b"never there").0.is_none());
    let gone = bench.remove(b"a");
    let (value, read) = bench.get(b"a");
    assert_eq!(value, None);
    assert!(!bench.may_leave(gone) && !bench.may_leave(read));
    bench.step();
    assert!(bench.may_leave(gone) && bench.may_leave(read));
    assert_eq!(bench.reopened(Survival::Nothing).get(b"a").0, None);
}

#[test]
fn always_a_miss_waits_for_the_flush_and_for_the_expiry_it_reveals() {
    let mut bench = bench(FsyncMode::Always);
    bench.set(b"a", b"1");
    let key = bench.store.key(b"b");
    let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
    transaction.set(&key, Value::Copy(b"2"), Some(bench.store.now_ms() + 5));
    transaction.commit();
    bench.step();
    bench.clock.advance_ms(10);
    let (value, read) = bench.get(b"b");
    assert!(value.is_none() && !bench.may_leave(read));
    bench.step();
    assert!(bench.may_leave(read));
    bench.store.flush(&[0]);
    let (value, read) = bench.get(b"a");
    assert!(value.is_none() && !bench.may_leave(read));
    let again = bench.store.flush(&[0]);
    assert!(!bench.may_leave(again), "a flush of what is empty tells that it is");
    bench.step();
    assert!(bench.may_leave(read) && bench.may_leave(again));
}

#[test]
fn everysec_and_no_acknowledge_what_the_kernel_has() {
    for mode in [FsyncMode::EverySec, FsyncMode::No] {
        let bench = bench(mode);
        let gate = bench.set(b"a", b"1");
        assert!(!bench.may_leave(gate));
        bench.store.log().write_out();
        assert!(bench.may_leave(gate));
        let killed = bench_on(bench.disk.process_crash(), mode);
        assert_eq!(killed.get(b"a").0.as_deref(), Some(&b"1"[..]));
        assert_eq!(killed.reopened(Survival::Nothing).get(b"a").0.as_deref(), Some(&b"1"[..]), "seen, so not lost");
    }
}

/// Nothing need be written after a flush for its readers to be answered.
#[test]
fn a_miss_after_a_flush_waits_for_the_flush_alone() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        let mut bench = bench(mode);
        bench.set(b"a", b"1");
        let flushed = bench.store.flush(&[0]);
        bench.store.log().write_out();
        if mode == FsyncMode::Always {
            bench.step();
        }
        assert!(bench.may_leave(flushed));
        let (value, gate) = bench.get(b"a");
        assert_eq!(value, None);
        assert!(bench.may_leave(gate), "{mode:?}");
    }
}

#[test]
fn everysec_syncs_by_the_clock_and_no_does_not() {
    for (mode, durable) in [(FsyncMode::EverySec, true), (FsyncMode::No, false)] {
        let mut bench = bench(mode);
        let gate = bench.set(b"a", b"1");
        bench.store.log().write_out();
        bench.clock.advance_ms(179);
        bench.step();
        assert!(bench.store.log().durable() < gate);
        bench.clock.advance_ms(1);
        bench.step();
        assert_eq!(bench.store.log().durable() >= gate, durable);
        bench.store.log().want_sync(gate);
        bench.step();
        assert!(bench.store.log().durable() >= gate, "a sync that is asked for comes in every mode");
    }
}

#[test]
fn everysec_writers_stall_while_the_disk_is_behind_and_go_on_by_themselves() {
    let mut bench = bench(FsyncMode::EverySec);
    bench.set(b"a", b"1");
    bench.store.log().write_out();
    bench.clock.advance_ms(1899);
    assert_eq!(bench.store.admit(Need::Grow, 10), Ok(()));
    bench.clock.advance_ms(1);
    assert_eq!(bench.store.admit(Need::Grow, 10), Err(Refusal::Stalled));
    assert_eq!(bench.store.admit(Need::Shrink, 10), Err(Refusal::Stalled));
    bench.step();
    assert_eq!(bench.store.admit(Need::Grow, 10), Ok(()));
}

#[test]
fn a_mode_made_stricter_answers_when_all_before_is_durable() {
    let mut bench = bench(FsyncMode::No);
    let gate = bench.set(b"a", b"1");
    bench.store.log().write_out();
    bench.store.log().set_mode(FsyncMode::Always);
    assert!(!bench.may_leave(gate));
    bench.step();
    assert!(bench.may_leave(gate));
}

#[test]
fn a_failed_sync_is_never_tried_again_and_nothing_is_acknowledged_after_it() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec] {
        let mut bench = bench(mode);
        bench.set(b"a", b"1");
        bench.store.log().write_out();
        bench.disk.set_faults(Faults { sync_error_at: Some(1), ..Faults::default() });
        bench.disk.record();
        bench.clock.advance_ms(300);
        for _ in 0..5 {
            bench.step();
            bench.clock.advance_ms(300);
            bench.maintain();
        }
        assert_eq!(bench.disk.trace().iter().filter(|line| line.contains(" sync ")).count(), 1);
        assert!(bench.store.log().is_read_only());
        assert_eq!(bench.store.admit(Need::Shrink, 10), Err(Refusal::ReadOnly));
        assert_eq!(bench.get(b"a").0.as_deref(), Some(&b"1"[..]), "reads go on");
        // The page cache still has it; the restart writes it to a fresh file, so that it is safe before it is seen.
        let restarted = bench_on(bench.disk.process_crash(), mode);
        assert_eq!(restarted.get(b"a").0.as_deref(), Some(&b"1"[..]));
        assert_eq!(restarted.reopened(Survival::Nothing).get(b"a").0.as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn a_failed_write_ends_writing_and_is_never_acknowledged() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec] {
        let mut bench = bench(mode);
        let safe = bench.set(b"a", b"1");
        bench.store.log().write_out();
        bench.clock.advance_ms(300);
        bench.step();
        bench.disk.set_faults(Faults { write_error_at: Some(1), ..Faults::default() });
        let lost = bench.set(b"b", b"2");
        bench.store.log().write_out();
        bench.step();
        assert!(bench.may_leave(safe) && !bench.may_leave(lost));
        assert_eq!(bench.store.admit(Need::Grow, 10), Err(Refusal::ReadOnly));
    }
}

#[test]
fn a_flush_takes_away_what_its_database_had_and_no_more() {
    let fill = |bench: &Bench, database: u8| {
        for n in 0..3000_u32 {
            let bytes = n.to_be_bytes();
            let key = bench.store.key(&bytes);
            let mut transaction = bench.store.begin(database, &[key], bench.store.now_ms());
            transaction.set(&key, Value::Copy(&[b'x'; 300]), None);
            transaction.append(&key, b"y");
            // The other database, through the same transaction.
            transaction.select(5);
            transaction.set(&key, Value::Copy(&bytes[..1 + n as usize % 4]), None);
            transaction.commit();
        }
    };
    let figures = |bench: &Bench| (bench.store.memory(), bench.store.live_log_bytes(), bench.store.key_count(5));
    let (alone, both) = (bench(FsyncMode::No), bench(FsyncMode::No));
    fill(&alone, 5);
    fill(&both, 5);
    fill(&both, 0);
    assert!(figures(&both).0 > figures(&alone).0 && figures(&both).1 > figures(&alone).1);
    both.store.flush(&[0]);
    assert_eq!(figures(&both), figures(&alone));
    both.store.flush(&[5]);
    assert_eq!(figures(&both), (0, 0, 0));
}

#[test]
fn a_change_while_a_value_is_settled_is_kept() {
    let mut bench = bench(FsyncMode::EverySec);
    bench.set(b"a", &[b'x'; 20_000]);
    let key = bench.store.key(b"a");
    let store = bench.store.clone();
    let append = move || {
        let mut transaction = store.begin(0, &[key], store.now_ms());
        transaction.append(&key, b"y");
        transaction.commit();
    };
    let settled = with_slow_sync(append, || bench.store.settle(0, &key)).unwrap();
    assert!(!settled && bench.store.is_unsettled(0, &key), "what was written is not the value any more");
    assert!(bench.store.settle(0, &key).unwrap() && !bench.store.is_unsettled(0, &key));
    assert!(bench.store.live_log_bytes() < 200, "the log holds a reference");
    bench.store.log().want_sync(bench.store.log().appended());
    bench.step();
    bench.maintain();
    let blobs = bench.disk.names().into_iter().filter(|name| name.ends_with(".blob")).count();
    assert_eq!(blobs, 1, "the first attempt is gone");
    let value = bench.reopened(Survival::Nothing).get(b"a").0.unwrap();
    assert_eq!((value.len(), value.last()), (20_001, Some(&b'y')));
}

#[test]
fn a_second_opening_is_refused_while_the_first_lives() {
    let bench = bench(FsyncMode::Always);
    assert!(matches!(Bench::try_open(&bench.disk), Err(Error::Locked(_))));
    let disk = bench.disk.clone();
    drop(bench);
    assert!(Bench::try_open(&disk).is_ok());
}

#[test]
fn a_newer_format_a_foreign_file_and_a_missing_manifest_are_told_apart() {
    let disk = bench(FsyncMode::Always).disk.process_crash();
    let newer = disk.process_crash();
    newer.corrupt("dump.kv", 8, &[4]);
    assert!(matches!(Bench::try_open(&newer), Err(Error::NewerFormat { found: 4, known: 3, .. })));
    let foreign = disk.process_crash();
    foreign.corrupt("dump.kv", 0, b"REDIS0011");
    assert!(matches!(Bench::try_open(&foreign), Err(Error::Foreign(_))));
    let damaged = disk.process_crash();
    damaged.flip_bit("dump.kv", 40, 3);
    assert!(matches!(Bench::try_open(&damaged), Err(Error::Corrupt { .. })));
    engine::disk::Disk::remove(&disk, "dump.kv").unwrap();
    assert!(matches!(Bench::try_open(&disk), Err(Error::ManifestMissing(_))));
    assert!(!disk.names().contains(&"dump.kv".to_owned()), "nothing was made in its place");
}

#[test]
fn a_clock_that_steps_back_revives_nothing() {
    let mut bench = bench(FsyncMode::Always);
    let key = bench.store.key(b"a");
    let start_ms = bench.clock.wall_ms();
    let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
    transaction.set(&key, Value::Copy(b"1"), Some(start_ms + 1000));
    transaction.commit();
    bench.step();
    bench.clock.advance_ms(2000);
    let mut shown = 0;
    bench.store.scan(None, 0, 0, usize::MAX, |_, _| shown += 1);
    assert_eq!(shown, 0);
    bench.clock.step_wall_to(start_ms);
    assert_eq!(bench.get(b"a").0, None);
    bench.step();
    // The next life begins with the clock that is wrong.
    assert_eq!(bench.reopened(Survival::Nothing).get(b"a").0, None);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let trace = || {
        let mut world = crate::life::World::new(11);
        world.disk.record();
        world.run(3).unwrap();
        world.disk.trace()
    };
    let first = trace();
    assert!(first.len() > 100);
    assert!(first == trace(), "chance from elsewhere");
}

/// Whoever stored a blob gives up what it did not store. That may be while another transaction moves the blob to
/// another name, when no key has it.
#[test]
fn a_blob_on_its_way_to_another_name_is_not_given_up() {
    let mut bench = bench(FsyncMode::Always);
    let value = vec![b'v'; 10 << 10];
    let reference = bench.store.write_blob(&value).unwrap();
    let (from, to) = (bench.store.key(b"from"), bench.store.key(b"to"));
    let mut storing = bench.store.begin(0, &[from], 0);
    storing.set(&from, Value::Blob(value.clone().into(), reference), None);
    storing.commit();
    let mut renaming = bench.store.begin(0, &[from, to], 0);
    assert!(renaming.rename(&from, &to));
    bench.store.discard_blob(reference);
    renaming.commit();
    bench.step();
    bench.maintain();
    let (found, _) = bench.reopened(Survival::Nothing).get(b"to");
    assert_eq!(found.map(|bytes| bytes.len()), Some(value.len()));
}

/// A blob that nobody has stored goes.
#[test]
fn a_blob_that_is_given_up_leaves_no_file() {
    let mut bench = bench(FsyncMode::Always);
    let reference = bench.store.write_blob(&[b'v'; 10 << 10]).unwrap();
    let blobs = |bench: &Bench| bench.disk.names().iter().filter(|name| name.ends_with(".blob")).count();
    assert_eq!(blobs(&bench), 1);
    bench.store.discard_blob(reference);
    bench.set(b"a", b"1");
    bench.step();
    bench.maintain();
    assert_eq!(blobs(&bench), 0);
}
