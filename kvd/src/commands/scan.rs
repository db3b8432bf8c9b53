//! SCAN: the keys of a database, a few at a time. And what HSCAN, SSCAN and ZSCAN have in common with it.

use super::args::{integer, is};
use super::error::{INVALID_CURSOR, NO_VALUES_TO_LEAVE, SYNTAX};
use super::glob::{self, Case};
use super::keys::{Names, type_name};
use super::{After, Call, Command, CommandError, Context, Flag, Reply};
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::server(
    "SCAN",
    "cursor:int [MATCH pattern:pattern] [COUNT count:int] [TYPE type]",
    scan,
)
.flags(&[Flag::Reads])
.since("2.8.0")
.cost(
    "O(COUNT) for a call, O(N) for all of them, N being the number of keys in the database; with key-order, that begin \
               as the pattern does",
)
.tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
.doc("Returns some keys and a cursor to go on with; every key that stays is returned at least once.")];

/// Elements looked at by a call that names no COUNT.
const DEFAULT_COUNT: usize = 10;

/// What is scanned: some options are for one of these only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// A database.
    Keys,
    /// A hash.
    Fields,
    /// A set or a sorted set.
    Members,
}

/// The options of SCAN, HSCAN, SSCAN and ZSCAN.
pub(super) struct Options<'a> {
    /// Elements to look at, about.
    pub(super) count: usize,
    /// NOVALUES: fields alone.
    pub(super) without_values: bool,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads the arguments behind the cursor, which is at `cursor_at`.
    pub(super) fn parse(call: &Call<'a>, cursor_at: usize, scanned: Scanned) -> Result<Options<'a>, CommandError> {
        let mut options = Options { count: DEFAULT_COUNT, without_values: false, pattern: None, type_name: None };
        let mut at = cursor_at + 1;
        while at < call.len() {
            let word = call.arg(at);
            if is(word, "NOVALUES") {
                if scanned != Scanned::Fields {
                    return Err(NO_VALUES_TO_LEAVE);
                }
                options.without_values = true;
                at += 1;
                continue;
            }
            if at + 1 == call.len() {
                return Err(SYNTAX);
            }
            let value = call.arg(at + 1);
            if is(word, "COUNT") {
                let count = integer(value)?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(SYNTAX)?;
            } else if is(word, "MATCH") {
                options.pattern = Some(value).filter(|pattern| !glob::matches_all(pattern));
            } else if is(word, "TYPE") && scanned == Scanned::Keys {
                options.type_name = Some(value);
            } else {
                return Err(SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }

    /// What everything begins with that MATCH lets through.
    fn prefix(&self) -> &'a [u8] {
        self.pattern.map_or(&[], glob::prefix)
    }

    /// Whether MATCH lets a key, field or member through.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, Case::Exact))
    }
}

/// The reply of a scan: where to go on, and what was found.
pub(super) fn answer(reply: &mut Reply<'_>, next: u64, found: Names) {
    reply.write().array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    found.write(reply);
}

fn scan(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let cursor = parse_cursor(call.arg(1))?;
    let options = Options::parse(call, 1, Scanned::Keys)?;
    let mut names = Names::default();
    let (held, database) = (context.held.as_deref_mut(), context.session.database);
    let store = &context.server.store;
    let next = store.scan_prefix(held, database, options.prefix(), cursor, options.count, |key, item| {
        if options.type_name.is_none_or(|name| is(name, type_name(item))) && options.matches(key) {
            names.push(key);
        }
    });
    answer(reply, next, names);
    Ok(After::Gate(whole_store_gate(context.server)))
}

/// A cursor as `strtoull` reads it, without spaces or a minus sign.
pub(super) fn parse_cursor(bytes: &[u8]) -> Result<u64, CommandError> {
    let digits = bytes.strip_prefix(b"+").unwrap_or(bytes);
    if digits.is_empty() {
        return Err(INVALID_CURSOR);
    }
    digits
        .iter()
        .try_fold(0u64, |value, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(INVALID_CURSOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_unsigned_numbers() {
        for (text, value) in [
            ("0", Some(0)),
            ("00", Some(0)),
            ("+7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+", None),
            ("-1", None),
            ("1x", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), value, "{text:?}");
        }
    }
}
