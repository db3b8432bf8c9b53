//! SLOWLOG: the requests that took longest.

use resp::exact_integer;

use super::error::SLOWLOG_COUNT;
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply, help};

const FLAGS: &[Flag] = &[Flag::Admin, Flag::Loading, Flag::Stale];
/// Requests that GET returns unasked.
const DEFAULT_COUNT: usize = 10;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::container("SLOWLOG", SUBCOMMANDS)
    .group(Group::Server)
    .since("2.2.12")
    .doc("Commands about requests that took long.")];

const SUBCOMMANDS: &[Command] = &[
    Command::server("GET", "[count:int]", get)
        .group(Group::Server)
        .flags(FLAGS)
        .since("2.2.12")
        .cost("O(N) where N is the number of entries returned")
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .doc("Returns the latest slow requests, 10 unless told how many; -1 is all."),
    Command::server("LEN", "", length)
        .group(Group::Server)
        .flags(FLAGS)
        .since("2.2.12")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .doc("Returns how many slow requests are kept."),
    Command::server("RESET", "", reset)
        .group(Group::Server)
        .flags(FLAGS)
        .since("2.2.12")
        .cost("O(N) where N is the number of entries in the slowlog")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Forgets all slow requests."),
    help::row(Group::Server).since("6.2.0"),
];

fn get(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let most = match call.len() {
        2 => DEFAULT_COUNT,
        3 => match exact_integer(call.arg(2)) {
            Some(-1) => usize::MAX,
            Some(count) => usize::try_from(count).map_err(|_| SLOWLOG_COUNT)?,
            None => return Err(SLOWLOG_COUNT),
        },
        _ => return Err(CommandError::subcommand_arity("SLOWLOG", call.arg(1))),
    };
    let requests = context.server.slow_log.latest(most);
    let mut out = reply.write();
    out.array(requests.len());
    for request in requests {
        out.array(6);
        out.integer(request.id as i64);
        out.integer(request.at_s as i64);
        out.integer(request.took_us as i64);
        out.array(request.arguments.len());
        request.arguments.iter().for_each(|argument| out.bulk(argument));
        out.bulk(request.address.as_bytes());
        out.bulk(request.name.as_bytes());
    }
    Ok(After::Reply)
}

fn length(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.integer(context.server.slow_log.len() as i64);
    Ok(After::Reply)
}

fn reset(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    context.server.slow_log.clear();
    reply.ok();
    Ok(After::Reply)
}
