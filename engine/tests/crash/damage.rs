//! Compaction comes upon damage: what can be saved is, what cannot is told and never silently gone, the damaged segment is
//! kept, and the log behind it is compacted; a crash at any operation meanwhile loses nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::Disk;
use engine::disk::sim::{SimDisk, Survival};
use engine::format::{lost, segment};
use engine::value::op::{self, Op};
use engine::{Contents, Damaged, Digest, Error, FsyncMode, Options, Store, Value, check, salvage};

use crate::bench::{Bench, bench_with, options};

const NAME: &str = "dump.kv";
/// The segment that is damaged.
const FIRST: u64 = 1;

/// What a store holds, by database and key; nothing for a value that cannot be read.
type Held = BTreeMap<(u8, Vec<u8>), Option<Digest>>;

fn with_parts() -> Options {
    Options { part_bytes: 2000, ..options(FsyncMode::Always) }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SimClock::new(1 << 40))
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn file() -> String {
    segment::file_name(NAME, FIRST)
}

fn kept() -> String {
    lost::file_name(NAME, FIRST)
}

fn turns(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        bench.step();
        bench.maintain();
        bench.clock.advance_ms(20);
    }
}

/// A store of several segments. In the first stand values that are in the log only, others that are in memory too, what has
/// changed since, and what is gone.
fn several_segments() -> Bench {
    let mut bench = bench_with(SimDisk::new(9), with_parts());
    for number in 0..20 {
        bench.set(format!("cold {number}").as_bytes(), &[b'a' + number; 600]);
    }
    let blob = bench.store.key(b"cold blob");
    let reference = bench.store.write_blob(&[7; 9000]).unwrap();
    let mut transaction = bench.store.begin(0, &[blob], bench.store.now_ms());
    transaction.set(&blob, Value::Blob(vec![7; 9000].into(), reference), None);
    transaction.commit();
    bench.store.set_memory_goal(0);
    turns(&mut bench, 50);
    assert_eq!(bench.store.cold_keys(), 21);
    bench.store.set_memory_goal(u64::MAX);
    for number in 0..20 {
        bench.set(format!("warm {number}").as_bytes(), &[b'A' + number; 600]);
    }
    let list = bench.store.key(b"list");
    let elements: Vec<Vec<u8>> = (0..300).map(|number| format!("element {number}").into_bytes()).collect();
    let push = Op::over(op::LIST_PUSH_BACK, elements.iter().map(Vec::as_slice));
    bench.store.begin(0, &[list], bench.store.now_ms()).apply(&list, &push).unwrap();
    bench.set(b"chain", &[b'~'; 300]);
    let chain = bench.store.key(b"chain");
    bench.store.begin(0, &[chain], bench.store.now_ms()).append(&chain, b"a link");
    bench.set(b"gone", b"what was removed");
    bench.remove(b"gone");
    let mut all = bench.store.begin_all(0, bench.store.now_ms());
    all.swap_databases(0, 1);
    all.commit();
    for number in 0..400_u32 {
        bench.set(format!("filler {}", number % 7).as_bytes(), &[b'f'; 700]);
        if number % 20 == 0 {
            bench.step();
        }
    }
    turns(&mut bench, 3);
    bench
}

/// Where these bytes stand in the first segment.
fn find(disk: &SimDisk, bytes: &[u8]) -> u64 {
    let all = disk.bytes(&file()).unwrap();
    all.windows(bytes.len()).position(|window| window == bytes).unwrap() as u64
}

/// Where in the first segment a bit is turned round: values of both kinds, a value in a file of its own, a long list, what
/// a change stands on, a tomb, the exchange of databases. Nothing but `cold 3` lies there only.
fn places(disk: &SimDisk) -> Vec<u64> {
    let swap = [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let names: [&[u8]; 8] =
        [b"cold 3", b"cold blob", b"warm 3", b"warm 17", b"element 200", &[b'~'; 300], b"a link", &swap];
    let mut places: Vec<u64> = names.iter().map(|name| find(disk, name)).collect();
    // The second frame of that key.
    places.push(find(disk, b"what was removed") + 16 + 24);
    places
}

fn damage(disk: &SimDisk, places: &[u64]) {
    let name = if disk.names().contains(&file()) { file() } else { kept() };
    places.iter().for_each(|place| disk.flip_bit(&name, *place, 1));
}

/// Everything in a store, each value read.
fn held_by(store: &Store) -> Held {
    let mut held = Held::new();
    for database in 0..16 {
        let mut names = Vec::new();
        store.scan(None, database, 0, usize::MAX, |key, _| names.push(key.to_vec()));
        for name in names {
            let key = store.key(&name);
            let mut transaction = store.begin(database, &[key], store.now_ms());
            transaction.read_at_once();
            let digest = transaction.get(&key).filter(|item| !item.is_cold()).map(|item| item.digest());
            held.insert((database, name.clone()), digest);
        }
    }
    held
}

fn open(disk: &SimDisk) -> Result<Arc<Store>, Error> {
    let store = Store::open(shared(disk), clock(), with_parts())?;
    store.audit().unwrap();
    Ok(store)
}

fn compact(bench: &mut Bench) {
    bench.store.compact();
    turns(bench, 60);
}

/// What is left when this key is lost.
fn without(before: &Held, key: &[u8]) -> Held {
    let mut after = before.clone();
    *after.get_mut(&(1, key.to_vec())).unwrap() = None;
    after
}

#[test]
fn compaction_goes_on_behind_a_damaged_segment_and_keeps_it() {
    let mut bench = several_segments();
    let before = held_by(&bench.store);
    let all_places = places(&bench.disk);
    damage(&bench.disk, &all_places);
    let damaged_bytes = bench.disk.bytes(&file()).unwrap();
    let log_bytes = bench.store.log_bytes();
    compact(&mut bench);
    assert!(bench.store.log_bytes() < log_bytes / 3, "{} of {log_bytes}", bench.store.log_bytes());
    assert_eq!(bench.disk.bytes(&kept()), Some(damaged_bytes));
    assert!(!bench.disk.names().contains(&file()));
    let [told] = &*bench.store.take_damages() else { panic!("it is told once") };
    let Damaged { file, healed, lost, .. } = told;
    // A long list whose first part is whole is copied as any other.
    assert_eq!((&**file, *healed, *lost), (&*kept(), 4, 1));
    assert_eq!(bench.store.damage_counts(), [1, 4, 1]);
    assert!(bench.store.take_damages().is_empty());
    let expected = without(&before, b"cold 3");
    assert_eq!(held_by(&bench.store), expected);
    bench.store.audit().unwrap();

    // The same after a start, and when the log is compacted once more.
    let mut again = bench_with(bench.disk.power_loss_with(Survival::Nothing), with_parts());
    assert_eq!(again.store.recovery().kept_segments, 1);
    compact(&mut again);
    let mut again = bench_with(again.disk.power_loss_with(Survival::Nothing), with_parts());
    assert_eq!(held_by(&again.store), expected);
    assert_eq!(again.store.damage_counts(), [1, 0, 0]);
    assert!(again.disk.names().contains(&kept()));

    // From a checkpoint too.
    again.store.request_checkpoint();
    turns(&mut again, 10);
    let store = open(&again.disk.process_crash()).unwrap();
    assert!(store.recovery().checkpoint.is_some());
    assert_eq!(held_by(&store), expected);
    let key = store.key(b"cold 3");
    assert_eq!(store.begin(1, &[key], 0).get(&key).map(|item| item.string_bytes()), Some(600), "its length is known");

    // Who replaces the value, or removes the key, needs it not.
    let mut transaction = store.begin(1, &[key], 0);
    assert!(!transaction.warm(&key));
    transaction.set(&key, Value::Copy(b"new"), None);
    transaction.commit();
    assert!(store.begin(1, &[key], 0).warm(&key));
}

#[test]
fn whoever_reads_a_lost_value_is_told_where_it_was() {
    let mut bench = several_segments();
    let place = find(&bench.disk, b"cold 3");
    damage(&bench.disk, &[place]);
    compact(&mut bench);
    let store = open(&bench.disk.process_crash()).unwrap();
    let key = store.key(b"cold 3");
    let mut wants = Vec::new();
    store.begin(1, &[key], 0).wants(&key, &mut wants);
    let Err(Error::Corrupt { file, offset, .. }) = store.read(&wants[0]) else { panic!("it is not told") };
    assert_eq!((file, offset), (kept(), place - 24));
}

#[test]
fn a_damaged_header_costs_nothing() {
    let mut bench = several_segments();
    let before = held_by(&bench.store);
    bench.disk.flip_bit(&file(), 20, 1);
    compact(&mut bench);
    assert_eq!(bench.store.damage_counts(), [1, 0, 0]);
    assert_eq!(held_by(&open(&bench.disk.process_crash()).unwrap()), before);
}

#[test]
fn a_segment_that_is_cut_costs_what_was_in_it_only() {
    let mut bench = several_segments();
    let before = held_by(&bench.store);
    let bytes = bench.disk.bytes(&file()).unwrap();
    let place = find(&bench.disk, b"cold 5") as usize;
    bench.disk.put(&file(), &bytes[..place]);
    compact(&mut bench);
    let after = held_by(&open(&bench.disk.process_crash()).unwrap());
    let lost: Vec<&str> = after
        .iter()
        .filter(|(_, digest)| digest.is_none())
        .map(|((_, key), _)| &**key)
        .map(|key| std::str::from_utf8(key).unwrap())
        .collect();
    assert_eq!(lost.len(), 15, "{lost:?}");
    assert!(after.iter().all(|(key, digest)| digest.is_none() || before[key] == *digest));
    assert_eq!(after.len(), before.len());
}

#[test]
fn tools_find_what_is_lost() {
    let mut bench = several_segments();
    let before = held_by(&bench.store);
    damage(&bench.disk, &places(&bench.disk));
    compact(&mut bench);
    bench.store.close();
    let disk = bench.disk.process_crash();
    let found = check(&shared(&disk), &*clock(), &with_parts()).unwrap();
    assert!(!found.is_sound());
    assert_eq!((&*found.lost[0].key, found.lost.len(), &*found.kept), (&b"cold 3"[..], 1, &[kept()][..]));
    assert!(matches!(Contents::open(&shared(&disk), &*clock(), &with_parts()), Err(Error::Corrupt { .. })));
    let done = salvage(&shared(&disk), &clock(), &with_parts()).unwrap();
    assert_eq!(done.found.lost.len(), 1);
    assert!(check(&shared(&disk), &*clock(), &with_parts()).unwrap().is_sound());
    let mut expected = before;
    expected.remove(&(1, b"cold 3".to_vec()));
    assert_eq!(held_by(&open(&disk).unwrap()), expected);
    assert!(disk.names().contains(&kept()));
}

/// Crashes the compaction of a damaged segment at each of its operations.
pub fn crashes() -> Result<(), String> {
    let sound = several_segments();
    let before = held_by(&sound.store);
    let places = places(&sound.disk);
    let expected = without(&before, b"cold 3");
    let mut compacted = 0;
    for operation in 1.. {
        let mut bench = several_segments();
        damage(&bench.disk, &places);
        let bytes = bench.disk.bytes(&file());
        bench.disk.crash_at(operation);
        compact(&mut bench);
        let is_down = bench.disk.is_down();
        for survival in [None, Some(Survival::Nothing), Some(Survival::Everything), Some(Survival::Random(operation))] {
            let disk =
                survival.map_or_else(|| bench.disk.process_crash(), |survival| bench.disk.power_loss_with(survival));
            let what = |why: &str| Err(format!("stopped at operation {operation}, then {survival:?}: {why}"));
            let there = [file(), kept()].map(|name| disk.bytes(&name));
            if !there.contains(&bytes) {
                return what("the damaged segment is gone");
            }
            let copy = disk.process_crash();
            match open(&copy).map(|store| held_by(&store)) {
                Ok(found) if found == expected => {
                    compacted += 1;
                    if copy.bytes(&kept()) != bytes {
                        return what("the damaged segment was removed by the start");
                    }
                }
                Ok(_) => return what("something is gone, or back"),
                // As before the compaction: nothing is missing but what is damaged.
                Err(Error::Corrupt { .. }) => {
                    damage(&disk, &places);
                    match open(&disk).map(|store| held_by(&store)) {
                        Ok(found) if found == before || found == expected => {}
                        Ok(_) => return what("more is gone than was damaged"),
                        Err(error) => return what(&format!("more is damaged than was: {error}")),
                    }
                }
                Err(error) => return what(&error.to_string()),
            }
        }
        if !is_down {
            break;
        }
    }
    if compacted < 8 { Err(format!("only {compacted} were compacted")) } else { Ok(()) }
}

#[test]
fn every_operation_of_compacting_a_damaged_segment() {
    crashes().unwrap();
}
