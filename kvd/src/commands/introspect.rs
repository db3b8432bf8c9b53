//! COMMAND: what clients ask about the table. Everything is derived from the rows.

use resp::{ReplyWriter, Request};

use super::args::is;
use super::category::{Access, Categories, access};
use super::documentation::write_docs;
use super::error::{GETKEYS_ARITY, GETKEYS_COMMAND, GETKEYS_INVALID, GETKEYS_NO_KEYS, SYNTAX};
use super::glob::{self, Case};
use super::touch::{key_flags, key_flags_in};
use super::{
    After, Call, Command, CommandError, Context, Entry, Flag, Group, Reply, ServerHandler, all, find, help, lookup,
};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::server("COMMAND", "[subcommand ...]", command)
    .flags(FLAGS)
    .group(Group::Server)
    .since("2.8.13")
    .cost("O(N), N being the number of commands")
    .tips(&["nondeterministic_output_order"])
    .doc("Describes all commands.")
    .subcommands(SUBCOMMANDS)];

const FLAGS: &[Flag] = &[Flag::Loading, Flag::Stale, Flag::OfConnection];

const SUBCOMMANDS: &[Command] = &[
    sub("COUNT", "", count).since("2.8.13").doc("Returns the number of commands."),
    sub("DOCS", "[command-name ...]", docs)
        .since("7.0.0")
        .cost("O(N), N being the number of commands named")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns the documentation of commands, of all when none is named."),
    sub("GETKEYS", "command [argument ...]", getkeys)
        .since("2.8.13")
        .cost("O(N), N being the number of arguments")
        .doc("Returns the keys in a request."),
    sub("GETKEYSANDFLAGS", "command [argument ...]", getkeysandflags)
        .since("7.0.0")
        .cost("O(N), N being the number of arguments")
        .doc("Returns the keys in a request and what it does to them."),
    help::row(Group::Server).flags(FLAGS),
    sub("INFO", "[command-name ...]", info)
        .since("2.8.13")
        .cost("O(N), N being the number of commands named")
        .tips(&["nondeterministic_output_order"])
        .doc("Describes commands, all when none is named."),
    sub("LIST", "[FILTERBY {MODULE module-name | ACLCAT category | PATTERN pattern:pattern}]", list)
        .since("7.0.0")
        .cost("O(N), N being the number of commands")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns the names of commands."),
];

const fn sub(name: &'static str, usage: &'static str, handler: ServerHandler) -> Command {
    Command::server(name, usage, handler).flags(FLAGS).group(Group::Server)
}

type ServerDone = Result<After, CommandError>;

/// Without a subcommand; an unknown one has been answered before.
fn command(_context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let mut out = reply.write();
    out.array(all().len());
    for entry in all() {
        write_info(&mut out, entry);
    }
    Ok(After::Reply)
}

fn count(_context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.integer(all().len() as i64);
    Ok(After::Reply)
}

fn info(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    if call.len() == 2 {
        return command(context, call, reply);
    }
    let mut out = reply.write();
    out.array(call.len() - 2);
    for index in 2..call.len() {
        match find(call.arg(index)) {
            Some(entry) => write_info(&mut out, entry),
            None => out.null(),
        }
    }
    Ok(After::Reply)
}

fn docs(_context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let named: Vec<&Entry> = if call.len() == 2 {
        all().iter().collect()
    } else {
        (2..call.len()).filter_map(|index| find(call.arg(index))).collect()
    };
    let mut out = reply.write();
    out.map(named.len());
    for entry in named {
        write_docs(&mut out, entry);
    }
    Ok(After::Reply)
}

fn list(_context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let filter = match call.len() {
        2 => Filter::None,
        5 if is(call.arg(2), "FILTERBY") => Filter::parse(call.arg(3), call.arg(4))?,
        _ => return Err(SYNTAX),
    };
    let entries = all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands));
    let names: Vec<&str> = entries.filter(|entry| filter.keeps(entry)).map(|entry| &*entry.full_name).collect();
    let mut out = reply.write();
    out.array(names.len());
    for name in names {
        out.bulk(name.as_bytes());
    }
    Ok(After::Reply)
}

/// Which commands COMMAND LIST names.
enum Filter<'a> {
    None,
    /// There are no modules, so no command is of one.
    Module,
    Category(&'a [u8]),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(by: &[u8], value: &'a [u8]) -> Result<Filter<'a>, CommandError> {
        [("MODULE", Filter::Module), ("ACLCAT", Filter::Category(value)), ("PATTERN", Filter::Pattern(value))]
            .into_iter()
            .find_map(|(word, filter)| is(by, word).then_some(filter))
            .ok_or(SYNTAX)
    }

    fn keeps(&self, entry: &Entry) -> bool {
        match self {
            Filter::None => true,
            Filter::Module => false,
            Filter::Category(name) => Categories::named(name).is_some_and(|category| entry.categories.meet(category)),
            Filter::Pattern(pattern) => glob::matches(pattern, entry.full_name.as_bytes(), Case::Ignored),
        }
    }
}

fn getkeys(_context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let (_, positions) = keys_of(&call.request)?;
    let mut out = reply.write();
    out.array(positions.len());
    for position in positions {
        out.bulk(call.arg(position + NESTED));
    }
    Ok(After::Reply)
}

fn getkeysandflags(_context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let (entry, positions) = keys_of(&call.request)?;
    let mut out = reply.write();
    out.array(positions.len());
    for (index, position) in positions.into_iter().enumerate() {
        out.array(2);
        out.bulk(call.arg(position + NESTED));
        write_set(&mut out, key_flags_in(entry.command, &call.request.from(NESTED), index));
    }
    Ok(After::Reply)
}

/// Words of `COMMAND GETKEYS` before the request that it asks about.
const NESTED: usize = 2;

/// The command of a nested request and where its keys are.
fn keys_of(request: &Request<'_>) -> Result<(&'static Entry, Vec<usize>), CommandError> {
    let words = request.len() - NESTED;
    let name = request.get(NESTED).unwrap_or_default();
    let mut entry = lookup(name).ok_or(GETKEYS_COMMAND)?;
    if !entry.subcommands.is_empty()
        && let Some(name) = request.get(NESTED + 1)
    {
        entry = entry.subcommand(name).ok_or(GETKEYS_COMMAND)?;
    }
    // A shard channel stands where a key would.
    if !entry.syntax.keys.exist() || entry.command.key_flags == ["not_key"] {
        return Err(GETKEYS_NO_KEYS);
    }
    if !entry.syntax.fits(words) {
        return Err(GETKEYS_ARITY);
    }
    let nested = request.from(NESTED);
    let keys = &entry.syntax.keys;
    let mut positions: Vec<usize> = keys.positions(&nested).collect();
    if !keys.words.is_empty() && positions.len() > keys.single + 1 {
        // Of an option that is given twice the last one counts.
        positions.drain(keys.single..positions.len() - 1);
    }
    let counted = keys.positions(&nested).filter(|position| *position > keys.counted).count();
    if keys.counted != 0 && counted == 0 {
        return Err(GETKEYS_INVALID);
    }
    Ok((entry, positions))
}

fn write_info(out: &mut ReplyWriter<'_>, entry: &Entry) {
    let keys = &entry.syntax.keys;
    out.array(10);
    out.bulk(entry.full_name.as_bytes());
    out.integer(entry.syntax.arity);
    write_set(out, flags(entry));
    out.integer(keys.first as i64);
    out.integer(keys.last);
    out.integer(keys.step as i64);
    let categories: Vec<String> = entry.categories.names().map(|name| format!("@{name}")).collect();
    write_set(out, categories.iter().map(String::as_str).collect());
    out.set(entry.command.tips.len());
    for tip in entry.command.tips {
        out.bulk(tip.as_bytes());
    }
    write_key_specs(out, entry);
    // Redis sends a set where there are none.
    match entry.subcommands.len() {
        0 => out.set(0),
        length => out.array(length),
    }
    for subcommand in &entry.subcommands {
        write_info(out, subcommand);
    }
}

pub(super) fn write_set(out: &mut ReplyWriter<'_>, words: Vec<&str>) {
    out.set(words.len());
    for word in words {
        out.simple(word);
    }
}

/// The flags of COMMAND INFO, in Redis's order.
fn flags(entry: &Entry) -> Vec<&'static str> {
    let command = entry.command;
    let by_access = match access(command) {
        Access::None => None,
        Access::Read => Some("readonly"),
        Access::Write => Some("write"),
    };
    let named = [
        (Flag::DenyOom, "denyoom"),
        (Flag::Admin, "admin"),
        (Flag::PubSub, "pubsub"),
        (Flag::NoScript, "noscript"),
        (Flag::Blocking, "blocking"),
        (Flag::Loading, "loading"),
        (Flag::Stale, "stale"),
        (Flag::SkipMonitor, "skip_monitor"),
        (Flag::SkipSlowlog, "skip_slowlog"),
        (Flag::Fast, "fast"),
        (Flag::NoAuth, "no_auth"),
        (Flag::NoAsyncLoading, "no_async_loading"),
        (Flag::NoMulti, "no_multi"),
        (Flag::AllowBusy, "allow_busy"),
    ];
    let named = named.into_iter().filter(|(flag, _)| command.has(*flag)).map(|(_, name)| name);
    // What it says where its keys are is not all, or depends on a request.
    let movable = (entry.syntax.keys.is_movable() || command.widens.is_some()).then_some("movablekeys");
    by_access.into_iter().chain(named).chain(movable).collect()
}

fn write_key_specs(out: &mut ReplyWriter<'_>, entry: &Entry) {
    let keys = &entry.syntax.keys;
    // Keys beside each other that are treated alike are told in one.
    let alike = keys.single > 1 && keys.last > 0 && entry.command.key_flags.len() < 2;
    let plain = match keys.first {
        0 => 0,
        _ if alike => 1,
        _ => keys.single + usize::from(keys.last < 0),
    };
    let counted = usize::from(keys.counted != 0);
    let unnamed = usize::from(entry.command.widens.is_some());
    out.set(plain + counted + unnamed + keys.words.len());
    for index in 0..plain {
        write_spec_flags(out, entry, index);
        write_spec_part(out, "begin_search", "index", &[("index", (keys.first + index) as i64)]);
        let last = match index {
            _ if alike => keys.single as i64 - 1,
            _ if index == keys.single => keys.last,
            _ => 0,
        };
        write_spec_part(out, "find_keys", "range", &[("lastkey", last), ("keystep", keys.step as i64), ("limit", 0)]);
    }
    if counted == 1 {
        write_spec_flags(out, entry, plain);
        write_spec_part(out, "begin_search", "index", &[("index", keys.counted as i64)]);
        write_spec_part(out, "find_keys", "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
    }
    if unnamed == 1 {
        out.map(3);
        out.bulk(b"flags");
        write_set(out, vec!["RO", "access"]);
        write_unknown_spec(out);
    }
    for (index, word) in keys.words.iter().enumerate() {
        write_spec_flags(out, entry, plain + counted + index);
        if unnamed == 1 {
            // Redis: the word could also be an argument of another option.
            write_unknown_spec(out);
            continue;
        }
        out.bulk(b"begin_search");
        out.map(2);
        out.bulk(b"type");
        out.bulk(b"keyword");
        out.bulk(b"spec");
        out.map(2);
        out.bulk(b"keyword");
        out.bulk(word.as_bytes());
        out.bulk(b"startfrom");
        out.integer(keys.first as i64 + 1);
        write_spec_part(out, "find_keys", "range", &[("lastkey", 0), ("keystep", 1), ("limit", 0)]);
    }
}

fn write_unknown_spec(out: &mut ReplyWriter<'_>) {
    write_spec_part(out, "begin_search", "unknown", &[]);
    write_spec_part(out, "find_keys", "unknown", &[]);
}

fn write_spec_flags(out: &mut ReplyWriter<'_>, entry: &Entry, index: usize) {
    out.map(3);
    out.bulk(b"flags");
    write_set(out, key_flags(entry.command, index));
}

fn write_spec_part(out: &mut ReplyWriter<'_>, name: &str, kind: &str, numbers: &[(&str, i64)]) {
    out.bulk(name.as_bytes());
    out.map(2);
    out.bulk(b"type");
    out.bulk(kind.as_bytes());
    out.bulk(b"spec");
    out.map(numbers.len());
    for (name, number) in numbers {
        out.bulk(name.as_bytes());
        out.integer(*number);
    }
}
