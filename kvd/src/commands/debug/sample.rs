//! DEBUG PROTOCOL and STRINGMATCH-TEST: replies of every type, and patterns of chance.

use super::ServerDone;
use crate::commands::args::is;
use crate::commands::error::{NOT_IN_RESP2, PROTOCOL_TYPE};
use crate::commands::glob::{self, Case};
use crate::commands::{After, Call, Context, Reply};
use resp::Version;

/// A reply of the type that is asked for.
#[expect(clippy::approx_constant, reason = "this is the number that Redis sends")]
pub(super) fn protocol(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let wanted = |name: &str| is(call.arg(2), name);
    let version = reply.version();
    let mut out = reply.write();
    if wanted("string") {
        out.bulk(b"Hello World");
    } else if wanted("integer") {
        out.integer(12345);
    } else if wanted("double") {
        out.double(3.141);
    } else if wanted("bignum") {
        out.big_number("1234567999999999999999999999999999999");
    } else if wanted("null") {
        out.null();
    } else if wanted("array") {
        out.array(3);
        (0..3).for_each(|number| out.integer(number));
    } else if wanted("set") {
        out.set(3);
        (0..3).for_each(|number| out.integer(number));
    } else if wanted("map") {
        out.map(3);
        for number in 0..3 {
            out.integer(number);
            out.boolean(number == 1);
        }
    } else if wanted("attrib") {
        if out.attribute(1) {
            out.bulk(b"key-popularity");
            out.array(2);
            out.bulk(b"key:123");
            out.integer(90);
        }
        out.bulk(b"Some real reply following the attribute");
    } else if wanted("push") {
        if version == Version::Resp2 {
            return Err(NOT_IN_RESP2);
        }
        // As in Redis from 7.2 on: behind the reply to the command that it came during, whatever the text says.
        out.bulk(b"Some real reply following the push reply");
        out.push(2);
        out.bulk(b"server-cpu-usage");
        out.integer(42);
    } else if wanted("verbatim") {
        out.verbatim(b"txt", b"This is a verbatim\nstring");
    } else if wanted("true") {
        out.boolean(true);
    } else if wanted("false") {
        out.boolean(false);
    } else {
        return Err(PROTOCOL_TYPE);
    }
    Ok(After::Reply)
}

/// Patterns tried by one call.
const TRIES: usize = 10_000;
/// Longest text and pattern; a pattern full of stars takes long.
const LONGEST: u64 = 32;

/// Matches texts with patterns of chance.
pub(super) fn match_patterns(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let random = &mut context.session.random;
    for _ in 0..TRIES {
        let mut some = |symbols: &[u8]| -> Vec<u8> {
            let length = random.below(LONGEST);
            (0..length).map(|_| symbols[random.below(symbols.len() as u64) as usize]).collect()
        };
        let (pattern, text) = (some(b"ab*?[]^-\\\0\xff"), some(b"ab]^-\\\0\xff"));
        let _ = glob::matches(&pattern, &text, Case::Exact);
    }
    reply.write().simple("Apparently Redis did not crash: test passed");
    Ok(After::Reply)
}
