//! LPUSH, RPUSH and their brothers for lists that exist.

use engine::Transaction;
use engine::listener::Class;
use engine::value::op::Op;

use super::super::{Call, Done, Reply};
use super::End;

pub(super) fn lpush(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    push(transaction, call, reply, End::Left, false)
}

pub(super) fn rpush(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    push(transaction, call, reply, End::Right, false)
}

pub(super) fn lpushx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    push(transaction, call, reply, End::Left, true)
}

pub(super) fn rpushx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    push(transaction, call, reply, End::Right, true)
}

#[inline]
fn push(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, end: End, must_exist: bool) -> Done {
    let key = &call.keys[0];
    if must_exist && transaction.get(key).is_none() {
        reply.integer(0);
        return Ok(());
    }
    let (code, event) = end.push();
    let op = Op::over(code, call.request.iter().skip(2));
    let applied = transaction.apply_and_tell(key, &op, Class::List, event)?;
    reply.integer(applied.len as i64);
    Ok(())
}
