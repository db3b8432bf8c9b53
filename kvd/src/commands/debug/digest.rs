//! Signatures of values and of whole databases, the same that Redis gives for the same data: so two servers can be compared.
//!
//! What has no order is combined by exclusive or, what has one by hashing on.

use std::fmt;

use engine::{Item, value};

use super::sha1::sha1;

/// A signature of 160 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u8; 20]);

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Digest {
    /// Adds bytes; in which order does not matter.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for (byte, other) in self.0.iter_mut().zip(sha1(bytes)) {
            *byte ^= other;
        }
    }

    /// Adds a signature; in which order does not matter.
    pub(super) fn add_digest(&mut self, other: Digest) {
        self.add(&other.0);
    }

    /// Adds bytes behind those before.
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1(&self.0);
    }
}

/// The signature of one value.
pub(super) fn of_value(item: Item<'_>) -> Digest {
    let mut digest = Digest::default();
    mix_value(&mut digest, item);
    digest
}

/// The signature of a key and its value.
pub(super) fn of_key(key: &[u8], item: Item<'_>) -> Digest {
    let mut digest = Digest::default();
    digest.mix(key);
    mix_value(&mut digest, item);
    digest
}

fn mix_value(digest: &mut Digest, item: Item<'_>) {
    let number: u32 = match item.value_type() {
        value::LIST => 1,
        value::SET => 2,
        value::ZSET => 3,
        value::HASH => 4,
        _ => 0,
    };
    digest.mix(&number.to_be_bytes());
    if let Ok(string) = item.string() {
        digest.mix(string);
    } else if let Ok(list) = item.list() {
        list.iter_from(0).for_each(|element| digest.mix(element));
    } else if let Ok(set) = item.set() {
        set.iter().for_each(|member| member.with(|bytes| digest.add(bytes)));
    } else if let Ok(zset) = item.zset() {
        for (member, score) in zset.from_rank(0) {
            let mut element = Digest::default();
            element.mix(member);
            element.mix(resp::shortest(score).as_bytes());
            digest.add_digest(element);
        }
    } else if let Ok(hash) = item.hash() {
        for (name, field) in hash.iter() {
            let mut element = Digest::default();
            element.mix(name);
            element.mix(field.value);
            if field.deadline.is_some() {
                element.add(b"!!hexpire!!");
            }
            digest.add_digest(element);
        }
    }
    if item.deadline().is_some() {
        digest.add(b"!!expire!!");
    }
}
