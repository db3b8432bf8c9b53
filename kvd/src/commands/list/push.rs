//! LPUSH, RPUSH and their brothers for lists that exist.

use engine::listener::Class;
use engine::value::op::Op;
use engine::{Key, Transaction};

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
    let present = transaction.get(key).map(|item| item.list()).transpose()?.map(|list| list.len());
    if must_exist && present.is_none() {
        reply.integer(0);
        return Ok(());
    }
    push_all(transaction, key, call.request.iter().skip(2), end);
    reply.integer((present.unwrap_or(0) + call.len() - 2) as i64);
    Ok(())
}

/// Adds elements at an end, in as many operations as it takes for each to fit in a frame.
#[inline]
fn push_all<'a>(transaction: &mut Transaction<'_>, key: &Key<'_>, elements: impl Iterator<Item = &'a [u8]>, end: End) {
    let (code, event) = end.push();
    Op::lend(code, |op| {
        for element in elements {
            if !op.is_empty() && op.bytes().len() + element.len() > OPERATION_BYTES {
                transaction.apply(key, op);
                op.clear();
            }
            op.element(element);
        }
        transaction.apply_and_tell(key, op, Class::List, event);
    });
}

/// What an operation has at most, or one element.
const OPERATION_BYTES: usize = 4 << 20;
