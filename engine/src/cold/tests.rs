//! Values leave memory, come back, and are never taken for others.

use std::sync::Arc;

use super::*;
use crate::clock::SimClock;
use crate::disk::sim::SimDisk;
use crate::format::segment;
use crate::log::flusher::Flusher;
use crate::{Error, Key, Options, Transaction, Value};

fn store(disk: &SimDisk) -> Arc<Store> {
    let options = Options { secrets_from: Some(1), memory_goal: 0, blob_bytes: 5000, ..Options::default() };
    Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1000)), options).unwrap()
}

fn sync(store: &Store) {
    store.log().want_sync(store.log().appended());
    Flusher::new(store.log().clone()).step(1);
    assert_eq!(store.log().durable(), store.log().appended());
}

/// All that can leave memory does.
fn spill(store: &Store) {
    for _ in 0..100 {
        store.spill_some();
        sync(store);
    }
}

fn set(store: &Store, key: &[u8], value: &[u8]) {
    let key = store.key(key);
    let value = match value.len() >= store.options().blob_bytes {
        true => Value::Blob(value.to_vec().into(), store.write_blob(value).unwrap()),
        false => Value::Copy(value),
    };
    store.begin(0, &[key], 1000).set(&key, value, None);
    sync(store);
}

fn shown(transaction: &mut Transaction<'_>, key: &Key<'_>) -> Option<Vec<u8>> {
    transaction.get(key).and_then(|item| item.string().ok().map(<[u8]>::to_vec))
}

fn wanted(store: &Store, key: &[u8]) -> Want {
    let key = store.key(key);
    let mut wants = Vec::new();
    store.begin(0, &[key], 1000).wants(&key, &mut wants);
    wants.pop().expect("its value lies in the log only")
}

#[test]
fn a_value_leaves_memory_and_is_read_back() {
    let store = store(&SimDisk::new(1));
    for (name, value) in [(&b"short"[..], vec![b's'; 300]), (b"blob", vec![b'b'; 9000])] {
        set(&store, name, &value);
        let before = store.memory();
        spill(&store);
        assert!(store.memory() + 200 < before, "{} of {before} bytes are left", store.memory());
        let fetched = store.read(&wanted(&store, name)).unwrap();
        let key = store.key(name);
        let mut transaction = store.begin(0, &[key], 1000);
        take_missed();
        assert_eq!(shown(&mut transaction, &key), None, "what was not brought is not there");
        assert!(take_missed() && !take_missed());
        assert_eq!(transaction.take_wanted(), [wanted_of(&fetched)]);
        transaction.bring(&[fetched]);
        assert_eq!(shown(&mut transaction, &key), Some(value));
        assert!(!take_missed());
        drop(transaction);
        store.audit().unwrap();
    }
}

fn wanted_of(fetched: &Fetched) -> Want {
    let entry = &fetched.entry;
    let (key, lsn, length) = (entry.key().to_vec(), entry.lsn(), entry.value().len() as u32);
    Want { database: fetched.database, key, lsn, length, deadline: entry.deadline(), idle: 0 }
}

#[test]
fn small_values_and_what_is_not_durable_stay() {
    let store = store(&SimDisk::new(1));
    set(&store, b"small", b"12345678");
    let key = store.key(b"young");
    store.begin(0, &[key], 1000).set(&key, Value::Copy(&[b'y'; 300]), None);
    for _ in 0..100 {
        store.spill_at_once();
    }
    assert_eq!(store.cold_keys(), 0);
    spill(&store);
    assert_eq!(store.cold_keys(), 1);
    assert!(store.is_exhausted(), "there is nothing more to let go of");
}

#[test]
fn a_changed_value_is_logged_whole_before_it_goes() {
    let store = store(&SimDisk::new(1));
    set(&store, b"k", &[b'a'; 300]);
    let key = store.key(b"k");
    store.begin(0, &[key], 1000).append(&key, b"more");
    spill(&store);
    assert_eq!(store.cold_keys(), 1);
    let fetched = store.read(&wanted(&store, b"k")).unwrap();
    assert!(fetched.entry.value().ends_with(b"aamore"));
    let mut transaction = store.begin(0, &[key], 1000);
    assert_eq!(transaction.append(&key, b"!"), 305, "it is read where it is changed");
    assert!(shown(&mut transaction, &key).is_some_and(|value| value.ends_with(b"more!")));
}

#[test]
fn a_flipped_bit_is_told_and_nothing_is_changed() {
    let disk = SimDisk::new(1);
    let store = store(&disk);
    set(&store, b"k", &[b'a'; 300]);
    spill(&store);
    let want = wanted(&store, b"k");
    let name = segment::file_name("dump.kv", store.segment_of(want.lsn).0);
    let at = segment::HEADER + want.lsn - store.segment_of(want.lsn).1;
    disk.flip_bit(&name, at + 100, 3);
    let told = store.read(&want).unwrap_err();
    assert!(matches!(&told, Error::Corrupt { file, offset, .. } if *file == name && *offset == at), "{told}");
    assert!(store.is_wanted(&want));
    let key = store.key(b"k");
    let mut transaction = store.begin(0, &[key], 1000);
    take_missed();
    assert!(!transaction.warm(&key) && take_missed());
    transaction.append(&key, b"more");
    assert!(take_missed(), "a change that was not made is not told");
    drop(transaction);
    assert_eq!(wanted(&store, b"k"), want);
    // Whoever needs no old value goes on.
    set(&store, b"k", b"new");
    assert!(!store.is_wanted(&want));
}
