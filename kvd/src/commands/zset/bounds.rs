//! Ranges of a sorted set, by rank, score or member. All become ranges of ranks.

use std::ops::Range;

use engine::value::ZsetView;

use super::super::CommandError;
use super::super::args::{index_range, integer};
use super::super::error::{LEX_RANGE, SCORE_RANGE};
use super::number::bound;

/// What a range is given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Indexes, the first and the last.
    Rank,
    /// Scores, the least and the greatest.
    Score,
    /// Members that all have the same score.
    Member,
}

/// A range as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(End<f64>, End<f64>),
    Members(Place<'a>, Place<'a>),
}

/// Where a range begins or ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<T> {
    value: T,
    inclusive: bool,
}

/// A member, or what comes before or after all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    First,
    Last,
    At(End<&'a [u8]>),
}

impl<'a> Bounds<'a> {
    /// Reads the two arguments of a range, the lower one first.
    pub(super) fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Bounds<'a>, CommandError> {
        Ok(match by {
            By::Rank => Bounds::Ranks(integer(low)?, integer(high)?),
            By::Score => Bounds::Scores(score_end(low)?, score_end(high)?),
            By::Member => Bounds::Members(member_end(low)?, member_end(high)?),
        })
    }

    /// The ranks it covers, counted from the lowest score.
    pub(super) fn ranks(&self, zset: &ZsetView<'_>) -> Range<usize> {
        let range = match *self {
            Bounds::Ranks(start, stop) => index_range(start, stop, zset.len()),
            Bounds::Scores(low, high) => {
                // The upper end is where a range begins that has what this one has not.
                zset.rank_of_score(low.value, low.inclusive)..zset.rank_of_score(high.value, !high.inclusive)
            }
            Bounds::Members(low, high) => {
                let rank = |place, is_high| match place {
                    Place::First => 0,
                    Place::Last => zset.len(),
                    Place::At(End { value, inclusive }) => zset.rank_of_member(value, inclusive != is_high),
                };
                rank(low, false)..rank(high, true)
            }
        };
        if range.is_empty() { 0..0 } else { range }
    }

    /// The ranks it covers when indexes are counted from the highest score.
    pub(super) fn ranks_from_above(&self, zset: &ZsetView<'_>) -> Range<usize> {
        let ranks = self.ranks(zset);
        match self {
            Bounds::Ranks(..) => zset.len() - ranks.end..zset.len() - ranks.start,
            _ => ranks,
        }
    }
}

fn score_end(text: &[u8]) -> Result<End<f64>, CommandError> {
    let (text, inclusive) = match text {
        [b'(', rest @ ..] => (rest, false),
        text => (text, true),
    };
    Ok(End { value: bound(text).ok_or(SCORE_RANGE)?, inclusive })
}

fn member_end(text: &[u8]) -> Result<Place<'_>, CommandError> {
    Ok(match text {
        b"-" => Place::First,
        b"+" => Place::Last,
        [b'[', value @ ..] => Place::At(End { value, inclusive: true }),
        [b'(', value @ ..] => Place::At(End { value, inclusive: false }),
        _ => return Err(LEX_RANGE),
    })
}
