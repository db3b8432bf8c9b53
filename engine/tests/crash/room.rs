//! Room on the disk: who is let in, who is told to wait, who is refused, and that whoever is let in finds room.

use engine::disk::sim::{Faults, SimDisk, Survival};
use engine::value::op::{self, Op};
use engine::{FsyncMode, Need, Options, Refusal, Value};

use crate::bench::{Bench, bench, bench_on, bench_with, options};
use crate::content::Content;

/// What the files of a store take.
fn used_bytes(bench: &Bench) -> u64 {
    let names = bench.disk.names();
    names.iter().filter_map(|name| bench.disk.bytes(name)).map(|bytes| bytes.len() as u64).sum()
}

/// No more than what there is, and so much.
fn leave(bench: &Bench, bytes: u64) {
    bench.disk.set_faults(Faults { capacity_bytes: Some(used_bytes(bench) + bytes), ..Faults::default() });
}

#[test]
fn a_full_disk_refuses_writes_lets_removals_in_and_recovers_by_itself() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        let mut bench = bench(mode);
        bench.set(b"gone", b"1");
        bench.disk.set_faults(Faults { capacity_bytes: Some(400_000), ..Faults::default() });
        let mut acked = Vec::new();
        let refusal = (0..1000_u32).find_map(|n| {
            bench.maintain();
            if let Err(refusal) = bench.store.admit(Need::Grow, 2100) {
                return Some(refusal);
            }
            let gate = bench.set(&n.to_be_bytes(), &[b'x'; 2000]);
            bench.store.log().write_out();
            bench.clock.advance_ms(250);
            bench.step();
            assert!(bench.may_leave(gate), "admitted, and {n} hangs");
            acked.push(n);
            None
        });
        assert_eq!(refusal, Some(Refusal::NoSpace));
        assert!(bench.store.log().is_full());
        let (removed, kept) = acked.split_at(60);
        for n in removed {
            assert_eq!(bench.store.admit(Need::Shrink, 100), Ok(()), "removal {n}");
            bench.remove(b"gone");
            let gate = bench.remove(&n.to_be_bytes());
            bench.store.log().write_out();
            bench.step();
            assert!(bench.may_leave(gate));
        }
        assert_eq!(bench.store.admit(Need::Grow, 2100), Err(Refusal::NoSpace), "the reserve is not for writes");
        assert!(acked.len() > 80, "{}", acked.len());
        bench.disk.set_faults(Faults::default());
        bench.clock.advance_ms(250);
        bench.maintain();
        assert_eq!(bench.store.admit(Need::Grow, 2100), Ok(()));
        bench.store.close();
        let reopened = bench.reopened(Survival::Nothing);
        assert_eq!(reopened.get(b"gone").0, None);
        for (some, length) in [(removed, None), (kept, Some(2000))] {
            for n in some {
                assert_eq!(reopened.get(&n.to_be_bytes()).0.map(|value| value.len()), length, "{n}");
            }
        }
    }
}

/// The disk is full some time before it is known to be: writers that are faster than maintenance leave the reserve alone.
#[test]
fn fast_writers_cannot_use_up_the_room_of_removals() {
    let mut bench = bench(FsyncMode::EverySec);
    bench.maintain();
    leave(&bench, 0);
    let mut written = 0_u32;
    while bench.store.admit(Need::Grow, 2100) == Ok(()) {
        bench.set(&written.to_be_bytes(), &[b'x'; 2000]);
        bench.store.log().write_out();
        written += 1;
    }
    assert_eq!(bench.store.admit(Need::Grow, 2100), Err(Refusal::Stalled), "nobody has tried yet");
    bench.maintain();
    assert_eq!(bench.store.admit(Need::Grow, 2100), Err(Refusal::NoSpace));
    for n in 0..written {
        assert_eq!(bench.store.admit(Need::Shrink, 100), Ok(()), "removal {n} of {written}");
        bench.remove(&n.to_be_bytes());
        bench.store.log().write_out();
        bench.clock.advance_ms(1);
        bench.step();
        bench.maintain();
    }
    bench.clock.advance_ms(500);
    for _ in 0..20 {
        bench.step();
        bench.clock.advance_ms(100);
        bench.maintain();
    }
    assert_eq!(bench.store.admit(Need::Grow, 2100), Ok(()), "all is removed, compaction has room, and yet");
}

/// More than any file that is made ahead holds.
const LARGE: usize = 5 << 20;

#[test]
fn a_large_transaction_waits_until_there_is_a_file_for_it() {
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        let mut bench = bench(mode);
        bench.maintain();
        bench.set(b"before", b"1");
        assert_eq!(bench.store.admit(Need::Grow, LARGE as u64), Err(Refusal::Stalled));
        bench.maintain();
        assert_eq!(bench.store.admit(Need::Grow, LARGE as u64), Ok(()));
        leave(&bench, 0);
        let gate = bench.set(b"large", &[b'x'; LARGE - 100]);
        bench.store.log().write_out();
        bench.clock.advance_ms(250);
        bench.step();
        assert!(bench.may_leave(gate), "admitted, and it hangs");
        bench.disk.set_faults(Faults::default());
        bench.store.close();
        let reopened = bench.reopened(Survival::Nothing);
        assert_eq!(reopened.get(b"large").0.map(|value| value.len()), Some(LARGE - 100));
        assert_eq!(reopened.get(b"before").0, Some(b"1".to_vec()));
    }
}

/// A segment is made longer up to a limit; then it is the next one that is.
#[test]
fn what_the_longest_segment_has_no_room_for_goes_to_the_next() {
    const VALUE: usize = 300 << 10;
    const LONGEST: usize = 512 << 10;
    for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
        let options = Options { longest_segment_bytes: LONGEST as u64, ..options(mode) };
        let mut bench = bench_with(SimDisk::new(3), options);
        bench.maintain();
        for (key, asked) in [(b"a", VALUE + 1000), (b"b", VALUE + 1000), (b"c", VALUE + 1000), (b"d", 100 << 20)] {
            // Once for the file that is missing, once for its length.
            for _ in 0..2 {
                if bench.store.admit(Need::Grow, asked as u64).is_err() {
                    bench.maintain();
                }
            }
            assert_eq!(bench.store.admit(Need::Grow, asked as u64), Ok(()), "{}", char::from(key[0]));
            let gate = bench.set(key, &[b'x'; VALUE]);
            bench.store.log().write_out();
            bench.clock.advance_ms(250);
            bench.step();
            assert!(bench.may_leave(gate), "admitted, and it hangs");
        }
        // No opening reads a segment that is longer than any may be.
        let lengths =
            bench.disk.names().into_iter().filter_map(|name| bench.disk.bytes(&name)).map(|bytes| bytes.len());
        assert!(lengths.max() <= Some(LONGEST));
        bench.store.close();
        let reopened = bench.reopened(Survival::Nothing);
        for key in [b"a", b"b", b"c", b"d"] {
            assert_eq!(reopened.get(key).0.map(|value| value.len()), Some(VALUE));
        }
    }
}

#[test]
fn a_transaction_too_large_for_the_disk_is_refused_and_others_go_on() {
    let mut bench = bench(FsyncMode::Always);
    bench.maintain();
    leave(&bench, 1 << 20);
    assert_eq!(bench.store.admit(Need::Grow, LARGE as u64), Err(Refusal::Stalled), "nobody has tried yet");
    let before = used_bytes(&bench);
    bench.maintain();
    assert_eq!(bench.store.admit(Need::Grow, LARGE as u64), Err(Refusal::NoSpace));
    assert!(used_bytes(&bench) < before + (1 << 19), "what it could not have was given back");
    assert_eq!(bench.store.admit(Need::Grow, 100), Ok(()));
    let gate = bench.set(b"small", b"1");
    bench.step();
    assert!(bench.may_leave(gate));
    bench.disk.set_faults(Faults::default());
    bench.clock.advance_ms(100);
    let admitted = (0..3).any(|_| {
        bench.maintain();
        bench.store.admit(Need::Grow, LARGE as u64).is_ok()
    });
    assert!(admitted, "there is room again");
}

#[test]
fn tombs_of_expired_keys_do_not_go_beyond_a_full_disk() {
    let mut bench = bench(FsyncMode::EverySec);
    bench.maintain();
    let soon_ms = bench.store.now_ms() + 1000;
    let mut keys = 0_u32;
    leave(&bench, 0);
    while bench.store.admit(Need::Compact, 200) == Ok(()) {
        let bytes = keys.to_be_bytes();
        let key = bench.store.key(&bytes);
        let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
        transaction.set(&key, Value::Copy(b"a value that is longer than a tomb"), Some(soon_ms));
        transaction.commit();
        bench.store.log().write_out();
        keys += 1;
    }
    for _ in 0..20 {
        bench.clock.advance_ms(100);
        bench.step();
        bench.maintain();
        let mut seen = 0;
        bench.store.scan(None, 0, 0, usize::MAX, |_, _| seen += 1);
        assert!(seen == 0 || bench.store.now_ms() < soon_ms, "{seen} of {keys} keys are seen after their time");
    }
    bench.store.log().write_out();
    assert_eq!(bench.store.log().written(), bench.store.log().appended(), "tombs wait for space");
}

#[test]
fn a_directory_that_cannot_be_synced_makes_the_log_read_only() {
    let mut bench = bench(FsyncMode::EverySec);
    bench.disk.set_faults(Faults { sync_dir_error_at: Some(1), ..Faults::default() });
    bench.maintain();
    assert_eq!(bench.store.admit(Need::Grow, 100), Err(Refusal::ReadOnly));
    assert!(!bench.store.log().is_full(), "the disk is broken, not full");
}

/// The kernel calls the pages of a failed sync clean. On a full disk the tail is not copied, so it has to be made dirty again.
#[test]
fn what_a_failed_sync_left_behind_is_saved_on_a_full_disk_too() {
    for mode in [FsyncMode::EverySec, FsyncMode::No] {
        let mut bench = bench(mode);
        bench.step();
        bench.disk.set_faults(Faults { sync_error_at: Some(1), ..Faults::default() });
        let gate = bench.set(b"key", &[b'x'; 5000]);
        bench.store.log().write_out();
        assert!(bench.may_leave(gate));
        bench.store.log().want_sync(gate);
        bench.step();
        assert!(bench.store.log().is_read_only());
        let killed = bench.disk.process_crash();
        drop(bench);
        let used: usize = killed.names().iter().filter_map(|name| killed.bytes(name)).map(|bytes| bytes.len()).sum();
        killed.set_faults(Faults { capacity_bytes: Some(used as u64 + 1000), ..Faults::default() });
        let found = bench_on(killed, mode);
        assert_eq!(found.get(b"key").0.map(|value| value.len()), Some(5000));
        let reopened = found.reopened(Survival::Nothing);
        assert_eq!(reopened.get(b"key").0.map(|value| value.len()), Some(5000), "told, and lost with the power");
    }
}

/// On a disk without any room a field whose time has come is not shown, and stays. When it goes, the last takes its place: what
/// the simulation holds against a store must allow for that, and for no other change of the order.
#[test]
fn a_field_that_cannot_be_removed_is_not_shown_and_goes_when_there_is_room() {
    let mut bench = bench(FsyncMode::No);
    let key = bench.store.key(b"hash");
    let fields: Vec<String> = (0..600).map(|number| format!("field {number:03}")).collect();
    let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
    let pairs = fields.iter().flat_map(|field| [field.as_bytes(), b"value"]);
    transaction.apply(&key, &Op::over(op::HASH_SET, pairs)).unwrap();
    let mut expire = Op::new(op::HASH_EXPIRE);
    expire.number(bench.store.now_ms() + 60_000).element(fields[0].as_bytes());
    transaction.apply(&key, &expire).unwrap();
    transaction.commit();
    bench.maintain();
    leave(&bench, 0);
    let mut filled = 0_u32;
    loop {
        match bench.store.admit(Need::Compact, 64) {
            Ok(()) => drop(bench.set(&filled.to_be_bytes(), &[b'x'; 2000])),
            Err(Refusal::NoSpace) => break,
            Err(refusal) => assert_eq!(refusal, Refusal::Stalled),
        }
        filled += 1;
        assert!(filled < 1000, "there is always room");
        bench.store.log().write_out();
        bench.clock.advance_ms(20);
        bench.step();
        bench.maintain();
    }
    bench.clock.advance_ms(60_000);
    let shown = |bench: &Bench| {
        let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
        transaction.get(&key).map(|item| Content::of(&item)).unwrap()
    };
    let appended = bench.store.log().appended();
    let full = shown(&bench);
    assert_eq!((full.len(), full.hidden(), &*full.elements()[0].name), (599, 1, fields[1].as_bytes()));
    assert_eq!(bench.store.log().appended(), appended);
    bench.disk.set_faults(Faults::default());
    for _ in 0..4 {
        bench.clock.advance_ms(250);
        bench.maintain();
        bench.step();
    }
    let roomy = shown(&bench);
    assert_eq!((roomy.len(), roomy.hidden(), &*roomy.elements()[0].name), (599, 0, fields[599].as_bytes()));
    let now_ms = bench.store.now_ms();
    assert!(full.is_without_due_fields(&roomy, now_ms) && !roomy.is_without_due_fields(&full, now_ms));
    bench.store.close();
    let reopened = bench.reopened(Survival::Nothing);
    assert_eq!(shown(&reopened), roomy);
}
