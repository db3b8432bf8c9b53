//! Hashes: fields with values at a key, each with a deadline of its own if it is given one.
//!
//! A command that changes fields makes an operation of the engine, which is what the log holds. Fields whose time has come
//! are gone before a handler sees the hash.

mod deadline;
pub mod read;
pub mod setex;
pub mod volatile;
pub mod write;

use std::cell::RefCell;

use engine::listener::Class;
use engine::value::HashView;
use engine::value::op::Op;
use engine::{Item, Key, MAX_VALUE, Transaction};

use super::args::is;
use super::error::{FIELD_COUNT, NO_FIELDS_WORD, NUMFIELDS_MISMATCH, STRING_TOO_LONG};
use super::{Call, CommandError, Done};

/// An operation longer than this is carried out and logged in parts: a frame of the log has its limit.
const PART_BYTES: usize = 1 << 20;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 64 << 10;

/// The hash that a key holds, if it holds anything.
#[inline]
fn hash(item: Option<Item<'_>>) -> Result<Option<HashView<'_>>, CommandError> {
    Ok(item.map(|item| item.hash()).transpose()?)
}

/// An operation over any number of elements: what it begins with, and how many elements belong together.
#[derive(Clone, Copy)]
struct Shape {
    code: u8,
    /// A number before all elements.
    head: Option<u64>,
    /// Elements that belong together.
    group: usize,
    /// A number behind each group.
    tail: Option<u64>,
}

impl Shape {
    /// Elements one by one, or in pairs.
    const fn new(code: u8, group: usize) -> Shape {
        Shape { code, head: None, group, tail: None }
    }

    fn begin(self, buffer: Vec<u8>) -> Op {
        let mut op = Op::in_buffer(buffer, self.code);
        if let Some(head) = self.head {
            op.number(head);
        }
        op
    }

    /// Carries the operation out over these elements, of which whole groups must come. How many elements were added, and
    /// how many added, removed or altered.
    fn apply<'e>(
        self,
        transaction: &mut Transaction<'_>,
        key: &Key<'_>,
        elements: impl IntoIterator<Item = &'e [u8]>,
    ) -> (u64, u64) {
        thread_local! {
            /// A steady stream of writes allocates nothing.
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let mut op = self.begin(BUFFER.take());
        let (mut added, mut changed) = (0, 0);
        let mut carry_out = |op: &Op| {
            let outcome = transaction.apply(key, op);
            added += outcome.added;
            changed += outcome.changed;
        };
        let (mut in_group, mut waiting) = (0, false);
        for element in elements {
            op.element(element);
            in_group += 1;
            waiting = true;
            if in_group < self.group {
                continue;
            }
            in_group = 0;
            if let Some(tail) = self.tail {
                op.number(tail);
            }
            if op.bytes().len() >= PART_BYTES {
                carry_out(&op);
                op = self.begin(op.into_buffer());
                waiting = false;
            }
        }
        if waiting {
            carry_out(&op);
        }
        let buffer = op.into_buffer();
        if buffer.capacity() <= KEPT_BYTES {
            BUFFER.set(buffer);
        }
        (added, changed)
    }
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
