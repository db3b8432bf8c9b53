//! LPOP, RPOP, LMPOP.

use engine::listener::Class;
use engine::mutant::planted;
use engine::value::op::Op;
use engine::{Key, Transaction};

use super::super::args::{integer, is};
use super::super::error::{COUNT_RANGE, NOT_POSITIVE, NUMBER_OF_KEYS, SYNTAX};
use super::super::{Call, CommandError, Done, Reply};
use super::End;

pub(super) fn lpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    pop(transaction, call, reply, End::Left)
}

pub(super) fn rpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    pop(transaction, call, reply, End::Right)
}

#[inline]
fn pop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, end: End) -> Done {
    let count = match call.len() {
        2 => None,
        3 => Some(at_least(call.arg(2), 0, NOT_POSITIVE)?),
        _ => return Err(CommandError::arity(&call.entry.full_name)),
    };
    let key = &call.keys[0];
    let list = transaction.get(key).map(|item| item.list()).transpose()?;
    match (list, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.write().null_array(),
        (Some(list), None) => {
            reply.bulk(end.element(&list));
            take(transaction, key, 1, end)?;
        }
        (Some(list), Some(count)) => {
            let there = count.min(list.len());
            end.answer(&list, if planted("command_words_pop_promises_too_much") { count } else { there }, reply);
            take(transaction, key, there, end)?;
        }
    }
    Ok(())
}

/// Takes elements off an end; that many are there.
#[inline]
pub(super) fn take(transaction: &mut Transaction<'_>, key: &Key<'_>, count: usize, end: End) -> Done {
    if count > 0 {
        let (code, event) = end.pop();
        transaction.apply_and_tell(key, Op::new(code).number(count as u64), Class::List, event)?;
    }
    Ok(())
}

/// The first of the keys that holds a list. A value of another type before it is an error.
pub(super) fn first_list<'k>(
    transaction: &mut Transaction<'_>,
    keys: &'k [Key<'k>],
) -> Result<Option<&'k Key<'k>>, CommandError> {
    for key in keys {
        if let Some(item) = transaction.get(key) {
            item.list()?;
            return Ok(Some(key));
        }
    }
    Ok(None)
}

pub(super) fn lmpop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let several = Several::parse(call, 1)?;
    match first_list(transaction, call.keys)? {
        Some(key) => several.pop(transaction, key, reply),
        None => {
            reply.write().null_array();
            Ok(())
        }
    }
}

/// How many elements LMPOP and BLMPOP take, and where.
pub(super) struct Several {
    end: End,
    count: usize,
}

impl Several {
    /// Reads the arguments from the number of keys on.
    pub(super) fn parse(call: &Call<'_>, numkeys_at: usize) -> Result<Several, CommandError> {
        let numkeys = at_least(call.arg(numkeys_at), 1, NUMBER_OF_KEYS)?;
        let mut at = numkeys.saturating_add(numkeys_at + 1);
        if at >= call.len() {
            return Err(SYNTAX);
        }
        let end = End::parse(call.arg(at))?;
        let mut count = None;
        at += 1;
        while at < call.len() {
            if count.is_some() || !is(call.arg(at), "COUNT") || at + 1 == call.len() {
                return Err(SYNTAX);
            }
            count = Some(at_least(call.arg(at + 1), 1, COUNT_RANGE)?);
            at += 2;
        }
        Ok(Several { end, count: count.unwrap_or(1) })
    }

    /// Answers the key and its elements, and takes them off.
    pub(super) fn pop(&self, transaction: &mut Transaction<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Done {
        let Some(item) = transaction.get(key) else { return Ok(()) };
        let list = item.list()?;
        let count = self.count.min(list.len());
        reply.write().array(2);
        reply.bulk(key.bytes);
        self.end.answer(&list, count, reply);
        take(transaction, key, count, self.end)
    }
}

/// A count that may not be less than this.
pub(super) fn at_least(argument: &[u8], least: i64, error: CommandError) -> Result<usize, CommandError> {
    match integer(argument) {
        Ok(count) if count >= least => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(error),
    }
}
