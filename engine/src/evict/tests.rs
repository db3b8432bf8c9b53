//! What goes when memory is full, in which order, and what is left when the log is played again.

use super::*;
use crate::clock::SimClock;
use crate::disk::sim::SimDisk;
use crate::keyspace::access::{Scale, Use};
use crate::keyspace::rules::Usage;
use crate::options::Options;
use crate::txn::Value;

const START_MS: u64 = 1_700_000_000_000;

struct Bench {
    disk: SimDisk,
    clock: Arc<SimClock>,
    store: Arc<Store>,
}

fn bench_on(disk: SimDisk) -> Bench {
    let clock = Arc::new(SimClock::new(START_MS));
    let options = Options { segment_bytes: 1 << 20, secrets_from: Some(3), ..Options::default() };
    let store = Store::open(Arc::new(disk.clone()), clock.clone(), options).unwrap();
    Bench { disk, clock, store }
}

/// A store with `count` keys, each used a second after the one before it; those with even numbers have a deadline, the
/// later the greater the number.
fn filled(policy: Policy, count: u64) -> Bench {
    let bench = bench_on(SimDisk::new(5));
    bench.settle(policy, 0);
    for number in 0..count {
        let deadline = (number % 2 == 0).then_some(START_MS + (1 << 30) + number);
        bench.set(&format!("k{number:05}"), deadline);
        bench.clock.advance_ms(1000);
    }
    bench
}

impl Bench {
    fn settle(&self, policy: Policy, limit_bytes: u64) {
        let rules = EvictionRules { policy, ..EvictionRules::default() };
        self.limit(limit_bytes);
        self.store.set_eviction(&EvictionSettings { rules, ..EvictionSettings::default() });
    }

    /// Sets a limit, 0 for none, within which keys have to stay with their values.
    fn limit(&self, limit_bytes: u64) {
        self.store.set_spills(false);
        self.store.set_memory_goal(if limit_bytes == 0 { u64::MAX } else { limit_bytes });
    }

    fn set(&self, key: &str, deadline: Option<u64>) {
        let key = self.store.key(key.as_bytes());
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.set(&key, Value::Copy(&[b'v'; 100]), deadline);
        transaction.commit();
    }

    fn use_it(&self, key: &str, used: Use) {
        let key = self.store.key(key.as_bytes());
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.set_uses(Some(used));
        transaction.get(&key).unwrap();
        transaction.commit();
    }

    fn usage(&self, key: &str) -> Option<Usage> {
        let key = self.store.key(key.as_bytes());
        self.store.begin(0, &[key], self.store.now_ms()).usage(&key)
    }

    /// Bytes of keys and values, without tables: these stay.
    fn key_bytes(&self) -> u64 {
        let mut bytes = 0;
        self.store.scan(None, 0, 0, usize::MAX, |_, item| bytes += item.memory() as u64);
        bytes
    }

    /// Lowers the limit so that about this part of all keys has to go, and lets the evictor do that.
    fn shrink(&self, policy: Policy, percent: u64) {
        let limit = self.store.memory() - self.key_bytes() * percent / 100;
        self.settle(policy, limit);
        let mut evictor = Evictor::default();
        while evictor.step(&self.store) {}
    }

    fn left(&self) -> Vec<u64> {
        let mut left = Vec::new();
        self.store.scan(None, 0, 0, usize::MAX, |key, _| {
            left.push(std::str::from_utf8(&key[1..]).unwrap().parse().unwrap());
        });
        left.sort_unstable();
        left
    }
}

fn average(numbers: &[u64]) -> u64 {
    numbers.iter().sum::<u64>() / numbers.len().max(1) as u64
}

#[test]
fn the_policy_decides_who_stays() {
    const KEYS: u64 = 10_000;
    // What stays, as the average number of the keys: the last are the most recently used.
    for (policy, least, most) in [
        (Policy::AllKeysLru, 6400, 6800),
        (Policy::Mru, 3200, 3600),
        (Policy::AllKeysRandom, 4900, 5100),
        (Policy::AllKeysLfu, 5000, 5500),
    ] {
        let bench = filled(policy, KEYS);
        bench.shrink(policy, 35);
        let left = bench.left();
        assert!((6000..7000).contains(&left.len()), "{policy:?} leaves {}", left.len());
        assert_eq!(bench.store.evicted_count() + left.len() as u64, KEYS);
        assert!((least..most).contains(&average(&left)), "{policy:?} leaves {}", average(&left));
        bench.store.audit().unwrap();
        // And a kill brings nobody back.
        bench.store.log().write_out();
        assert_eq!(bench_on(bench.disk.process_crash()).left(), left);
    }
}

#[test]
fn the_sample_comes_close_to_the_true_order() {
    let bench = filled(Policy::AllKeysLru, 4000);
    let key = |number: u64| format!("k{number:05}");
    // The even ones are used again: of the odd ones the older go.
    (0..4000).step_by(2).for_each(|number| bench.use_it(&key(number), Use::Read));
    bench.shrink(Policy::AllKeysLru, 20);
    let left = bench.left();
    let even = left.iter().filter(|number| *number % 2 == 0).count();
    assert!(even > 1960, "{even} of 2000 that were just used are left");
    let old = left.iter().filter(|number| **number % 2 == 1 && **number < 1000).count();
    assert!(old < 40, "{old} of the 500 oldest are left");
}

#[test]
fn only_keys_with_a_deadline_go_where_the_policy_says_so() {
    use Policy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
    for policy in [VolatileLru, VolatileLfu, VolatileRandom, VolatileTtl] {
        let bench = filled(policy, 1000);
        bench.shrink(policy, 20);
        let left = bench.left();
        let odd = left.iter().filter(|number| *number % 2 == 1).count();
        assert_eq!(odd, 500, "{policy:?}");
        let even: Vec<u64> = left.iter().copied().filter(|number| number % 2 == 0).collect();
        assert!(even.len() < 400, "{policy:?} leaves {}", even.len());
        if policy == VolatileTtl {
            assert!(average(&even) > 600, "those with the nearest deadline go first: {}", average(&even));
        }
        // And when all of them are gone there is no room.
        bench.settle(policy, 1);
        bench.evict();
        assert_eq!(bench.left().len(), 500, "{policy:?}");
        assert_eq!(bench.store.make_room(0, || (b"k", 100)), Room::Full);
        assert_eq!(bench.store.await_room(100, b"k"), Room::Full);
    }
}

#[test]
fn who_writes_makes_room_and_no_more() {
    // So many that their tables do not grow any more.
    let bench = filled(Policy::AllKeysLru, 10_000);
    let limit = bench.store.memory();
    bench.settle(Policy::AllKeysLru, limit);
    assert_eq!(bench.store.make_room(0, || (b"k", 100)), Room::Enough);
    assert_eq!(bench.store.evicted_count(), 0, "memory is not full");
    for number in 10_000..20_000 {
        assert_eq!(bench.store.make_room(0, || (b"k", 200)), Room::Enough);
        bench.set(&format!("k{number:05}"), None);
        bench.clock.advance_ms(1000);
        assert!(bench.store.memory() < limit + 4000, "{number}: {}", bench.store.memory() - limit);
    }
    let left = bench.left();
    assert!(left.len() > 9000, "{} are left", left.len());
    assert!(average(&left) > 14_000, "the new ones: {}", average(&left));
    // What is needed for one large write is freed a little later, in the background.
    assert_eq!(bench.store.make_room(100_000, || (b"k", 100)), Room::Later);
    let mut evictor = Evictor::default();
    while evictor.step(&bench.store) {}
    assert_eq!(bench.store.make_room(100_000, || (b"k", 100)), Room::Enough);
    assert_eq!(bench.store.make_room(u64::MAX / 2, || (b"k", 100)), Room::Later);
    while evictor.step(&bench.store) {}
    assert_eq!(bench.store.make_room(u64::MAX / 2, || (b"k", 100)), Room::Full, "all are gone");
    assert_eq!(bench.store.key_count(0), 0);
}

#[test]
fn nothing_goes_without_a_policy_or_before_the_threshold() {
    let bench = filled(Policy::NoEviction, 100);
    bench.shrink(Policy::NoEviction, 50);
    assert_eq!((bench.store.key_count(0), bench.store.make_room(0, || (b"k", 1))), (100, Room::Full));
    let (memory, keys) = (bench.store.memory(), bench.key_bytes());
    let set = |limit_bytes, threshold_percent| {
        let rules = EvictionRules { policy: Policy::AllKeysLru, ..EvictionRules::default() };
        bench.limit(limit_bytes);
        bench.store.set_eviction(&EvictionSettings { rules, threshold_percent, samples: 5 });
    };
    set(memory * 2, 60);
    assert!(!Evictor::default().step(&bench.store));
    assert_eq!(bench.store.key_count(0), 100);
    let threshold = memory - keys / 2;
    set(threshold * 2, 50);
    while Evictor::default().step(&bench.store) {}
    assert!(bench.store.memory() <= threshold);
    assert!(bench.store.key_count(0) > 0);
}

#[test]
fn keys_that_are_used_often_stay() {
    let policy = Policy::AllKeysLfu;
    let bench = filled(policy, 1000);
    let key = |number: u64| format!("k{number:05}");
    for _ in 0..40 {
        (0..200).for_each(|number| bench.use_it(&key(number), Use::Write));
    }
    assert!(matches!(bench.usage(&key(7)), Some(Usage::Frequency(6..))), "{:?}", bench.usage(&key(7)));
    bench.shrink(policy, 60);
    let often = bench.left().iter().filter(|number| **number < 200).count();
    assert!(often > 190, "{often} of 200 are left");
    // Under the opposite policy these are the first to go.
    bench.shrink(Policy::Mfu, 20);
    let often = bench.left().iter().filter(|number| **number < 200).count();
    assert!(often < 130, "{often} of 200 are left");
}

#[test]
fn what_is_kept_of_uses_follows_the_policy() {
    let bench = filled(Policy::AllKeysLru, 10);
    assert_eq!(bench.usage("k00000"), Some(Usage::Idle(10)));
    bench.settle(Policy::AllKeysLfu, 0);
    assert_eq!(bench.usage("k00000"), Some(Usage::Frequency(Scale::FIRST)));
    bench.clock.advance_ms(120_000);
    assert_eq!(bench.usage("k00000"), Some(Usage::Frequency(Scale::FIRST - 2)));
    // Another length of the period leaves what has fallen.
    let scale = Scale { decay_minutes: 0, ..Scale::default() };
    let rules = EvictionRules { policy: Policy::AllKeysLfu, scale, ..EvictionRules::default() };
    bench.store.set_eviction(&EvictionSettings { rules, ..EvictionSettings::default() });
    bench.clock.advance_ms(600_000);
    assert_eq!(bench.usage("k00000"), Some(Usage::Frequency(Scale::FIRST - 2)));
    bench.settle(Policy::ExpireAfterRead, 0);
    assert_eq!(bench.usage("k00000"), Some(Usage::Read(false)));
    bench.settle(Policy::NoEviction, 0);
    assert_eq!(bench.usage("k00000"), Some(Usage::Idle(0)), "nobody knows");
}

#[test]
fn what_was_read_goes_at_the_next_sweep() {
    let bench = filled(Policy::ExpireAfterRead, 3000);
    let mut evictor = Evictor::default();
    let sweep = |evictor: &mut Evictor| while evictor.step(&bench.store) {};
    sweep(&mut evictor);
    assert_eq!(bench.store.key_count(0), 3000);
    let key = |number: u64| format!("k{number:05}");
    (0..1000).for_each(|number| bench.use_it(&key(number), Use::Read));
    (1000..2000).for_each(|number| bench.use_it(&key(number), Use::Write));
    // What is written again after it was read is new.
    (0..10).for_each(|number| bench.set(&key(number), None));
    bench.clock.advance_ms(READ_SWEEP_MS);
    sweep(&mut evictor);
    let left = bench.left();
    assert_eq!((left.len(), bench.store.evicted_count()), (2010, 990));
    assert_eq!(left[9..12], [9, 1000, 1001]);
    // When memory is full that is all that goes.
    bench.use_it(&key(1500), Use::Read);
    bench.shrink(Policy::ExpireAfterRead, 50);
    assert_eq!(bench.left().len(), 2009);
    assert_eq!(bench.store.make_room(0, || (b"k", 1)), Room::Full);
}

/// Rules with namespaces that `/` ends, and a policy for `own`.
fn named(policy: Policy, own: Policy) -> EvictionRules {
    EvictionRules {
        policy,
        separator: b"/".to_vec(),
        policies: vec![(b"own".to_vec(), own)],
        ..EvictionRules::default()
    }
}

impl Bench {
    fn follow(&self, rules: EvictionRules, limit_bytes: u64) {
        self.limit(limit_bytes);
        self.store.set_eviction(&EvictionSettings { rules, ..EvictionSettings::default() });
        self.store.audit().unwrap();
    }

    /// Keys of each namespace.
    fn counts(&self) -> Vec<(String, u64)> {
        let name = |of: &NamespaceFigures| String::from_utf8(of.name.clone()).unwrap();
        self.store.namespaces().iter().map(|of| (name(of), of.keys)).collect()
    }

    fn fill(&self, prefix: &str, count: u64) {
        (0..count).for_each(|number| self.set(&format!("{prefix}{number}"), None));
    }

    fn evict(&self) {
        let mut evictor = Evictor::default();
        while evictor.step(&self.store) {}
    }
}

fn of<const N: usize>(counts: [(&str, u64); N]) -> Vec<(String, u64)> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn who_writes_in_a_namespace_evicts_from_no_other() {
    let bench = bench_on(SimDisk::new(5));
    let rules = named(Policy::AllKeysLru, Policy::NoEviction);
    bench.follow(rules.clone(), 0);
    for (prefix, count) in [("big/", 20_000), ("small/", 50), ("own/", 1000), ("", 1000)] {
        bench.fill(prefix, count);
    }
    let counts = of([("default", 1000), ("big", 20_000), ("own", 1000), ("small", 50)]);
    assert_eq!(bench.counts(), counts);
    bench.follow(rules, bench.store.memory() - 1);
    let room = |key: &str| bench.store.make_room(0, || (key.as_bytes(), 100));
    // A few among many: they are found, however long the search takes.
    while room("small/x") == Room::Later {}
    assert_eq!(bench.counts(), of([("default", 1000), ("big", 20_000), ("own", 1000), ("small", 49)]));
    bench.fill("big/x", 3);
    assert_eq!((room("own/x"), room("nothing/x"), room("other/x")), (Room::Full, Room::Full, Room::Full));
    let memory =
        |name: &str| bench.store.namespaces().into_iter().find(|of| of.name == name.as_bytes()).unwrap().memory;
    assert!(memory("own") > 100_000 && memory("small") < 10_000);
    assert_eq!(room("k"), Room::Enough);
    assert!(bench.counts()[0].1 < 1000, "what has no name is a namespace, too");
    bench.store.audit().unwrap();
}

#[test]
fn the_background_takes_from_who_needed_memory_last_or_from_the_largest() {
    let bench = bench_on(SimDisk::new(5));
    let rules = named(Policy::AllKeysLru, Policy::NoEviction);
    bench.follow(rules.clone(), 0);
    for (prefix, count) in [("big/", 9000), ("small/", 3000), ("own/", 10_000)] {
        bench.fill(prefix, count);
    }
    // Nobody has written: the largest of those that may lose something, whoever comes to write meanwhile.
    bench.follow(rules.clone(), bench.store.memory() - 100_000);
    assert_eq!(bench.store.make_room(0, || (b"own/x", 100)), Room::Full);
    bench.evict();
    assert_eq!(bench.store.excess_memory(0), 0);
    let [_, (_, big), own, small] = &bench.counts()[..] else { panic!("four namespaces") };
    assert!(*big < 8500 && own.1 == 10_000 && small.1 == 3000, "{big}");
    let before = *big;
    // Somebody has: the rest is taken where that was.
    assert_eq!(bench.store.make_room(100_000, || (b"small/x", 100)), Room::Later);
    bench.evict();
    let counts = bench.counts();
    assert!(counts[3].1 < 2500 && counts[1].1 == before, "{counts:?}");
    bench.store.audit().unwrap();
}

#[test]
fn what_is_let_in_below_the_limit_comes_from_its_own_namespace() {
    let bench = bench_on(SimDisk::new(5));
    let rules = named(Policy::AllKeysLru, Policy::NoEviction);
    bench.follow(rules.clone(), 0);
    bench.fill("big/", 9000);
    bench.fill("small/", 3000);
    // Nothing has to go, and so nobody is asked for it when the limit is set.
    bench.follow(rules, bench.store.memory() + 50);
    assert_eq!(bench.store.make_room(0, || (b"small/x", 10_000)), Room::Enough);
    bench.fill("small/x", 100);
    assert!(bench.store.excess_memory(0) > 0);
    bench.evict();
    assert_eq!(bench.store.excess_memory(0), 0);
    let counts = bench.counts();
    assert!(counts[1].1 == 9000 && counts[3].1 < 3100, "{counts:?}");
}

#[test]
fn other_rules_count_and_keep_uses_anew() {
    let bench = bench_on(SimDisk::new(5));
    bench.fill("a/", 10);
    bench.fill("own/", 20);
    bench.fill("b::", 30);
    assert!(bench.counts().is_empty());
    bench.follow(named(Policy::AllKeysLru, Policy::AllKeysLfu), 0);
    assert_eq!(bench.counts(), of([("default", 30), ("a", 10), ("own", 20)]));
    assert_eq!(
        [bench.usage("a/1"), bench.usage("own/1")],
        [Some(Usage::Idle(0)), Some(Usage::Frequency(Scale::FIRST))]
    );
    bench.use_it("own/1", Use::Read);
    bench.clock.advance_ms(5000);
    let colons = EvictionRules { separator: b"::".to_vec(), ..named(Policy::AllKeysLru, Policy::AllKeysLfu) };
    bench.follow(colons, 0);
    assert_eq!(bench.counts(), of([("default", 30), ("b", 30), ("own", 0)]));
    assert_eq!([bench.usage("a/1"), bench.usage("own/1")], [Some(Usage::Idle(5)), Some(Usage::Idle(0))]);
    bench.follow(EvictionRules { max_namespaces: 0, ..named(Policy::AllKeysLru, Policy::Mru) }, 0);
    assert_eq!(bench.counts(), of([("default", 40), ("own", 20)]));
    bench.store.flush(&[0]);
    bench.store.audit().unwrap();
    assert_eq!(bench.counts(), of([("default", 0), ("own", 0)]));
}
