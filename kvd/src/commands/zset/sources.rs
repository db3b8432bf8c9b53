//! Sorted sets and plain sets as the sources of ZUNION, ZINTER and ZDIFF.

use std::borrow::Cow;

use engine::value::{Member, Members, SetView, ZsetIter, ZsetView};
use engine::{Item, WrongType};

/// A member, and its score times the weight of its source.
pub(super) type Scored<'a> = (Cow<'a, [u8]>, f64);

/// What a key brings.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    values: Values<'a>,
    pub(super) weight: f64,
}

#[derive(Clone, Copy)]
enum Values<'a> {
    None,
    Zset(ZsetView<'a>),
    /// All scores are 1.
    Set(SetView<'a>),
}

impl<'a> Source<'a> {
    pub(super) fn of(item: Option<Item<'a>>) -> Result<Source<'a>, WrongType> {
        let values = match item {
            None => Values::None,
            Some(item) => item.zset().map(Values::Zset).or_else(|_| item.set().map(Values::Set))?,
        };
        Ok(Source { values, weight: 1.0 })
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::None => 0,
            Values::Zset(zset) => zset.len(),
            Values::Set(set) => set.len(),
        }
    }

    /// The score of a member, without the weight.
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.values {
            Values::None => None,
            Values::Zset(zset) => zset.score(member),
            Values::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// All members. Infinity times nothing is nothing.
    pub(super) fn members(&self) -> impl Iterator<Item = Scored<'a>> + use<'a> {
        let weight = self.weight;
        self.unweighted().map(move |(member, score)| (member, no_nan(score * weight)))
    }

    fn unweighted(&self) -> Walk<'a> {
        match &self.values {
            Values::None => Walk::None,
            Values::Zset(zset) => Walk::Zset(Box::new(zset.from_rank(0))),
            Values::Set(set) => Walk::Set(set.iter()),
        }
    }
}

enum Walk<'a> {
    None,
    /// An iterator over a tree is large.
    Zset(Box<ZsetIter<'a>>),
    Set(Members<'a>),
}

impl<'a> Iterator for Walk<'a> {
    type Item = Scored<'a>;

    fn next(&mut self) -> Option<Scored<'a>> {
        match self {
            Walk::None => None,
            Walk::Zset(members) => members.next().map(|(member, score)| (Cow::Borrowed(member), score)),
            Walk::Set(members) => members.next().map(|member| match member {
                Member::Bytes(bytes) => (Cow::Borrowed(bytes), 1.0),
                integer => (Cow::Owned(integer.with(<[u8]>::to_vec)), 1.0),
            }),
        }
    }
}

/// What comes of several scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Infinity and its opposite add up to nothing, as in Redis.
    pub(super) fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => no_nan(score + other),
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            _ => score,
        }
    }
}

fn no_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}
