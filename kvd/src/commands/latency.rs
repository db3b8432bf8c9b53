//! LATENCY: what took long, and when.

use super::{After, Call, Command, CommandError, Context, Entry, Flag, Group, Reply, ServerHandler, help};
use crate::observe::histogram::Counts;

const FLAGS: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const TIPS: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

const DISABLED: &str = "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You \
                        may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it.\n";
const CALM: &str = "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the \
                    slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things \
                    over.\n";
const OBSERVED: &str = "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, \
                        do you Dave?\n\n";
const ADVICE: &str = "\nI have a few advices for you:\n\n- Check your Slow Log to understand what are the commands you \
                      are running which are too slow to execute.\n";

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::container("LATENCY", SUBCOMMANDS)
    .group(Group::Server)
    .since("2.8.13")
    .doc("Commands about what took long.")];

const SUBCOMMANDS: &[Command] = &[
    sub("DOCTOR", "", doctor).doc("Returns for people what there is to say about latency."),
    sub("GRAPH", "event", graph).doc("Returns the latencies of an event as a graph."),
    sub("HISTOGRAM", "[command ...]", histogram)
        .since("7.0.0")
        .cost("O(N) where N is the number of commands with latency information being retrieved")
        .doc("Returns how often commands took how long, in microseconds."),
    sub("HISTORY", "event", history).doc("Returns the latencies of an event, second by second."),
    sub("LATEST", "", latest).doc("Returns all events with their last and their longest latency."),
    sub("RESET", "[event ...]", reset)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
        .doc("Forgets events, or all; returns how many were known."),
    help::row(Group::Server).since("2.8.13"),
];

const fn sub(name: &'static str, usage: &'static str, handler: ServerHandler) -> Command {
    Command::server(name, usage, handler).group(Group::Server).flags(FLAGS).since("2.8.13").tips(TIPS)
}

type ServerDone = Result<After, CommandError>;

fn doctor(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let events = context.server.latency.all();
    let text = if context.server.settings().latency_monitor_threshold == 0 {
        DISABLED.to_owned()
    } else if events.is_empty() {
        CALM.to_owned()
    } else {
        let lines =
            (1..).zip(&events).map(|(number, (event, series))| format!("{number}. {}\n", series.diagnosis(event)));
        [OBSERVED.to_owned(), lines.collect(), ADVICE.to_owned()].concat()
    };
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Reply)
}

fn graph(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let event = call.arg(2);
    let Some((name, series)) = context.server.latency.find(event) else {
        return Err(CommandError::option("No samples available for event", event));
    };
    let text = series.graph(name, context.server.clock.wall_ms() / 1000);
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Reply)
}

fn histogram(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let all: Vec<&Entry> = match call.len() {
        2 => super::all().iter().collect(),
        _ => call.request.iter().skip(2).filter_map(super::find).collect(),
    };
    let measured: Vec<(&Entry, Counts)> = all
        .into_iter()
        .flat_map(|entry| [entry].into_iter().chain(&entry.subcommands))
        .filter_map(|entry| Some((entry, entry.latency.read()?)))
        .collect();
    let mut out = reply.write();
    out.map(measured.len());
    for (entry, counts) in measured {
        out.bulk(entry.full_name.as_bytes());
        out.map(2);
        out.bulk(b"calls");
        out.integer(counts.total as i64);
        out.bulk(b"histogram_usec");
        let limits = counts.cumulative_us();
        out.map(limits.len());
        for (limit_us, count) in limits {
            out.integer(limit_us as i64);
            out.integer(count as i64);
        }
    }
    Ok(After::Reply)
}

fn history(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let samples = context.server.latency.find(call.arg(2)).map_or_else(Default::default, |(_, series)| series.samples);
    let mut out = reply.write();
    out.array(samples.len());
    for sample in samples {
        out.array(2);
        out.integer(sample.at_s as i64);
        out.integer(sample.ms as i64);
    }
    Ok(After::Reply)
}

fn latest(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let events = context.server.latency.all();
    let mut out = reply.write();
    out.array(events.len());
    for (name, series) in events {
        out.array(4);
        out.bulk(name.as_bytes());
        let last = series.samples.back();
        out.integer(last.map_or(0, |sample| sample.at_s as i64));
        out.integer(last.map_or(0, |sample| sample.ms as i64));
        out.integer(series.longest_ms as i64);
    }
    Ok(After::Reply)
}

fn reset(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let latency = &context.server.latency;
    let known = match call.len() {
        2 => latency.all().iter().filter(|(event, _)| latency.forget(event.as_bytes())).count(),
        _ => call.request.iter().skip(2).filter(|event| latency.forget(event)).count(),
    };
    reply.integer(known as i64);
    Ok(After::Reply)
}
