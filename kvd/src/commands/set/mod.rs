//! Sets: members at a key, added, removed, asked for, moved, drawn and combined.

mod combine;
mod draw;
mod operations;
mod store;

use engine::listener::Class;
use engine::value::op::{self, Op};
use engine::value::{Member, SetView};
use engine::{Key, Transaction};

use super::error::SYNTAX;
use super::keys::Names;
use super::scan::{self, Options, Scanned};
use super::{Call, Command, CommandError, Done, Flag, Group, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("SADD", "@key member ...", sadd)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Set)
        .cost("O(N), N being the number of members to be added")
        .key_flags(&["RW insert"])
        .doc("Adds members to a set and returns how many of them are new."),
    Command::write("SREM", "@key member ...", srem)
        .inline()
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::Set)
        .cost("O(N), N being the number of members to be removed")
        .key_flags(&["RW delete"])
        .doc("Removes members from a set and returns how many of them were there."),
    Command::read("SCARD", "@key", scard)
        .flags(&[Flag::Fast])
        .group(Group::Set)
        .key_flags(&["RO"])
        .doc("Returns how many members a set has."),
    Command::read("SISMEMBER", "@key member", sismember)
        .flags(&[Flag::Fast])
        .group(Group::Set)
        .key_flags(&["RO"])
        .doc("Returns whether a set has a member."),
    Command::read("SMISMEMBER", "@key member ...", smismember)
        .flags(&[Flag::Fast])
        .group(Group::Set)
        .since("6.2.0")
        .cost("O(N), N being the number of members asked for")
        .doc("Returns for each of several members whether a set has it."),
    Command::read("SMEMBERS", "@key", smembers)
        .whole()
        .group(Group::Set)
        .cost("O(N), N being the number of members")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns all members of a set."),
    Command::write("SMOVE", "@source @destination member", smove)
        .inline()
        .flags(&[Flag::Fast])
        .group(Group::Set)
        .key_flags(&["RW access delete", "RW insert"])
        .doc("Moves a member from one set to another and returns whether it was there."),
    draw::SPOP,
    draw::SRANDMEMBER,
    combine::SINTER,
    combine::SINTERCARD,
    combine::SUNION,
    combine::SDIFF,
    store::SINTERSTORE,
    store::SUNIONSTORE,
    store::SDIFFSTORE,
    Command::read("SSCAN", "@key cursor:int [MATCH pattern:pattern] [COUNT count:int]", sscan)
        .group(Group::Set)
        .since("2.8.0")
        .cost("O(COUNT) for a call, O(N) for all of them, N being the number of members")
        .tips(&["nondeterministic_output"])
        .doc("Returns some members and a cursor to go on with; every member that stays is returned at least once."),
];

/// The set at a key, if there is one.
fn set_at<'v>(view: &'v mut View<'_, '_>, key: &Key<'_>) -> Result<Option<SetView<'v>>, CommandError> {
    Ok(view.get(key).map(|item| item.set()).transpose()?)
}

/// The operation on all members that the request names from an argument on.
fn on_members(code: u8, call: &Call<'_>, from: usize) -> Op {
    Op::over(code, call.request.iter().skip(from))
}

fn sadd(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let applied = transaction.apply_and_tell(key, &on_members(op::SET_ADD, call, 2), Class::Set, "sadd")?;
    reply.integer(applied.added as i64);
    Ok(())
}

fn srem(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let applied = transaction.apply_and_tell(key, &on_members(op::SET_REMOVE, call, 2), Class::Set, "srem")?;
    reply.integer(applied.changed as i64);
    Ok(())
}

fn scard(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let set = set_at(view, &call.keys[0])?;
    reply.integer(set.map_or(0, |set| set.len()) as i64);
    Ok(())
}

fn sismember(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let set = set_at(view, &call.keys[0])?;
    reply.integer(i64::from(set.is_some_and(|set| set.contains(call.arg(2)))));
    Ok(())
}

fn smismember(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let set = set_at(view, &call.keys[0])?;
    reply.write().array(call.len() - 2);
    for member in call.request.iter().skip(2) {
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn smembers(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let set = set_at(view, &call.keys[0])?;
    reply.write().set(set.map_or(0, |set| set.len()));
    for member in set.iter().flat_map(SetView::iter) {
        write(reply, member);
    }
    Ok(())
}

fn smove(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let [source, destination] = call.keys else { return Err(SYNTAX) };
    let present = match transaction.get(source) {
        Some(item) => item.set()?.contains(call.arg(3)),
        None => {
            reply.integer(0);
            return Ok(());
        }
    };
    transaction.get(destination).map(|item| item.set()).transpose()?;
    if present && source.bytes != destination.bytes {
        let (remove, add) = (on_members(op::SET_REMOVE, call, 3), on_members(op::SET_ADD, call, 3));
        transaction.apply_and_tell(source, &remove, Class::Set, "srem")?;
        transaction.apply_and_tell(destination, &add, Class::Set, "sadd")?;
    }
    reply.integer(i64::from(present));
    Ok(())
}

fn sscan(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let cursor = scan::parse_cursor(call.arg(2))?;
    let (mut found, mut next) = (Names::default(), 0);
    // As in Redis, nobody looks at the options when there is nothing to scan.
    if let Some(set) = set_at(view, &call.keys[0])? {
        let options = Options::parse(call, 2, Scanned::Members)?;
        next = set.scan(cursor, options.count, |member| {
            member.with(|bytes| {
                if options.matches(bytes) {
                    found.push(bytes);
                }
            });
        });
    }
    scan::answer(reply, next, found);
    Ok(())
}

/// A member, which is always a string for clients.
fn write(reply: &mut Reply<'_>, member: Member<'_>) {
    match member {
        Member::Bytes(bytes) => reply.bulk(bytes),
        Member::Integer(integer) => reply.write().integer_bulk(integer),
    }
}
