//! ACL: users and what they may do.

use std::sync::Arc;

use super::args::{integer, is};
use super::category::{Categories, NAMES};
use super::error::{DEFAULT_USER_STAYS, GENPASS_BITS, NO_ACL_FILE, NOT_IN_MULTI, USER_NAME};
use super::{
    After, Call, Command, CommandError, Context, Errand, Flag, Group, Handler, Reply, ServerHandler, all, help, lookup,
};
use crate::acl::log::LogEntry;
use crate::acl::{self, DEFAULT_USER, Reason, RuleError, User};
use crate::server::{dismiss, user_file};

const OPEN: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::container("ACL", SUBCOMMANDS).group(Group::Server).since("6.0.0").doc("Commands about users.")];

const SUBCOMMANDS: &[Command] = &[
    sub("CAT", "[category]", OPEN, cat).doc("Returns the categories, or the commands of one."),
    sub("DELUSER", "username ...", ADMIN, delete)
        .secrets(|_, argument| argument > 1)
        .cost("O(1) for every user, O(N) for N clients that are connected")
        .doc("Removes users and closes their connections."),
    sub("DRYRUN", "username command [arg ...]", ADMIN, dry_run)
        .since("7.0.0")
        .doc("Tells whether a user may send a request, without running it."),
    sub("GENPASS", "[bits:int]", OPEN, generate).doc("Returns a random password of hexadecimal digits."),
    sub("GETUSER", "username", ADMIN, get)
        .secrets(|_, argument| argument > 1)
        .cost("O(N), N being the number of rules of the user")
        .doc("Returns what a user may do."),
    help::row(Group::Server).since("6.0.0"),
    sub("LIST", "", ADMIN, list).cost("O(N), N being the number of users").doc("Returns the users as lines of a file."),
    sub("LOAD", "", ADMIN, load)
        .cost("O(N), N being the number of users")
        .doc("Makes the users anew that the file of users declares, all or none."),
    sub("LOG", "[count:int | RESET]", ADMIN, log)
        .cost("O(N), N being the number of entries")
        .doc("Returns what was denied lately, or forgets it."),
    sub("SAVE", "", ADMIN, save).cost("O(N), N being the number of users").doc("Writes the users to their file."),
    sub("SETUSER", "username [rule ...]", ADMIN, set)
        .secrets(|_, argument| argument > 1)
        .cost("O(N), N being the number of rules")
        .doc("Changes what a user may do, or makes one."),
    sub("USERS", "", ADMIN, users).cost("O(N), N being the number of users").doc("Returns the names of the users."),
    sub("WHOAMI", "", OPEN, who_am_i).doc("Returns the name of the connection's user."),
];

const fn sub(name: &'static str, usage: &'static str, flags: &'static [Flag], handler: ServerHandler) -> Command {
    Command::server(name, usage, handler).group(Group::Server).flags(flags).since("6.0.0")
}

type ServerDone = Result<After, CommandError>;

fn cat(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let names: Vec<&str> = match call.len() {
        2 => NAMES.to_vec(),
        3 => {
            let name = call.arg(2);
            let category = Categories::named(name).ok_or_else(|| CommandError::option("Unknown category", name))?;
            let entries = all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands));
            entries.filter(|entry| entry.categories.meet(category)).map(|entry| &*entry.full_name).collect()
        }
        _ => return Err(CommandError::subcommand_arity("ACL", call.arg(1))),
    };
    let mut out = reply.write();
    out.array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(After::Reply)
}

fn delete(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let names = || call.request.iter().skip(2);
    if names().any(|name| name == DEFAULT_USER.as_bytes()) {
        return Err(DEFAULT_USER_STAYS);
    }
    let removed = names().filter(|name| context.server.users.remove(name).is_some()).count();
    reply.integer(removed as i64);
    Ok(after_change(context))
}

/// Closes the connections that may no more what they do; this one when it has been answered.
fn after_change(context: &Context<'_, '_>) -> After {
    match dismiss::dismiss(context.server, context.session.client.id) {
        true => After::Close,
        false => After::Reply,
    }
}

fn dry_run(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let (name, command) = (call.arg(2), call.arg(3));
    let user = context.server.users.get(name).ok_or_else(|| CommandError::not_found("User", name))?;
    let request = call.request.from(3);
    let unknown = || CommandError::not_found("Command", command);
    let mut entry = lookup(command).ok_or_else(unknown)?;
    if let (false, Some(word)) = (entry.subcommands.is_empty(), request.get(1)) {
        entry = entry.subcommand(word).ok_or_else(unknown)?;
    }
    if !entry.syntax.fits(request.len()) || matches!(entry.command.handler, Handler::Container) {
        return Err(CommandError::arity(&entry.full_name));
    }
    if let Err(denial) = user.check(entry, &request) {
        let text = CommandError::denied_in_detail(user.name(), entry, &request, denial);
        reply.bulk(text.as_bytes());
    } else if let Err(denied) = user.check_reach(entry, &request) {
        // Without the word that clients match errors by.
        let text = denied.0.split_once(' ').map_or("", |(_, text)| text);
        reply.bulk(text.as_bytes());
    } else {
        reply.ok();
    }
    Ok(After::Reply)
}

/// Bits of a password that is not asked for shorter or longer, and of the longest.
const BITS: i64 = 256;
const MOST_BITS: i64 = 4096;

fn generate(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let bits = match call.len() {
        2 => BITS,
        3 => integer(call.arg(2))?,
        _ => return Err(CommandError::subcommand_arity("ACL", call.arg(1))),
    };
    if !(1..=MOST_BITS).contains(&bits) {
        return Err(GENPASS_BITS);
    }
    let digits = (bits as usize).div_ceil(4);
    let mut password = String::with_capacity(digits + 32);
    while password.len() < digits {
        let secret = engine::random::secret().map_err(|error| CommandError::text(format!("ERR {error}")))?;
        secret.iter().for_each(|byte| password.push_str(&format!("{byte:02x}")));
    }
    reply.bulk(&password.as_bytes()[..digits]);
    Ok(After::Reply)
}

fn get(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let Some(user) = context.server.users.get(call.arg(2)) else {
        reply.null();
        return Ok(After::Reply);
    };
    let mut out = reply.write();
    out.map(6);
    out.bulk(b"flags");
    let flags = user.flags();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    out.array(user.passwords().len());
    user.passwords().for_each(|digest| out.bulk(digest.as_bytes()));
    let mut texts = user.texts();
    let parts = |texts: Option<[Vec<u8>; 3]>| {
        let [keys, channels, commands] = texts.unwrap_or_default();
        [(&b"commands"[..], commands), (b"keys", keys), (b"channels", channels)]
    };
    for (name, text) in parts(texts.next()) {
        out.bulk(name);
        out.bulk(&text);
    }
    let selectors: Vec<_> = texts.collect();
    out.bulk(b"selectors");
    out.array(selectors.len());
    for texts in selectors {
        out.map(3);
        for (name, text) in parts(Some(texts)) {
            out.bulk(name);
            out.bulk(&text);
        }
    }
    Ok(After::Reply)
}

fn list(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    write_all(context.server.users.all(), reply, User::line);
    Ok(After::Reply)
}

fn users(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    write_all(context.server.users.all(), reply, |user| user.name().to_vec());
    Ok(After::Reply)
}

fn write_all(users: Vec<Arc<User>>, reply: &mut Reply<'_>, text: impl Fn(&User) -> Vec<u8>) {
    reply.write().array(users.len());
    users.iter().for_each(|user| reply.bulk(&text(user)));
}

fn load(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let path = user_file::path(&context.server.settings()).ok_or(NO_ACL_FILE)?;
    if context.held.is_some() {
        // Locks are held, and this waits for the disk.
        return Err(NOT_IN_MULTI);
    }
    let read = user_file::read(&path);
    let declared = read.map_err(|problem| CommandError::text(format!("ERR {}", problem.replace(['\r', '\n'], " "))))?;
    context.server.users.load(&declared).map_err(|error| wrong_rule(&error))?;
    reply.ok();
    Ok(after_change(context))
}

fn save(context: &mut Context<'_, '_>, _: &Call<'_>, _: &mut Reply<'_>) -> ServerDone {
    let path = user_file::path(&context.server.settings()).ok_or(NO_ACL_FILE)?;
    if context.held.is_some() {
        // Locks are held, and this waits for the disk.
        return Err(NOT_IN_MULTI);
    }
    let users = context.server.users.all();
    Ok(After::Elsewhere(Errand(Box::new(move || {
        user_file::write(&path, &users).map_err(|error| {
            tracing::warn!("ACL SAVE failed: {error}");
            super::error::ACL_SAVE
        })
    }))))
}

fn log(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let log = &context.server.users.log;
    let most = match call.len() {
        2 => 10,
        3 if is(call.arg(2), "RESET") => {
            log.clear();
            reply.ok();
            return Ok(After::Reply);
        }
        3 => usize::try_from(integer(call.arg(2))?).unwrap_or(0),
        _ => return Err(CommandError::subcommand_arity("ACL", call.arg(1))),
    };
    let now_ms = context.server.clock.wall_ms();
    let entries = log.latest(most);
    reply.write().array(entries.len());
    entries.iter().for_each(|entry| write_entry(entry, now_ms, reply));
    Ok(After::Reply)
}

fn write_entry(entry: &LogEntry, now_ms: u64, reply: &mut Reply<'_>) {
    let denied = &entry.denied;
    let reason = match denied.reason {
        Reason::Command => "command",
        Reason::Key => "key",
        Reason::Channel => "channel",
        Reason::Auth => "auth",
    };
    let mut out = reply.write();
    out.map(10);
    out.bulk(b"count");
    out.integer(entry.count as i64);
    let texts: [(&str, &[u8]); 4] = [
        ("reason", reason.as_bytes()),
        ("context", denied.context.as_bytes()),
        ("object", &denied.object),
        ("username", &denied.user),
    ];
    for (name, text) in texts {
        out.bulk(name.as_bytes());
        out.bulk(text);
    }
    out.bulk(b"age-seconds");
    out.double(now_ms.saturating_sub(entry.created_ms) as f64 / 1000.0);
    out.bulk(b"client-info");
    out.bulk(denied.client.as_bytes());
    let numbers =
        [("entry-id", entry.id), ("timestamp-created", entry.created_ms), ("timestamp-last-updated", entry.updated_ms)];
    for (name, number) in numbers {
        out.bulk(name.as_bytes());
        out.integer(number as i64);
    }
}

fn set(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let name = call.arg(2);
    if !acl::text::is_name(name) {
        return Err(USER_NAME);
    }
    let words: Vec<&[u8]> = call.request.iter().skip(3).collect();
    let set = acl::text::merge(&words).and_then(|rules| context.server.users.set(name, &rules));
    set.map_err(|error| wrong_rule(&error))?;
    reply.ok();
    Ok(after_change(context))
}

fn wrong_rule(error: &RuleError) -> CommandError {
    CommandError::text(format!("ERR {error}").replace(['\r', '\n'], " "))
}

fn who_am_i(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.bulk(context.session.user.name());
    Ok(After::Reply)
}
