//! Operations on keys that are carried out in parts, and what is left of them when the log is played again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::clock::SimClock;
use crate::disk::sim::SimDisk;
use crate::options::Options;
use crate::value::op::{self, Op};
use crate::value::{LIST, SET};

const KEY: &[u8] = b"key";

/// A store that takes operations of so many bytes at once.
fn store(disk: &SimDisk, part_bytes: usize) -> Arc<Store> {
    let options = Options { part_bytes, secrets_from: Some(3), ..Options::default() };
    Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1 << 40)), options).unwrap()
}

/// What the key holds, as text.
fn shown(store: &Store) -> String {
    let key = store.key(KEY);
    let mut transaction = store.begin(0, &[key], 1);
    let Some(item) = transaction.get(&key) else { return String::new() };
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match item.value_type() {
        LIST => format!("{:?}", item.list().unwrap().iter_from(0).map(text).collect::<Vec<_>>()),
        HASH => {
            let fields = item.hash().unwrap();
            format!("{:?}", fields.iter().map(|(name, field)| (text(name), field)).collect::<Vec<_>>())
        }
        SET => format!("{:?}", item.set().unwrap().iter().map(|member| member.with(text)).collect::<Vec<_>>()),
        _ => {
            let members = item.zset().unwrap();
            format!("{:?}", members.from_rank(0).map(|(member, score)| (text(member), score)).collect::<Vec<_>>())
        }
    }
}

/// Operations of every type that take many elements, in turn, on values of three hundred elements.
fn long_operations() -> Vec<Vec<Op>> {
    let names: Vec<String> = (0..300).map(|number| format!("element {number}")).collect();
    let all = |code| Op::over(code, names.iter().map(String::as_bytes));
    let some = |code| Op::over(code, names.iter().step_by(3).map(String::as_bytes));
    // Fields that are there get other values, and keep their deadlines; others come.
    let others = Op::over(op::HASH_SET_KEEP, names.iter().rev().skip(1).take(298).map(String::as_bytes));
    let mut remove_runs = Op::new(op::LIST_REMOVE);
    (0..100).for_each(|run| {
        remove_runs.number(run * 5).number(2);
    });
    let mut expire = Op::new(op::HASH_EXPIRE);
    expire.number(1 << 41);
    names.iter().step_by(2).for_each(|name| {
        expire.element(name.as_bytes());
    });
    let (mut load, mut add) = (Op::new(op::HASH_LOAD), Op::new(op::ZSET_ADD));
    for (number, name) in names.iter().enumerate() {
        load.element(name.as_bytes()).element(b"loaded").number(number as u64 % 2 * (1 << 42));
        add.score(number as f64 % 7.0).element(name.as_bytes());
    }
    vec![
        vec![all(op::LIST_PUSH_BACK), all(op::LIST_PUSH_FRONT), remove_runs],
        vec![all(op::HASH_SET), expire, others, load, some(op::HASH_DELETE)],
        vec![all(op::SET_ADD), some(op::SET_REMOVE)],
        vec![add, some(op::ZSET_REMOVE)],
        vec![all(op::SET_ADD), all(op::SET_REMOVE)],
    ]
}

#[test]
fn long_operations_are_carried_out_and_logged_in_parts() {
    for operations in long_operations() {
        let disk = SimDisk::new(1);
        let (whole, parted) = (store(&SimDisk::new(2), usize::MAX), store(&disk, 200));
        for op in &operations {
            let [in_whole, in_parts] = [&whole, &parted].map(|store| {
                let key = store.key(KEY);
                let before = store.log().counters().frames.load(Ordering::Relaxed);
                let mut transaction = store.begin(0, &[key], 1);
                let applied = transaction.apply(&key, op).unwrap();
                transaction.commit();
                (applied, store.log().counters().frames.load(Ordering::Relaxed) - before)
            });
            assert_eq!(in_whole.0, in_parts.0);
            let parts = op.bytes().len() as u64 / 200;
            assert!(in_whole.1 == 1 && in_parts.1 >= parts, "{in_parts:?} of {parts}");
            assert_eq!(shown(&whole), shown(&parted));
        }
        parted.log().write_out();
        assert_eq!(shown(&whole), shown(&store(&disk.process_crash(), 200)));
    }
}

#[test]
fn a_wrong_type_is_seen_before_anything_is_done() {
    let store = store(&SimDisk::new(1), 20);
    let key = store.key(KEY);
    let mut transaction = store.begin(0, &[key], 1);
    transaction.set(&key, Value::Copy(b"text"), None);
    let push = Op::over(op::LIST_PUSH_BACK, [&b"one element"[..], b"another"]);
    assert_eq!(transaction.apply(&key, &push), Err(WrongType));
    assert_eq!(transaction.get(&key).map(|item| item.string()), Some(Ok(&b"text"[..])));
}
