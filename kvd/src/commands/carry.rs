//! Values that get another name or another database: RENAME, COPY, MOVE, and SWAPDB for all of them.

use engine::listener::Class;
use engine::mutant::planted;
use engine::{DATABASES, Need, Refusal, Transaction};

use super::args::{int, is};
use super::error::{DATABASE_RANGE, FIRST_DATABASE, NO_SUCH_KEY, SAME_KEY, SECOND_DATABASE, SYNTAX};
use super::keys::delete;
use super::{After, Call, Command, CommandError, Context, Done, Flag, Group, Reply};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("RENAME", "@key @newkey", rename)
        .key_flags(&["RW access delete", "OW update"])
        .relogs()
        .doc("Gives a key another name; what had that name before is gone."),
    Command::write("RENAMENX", "@key @newkey", renamenx)
        .flags(&[Flag::Fast])
        .key_flags(&["RW access delete", "OW insert"])
        .relogs()
        .doc("Gives a key another name that no key has."),
    Command::write("COPY", "@source @destination [DB destination-db:int] [REPLACE]", copy)
        .whole()
        .flags(&[Flag::DenyOom])
        .since("6.2.0")
        .cost("O(N) worst case for collections, N being the number of elements; O(1) for strings")
        .key_flags(&["RO access", "OW update"])
        .growth(|_, present| present(0))
        .doc("Gives the value of a key to another key too."),
    Command::write("MOVE", "@key db:int", move_key)
        .flags(&[Flag::Fast])
        .key_flags(&["RW access update"])
        .relogs()
        .doc("Moves a key to another database, unless that has such a key."),
    Command::server("SWAPDB", "index1:int index2:int", swapdb)
        .flags(&[Flag::Fast, Flag::Writes, Flag::Dangerous])
        .group(Group::Server)
        .since("4.0.0")
        .doc("Exchanges two databases: all clients see the other's keys at once."),
];

fn rename(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let [from, to] = call.keys else { return Err(SYNTAX) };
    if transaction.get(from).is_none() {
        return Err(NO_SUCH_KEY);
    }
    if from.bytes != to.bytes {
        carry_name(transaction, call);
    }
    reply.ok();
    Ok(())
}

fn renamenx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let [from, to] = call.keys else { return Err(SYNTAX) };
    if transaction.get(from).is_none() {
        return Err(NO_SUCH_KEY);
    }
    // A key's own name is taken too.
    let free = transaction.get(to).is_none();
    if free {
        carry_name(transaction, call);
    }
    reply.integer(i64::from(free));
    Ok(())
}

fn carry_name(transaction: &mut Transaction<'_>, call: &Call<'_>) {
    let [from, to] = call.keys else { return };
    transaction.rename(from, to);
    transaction.notify(Class::Generic, "rename_from", from);
    transaction.notify(Class::Generic, "rename_to", to);
}

fn copy(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let [from, to] = call.keys else { return Err(SYNTAX) };
    let here = transaction.database();
    let (mut database, mut replaces) = (here, false);
    let mut at = 3;
    while at < call.len() {
        if is(call.arg(at), "REPLACE") {
            replaces = true;
        } else if is(call.arg(at), "DB") && at + 1 < call.len() {
            at += 1;
            database = database_number(call, int(call.arg(at))?)?;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    if database == here && from.bytes == to.bytes {
        return Err(SAME_KEY);
    }
    if transaction.get(from).is_none() {
        reply.integer(0);
        return Ok(());
    }
    transaction.select(database);
    let free = if replaces {
        delete(transaction, to);
        true
    } else {
        transaction.get(to).is_none()
    };
    transaction.select(here);
    if free {
        transaction.copy(from, to, database);
        transaction.select(database);
        if planted("command_list_copy_forgets_deadline") {
            transaction.set_deadline(to, None);
        }
        transaction.notify(Class::Generic, "copy_to", to);
        transaction.select(here);
    }
    reply.integer(i64::from(free));
    Ok(())
}

fn move_key(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let here = transaction.database();
    let database = database_number(call, int(call.arg(2))?)?;
    if database == here {
        return Err(SAME_KEY);
    }
    let is_there = transaction.get(key).is_some();
    transaction.select(database);
    let free = transaction.get(key).is_none();
    transaction.select(here);
    if is_there && free {
        transaction.rename_into(key, key, database);
        transaction.notify(Class::Generic, "move_from", key);
        transaction.select(database);
        transaction.notify(Class::Generic, "move_to", key);
        transaction.select(here);
    }
    reply.integer(i64::from(is_there && free));
    Ok(())
}

fn database_number(call: &Call<'_>, number: i32) -> Result<u8, CommandError> {
    u8::try_from(number).ok().filter(|number| u64::from(*number) < call.databases).ok_or(DATABASE_RANGE)
}

fn swapdb(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let first = int(call.arg(1)).map_err(|_| FIRST_DATABASE)?;
    let second = int(call.arg(2)).map_err(|_| SECOND_DATABASE)?;
    let (first, second) = (database_number(call, first)?, database_number(call, second)?);
    reply.ok();
    if let Some(transaction) = &mut context.held {
        transaction.swap_databases(first, second);
        return Ok(After::Reply);
    }
    let store = &context.server.store;
    match store.admit(Need::Shrink, SWAP_BYTES) {
        Err(Refusal::Stalled) => return Ok(After::Again),
        admitted => admitted?,
    }
    let mut transaction = store.begin_all(first, call.now_ms);
    transaction.swap_databases(first, second);
    Ok(After::Gate(transaction.commit()))
}

/// Bytes of log that an exchange takes, at most.
const SWAP_BYTES: u64 = 64 + DATABASES as u64;
