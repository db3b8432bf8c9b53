//! An order-statistics B+tree of (score, element number): what orders a large sorted set.
//!
//! ```text
//!            ┌ first entry, count, child │ first entry, count, child │ … ┐        inner, up to 31
//!                           │                          │
//!               ┌ scores │ numbers ┐       ┌ scores │ numbers ┐   …               leaf, up to 63
//! ```
//!
//! * Inner nodes repeat the first entry of each child and count the entries below it, so a search reads one node per
//!   level, and a rank is a sum along the way.
//! * The tree knows no members. Whoever searches brings `before(score, number)`, which says whether an entry lies
//!   before the place that is meant, and compares members where scores are equal.
//! * An insert makes room on the way down: a full node gives entries to a neighbour, or is split. The last node of
//!   all is split at its end, the first at its beginning, so entries that come in order fill their nodes.
//! * A removal puts neighbours together on the way up, when both fit in one with some room left.
//!
//! Invariants: no node but a root is empty; all leaves are on one level; what inner nodes repeat is exact.
//!
//! Numbers are recycled by their owner ([`Tree::renumber`]), while the tree is in order under the old and the new ones.

mod iter;
mod node;
#[cfg(test)]
mod tests;

use crate::class::class;

pub(super) use iter::{Backwards, Forwards};
use node::{Direction, Inner, LEAF, Leaf, Node};

/// A neighbour takes entries when it has room for this part of a node: each move pays for several inserts.
const ROOM: usize = 8;

#[derive(Debug)]
pub(super) struct Tree {
    root: Node,
    len: usize,
    leaves: usize,
    inners: usize,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { root: Node::Leaf(Box::new(Leaf::new())), len: 0, leaves: 1, inners: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of heap.
    pub(super) fn memory(&self) -> usize {
        self.leaves * class(size_of::<Leaf>()) + self.inners * class(size_of::<Inner>())
    }

    /// Adds an entry at the place of `before`.
    pub(super) fn insert(&mut self, score: f64, number: u32, before: impl Fn(f64, u32) -> bool) {
        if self.root.is_full() {
            self.split_root(&before);
        }
        self.len += 1;
        let (mut leaves, mut inners) = (0, 0);
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.partition(&before);
                    leaf.insert(at, score, number);
                    break;
                }
                Node::Inner(inner) => {
                    let mut begun = inner.partition(&before);
                    if inner.child(begun.saturating_sub(1)).is_full() {
                        let made = make_room(inner, begun.saturating_sub(1), &before);
                        match inner.child(0) {
                            Node::Leaf(_) => leaves += made,
                            Node::Inner(_) => inners += made,
                        }
                        begun = inner.partition(&before);
                    }
                    if begun == 0 {
                        inner.set_first(0, score, number);
                    }
                    let at = begun.saturating_sub(1);
                    *inner.count_mut(at) += 1;
                    node = inner.child_mut(at);
                }
            }
        }
        self.leaves += leaves;
        self.inners += inners;
    }

    /// Takes out an entry that is in the tree at the place of `before`.
    pub(super) fn remove(&mut self, number: u32, before: impl Fn(f64, u32) -> bool) {
        let freed = remove_from(&mut self.root, number, &before);
        self.leaves -= freed.leaves;
        self.inners -= freed.inners;
        self.len -= 1;
        while let Node::Inner(root) = &mut self.root {
            match root.len() {
                0 => {
                    self.root = Node::Leaf(Box::new(Leaf::new()));
                    self.leaves += 1;
                }
                1 => self.root = root.remove(0).expect("a child below the length"),
                _ => break,
            }
            self.inners -= 1;
        }
    }

    /// Changes the score of an entry that is at the place of `before`, if that can be done where it lies.
    pub(super) fn rescore(&mut self, number: u32, score: f64, before: impl Fn(f64, u32) -> bool) -> bool {
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.partition(&before);
                    assert_eq!(leaf.numbers().get(at), Some(&number), "the entry is in its place");
                    return leaf.set_score(at, score);
                }
                Node::Inner(inner) => {
                    let at = inner.child_of(number, &before);
                    node = inner.child_mut(at);
                }
            }
        }
    }

    /// Gives another number to an entry that is at the place of `before`.
    pub(super) fn renumber(&mut self, number: u32, new: u32, before: impl Fn(f64, u32) -> bool) {
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.partition(&before);
                    assert_eq!(leaf.numbers().get(at), Some(&number), "the entry is in its place");
                    leaf.set_number(at, new);
                    break;
                }
                Node::Inner(inner) => {
                    let at = inner.child_of(number, &before);
                    if inner.first(at).1 == number {
                        inner.set_first_number(at, new);
                    }
                    node = inner.child_mut(at);
                }
            }
        }
    }

    /// How many entries lie before a place.
    pub(super) fn rank(&self, before: impl Fn(f64, u32) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.partition(&before),
                Node::Inner(inner) => {
                    let at = inner.child_of_place(&before);
                    rank += inner.counts()[..at].iter().map(|&count| count as usize).sum::<usize>();
                    node = inner.child(at);
                }
            }
        }
    }

    /// Entries from a rank on.
    pub(super) fn up_from(&self, rank: usize) -> Forwards<'_> {
        Forwards::new(self, rank)
    }

    /// Entries from a rank down to the first.
    pub(super) fn down_from(&self, rank: usize) -> Backwards<'_> {
        Backwards::new(self, rank)
    }

    /// The leaf of a rank, and where in it; the rank is below the length.
    fn leaf_of_rank(&self, rank: usize) -> (&Leaf, usize) {
        let (mut node, mut rest) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, rest),
                Node::Inner(inner) => {
                    let mut at = 0;
                    for &count in &inner.counts()[..inner.len() - 1] {
                        if rest < count as usize {
                            break;
                        }
                        rest -= count as usize;
                        at += 1;
                    }
                    node = inner.child(at);
                }
            }
        }
    }

    fn split_root(&mut self, before: &impl Fn(f64, u32) -> bool) {
        let at = split_point(&self.root, (true, true), before);
        let right = self.root.split_off(at);
        match right {
            Node::Leaf(_) => self.leaves += 1,
            Node::Inner(_) => self.inners += 1,
        }
        let left = std::mem::replace(&mut self.root, Node::Inner(Box::new(Inner::new())));
        self.inners += 1;
        if let Node::Inner(root) = &mut self.root {
            root.insert(0, left);
            root.insert(1, right);
        }
    }
}

/// Makes room in a full child; the parent has room. How many nodes it took.
fn make_room(parent: &mut Inner, at: usize, before: &impl Fn(f64, u32) -> bool) -> usize {
    let capacity = parent.child(at).capacity();
    let room = |parent: &Inner, at: usize| match parent.child(at) {
        Node::Leaf(_) => LEAF - parent.counts()[at] as usize,
        Node::Inner(inner) => capacity - inner.len(),
    };
    if at > 0 && room(parent, at - 1) > capacity / ROOM {
        let moved = room(parent, at - 1).div_ceil(2);
        parent.shift(at - 1, moved, Direction::ToLeft);
        return 0;
    }
    if at + 1 < parent.len() && room(parent, at + 1) > capacity / ROOM {
        let moved = room(parent, at + 1).div_ceil(2);
        parent.shift(at, moved, Direction::ToRight);
        return 0;
    }
    let ends = (at == 0, at + 1 == parent.len());
    let split = split_point(parent.child(at), ends, before);
    let right = parent.child_mut(at).split_off(split);
    let left_count = parent.counts()[at] - right.count();
    *parent.count_mut(at) = left_count;
    parent.insert(at + 1, right);
    1
}

/// Where to split a full node: in the middle, but for the first and the last of their level when what comes is
/// beyond all they have.
fn split_point(node: &Node, (first, last): (bool, bool), before: &impl Fn(f64, u32) -> bool) -> usize {
    match node.partition(before) {
        begun if last && begun == node.len() => node.len() - 1,
        0 if first => 1,
        _ => node.len() / 2,
    }
}

#[derive(Default)]
struct Freed {
    leaves: usize,
    inners: usize,
}

impl Freed {
    fn add(&mut self, node: Option<Node>) {
        match node {
            Some(Node::Leaf(_)) => self.leaves += 1,
            Some(Node::Inner(_)) => self.inners += 1,
            None => {}
        }
    }
}

fn remove_from(node: &mut Node, number: u32, before: &impl Fn(f64, u32) -> bool) -> Freed {
    match node {
        Node::Leaf(leaf) => {
            let at = leaf.partition(before);
            assert_eq!(leaf.numbers().get(at), Some(&number), "the entry is in its place");
            leaf.remove(at);
            Freed::default()
        }
        Node::Inner(inner) => {
            let at = inner.child_of(number, before);
            let mut freed = remove_from(inner.child_mut(at), number, before);
            *inner.count_mut(at) -= 1;
            if inner.counts()[at] == 0 {
                freed.add(inner.remove(at));
                return freed;
            }
            if inner.first(at).1 == number {
                let (score, number) = inner.child(at).first();
                inner.set_first(at, score, number);
            }
            let is_leaf = matches!(inner.child(at), Node::Leaf(_));
            if is_leaf || freed.leaves > 0 {
                if at > 0 && fit_together(inner, at - 1) {
                    freed.add(inner.merge(at - 1));
                } else if at + 1 < inner.len() && fit_together(inner, at) {
                    freed.add(inner.merge(at));
                }
            }
            freed
        }
    }
}

/// Whether a child and the one to its right fit in one, with room for some inserts before it must be split again.
fn fit_together(parent: &Inner, at: usize) -> bool {
    let (left, right, capacity) = match (parent.child(at), parent.child(at + 1)) {
        (Node::Inner(left), Node::Inner(right)) => (left.len(), right.len(), node::FAN),
        // The counts tell without a look at the neighbour.
        _ => (parent.counts()[at] as usize, parent.counts()[at + 1] as usize, LEAF),
    };
    left + right <= capacity - capacity / ROOM
}
