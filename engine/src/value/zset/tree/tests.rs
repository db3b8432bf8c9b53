//! The tree against a sorted vector; its invariants; what it costs.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::node::FAN;
use super::*;
use crate::random::Random;

/// Names of elements by number: what decides between equal scores.
type Names = Vec<u64>;

fn order(left: (f64, u64), right: (f64, u64)) -> Ordering {
    left.partial_cmp(&right).unwrap()
}

fn before(names: &Names, score: f64, name: u64) -> impl Fn(f64, u32) -> bool {
    move |s, n| order((s, names[n as usize]), (score, name)) == Ordering::Less
}

#[derive(Default)]
struct Model {
    names: Names,
    /// (score, number), sorted.
    entries: Vec<(f64, u32)>,
}

impl Model {
    fn key(&self, at: usize) -> (f64, u64) {
        (self.entries[at].0, self.names[self.entries[at].1 as usize])
    }

    fn insert(&mut self, score: f64, name: u64, tree: &mut Tree) {
        let number = self.names.len() as u32;
        self.names.push(name);
        self.place(score, number, tree);
    }

    fn place(&mut self, score: f64, number: u32, tree: &mut Tree) {
        let name = self.names[number as usize];
        tree.insert(score, number, before(&self.names, score, name));
        let at = self.entries.partition_point(|&(s, n)| before(&self.names, score, name)(s, n));
        self.entries.insert(at, (score, number));
    }

    fn take(&mut self, at: usize, tree: &mut Tree) -> u32 {
        let (score, name) = self.key(at);
        tree.remove(self.entries[at].1, before(&self.names, score, name));
        self.entries.remove(at).1
    }

    /// As the owner does: the last element takes the number of the one that went.
    fn remove(&mut self, at: usize, tree: &mut Tree) {
        let number = self.take(at, tree);
        let last = self.names.len() as u32 - 1;
        if last != number {
            let at = self.entries.iter().position(|&(_, n)| n == last).unwrap();
            let (score, name) = self.key(at);
            tree.renumber(last, number, before(&self.names, score, name));
            self.entries[at].1 = number;
        }
        self.names.swap_remove(number as usize);
    }

    fn rescore(&mut self, at: usize, score: f64, tree: &mut Tree) {
        let (old, name) = self.key(at);
        let number = self.entries[at].1;
        if tree.rescore(number, score, before(&self.names, old, name)) {
            self.entries[at].0 = score;
        } else {
            self.take(at, tree);
            self.place(score, number, tree);
        }
    }
}

/// The entries and nodes below, and the height. Checks what inner nodes repeat.
fn survey(node: &Node, is_root: bool, names: &Names, leaves: &mut usize, inners: &mut usize) -> (usize, usize) {
    assert!(is_root || node.len() > 0);
    match node {
        Node::Leaf(leaf) => {
            *leaves += 1;
            (leaf.len(), 0)
        }
        Node::Inner(inner) => {
            *inners += 1;
            assert!(!is_root || inner.len() > 1);
            let mut heights = Vec::new();
            let mut sum = 0;
            for at in 0..inner.len() {
                let (count, height) = survey(inner.child(at), false, names, leaves, inners);
                assert_eq!(count, inner.counts()[at] as usize);
                let (score, number) = inner.child(at).first();
                assert_eq!((score.to_bits(), number), (inner.first(at).0.to_bits(), inner.first(at).1));
                assert_eq!(inner.partition(&before(names, score, names[number as usize])), at);
                heights.push(height);
                sum += count;
            }
            assert!(heights.windows(2).all(|pair| pair[0] == pair[1]));
            (sum, heights[0] + 1)
        }
    }
}

fn check(tree: &Tree, model: &Model, at: usize) {
    let (mut leaves, mut inners) = (0, 0);
    let (len, _) = survey(&tree.root, true, &model.names, &mut leaves, &mut inners);
    assert_eq!((len, leaves, inners), (tree.len(), tree.leaves, tree.inners));
    assert_eq!(len, model.entries.len());
    assert!(tree.up_from(0).eq(model.entries.iter().copied()));
    assert!(tree.down_from(usize::MAX).eq(model.entries.iter().rev().copied()));
    assert!(tree.up_from(at).eq(model.entries.iter().skip(at).copied()));
    if at < len {
        assert!(tree.down_from(at).eq(model.entries[..=at].iter().rev().copied()));
        let (score, name) = model.key(at);
        assert_eq!(tree.rank(before(&model.names, score, name)), at);
        assert_eq!(tree.rank(|s, _| s < score), model.entries.partition_point(|&(s, _)| s < score));
        assert_eq!(tree.rank(|s, _| s <= score), model.entries.partition_point(|&(s, _)| s <= score));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(f64, u64),
    Run(u64, bool),
    Remove(usize),
    RemoveMany(usize, usize),
    Rescore(usize, f64),
}

fn step() -> impl Strategy<Value = Step> {
    let score = (0..40i32).prop_map(|n| f64::from(n) - 20.0);
    prop_oneof![
        4 => (score.clone(), 0..1000u64).prop_map(|(score, name)| Step::Insert(score, name)),
        2 => (1..300u64, any::<bool>()).prop_map(|(count, up)| Step::Run(count, up)),
        3 => any::<usize>().prop_map(Step::Remove),
        1 => (any::<usize>(), 1..400usize).prop_map(|(at, count)| Step::RemoveMany(at, count)),
        3 => (any::<usize>(), score).prop_map(|(at, score)| Step::Rescore(at, score)),
    ]
}

fn run(steps: Vec<Step>) {
    let (mut tree, mut model, mut unique) = (Tree::new(), Model::default(), 0);
    for (turn, step) in steps.into_iter().enumerate() {
        let len = model.entries.len();
        match step {
            Step::Insert(score, name) => {
                unique += 1;
                model.insert(score, name << 32 | unique, &mut tree);
            }
            Step::Run(count, up) => {
                for n in 0..count {
                    unique += 1;
                    let score = n as f64 / 7.0;
                    model.insert(if up { score } else { -score }, unique, &mut tree);
                }
            }
            Step::Remove(at) if len > 0 => model.remove(at % len, &mut tree),
            Step::RemoveMany(at, count) if len > 0 => {
                for _ in 0..count.min(len) {
                    model.remove(at % model.entries.len(), &mut tree);
                }
            }
            Step::Rescore(at, score) if len > 0 => model.rescore(at % len, score, &mut tree),
            _ => {}
        }
        check(&tree, &model, turn * 13 % (model.entries.len() + 2));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_a_sorted_sequence(steps in prop::collection::vec(step(), 1..80)) {
        run(steps);
    }
}

#[test]
fn leaves_may_begin_with_equal_scores() {
    // The first of three entries of one score, which lie in two leaves, must be told from the others by its name.
    let mut steps = vec![Step::Run(162, true), Step::Insert(-19.0, 0)];
    steps.extend([1229471166959218853, 7655256311472942201, 6126784529561036566].map(Step::Remove));
    steps.extend([1161636794164531910, 12851775604473089023].map(|at| Step::Rescore(at, -19.0)));
    run(steps);
}

/// A tree of so many entries, whose name is the number.
fn filled(scores: impl Iterator<Item = f64>) -> Tree {
    let mut tree = Tree::new();
    for (number, score) in scores.enumerate() {
        tree.insert(score, number as u32, |s, n| (s, n) < (score, number as u32));
    }
    tree
}

#[test]
fn an_entry_takes_little_memory() {
    let count = 200_000;
    let mut random = Random::new(7);
    let up = filled((0..count).map(f64::from));
    let down = filled((0..count).map(|n| f64::from(-n)));
    let mut any = filled((0..count).map(|_| random.next_u64() as f64));
    let per_entry = |tree: &Tree| tree.memory() as f64 / tree.len() as f64;
    assert!(per_entry(&up) < 13.0 && per_entry(&down) < 13.0, "{} {}", per_entry(&up), per_entry(&down));
    assert!(per_entry(&any) < 17.0, "{}", per_entry(&any));
    let entries: Vec<(f64, u32)> = any.up_from(0).collect();
    for &(score, number) in entries.iter().filter(|(_, number)| number % 3 != 0) {
        any.remove(number, |s, n| (s, n) < (score, number));
    }
    assert!(per_entry(&any) < 21.0, "{}", per_entry(&any));
    assert!(any.inners * FAN / 3 < any.leaves, "inner nodes are not sparse");
}
