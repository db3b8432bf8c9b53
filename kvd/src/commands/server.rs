//! Commands about the server: what it does, and what time it has.

use super::args::{integer, is};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply};
use crate::observe::{REDIS_VERSION, info as report};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("INFO", "[section ...]", info)
        .group(Group::Server)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Dangerous, Flag::WalksShards])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("Returns what the server has counted and measured."),
    Command::server("LOLWUT", "[VERSION version:int]", lolwut)
        .group(Group::Server)
        .flags(&[Flag::Reads, Flag::Fast, Flag::NotOfKeyspace])
        .since("5.0.0")
        .doc("Draws something, and tells the version."),
    Command::server("TIME", "", time)
        .group(Group::Server)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .since("2.6.0")
        .tips(&["nondeterministic_output"])
        .doc("Returns seconds since the epoch, and microseconds of the present second."),
];

fn info(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let sections: Vec<&[u8]> = call.request.iter().skip(1).collect();
    let text = report::text(context.server, &sections, context.held.as_deref_mut());
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Reply)
}

/// Columns and rows of the drawing.
const CANVAS: (usize, usize) = (40, 6);

/// The maze of one line of BASIC: `10 PRINT CHR$(205.5+RND(1)); : GOTO 10`.
fn lolwut(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    if call.len() >= 3 && is(call.arg(1), "VERSION") {
        integer(call.arg(2))?;
    }
    let (columns, rows) = CANVAS;
    let mut text = String::new();
    for _ in 0..rows {
        text.extend((0..columns).map(|_| if context.session.random.below(2) == 0 { '╱' } else { '╲' }));
        text.push('\n');
    }
    text.push_str(&format!("\nRedis ver. {REDIS_VERSION}, kvd {}\n", env!("CARGO_PKG_VERSION")));
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Reply)
}

fn time(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let now_us = context.server.clock.wall_us();
    let mut out = reply.write();
    out.array(2);
    out.integer_bulk((now_us / 1_000_000) as i64);
    out.integer_bulk((now_us % 1_000_000) as i64);
    Ok(After::Reply)
}
