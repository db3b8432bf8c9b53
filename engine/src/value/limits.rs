//! Limits that every transaction reads and hardly anybody changes: no lock, no line of memory that is written.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::Limits;

/// [`Limits`] to be shared. A reader may see some that are new and some that are old.
#[derive(Debug)]
pub(crate) struct SharedLimits {
    list_max_listpack_size: AtomicI32,
    others: [AtomicUsize; 7],
}

impl SharedLimits {
    pub(crate) fn new(limits: &Limits) -> SharedLimits {
        let shared = SharedLimits { list_max_listpack_size: AtomicI32::new(0), others: Default::default() };
        shared.store(limits);
        shared
    }

    #[inline]
    pub(crate) fn load(&self) -> Limits {
        let [hash_entries, hash_value, intset, set_entries, set_value, zset_entries, zset_value] =
            self.others.each_ref().map(|limit| limit.load(Ordering::Relaxed));
        Limits {
            list_max_listpack_size: self.list_max_listpack_size.load(Ordering::Relaxed),
            hash_max_listpack_entries: hash_entries,
            hash_max_listpack_value: hash_value,
            set_max_intset_entries: intset,
            set_max_listpack_entries: set_entries,
            set_max_listpack_value: set_value,
            zset_max_listpack_entries: zset_entries,
            zset_max_listpack_value: zset_value,
        }
    }

    pub(crate) fn store(&self, limits: &Limits) {
        self.list_max_listpack_size.store(limits.list_max_listpack_size, Ordering::Relaxed);
        let others = [
            limits.hash_max_listpack_entries,
            limits.hash_max_listpack_value,
            limits.set_max_intset_entries,
            limits.set_max_listpack_entries,
            limits.set_max_listpack_value,
            limits.zset_max_listpack_entries,
            limits.zset_max_listpack_value,
        ];
        self.others.iter().zip(others).for_each(|(shared, limit)| shared.store(limit, Ordering::Relaxed));
    }
}
