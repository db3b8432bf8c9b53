//! WATCH: who is to be told that a key has changed before its EXEC.
//!
//! A watch is a flag that a transaction raises while it holds the key's lock. EXEC looks at it when it holds the locks of
//! all watched keys: what comes later comes behind the EXEC.
//!
//! A key whose time had come when it was watched counts as absent, whether it was still there or not: when it goes,
//! nothing has changed.

use std::collections::HashMap;
use std::collections::hash_map::Entry::Vacant;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use engine::listener::{Attention, Presence};
use parking_lot::Mutex;

/// A key in a logical database.
pub type Place = (u8, Vec<u8>);

/// What a watched key takes beside its bytes, which lie in two tables: its places there.
const PER_KEY: usize = 256;

/// Memory that watching a key takes.
pub fn bytes_of(key: &[u8]) -> usize {
    2 * key.len() + PER_KEY
}

/// The keys that one connection watches.
#[derive(Default)]
pub struct Watch {
    dirty: AtomicBool,
    /// With each, whether it was there when it began to be watched.
    keys: Mutex<HashMap<Place, bool>>,
    bytes: AtomicUsize,
}

impl Watch {
    /// One of the keys has changed.
    pub fn touch(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Whether one of the keys has changed. Certain while their locks are held.
    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// How many keys it watches.
    pub fn len(&self) -> usize {
        self.keys.lock().len()
    }

    /// Whether it watches none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The keys, and whether each was there when it began to be watched.
    pub fn keys(&self) -> Vec<(Place, bool)> {
        self.keys.lock().iter().map(|(place, was_present)| (place.clone(), *was_present)).collect()
    }
}

/// Who watches a key.
struct Watcher {
    watch: Arc<Watch>,
    /// The key was there when it began to be watched.
    was_present: bool,
}

/// Who watches what.
#[derive(Default)]
pub struct Watches {
    by_key: Mutex<HashMap<Place, Vec<Watcher>>>,
}

impl Watches {
    /// How many different keys are watched.
    pub fn key_count(&self) -> usize {
        self.by_key.lock().len()
    }

    /// Watches a key, whose lock is held.
    pub fn add(&self, watch: &Arc<Watch>, database: u8, key: &[u8], was_present: bool, attention: &Attention) {
        let place = (database, key.to_vec());
        if let Vacant(of) = watch.keys.lock().entry(place.clone()) {
            of.insert(was_present);
            watch.bytes.fetch_add(bytes_of(key), Ordering::Relaxed);
            attention.add_changes(1);
            self.by_key.lock().entry(place).or_default().push(Watcher { watch: watch.clone(), was_present });
        }
    }

    /// Watches nothing any more.
    pub fn remove(&self, watch: &Arc<Watch>, attention: &Attention) {
        let keys = std::mem::take(&mut *watch.keys.lock());
        watch.bytes.store(0, Ordering::Relaxed);
        let mut by_key = self.by_key.lock();
        attention.add_changes(-(keys.len() as isize));
        for place in keys.into_keys() {
            if let Some(watches) = by_key.get_mut(&place) {
                watches.retain(|other| !Arc::ptr_eq(&other.watch, watch));
                if watches.is_empty() {
                    by_key.remove(&place);
                }
            }
        }
    }

    /// A key has another value, or none any more.
    pub fn touch(&self, database: u8, key: &[u8], present: bool) {
        let by_key = self.by_key.lock();
        if !by_key.is_empty()
            && let Some(watches) = by_key.get(&(database, key.to_vec()))
        {
            watches.iter().filter(|of| present || of.was_present).for_each(|of| of.watch.touch());
        }
    }

    /// A whole database has changed, as far as these keys are concerned.
    pub fn touch_all(&self, database: u8, presence: &mut dyn FnMut(&[u8]) -> Presence) {
        for ((of, key), watches) in self.by_key.lock().iter() {
            if *of == database {
                let Presence { was, is } = presence(key);
                watches.iter().filter(|of| is || was && of.was_present).for_each(|of| of.watch.touch());
            }
        }
    }
}
