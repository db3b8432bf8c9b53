//! The simulation is a judge, so it is judged first: each promise and each betrayal of a real disk is shown here.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::machine::EIO;
use super::*;
use crate::disk::{Disk, File, OsDisk, read_all, replace, write_all_at};

/// A disk with one durable file of `bytes` zeros.
fn disk_with(name: &str, bytes: usize) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new(1);
    disk.put(name, &vec![0; bytes]);
    let file = disk.open(name).unwrap();
    (disk, file)
}

fn outcomes(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..400).map(|seed| disk.power_loss_with(Survival::Random(seed)).bytes(name)).collect()
}

#[test]
fn unsynced_bytes_may_vanish_and_synced_bytes_never() {
    let (disk, file) = disk_with("a", 0);
    write_all_at(&*file, b"one", 0).unwrap();
    assert_eq!(outcomes(&disk, "a"), [b"", &b"\0\0\0"[..], b"one"].map(|b| Some(b.to_vec())).into());
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(b"one".to_vec())].into());
    write_all_at(&*file, b"two", 3).unwrap();
    assert!(outcomes(&disk, "a").iter().all(|bytes| bytes.as_ref().unwrap().starts_with(b"one")));
    assert_eq!(disk.power_loss_with(Survival::Nothing).bytes("a").unwrap(), b"one");
    assert_eq!(disk.power_loss_with(Survival::Everything).bytes("a").unwrap(), b"onetwo");
}

#[test]
fn a_killed_process_loses_nothing_and_its_bytes_stay_unsynced() {
    let (disk, file) = disk_with("a", 0);
    write_all_at(&*file, b"one", 0).unwrap();
    disk.create("b").unwrap();
    let next = disk.process_crash();
    assert_eq!(next.bytes("a").unwrap(), b"one");
    assert_eq!(next.names(), ["a", "b"]);
    assert_eq!(next.power_loss_with(Survival::Nothing).bytes("a").unwrap(), b"");
    assert_eq!(next.power_loss_with(Survival::Nothing).names(), ["a"]);
    next.open("a").unwrap().sync().unwrap();
    assert_eq!(next.power_loss_with(Survival::Nothing).bytes("a").unwrap(), b"one");
    assert_eq!(disk.durable_bytes("a").unwrap(), b"", "the lives are apart");
}

#[test]
fn a_name_without_directory_sync_may_be_lost_with_its_synced_bytes() {
    let disk = SimDisk::new(1);
    let file = disk.create("a").unwrap();
    write_all_at(&*file, b"one", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, Some(b"one".to_vec())].into());
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(b"one".to_vec())].into());
}

#[test]
fn a_removed_name_may_come_back_until_the_directory_is_synced() {
    let (disk, file) = disk_with("a", 3);
    disk.remove("a").unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, Some(vec![0; 3])].into());
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [None].into());
    assert_eq!(file.len().unwrap(), 3, "an open file outlives its name");
    write_all_at(&*file, b"x", 0).unwrap();
    drop(file);
    disk.sync_dir().unwrap();
    assert!(disk.state.lock().inodes.is_empty());
}

#[test]
fn writes_tear_only_between_sectors() {
    let (disk, file) = disk_with("a", 4096);
    write_all_at(&*file, &[1; 2000], 100).unwrap();
    let outcomes = outcomes(&disk, "a");
    for bytes in outcomes.iter().flatten() {
        for (index, sector) in bytes.chunks(512).enumerate() {
            let written = &sector[if index == 0 { 100 } else { 0 }..if index == 4 { 52 } else { 512 }];
            if index < 5 {
                assert!(written.iter().all(|&b| b == written[0]), "sector {index} is torn");
            } else {
                assert!(sector.iter().all(|&b| b == 0));
            }
        }
    }
    assert_eq!(outcomes.len(), 32, "every subset of five sectors is found");
}

#[test]
fn overlapping_writes_may_land_in_any_order() {
    let (disk, file) = disk_with("a", 512);
    for byte in 1..=3 {
        write_all_at(&*file, &[byte; 512], 0).unwrap();
    }
    let last: BTreeSet<u8> = outcomes(&disk, "a").into_iter().map(|bytes| bytes.unwrap()[0]).collect();
    assert_eq!(last, [0, 1, 2, 3].into());
}

#[test]
fn the_length_is_old_or_new_and_a_cut_is_never_half_done() {
    let (disk, file) = disk_with("a", 0);
    write_all_at(&*file, &[7; 1024], 0).unwrap();
    file.sync().unwrap();
    file.set_len(512).unwrap();
    file.set_len(2048).unwrap();
    let mut whole = vec![7; 1024];
    let mut cut = vec![7; 512];
    let mut found = BTreeSet::new();
    found.insert(Some(whole.clone()));
    found.insert(Some(cut.clone()));
    cut.resize(2048, 0);
    found.insert(Some(cut));
    assert_eq!(outcomes(&disk, "a"), found);
    whole.truncate(512);
    whole.resize(2048, 0);
    assert_eq!(disk.bytes("a").unwrap(), whole);
}

#[test]
fn after_a_failed_sync_later_syncs_succeed_and_save_nothing_of_it() {
    let (disk, file) = disk_with("a", 1536);
    disk.set_faults(Faults { sync_error_at: Some(1), ..Faults::default() });
    write_all_at(&*file, &[1; 1024], 0).unwrap();
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(disk.bytes("a").unwrap()[0], 1, "the cache still shows the bytes");
    file.sync().unwrap();
    write_all_at(&*file, &[2; 1024], 512).unwrap();
    file.sync().unwrap();
    file.sync().unwrap();
    let found = outcomes(&disk, "a");
    let expected = |first: u8| Some([[first; 512], [2; 512], [2; 512]].concat());
    assert_eq!(found, [expected(0), expected(1)].into(), "later synced bytes are never undone");
    assert_eq!(disk.power_loss_with(Survival::Nothing).bytes("a"), expected(0));
}

#[test]
fn a_failed_directory_sync_is_final() {
    let (disk, _file) = disk_with("a", 1);
    disk.set_faults(Faults { sync_dir_error_at: Some(2), ..Faults::default() });
    disk.create("b").unwrap();
    disk.sync_dir().unwrap();
    disk.create("c").unwrap();
    for _ in 0..3 {
        assert_eq!(disk.sync_dir().unwrap_err().raw_os_error(), Some(EIO));
    }
    assert_eq!(outcomes(&disk, "b"), [Some(vec![])].into());
    assert_eq!(outcomes(&disk, "c"), [None, Some(vec![])].into());
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let disk = SimDisk::new(1);
    disk.put("a", b"old");
    disk.put("t", b"new");
    disk.rename("t", "a").unwrap();
    let found: BTreeSet<_> = (0..100)
        .map(|seed| {
            let next = disk.power_loss_with(Survival::Random(seed));
            (next.bytes("a"), next.bytes("t"))
        })
        .collect();
    assert_eq!(found, [(Some(b"old".to_vec()), Some(b"new".to_vec())), (Some(b"new".to_vec()), None)].into());
}

#[test]
fn replacing_a_file_survives_a_crash_at_every_operation() {
    for n in 1.. {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            disk.put("a", b"old");
            disk.crash_at(n);
            let done = replace(&disk, "a", &[b'n'; 3000]).is_ok();
            assert_eq!(disk.is_down(), !done);
            let found = disk.power_loss().bytes("a").unwrap();
            assert!(found == [b'n'; 3000] || (found == b"old" && !done));
            if done && seed == 19 {
                assert_eq!(n, disk.operations() + 1);
                return;
            }
        }
    }
}

#[test]
fn without_its_syncs_replacing_a_file_is_caught() {
    let torn = (0..100).filter(|&seed| {
        let disk = SimDisk::new(seed);
        disk.put("a", b"old");
        let file = disk.create("t").unwrap();
        write_all_at(&*file, &[b'n'; 3000], 0).unwrap();
        disk.rename("t", "a").unwrap();
        disk.sync_dir().unwrap();
        disk.power_loss().bytes("a").unwrap() != [b'n'; 3000]
    });
    assert!(torn.count() > 30);
}

#[test]
fn the_machine_stops_at_the_operation_asked_for() {
    let (disk, file) = disk_with("a", 0);
    write_all_at(&*file, b"one", 0).unwrap();
    disk.crash_at(3);
    file.sync().unwrap();
    disk.create("b").unwrap();
    assert!(!disk.is_down());
    let error = file.write_at(b"two", 3).unwrap_err();
    assert!(is_power_loss(&error) && disk.is_down());
    assert!(is_power_loss(&file.sync().unwrap_err()));
    assert!(is_power_loss(&file.len().unwrap_err()));
    assert!(is_power_loss(&file.read_at(&mut [0], 0).unwrap_err()));
    assert!(is_power_loss(&disk.list().unwrap_err()));
    assert!(is_power_loss(&disk.open("a").err().unwrap()));
    assert!(is_power_loss(&disk.lock("l").err().unwrap()));
    assert_eq!(disk.operations(), 4, "what fails because the machine is off is not counted");
    assert!(b"onetwo".starts_with(&disk.process_crash().bytes("a").unwrap()));
    assert!(!is_power_loss(&io::Error::from_raw_os_error(EIO)));
}

#[test]
fn writes_fail_or_fall_short_when_told() {
    let (disk, file) = disk_with("a", 0);
    disk.set_faults(Faults { write_error_at: Some(2), ..Faults::default() });
    assert_eq!(file.write_at(b"one", 0).unwrap(), 3);
    assert_eq!(file.write_at(b"two", 0).unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(file.write_at(b"one", 0).unwrap(), 3);
    disk.set_faults(Faults { short_writes: true, ..Faults::default() });
    let lengths: BTreeSet<usize> = (0..200).map(|_| file.write_at(&[1; 4], 0).unwrap()).collect();
    assert_eq!(lengths, [1, 2, 3, 4].into());
    write_all_at(&*file, &[9; 5000], 0).unwrap();
    assert_eq!(disk.bytes("a").unwrap(), [9; 5000]);
}

#[test]
fn a_full_disk_refuses_growth_and_recovers() {
    let (disk, file) = disk_with("a", 100);
    disk.set_faults(Faults { capacity_bytes: Some(1000), ..Faults::default() });
    assert_eq!(file.write_at(&[1; 2000], 0).unwrap(), 1000, "what fits is written");
    for error in [
        file.write_at(&[1], 1000).unwrap_err(),
        file.set_len(1001).unwrap_err(),
        file.allocate(1001).unwrap_err(),
        disk.create("b").err().unwrap(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    file.write_at(&[2; 1000], 0).unwrap();
    file.set_len(10).unwrap();
    let other = disk.create("b").unwrap();
    other.allocate(900).unwrap();
    file.set_len(100).unwrap();
    assert!(file.write_at(&[1], 100).is_err());
    write_all_at(&*other, &[3; 900], 0).unwrap();
    drop(other);
    disk.remove("b").unwrap();
    file.write_at(&[1], 100).unwrap();
    assert!(disk.power_loss().open("a").unwrap().set_len(1001).is_err(), "the disk keeps its size");
}

#[test]
fn locks_exclude_until_dropped_or_the_process_ends() {
    let disk = SimDisk::new(1);
    let guard = disk.lock("lock").unwrap();
    assert_eq!(disk.lock("lock").err().unwrap().kind(), io::ErrorKind::WouldBlock);
    let next = disk.process_crash();
    let _theirs = next.lock("lock").unwrap();
    let _later = disk.power_loss().lock("lock").unwrap();
    drop(guard);
    let _again = disk.lock("lock").unwrap();
    assert!(next.lock("lock").is_err());
}

#[test]
fn damage_is_seen_now_and_after_a_power_loss() {
    let disk = SimDisk::new(1);
    disk.put("a", b"abc");
    disk.flip_bit("a", 1, 0);
    disk.corrupt("a", 2, b"!");
    assert_eq!(disk.bytes("a").unwrap(), b"ac!");
    assert_eq!(disk.power_loss().bytes("a").unwrap(), b"ac!");
}

#[test]
fn the_trace_tells_what_happened_over_lives() {
    let disk = SimDisk::new(1);
    disk.record();
    let file = disk.create("a").unwrap();
    write_all_at(&*file, b"abc", 0).unwrap();
    let next = disk.power_loss_with(Survival::Nothing);
    next.sync_dir().unwrap();
    let expected = ["1 create a", "2 write a 0+3", "power loss, Nothing survives: ", "1 sync_dir"];
    assert_eq!(next.trace(), expected);
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Write { name: u8, offset: u16, length: u16, byte: u8 },
    SetLen(u8, u16),
    Allocate(u8, u16),
    Sync(u8),
    Rename(u8, u8),
    Remove(u8),
    SyncDir,
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..4u8;
    prop_oneof![
        2 => name.clone().prop_map(Op::Create),
        6 => (name.clone(), 0..12_000u16, 1..9_000u16, 1..=255u8)
            .prop_map(|(name, offset, length, byte)| Op::Write { name, offset, length, byte }),
        2 => (name.clone(), 0..16_000u16).prop_map(|(name, length)| Op::SetLen(name, length)),
        1 => (name.clone(), 0..16_000u16).prop_map(|(name, length)| Op::Allocate(name, length)),
        2 => name.clone().prop_map(Op::Sync),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => name.prop_map(Op::Remove),
        1 => Just(Op::SyncDir),
    ]
}

fn run(disk: &dyn Disk, op: &Op) -> Result<(), io::ErrorKind> {
    let name = |n: &u8| format!("f{n}");
    let result = match op {
        Op::Create(n) => disk.create(&name(n)).map(drop),
        Op::Write { name: n, offset, length, byte } => disk
            .open(&name(n))
            .and_then(|file| write_all_at(&*file, &vec![*byte; usize::from(*length)], u64::from(*offset))),
        Op::SetLen(n, length) => disk.open(&name(n)).and_then(|file| file.set_len(u64::from(*length))),
        Op::Allocate(n, length) => disk.open(&name(n)).and_then(|file| file.allocate(u64::from(*length))),
        Op::Sync(n) => disk.open(&name(n)).and_then(|file| file.sync()),
        Op::Rename(from, to) => disk.rename(&name(from), &name(to)),
        Op::Remove(n) => disk.remove(&name(n)),
        Op::SyncDir => disk.sync_dir(),
    };
    result.map_err(|e| e.kind())
}

fn all_bytes(disk: &dyn Disk) -> Vec<(String, Vec<u8>)> {
    let mut names = disk.list().unwrap();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read_all(disk, &name, 1 << 20).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_real_disk(ops in prop::collection::vec(op(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let (real, sim) = (OsDisk::open(directory.path()).unwrap(), SimDisk::new(0));
        for op in &ops {
            prop_assert_eq!(run(&real, op), run(&sim, op), "{:?}", op);
        }
        prop_assert!(all_bytes(&real) == all_bytes(&sim));
    }

    #[test]
    fn syncing_everything_makes_everything_durable(ops in prop::collection::vec(op(), 1..40), seed: u64) {
        let disk = SimDisk::new(seed);
        for op in &ops {
            let _ = run(&disk, op);
        }
        prop_assert!(all_bytes(&disk.power_loss_with(Survival::Everything)) == all_bytes(&disk));
        prop_assert!(all_bytes(&disk.process_crash()) == all_bytes(&disk));
        for name in disk.names() {
            disk.open(&name).unwrap().sync().unwrap();
        }
        disk.sync_dir().unwrap();
        for survival in [Survival::Nothing, Survival::Random(seed)] {
            prop_assert!(all_bytes(&disk.power_loss_with(survival)) == all_bytes(&disk));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_life(ops in prop::collection::vec(op(), 1..40), seed: u64) {
        let life = || {
            let disk = SimDisk::new(seed);
            disk.set_faults(Faults { short_writes: true, ..Faults::default() });
            disk.record();
            for op in &ops {
                let _ = run(&disk, op);
            }
            let next = disk.power_loss();
            (all_bytes(&next), next.trace())
        };
        prop_assert!(life() == life());
    }
}
