//! What is asked of a sorted set and its members: ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT, ZSCAN.

use super::super::args::is;
use super::super::error::SYNTAX;
use super::super::keys::Names;
use super::super::scan::{Options, Scanned, answer, parse_cursor};
use super::super::{Call, CommandError, Done, Reply, View};
use super::bounds::{Bounds, By};
use super::{number, zset};

pub(super) fn zcard(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let length = zset(view.get(&call.keys[0]))?.map_or(0, |zset| zset.len());
    reply.integer(length as i64);
    Ok(())
}

pub(super) fn zscore(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    match zset(view.get(&call.keys[0]))?.and_then(|zset| zset.score(call.arg(2))) {
        Some(score) => reply.write().double(score),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn zmscore(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let zset = zset(view.get(&call.keys[0]))?;
    reply.write().array(call.len() - 2);
    for index in 2..call.len() {
        match zset.as_ref().and_then(|zset| zset.score(call.arg(index))) {
            Some(score) => reply.write().double(score),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) fn zrank(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    rank(view, call, reply, |rank, _| rank)
}

pub(super) fn zrevrank(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    rank(view, call, reply, |rank, length| length - 1 - rank)
}

fn rank(
    view: &mut View<'_, '_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    counted: impl Fn(usize, usize) -> usize,
) -> Done {
    let with_score = match call.len() {
        3 => false,
        4 if is(call.arg(3), "WITHSCORE") => true,
        4 => return Err(SYNTAX),
        _ => return Err(CommandError::arity(&call.entry.full_name)),
    };
    let zset = zset(view.get(&call.keys[0]))?;
    let found = zset.and_then(|zset| zset.rank(call.arg(2)).map(|(rank, score)| (counted(rank, zset.len()), score)));
    match found {
        Some((rank, score)) if with_score => {
            reply.write().array(2);
            reply.integer(rank as i64);
            reply.write().double(score);
        }
        Some((rank, _)) => reply.integer(rank as i64),
        None if with_score => reply.write().null_array(),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn zcount(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    count(view, call, reply, By::Score)
}

pub(super) fn zlexcount(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    count(view, call, reply, By::Member)
}

fn count(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, by: By) -> Done {
    let bounds = Bounds::parse(by, call.arg(2), call.arg(3))?;
    let count = zset(view.get(&call.keys[0]))?.map_or(0, |zset| bounds.ranks(&zset).len());
    reply.integer(count as i64);
    Ok(())
}

pub(super) fn zscan(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let cursor = parse_cursor(call.arg(2))?;
    let zset = zset(view.get(&call.keys[0]))?;
    let options = Options::parse(call, 2, Scanned::Members)?;
    let mut found = Names::default();
    let next = zset.map_or(0, |zset| {
        zset.scan(cursor, options.count, |member, score| {
            if options.matches(member) {
                found.push(member);
                found.push(&number::text(score));
            }
        })
    });
    answer(reply, next, found);
    Ok(())
}
