//! The keys of a database in the order of their bytes, beside the tables.
//!
//! One list for all shards, which many change at once without a lock (a skip list). Whoever holds a key's shard puts it in or
//! takes it out, together with the entry; so for one key list and table always agree. Who walks along the list holds
//! nothing: it sees every key that is there from beginning to end, and of others some.

use std::ops::Bound;
use std::sync::Arc;

use crossbeam_skiplist::SkipSet;

use super::shard::DATABASES;
use crate::class::class;

/// Bytes of a place in the list beside its key: links, two on average, a count and the key's address and length.
const PLACE_BYTES: usize = 48;

/// The keys of one physical database.
#[derive(Default)]
pub struct Order(SkipSet<Box<[u8]>>);

/// From where to where.
pub type Bounds<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// Those of all of them.
pub type Orders = [Arc<Order>; DATABASES];

impl Order {
    /// Bytes of memory that a key takes here.
    #[inline]
    pub fn bytes_of(key: &[u8]) -> usize {
        class(key.len()) + PLACE_BYTES
    }

    /// A key has come.
    pub fn add(&self, key: &[u8]) {
        self.0.insert(key.into());
    }

    /// A key has gone.
    pub fn remove(&self, key: &[u8]) {
        self.0.remove(key);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys within bounds, from the least up or from the greatest down, as long as they are taken.
    pub fn walk(&self, bounds: Bounds<'_>, descending: bool, mut take: impl FnMut(&[u8]) -> bool) {
        let mut range = self.0.range::<[u8], _>(bounds);
        let mut next = || if descending { range.next_back() } else { range.next() };
        while let Some(key) = next() {
            if !take(key.value()) {
                return;
            }
        }
    }
}
