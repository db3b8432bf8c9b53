//! Keys whatever they hold: removing and counting them, and emptying whole databases.

use std::ops::Range;

use engine::listener::Class;
use engine::{Collection, DATABASES, Item, Key, Need, Refusal, Transaction, value};

use super::args::is;
use super::error::SYNTAX;
use super::{After, Call, Command, CommandError, Context, Done, Flag, Group, Reply, View};
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("DEL", "@key ...", del)
        .flags(&[Flag::Shrinks])
        .cost("O(N), N being the number of keys")
        .key_flags(&["RM delete"])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc("Removes keys and returns how many there were."),
    Command::write("UNLINK", "@key ...", del)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .since("4.0.0")
        .cost("O(N), N being the number of keys; their memory is freed behind the scenes")
        .key_flags(&["RM delete"])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc("Removes keys and returns how many there were."),
    Command::read("EXISTS", "@key ...", count_present)
        .flags(&[Flag::Fast, Flag::NoUse])
        .cost("O(N), N being the number of keys")
        .key_flags(&["RO"])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc("Returns how many of the keys exist; a key named twice counts twice."),
    Command::read("TOUCH", "@key ...", count_present)
        .flags(&[Flag::Fast])
        .since("3.2.1")
        .cost("O(N), N being the number of keys")
        .key_flags(&["RO"])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc("Counts as a use of the keys and returns how many of them exist."),
    Command::read("TYPE", "@key", type_of)
        .flags(&[Flag::Fast, Flag::NoUse])
        .key_flags(&["RO"])
        .doc("Returns the type of the value at a key."),
    Command::server("RANDOMKEY", "", randomkey)
        .flags(&[Flag::Reads])
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"])
        .doc("Returns the name of some key."),
    Command::server("DBSIZE", "", dbsize)
        .flags(&[Flag::Fast, Flag::Reads])
        .group(Group::Server)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .doc("Returns the number of keys in the database."),
    Command::server("FLUSHDB", "[ASYNC | SYNC]", flushdb)
        .flags(&[Flag::Shrinks, Flag::Writes, Flag::Dangerous])
        .group(Group::Server)
        .cost("O(N), N being the number of keys in the database; their memory is freed behind the scenes")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Removes all keys of the database."),
    Command::server("FLUSHALL", "[ASYNC | SYNC]", flushall)
        .flags(&[Flag::Shrinks, Flag::Writes, Flag::Dangerous])
        .group(Group::Server)
        .cost("O(N), N being the number of keys; their memory is freed behind the scenes")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Removes all keys of all databases."),
];

fn del(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let removed = call.keys.iter().filter(|key| delete(transaction, key)).count();
    reply.integer(removed as i64);
    Ok(())
}

/// Removes a key and tells subscribers. Whether it was there.
pub(super) fn delete(transaction: &mut Transaction<'_>, key: &Key<'_>) -> bool {
    let removed = transaction.remove(key);
    if removed {
        transaction.notify(Class::Generic, "del", key);
    }
    removed
}

/// Puts a whole collection at a key, whatever that held, tells subscribers and answers its length. One without elements
/// leaves no key.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
    collection: Collection,
    (class, event): (Class, &'static str),
    reply: &mut Reply<'_>,
) {
    reply.integer(collection.len() as i64);
    if collection.is_empty() {
        delete(transaction, key);
    } else {
        transaction.set_collection(key, collection, None);
        transaction.notify(class, event, key);
    }
}

fn count_present(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let present = call.keys.iter().filter(|key| view.get(key).is_some()).count();
    reply.integer(present as i64);
    Ok(())
}

fn type_of(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    reply.write().simple(view.get(&call.keys[0]).map_or("none", type_name));
    Ok(())
}

/// The name of a value's type.
pub(super) fn type_name(item: Item<'_>) -> &'static str {
    match item.value_type() {
        value::LIST => "list",
        value::HASH => "hash",
        value::SET => "set",
        value::ZSET => "zset",
        _ => "string",
    }
}

fn randomkey(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let session = &mut *context.session;
    let held = context.held.as_deref_mut();
    match context.server.store.random_key(held, session.database, &mut session.random) {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(After::Gate(whole_store_gate(context.server)))
}

/// Names of keys that were found under a lock, to be sent after it.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Names {
    /// Takes one more.
    pub(super) fn push(&mut self, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.ranges.push(start..self.bytes.len());
    }

    /// An array of them all.
    pub(super) fn write(self, reply: &mut Reply<'_>) {
        reply.write().array(self.ranges.len());
        for range in self.ranges {
            reply.bulk(&self.bytes[range]);
        }
    }
}

fn dbsize(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.integer(context.server.store.key_count(context.session.database) as i64);
    Ok(After::Gate(whole_store_gate(context.server)))
}

fn flushdb(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    flush(context, call, reply, &[context.session.database])
}

fn flushall(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let all: [u8; DATABASES] = std::array::from_fn(|database| database as u8);
    flush(context, call, reply, &all)
}

/// ASYNC and SYNC make no difference: the keys are gone at once, their memory a little later.
fn flush(
    context: &mut Context<'_, '_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    databases: &[u8],
) -> Result<After, CommandError> {
    let known = call.len() == 1 || call.len() == 2 && (is(call.arg(1), "ASYNC") || is(call.arg(1), "SYNC"));
    if !known {
        return Err(SYNTAX);
    }
    if let Some(transaction) = &mut context.held {
        transaction.flush(databases);
        reply.ok();
        return Ok(After::Reply);
    }
    match context.server.store.admit(Need::Shrink, FLUSH_BYTES * databases.len() as u64) {
        Err(Refusal::Stalled) => return Ok(After::Again),
        admitted => admitted?,
    }
    let lsn = context.server.store.flush(databases);
    reply.ok();
    Ok(After::Gate(lsn))
}

/// Bytes of log that emptying one database takes, at most.
const FLUSH_BYTES: u64 = 64;
