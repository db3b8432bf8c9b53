//! Nodes of the tree: leaves with entries, inner nodes with children; both in parallel arrays of fixed length.
//!
//! The sizes of both are size classes of the allocator but for a few bytes.

/// Entries of a leaf.
pub(super) const LEAF: usize = 63;
/// Children of an inner node.
pub(super) const FAN: usize = 31;

/// Entries in order.
#[derive(Debug)]
pub(super) struct Leaf {
    scores: [f64; LEAF],
    numbers: [u32; LEAF],
    len: u32,
}

/// Children in order, and for each its first entry and how many entries are below it.
#[derive(Debug)]
pub(super) struct Inner {
    scores: [f64; FAN],
    numbers: [u32; FAN],
    counts: [u32; FAN],
    children: [Option<Node>; FAN],
    len: u32,
}

#[derive(Debug)]
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

const _: () = assert!(size_of::<Leaf>() <= 768 && size_of::<Inner>() <= 1024);

impl Leaf {
    pub(super) fn new() -> Leaf {
        Leaf { scores: [0.0; LEAF], numbers: [0; LEAF], len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len()]
    }

    #[inline]
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers[..self.len()]
    }

    /// How many entries lie before a place.
    #[inline]
    pub(super) fn partition(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        partition(self.scores(), self.numbers(), before)
    }

    #[inline]
    pub(super) fn insert(&mut self, at: usize, score: f64, number: u32) {
        let len = self.len();
        insert(&mut self.scores, len, at, score);
        insert(&mut self.numbers, len, at, number);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) {
        let len = self.len();
        self.scores.copy_within(at + 1..len, at);
        self.numbers.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    pub(super) fn set_number(&mut self, at: usize, number: u32) {
        self.numbers[at] = number;
    }

    /// Changes a score where that leaves the order as it is and the entry is not the first, which nodes above repeat.
    pub(super) fn set_score(&mut self, at: usize, score: f64) -> bool {
        let scores = &mut self.scores[..self.len as usize];
        let fits_before = at > 0 && scores[at - 1] < score;
        let fits_behind = if at + 1 < scores.len() { score < scores[at + 1] } else { score <= scores[at] };
        if fits_before && fits_behind {
            scores[at] = score;
        }
        fits_before && fits_behind
    }

    fn move_right(&mut self, right: &mut Leaf, moved: usize) {
        let (len, right_len) = (self.len(), right.len());
        move_right(&mut self.scores, len, &mut right.scores, right_len, moved);
        move_right(&mut self.numbers, len, &mut right.numbers, right_len, moved);
        self.len -= moved as u32;
        right.len += moved as u32;
    }

    fn move_left(&mut self, right: &mut Leaf, moved: usize) {
        let (len, right_len) = (self.len(), right.len());
        move_left(&mut self.scores, len, &mut right.scores, right_len, moved);
        move_left(&mut self.numbers, len, &mut right.numbers, right_len, moved);
        self.len += moved as u32;
        right.len -= moved as u32;
    }
}

impl Inner {
    pub(super) fn new() -> Inner {
        Inner { scores: [0.0; FAN], numbers: [0; FAN], counts: [0; FAN], children: [const { None }; FAN], len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts[..self.len()]
    }

    #[inline]
    pub(super) fn count_mut(&mut self, at: usize) -> &mut u32 {
        &mut self.counts[at]
    }

    #[inline]
    pub(super) fn child(&self, at: usize) -> &Node {
        self.children[at].as_ref().expect("a child below the length")
    }

    #[inline]
    pub(super) fn child_mut(&mut self, at: usize) -> &mut Node {
        self.children[at].as_mut().expect("a child below the length")
    }

    fn pair_mut(&mut self, at: usize) -> (&mut Node, &mut Node) {
        let (left, right) = self.children.split_at_mut(at + 1);
        let left = left[at].as_mut().expect("a child below the length");
        (left, right[0].as_mut().expect("a child below the length"))
    }

    /// A child's first entry.
    #[inline]
    pub(super) fn first(&self, at: usize) -> (f64, u32) {
        (self.scores[at], self.numbers[at])
    }

    pub(super) fn set_first(&mut self, at: usize, score: f64, number: u32) {
        (self.scores[at], self.numbers[at]) = (score, number);
    }

    pub(super) fn set_first_number(&mut self, at: usize, number: u32) {
        self.numbers[at] = number;
    }

    /// How many children begin before a place.
    #[inline]
    pub(super) fn partition(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        partition(&self.scores[..self.len()], &self.numbers[..self.len()], before)
    }

    /// The child where a place is.
    #[inline]
    pub(super) fn child_of_place(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        self.partition(before).saturating_sub(1)
    }

    /// The child where an entry is, if it is anywhere.
    #[inline]
    pub(super) fn child_of(&self, number: u32, before: &impl Fn(f64, u32) -> bool) -> usize {
        let at = self.partition(before);
        if at < self.len() && self.numbers[at] == number { at } else { at.saturating_sub(1) }
    }

    /// Adds a child that is not empty.
    pub(super) fn insert(&mut self, at: usize, child: Node) {
        let ((score, number), len) = (child.first(), self.len());
        insert(&mut self.scores, len, at, score);
        insert(&mut self.numbers, len, at, number);
        insert(&mut self.counts, len, at, child.count());
        self.children[at..=len].rotate_right(1);
        self.children[at] = Some(child);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Node> {
        let len = self.len();
        self.scores.copy_within(at + 1..len, at);
        self.numbers.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.children[at..len].rotate_left(1);
        self.len -= 1;
        self.children[len - 1].take()
    }

    /// Moves the boundary between a child and the one to its right: so many go to the right, or to the left.
    pub(super) fn shift(&mut self, at: usize, moved: usize, direction: Direction) {
        let (left, right) = self.pair_mut(at);
        left.shift(right, moved, direction);
        self.refresh(at);
        self.refresh(at + 1);
    }

    /// Moves all of a child to the one to its left, and takes it out.
    pub(super) fn merge(&mut self, at: usize) -> Option<Node> {
        let (left, right) = self.pair_mut(at);
        left.shift(right, right.len(), Direction::ToLeft);
        self.refresh(at);
        self.remove(at + 1)
    }

    /// Looks at a child again.
    fn refresh(&mut self, at: usize) {
        let child = self.child(at);
        if child.len() > 0 {
            let ((score, number), count) = (child.first(), child.count());
            self.set_first(at, score, number);
            self.counts[at] = count;
        }
    }

    fn move_right(&mut self, right: &mut Inner, moved: usize) {
        let (len, right_len) = (self.len(), right.len());
        move_right(&mut self.scores, len, &mut right.scores, right_len, moved);
        move_right(&mut self.numbers, len, &mut right.numbers, right_len, moved);
        move_right(&mut self.counts, len, &mut right.counts, right_len, moved);
        move_right(&mut self.children, len, &mut right.children, right_len, moved);
        self.len -= moved as u32;
        right.len += moved as u32;
    }

    fn move_left(&mut self, right: &mut Inner, moved: usize) {
        let (len, right_len) = (self.len(), right.len());
        move_left(&mut self.scores, len, &mut right.scores, right_len, moved);
        move_left(&mut self.numbers, len, &mut right.numbers, right_len, moved);
        move_left(&mut self.counts, len, &mut right.counts, right_len, moved);
        move_left(&mut self.children, len, &mut right.children, right_len, moved);
        self.len += moved as u32;
        right.len -= moved as u32;
    }
}

/// Where entries go between two neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    ToLeft,
    ToRight,
}

impl Node {
    /// Entries of a leaf, children of an inner node.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.len(),
        }
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF,
            Node::Inner(_) => FAN,
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Entries below.
    pub(super) fn count(&self) -> u32 {
        match self {
            Node::Leaf(leaf) => leaf.len,
            Node::Inner(inner) => inner.counts().iter().sum(),
        }
    }

    /// The first entry; the node is not empty.
    pub(super) fn first(&self) -> (f64, u32) {
        match self {
            Node::Leaf(leaf) => (leaf.scores[0], leaf.numbers[0]),
            Node::Inner(inner) => (inner.scores[0], inner.numbers[0]),
        }
    }

    /// How many entries or children begin before a place.
    pub(super) fn partition(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.partition(before),
            Node::Inner(inner) => inner.partition(before),
        }
    }

    /// Another node with what is from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Node {
        let mut right = match self {
            Node::Leaf(_) => Node::Leaf(Box::new(Leaf::new())),
            Node::Inner(_) => Node::Inner(Box::new(Inner::new())),
        };
        self.shift(&mut right, self.len() - at, Direction::ToRight);
        right
    }

    fn shift(&mut self, right: &mut Node, moved: usize, direction: Direction) {
        match (self, right, direction) {
            (Node::Leaf(left), Node::Leaf(right), Direction::ToLeft) => left.move_left(right, moved),
            (Node::Leaf(left), Node::Leaf(right), Direction::ToRight) => left.move_right(right, moved),
            (Node::Inner(left), Node::Inner(right), Direction::ToLeft) => left.move_left(right, moved),
            (Node::Inner(left), Node::Inner(right), Direction::ToRight) => left.move_right(right, moved),
            _ => unreachable!("neighbours are on the same level"),
        }
    }
}

/// How many of these lie before a place. `before` holds for some from the first on, and for none behind them.
#[inline]
fn partition(scores: &[f64], numbers: &[u32], before: &impl Fn(f64, u32) -> bool) -> usize {
    let (mut low, mut size) = (0, scores.len().min(numbers.len()));
    while size > 0 {
        let half = size / 2;
        if before(scores[low + half], numbers[low + half]) {
            low += half + 1;
            size -= half + 1;
        } else {
            size = half;
        }
    }
    low
}

#[inline]
fn insert<T: Copy>(array: &mut [T], len: usize, at: usize, item: T) {
    array.copy_within(at..len, at + 1);
    array[at] = item;
}

/// Moves the last `moved` of the left array to the front of the right one.
fn move_right<T>(left: &mut [T], left_len: usize, right: &mut [T], right_len: usize, moved: usize) {
    right[..right_len + moved].rotate_right(moved);
    left[left_len - moved..left_len].swap_with_slice(&mut right[..moved]);
}

/// Moves the first `moved` of the right array to the end of the left one.
fn move_left<T>(left: &mut [T], left_len: usize, right: &mut [T], right_len: usize, moved: usize) {
    left[left_len..left_len + moved].swap_with_slice(&mut right[..moved]);
    right[..right_len].rotate_left(moved);
}
