//! Strings that are numbers: counted up and down in place, their deadline kept.

use engine::listener::Class;
use engine::{Transaction, Value};

use super::args::integer;
use super::error::{DECREMENT_OVERFLOW, NAN_OR_INFINITY, NOT_FLOAT, OVERFLOW};
use super::long_double::LongDouble;
use super::{Call, Command, Done, Flag, Group, Reply};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("INCR", "@key", incr)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .doc("Adds one to the integer at a key, which is 0 when the key does not exist."),
    Command::write("DECR", "@key", decr)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .doc("Takes one from the integer at a key, which is 0 when the key does not exist."),
    Command::write("INCRBY", "@key increment:int", incrby)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .doc("Adds to the integer at a key, which is 0 when the key does not exist."),
    Command::write("DECRBY", "@key decrement:int", decrby)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .doc("Takes from the integer at a key, which is 0 when the key does not exist."),
    Command::write("INCRBYFLOAT", "@key increment:double", incrbyfloat)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .since("2.6.0")
        .doc("Adds to the floating-point number at a key, which is 0 when the key does not exist."),
];

fn incr(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    add(transaction, call, reply, 1)
}

fn decr(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    add(transaction, call, reply, -1)
}

fn incrby(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    add(transaction, call, reply, integer(call.arg(2))?)
}

fn decrby(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let by = integer(call.arg(2))?.checked_neg().ok_or(DECREMENT_OVERFLOW)?;
    add(transaction, call, reply, by)
}

fn add(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, by: i64) -> Done {
    let key = &call.keys[0];
    let (old, deadline) = match transaction.get(key) {
        Some(item) => (integer(item.string()?)?, item.deadline()),
        None => (0, None),
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    transaction.set(key, Value::Copy(itoa::Buffer::new().format(new).as_bytes()), deadline);
    transaction.notify(Class::String, "incrby", key);
    reply.integer(new);
    Ok(())
}

fn incrbyfloat(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let (old, deadline) = match transaction.get(key) {
        Some(item) => (LongDouble::parse(item.string()?).ok_or(NOT_FLOAT)?, item.deadline()),
        None => (LongDouble::ZERO, None),
    };
    let by = LongDouble::parse(call.arg(2)).ok_or(NOT_FLOAT)?;
    let text = old.add(by).to_text().ok_or(NAN_OR_INFINITY)?;
    transaction.set(key, Value::Copy(text.as_bytes()), deadline);
    transaction.notify(Class::String, "incrbyfloat", key);
    reply.bulk(text.as_bytes());
    Ok(())
}
