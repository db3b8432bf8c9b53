//! ZRANDMEMBER: members left to chance.

use std::collections::BTreeSet;

use engine::random::Random;
use engine::value::ZsetView;

use super::super::args::{integer, is};
use super::super::error::{COUNT_TOO_LARGE, NOT_SYMMETRIC, SYNTAX};
use super::super::{Call, Done, Reply, View};
use super::{write_members, zset};

/// A reply of more members, some of them more than once, is refused: it would fill the memory.
const MOST_REPEATED: u64 = 1 << 23;
/// When more than one in so many is asked for, all are gone through rather than each looked up.
const GO_THROUGH_FROM: usize = 3;

pub(super) fn zrandmember(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let mut random = Random::new(call.chance);
    if call.len() == 2 {
        let zset = zset(view.get(&call.keys[0]))?.filter(|zset| !zset.is_empty());
        match zset.and_then(|zset| zset.from_rank(random.below(zset.len() as u64) as usize).next()) {
            Some((member, _)) => reply.bulk(member),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = integer(call.arg(2))?;
    if count == i64::MIN {
        return Err(NOT_SYMMETRIC);
    }
    let with_scores = match call.len() {
        3 => false,
        4 if is(call.arg(3), "WITHSCORES") => true,
        _ => return Err(SYNTAX),
    };
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(COUNT_TOO_LARGE);
    }
    let Some(zset) = zset(view.get(&call.keys[0]))?.filter(|_| count != 0) else {
        reply.write().array(0);
        return Ok(());
    };
    if count < 0 {
        return repeated(&zset, count.unsigned_abs(), with_scores, &mut random, reply);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(zset.len());
    if count.saturating_mul(GO_THROUGH_FROM) > zset.len() {
        let picked = picked_in_passing(zset.len(), count, &mut random);
        let members = zset.from_rank(0).zip(picked).filter_map(|(member, is_picked)| is_picked.then_some(member));
        write_members(reply, count, with_scores, members);
    } else {
        let ranks = distinct(zset.len() as u64, count as u64, &mut random);
        let members = ranks.iter().filter_map(|&rank| zset.from_rank(rank as usize).next());
        write_members(reply, count, with_scores, members);
    }
    Ok(())
}

/// So many members, each drawn from all.
fn repeated(zset: &ZsetView<'_>, count: u64, with_scores: bool, random: &mut Random, reply: &mut Reply<'_>) -> Done {
    if count > MOST_REPEATED {
        return Err(COUNT_TOO_LARGE);
    }
    let length = zset.len() as u64;
    let members = (0..count).filter_map(|_| zset.from_rank(random.below(length) as usize).next());
    write_members(reply, count as usize, with_scores, members);
    Ok(())
}

/// For each of so many, whether it is one of the `count` that are picked (Knuth's algorithm S).
fn picked_in_passing(length: usize, count: usize, random: &mut Random) -> impl Iterator<Item = bool> {
    let mut wanted = count as u64;
    (0..length as u64).map(move |index| {
        let is_picked = random.below(length as u64 - index) < wanted;
        wanted -= u64::from(is_picked);
        is_picked
    })
}

/// So many different numbers below a bound (Floyd's algorithm).
fn distinct(bound: u64, count: u64, random: &mut Random) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for last in bound - count..bound {
        let number = random.below(last + 1);
        if !numbers.insert(number) {
            numbers.insert(last);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_picked_as_asked_for() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (length, count) = (1 + seed % 20, seed % 7 % (1 + seed % 20));
            assert_eq!(distinct(length, count, &mut random).len() as u64, count);
            let picked = picked_in_passing(length as usize, count as usize, &mut random);
            assert_eq!(picked.filter(|&is_picked| is_picked).count() as u64, count);
        }
    }
}
