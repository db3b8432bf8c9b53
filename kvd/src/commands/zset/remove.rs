//! ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX, and how members of a range of ranks are taken out.

use std::ops::Range;

use engine::listener::Class;
use engine::value::ZsetView;
use engine::value::op::{self, Op};
use engine::{Item, Key, Transaction};
use resp::Request;

use super::super::keys::delete;
use super::super::{Call, Done, Reply};
use super::bounds::{Bounds, By};
use super::{collected, zset};

/// When less than one in so many stays, the set is logged anew rather than what goes.
const ANEW_BELOW: usize = 4;

pub(super) fn zrem(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let op = Op::over(op::ZSET_REMOVE, call.request.iter().skip(2));
    let applied = transaction.apply_and_tell(key, &op, Class::SortedSet, "zrem")?;
    reply.integer(applied.changed as i64);
    Ok(())
}

pub(super) fn zremrangebyrank(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    remove_range(transaction, call, reply, By::Rank, "zremrangebyrank")
}

pub(super) fn zremrangebyscore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    remove_range(transaction, call, reply, By::Score, "zremrangebyscore")
}

pub(super) fn zremrangebylex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    remove_range(transaction, call, reply, By::Member, "zremrangebylex")
}

fn remove_range(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    by: By,
    event: &'static str,
) -> Done {
    let bounds = Bounds::parse(by, call.arg(2), call.arg(3))?;
    let key = &call.keys[0];
    let ranks = zset(transaction.get(key))?.map_or(0..0, |zset| bounds.ranks(&zset));
    reply.integer(ranks.len() as i64);
    take(transaction, key, ranks, event)
}

/// Takes the members of some ranks out of a sorted set and tells subscribers; the key goes with the last.
pub(super) fn take(transaction: &mut Transaction<'_>, key: &Key<'_>, ranks: Range<usize>, event: &'static str) -> Done {
    let limits = transaction.limits();
    let Some(item) = transaction.get(key).filter(|_| !ranks.is_empty()) else { return Ok(()) };
    let zset = item.zset()?;
    let deadline = item.deadline();
    let left = zset.len() - ranks.len();
    if left == 0 {
        transaction.notify(Class::SortedSet, event, key);
        delete(transaction, key);
    } else if ranks.len() > 1 && left < zset.len() / ANEW_BELOW {
        let below = zset.from_rank(0).take(ranks.start);
        let rest = collected(below.chain(zset.from_rank(ranks.end)), &limits);
        transaction.set_collection(key, rest, deadline);
        transaction.notify(Class::SortedSet, event, key);
    } else {
        let gone = zset.from_rank(ranks.start).take(ranks.len()).map(|(member, _)| member);
        let op = Op::over(op::ZSET_REMOVE, gone);
        transaction.apply_and_tell(key, &op, Class::SortedSet, event)?;
    }
    Ok(())
}

/// A set that takes no more of the log than this need not be gone through to know what a part of it takes.
const NOT_MEASURED: usize = 16 << 10;
/// What a member takes beside its bytes: its length, and its score where the whole set is logged.
const MEMBER_BYTES: u64 = 5 + 9;

/// Bytes that [`take`] logs.
pub(super) fn taken_bytes(item: Item<'_>, ranks_of: impl FnOnce(&ZsetView<'_>) -> Range<usize>) -> u64 {
    let image_bytes = item.image_bytes();
    let Some(zset) = item.zset().ok().filter(|_| image_bytes > NOT_MEASURED) else { return image_bytes as u64 };
    let ranks = ranks_of(&zset);
    let bytes = |ranks: Range<usize>| {
        zset.from_rank(ranks.start).take(ranks.len()).map(|(member, _)| member.len() as u64 + MEMBER_BYTES).sum::<u64>()
    };
    let left = zset.len() - ranks.len();
    if ranks.len() > 1 && left < zset.len() / ANEW_BELOW {
        bytes(0..ranks.start) + bytes(ranks.end..zset.len())
    } else {
        bytes(ranks)
    }
}

/// What ZREMRANGEBYRANK logs.
pub(super) fn bytes_by_rank(request: &Request<'_>, item: Item<'_>) -> u64 {
    removed_bytes(request, item, By::Rank)
}

/// What ZREMRANGEBYSCORE logs.
pub(super) fn bytes_by_score(request: &Request<'_>, item: Item<'_>) -> u64 {
    removed_bytes(request, item, By::Score)
}

/// What ZREMRANGEBYLEX logs.
pub(super) fn bytes_by_member(request: &Request<'_>, item: Item<'_>) -> u64 {
    removed_bytes(request, item, By::Member)
}

fn removed_bytes(request: &Request<'_>, item: Item<'_>, by: By) -> u64 {
    let (Some(low), Some(high)) = (request.get(2), request.get(3)) else { return 0 };
    Bounds::parse(by, low, high).map_or(0, |bounds| taken_bytes(item, |zset| bounds.ranks(zset)))
}
