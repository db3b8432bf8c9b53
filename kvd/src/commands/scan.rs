//! SCAN: the keys of a database, a few at a time.

use super::args::{integer, is};
use super::error::{INVALID_CURSOR, SYNTAX};
use super::glob::{self, Case};
use super::keys::Names;
use super::{After, Call, Command, CommandError, Context, Flag, Reply};
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::server("SCAN", "cursor:int [MATCH pattern:pattern] [COUNT count:int] [TYPE type]", scan)
        .flags(&[Flag::Reads])
        .since("2.8.0")
        .cost("O(COUNT) for a call, O(N) for all of them, N being the number of keys in the database")
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
        .doc("Returns some keys and a cursor to go on with; every key that stays is returned at least once.")];

/// Keys looked at by a call that names no COUNT.
const DEFAULT_COUNT: usize = 10;

/// The options of SCAN.
struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, from: usize) -> Result<Options<'a>, CommandError> {
        let mut options = Options { count: DEFAULT_COUNT, pattern: None, type_name: None };
        for at in (from..call.len()).step_by(2) {
            if at + 1 == call.len() {
                return Err(SYNTAX);
            }
            let (word, value) = (call.arg(at), call.arg(at + 1));
            if is(word, "COUNT") {
                let count = integer(value)?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(SYNTAX)?;
            } else if is(word, "MATCH") {
                options.pattern = Some(value).filter(|pattern| !glob::matches_all(pattern));
            } else if is(word, "TYPE") {
                options.type_name = Some(value);
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }
}

fn scan(context: &mut Context<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let cursor = parse_cursor(call.arg(1))?;
    let options = Options::parse(call, 2)?;
    let right_type = options.type_name.is_none_or(|name| is(name, "string"));
    let mut names = Names::default();
    let next = context.server.store.scan(context.session.database, cursor, options.count, |key, _| {
        if right_type && options.pattern.is_none_or(|pattern| glob::matches(pattern, key, Case::Exact)) {
            names.push(key);
        }
    });
    reply.write().array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    names.write(reply);
    Ok(After::Gate(whole_store_gate(context.server)))
}

/// A cursor as `strtoull` reads it, without spaces or a minus sign.
fn parse_cursor(bytes: &[u8]) -> Result<u64, CommandError> {
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
