//! Commands about the server: what it does, and what time it has.

use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply};
use crate::observe::info as report;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("INFO", "[section ...]", info)
        .group(Group::Server)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Dangerous])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("Returns what the server has counted and measured."),
    Command::server("TIME", "", time)
        .group(Group::Server)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .since("2.6.0")
        .tips(&["nondeterministic_output"])
        .doc("Returns seconds since the epoch, and microseconds of the present second."),
];

fn info(context: &mut Context<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let sections: Vec<&[u8]> = call.request.iter().skip(1).collect();
    reply.write().verbatim(b"txt", report::text(context.server, &sections).as_bytes());
    Ok(After::Reply)
}

fn time(context: &mut Context<'_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let now_us = context.server.clock.wall_us();
    let mut out = reply.write();
    out.array(2);
    out.integer_bulk((now_us / 1_000_000) as i64);
    out.integer_bulk((now_us % 1_000_000) as i64);
    Ok(After::Reply)
}
