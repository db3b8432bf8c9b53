//! Redis 8's HGETEX, HSETEX and HGETDEL: fields read or set together with their deadlines.

use engine::Transaction;
use engine::listener::Class;
use engine::value::HashView;
use engine::value::op::{self, Op};
use resp::exact_integer;

use super::super::args::{TimeUnit, is};
use super::super::error::{ONE_FIELD_CONDITION, ONE_FIELD_TIME, SET_FIELD_COUNT};
use super::super::{Call, Command, CommandError, Done, Flag, Group, Reply};
use super::volatile::{Chosen, set_deadline, take_deadline};
use super::{check_pairs, deadline, hash, positive_fields, tell_removal};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write(
        "HGETEX",
        "@key [EX seconds:int | PX milliseconds:int | EXAT unix-time-seconds:unix-time | \
         PXAT unix-time-milliseconds:unix-time | PERSIST] FIELDS numfields:int field ...",
        hgetex,
    )
    .inline()
    .flags(&[Flag::Fast])
    .group(Group::Hash)
    .since("8.0.0")
    .cost("O(N), N being the number of fields named")
    .doc("Returns the values of fields and sets or removes their deadlines."),
    Command::write(
        "HSETEX",
        "@key [FNX | FXX] [EX seconds:int | PX milliseconds:int | EXAT unix-time-seconds:unix-time | \
         PXAT unix-time-milliseconds:unix-time | KEEPTTL] FIELDS numfields:int {field value} ...",
        hsetex,
    )
    .inline()
    .flags(&[Flag::DenyOom, Flag::Fast])
    .group(Group::Hash)
    .since("8.0.0")
    .cost("O(N), N being the number of fields set")
    .key_flags(&["RW update"])
    .doc("Sets fields, and their deadlines, if all or none of them exist."),
    Command::write("HGETDEL", "@key FIELDS numfields:int field ...", hgetdel)
        .inline()
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::Hash)
        .since("8.0.0")
        .cost("O(N), N being the number of fields named")
        .key_flags(&["RW access delete"])
        .doc("Returns the values of fields and removes them."),
];

/// What becomes of the deadlines of fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    At(u64),
    /// KEEPTTL, or no option of HGETEX.
    Stays,
    /// PERSIST, or no option of HSETEX.
    Goes,
}

fn hgetex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, now_ms) = (&call.keys[0], transaction.now_ms());
    let hash = hash(transaction.get(key))?;
    let (time, at) = match TimeUnit::option(call.arg(2)) {
        Some(unit) => (Time::At(deadline::parse(call, call.arg(3), unit)?), 4),
        None if is(call.arg(2), "PERSIST") => (Time::Goes, 3),
        None => (Time::Stays, 2),
    };
    if at + 1 >= call.len() {
        return Err(CommandError::arity(&call.entry.full_name));
    }
    let fields = positive_fields(call, at)?;
    let is_past = matches!(time, Time::At(deadline) if deadline::is_past(deadline, now_ms));
    let found = answer(hash.as_ref(), fields, is_past, reply);
    match time {
        Time::At(deadline) => set_deadline(transaction, key, &found, deadline)?,
        Time::Goes => {
            let is_volatile = |name: &&&[u8]| hash.and_then(|hash| hash.get(name)?.deadline).is_some();
            let volatile: Vec<&[u8]> = found.iter().filter(is_volatile).copied().collect();
            take_deadline(transaction, key, &volatile)?;
        }
        Time::Stays => {}
    }
    Ok(())
}

/// Answers the value of each field. Which there are, each once; when these are going to be removed, a field that is named
/// again is not there any more.
fn answer<'a>(
    hash: Option<&HashView<'_>>,
    fields: impl Iterator<Item = &'a [u8]> + Clone,
    removes: bool,
    reply: &mut Reply<'_>,
) -> Vec<&'a [u8]> {
    let mut found = Chosen::default();
    reply.write().array(fields.clone().count());
    for name in fields {
        match hash.and_then(|hash| hash.get(name)) {
            Some(field) if !(removes && found.contains(name)) => {
                reply.bulk(field.value);
                found.add(name);
            }
            _ => reply.null(),
        }
    }
    found.fields
}

/// The options of HSETEX.
struct Options {
    /// FXX (true): all fields must be there; FNX: none.
    present: Option<bool>,
    time: Time,
    /// The first of the pairs, which come last.
    pairs_at: usize,
}

impl Options {
    fn parse(call: &Call<'_>) -> Result<Options, CommandError> {
        let too_few = || CommandError::arity(&call.entry.full_name);
        let (mut present, mut time) = (None, None);
        let mut at = 2;
        loop {
            let word = call.request.get(at).ok_or_else(too_few)?;
            at += 1;
            if is(word, "FIELDS") {
                break;
            }
            let condition = [("FNX", false), ("FXX", true)].into_iter().find(|(name, _)| is(word, name));
            if let Some((_, all_present)) = condition {
                if present.replace(all_present).is_some() {
                    return Err(ONE_FIELD_CONDITION);
                }
                continue;
            }
            let unit = TimeUnit::option(word);
            if unit.is_none() && !is(word, "KEEPTTL") {
                return Err(CommandError::unknown_argument(word));
            }
            if time.is_some() {
                return Err(ONE_FIELD_TIME);
            }
            time = Some(Time::Stays);
            if let Some(unit) = unit {
                let count = call.request.get(at).ok_or_else(too_few)?;
                time = Some(Time::At(deadline::parse(call, count, unit)?));
                at += 1;
            }
        }
        let count = exact_integer(call.request.get(at).ok_or_else(too_few)?);
        let count = count.and_then(|count| i32::try_from(count).ok()).filter(|&count| count > 0);
        let count = count.ok_or(SET_FIELD_COUNT)? as usize;
        let pairs_at = at + 1;
        if call.len() - pairs_at != 2 * count {
            return Err(too_few());
        }
        Ok(Options { present, time: time.unwrap_or(Time::Goes), pairs_at })
    }
}

fn hsetex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let options = Options::parse(call)?;
    let (key, now_ms) = (&call.keys[0], transaction.now_ms());
    let hash = hash(transaction.get(key))?;
    check_pairs(call, options.pairs_at)?;
    let pairs = call.request.iter().skip(options.pairs_at);
    let names = pairs.clone().step_by(2);
    let is_present = |name: &[u8]| hash.is_some_and(|hash| hash.get(name).is_some());
    let allowed = options.present.is_none_or(|wanted| names.clone().all(|name| is_present(name) == wanted));
    reply.integer(i64::from(allowed));
    if !allowed {
        return Ok(());
    }
    match options.time {
        Time::At(deadline) if deadline::is_past(deadline, now_ms) => {
            // Set and gone at once: subscribers are told of both.
            let present = names.clone().any(is_present);
            if present {
                transaction.apply(key, &Op::over(op::HASH_DELETE, pairs.step_by(2)))?;
            }
            transaction.notify(Class::Hash, "hset", key);
            tell_removal(transaction, key, "hdel");
            return Ok(());
        }
        Time::At(deadline) => {
            let mut load = Op::new(op::HASH_LOAD);
            for (index, element) in pairs.enumerate() {
                load.element(element);
                if index % 2 == 1 {
                    load.number(deadline);
                }
            }
            transaction.apply(key, &load)?;
            transaction.notify(Class::Hash, "hset", key);
            transaction.notify(Class::Hash, "hexpire", key);
            return Ok(());
        }
        Time::Stays => transaction.apply(key, &Op::over(op::HASH_SET_KEEP, pairs))?,
        Time::Goes => transaction.apply(key, &Op::over(op::HASH_SET, pairs))?,
    };
    transaction.notify(Class::Hash, "hset", key);
    Ok(())
}

fn hgetdel(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let hash = hash(transaction.get(key))?;
    let fields = positive_fields(call, 2)?;
    let found = answer(hash.as_ref(), fields, true, reply);
    if !found.is_empty() {
        transaction.apply_and_tell(key, &Op::over(op::HASH_DELETE, found), Class::Hash, "hdel")?;
    }
    Ok(())
}
