//! Deadlines of fields: setting, asking, taking away. One answer for each field.

use std::collections::HashSet;

use engine::listener::Class;
use engine::value::op::{self, Op};
use engine::{Key, Transaction};
use rapidhash::fast::RandomState;

use super::super::args::{TimeUnit, is};
use super::super::error::FIELDS_TOO_FEW;
use super::super::{Call, Command, Done, Flag, Group, ReadHandler, Reply, View, WriteHandler};
use super::{deadline, fields, hash, positive_fields};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    setting(
        "HEXPIRE",
        "@key seconds:int [NX | XX | GT | LT] FIELDS numfields:int field ...",
        |transaction, call, reply| expire(transaction, call, reply, TimeUnit::SECONDS),
    )
    .doc("Lets fields go after so many seconds."),
    setting(
        "HPEXPIRE",
        "@key milliseconds:int [NX | XX | GT | LT] FIELDS numfields:int field ...",
        |transaction, call, reply| expire(transaction, call, reply, TimeUnit::MILLISECONDS),
    )
    .doc("Lets fields go after so many milliseconds."),
    setting(
        "HEXPIREAT",
        "@key unix-time-seconds:unix-time [NX | XX | GT | LT] FIELDS numfields:int field ...",
        |transaction, call, reply| expire(transaction, call, reply, TimeUnit::UNIX_SECONDS),
    )
    .doc("Lets fields go at a time, in seconds since the epoch."),
    setting(
        "HPEXPIREAT",
        "@key unix-time-milliseconds:unix-time [NX | XX | GT | LT] FIELDS numfields:int field ...",
        |transaction, call, reply| expire(transaction, call, reply, TimeUnit::UNIX_MILLISECONDS),
    )
    .doc("Lets fields go at a time, in milliseconds since the epoch."),
    setting("HPERSIST", "@key FIELDS numfields:int field ...", persist).doc("Takes the deadlines of fields away."),
    asking("HTTL", |view, call, reply| {
        let now_ms = view.now_ms();
        answer(view, call, reply, |at| seconds(at - now_ms))
    })
    .tips(&["nondeterministic_output"])
    .doc("Returns how many seconds fields have left; -1 without a deadline, -2 without the field."),
    asking("HPTTL", |view, call, reply| {
        let now_ms = view.now_ms();
        answer(view, call, reply, |at| at - now_ms)
    })
    .tips(&["nondeterministic_output"])
    .doc("Returns how many milliseconds fields have left; -1 without a deadline, -2 without the field."),
    asking("HEXPIRETIME", |view, call, reply| answer(view, call, reply, seconds))
        .doc("Returns when fields go, in seconds since the epoch; -1 without a deadline, -2 without the field."),
    asking("HPEXPIRETIME", |view, call, reply| answer(view, call, reply, |at| at))
        .doc("Returns when fields go, in milliseconds since the epoch; -1 without a deadline, -2 without the field."),
];

const fn setting(name: &'static str, usage: &'static str, handler: WriteHandler) -> Command {
    Command::write(name, usage, handler)
        .inline()
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("7.4.0")
        .cost("O(N), N being the number of fields named")
        .key_flags(&["RW update"])
}

const fn asking(name: &'static str, handler: ReadHandler) -> Command {
    Command::read(name, "@key FIELDS numfields:int field ...", handler)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("7.4.0")
        .cost("O(N), N being the number of fields named")
}

/// What is said of each field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const NOT_ALLOWED: i64 = 0;
const DONE: i64 = 1;
const GONE: i64 = 2;

/// What the present deadline must be for a new one to take its place.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    None,
    Some,
    Earlier,
    Later,
}

impl Condition {
    /// The condition that a word names.
    fn parse(word: &[u8]) -> Condition {
        let words =
            [("NX", Condition::None), ("XX", Condition::Some), ("GT", Condition::Earlier), ("LT", Condition::Later)];
        words.into_iter().find_map(|(name, condition)| is(word, name).then_some(condition)).unwrap_or(Condition::Always)
    }

    /// Whether a new deadline may take the place of the old one. No deadline is later than any.
    fn allows(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Condition::Always => true,
            Condition::None => old.is_none(),
            Condition::Some => old.is_some(),
            Condition::Earlier => old.is_some_and(|old| old < new),
            Condition::Later => old.is_none_or(|old| old > new),
        }
    }
}

/// Fields that are to be changed, in order and each once, though a command may name one twice.
#[derive(Default)]
pub(super) struct Chosen<'a> {
    pub(super) fields: Vec<&'a [u8]>,
    /// The same, when they are more than a walk is good for.
    set: HashSet<&'a [u8], RandomState>,
}

const WALKED: usize = 8;

impl<'a> Chosen<'a> {
    pub(super) fn contains(&self, field: &[u8]) -> bool {
        if self.set.is_empty() { self.fields.contains(&field) } else { self.set.contains(field) }
    }

    pub(super) fn add(&mut self, field: &'a [u8]) {
        if self.contains(field) {
            return;
        }
        self.fields.push(field);
        if !self.set.is_empty() {
            self.set.insert(field);
        } else if self.fields.len() > WALKED {
            self.set.extend(self.fields.iter().copied());
        }
    }
}

fn expire(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, unit: TimeUnit) -> Done {
    let (key, now_ms) = (&call.keys[0], transaction.now_ms());
    let hash = hash(transaction.get(key))?;
    let new = deadline::parse(call, call.arg(2), unit)?;
    let condition = Condition::parse(call.arg(3));
    let fields = match condition {
        Condition::Always => fields(call, 3, FIELDS_TOO_FEW)?,
        _ => fields(call, 4, FIELDS_TOO_FEW)?,
    };
    let is_past = deadline::is_past(new, now_ms);
    let mut chosen = Chosen::default();
    reply.write().array(fields.clone().count());
    for name in fields {
        // As if one came after the other: what was said of a field before counts.
        let old = match (hash.and_then(|hash| hash.get(name)), chosen.contains(name)) {
            (None, _) => None,
            (Some(_), true) if is_past => None,
            (Some(_), true) => Some(Some(new)),
            (Some(field), false) => Some(field.deadline),
        };
        reply.integer(match old {
            None => NO_FIELD,
            Some(old) if !condition.allows(old, new) => NOT_ALLOWED,
            Some(_) => {
                chosen.add(name);
                if is_past { GONE } else { DONE }
            }
        });
    }
    set_deadline(transaction, key, &chosen.fields, new)
}

/// Gives fields that are there a deadline, or takes them out when it is past, and tells subscribers.
pub(super) fn set_deadline(transaction: &mut Transaction<'_>, key: &Key<'_>, fields: &[&[u8]], deadline: u64) -> Done {
    if fields.is_empty() {
        return Ok(());
    }
    if deadline::is_past(deadline, transaction.now_ms()) {
        transaction.apply_and_tell(key, &Op::over(op::HASH_DELETE, fields.iter().copied()), Class::Hash, "hdel")?;
    } else {
        transaction.apply(key, &expiry(deadline, fields))?;
        transaction.notify(Class::Hash, "hexpire", key);
    }
    Ok(())
}

/// The operation that gives fields a deadline; 0 takes it away.
fn expiry(deadline: u64, fields: &[&[u8]]) -> Op {
    let mut op = Op::new(op::HASH_EXPIRE);
    op.number(deadline);
    for field in fields {
        op.element(field);
    }
    op
}

fn persist(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let hash = hash(transaction.get(key))?;
    let fields = positive_fields(call, 2)?;
    let mut chosen = Chosen::default();
    reply.write().array(fields.clone().count());
    for name in fields {
        let volatile = hash.and_then(|hash| hash.get(name)).map(|field| field.deadline.is_some());
        reply.integer(match volatile {
            None => NO_FIELD,
            Some(true) if !chosen.contains(name) => {
                chosen.add(name);
                DONE
            }
            Some(_) => NO_DEADLINE,
        });
    }
    take_deadline(transaction, key, &chosen.fields)
}

/// Takes the deadlines of fields away that have one, and tells subscribers.
pub(super) fn take_deadline(transaction: &mut Transaction<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Done {
    if !fields.is_empty() {
        transaction.apply(key, &expiry(0, fields))?;
        transaction.notify(Class::Hash, "hpersist", key);
    }
    Ok(())
}

/// The deadline of each field as `show` has it.
fn answer(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, show: impl Fn(u64) -> u64) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    let fields = positive_fields(call, 2)?;
    reply.write().array(fields.clone().count());
    for name in fields {
        let field = hash.and_then(|hash| hash.get(name));
        let deadline = field.map(|field| field.deadline.map_or(NO_DEADLINE, |deadline| show(deadline) as i64));
        reply.integer(deadline.unwrap_or(NO_FIELD));
    }
    Ok(())
}

/// Begun seconds count, other than in TTL.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}
