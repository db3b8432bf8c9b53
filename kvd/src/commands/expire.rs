//! Deadlines of keys: setting, asking, taking away.

use engine::Transaction;
use engine::listener::Class;

use super::args::{TimeUnit, integer, is};
use super::error::{EXPIRE_GT_LT, EXPIRE_NX};
use super::keys::delete;
use super::{Call, Command, CommandError, Done, Flag, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("EXPIRE", "@key seconds:int [NX | XX | GT | LT]", expire)
        .flags(&[Flag::Fast])
        .key_flags(&["RW update"])
        .doc("Lets a key go after so many seconds."),
    Command::write("PEXPIRE", "@key milliseconds:int [NX | XX | GT | LT]", pexpire)
        .flags(&[Flag::Fast])
        .since("2.6.0")
        .key_flags(&["RW update"])
        .doc("Lets a key go after so many milliseconds."),
    Command::write("EXPIREAT", "@key unix-time-seconds:unix-time [NX | XX | GT | LT]", expireat)
        .flags(&[Flag::Fast])
        .since("1.2.0")
        .key_flags(&["RW update"])
        .doc("Lets a key go at a time, in seconds since the epoch."),
    Command::write("PEXPIREAT", "@key unix-time-milliseconds:unix-time [NX | XX | GT | LT]", pexpireat)
        .flags(&[Flag::Fast])
        .since("2.6.0")
        .key_flags(&["RW update"])
        .doc("Lets a key go at a time, in milliseconds since the epoch."),
    Command::write("PERSIST", "@key", persist)
        .flags(&[Flag::Fast])
        .since("2.2.0")
        .key_flags(&["RW update"])
        .doc("Takes a key's deadline away."),
    Command::read("TTL", "@key", ttl)
        .flags(&[Flag::Fast, Flag::NoUse])
        .tips(&["nondeterministic_output"])
        .doc("Returns how many seconds a key has left; -1 without a deadline, -2 without the key."),
    Command::read("PTTL", "@key", pttl)
        .flags(&[Flag::Fast, Flag::NoUse])
        .since("2.6.0")
        .tips(&["nondeterministic_output"])
        .doc("Returns how many milliseconds a key has left; -1 without a deadline, -2 without the key."),
    Command::read("EXPIRETIME", "@key", expiretime)
        .flags(&[Flag::Fast, Flag::NoUse])
        .since("7.0.0")
        .doc("Returns when a key goes, in seconds since the epoch; -1 without a deadline, -2 without the key."),
    Command::read("PEXPIRETIME", "@key", pexpiretime)
        .flags(&[Flag::Fast, Flag::NoUse])
        .since("7.0.0")
        .doc("Returns when a key goes, in milliseconds since the epoch; -1 without a deadline, -2 without the key."),
];

/// What the present deadline must be for a new one to take its place.
#[derive(Default)]
struct Conditions {
    none: bool,
    some: bool,
    earlier: bool,
    later: bool,
}

impl Conditions {
    fn parse(call: &Call<'_>) -> Result<Conditions, CommandError> {
        let mut conditions = Conditions::default();
        for index in 3..call.len() {
            let word = call.arg(index);
            let condition = [
                ("NX", &mut conditions.none),
                ("XX", &mut conditions.some),
                ("GT", &mut conditions.earlier),
                ("LT", &mut conditions.later),
            ]
            .into_iter()
            .find_map(|(name, condition)| is(word, name).then_some(condition));
            *condition.ok_or_else(|| CommandError::unsupported_option(word))? = true;
        }
        if conditions.none && (conditions.some || conditions.earlier || conditions.later) {
            return Err(EXPIRE_NX);
        }
        if conditions.earlier && conditions.later {
            return Err(EXPIRE_GT_LT);
        }
        Ok(conditions)
    }

    /// Whether a new deadline may take the place of the old one. No deadline is later than any.
    fn allow(&self, old: Option<u64>, new: i64) -> bool {
        let old = old.map(|deadline| i64::try_from(deadline).unwrap_or(i64::MAX));
        !(self.none && old.is_some()
            || self.some && old.is_none()
            || self.earlier && old.is_none_or(|old| new <= old)
            || self.later && old.is_some_and(|old| new >= old))
    }
}

fn expire(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(transaction, call, reply, TimeUnit::SECONDS)
}

fn pexpire(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(transaction, call, reply, TimeUnit::MILLISECONDS)
}

fn expireat(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(transaction, call, reply, TimeUnit::UNIX_SECONDS)
}

fn pexpireat(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(transaction, call, reply, TimeUnit::UNIX_MILLISECONDS)
}

fn set_deadline(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, unit: TimeUnit) -> Done {
    let conditions = Conditions::parse(call)?;
    let now_ms = transaction.now_ms();
    let deadline = unit
        .deadline(integer(call.arg(2))?, now_ms)
        .ok_or_else(|| CommandError::invalid_expire(&call.entry.full_name))?;
    let key = &call.keys[0];
    let allowed = transaction.get(key).is_some_and(|item| conditions.allow(item.deadline(), deadline));
    if allowed {
        match u64::try_from(deadline) {
            Ok(deadline) if deadline > now_ms => {
                transaction.set_deadline(key, Some(deadline));
                transaction.notify(Class::Generic, "expire", key);
            }
            _ => {
                delete(transaction, key);
            }
        }
    }
    reply.integer(i64::from(allowed));
    Ok(())
}

fn persist(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let volatile = transaction.get(key).is_some_and(|item| item.deadline().is_some());
    if volatile {
        transaction.set_deadline(key, None);
        transaction.notify(Class::Generic, "persist", key);
    }
    reply.integer(i64::from(volatile));
    Ok(())
}

fn ttl(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let now_ms = view.now_ms();
    answer(view, call, reply, |deadline| seconds(deadline.saturating_sub(now_ms)))
}

fn pttl(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let now_ms = view.now_ms();
    answer(view, call, reply, |deadline| deadline.saturating_sub(now_ms))
}

fn expiretime(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    answer(view, call, reply, seconds)
}

fn pexpiretime(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    answer(view, call, reply, |deadline| deadline)
}

/// The deadline as `show` has it, -1 without a deadline, -2 without the key.
fn answer(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, show: impl Fn(u64) -> u64) -> Done {
    let value = match view.get(&call.keys[0]) {
        None => -2,
        Some(item) => item.deadline().map_or(-1, |deadline| show(deadline) as i64),
    };
    reply.integer(value);
    Ok(())
}

/// To the nearest second.
fn seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}
