//! Walks over the keys of a database in their order, where the store keeps it.

use std::ops::Bound;
use std::sync::Arc;

use crate::keyspace::order::{Bounds, Order, Orders};
use crate::keyspace::shard::SHARDS;
use crate::store::Store;
use crate::txn::{Item, Transaction};

/// A part of all keys, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// What all of them begin with.
    pub prefix: Vec<u8>,
    /// They come strictly behind this one, in the direction of the walk.
    pub behind: Option<Vec<u8>>,
    /// From the greatest down.
    pub descending: bool,
}

impl KeyRange {
    fn bounds<'k>(&'k self, end: &'k Option<Vec<u8>>) -> Option<Bounds<'k>> {
        let (least, most) =
            (Bound::Included(&self.prefix[..]), end.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
        let Some(behind) = self.behind.as_deref() else { return Some((least, most)) };
        match self.descending {
            false if behind < &self.prefix[..] => Some((least, most)),
            false if end.as_deref().is_some_and(|end| behind >= end) => None,
            false => Some((Bound::Excluded(behind), most)),
            true if behind <= &self.prefix[..] => None,
            true if end.as_deref().is_some_and(|end| behind >= end) => Some((least, most)),
            true => Some((least, Bound::Excluded(behind))),
        }
    }
}

/// The least bytes behind all that begin with a prefix, if there are any.
pub(crate) fn behind_all(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

impl Store {
    /// Whether the order of keys is kept.
    pub fn keeps_order(&self) -> bool {
        self.options().key_order
    }

    /// Puts the order beside the tables, when all entries are in these.
    pub(crate) fn make_order(&self) {
        let orders: Orders = Default::default();
        let mut keys: Vec<(u8, Box<[u8]>)> = Vec::new();
        for index in 0..SHARDS {
            let mut shard = self.shards().lock(index);
            for database in 0..shard.databases() as u8 {
                let table = shard.table(database).into_iter();
                keys.extend(table.flat_map(|table| table.iter()).map(|entry| (database, entry.key().into())));
            }
            shard.set_order(Box::new(orders.clone()));
        }
        // In their order each finds its place near that of the one before it.
        keys.sort_unstable();
        for (database, key) in keys {
            orders[usize::from(database)].add(&key);
            self.account(database, Order::bytes_of(&key) as i64, 0);
        }
    }

    /// Visits keys of a database in their order until so many were seen; none unless the store keeps the order. The last
    /// key that was looked at when there may be more, to go on behind it. Every key that is there from the first call to the
    /// last is seen, whatever is written in between. Expired keys are removed. What it shows may be told when the log's end
    /// is safe.
    ///
    /// Within a transaction that holds all locks, that transaction must be given.
    pub fn walk(
        &self,
        mut held: Option<&mut Transaction<'_>>,
        database: u8,
        range: &KeyRange,
        enough: usize,
        mut visit: impl FnMut(&[u8], Item<'_>),
    ) -> Option<Vec<u8>> {
        let physical = self.physical(database);
        let order = self.order_of(&mut held, physical)?;
        let end = behind_all(&range.prefix);
        let bounds = range.bounds(&end)?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        order.walk(bounds, range.descending, |name| {
            names.push(name.to_vec());
            names.len() < enough.max(1)
        });
        self.show(held, physical, &names, &mut visit);
        names.pop().filter(|_| names.len() + 1 >= enough.max(1))
    }

    /// The order of a physical database, where it is kept.
    pub(crate) fn order_of(&self, held: &mut Option<&mut Transaction<'_>>, physical: u8) -> Option<Arc<Order>> {
        match held {
            Some(transaction) => transaction.shard(0).order(physical).cloned(),
            None => self.shards().lock(0).order(physical).cloned(),
        }
    }

    /// Visits those of the keys that are still there. Expired ones are removed.
    pub(crate) fn show(
        &self,
        mut held: Option<&mut Transaction<'_>>,
        physical: u8,
        names: &[Vec<u8>],
        visit: &mut impl FnMut(&[u8], Item<'_>),
    ) {
        let now_ms = self.now_ms();
        for name in names {
            let key = self.key(name);
            match &mut held {
                Some(transaction) => {
                    if let Some(item) = transaction.get(&key) {
                        visit(name, item);
                    }
                }
                None => {
                    // By its physical database: another may have taken the place of the one that is walked over.
                    let mut transaction = self.begin(0, &[key], now_ms);
                    transaction.look(&key, physical);
                    if let Some(item) = transaction.get(&key) {
                        visit(name, item);
                    }
                    transaction.commit();
                }
            }
        }
    }

    /// Compares the order with the tables: for tests.
    pub(crate) fn audit_order(&self, keys: &[i64]) -> Result<(), String> {
        for (database, &keys) in (0..).zip(keys) {
            let Some(order) = self.shards().lock(0).order(database).cloned() else { return Ok(()) };
            let mut wrong = None;
            let mut before: Option<Vec<u8>> = None;
            order.walk((Bound::Unbounded, Bound::Unbounded), false, |name| {
                let key = self.key(name);
                let there = self.shards().lock(key.shard()).find(database, &key).is_some();
                if !there || before.as_deref().is_some_and(|before| before >= name) {
                    wrong = Some(name.escape_ascii().to_string());
                }
                before = Some(name.to_vec());
                wrong.is_none()
            });
            if wrong.is_some() || order.len() as i64 != keys {
                return Err(format!("database {database}: {} keys in order instead of {keys}, {wrong:?}", order.len()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;
    use crate::disk::sim::SimDisk;
    use crate::options::Options;
    use crate::txn::Value;

    fn store(disk: &SimDisk) -> Arc<Store> {
        let options = Options { key_order: true, segment_bytes: 1 << 20, secrets_from: Some(3), ..Options::default() };
        Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1 << 40)), options).unwrap()
    }

    fn set(store: &Store, name: &str, deadline: Option<u64>) {
        let key = store.key(name.as_bytes());
        let mut transaction = store.begin(0, &[key], store.now_ms());
        transaction.set(&key, Value::Copy(b"v"), deadline);
        transaction.commit();
    }

    fn range(prefix: &str, behind: Option<&str>, descending: bool) -> KeyRange {
        KeyRange { prefix: prefix.into(), behind: behind.map(Into::into), descending }
    }

    fn walk(store: &Store, range: &KeyRange, enough: usize) -> (Vec<String>, Option<String>) {
        let mut seen = Vec::new();
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let next = store.walk(None, 0, range, enough, |key, _| seen.push(name(key)));
        (seen, next.map(|key| name(&key)))
    }

    #[test]
    fn a_page_begins_behind_its_pivot_and_stays_within_its_prefix() {
        let disk = SimDisk::new(1);
        let opened = store(&disk);
        for name in ["a", "b", "b1", "b2", "b3", "c", "d"] {
            set(&opened, name, None);
        }
        opened.audit().unwrap();
        let expect = |store: &Store, range: KeyRange, enough, names: &[&str], next: Option<&str>| {
            assert_eq!(
                walk(store, &range, enough),
                (names.iter().map(ToString::to_string).collect(), next.map(Into::into))
            );
        };
        for (prefix, behind, descending, enough, names, next) in [
            ("", None, false, 3, &["a", "b", "b1"][..], Some("b1")),
            ("", Some("b1"), false, 9, &["b2", "b3", "c", "d"], None),
            ("b", None, false, 2, &["b", "b1"], Some("b1")),
            ("b", Some("b1"), false, 9, &["b2", "b3"], None),
            ("b", Some("a"), false, 1, &["b"], Some("b")),
            ("b", Some("c"), false, 9, &[], None),
            ("b", None, true, 2, &["b3", "b2"], Some("b2")),
            ("b", Some("b2"), true, 9, &["b1", "b"], None),
            ("b", Some("d"), true, 1, &["b3"], Some("b3")),
            ("b", Some("b"), true, 9, &[], None),
            ("b", Some("a"), true, 9, &[], None),
            ("\u{7f}", None, false, 9, &[], None),
        ] {
            expect(&opened, range(prefix, behind, descending), enough, names, next);
        }
        // What goes, in whatever way, goes from the order; and a start makes it again.
        let key = opened.key(b"b1");
        let mut transaction = opened.begin(0, &[key], opened.now_ms());
        transaction.remove(&key);
        transaction.commit();
        set(&opened, "e", Some(opened.now_ms() + 1));
        opened.log().write_out();
        let again = store(&disk.process_crash());
        again.audit().unwrap();
        expect(&again, range("b", None, false), 9, &["b", "b2", "b3"], None);
        again.flush(&[0]);
        again.audit().unwrap();
        assert_eq!((again.memory(), walk(&again, &range("", None, true), 9)), (0, (Vec::new(), None)));
    }

    #[test]
    fn bytes_behind_all_of_a_prefix() {
        assert_eq!(behind_all(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind_all(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!((behind_all(b"\xff"), behind_all(b"")), (None, None));
    }
}
