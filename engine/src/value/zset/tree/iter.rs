//! Entries of the tree one after the other: leaf by leaf, each found by its rank.

use std::iter::{Copied, Rev, Zip};
use std::slice;

use super::Tree;

type Entries<'a> = Zip<Copied<slice::Iter<'a, f64>>, Copied<slice::Iter<'a, u32>>>;

/// Entries upwards.
#[derive(Clone, Debug)]
pub(in crate::value::zset) struct Forwards<'a> {
    tree: &'a Tree,
    entries: Entries<'a>,
    /// The rank of the first entry of the next leaf.
    next: usize,
}

/// Entries downwards.
#[derive(Clone, Debug)]
pub(in crate::value::zset) struct Backwards<'a> {
    tree: &'a Tree,
    entries: Rev<Entries<'a>>,
    /// How many entries lie before the leaf.
    rest: usize,
}

fn entries<'a>(scores: &'a [f64], numbers: &'a [u32]) -> Entries<'a> {
    scores.iter().copied().zip(numbers.iter().copied())
}

impl<'a> Forwards<'a> {
    pub(super) fn new(tree: &'a Tree, rank: usize) -> Forwards<'a> {
        Forwards { tree, entries: entries(&[], &[]), next: rank }
    }

    #[cold]
    fn next_leaf(&mut self) -> bool {
        if self.next >= self.tree.len() {
            return false;
        }
        let (leaf, at) = self.tree.leaf_of_rank(self.next);
        self.entries = entries(&leaf.scores()[at..], &leaf.numbers()[at..]);
        self.next += self.entries.len();
        true
    }
}

impl Iterator for Forwards<'_> {
    type Item = (f64, u32);

    #[inline]
    fn next(&mut self) -> Option<(f64, u32)> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(entry);
            }
            if !self.next_leaf() {
                return None;
            }
        }
    }
}

impl<'a> Backwards<'a> {
    pub(super) fn new(tree: &'a Tree, rank: usize) -> Backwards<'a> {
        let rest = if tree.len() == 0 { 0 } else { rank.min(tree.len() - 1) + 1 };
        Backwards { tree, entries: entries(&[], &[]).rev(), rest }
    }

    #[cold]
    fn next_leaf(&mut self) -> bool {
        let Some(rank) = self.rest.checked_sub(1) else { return false };
        let (leaf, at) = self.tree.leaf_of_rank(rank);
        self.entries = entries(&leaf.scores()[..=at], &leaf.numbers()[..=at]).rev();
        self.rest -= at + 1;
        true
    }
}

impl Iterator for Backwards<'_> {
    type Item = (f64, u32);

    #[inline]
    fn next(&mut self) -> Option<(f64, u32)> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(entry);
            }
            if !self.next_leaf() {
                return None;
            }
        }
    }
}
