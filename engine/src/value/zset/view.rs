//! What is read of a sorted set.

use super::super::{Object, packed::count, packed::elements};
use super::large::Zset;
use super::packed::{Entries, entries};
use super::tree::{Backwards, Forwards};
use super::{entry_bytes, is_before};

/// A sorted set to be read. Ranks are counted from 0, the lowest score.
#[derive(Clone, Copy, Debug)]
pub enum ZsetView<'a> {
    /// The packed bytes of one.
    Packed(&'a [u8]),
    /// A large one.
    Tree(&'a Zset),
}

impl<'a> ZsetView<'a> {
    /// The view of a slot that holds a sorted set.
    #[must_use]
    pub fn new(packed: &'a [u8], object: Option<&'a Object>) -> ZsetView<'a> {
        match object {
            Some(Object::Zset(zset)) => ZsetView::Tree(zset),
            _ => ZsetView::Packed(packed),
        }
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            ZsetView::Packed(packed) => count(packed),
            ZsetView::Tree(zset) => zset.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            ZsetView::Packed(packed) => entries(packed).find_map(|(score, name)| (name == member).then_some(score)),
            ZsetView::Tree(zset) => zset.score(member),
        }
    }

    /// The rank of a member and its score.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZsetView::Packed(packed) => {
                entries(packed).enumerate().find_map(|(rank, (score, name))| (name == member).then_some((rank, score)))
            }
            ZsetView::Tree(zset) => zset.score(member).map(|score| (zset.rank_of((score, member)), score)),
        }
    }

    /// Members and scores from a rank upwards.
    #[must_use]
    pub fn from_rank(&self, rank: usize) -> ZsetIter<'a> {
        ZsetIter(match *self {
            ZsetView::Packed(packed) => {
                let mut entries = entries(packed);
                for _ in 0..rank.min(count(packed)) {
                    entries.next();
                }
                Up::Packed(entries)
            }
            ZsetView::Tree(zset) => Up::Tree(Ahead::new(zset, zset.order().up_from(rank))),
        })
    }

    /// Members and scores from a rank downwards; from the highest when there is no such rank.
    #[must_use]
    pub fn back_from_rank(&self, rank: usize) -> ZsetIterBack<'a> {
        ZsetIterBack(match *self {
            ZsetView::Packed(packed) => {
                // Entries can be read upwards only, so first all that come are found.
                let bytes = elements(packed);
                let mut at = 0;
                let starts = entries(packed).take(rank.saturating_add(1)).map(|entry| {
                    let start = at;
                    at += entry_bytes(entry);
                    start as u16
                });
                Down::Packed(bytes, starts.collect())
            }
            ZsetView::Tree(zset) => Down::Tree(Ahead::new(zset, zset.order().down_from(rank))),
        })
    }

    /// How many members come before a score as the lower bound of a range: those with a lower one, and when it is
    /// not `inclusive` those that have it. The score is no NaN, but may be infinite.
    #[must_use]
    pub fn rank_of_score(&self, score: f64, inclusive: bool) -> usize {
        let before = |other: f64| other < score || !inclusive && other == score;
        match self {
            ZsetView::Packed(packed) => entries(packed).take_while(|&(other, _)| before(other)).count(),
            ZsetView::Tree(zset) => zset.order().rank(|other, _| before(other)),
        }
    }

    /// The same for a member, where all members have the same score.
    #[must_use]
    pub fn rank_of_member(&self, member: &[u8], inclusive: bool) -> usize {
        let before = |other: &[u8]| if inclusive { other < member } else { other <= member };
        match self {
            ZsetView::Packed(packed) => entries(packed).take_while(|&(_, other)| before(other)).count(),
            ZsetView::Tree(zset) => zset.order().rank(|_, number| before(zset.member(number))),
        }
    }

    /// How many members come before a score and member.
    #[must_use]
    pub fn rank_of_place(&self, score: f64, member: &[u8]) -> usize {
        match self {
            ZsetView::Packed(packed) => entries(packed).take_while(|&entry| is_before(entry, (score, member))).count(),
            ZsetView::Tree(zset) => zset.rank_of((score, member)),
        }
    }

    /// Visits some members, `count` of a large set. The next cursor, or 0 at the end; begin with 0. A member that is
    /// there from the first call to the last is visited at least once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            ZsetView::Packed(packed) => {
                entries(packed).for_each(|(score, member)| visit(member, score));
                0
            }
            ZsetView::Tree(zset) => zset.scan(cursor, count, visit),
        }
    }

    /// As OBJECT ENCODING gives it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            ZsetView::Packed(_) => "listpack",
            ZsetView::Tree(_) => "skiplist",
        }
    }
}

/// Members and scores upwards.
#[derive(Clone, Debug)]
pub struct ZsetIter<'a>(Up<'a>);

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack; a box would be an allocation per range")]
enum Up<'a> {
    Packed(Entries<'a>),
    Tree(Ahead<'a, Forwards<'a>>),
}

impl<'a> Iterator for ZsetIter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        match &mut self.0 {
            Up::Packed(entries) => entries.next().map(|(score, member)| (member, score)),
            Up::Tree(entries) => entries.next(),
        }
    }
}

/// Members and scores downwards.
#[derive(Clone, Debug)]
pub struct ZsetIterBack<'a>(Down<'a>);

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack; a box would be an allocation per range")]
enum Down<'a> {
    /// The entries, and where each of those starts that are still to come.
    Packed(&'a [u8], Vec<u16>),
    Tree(Ahead<'a, Backwards<'a>>),
}

impl<'a> Iterator for ZsetIterBack<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        match &mut self.0 {
            Down::Packed(bytes, starts) => {
                let (score, member) = Entries(&bytes[usize::from(starts.pop()?)..]).next()?;
                Some((member, score))
            }
            Down::Tree(entries) => entries.next(),
        }
    }
}

/// Members that are looked up together.
const AHEAD: usize = 16;

/// Members of entries of the tree. Each lies somewhere else in memory, so several are looked up in one go: the
/// processor waits for all of them at once. The first go is short, for those who want one only.
#[derive(Clone, Debug)]
struct Ahead<'a, I> {
    zset: &'a Zset,
    entries: I,
    ready: [(&'a [u8], f64); AHEAD],
    at: usize,
    end: usize,
}

impl<'a, I: Iterator<Item = (f64, u32)>> Ahead<'a, I> {
    fn new(zset: &'a Zset, entries: I) -> Ahead<'a, I> {
        Ahead { zset, entries, ready: [(&[], 0.0); AHEAD], at: 0, end: 0 }
    }

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        if self.at == self.end {
            self.look_up();
        }
        let entry = self.ready[..self.end].get(self.at).copied();
        self.at += usize::from(entry.is_some());
        entry
    }

    fn look_up(&mut self) {
        let more = (4 * self.end).clamp(1, AHEAD);
        (self.at, self.end) = (0, 0);
        for (ready, (score, number)) in self.ready[..more].iter_mut().zip(&mut self.entries) {
            *ready = (self.zset.member(number), score);
            self.end += 1;
        }
    }
}
