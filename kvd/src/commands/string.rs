//! Strings: a value of bytes at a key, read, replaced and changed in part.

use bytes::Bytes;
use engine::listener::Class;
use engine::{Item, MAX_VALUE, Transaction};
use resp::{Request, exact_integer};

use super::args::{TimeUnit, integer, is};
use super::error::{OFFSET, STRING_TOO_LONG, SYNTAX};
use super::keys::delete;
use super::{Call, Command, CommandError, Done, Flag, Group, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("GET", "@key", get).flags(&[Flag::Fast]).group(Group::String).doc("Returns the string at a key."),
    Command::write(
        "SET",
        "@key value [NX | XX] [GET] [EX seconds:int | PX milliseconds:int | EXAT unix-time-seconds:unix-time | \
         PXAT unix-time-milliseconds:unix-time | KEEPTTL]",
        set,
    )
    .flags(&[Flag::DenyOom])
    .group(Group::String)
    .key_flags(&["RW access update variable_flags"])
    .replaces(|request| !request.iter().skip(3).any(|word| is(word, "GET")))
    .doc("Stores a string at a key, whatever was there before."),
    Command::write("SETNX", "@key value", setnx)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .key_flags(&["OW insert"])
        .doc("Stores a string at a key that does not exist."),
    Command::write("SETEX", "@key seconds:int value", setex)
        .flags(&[Flag::DenyOom])
        .group(Group::String)
        .since("2.0.0")
        .key_flags(&["OW update"])
        .doc("Stores a string at a key that expires after so many seconds."),
    Command::write("PSETEX", "@key milliseconds:int value", psetex)
        .flags(&[Flag::DenyOom])
        .group(Group::String)
        .since("2.6.0")
        .key_flags(&["OW update"])
        .doc("Stores a string at a key that expires after so many milliseconds."),
    Command::write("GETSET", "@key value", getset)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .doc("Stores a string at a key and returns what was there before."),
    Command::write("GETDEL", "@key", getdel)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::String)
        .since("6.2.0")
        .key_flags(&["RW access delete"])
        .doc("Returns the string at a key and removes the key."),
    Command::write(
        "GETEX",
        "@key [EX seconds:int | PX milliseconds:int | EXAT unix-time-seconds:unix-time | \
         PXAT unix-time-milliseconds:unix-time | PERSIST]",
        getex,
    )
    .flags(&[Flag::Fast])
    .group(Group::String)
    .since("6.2.0")
    .doc("Returns the string at a key and sets or removes the key's deadline."),
    Command::write("APPEND", "@key value", append)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::String)
        .since("2.0.0")
        .cost("O(N), N being the length of what is appended")
        .key_flags(&["RW insert"])
        .doc("Puts bytes behind the string at a key, which is empty when the key does not exist."),
    Command::read("STRLEN", "@key", strlen)
        .flags(&[Flag::Fast])
        .group(Group::String)
        .since("2.2.0")
        .key_flags(&["RO"])
        .doc("Returns the length of the string at a key in bytes."),
    Command::read("GETRANGE", "@key start:int end:int", getrange)
        .group(Group::String)
        .since("2.4.0")
        .cost("O(N), N being the length of what is returned")
        .doc("Returns part of the string at a key."),
    Command::read("SUBSTR", "@key start:int end:int", getrange)
        .group(Group::String)
        .cost("O(N), N being the length of what is returned")
        .doc("Returns part of the string at a key: the old name of GETRANGE."),
    Command::write("SETRANGE", "@key offset:int value", setrange)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::String)
        .since("2.2.0")
        .cost("O(N), N being the length of what is written and of the gap before it")
        .key_flags(&["RW update"])
        .growth(gap)
        .doc("Overwrites part of the string at a key, with zeros in any gap."),
    Command::read("MGET", "@key ...", mget)
        .flags(&[Flag::Fast])
        .group(Group::String)
        .cost("O(N), N being the number of keys")
        .tips(&["request_policy:multi_shard"])
        .doc("Returns the strings at several keys, all as of one moment."),
    Command::write("MSET", "{@key value} ...", mset)
        .flags(&[Flag::DenyOom])
        .group(Group::String)
        .since("1.0.1")
        .cost("O(N), N being the number of keys")
        .key_flags(&["OW update"])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .doc("Stores strings at several keys, all or none."),
    Command::write("MSETNX", "{@key value} ...", msetnx)
        .flags(&[Flag::DenyOom])
        .group(Group::String)
        .since("1.0.1")
        .cost("O(N), N being the number of keys")
        .key_flags(&["OW insert"])
        .doc("Stores strings at several keys, all or none, when none of the keys exists."),
];

/// The options that SET and GETEX have in common.
#[derive(Default)]
struct Options<'a> {
    condition: Option<Condition>,
    /// GET: answer what was there before.
    get: bool,
    /// KEEPTTL, or PERSIST in GETEX: what becomes of the deadline when no new one is given.
    without_time: bool,
    time: Option<(TimeUnit, &'a [u8])>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

/// Which of the two commands the options belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Set,
    GetEx,
}

impl<'a> Options<'a> {
    /// Reads the arguments from `at` on. The same option may come twice, two that exclude each other may not.
    fn parse(call: &Call<'a>, mut at: usize, family: Family) -> Result<Options<'a>, CommandError> {
        let mut options = Options::default();
        while at < call.len() {
            let word = call.arg(at);
            if family == Family::Set && is(word, "NX") && options.condition != Some(Condition::Present) {
                options.condition = Some(Condition::Absent);
            } else if family == Family::Set && is(word, "XX") && options.condition != Some(Condition::Absent) {
                options.condition = Some(Condition::Present);
            } else if family == Family::Set && is(word, "GET") {
                options.get = true;
            } else if is(word, family.without_time()) && options.time.is_none() {
                options.without_time = true;
            } else {
                let unit = TimeUnit::option(word).ok_or(SYNTAX)?;
                let other_unit = options.time.is_some_and(|(before, _)| before != unit);
                if options.without_time || other_unit || at + 1 == call.len() {
                    return Err(SYNTAX);
                }
                at += 1;
                options.time = Some((unit, call.arg(at)));
            }
            at += 1;
        }
        Ok(options)
    }

    fn deadline(&self, call: &Call<'_>, now_ms: u64) -> Result<Option<u64>, CommandError> {
        self.time.map(|(unit, count)| deadline(call, unit, count, now_ms)).transpose()
    }
}

impl Family {
    fn without_time(self) -> &'static str {
        match self {
            Family::Set => "KEEPTTL",
            Family::GetEx => "PERSIST",
        }
    }
}

/// A deadline for a value that is being stored: a positive number of something, which may still be in the past.
fn deadline(call: &Call<'_>, unit: TimeUnit, count: &[u8], now_ms: u64) -> Result<u64, CommandError> {
    let count = integer(count)?;
    let deadline = if count > 0 { unit.deadline(count, now_ms) } else { None };
    deadline.map(|ms| ms as u64).ok_or_else(|| CommandError::invalid_expire(&call.entry.full_name))
}

fn get(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    item_or_null(view.get(&call.keys[0]), reply)
}

#[inline]
fn item_or_null(item: Option<Item<'_>>, reply: &mut Reply<'_>) -> Done {
    match item {
        Some(item) => {
            item.string()?;
            reply.item(item);
        }
        None => reply.null(),
    }
    Ok(())
}

fn set(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    if call.len() == 3 {
        set_and_tell(transaction, call, 2, None);
        reply.ok();
        return Ok(());
    }
    set_with_options(transaction, call, reply)
}

fn set_with_options(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let options = Options::parse(call, 3, Family::Set)?;
    let mut deadline = options.deadline(call, transaction.now_ms())?;
    if options.get || options.without_time || options.condition.is_some() {
        let old = transaction.get(&call.keys[0]);
        if options.get {
            item_or_null(old, reply)?;
        }
        if options.condition.is_some_and(|condition| (condition == Condition::Present) != old.is_some()) {
            if !options.get {
                reply.null();
            }
            return Ok(());
        }
        if options.without_time {
            deadline = old.and_then(|item| item.deadline());
        }
    }
    if options.time.is_some() {
        store(transaction, call, 2, deadline);
    } else {
        set_and_tell(transaction, call, 2, deadline);
    }
    if !options.get {
        reply.ok();
    }
    Ok(())
}

/// Stores an argument at the first key for a time. A value whose time is over is never there: the key goes.
fn store(transaction: &mut Transaction<'_>, call: &Call<'_>, argument: usize, deadline: Option<u64>) {
    let key = &call.keys[0];
    if deadline.is_some_and(|deadline| deadline <= transaction.now_ms()) {
        delete(transaction, key);
    } else {
        set_and_tell(transaction, call, argument, deadline);
        transaction.notify(Class::Generic, "expire", key);
    }
}

/// Stores an argument at the first key, and tells subscribers.
#[inline]
fn set_and_tell(transaction: &mut Transaction<'_>, call: &Call<'_>, argument: usize, deadline: Option<u64>) {
    let key = &call.keys[0];
    transaction.set(key, call.value(argument), deadline);
    transaction.notify(Class::String, "set", key);
}

fn setnx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let absent = transaction.get(&call.keys[0]).is_none();
    if absent {
        set_and_tell(transaction, call, 2, None);
    }
    reply.integer(i64::from(absent));
    Ok(())
}

fn setex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_for(transaction, call, reply, TimeUnit::SECONDS)
}

fn psetex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    set_for(transaction, call, reply, TimeUnit::MILLISECONDS)
}

fn set_for(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, unit: TimeUnit) -> Done {
    let deadline = deadline(call, unit, call.arg(2), transaction.now_ms())?;
    store(transaction, call, 3, Some(deadline));
    reply.ok();
    Ok(())
}

fn getset(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    item_or_null(transaction.get(&call.keys[0]), reply)?;
    set_and_tell(transaction, call, 2, None);
    Ok(())
}

fn getdel(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    item_or_null(transaction.get(&call.keys[0]), reply)?;
    delete(transaction, &call.keys[0]);
    Ok(())
}

fn getex(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let options = Options::parse(call, 2, Family::GetEx)?;
    let now_ms = transaction.now_ms();
    let key = &call.keys[0];
    let Some(item) = transaction.get(key) else {
        reply.null();
        return Ok(());
    };
    item.string()?;
    let deadline = options.deadline(call, now_ms)?;
    let had_deadline = item.deadline().is_some();
    reply.item(item);
    match deadline {
        Some(deadline) if deadline <= now_ms => {
            delete(transaction, key);
        }
        Some(_) => {
            transaction.set_deadline(key, deadline);
            transaction.notify(Class::Generic, "expire", key);
        }
        None if options.without_time && had_deadline => {
            transaction.set_deadline(key, None);
            transaction.notify(Class::Generic, "persist", key);
        }
        None => {}
    }
    Ok(())
}

fn append(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let bytes = call.arg(2);
    let length = match string(transaction.get(key))?.map(<[u8]>::len) {
        Some(length) => {
            check_length(length, bytes.len(), call)?;
            if bytes.is_empty() { length } else { transaction.append(key, bytes) }
        }
        None => {
            transaction.set(key, call.value(2), None);
            bytes.len()
        }
    };
    transaction.notify(Class::String, "append", key);
    reply.integer(length as i64);
    Ok(())
}

fn strlen(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    reply.integer(string(view.get(&call.keys[0]))?.map_or(0, <[u8]>::len) as i64);
    Ok(())
}

fn getrange(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let (start, end) = (integer(call.arg(2))?, integer(call.arg(3))?);
    let found = match view.get(&call.keys[0]) {
        Some(item) => range(start, end, item.string()?.len()).map(|range| (item, range)),
        None => None,
    };
    match found {
        Some((item, range)) => reply.item_range(item, range),
        None => reply.bulk(b""),
    }
    Ok(())
}

/// The part of something `length` bytes long from the byte at `start` to the byte at `end`, where negative numbers
/// count from the end. `None` when it is empty.
fn range(start: i64, end: i64, length: usize) -> Option<std::ops::Range<usize>> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { (index + length).max(0) } else { index };
    let (start, end) = (from_front(start), from_front(end).min(length - 1));
    (start <= end).then(|| start as usize..end as usize + 1)
}

fn setrange(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let offset = usize::try_from(integer(call.arg(2))?).map_err(|_| OFFSET)?;
    let bytes = call.arg(3);
    let key = &call.keys[0];
    if bytes.is_empty() {
        reply.integer(string(transaction.get(key))?.map_or(0, <[u8]>::len) as i64);
        return Ok(());
    }
    check_length(offset, bytes.len(), call)?;
    string(transaction.get(key))?;
    reply.integer(transaction.set_range(key, offset, bytes) as i64);
    transaction.notify(Class::String, "setrange", key);
    Ok(())
}

/// The zeros that SETRANGE puts between the end of the value and what it writes. For a short gap it is not worth looking
/// where the value ends.
fn gap(request: &Request<'_>, present_bytes: &mut dyn FnMut(usize) -> u64) -> u64 {
    let offset = request.get(2).and_then(exact_integer).and_then(|offset| u64::try_from(offset).ok());
    offset.map_or(0, |offset| gap_before(offset, || present_bytes(0)))
}

/// The zeros between the end of a value and an offset, as far as admission need know.
pub(super) fn gap_before(offset: u64, present_bytes: impl FnOnce() -> u64) -> u64 {
    if offset < LONG_GAP { 0 } else { offset.min(MAX_VALUE as u64).saturating_sub(present_bytes()) }
}

/// A gap before this offset need not be known to admission.
const LONG_GAP: u64 = 1 << 20;

/// The string at a key, if there is one.
#[inline]
pub(super) fn string(item: Option<Item<'_>>) -> Result<Option<&[u8]>, CommandError> {
    Ok(item.map(|item| item.string()).transpose()?)
}

/// The string at a key, to be kept while other keys are looked at; empty when there is none.
pub(super) fn string_shared(item: Option<Item<'_>>) -> Result<Bytes, CommandError> {
    let shared = item.and_then(|item| item.shared()).cloned();
    match shared {
        Some(bytes) => Ok(bytes),
        None => Ok(Bytes::copy_from_slice(string(item)?.unwrap_or_default())),
    }
}

/// Whether a string may grow to this length.
fn check_length(before: usize, more: usize, call: &Call<'_>) -> Done {
    let fits = before.checked_add(more).is_some_and(|length| length <= call.max_value_bytes.min(MAX_VALUE));
    if fits { Ok(()) } else { Err(STRING_TOO_LONG) }
}

fn mget(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    reply.write().array(call.keys.len());
    for key in call.keys {
        match view.get(key).filter(|item| item.string().is_ok()) {
            Some(item) => reply.item(item),
            None => reply.null(),
        }
    }
    Ok(())
}

fn mset(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    check_pairs(call)?;
    set_pairs(transaction, call);
    reply.ok();
    Ok(())
}

fn msetnx(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    check_pairs(call)?;
    let absent = call.keys.iter().all(|key| transaction.get(key).is_none());
    if absent {
        set_pairs(transaction, call);
    }
    reply.integer(i64::from(absent));
    Ok(())
}

fn check_pairs(call: &Call<'_>) -> Done {
    if call.len() % 2 == 1 { Ok(()) } else { Err(CommandError::arity(&call.entry.full_name)) }
}

fn set_pairs(transaction: &mut Transaction<'_>, call: &Call<'_>) {
    for (index, key) in call.keys.iter().enumerate() {
        transaction.set(key, call.value(2 * index + 2), None);
        transaction.notify(Class::String, "set", key);
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_count_from_either_end_and_stay_inside() {
        for (start, end, expected) in [
            (0, -1, Some(0..5)),
            (1, 3, Some(1..4)),
            (-3, -2, Some(2..4)),
            (-100, 100, Some(0..5)),
            (3, 1, None),
            (-1, -3, None),
            (5, 9, None),
            (0, i64::MIN, Some(0..1)),
            (i64::MIN, i64::MAX, Some(0..5)),
        ] {
            assert_eq!(range(start, end, 5), expected, "{start} {end}");
        }
        assert_eq!(range(0, -1, 0), None);
    }
}
