//! Large sorted sets: a hash table of members with their scores, and a tree of (score, number of the member).
//!
//! The order of the hash table is the order in which members came, but for removals; images keep it, so that a scan
//! goes on as if nothing had happened.

use std::cmp::Ordering;

use super::super::dense::{Dense, Element, hash};
use super::super::{Malformed, op, tag};
use super::tree::Tree;
use super::{Added, check_entry, entry_bytes, is_before, push_entry, score_bytes};

/// A large sorted set.
#[derive(Debug)]
pub struct Zset {
    members: Dense,
    order: Tree,
    /// Of all entries as they lie in an image.
    entry_bytes: usize,
}

impl Zset {
    pub(in crate::value) fn prefetch<'n>(&self, members: impl Iterator<Item = &'n [u8]>) {
        self.members.prefetch(members);
    }

    /// From entries as they lie in an image.
    pub(super) fn load(mut bytes: &[u8]) -> Result<Zset, Malformed> {
        let mut zset = Zset { members: Dense::default(), order: Tree::new(), entry_bytes: bytes.len() };
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let ((score, member), rest) = check_entry(bytes).ok_or(Malformed)?;
            let hash = hash(member);
            if zset.members.find(hash, member).is_some() {
                return Err(Malformed);
            }
            entries.push((score, zset.members.insert_hashed(hash, member, &score.to_le_bytes(), None)));
            bytes = rest;
        }
        // In order, for that is how the tree becomes dense, and fast to build.
        let members = &zset.members;
        entries.sort_unstable_by(|&(left, a), &(right, b)| {
            let by_score = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
            by_score.then_with(|| members.element(a).key().cmp(members.element(b).key()))
        });
        for (score, number) in entries {
            zset.order.insert(score, number, |_, _| true);
        }
        Ok(zset)
    }

    pub(super) fn add(&mut self, score: f64, member: &[u8]) -> Added {
        let hash = hash(member);
        let Some(number) = self.members.find(hash, member) else {
            let number = self.members.insert_hashed(hash, member, &score.to_le_bytes(), None);
            self.order.insert(score, number, before(&self.members, (score, member)));
            self.entry_bytes += entry_bytes((score, member));
            return Added::New;
        };
        let old = score_of(self.members.element(number));
        if old == score {
            return Added::Nothing;
        }
        if !self.order.rescore(number, score, before(&self.members, (old, member))) {
            self.order.remove(number, before(&self.members, (old, member)));
            self.order.insert(score, number, before(&self.members, (score, member)));
        }
        self.members.set_value(number, &score.to_le_bytes());
        self.entry_bytes = self.entry_bytes - score_bytes(old) + score_bytes(score);
        Added::Rescored
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(number) = self.members.get(member) else { return false };
        let score = score_of(self.members.element(number));
        self.order.remove(number, before(&self.members, (score, member)));
        let last = self.members.len() as u32 - 1;
        if last != number {
            let element = self.members.element(last);
            let place = (score_of(element), element.key());
            self.order.renumber(last, number, before(&self.members, place));
        }
        self.members.swap_remove(number);
        self.entry_bytes -= entry_bytes((score, member));
        true
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.get(member).map(|number| score_of(self.members.element(number)))
    }

    /// How many members come before a place.
    pub(super) fn rank_of(&self, place: (f64, &[u8])) -> usize {
        self.order.rank(before(&self.members, place))
    }

    pub(super) fn order(&self) -> &Tree {
        &self.order
    }

    pub(super) fn member(&self, number: u32) -> &[u8] {
        self.members.element(number).key()
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.members.scan(cursor, count, |element| visit(element.key(), score_of(element)))
    }

    pub(in crate::value) fn len(&self) -> usize {
        self.members.len()
    }

    pub(in crate::value) fn image_bytes(&self) -> usize {
        1 + self.entry_bytes
    }

    pub(in crate::value) fn memory(&self) -> usize {
        self.members.memory() + self.order.memory()
    }

    pub(in crate::value) fn image_parts(&self, part_bytes: usize, emit: &mut dyn FnMut(&[u8])) {
        let push = |part: &mut Vec<u8>, element: &Element| push_entry(part, (score_of(element), element.key()));
        super::super::packed::emit_parts((tag::ZSET_TREE, op::ZSET_ADD), part_bytes, self.members.iter(), push, emit);
    }

    /// That both structures say the same, and what is known of all.
    #[cfg(test)]
    pub(super) fn recount(&self) {
        let entries = self.members.iter().map(|element| entry_bytes((score_of(element), element.key())));
        assert_eq!(self.entry_bytes, entries.sum::<usize>());
        assert_eq!(self.order.len(), self.members.len());
        let mut numbers: Vec<u32> = Vec::new();
        for (score, number) in self.order.up_from(0) {
            assert_eq!(score_of(self.members.element(number)).to_bits(), score.to_bits());
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..self.members.len() as u32));
    }
}

/// The score that lies in an element's value.
#[inline]
fn score_of(element: &Element) -> f64 {
    element.value().try_into().map_or(0.0, f64::from_le_bytes)
}

/// Whether an entry of the tree comes before a place: the member is looked at only where scores are equal.
#[inline]
fn before<'a>(members: &'a Dense, place: (f64, &'a [u8])) -> impl Fn(f64, u32) -> bool + 'a {
    move |score, number| score < place.0 || score == place.0 && is_before((score, members.element(number).key()), place)
}
