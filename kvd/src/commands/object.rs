//! OBJECT: how a value is kept, and when it was last used.

use engine::{Item, Policy, Usage};
use resp::exact_integer;

use super::error::{NO_FREQUENCIES, NO_IDLE_TIMES, ONLY_READS};
use super::{Call, Command, Done, Flag, Group, ReadHandler, Reply, View, help};

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::container("OBJECT", SUBCOMMANDS).since("2.2.3").doc("Commands about how values are kept.")];

const SUBCOMMANDS: &[Command] = &[
    sub("ENCODING", encoding_of).doc("Returns how the value of a key is kept."),
    sub("FREQ", frequency)
        .since("4.0.0")
        .doc("Returns how often a key is used, on a scale of its own; only where that decides what is evicted."),
    help::row(Group::Generic).since("6.2.0"),
    sub("IDLETIME", idle_time).doc("Returns how many seconds ago a key was last used, as far as that is kept."),
    sub("REFCOUNT", reference_count).doc("Returns how many keys Redis would let share the value of a key."),
];

const fn sub(name: &'static str, handler: ReadHandler) -> Command {
    Command::read(name, "@key", handler)
        .flags(&[Flag::NoUse])
        .since("2.2.3")
        .key_flags(&["RO"])
        .tips(&["nondeterministic_output"])
}

/// Longest string that Redis keeps in one piece with its head.
const EMBEDDED_BYTES: usize = 44;
/// Integers from 0 that Redis keeps once for all keys, as long as it need not know when each was used.
const SHARED_INTEGERS: i64 = 10_000;
/// How often those are said to be used.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

/// The name of a value's encoding.
pub(super) fn encoding(item: Item<'_>) -> &'static str {
    match item.string() {
        Err(_) => item.encoding(),
        Ok(bytes) if exact_integer(bytes).is_some() => "int",
        Ok(bytes) if bytes.len() <= EMBEDDED_BYTES => "embstr",
        Ok(_) => "raw",
    }
}

/// How many share a value in Redis, under a policy of eviction: none where the uses of each key are kept.
pub(super) fn references(item: Item<'_>, policy: Policy) -> i64 {
    let integer = item.string().ok().and_then(exact_integer).filter(|_| !policy.looks_at_uses());
    if integer.is_some_and(|integer| (0..SHARED_INTEGERS).contains(&integer)) { SHARED_REFERENCES } else { 1 }
}

fn encoding_of(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    match view.look(&call.keys[0]) {
        Some(item) => reply.bulk(encoding(item).as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

fn frequency(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    match usage(view, call) {
        Some(Usage::Frequency(count)) => reply.integer(i64::from(count)),
        Some(Usage::Idle(_) | Usage::Read(_)) => return Err(NO_FREQUENCIES),
        None => reply.null(),
    }
    Ok(())
}

fn idle_time(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    match usage(view, call) {
        Some(Usage::Idle(seconds)) => reply.integer(seconds as i64),
        Some(Usage::Frequency(_)) => return Err(NO_IDLE_TIMES),
        Some(Usage::Read(_)) => return Err(ONLY_READS),
        None => reply.null(),
    }
    Ok(())
}

fn usage(view: &mut View<'_, '_>, call: &Call<'_>) -> Option<Usage> {
    let key = &call.keys[0];
    view.look(key)?;
    view.transaction().usage(key)
}

fn reference_count(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let policy = view.transaction().policy(key);
    match view.look(key) {
        Some(item) => reply.integer(references(item, policy)),
        None => reply.null(),
    }
    Ok(())
}
