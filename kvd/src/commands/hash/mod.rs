//! Hashes: fields with values at a key, each with a deadline of its own if it is given one.
//!
//! A command that changes fields makes an operation of the engine, which is what the log holds. Fields whose time has come
//! are gone before a handler sees the hash.

mod deadline;
pub mod read;
pub mod setex;
pub mod volatile;
pub mod write;

use engine::listener::Class;
use engine::value::HashView;
use engine::{Item, Key, MAX_VALUE, Transaction};

use super::args::is;
use super::error::{FIELD_COUNT, NO_FIELDS_WORD, NUMFIELDS_MISMATCH, STRING_TOO_LONG};
use super::{Call, CommandError, Done};

/// The hash that a key holds, if it holds anything.
#[inline]
fn hash(item: Option<Item<'_>>) -> Result<Option<HashView<'_>>, CommandError> {
    Ok(item.map(|item| item.hash()).transpose()?)
}

/// Tells subscribers what was done to a hash, and that it is gone if nothing is left of it.
fn tell_removal(transaction: &mut Transaction<'_>, key: &Key<'_>, name: &'static str) {
    transaction.notify(Class::Hash, name, key);
    if transaction.get(key).is_none() {
        transaction.notify(Class::Generic, "del", key);
    }
}

/// Whether each of the pairs of arguments from an index on fits into one frame of the log.
fn check_pairs(call: &Call<'_>, from: usize) -> Done {
    let pair = |at: usize| call.arg(at).len() + call.arg(at + 1).len();
    // A request that is short as a whole has no long pair.
    let is_short = call.request.pinned_bytes() <= MAX_VALUE;
    let fits = is_short || (from..call.len() - 1).step_by(2).all(|at| pair(at) <= MAX_VALUE);
    if fits { Ok(()) } else { Err(STRING_TOO_LONG) }
}

/// The arguments behind FIELDS and their number, which come last. `too_few` is what is said of a number that is none.
fn fields<'a>(
    call: &Call<'a>,
    at: usize,
    too_few: CommandError,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    if !is(call.arg(at), "FIELDS") {
        return Err(NO_FIELDS_WORD);
    }
    let count = resp::exact_integer(call.arg(at + 1)).filter(|&count| count > 0).ok_or(too_few)?;
    if usize::try_from(count).ok() != Some(call.len() - at - 2) {
        return Err(NUMFIELDS_MISMATCH);
    }
    Ok(call.request.iter().skip(at + 2))
}

/// The same where Redis wants "a positive integer".
fn positive_fields<'a>(
    call: &Call<'a>,
    at: usize,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    fields(call, at, FIELD_COUNT)
}
