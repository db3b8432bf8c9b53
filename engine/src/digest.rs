//! Digests of what a store holds: equal when everything that clients can see is equal.
//!
//! ```text
//!   key's digest  =  H(type, deadline, elements)        in order for lists and sorted sets,
//!                                                       the sum of one H for each element for hashes and sets
//!   store's       =  sum of H(database, key, H(value))  in no order
//! ```
//!
//! H is 160 bits of a fast hash without a secret: it tells what is different, and nothing withstands who wants to deceive.

use std::fmt;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use crate::keyspace::shard::{DATABASES, Key, SHARDS, Shard};
use crate::store::Store;
use crate::txn::{Item, Transaction};
use crate::value::element::push_element;

/// 160 bits; shown as 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest([u64; 3]);

/// Of the last word only this is kept.
const LAST_WORD: u64 = u32::MAX as u64;
/// Where the three words begin.
const SECRETS: [RapidSecrets; 3] = [RapidSecrets::seed(1), RapidSecrets::seed(2), RapidSecrets::seed(3)];

impl Digest {
    fn of(bytes: &[u8]) -> Digest {
        let [a, b, c] = SECRETS.each_ref().map(|secrets| rapidhash_v3_seeded(bytes, secrets));
        Digest([a, b, c & LAST_WORD])
    }

    /// In any order the same.
    fn add(&mut self, other: Digest) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = word.wrapping_add(other);
        }
        self.0[2] &= LAST_WORD;
    }

    /// The digest as bytes.
    pub fn bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let [a, b, c] = self.0;
        bytes[..8].copy_from_slice(&a.to_be_bytes());
        bytes[8..16].copy_from_slice(&b.to_be_bytes());
        bytes[16..].copy_from_slice(&(c as u32).to_be_bytes());
        bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Item<'_> {
    /// The digest of the value and its deadline. What has expired is left out.
    pub fn digest(&self) -> Digest {
        let mut elements = Digest::default();
        let mut bytes = Vec::new();
        let mut one = |parts: [&[u8]; 2], number: u64| {
            bytes.clear();
            push_element(&mut bytes, parts[0]);
            push_element(&mut bytes, parts[1]);
            bytes.extend_from_slice(&number.to_le_bytes());
            Digest::of(&bytes)
        };
        match (self.list(), self.hash(), self.set(), self.zset()) {
            (Ok(list), ..) => {
                for (element, at) in list.iter_from(0).zip(0..) {
                    elements.add(one([element, b""], at));
                }
            }
            (_, Ok(hash), ..) => {
                for (name, field) in hash.iter() {
                    elements.add(one([name, field.value], field.deadline.unwrap_or(0)));
                }
            }
            (_, _, Ok(set), _) => set.iter().for_each(|member| elements.add(member.with(|bytes| one([bytes, b""], 0)))),
            (_, _, _, Ok(zset)) => {
                for ((member, score), at) in zset.from_rank(0).zip(0_u64..) {
                    elements.add(one([member, &score.to_le_bytes()], at));
                }
            }
            _ => elements = Digest::of(self.string().unwrap_or_default()),
        }
        let mut all = vec![self.value_type()];
        all.extend_from_slice(&self.deadline().unwrap_or(0).to_le_bytes());
        all.extend_from_slice(&elements.bytes());
        Digest::of(&all)
    }
}

impl Transaction<'_> {
    /// The digest of what a key holds, if it holds anything.
    pub fn digest_of(&mut self, key: &Key<'_>) -> Option<Digest> {
        self.warm(key).then(|| self.get(key).map(|item| item.digest()))?
    }
}

impl Store {
    /// The digest of all databases. It stops everybody while it walks over everything. Within a transaction that holds all
    /// locks, that transaction must be given.
    pub fn digest(&self, held: Option<&mut Transaction<'_>>) -> Digest {
        let now_ms = self.now_ms();
        let logical: [u8; DATABASES] = std::array::from_fn(|physical| self.logical(physical as u8));
        let mut digest = Digest::default();
        let mut look = |shard: &Shard| {
            for (physical, logical) in (0..).zip(logical).take(shard.databases()) {
                let Some(table) = shard.table(physical).filter(|table| table.memory() != 0) else { continue };
                for entry in table.iter() {
                    let read = self.read_back(physical, entry);
                    let entry = read.as_ref().map_or(entry, |read| &*read.entry);
                    let item = Item::of(entry, now_ms);
                    if item.is_live() {
                        let mut bytes = vec![logical];
                        push_element(&mut bytes, entry.key());
                        bytes.extend_from_slice(&item.digest().bytes());
                        digest.add(Digest::of(&bytes));
                    }
                }
            }
        };
        match held {
            Some(transaction) => (0..SHARDS).for_each(|index| look(transaction.shard(index))),
            None => self.shards().lock_all().iter().for_each(|shard| look(shard)),
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SimClock;
    use crate::disk::sim::SimDisk;
    use crate::value::op::{self, Op};
    use crate::{Options, Value};

    fn store() -> Arc<Store> {
        let options = Options { secrets_from: Some(1), ..Options::default() };
        Store::open(Arc::new(SimDisk::new(1)), Arc::new(SimClock::new(1000)), options).unwrap()
    }

    fn apply(store: &Store, database: u8, key: &[u8], code: u8, elements: &[&[u8]]) {
        let mut op = Op::new(code);
        for element in elements {
            if code == op::ZSET_ADD {
                op.score(f64::from(element[0]));
            }
            op.element(element);
        }
        let key = store.key(key);
        store.begin(database, &[key], 1000).apply(&key, &op).unwrap();
    }

    #[test]
    fn order_counts_for_lists_alone_and_everything_else_counts_too() {
        let [one, other] = [store(), store()];
        assert_eq!(one.digest(None).to_string(), "0".repeat(40));
        let codes = [op::SET_ADD, op::HASH_SET, op::ZSET_ADD];
        for (store, elements) in [(&one, [&b"a"[..], b"b", b"b", b"a"]), (&other, [b"b", b"a", b"a", b"b"])] {
            codes.iter().for_each(|&code| apply(store, 3, &[code], code, &elements));
        }
        assert_eq!(one.digest(None), other.digest(None));
        for store in [&one, &other] {
            apply(store, 3, b"list", op::LIST_PUSH_BACK, &[b"a", b"b"]);
        }
        let mut digests = vec![one.digest(None)];
        assert_eq!(digests[0], other.digest(None));
        let key = other.key(b"list");
        let mut transaction = other.begin(3, &[key], 1000);
        let mut turned = Op::new(op::LIST_POP_FRONT);
        turned.number(1);
        transaction.apply(&key, &turned).unwrap();
        let mut back = Op::new(op::LIST_PUSH_BACK);
        back.element(b"a");
        transaction.apply(&key, &back).unwrap();
        drop(transaction);
        digests.push(other.digest(None));
        for change in 0..5 {
            let bytes = if change == 1 { &b"x"[..] } else { b"y" };
            let key = one.key(bytes);
            let mut transaction = one.begin(u8::from(change == 2), &[key], 1000);
            match change {
                3 => assert!(transaction.set_deadline(&key, Some(5000))),
                _ => transaction.set(&key, Value::Copy(if change == 4 { b"2" } else { b"1" }), None),
            }
            drop(transaction);
            digests.push(one.digest(None));
        }
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "change {at}");
        }
        let mut all = one.begin_all(0, 1000);
        let key = one.key(b"y");
        assert!(all.digest_of(&key).is_some());
        assert_eq!(one.digest(Some(&mut all)), *digests.last().unwrap());
    }
}
