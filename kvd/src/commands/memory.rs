//! MEMORY: where the memory is, as far as it is counted.

use engine::DATABASES;
use resp::ReplyWriter;

use super::args::{integer, is};
use super::error::SYNTAX;
use super::{After, Call, Command, CommandError, Context, Done, Flag, Group, Reply, ServerHandler, View, help};
use crate::observe::info::Sources;
use crate::server::execute::whole_store_gate;

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::container("MEMORY", SUBCOMMANDS).group(Group::Server).since("4.0.0").doc("Commands about memory.")];

const SUBCOMMANDS: &[Command] = &[
    sub("DOCTOR", doctor)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("Returns for people what there is to say about memory."),
    sub("MALLOC-STATS", malloc_stats)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .cost("Depends on how much memory is allocated, could be slow")
        .doc("Returns the figures of the allocator, which has none."),
    sub("PURGE", purge)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .cost("Depends on how much memory is allocated, could be slow")
        .doc("Changes nothing: the allocator gives free memory back by itself."),
    sub("STATS", stats)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("Returns figures of memory; what is not counted is left out."),
    Command::read("USAGE", "@key [SAMPLES count:int]", usage)
        .group(Group::Server)
        .flags(&[Flag::NoUse, Flag::NotOfKeyspace])
        .since("4.0.0")
        .cost("O(1)")
        .key_flags(&["RO"])
        .doc("Returns the bytes of memory that a key and its value take; they are counted, so that SAMPLES changes nothing."),
    help::row(Group::Server).since("4.0.0"),
];

const fn sub(name: &'static str, handler: ServerHandler) -> Command {
    Command::server(name, "", handler).group(Group::Server).since("4.0.0")
}

type ServerDone = Result<After, CommandError>;

fn usage(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let mut at = 3;
    while at < call.len() {
        if !is(call.arg(at), "SAMPLES") || at + 1 == call.len() || integer(call.arg(at + 1))? < 0 {
            return Err(SYNTAX);
        }
        at += 2;
    }
    // Not a use of the key: it counts as neither found nor missed.
    match view.transaction().get(&call.keys[0]) {
        Some(item) => reply.integer(item.memory() as i64),
        None => reply.null(),
    }
    Ok(())
}

fn malloc_stats(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.write().verbatim(b"txt", b"Stats not supported for the current allocator");
    Ok(After::Reply)
}

/// As in Redis with any allocator but its own.
fn purge(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.ok();
    Ok(After::Reply)
}

/// A figure of STATS.
enum Figure {
    Bytes(u64),
    Ratio(f64),
}

fn stats(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    use Figure::{Bytes, Ratio};
    let sources = Sources::new(context.server);
    let used = sources.store().memory();
    let resident = sources.process().resident_bytes;
    let keys: u64 = (0..DATABASES as u8).map(|database| sources.store().key_count(database)).sum();
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    let figures = [
        ("peak.allocated", Bytes(sources.peak_memory())),
        ("total.allocated", Bytes(used)),
        // Keys and values are counted, and there were none.
        ("startup.allocated", Bytes(0)),
        ("replication.backlog", Bytes(0)),
        ("clients.slaves", Bytes(0)),
        ("clients.normal", Bytes(sources.clients().buffered_bytes)),
        ("cluster.links", Bytes(0)),
        ("aof.buffer", Bytes(sources.unwritten_log_bytes())),
        ("lua.caches", Bytes(0)),
        ("functions.caches", Bytes(0)),
        ("keys.count", Bytes(keys)),
        ("keys.bytes-per-key", Bytes(used.checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Bytes(used)),
        ("dataset.percentage", Ratio(percent(used, used))),
        ("peak.percentage", Ratio(percent(used, sources.peak_memory()))),
        ("fragmentation", Ratio(percent(resident, used) / 100.0)),
        ("fragmentation.bytes", Bytes(resident.saturating_sub(used))),
    ];
    let mut out = reply.write();
    out.map(figures.len());
    figures.into_iter().for_each(|(name, figure)| write_figure(&mut out, name, figure));
    Ok(After::Gate(whole_store_gate(context.server)))
}

fn write_figure(out: &mut ReplyWriter<'_>, name: &str, figure: Figure) {
    out.bulk(name.as_bytes());
    match figure {
        Figure::Bytes(bytes) => out.integer(i64::try_from(bytes).unwrap_or(i64::MAX)),
        Figure::Ratio(ratio) => out.double(ratio),
    }
}

const EMPTY: &str = "There is too little data to say anything about its memory.\n";
const HEALTHY: &str = "No issue was found in what is counted of the memory.\n";
const FOUND: &str = "What was found:\n\n";
const PEAK: &str = " * Keys and values took more than one and a half times as much at their peak as they take now. The memory has been \
                    given back; as much may be needed again.\n\n";
const RESIDENT: &str = " * The process is larger by 40 % than the keys and values it holds. Connections, buffers, the log's \
                        unwritten end and a peak that has just passed count too.\n\n";
const CLIENTS: &str = " * Clients have more than 200 KiB each in their buffers on average: they ask for more than they read, or \
                       subscribe to more than they take.\n\n";

/// Below this there is nothing to say, as in Redis.
const LITTLE_BYTES: u64 = 5 << 20;
/// Less than this is no waste worth a word.
const WASTE_BYTES: u64 = 10 << 20;
const BIG_BUFFER_BYTES: u64 = 200 << 10;

fn doctor(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let sources = Sources::new(context.server);
    let (used, resident) = (sources.store().memory(), sources.process().resident_bytes);
    let clients = sources.clients();
    let findings: String = [
        (sources.peak_memory() > used + used / 2, PEAK),
        (resident > used + used * 2 / 5 && resident - used > WASTE_BYTES, RESIDENT),
        (clients.buffered_bytes > BIG_BUFFER_BYTES * clients.count, CLIENTS),
    ]
    .into_iter()
    .filter_map(|(is_so, finding)| is_so.then_some(finding))
    .collect();
    let text = match (used, findings.as_str()) {
        (..LITTLE_BYTES, _) => EMPTY.to_owned(),
        (_, "") => HEALTHY.to_owned(),
        (_, findings) => [FOUND, findings].concat(),
    };
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Gate(whole_store_gate(context.server)))
}
