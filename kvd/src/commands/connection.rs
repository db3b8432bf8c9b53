//! Commands about this connection: protocol, password, database.

use std::sync::atomic::Ordering;

use engine::DATABASES;
use resp::{Request, Version, exact_integer};

use super::args::{int, is};
use super::client;
use super::error::{
    AUTH_WITHOUT_PASSWORD, DATABASE_RANGE, HELLO_NO_AUTH, NO_PROTO, PROTOCOL_VERSION, SYNTAX, WRONG_PASSWORD,
};
use super::{After, Call, Command, CommandError, Context, Done, Flag, Group, Reply};
use crate::acl::{DEFAULT_USER, Reason};
use crate::observe::REDIS_VERSION;

/// Flags of what is allowed before AUTH.
const OPEN: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth, Flag::AllowBusy];

/// Flags of what is allowed before AUTH, to subscribers and between MULTI and EXEC.
const ALWAYS: &[Flag] = &[
    Flag::NoScript,
    Flag::Loading,
    Flag::Stale,
    Flag::Fast,
    Flag::NoAuth,
    Flag::AllowBusy,
    Flag::InSubscription,
    Flag::InMulti,
];

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("AUTH", "[username] password", auth)
        .group(Group::Connection)
        .flags(OPEN)
        .secrets(|_, argument| argument > 0)
        .cost("O(N) where N is the number of passwords of the user")
        .doc("Tells the server who is there."),
    Command::server("ECHO", "message", echo)
        .group(Group::Connection)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .doc("Returns its argument."),
    Command::server("HELLO", "[protover:int [AUTH username password] [SETNAME clientname]]", hello)
        .group(Group::Connection)
        .flags(OPEN)
        .secrets(is_hello_secret)
        .since("6.0.0")
        .doc("Chooses the protocol, authenticates and names the connection, in one go."),
    Command::server("PING", "[message]", ping)
        .group(Group::Connection)
        .flags(&[Flag::Fast, Flag::InSubscription])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Returns PONG, or its argument."),
    Command::server("QUIT", "...", quit)
        .group(Group::Connection)
        .flags(ALWAYS)
        .doc("Closes the connection when its replies are sent."),
    Command::server("RESET", "", reset)
        .group(Group::Connection)
        .flags(ALWAYS)
        .since("6.2.0")
        .doc("Makes the connection as it was when it came."),
    Command::server("SELECT", "index:int", select)
        .group(Group::Connection)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .doc("Chooses the database."),
];

fn auth(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    match call.len() {
        2 if context.server.users.default_user().needs_no_password() => return Err(AUTH_WITHOUT_PASSWORD),
        2 => authenticate(context, call, DEFAULT_USER.as_bytes(), call.arg(1))?,
        3 => authenticate(context, call, call.arg(1), call.arg(2))?,
        _ => return Err(SYNTAX),
    }
    reply.ok();
    Ok(After::Reply)
}

fn echo(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.bulk(call.arg(1));
    Ok(After::Reply)
}

/// What HELLO was asked for, all of it checked before any of it is done.
#[derive(Default)]
struct Hello<'a> {
    version: Option<Version>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    fn parse(call: &Call<'a>) -> Result<Hello<'a>, CommandError> {
        let mut hello = Hello::default();
        if call.len() == 1 {
            return Ok(hello);
        }
        hello.version = Some(match exact_integer(call.arg(1)) {
            Some(2) => Version::Resp2,
            Some(3) => Version::Resp3,
            Some(_) => return Err(NO_PROTO),
            None => return Err(PROTOCOL_VERSION),
        });
        let mut at = 2;
        while at < call.len() {
            let (option, left) = (call.arg(at), call.len() - at - 1);
            if is(option, "AUTH") && left >= 2 {
                hello.credentials = Some((call.arg(at + 1), call.arg(at + 2)));
                at += 3;
            } else if is(option, "SETNAME") && left >= 1 {
                hello.name = Some(client::checked_name(call.arg(at + 1))?);
                at += 2;
            } else {
                return Err(CommandError::option("Syntax error in HELLO option", option));
            }
        }
        Ok(hello)
    }
}

fn hello(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let hello = Hello::parse(call)?;
    if let Some((user, password)) = hello.credentials {
        authenticate(context, call, user, password)?;
    }
    let session = &mut *context.session;
    if !session.authenticated {
        return Err(HELLO_NO_AUTH);
    }
    if let Some(name) = hello.name {
        session.client.set_name(name);
    }
    if let Some(version) = hello.version {
        session.version = version;
        session.publish();
        reply.set_version(version);
    }
    let mut out = reply.write();
    out.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.integer(if session.version == Version::Resp3 { 3 } else { 2 });
    out.bulk(b"id");
    out.integer(session.client.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
    Ok(After::Reply)
}

/// User and password behind AUTH.
fn is_hello_secret(request: &Request<'_>, argument: usize) -> bool {
    let mut at = 2;
    while let Some(option) = request.get(at) {
        match option {
            option if is(option, "AUTH") && (at + 1..at + 3).contains(&argument) => return true,
            option if is(option, "AUTH") => at += 3,
            _ => at += 2,
        }
    }
    false
}

fn ping(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    match call.len() {
        1 | 2 if context.session.only_subscribes() => {
            let mut out = reply.write();
            out.array(2);
            out.bulk(b"pong");
            out.bulk(call.request.get(1).unwrap_or_default());
        }
        1 => reply.write().simple("PONG"),
        2 => reply.bulk(call.arg(1)),
        _ => return Err(CommandError::arity(&call.entry.full_name)),
    }
    Ok(After::Reply)
}

fn quit(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.ok();
    Ok(After::Close)
}

fn reset(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    if context.session.has_many_subscriptions() && context.may_go_apart() {
        return Ok(After::Apart);
    }
    context.session.reset(context.server);
    reply.set_version(context.session.version);
    reply.write().simple("RESET");
    Ok(After::Reply)
}

fn select(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let index = int(call.arg(1))?;
    let databases = context.server.hot.databases.load(Ordering::Relaxed).min(DATABASES as u64);
    let chosen = u8::try_from(index).ok().filter(|index| u64::from(*index) < databases);
    context.session.database = chosen.ok_or(DATABASE_RANGE)?;
    context.session.publish();
    reply.ok();
    Ok(After::Reply)
}

/// Makes the connection a user's, if the password is right. A wrong one takes nothing away.
fn authenticate(context: &mut Context<'_, '_>, call: &Call<'_>, user: &[u8], password: &[u8]) -> Done {
    match context.server.users.authenticate(user, password) {
        Some(user) => context.session.set_user(user),
        None => {
            let asker = context.session.asker(context.held.is_some());
            asker.note_denied(Reason::Auth, call.arg(0), user, context.server);
            return Err(WRONG_PASSWORD);
        }
    }
    Ok(())
}
