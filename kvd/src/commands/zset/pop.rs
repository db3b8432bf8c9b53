//! ZPOPMIN, ZPOPMAX, ZMPOP, and those that wait: BZPOPMIN, BZPOPMAX, BZMPOP.

use std::ops::Range;

use engine::value::ZsetView;
use engine::{Item, Key, Transaction};
use resp::{Request, exact_integer};

use super::super::args::{is, timeout_ms};
use super::super::error::{COUNT_RANGE, NOT_POSITIVE, NUMBER_OF_KEYS, SYNTAX};
use super::super::{Attempt, Call, CommandError, Done, Reply, Wait};
use super::remove::{take, taken_bytes};
use super::{write_members, zset};

type Tried = Result<Attempt, CommandError>;

/// Where members are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Lowest,
    Highest,
}

/// How the members that were taken are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Each with its score in an array of two, whatever the protocol.
    InPairs,
    /// With their scores, as elsewhere.
    AsScored,
    /// One after the other, whatever the protocol.
    Flat,
}

impl Side {
    fn event(self) -> &'static str {
        match self {
            Side::Lowest => "zpopmin",
            Side::Highest => "zpopmax",
        }
    }

    /// The ranks of up to so many members.
    fn ranks(self, zset: &ZsetView<'_>, count: usize) -> Range<usize> {
        let (length, count) = (zset.len(), count.min(zset.len()));
        if self == Side::Lowest { 0..count } else { length - count..length }
    }

    /// Takes up to so many members out of the sorted set at a key, and answers them.
    fn pop(
        self,
        transaction: &mut Transaction<'_>,
        key: &Key<'_>,
        count: usize,
        shown: Shown,
        reply: &mut Reply<'_>,
    ) -> Done {
        let Some(zset) = zset(transaction.get(key))? else { return Ok(()) };
        let ranks = self.ranks(&zset, count);
        match self {
            Side::Lowest => write(reply, ranks.len(), shown, zset.from_rank(0).take(ranks.len())),
            Side::Highest => {
                let members = zset.back_from_rank(zset.len().saturating_sub(1)).take(ranks.len());
                write(reply, ranks.len(), shown, members);
            }
        }
        take(transaction, key, ranks, self.event())
    }
}

fn write<'a>(reply: &mut Reply<'_>, count: usize, shown: Shown, members: impl Iterator<Item = (&'a [u8], f64)>) {
    if shown == Shown::AsScored {
        return write_members(reply, count, true, members);
    }
    let mut out = reply.write();
    if shown == Shown::InPairs {
        out.array(count);
    }
    for (member, score) in members {
        if shown == Shown::InPairs {
            out.array(2);
        }
        out.bulk(member);
        out.double(score);
    }
}

pub(super) fn zpopmin(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    pop(transaction, call, reply, Side::Lowest)
}

pub(super) fn zpopmax(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    pop(transaction, call, reply, Side::Highest)
}

fn pop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, side: Side) -> Done {
    let key = &call.keys[0];
    let count = match call.len() {
        2 => None,
        3 => Some(exact_integer(call.arg(2)).and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)?),
        _ => return Err(SYNTAX),
    };
    let is_there = zset(transaction.get(key))?.is_some();
    match count {
        Some(count) if is_there => side.pop(transaction, key, count, Shown::AsScored, reply),
        None if is_there => {
            reply.write().array(2);
            side.pop(transaction, key, 1, Shown::Flat, reply)
        }
        _ => {
            reply.write().array(0);
            Ok(())
        }
    }
}

/// What ZMPOP and BZMPOP are told behind the number of keys.
struct Several {
    side: Side,
    count: usize,
}

impl Several {
    /// Reads from the number of keys on.
    fn parse(call: &Call<'_>, at: usize) -> Result<Several, CommandError> {
        let number = |at: usize, error: CommandError| match exact_integer(call.arg(at)) {
            Some(number) if number > 0 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            _ => Err(error),
        };
        let side_at = number(at, NUMBER_OF_KEYS)?.saturating_add(at + 1);
        let side = match call.request.get(side_at) {
            Some(word) if is(word, "MIN") => Side::Lowest,
            Some(word) if is(word, "MAX") => Side::Highest,
            _ => return Err(SYNTAX),
        };
        let count = match call.len() - side_at {
            1 => 1,
            3.. if is(call.arg(side_at + 1), "COUNT") => number(side_at + 2, COUNT_RANGE)?,
            _ => return Err(SYNTAX),
        };
        if call.len() > side_at + 3 { Err(SYNTAX) } else { Ok(Several { side, count }) }
    }

    fn pop(&self, transaction: &mut Transaction<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Done {
        reply.write().array(2);
        reply.bulk(key.bytes);
        self.side.pop(transaction, key, self.count, Shown::InPairs, reply)
    }
}

pub(super) fn zmpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let several = Several::parse(call, 1)?;
    match first(transaction, call)? {
        Some(key) => several.pop(transaction, key, reply),
        None => {
            reply.write().null_array();
            Ok(())
        }
    }
}

pub(super) fn bzpopmin(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    pop_or_wait(transaction, call, reply, Side::Lowest)
}

pub(super) fn bzpopmax(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    pop_or_wait(transaction, call, reply, Side::Highest)
}

fn pop_or_wait(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, side: Side) -> Tried {
    let wait = Wait { timeout_ms: timeout_ms(call.arg(call.len() - 1), call.now_ms)?, null_array: true };
    let Some(key) = first(transaction, call)? else { return Ok(Attempt::Wait(wait)) };
    reply.write().array(3);
    reply.bulk(key.bytes);
    side.pop(transaction, key, 1, Shown::Flat, reply)?;
    Ok(Attempt::Done)
}

pub(super) fn bzmpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    let several = Several::parse(call, 2)?;
    let wait = Wait { timeout_ms: timeout_ms(call.arg(1), call.now_ms)?, null_array: true };
    let Some(key) = first(transaction, call)? else { return Ok(Attempt::Wait(wait)) };
    several.pop(transaction, key, reply)?;
    Ok(Attempt::Done)
}

/// The first of the keys that holds a sorted set. To who has waited, values of other types are nothing as long as there
/// is none; then, as in Redis, one that stands before it is an error.
fn first<'k>(transaction: &mut Transaction<'_>, call: &Call<'k>) -> Result<Option<&'k Key<'k>>, CommandError> {
    let mut is_zset = |key| transaction.get(key).is_some_and(|item| item.zset().is_ok());
    if call.is_retry && !call.keys.iter().any(&mut is_zset) {
        return Ok(None);
    }
    for key in call.keys {
        if zset(transaction.get(key))?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// What ZPOPMIN and ZPOPMAX log.
pub(super) fn popped_bytes(request: &Request<'_>, item: Item<'_>) -> u64 {
    let count = request.get(2).and_then(exact_integer).map_or(1, |count| usize::try_from(count).unwrap_or(0));
    let is_lowest = request.get(0).is_some_and(|name| is(name, "ZPOPMIN"));
    taken_bytes(item, |zset| if is_lowest { Side::Lowest.ranks(zset, count) } else { Side::Highest.ranks(zset, count) })
}

/// What those log that name several keys, of which any may be the one.
pub(super) fn several_popped_bytes(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    let has_count = request.iter().any(|word| is(word, "COUNT"));
    if has_count { (0..request.len()).map(present).max().unwrap_or(0) } else { 0 }
}
