//! A damaged store is salvaged: whatever the damage, everything that can be read is kept, what cannot be known is named,
//! and what was damaged is put aside; a crash at any operation leaves a store that is refused or one that is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::Disk;
use engine::disk::sim::{SimDisk, Survival};
use engine::format::{blob, segment};
use engine::value::op::{self, Op};
use engine::{
    Contents, Digest, Error, Flusher, FsyncMode, Maintenance, Options, Salvage, Store, Value, check, salvage,
};

use crate::bench::{Bench, bench};

const NAME: &str = "dump.kv";

/// What a store holds, by database and key.
type Held = BTreeMap<(u8, Vec<u8>), Digest>;

fn options() -> Options {
    Options {
        mode: FsyncMode::Always,
        segment_bytes: 64 << 10,
        blob_bytes: 8000,
        part_bytes: 2000,
        secrets_from: Some(5),
        ..Options::default()
    }
}

/// Those of who holds no value that can be left to the log.
fn lean() -> Options {
    Options { memory_goal: 0, ..options() }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SimClock::new(1 << 40))
}

fn disk_of(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Databases that have changed their places, values of all kinds, changes of values, and several segments.
fn sound() -> SimDisk {
    let disk = SimDisk::new(5);
    let store = Store::open(disk_of(&disk), clock(), options()).unwrap();
    let now = store.now_ms();
    let set = |database, name: &str, bytes: &[u8], deadline| {
        let key = store.key(name.as_bytes());
        let mut transaction = store.begin(database, &[key], now);
        match bytes.len() >= options().blob_bytes {
            true => {
                let reference = store.write_blob(bytes).unwrap();
                transaction.set(&key, Value::Blob(bytes.to_vec().into(), reference), deadline);
            }
            false => transaction.set(&key, Value::Copy(bytes), deadline),
        }
        transaction.commit();
    };
    let append = |name: &str, bytes: &[u8]| {
        let key = store.key(name.as_bytes());
        store.begin(0, &[key], now).append(&key, bytes);
    };
    set(0, "one", b"in database one after all", None);
    let mut all = store.begin_all(0, now);
    all.swap_databases(0, 1);
    all.commit();
    // A checkpoint, and behind it most of all.
    store.request_checkpoint();
    let (mut flusher, mut maintenance) = (Flusher::new(store.log().clone()), Maintenance::default());
    for now_us in 0..100 {
        flusher.step(now_us);
        maintenance.step(&store, now_us);
    }
    assert_eq!(store.checkpoint_count(), 1);
    set(0, "blob", &[7; 9000], None);
    set(0, "other blob", &[8; 9000], None);
    for (name, code) in [("list", op::LIST_PUSH_BACK), ("set", op::SET_ADD), ("hash", op::HASH_SET)] {
        let key = store.key(name.as_bytes());
        let elements: Vec<Vec<u8>> = (0..400).map(|n| format!("{name} {n}").into_bytes()).collect();
        let op = Op::over(code, elements.iter().map(Vec::as_slice));
        store.begin(0, &[key], now).apply(&key, &op).unwrap();
    }
    let key = store.key(b"small");
    store.begin(0, &[key], now).apply(&key, &Op::over(op::SET_ADD, [&[b's'; 50][..], &[b't'; 50]])).unwrap();
    for round in 0..3 {
        set(0, "chain", &[b'c'; 300], None);
        for step in 0..60 {
            set(0, &format!("key {round} {step}"), &[b'v'; 700], (step % 7 == 0).then_some(now + 1_000_000));
            append("chain", b"a link of the chain");
            if step == 30 {
                set(0, &format!("victim {round}"), format!("value {round}").as_bytes(), None);
            }
            store.log().write_out();
        }
    }
    store.close();
    drop(store);
    disk.process_crash()
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.names();
    // Files that were made ahead hold nothing.
    let used = |name: &String| disk.bytes(name).unwrap()[..64] != [0; 64];
    names.retain(|name| segment::parse_name(NAME, name).is_some() && used(name));
    assert!(names.len() >= 3, "{names:?}");
    names
}

/// The segment in which these bytes stand, and where.
fn find(disk: &SimDisk, bytes: &[u8]) -> (String, usize) {
    let found = segments(disk).into_iter().find_map(|name| {
        let at = disk.bytes(&name).unwrap().windows(bytes.len()).position(|window| window == bytes)?;
        Some((name, at))
    });
    found.unwrap()
}

fn held(disk: &SimDisk) -> Result<Held, Error> {
    let store = Store::open(disk_of(disk), clock(), options())?;
    store.audit().unwrap();
    let mut held = Held::new();
    for database in 0..16 {
        store.scan(None, database, 0, usize::MAX, |key, item| {
            held.insert((database, key.to_vec()), item.digest());
        });
    }
    Ok(held)
}

fn repair(disk: &SimDisk) -> Salvage {
    salvage(&disk_of(disk), &clock(), &lean()).unwrap()
}

/// Salvages copies of a damaged store, which is refused as it is, with values in memory and without; what is left and what was
/// done.
#[track_caller]
fn salvaged(damaged: &SimDisk) -> (SimDisk, Held, Salvage) {
    let (_, held, done) = salvaged_with(damaged, &options());
    let left = salvaged_with(damaged, &lean());
    assert_eq!((&left.1, &left.2), (&held, &done));
    left
}

#[track_caller]
fn salvaged_with(damaged: &SimDisk, with: &Options) -> (SimDisk, Held, Salvage) {
    let copy = damaged.process_crash();
    assert!(matches!(Store::open(disk_of(&copy), clock(), options()), Err(Error::Corrupt { .. })));
    assert!(matches!(Contents::open(&disk_of(&copy), &*clock(), with), Err(Error::Corrupt { .. })));
    let checked = check(&disk_of(&copy), &*clock(), with).unwrap();
    assert!(!checked.is_sound());
    assert_eq!(copy.names(), damaged.names(), "whoever only looks changes nothing");
    let done = salvage(&disk_of(&copy), &clock(), with).unwrap();
    assert_eq!(done.found, checked);
    let checked = check(&disk_of(&copy), &*clock(), &options()).unwrap();
    assert!(checked.is_sound(), "{checked:?}");
    let copy = copy.power_loss_with(Survival::Nothing);
    let held = held(&copy).unwrap();
    (copy, held, done)
}

/// Keys that are not as they were.
fn changed(before: &Held, after: &Held) -> Vec<String> {
    assert!(after.keys().all(|key| before.contains_key(key)), "nothing is new");
    let names = before.iter().filter(|(key, digest)| after.get(*key) != Some(*digest)).map(|((_, key), _)| key);
    names.map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

fn lost(done: &Salvage) -> Vec<String> {
    done.found.lost.iter().map(|lost| String::from_utf8_lossy(&lost.key).into_owned()).collect()
}

#[test]
fn a_sound_store_is_left_as_it_is() {
    let disk = sound();
    let (names, before) = (disk.names(), held(&disk.process_crash()).unwrap());
    let done = repair(&disk);
    assert!(done.found.is_sound() && done.aside.is_empty());
    assert_eq!(done.found.keys, before.len() as u64);
    assert_eq!(disk.names(), names);
    let [(of_memory, first), (of_log, second)] = [options(), lean()].map(|options| {
        let contents = Contents::open(&disk_of(&disk), &*clock(), &options).unwrap();
        let (mut read, mut order) = (Held::new(), Vec::new());
        for database in 0..16 {
            let visit = |key: &[u8], item: engine::Item<'_>| {
                read.insert((database, key.to_vec()), item.digest());
                order.push(key.to_vec());
                Ok::<(), Error>(())
            };
            contents.visit(database, visit).unwrap();
        }
        (read, order)
    });
    assert_eq!((&of_memory, &of_log, first == second), (&before, &before, true));
    let at = |name: &str| second.iter().position(|key| key == name.as_bytes()).unwrap();
    assert!(at("blob") < at("small") && at("small") < at("victim 0") && at("key 0 59") < at("key 1 0"));
    assert_eq!(disk.names(), names);
}

#[test]
fn a_frame_that_is_damaged_takes_its_change_with_it_and_nothing_else() {
    let disk = sound();
    let before = held(&disk.process_crash()).unwrap();
    let (file, at) = find(&disk, b"value 1");
    let whole = disk.bytes(&file).unwrap();
    disk.flip_bit(&file, at as u64, 3);
    let (left, after, done) = salvaged(&disk);
    assert_eq!(changed(&before, &after), ["victim 1"]);
    let [damage] = &*done.found.damages else { panic!("{:?}", done.found.damages) };
    let range = damage.offset as usize..(damage.offset + damage.bytes) as usize;
    assert!(damage.file == file && range.contains(&at), "{damage:?}");
    let aside = left.bytes(&format!("{file}.damaged-{}", damage.offset)).unwrap();
    let mut expected = whole[range.clone()].to_vec();
    expected[at - range.start] ^= 8;
    assert_eq!(aside, expected, "what was damaged is there as it was");
    assert_eq!(left.bytes(&format!("{file}.aside")).unwrap().len(), whole.len());
}

#[test]
fn a_key_whose_change_stands_on_what_is_gone_is_lost_and_named() {
    let disk = sound();
    let before = held(&disk.process_crash()).unwrap();
    let (file, _) = find(&disk, b"victim 2");
    let bytes = disk.bytes(&file).unwrap();
    let link = b"a link of the chain";
    let at = bytes.windows(link.len()).rposition(|window| window == link).unwrap();
    // Not the last of them: what follows stands on it.
    let at = bytes[..at].windows(link.len()).rposition(|window| window == link).unwrap();
    disk.flip_bit(&file, at as u64, 0);
    let (_, after, done) = salvaged(&disk);
    assert_eq!(lost(&done), ["chain"]);
    assert_eq!(changed(&before, &after), ["chain"]);
}

#[test]
fn a_long_value_of_which_a_part_is_gone_is_lost_as_a_whole() {
    let disk = sound();
    let before = held(&disk.process_crash()).unwrap();
    for element in [&b"list 399"[..], b"list 200", b"list 1"] {
        let damaged = disk.process_crash();
        let (file, at) = find(&damaged, element);
        damaged.flip_bit(&file, at as u64, 0);
        let (_, after, done) = salvaged(&damaged);
        assert_eq!(changed(&before, &after), ["list"], "{}", element.escape_ascii());
        // Of a value whose beginning is gone nothing may be left that says whose it was.
        assert!(lost(&done).iter().all(|key| key == "list"));
    }
}

#[test]
fn a_segment_that_is_gone_or_cut_costs_what_was_in_it() {
    let disk = sound();
    let before = held(&disk.process_crash()).unwrap();
    let names = segments(&disk);
    for (at, name) in names[..names.len() - 1].iter().enumerate() {
        let missing = disk.process_crash();
        missing.remove(name).unwrap();
        missing.sync_dir().unwrap();
        let (left, after, done) = salvaged(&missing);
        assert!(after.len() < before.len() && !after.is_empty(), "{name}");
        assert!(done.found.damages.iter().any(|damage| damage.file == *name), "{name}: {:?}", done.found);
        assert!(left.names().iter().any(|other| other.ends_with(".aside")));

        let cut = disk.process_crash();
        let bytes = cut.bytes(name).unwrap();
        cut.put(name, &bytes[..bytes.len() / 2]);
        let (_, after, done) = salvaged(&cut);
        assert!(after.len() < before.len() && !after.is_empty(), "{name}");
        assert!(done.found.damages.iter().any(|damage| damage.file == *name), "{name}: {:?}", done.found);

        // The header says nothing that the frames do not say too.
        let headless = disk.process_crash();
        headless.corrupt(name, 0, &[0; 64]);
        let (_, after, done) = salvaged(&headless);
        assert_eq!((changed(&before, &after), lost(&done)), (Vec::new(), Vec::new()), "{at}");
    }
}

#[test]
fn a_log_of_which_nothing_is_left_is_missed() {
    let written = bench(FsyncMode::Always);
    written.set(b"key", b"value");
    written.store.close();
    let disk = written.disk.process_crash();
    // The manifest of another start says how far the log was durable; the segments cannot say it any more.
    drop(Bench::try_open(&disk).unwrap());
    let gone = disk.process_crash();
    for name in gone.names().iter().filter(|name| segment::parse_name(NAME, name).is_some()) {
        gone.remove(name).unwrap();
    }
    gone.sync_dir().unwrap();
    assert!(matches!(Bench::try_open(&gone).err(), Some(Error::Corrupt { .. })));
    assert!(Bench::try_open(&disk.process_crash()).is_ok());
}

#[test]
fn large_values_that_are_damaged_or_gone_are_named() {
    let disk = sound();
    let before = held(&disk.process_crash()).unwrap();
    disk.flip_bit(&blob::file_name(NAME, 1), 100, 1);
    disk.remove(&blob::file_name(NAME, 2)).unwrap();
    disk.sync_dir().unwrap();
    let (left, after, done) = salvaged(&disk);
    assert_eq!(lost(&done), ["blob", "other blob"]);
    assert_eq!(changed(&before, &after), ["blob", "other blob"]);
    assert!(left.names().contains(&format!("{}.aside", blob::file_name(NAME, 1))));
}

#[test]
fn a_large_value_whose_frame_is_damaged_is_put_aside_too() {
    let disk = sound();
    let file = blob::file_name(NAME, 1);
    let value = disk.bytes(&file).unwrap();
    // The frame that names it: the key, and the number of the blob.
    let (log, at) = find(&disk, b"blob\x01\0\0\0\0\0\0\0");
    disk.flip_bit(&log, at as u64, 0);
    let (left, after, _) = salvaged(&disk);
    assert!(!after.contains_key(&(0, b"blob".to_vec())));
    assert_eq!(left.bytes(&format!("{file}.aside")).unwrap(), value);
}

#[test]
fn a_manifest_that_is_damaged_or_missing_is_made_again() {
    let disk = sound();
    // Opened several times: some of its segments end early.
    for _ in 0..3 {
        let store = Store::open(disk_of(&disk), clock(), options()).unwrap();
        let key = store.key(b"late");
        store.begin(2, &[key], store.now_ms()).append(&key, b"r");
        store.close();
    }
    let before = held(&disk.process_crash()).unwrap();
    for damage in [true, false] {
        let copy = disk.process_crash();
        match damage {
            true => copy.flip_bit(NAME, 60, 0),
            false => copy.remove(NAME).unwrap(),
        }
        assert!(Store::open(disk_of(&copy), clock(), options()).is_err());
        let checked = check(&disk_of(&copy), &*clock(), &lean()).unwrap();
        let [found] = &*checked.damages else { panic!("{checked:?}") };
        assert_eq!((&*found.file, checked.keys), (NAME, before.len() as u64));
        repair(&copy);
        assert_eq!(held(&copy.power_loss_with(Survival::Nothing)).unwrap(), before);
    }
}

/// Crashes a salvage at each of its operations.
pub fn crashes() -> Result<(), String> {
    let damaged = sound();
    let before = held(&damaged.process_crash()).unwrap();
    let (file, at) = find(&damaged, b"value 1");
    damaged.flip_bit(&file, at as u64, 3);
    damaged.flip_bit(&blob::file_name(NAME, 1), 100, 1);
    let expected: Held = before.into_iter().filter(|((_, key), _)| key != b"victim 1" && key != b"blob").collect();
    for operation in 1.. {
        let copy = damaged.process_crash();
        copy.crash_at(operation);
        let _ = salvage(&disk_of(&copy), &clock(), &lean());
        if !copy.is_down() {
            return if operation > 20 { Ok(()) } else { Err(format!("only {operation} operations")) };
        }
        for survival in [None, Some(Survival::Nothing), Some(Survival::Everything), Some(Survival::Random(operation))] {
            let left = survival.map_or_else(|| copy.process_crash(), |survival| copy.power_loss_with(survival));
            let what = |why: String| format!("stopped at operation {operation}, then {survival:?}: {why}");
            match held(&left.process_crash()) {
                Ok(found) if found == expected => {}
                Ok(found) => return Err(what(format!("{} keys and not {}", found.len(), expected.len()))),
                Err(Error::Corrupt { .. }) => {
                    let again = salvage(&disk_of(&left), &clock(), &lean());
                    again.map_err(|error| what(format!("cannot be salvaged again: {error}")))?;
                    let found = held(&left.process_crash()).map_err(|error| what(error.to_string()))?;
                    if found != expected {
                        return Err(what(format!("salvaged again, {} keys", found.len())));
                    }
                }
                Err(error) => return Err(what(error.to_string())),
            }
            let names = left.names();
            for end in [".damaged-", ".log.aside", ".blob.aside", ".ckpt.aside"] {
                if !names.iter().any(|name| name.contains(end)) {
                    return Err(what(format!("nothing was put aside as {end}")));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_operation_of_a_salvage() {
    crashes().unwrap();
}
