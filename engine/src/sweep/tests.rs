//! What expires, when, and what is told of it; what is left when the log is played again.

use parking_lot::Mutex;

use super::*;
use crate::clock::{Clock, SimClock};
use crate::disk::sim::{SimDisk, Survival};
use crate::keyspace::access::Use;
use crate::keyspace::rules::Usage;
use crate::listener::{Class, Event, Listener, Presence};
use crate::log::Lsn;
use crate::options::Options;
use crate::txn::{Collection, Value};
use crate::value::op::{HASH_EXPIRE, HASH_LOAD, HASH_SET, LIST_PUSH_BACK, Op};

const START_MS: u64 = 1 << 40;

struct Bench {
    disk: SimDisk,
    clock: Arc<SimClock>,
    store: Arc<Store>,
    sweeper: Sweeper,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told(Mutex<Vec<(Class, &'static str)>>);

impl Listener for Told {
    fn changed(&self, _: u8, _: &[u8], _: bool) {}

    fn event(&self, event: &Event<'_>) {
        self.0.lock().push((event.class, event.name));
    }

    fn replaced(&self, _: u8, _: &mut dyn FnMut(&[u8]) -> Presence) {}
}

fn bench() -> Bench {
    bench_on(SimDisk::new(5), START_MS)
}

fn bench_on(disk: SimDisk, now_ms: u64) -> Bench {
    let clock = Arc::new(SimClock::new(now_ms));
    let options = Options { segment_bytes: 1 << 20, secrets_from: Some(3), ..Options::default() };
    let store = Store::open(Arc::new(disk.clone()), clock.clone(), options).unwrap();
    let told = Arc::new(Told::default());
    store.set_listener(told.clone());
    store.attention().set_events(true);
    Bench { disk, clock, store, sweeper: Sweeper::default(), told }
}

impl Bench {
    fn apply(&self, key: &str, op: &Op) -> Lsn {
        let key = self.store.key(key.as_bytes());
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.apply(&key, op).unwrap();
        transaction.commit()
    }

    /// Sets a field without a deadline.
    fn set(&self, key: &str, field: &str) {
        self.apply(key, Op::new(HASH_SET).element(field.as_bytes()).element(b"v"));
    }

    /// Sets a field that goes after so many milliseconds.
    fn set_for(&self, key: &str, field: &str, ms: u64) {
        let deadline = self.store.now_ms() + ms;
        self.apply(key, Op::new(HASH_LOAD).element(field.as_bytes()).element(b"v").number(deadline));
    }

    /// Gives a field another deadline; none when it is 0 ms from now.
    fn expire(&self, key: &str, field: &str, ms: u64) {
        let deadline = if ms == 0 { 0 } else { self.store.now_ms() + ms };
        self.apply(key, Op::new(HASH_EXPIRE).number(deadline).element(field.as_bytes()));
    }

    /// Fields in the table, whether or not they have expired. None without the key.
    fn kept(&self, key: &str) -> Option<usize> {
        let key = self.store.key(key.as_bytes());
        let shard = self.store.shards().lock(key.shard());
        shard.find(0, &key).map(|entry| crate::txn::Item::of(entry, 0).hash().unwrap().len())
    }

    /// Fields that a reader sees.
    fn seen(&self, key: &str) -> usize {
        let key = self.store.key(key.as_bytes());
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.get(&key).map_or(0, |item| item.hash().unwrap().shown())
    }

    fn sweep(&mut self) {
        while self.sweeper.step(&self.store) {}
    }

    fn told(&self) -> Vec<(Class, &'static str)> {
        std::mem::take(&mut *self.told.0.lock())
    }

    /// After a kill: what was written is there, and nothing else.
    fn reopened(self, now_ms: u64) -> Bench {
        self.store.log().write_out();
        bench_on(self.disk.process_crash(), now_ms)
    }

    fn deadline_bytes(&self, key: &str) -> usize {
        self.store.shards().lock(self.store.key(key.as_bytes()).shard()).deadline_bytes()
    }
}

/// The fields of a small hash, and of one that is a table.
const SIZES: [usize; 2] = [3, 2000];

#[test]
fn fields_go_in_their_turn_and_the_hash_with_the_last() {
    for size in SIZES {
        let mut bench = bench();
        (0..size).for_each(|n| bench.set_for("h", &format!("f{n}"), 10));
        bench.set_for("h", "later", 20);
        bench.told();
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 1), "nothing is due");
        bench.clock.advance_ms(9);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 1), "still nothing");
        bench.clock.advance_ms(1);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(1));
        assert!(bench.told().iter().all(|event| *event == (Class::Hash, "hexpired")));
        assert_eq!(bench.store.expired_field_count(), size as u64);
        bench.clock.advance_ms(10);
        bench.sweep();
        assert_eq!((bench.kept("h"), bench.store.key_count(0)), (None, 0));
        assert_eq!(bench.told(), [(Class::Hash, "hexpired"), (Class::Generic, "del")]);
        assert_eq!(bench.store.expired_count(), 0, "the key has not expired");
    }
}

#[test]
fn whoever_looks_at_a_hash_removes_its_expired_fields_all_at_once() {
    for size in SIZES {
        let bench = bench();
        (0..size).for_each(|n| bench.set_for("h", &format!("f{n}"), 10));
        bench.set("h", "stays");
        bench.told();
        bench.clock.advance_ms(10);
        assert_eq!((bench.seen("h"), bench.kept("h")), (1, Some(1)));
        assert!(bench.told().contains(&(Class::Hash, "hexpired")));
        bench.set_for("gone", "f", 10);
        bench.clock.advance_ms(10);
        bench.told();
        assert_eq!((bench.seen("gone"), bench.kept("gone")), (0, None));
        assert_eq!(bench.told(), [(Class::Hash, "hexpired"), (Class::Generic, "del")]);
    }
}

#[test]
fn a_deadline_that_was_moved_or_taken_away_does_not_count() {
    for size in SIZES {
        let mut bench = bench();
        (0..size).for_each(|n| bench.set("h", &format!("f{n}")));
        for (field, first, then) in [("back", 10, 30), ("forth", 30, 10), ("away", 10, 0), ("again", 10, 0)] {
            bench.set_for("h", field, first);
            bench.expire("h", field, then);
        }
        bench.expire("h", "again", 20);
        bench.set_for("h", "overwritten", 10);
        bench.set("h", "overwritten");
        bench.clock.advance_ms(10);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 4), "only what was brought forward");
        bench.clock.advance_ms(10);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 3), "what has a deadline again");
        bench.clock.advance_ms(10);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 2), "what was moved back");
        bench.clock.advance_ms(1000);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 2));
    }
}

#[test]
fn the_deadline_of_the_key_and_those_of_its_fields_both_count() {
    let mut bench = bench();
    for (key, ms) in [("before", 5), ("behind", 30)] {
        bench.set_for(key, "f", 10);
        bench.set(key, "stays");
        let key = bench.store.key(key.as_bytes());
        let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
        transaction.set_deadline(&key, Some(START_MS + ms));
        transaction.commit();
    }
    bench.clock.advance_ms(10);
    bench.sweep();
    assert_eq!((bench.kept("before"), bench.kept("behind")), (None, Some(1)));
    bench.clock.advance_ms(20);
    bench.sweep();
    assert_eq!(bench.kept("behind"), None);
    assert_eq!((bench.store.expired_count(), bench.store.expired_field_count()), (2, 1));
}

#[test]
fn a_step_removes_about_as_much_as_it_may_and_the_next_goes_on() {
    let mut bench = bench();
    (0..5000).for_each(|n| bench.set_for("large", &format!("f{n}"), 10));
    (0..3000).for_each(|n| bench.set_for(&format!("small {n}"), "f", 10));
    bench.clock.advance_ms(10);
    let mut left = 8000;
    let mut steps = 0;
    while bench.sweeper.step(&bench.store) {
        let now_left = 8000 - bench.store.expired_field_count();
        assert!(left - now_left <= 2 * STEP_REMOVALS, "{}", left - now_left);
        left = now_left;
        steps += 1;
    }
    assert!(steps >= 4, "{steps}");
    assert_eq!((bench.store.key_count(0), bench.store.expired_field_count()), (0, 8000));
}

#[test]
fn deadlines_that_move_all_the_time_take_no_more_memory() {
    let bench = bench();
    let most = 4096;
    for n in 0..20_000 {
        bench.set_for("h", "f", 1_000_000 - n);
        assert!(bench.deadline_bytes("h") <= most, "brought forward {n} times");
    }
    for n in 0..20_000 {
        bench.expire("h", "f", if n % 2 == 0 { 0 } else { 500 });
        assert!(bench.deadline_bytes("h") <= most, "taken away and given again {n} times");
    }
}

/// A large hash that gets another name takes the deadlines of its fields along, and leaves none behind.
#[test]
fn a_large_hash_keeps_its_deadlines_under_another_name() {
    let mut bench = bench();
    (0..1000).for_each(|n| bench.set_for("a", &format!("f{n}"), 10));
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b")] {
        let (from, to) = (bench.store.key(from.as_bytes()), bench.store.key(to.as_bytes()));
        let mut transaction = bench.store.begin(0, &[from, to], bench.store.now_ms());
        assert!(transaction.rename(&from, &to));
        transaction.commit();
    }
    let due = |key: &str| bench.store.shards().lock(bench.store.key(key.as_bytes()).shard()).due_total();
    assert_eq!((due("a"), due("b")), (0, 1));
    bench.clock.advance_ms(10);
    bench.sweep();
    assert_eq!((bench.kept("b"), bench.store.key_count(0)), (None, 0));
}

#[test]
fn nothing_is_noted_of_a_database_that_was_emptied() {
    let bench = bench();
    (0..1000).for_each(|n| bench.set_for(&format!("h{n}"), "f", 1000));
    bench.store.flush(&[0]);
    assert!((0..SHARDS).all(|index| bench.store.shards().lock(index).deadline_bytes() == 0));
}

#[test]
fn deadlines_of_fields_survive_a_crash() {
    for size in SIZES {
        let bench = bench();
        (0..size).for_each(|n| bench.set_for("h", &format!("f{n}"), 10));
        bench.set_for("h", "later", 20);
        bench.set("h", "stays");
        bench.expire("h", "f0", 0);
        let mut bench = bench.reopened(START_MS + 9);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(size + 2), "nothing is due");
        bench.clock.advance_ms(1);
        bench.sweep();
        assert_eq!(bench.kept("h"), Some(3));
        let mut bench = bench.reopened(START_MS + 5);
        assert_eq!(bench.kept("h"), Some(3), "what went stays away, though the clock was set back");
        bench.clock.advance_ms(15);
        bench.sweep();
        assert_eq!((bench.seen("h"), bench.kept("h")), (2, Some(2)));
        assert_eq!(bench.clock.wall_ms(), START_MS + 20);
    }
}

#[test]
fn after_power_loss_what_has_expired_is_not_seen() {
    let mut bench = bench();
    (0..50).for_each(|n| bench.set_for("h", &format!("f{n}"), 10));
    bench.set("h", "stays");
    bench.store.log().write_out();
    bench.clock.advance_ms(10);
    bench.sweep();
    for seed in 0..50 {
        let lost = bench_on(bench.disk.power_loss_with(Survival::Random(seed)), START_MS + 10);
        assert!(matches!(lost.kept("h"), None | Some(1..=51)), "{:?}", lost.kept("h"));
        assert!(lost.seen("h") <= 1, "what has expired is not seen, be it there");
    }
}

#[test]
fn nothing_goes_while_expiry_is_held() {
    let mut bench = bench();
    bench.set_for("h", "a", 10);
    bench.set("h", "b");
    bench.store.hold_expiry(bench.clock.monotonic_ms() + 1000);
    bench.clock.advance_ms(500);
    bench.sweep();
    assert_eq!((bench.seen("h"), bench.kept("h")), (1, Some(2)));
    assert_eq!(bench.store.expired_field_count(), 0);
    bench.clock.advance_ms(500);
    bench.sweep();
    assert_eq!((bench.seen("h"), bench.kept("h")), (1, Some(1)));
    bench.set_for("h", "c", 10);
    bench.store.hold_expiry(u64::MAX);
    bench.clock.advance_ms(500);
    bench.sweep();
    assert_eq!(bench.kept("h"), Some(2));
    bench.store.hold_expiry(0);
    bench.sweep();
    assert_eq!(bench.kept("h"), Some(1));
}

#[test]
fn only_a_use_ends_idleness() {
    let idle = |bench: &Bench, uses: bool| {
        let key = bench.store.key(b"h");
        let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
        transaction.set_uses(uses.then_some(Use::Read));
        transaction.get(&key).unwrap();
        transaction.usage(&key)
    };
    let bench = bench();
    bench.set("h", "a");
    bench.clock.advance_ms(100_000);
    let seconds = |seconds| Some(Usage::Idle(seconds));
    assert_eq!((idle(&bench, false), idle(&bench, false)), (seconds(100), seconds(100)));
    assert_eq!((idle(&bench, true), idle(&bench, false)), (seconds(0), seconds(0)));
    let key = bench.store.key(b"h");
    let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
    transaction.set_usage(&key, Usage::Idle(1000));
    transaction.commit();
    assert_eq!(idle(&bench, false), seconds(1000));
    bench.clock.advance_ms(5000);
    let later = bench.store.now_ms();
    assert_eq!(idle(&bench.reopened(later), false), seconds(0), "nobody knows");
}

#[test]
fn whoever_overwrites_what_has_expired_buries_it_first() {
    let bench = bench();
    let set = |value: Option<&'static [u8]>, deadline| {
        let key = bench.store.key(b"k");
        let mut transaction = bench.store.begin(0, &[key], bench.store.now_ms());
        match value {
            Some(value) => transaction.set(&key, Value::Copy(value), deadline),
            None => {
                let list = Collection::of(LIST_PUSH_BACK, &transaction.limits(), [b"e"], |op, element| {
                    op.element(element);
                });
                transaction.set_collection(&key, list, deadline);
            }
        }
        transaction.commit();
    };
    for (count, value) in [(1, Some(&b"w"[..])), (2, None)] {
        set(Some(b"v"), Some(START_MS + count * 1000));
        bench.told();
        bench.clock.advance_ms(1000);
        set(value, None);
        assert_eq!(bench.told(), [(Class::Expired, "expired"), (Class::New, "new")]);
        assert_eq!(bench.store.expired_count(), count);
    }
}
