//! Changing hashes: fields set, counted up, and taken out.

use engine::listener::Class;
use engine::value::op::{self, Op};
use engine::{Key, Transaction};

use super::super::args::integer;
use super::super::error::{HASH_NOT_FLOAT, HASH_NOT_INTEGER, INFINITE_INCREMENT, NAN_OR_INFINITY, NOT_FLOAT, OVERFLOW};
use super::super::long_double::LongDouble;
use super::super::{Call, Command, CommandError, Done, Flag, Group, Reply};
use super::{check_pairs, hash};

/// The rows of this family. Arguments are parts of a value.
pub const COMMANDS: &[Command] = &[
    Command::write("HSET", "@key {field value} ...", hset)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields set")
        .key_flags(&["RW update"])
        .doc("Sets fields and returns how many of them are new."),
    Command::write("HMSET", "@key {field value} ...", hmset)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields set")
        .key_flags(&["RW update"])
        .doc("Sets fields: the old form of HSET."),
    Command::write("HSETNX", "@key field value", hsetnx)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .key_flags(&["RW insert"])
        .doc("Sets a field that does not exist."),
    Command::write("HDEL", "@key field ...", hdel)
        .inline()
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields to be removed")
        .key_flags(&["RW delete"])
        .doc("Removes fields and returns how many there were."),
    Command::write("HINCRBY", "@key field increment:int", hincrby)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .doc("Adds to the integer in a field, which is 0 when the field does not exist."),
    Command::write("HINCRBYFLOAT", "@key field increment:double", hincrbyfloat)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hash)
        .since("2.6.0")
        .doc("Adds to the floating-point number in a field, which is 0 when the field does not exist."),
];

fn hset(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let added = set_pairs(transaction, call)?;
    reply.integer(added as i64);
    Ok(())
}

fn hmset(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_pairs(transaction, call)?;
    reply.ok();
    Ok(())
}

/// How many fields are new.
fn set_pairs(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<u64, CommandError> {
    if call.len() % 2 == 1 {
        return Err(CommandError::arity(&call.entry.full_name));
    }
    let key = &call.keys[0];
    check_pairs(call, 2)?;
    let applied = transaction.apply(key, &Op::over(op::HASH_SET, call.request.iter().skip(2)))?;
    transaction.notify(Class::Hash, "hset", key);
    Ok(applied.added)
}

fn hsetnx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let absent = hash(transaction.get(key))?.is_none_or(|hash| hash.get(call.arg(2)).is_none());
    if absent {
        check_pairs(call, 2)?;
        transaction.apply(key, &Op::over(op::HASH_SET, call.request.iter().skip(2)))?;
        transaction.notify(Class::Hash, "hset", key);
    }
    reply.integer(i64::from(absent));
    Ok(())
}

fn hdel(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let op = Op::over(op::HASH_DELETE, call.request.iter().skip(2));
    let applied = transaction.apply_and_tell(key, &op, Class::Hash, "hdel")?;
    reply.integer(applied.changed as i64);
    Ok(())
}

fn hincrby(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let by = integer(call.arg(3))?;
    let key = &call.keys[0];
    let old = hash(transaction.get(key))?.and_then(|hash| hash.get(call.arg(2)));
    let number = old.map_or(Ok(0), |field| integer(field.value)).map_err(|_| HASH_NOT_INTEGER)?;
    let new = number.checked_add(by).ok_or(OVERFLOW)?;
    let is_present = old.is_some();
    store_number(transaction, key, call.arg(2), itoa::Buffer::new().format(new), is_present)?;
    transaction.notify(Class::Hash, "hincrby", key);
    reply.integer(new);
    Ok(())
}

fn hincrbyfloat(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let by = LongDouble::parse(call.arg(3)).ok_or(NOT_FLOAT)?;
    if by.is_infinite() {
        return Err(INFINITE_INCREMENT);
    }
    let key = &call.keys[0];
    let old = hash(transaction.get(key))?.and_then(|hash| hash.get(call.arg(2)));
    let number = old.map_or(Some(LongDouble::ZERO), |field| LongDouble::parse(field.value)).ok_or(HASH_NOT_FLOAT)?;
    let text = number.add(by).to_text().ok_or(NAN_OR_INFINITY)?;
    let is_present = old.is_some();
    store_number(transaction, key, call.arg(2), &text, is_present)?;
    transaction.notify(Class::Hash, "hincrbyfloat", key);
    reply.bulk(text.as_bytes());
    Ok(())
}

/// Sets a field to what it has been counted to. One that was there keeps its deadline.
fn store_number(transaction: &mut Transaction<'_>, key: &Key<'_>, field: &[u8], text: &str, is_present: bool) -> Done {
    // A new field must not get the deadline of an expired one that the log had no room to remove.
    let code = if is_present { op::HASH_SET_KEEP } else { op::HASH_SET };
    transaction.apply(key, &Op::over(code, [field, text.as_bytes()]))?;
    Ok(())
}
