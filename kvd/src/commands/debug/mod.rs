//! DEBUG: for tests of clients and of this server. Allowed to those whom `enable-debug-command` names.
//!
//! What Redis has here and would only be pretended, such as its crashes and the figures of its hash tables, is an unknown
//! subcommand.

mod digest;
mod passes;
mod sample;
mod sha1;

use std::io::Write;
use std::ops::RangeInclusive;

use engine::{Item, Key, value};
use resp::exact_integer;

use super::args::{integer, is};
use super::config::rewrite_file;
use super::error::{
    DEBUG_FORBIDDEN, NO_LISTPACK, NO_SUCH_KEY, NOT_IN_MULTI, NOT_POSITIVE, PACKED_THRESHOLD, RELOAD_NO_DUMP,
    RELOAD_OPTION, STRING_TOO_LONG,
};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply, dump, object};
use crate::config::parse_size;
use crate::server::execute::whole_store_gate;
use crate::session::gate;
use passes::{Population, Remaking, Signature};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::server("DEBUG", "subcommand [argument ...]", debug)
    .group(Group::Server)
    .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Protected])
    .cost("Depends on subcommand.")
    .doc("Commands for tests.")];

type ServerDone = Result<After, CommandError>;

/// One subcommand.
struct Subcommand {
    name: &'static str,
    usage: &'static str,
    /// Words of the whole request.
    words: RangeInclusive<usize>,
    run: fn(&mut Context<'_, '_>, &Call<'_>, &mut Reply<'_>) -> ServerDone,
    doc: &'static str,
}

const MANY: usize = usize::MAX;

const fn sub(
    name: &'static str,
    usage: &'static str,
    words: RangeInclusive<usize>,
    run: fn(&mut Context<'_, '_>, &Call<'_>, &mut Reply<'_>) -> ServerDone,
    doc: &'static str,
) -> Subcommand {
    Subcommand { name, usage, words, run, doc }
}

const SUBCOMMANDS: &[Subcommand] = &[
    sub("CHANGE-REPL-ID", "", 2..=2, change_id, "Gives the history of this server another name."),
    sub(
        "CONFIG-REWRITE-FORCE-ALL",
        "",
        2..=2,
        |context, _, _| rewrite_file(context, true),
        "CONFIG REWRITE, also of settings at their default.",
    ),
    sub("DIGEST", "", 2..=2, digest, "Returns a signature of all keys and values, the one that Redis has for them."),
    sub("DIGEST-VALUE", "key [key ...]", 2..=MANY, digest_value, "Returns a signature of each value."),
    sub("ERROR", "text", 3..=3, error, "Returns an error of this text."),
    sub("HELP", "", 2..=2, help, "Lists the subcommands."),
    sub("LISTPACK", "key", 3..=3, listpack, "Prints the lengths in a value that is kept packed."),
    sub("LOADAOF", "", 2..=MANY, load, "Makes all durable, and every value again out of its image in the log."),
    sub("LOG", "message", 3..=3, log, "Writes a message to the log for people."),
    sub("OBJECT", "key", 3..=3, object, "Returns how a value is kept."),
    sub("POPULATE", "count [prefix] [size]", 3..=5, populate, "Creates strings at key:0, key:1 and so on."),
    sub("PROTOCOL", "type", 3..=3, sample::protocol, "Returns a reply of a type."),
    sub(
        "QUICKLIST-PACKED-THRESHOLD",
        "size",
        3..=3,
        packed_threshold,
        "Lets elements of this size begin a part of a large list of their own.",
    ),
    sub("RELOAD", "[MERGE] [NOFLUSH]", 2..=MANY, reload, "Makes all durable, and every value again out of its image."),
    sub("SET-ACTIVE-EXPIRE", "0|1", 3..=3, set_active_expire, "Whether keys go in time that nobody looks at."),
    sub(
        "SET-SKIP-CHECKSUM-VALIDATION",
        "0|1",
        3..=3,
        set_skip_checksums,
        "Whether RESTORE takes dumps whose checksum is wrong.",
    ),
    sub("SLEEP", "seconds", 3..=3, sleep, "Waits; only this client does."),
    sub("STRINGMATCH-TEST", "", 2..=2, sample::match_patterns, "Matches patterns of chance."),
];

fn debug(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    if !gate::may_debug(context.session, context.server) {
        return Err(DEBUG_FORBIDDEN);
    }
    let name = call.arg(1);
    let known = SUBCOMMANDS.iter().find(|known| is(name, known.name) && known.words.contains(&call.len()));
    let known = known.ok_or_else(|| CommandError::subcommand_arity("DEBUG", name))?;
    (known.run)(context, call, reply)
}

fn help(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let mut out = reply.write();
    out.array(1 + 2 * SUBCOMMANDS.len());
    out.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for Subcommand { name, usage, doc, .. } in SUBCOMMANDS {
        out.simple(format!("{name} {usage}").trim_end());
        out.simple(format!("    {doc}"));
    }
    Ok(After::Reply)
}

/// EXEC holds the locks of the keys that its requests name; these name none.
fn outside_of_exec(context: &Context<'_, '_>) -> Result<(), CommandError> {
    if context.held.is_some() { Err(NOT_IN_MULTI) } else { Ok(()) }
}

fn change_id(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let digit = |_| char::from_digit(context.session.random.below(16) as u32, 16).unwrap_or('0');
    *context.server.history_id.write() = (0..40).map(digit).collect();
    reply.ok();
    Ok(After::Reply)
}

fn error(_: &mut Context<'_, '_>, call: &Call<'_>, _: &mut Reply<'_>) -> ServerDone {
    // A line break would end the reply.
    Err(CommandError::text(String::from_utf8_lossy(call.arg(2)).replace(['\r', '\n'], " ")))
}

fn log(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(call.arg(2)).escape_debug());
    reply.ok();
    Ok(After::Reply)
}

/// Redis stops altogether; here who does not ask for it does not wait.
fn sleep(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    // As in Redis, what is no number is none.
    let seconds: f64 = std::str::from_utf8(call.arg(2)).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    reply.ok();
    Ok(After::Sleep((seconds * 1000.0) as u64))
}

fn set_active_expire(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    // As in Redis, what is no number is 0.
    context.server.store.set_sweeps(exact_integer(call.arg(2)).unwrap_or(0) != 0);
    reply.ok();
    Ok(After::Reply)
}

fn set_skip_checksums(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    dump::skip_checksums(exact_integer(call.arg(2)).unwrap_or(0) != 0);
    reply.ok();
    Ok(After::Reply)
}

fn packed_threshold(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    const MOST: u64 = (1 << 32) - (1 << 20);
    let bytes = std::str::from_utf8(call.arg(2)).ok().and_then(parse_size).filter(|bytes| *bytes <= MOST);
    match bytes.ok_or(PACKED_THRESHOLD)? {
        0 => value::set_alone_from(usize::MAX),
        bytes => value::set_alone_from(bytes as usize),
    }
    reply.ok();
    Ok(After::Reply)
}

fn digest(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    outside_of_exec(context)?;
    super::run_slices(Box::new(Signature::default()), context, reply)
}

fn digest_value(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    outside_of_exec(context)?;
    let (store, database) = (&context.server.store, context.session.database);
    reply.write().array(call.len() - 2);
    for bytes in call.request.iter().skip(2) {
        let key = store.key(bytes);
        let mut transaction = store.begin(database, &[key], call.now_ms);
        transaction.read_at_once();
        let digest = transaction.get(&key).map_or_else(Default::default, digest::of_value);
        transaction.commit();
        reply.write().simple(digest.to_string());
    }
    Ok(After::Gate(whole_store_gate(context.server)))
}

/// Looks at the value of the key that a subcommand names.
fn look(
    context: &Context<'_, '_>,
    call: &Call<'_>,
    visit: impl FnOnce(&Key<'_>, Item<'_>) -> Result<(), CommandError>,
) -> ServerDone {
    outside_of_exec(context)?;
    let store = &context.server.store;
    let key = store.key(call.arg(2));
    let mut transaction = store.begin(context.session.database, &[key], call.now_ms);
    transaction.read_at_once();
    let visited = transaction.get(&key).ok_or(NO_SUCH_KEY).and_then(|item| visit(&key, item));
    let gate = transaction.commit();
    visited.map(|()| After::Gate(gate))
}

fn object(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let now_s = call.now_ms / 1000;
    look(context, call, |_, item| {
        let line = format!(
            "Value at:{:#x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
            item.address(),
            object::references(item),
            object::encoding(item),
            dump::serialized_bytes(item)?,
            now_s.saturating_sub(item.idle_seconds()),
            item.idle_seconds(),
        );
        reply.write().simple(line);
        Ok(())
    })
}

fn listpack(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let mut lengths: Vec<usize> = Vec::new();
    let after = look(context, call, |_, item| {
        match (item.value_type(), item.encoding()) {
            (value::LIST, "listpack") => lengths.extend(item.list()?.iter_from(0).map(<[u8]>::len)),
            (value::HASH, "listpack" | "listpackex") => {
                lengths.extend(item.hash()?.iter().flat_map(|(name, field)| [name.len(), field.value.len()]));
            }
            (value::SET, "listpack") => {
                lengths.extend(item.set()?.iter().map(|member| member.with(<[u8]>::len)));
            }
            (value::ZSET, "listpack") => lengths.extend(item.zset()?.from_rank(0).map(|(member, _)| member.len())),
            _ => return Err(NO_LISTPACK),
        }
        Ok(())
    })?;
    // Whoever closed standard output does not want to read it.
    let _ = writeln!(std::io::stdout(), "{{num entries {}}} {{lengths {lengths:?}}}", lengths.len());
    reply.write().simple("Listpack structure printed on stdout");
    Ok(after)
}

/// To read the log again in place of the values would need twice their memory and stop the server. What a start would make
/// of the log is known without: it applies the same images and operations that made what is here. So every value is
/// written as its image and made again out of it, and all is made durable before; what a start does beyond that, the
/// tests of recovery show.
fn load(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    outside_of_exec(context)?;
    let lsn = context.server.store.log().appended();
    super::run_slices(Box::new(Remaking::new(lsn)), context, reply)
}

/// The same: there is no other form on the disk than the log. With MERGE and NOFLUSH Redis loads over what is there, and
/// finds what it has just written.
fn reload(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    for word in call.request.iter().skip(2) {
        if is(word, "NOSAVE") {
            return Err(RELOAD_NO_DUMP);
        }
        if !is(word, "MERGE") && !is(word, "NOFLUSH") {
            return Err(RELOAD_OPTION);
        }
    }
    load(context, call, reply)
}

fn populate(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    outside_of_exec(context)?;
    let number = |at: usize| u64::try_from(integer(call.arg(at)).map_err(|_| NOT_POSITIVE)?).map_err(|_| NOT_POSITIVE);
    let count = number(2)?;
    let prefix = if call.len() > 3 { call.arg(3) } else { b"key" };
    let bytes = if call.len() > 4 { number(4)? } else { 0 };
    if bytes > call.max_value_bytes as u64 {
        return Err(STRING_TOO_LONG);
    }
    let population = Population::new(context.session.database, count, prefix, bytes as usize)?;
    super::run_slices(Box::new(population), context, reply)
}
