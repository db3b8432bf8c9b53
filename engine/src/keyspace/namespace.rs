//! Namespaces: keys whose names begin alike, counted together and evicted together.
//!
//! The namespace of a key is the part before the first separator. What has none, or too long a one, counts under
//! `default`, and so does what is named `default` itself. Names are *tracked* from their first key on, as long as there is
//! place; the others are `default`'s. Nothing is ever untracked: a key is counted in the same namespace from beginning to
//! end, and the figures are exact.
//!
//! Finding a name takes no lock. `default` itself is not counted: it is what is left of the whole.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use memchr::memmem::Finder;
use parking_lot::Mutex;
use rapidhash::v3::rapidhash_v3;

use super::policy::Policy;
use super::shard::DATABASES;

/// What stands for all keys without a namespace of their own.
pub const DEFAULT: &[u8] = b"default";
/// Longest name that is tracked.
pub const LONGEST_NAME: usize = 128;

/// Keys of one name, in all databases.
pub struct Namespace {
    name: Box<[u8]>,
    policy: Policy,
    keys: [AtomicI64; DATABASES],
    memory: [AtomicI64; DATABASES],
    evicted: AtomicU64,
}

impl Namespace {
    fn new(name: &[u8], policy: Policy) -> Namespace {
        let zeros = || std::array::from_fn(|_| AtomicI64::new(0));
        Namespace { name: name.into(), policy, keys: zeros(), memory: zeros(), evicted: AtomicU64::new(0) }
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What goes first of its keys.
    #[inline]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// So many keys, and bytes of memory that keys and values take, have come to a physical database.
    #[inline]
    pub fn add(&self, database: u8, keys: i64, memory: i64) {
        let database = usize::from(database);
        if keys != 0 {
            self.keys[database].fetch_add(keys, Ordering::Relaxed);
        }
        if memory != 0 {
            self.memory[database].fetch_add(memory, Ordering::Relaxed);
        }
    }

    /// Keys and bytes in a physical database.
    pub fn figures(&self, database: usize) -> (i64, i64) {
        (self.keys[database].load(Ordering::Relaxed), self.memory[database].load(Ordering::Relaxed))
    }

    /// Keys and bytes in all databases.
    pub fn totals(&self) -> (i64, i64) {
        (0..DATABASES).map(|database| self.figures(database)).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }

    /// Keys that went to make room.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// One more key went, or so many had gone before.
    pub fn add_evicted(&self, more: u64) {
        self.evicted.fetch_add(more, Ordering::Relaxed);
    }
}

/// All that are tracked.
pub struct Namespaces {
    separator: Finder<'static>,
    /// What goes first where nothing else is said.
    policy: Policy,
    /// A hash table of open addresses, at most half full. What is in it stays.
    slots: Box<[OnceLock<Box<Namespace>>]>,
    tracked: AtomicUsize,
    most: usize,
    adding: Mutex<()>,
}

impl Namespaces {
    /// None so far but those that have a policy of their own; at most so many.
    pub fn new(separator: &[u8], most: usize, policy: Policy, own: &[(Vec<u8>, Policy)]) -> Namespaces {
        let most = most.max(own.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len());
        let slots = (2 * most).next_power_of_two();
        let namespaces = Namespaces {
            separator: Finder::new(separator).into_owned(),
            policy,
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            tracked: AtomicUsize::new(0),
            most,
            adding: Mutex::new(()),
        };
        for (name, policy) in own {
            namespaces.track(name, *policy);
        }
        namespaces
    }

    /// The name in a key that a namespace could have.
    #[inline]
    fn name_in<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let separator = self.separator.needle();
        let head = &key[..key.len().min(LONGEST_NAME + separator.len())];
        let end = match separator {
            [byte] => memchr::memchr(*byte, head),
            _ => self.separator.find(head),
        }?;
        let name = &key[..end];
        (!name.is_empty() && name != DEFAULT).then_some(name)
    }

    /// The namespace of a key that is counted somewhere. `None` for `default`.
    #[inline]
    pub fn of(&self, key: &[u8]) -> Option<&Namespace> {
        self.at(self.place_of(key)?)
    }

    /// The same for a key that comes, which may be the first of its name.
    #[inline]
    pub fn of_new(&self, key: &[u8]) -> Option<&Namespace> {
        let name = self.name_in(key)?;
        let place = self.find(name).ok().or_else(|| self.track(name, self.policy))?;
        self.at(place)
    }

    /// Where a namespace is, as long as these rules hold.
    #[inline]
    pub fn place_of(&self, key: &[u8]) -> Option<usize> {
        self.find(self.name_in(key)?).ok()
    }

    /// What is at a place.
    #[inline]
    pub fn at(&self, place: usize) -> Option<&Namespace> {
        self.slots[place].get().map(|namespace| &**namespace)
    }

    /// All of them with their places.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Namespace)> {
        (0..self.slots.len()).filter_map(|place| Some((place, self.at(place)?)))
    }

    /// Whether there is any.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tracked.load(Ordering::Acquire) == 0
    }

    /// A physical database is empty. Nobody counts meanwhile.
    pub fn clear(&self, database: u8) {
        for (_, namespace) in self.all() {
            namespace.keys[usize::from(database)].store(0, Ordering::Relaxed);
            namespace.memory[usize::from(database)].store(0, Ordering::Relaxed);
        }
    }

    /// Where a name is, or where it would be.
    #[inline]
    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        let mut at = rapidhash_v3(name) as usize & (self.slots.len() - 1);
        loop {
            match self.at(at) {
                None => return Err(at),
                Some(namespace) if *namespace.name == *name => return Ok(at),
                Some(_) => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Tracks a name if there is a place for it.
    #[cold]
    fn track(&self, name: &[u8], policy: Policy) -> Option<usize> {
        if self.tracked.load(Ordering::Acquire) >= self.most {
            return None;
        }
        let _adding = self.adding.lock();
        let place = match self.find(name) {
            Ok(place) => return Some(place),
            Err(_) if self.tracked.load(Ordering::Acquire) >= self.most => return None,
            Err(place) => place,
        };
        self.slots[place].get_or_init(|| Box::new(Namespace::new(name, policy)));
        self.tracked.fetch_add(1, Ordering::Release);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(separator: &[u8], most: usize) -> Namespaces {
        Namespaces::new(separator, most, Policy::AllKeysLru, &[(b"own".to_vec(), Policy::Mru)])
    }

    fn name<'n>(namespaces: &'n Namespaces, key: &[u8]) -> Option<&'n [u8]> {
        namespaces.of_new(key).map(Namespace::name)
    }

    #[test]
    fn the_name_is_the_part_before_the_first_separator() {
        let slash = namespaces(b"/", 10);
        let long = [&[b'n'; LONGEST_NAME][..], b"/k"].concat();
        for (key, expected) in [
            (&b"ns/key"[..], Some(&b"ns"[..])),
            (b"ns/a/b", Some(b"ns")),
            (b"ns/", Some(b"ns")),
            (b"key", None),
            (b"/key", None),
            (b"default/key", None),
            (&long, Some(&long[..LONGEST_NAME])),
            (&[b"n", &long[..]].concat(), None),
        ] {
            assert_eq!(name(&slash, key), expected, "{}", key.escape_ascii());
        }
        let colons = namespaces(b"::", 10);
        assert_eq!((name(&colons, b"a:b::c"), name(&colons, b"a:b:c")), (Some(&b"a:b"[..]), None));
    }

    #[test]
    fn only_so_many_are_tracked_and_those_with_a_policy_first() {
        let all = namespaces(b"/", 3);
        assert_eq!([name(&all, b"a/1"), name(&all, b"b/1"), name(&all, b"c/1")], [Some(&b"a"[..]), Some(b"b"), None]);
        assert_eq!((name(&all, b"own/1"), all.of(b"own/1").unwrap().policy()), (Some(&b"own"[..]), Policy::Mru));
        assert!(all.of(b"c/1").is_none() && all.of(b"a/2").is_some());
        assert_eq!(all.all().count(), 3);
        let place = all.place_of(b"b/7").unwrap();
        assert_eq!(all.at(place).unwrap().name(), b"b");
        assert_eq!(namespaces(b"/", 0).all().count(), 1);
    }

    #[test]
    fn figures_are_kept_by_database() {
        let all = namespaces(b"/", 3);
        let of = all.of_new(b"a/1").unwrap();
        of.add(0, 1, 100);
        of.add(5, 2, 50);
        assert_eq!((of.totals(), of.figures(5)), ((3, 150), (2, 50)));
        all.clear(5);
        assert_eq!(of.totals(), (1, 100));
    }

    #[test]
    fn threads_that_meet_a_name_at_once_track_it_once() {
        let all = namespaces(b"/", 64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..200 {
                        if let Some(of) = all.of_new(format!("n{number}/k").as_bytes()) {
                            of.add(0, 1, 1);
                        }
                    }
                });
            }
        });
        assert_eq!(all.all().count(), 64);
        let full = all.all().filter(|(_, of)| of.totals() == (4, 4)).count();
        assert_eq!(full, 63, "each of the threads has counted each once, but the one that nobody has written to");
    }
}
