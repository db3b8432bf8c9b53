//! ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::RangeInclusive;

use engine::{Key, Transaction};
use resp::{Request, exact_integer};

use super::super::args::{integer, is};
use super::super::error::{LIMIT_NEGATIVE, SYNTAX, WEIGHT};
use super::super::{Call, CommandError, Done, Reply, View};
use super::sources::{Aggregate, Scored, Source};
use super::{collected, number, rescored_bytes, store, write_members};

/// What is made of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Shown,
    Stored,
    Counted,
}

/// A request with its sources.
struct Task<'a> {
    operation: Operation,
    sources: Vec<Source<'a>>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Of ZINTERCARD.
    limit: usize,
}

/// How many keys there are, which argument `at` says.
fn key_count(call: &Call<'_>, at: usize) -> Result<usize, CommandError> {
    let count = integer(call.arg(at))?;
    if count < 1 {
        return Err(CommandError::no_input_key(&call.entry.full_name));
    }
    usize::try_from(count).ok().filter(|count| *count < call.len() - at).ok_or(SYNTAX)
}

impl<'a> Task<'a> {
    /// Reads the rest of a request, whose keys the transaction has looked at.
    fn parse(
        call: &Call<'_>,
        transaction: &'a Transaction<'_>,
        keys: &[Key<'_>],
        operation: Operation,
        result: Use,
    ) -> Result<Task<'a>, CommandError> {
        let sources = keys.iter().map(|key| Source::of(transaction.peek(key))).collect::<Result<Vec<_>, _>>()?;
        let count = sources.len();
        let mut task = Task { operation, sources, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let weighs = operation != Operation::Difference && result != Use::Counted;
        let mut at = 2 + usize::from(result == Use::Stored) + count;
        while at < call.len() {
            let (word, behind) = (call.arg(at), call.len() - at - 1);
            if weighs && behind >= count && is(word, "WEIGHTS") {
                for (index, source) in task.sources.iter_mut().enumerate() {
                    source.weight = number(call.arg(at + 1 + index)).ok_or(WEIGHT)?;
                }
                at += count;
            } else if weighs && behind >= 1 && is(word, "AGGREGATE") {
                task.aggregate = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)]
                    .into_iter()
                    .find_map(|(name, aggregate)| is(call.arg(at + 1), name).then_some(aggregate))
                    .ok_or(SYNTAX)?;
                at += 1;
            } else if result == Use::Shown && is(word, "WITHSCORES") {
                task.with_scores = true;
            } else if result == Use::Counted && behind >= 1 && is(word, "LIMIT") {
                let limit = exact_integer(call.arg(at + 1)).and_then(|limit| usize::try_from(limit).ok());
                task.limit = limit.ok_or(LIMIT_NEGATIVE)?;
                at += 1;
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        if operation != Operation::Difference {
            // From the smallest on: that is also the order in which Redis adds up scores.
            task.sources.sort_by_key(Source::len);
        }
        Ok(task)
    }

    /// The result, in order.
    fn result(&self) -> Vec<Scored<'a>> {
        let mut members: Vec<Scored<'a>> = match self.operation {
            Operation::Union => self.union(),
            Operation::Intersection => self.intersection().collect(),
            Operation::Difference => self.difference().collect(),
        };
        members.sort_unstable_by(|(left, a), (right, b)| {
            a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| left.cmp(right))
        });
        members
    }

    fn union(&self) -> Vec<Scored<'a>> {
        let mut scores: HashMap<Cow<'a, [u8]>, f64> = HashMap::new();
        for (member, score) in self.sources.iter().flat_map(Source::members) {
            scores.entry(member).and_modify(|sum| *sum = self.aggregate.of(*sum, score)).or_insert(score);
        }
        scores.into_iter().collect()
    }

    fn intersection(&self) -> impl Iterator<Item = Scored<'a>> {
        let (first, others) = self.sources.split_at(1);
        first.iter().flat_map(Source::members).filter_map(|(member, score)| {
            let mut scores = others.iter().map(|source| Some(source.score(&member)? * source.weight));
            let score = scores.try_fold(score, |sum, other| other.map(|other| self.aggregate.of(sum, other)))?;
            Some((member, score))
        })
    }

    fn difference(&self) -> impl Iterator<Item = Scored<'a>> {
        let (first, others) = self.sources.split_at(1);
        let is_left = |(member, _): &Scored<'a>| others.iter().all(|source| source.score(member).is_none());
        first.iter().flat_map(Source::members).filter(is_left)
    }
}

/// Members as others want them.
fn plain<'m>(members: &'m [Scored<'_>]) -> impl Iterator<Item = (&'m [u8], f64)> {
    members.iter().map(|(member, score)| (&**member, *score))
}

pub(super) fn zunion(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Operation::Union)
}

pub(super) fn zinter(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Operation::Intersection)
}

pub(super) fn zdiff(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Operation::Difference)
}

fn show(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, operation: Operation) -> Done {
    let keys = look(view, call)?;
    let task = Task::parse(call, view.transaction(), keys, operation, Use::Shown)?;
    let members = task.result();
    write_members(reply, members.len(), task.with_scores, plain(&members));
    Ok(())
}

/// Looks at all sources, as every reader does.
fn look<'k>(view: &mut View<'_, '_>, call: &Call<'k>) -> Result<&'k [Key<'k>], CommandError> {
    let keys = &call.keys[..key_count(call, 1)?];
    for key in keys {
        let _ = view.get(key);
    }
    Ok(keys)
}

pub(super) fn zintercard(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let keys = look(view, call)?;
    let task = Task::parse(call, view.transaction(), keys, Operation::Intersection, Use::Counted)?;
    let limit = if task.limit == 0 { usize::MAX } else { task.limit };
    reply.integer(task.intersection().take(limit).count() as i64);
    Ok(())
}

pub(super) fn zunionstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    keep(transaction, call, reply, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    keep(transaction, call, reply, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    keep(transaction, call, reply, Operation::Difference, "zdiffstore")
}

fn keep(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    operation: Operation,
    event: &'static str,
) -> Done {
    let count = key_count(call, 2)?;
    let (destination, sources) = (&call.keys[0], &call.keys[1..=count]);
    for key in sources {
        let _ = transaction.get(key);
    }
    let limits = transaction.limits();
    let members = Task::parse(call, transaction, sources, operation, Use::Stored)?.result();
    let collection = collected(plain(&members), &limits);
    drop(members);
    store(transaction, destination, collection, event, reply);
    Ok(())
}

/// What a union stores is at most what all sources have, with other scores. Plain sets get scores at all.
pub(super) fn union_bytes(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    sources(request).map(|index| rescored_bytes(present(index))).sum()
}

/// All sources have what an intersection stores.
pub(super) fn intersection_bytes(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    sources(request).map(|index| rescored_bytes(present(index))).min().unwrap_or(0)
}

/// The first source has what a difference stores.
pub(super) fn difference_bytes(_request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    rescored_bytes(present(1))
}

/// Which of the keys are sources.
fn sources(request: &Request<'_>) -> RangeInclusive<usize> {
    let count = request.get(2).and_then(exact_integer).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    1..=count.min(request.len())
}
