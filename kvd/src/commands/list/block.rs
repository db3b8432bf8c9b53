//! BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: the same as without the B, and when there is nothing they wait.

use engine::{Key, Transaction};

use super::super::args::timeout_ms;
use super::super::{Attempt, Call, CommandError, Reply, Wait};
use super::End;
use super::moves::{Move, keys};
use super::pop::{Several, first_list, take};

type Tried = Result<Attempt, CommandError>;

pub(super) fn blpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    pop(transaction, call, reply, End::Left)
}

pub(super) fn brpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    pop(transaction, call, reply, End::Right)
}

fn pop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, end: End) -> Tried {
    let wait = Wait { timeout_ms: timeout_ms(call.arg(call.len() - 1), call.now_ms)?, null_array: true };
    let Some(key) = ready(transaction, call, call.keys)? else { return Ok(Attempt::Wait(wait)) };
    let Some(item) = transaction.get(key) else { return Ok(Attempt::Wait(wait)) };
    reply.write().array(2);
    reply.bulk(key.bytes);
    reply.bulk(end.element(&item.list()?));
    take(transaction, key, 1, end)?;
    Ok(Attempt::Done)
}

pub(super) fn blmpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    let several = Several::parse(call, 2)?;
    let wait = Wait { timeout_ms: timeout_ms(call.arg(1), call.now_ms)?, null_array: true };
    let Some(key) = ready(transaction, call, call.keys)? else { return Ok(Attempt::Wait(wait)) };
    several.pop(transaction, key, reply)?;
    Ok(Attempt::Done)
}

pub(super) fn blmove(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    move_one(transaction, call, reply, Move::parse(call)?)
}

pub(super) fn brpoplpush(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Tried {
    move_one(transaction, call, reply, Move::ROUND)
}

fn move_one(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, by: Move) -> Tried {
    let wait = Wait { timeout_ms: timeout_ms(call.arg(call.len() - 1), call.now_ms)?, null_array: false };
    let [source, destination] = keys(call)?;
    let there = ready(transaction, call, std::slice::from_ref(source))?;
    match there.is_some() && by.carry_out(transaction, [source, destination], reply)? {
        true => Ok(Attempt::Done),
        false => Ok(Attempt::Wait(wait)),
    }
}

/// The first of the keys that holds a list. To who has waited, values of other types are nothing as long as there is no
/// list; then, as in Redis, one that stands before it is an error.
fn ready<'k>(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    keys: &'k [Key<'k>],
) -> Result<Option<&'k Key<'k>>, CommandError> {
    let mut is_list = |key| transaction.get(key).is_some_and(|item| item.list().is_ok());
    if call.is_retry && !keys.iter().any(&mut is_list) {
        return Ok(None);
    }
    first_list(transaction, keys)
}
