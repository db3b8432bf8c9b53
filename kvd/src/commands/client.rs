//! CLIENT: who is connected, and ending connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use resp::exact_integer;

use super::args::{integer, is};
use super::client_state;
use super::error::{
    CLIENT_ID, CLIENT_NAME, CLIENT_NAME_TOO_LONG, KILL_AGE, KILL_AGE_RANGE, KILL_ID, NO_SUCH_CLIENT, SYNTAX,
    UNBLOCK_REASON,
};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply, all, help};
use crate::acl::User;
use crate::server::blocked::Ended;
use crate::session::registry::Client;

const PLAIN: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::container("CLIENT", SUBCOMMANDS)
    .group(Group::Connection)
    .since("2.4.0")
    .doc("Commands about connections.")];

const SUBCOMMANDS: &[Command] = &[
    Command::server("GETNAME", "", get_name)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("2.6.9")
        .doc("Returns the name of this connection."),
    Command::server("ID", "", id)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("5.0.0")
        .doc("Returns the number of this connection, which no other ever has."),
    Command::server("INFO", "", info)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("6.2.0")
        .tips(&["nondeterministic_output"])
        .doc("Returns the line of CLIENT LIST about this connection."),
    Command::server(
        "KILL",
        "ip-port | {ID client-id:int | TYPE {NORMAL | MASTER | REPLICA | PUBSUB} | USER username | ADDR ip-port | \
         LADDR ip-port | SKIPME {YES | NO} | MAXAGE maxage:int} ...",
        kill,
    )
    .group(Group::Connection)
    .flags(ADMIN)
    .since("2.4.0")
    .cost("O(N) where N is the number of client connections")
    .doc("Closes the connections that fit."),
    Command::server("LIST", "[TYPE {NORMAL | MASTER | REPLICA | PUBSUB}] [ID client-id:int ...]", list)
        .group(Group::Connection)
        .flags(ADMIN)
        .since("2.4.0")
        .cost("O(N) where N is the number of client connections")
        .tips(&["nondeterministic_output"])
        .doc("Returns a line about each connection."),
    Command::server("NO-EVICT", "ON | OFF", client_state::no_evict)
        .group(Group::Connection)
        .flags(ADMIN)
        .since("7.0.0")
        .doc("Keeps this connection, or no more, when all of them hold too much memory."),
    Command::server("NO-TOUCH", "ON | OFF", client_state::no_touch)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("7.2.0")
        .doc("Lets what this connection reads count as not used, or as used."),
    Command::server("PAUSE", "timeout:int [WRITE | ALL]", client_state::pause)
        .group(Group::Connection)
        .flags(ADMIN)
        .since("3.0.0")
        .doc("Lets the requests of all clients wait for so many milliseconds, or those alone that write."),
    Command::server("REPLY", "ON | OFF | SKIP", client_state::reply)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("3.2.0")
        .doc("Answers this connection, or not, or not this and the next request."),
    Command::server("SETINFO", "LIB-NAME libname | LIB-VER libver", set_info)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("7.2.0")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Tells which library the client uses."),
    Command::server("SETNAME", "connection-name", set_name)
        .group(Group::Connection)
        .flags(PLAIN)
        .since("2.6.9")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Names this connection; the empty name takes it away."),
    Command::server("UNBLOCK", "client-id:int [TIMEOUT | ERROR]", unblock)
        .group(Group::Connection)
        .flags(ADMIN)
        .since("5.0.0")
        .cost("O(log N) where N is the number of client connections")
        .doc("Ends the wait of another client, as if its time had run out or with an error."),
    Command::server("UNPAUSE", "", client_state::unpause)
        .group(Group::Connection)
        .flags(ADMIN)
        .since("6.2.0")
        .cost("O(N) Where N is the number of paused clients")
        .doc("Ends what CLIENT PAUSE began."),
    help::row(Group::Connection),
];

/// Longest name. Redis has no limit; ten thousand clients must not fill the memory with names.
const MAX_NAME_BYTES: usize = 4096;

fn get_name(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    match context.session.client.texts().name {
        name if name.is_empty() => reply.null(),
        name => reply.bulk(name.as_bytes()),
    }
    Ok(After::Reply)
}

fn id(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.integer(context.session.client.id as i64);
    Ok(After::Reply)
}

fn info(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let line = Lines::new(context, call).line(&context.session.client);
    reply.write().verbatim(b"txt", line.as_bytes());
    Ok(After::Reply)
}

fn list(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let everyone = context.server.registry.all();
    let chosen: Vec<&Arc<Client>> = match call.len() {
        2 => everyone.iter().collect(),
        4 if is(call.arg(2), "TYPE") => {
            let class = Class::parse(call.arg(3))?;
            everyone.iter().filter(|client| Class::of(client) == class).collect()
        }
        length if length > 3 && is(call.arg(2), "ID") => {
            let mut chosen = Vec::new();
            for argument in 3..length {
                let id = exact_integer(call.arg(argument)).ok_or(CLIENT_ID)?;
                // They are in the order of their numbers.
                let place = everyone.binary_search_by_key(&id, |client| client.id as i64);
                chosen.extend(place.ok().map(|place| &everyone[place]));
            }
            chosen
        }
        _ => return Err(SYNTAX),
    };
    let lines = Lines::new(context, call);
    let text: String = chosen.into_iter().map(|client| lines.line(client)).collect();
    reply.write().verbatim(b"txt", text.as_bytes());
    Ok(After::Reply)
}

fn set_info(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let (option, value) = (call.arg(2), call.arg(3));
    let is_name = is(option, "LIB-NAME");
    if !is_name && !is(option, "LIB-VER") {
        return Err(CommandError::option("Unrecognized option", option));
    }
    if !is_one_word(value) {
        let option = String::from_utf8_lossy(option);
        return Err(CommandError::text(format!("ERR {option} cannot contain spaces, newlines or special characters.")));
    }
    if value.len() > MAX_NAME_BYTES {
        return Err(CLIENT_NAME_TOO_LONG);
    }
    context.session.client.set_library(is_name.then_some(value), (!is_name).then_some(value));
    reply.ok();
    Ok(After::Reply)
}

fn set_name(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    context.session.client.set_name(checked_name(call.arg(2))?);
    reply.ok();
    Ok(After::Reply)
}

/// A name that CLIENT SETNAME and HELLO take.
pub fn checked_name(name: &[u8]) -> Result<&[u8], CommandError> {
    match name {
        name if !is_one_word(name) => Err(CLIENT_NAME),
        name if name.len() > MAX_NAME_BYTES => Err(CLIENT_NAME_TOO_LONG),
        name => Ok(name),
    }
}

/// Whether CLIENT LIST can show it in a line of words.
fn is_one_word(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

fn kill(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let is_old_form = call.len() == 3;
    let filter = if is_old_form {
        Filter { address: Some(call.arg(2)), skip_me: false, ..Filter::default() }
    } else {
        Filter::parse(context, call)?
    };
    let (server, me) = (context.server, context.session.client.id);
    let now_ms = server.monotonic_ms();
    let (mut killed, mut myself) = (0, false);
    for client in server.registry.all().iter().filter(|client| filter.fits(client, now_ms)) {
        if client.id == me {
            if filter.skip_me {
                continue;
            }
            myself = true;
        } else {
            server.kill(client);
        }
        killed += 1;
    }
    match (is_old_form, killed) {
        (true, 0) => return Err(NO_SUCH_CLIENT),
        (true, _) => reply.ok(),
        (false, killed) => reply.integer(killed),
    }
    // The reply goes out before the connection does.
    Ok(if myself { After::Close } else { After::Reply })
}

fn unblock(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let how = match call.len() {
        3 => Ended::TimedOut,
        4 if is(call.arg(3), "TIMEOUT") => Ended::TimedOut,
        4 if is(call.arg(3), "ERROR") => Ended::Unblocked,
        4 => return Err(UNBLOCK_REASON),
        _ => return Err(SYNTAX),
    };
    let id = integer(call.arg(2))?;
    let client = u64::try_from(id).ok().and_then(|id| context.server.registry.get(id));
    let ended = client.is_some_and(|client| client.unblock(how));
    reply.integer(i64::from(ended));
    Ok(After::Reply)
}

/// Classes of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Normal,
    PubSub,
    /// Other servers, of which there are none.
    Other,
}

impl Class {
    fn parse(name: &[u8]) -> Result<Class, CommandError> {
        let classes = [("NORMAL", Class::Normal), ("PUBSUB", Class::PubSub)];
        let servers = ["MASTER", "REPLICA", "SLAVE"].map(|name| (name, Class::Other));
        let found = classes.into_iter().chain(servers).find(|(known, _)| is(name, known));
        found.map(|(_, class)| class).ok_or_else(|| CommandError::option("Unknown client type", name))
    }

    fn of(client: &Client) -> Class {
        if client.is_subscriber() { Class::PubSub } else { Class::Normal }
    }
}

/// Which connections CLIENT KILL closes: those that fit everything given.
#[derive(Debug)]
struct Filter<'a> {
    id: Option<u64>,
    class: Option<Class>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    user: Option<Arc<User>>,
    max_age_s: u64,
    skip_me: bool,
}

impl Default for Filter<'_> {
    fn default() -> Self {
        Filter { id: None, class: None, address: None, local_address: None, user: None, max_age_s: 0, skip_me: true }
    }
}

impl<'a> Filter<'a> {
    fn parse(context: &Context<'_, '_>, call: &Call<'a>) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter::default();
        for at in (2..call.len()).step_by(2) {
            if at + 1 == call.len() {
                return Err(SYNTAX);
            }
            let (option, value) = (call.arg(at), call.arg(at + 1));
            if is(option, "ID") {
                let id = exact_integer(value).filter(|id| *id > 0).ok_or(KILL_ID)?;
                filter.id = Some(id as u64);
            } else if is(option, "MAXAGE") {
                let age = exact_integer(value).ok_or(KILL_AGE)?;
                filter.max_age_s = u64::try_from(age).ok().filter(|age| *age > 0).ok_or(KILL_AGE_RANGE)?;
            } else if is(option, "TYPE") {
                filter.class = Some(Class::parse(value)?);
            } else if is(option, "ADDR") {
                filter.address = Some(value);
            } else if is(option, "LADDR") {
                filter.local_address = Some(value);
            } else if is(option, "USER") {
                let user = context.server.users.get(value);
                filter.user = Some(user.ok_or_else(|| CommandError::option("No such user", value))?);
            } else if is(option, "SKIPME") {
                filter.skip_me = match value {
                    value if is(value, "YES") => true,
                    value if is(value, "NO") => false,
                    _ => return Err(SYNTAX),
                };
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client, now_ms: u64) -> bool {
        let age_s = now_ms.saturating_sub(client.connected_ms) / 1000;
        self.class.is_none_or(|class| class == Class::of(client))
            && self.id.is_none_or(|id| id == client.id)
            && self.address.is_none_or(|address| address == client.address.as_bytes())
            && self.local_address.is_none_or(|address| address == client.local_address.as_bytes())
            && self.user.as_ref().is_none_or(|user| user.name() == client.user().name())
            && age_s >= self.max_age_s
    }
}

/// Writes lines of CLIENT LIST.
struct Lines<'a> {
    now_ms: u64,
    /// The connection that asks: it is doing just that.
    me: u64,
    my_command: &'a str,
    /// What its question took in its query buffer.
    my_bytes: usize,
}

/// A client as its line of CLIENT LIST, for the log.
pub fn describe(client: &Client, now_ms: u64) -> String {
    let mut line = Lines { now_ms, me: 0, my_command: "", my_bytes: 0 }.line(client);
    line.truncate(line.trim_end().len());
    line
}

impl<'a> Lines<'a> {
    fn new(context: &Context<'_, '_>, call: &Call<'a>) -> Lines<'a> {
        let (now_ms, me) = (context.server.monotonic_ms(), context.session.client.id);
        let digits = |number: usize| number.checked_ilog10().map_or(1, |log| log as usize + 1);
        // As a client library sends it: `*2\r\n$6\r\nclient\r\n…`.
        let arguments = call.request.iter().map(|argument| 5 + digits(argument.len()) + argument.len());
        let my_bytes = 3 + digits(call.len()) + arguments.sum::<usize>();
        Lines { now_ms, me, my_command: &call.entry.full_name, my_bytes }
    }

    /// Redis 7.4's fields in their order. What is not known here, or is not there, has the value it has in an idle
    /// Redis.
    fn line(&self, client: &Client) -> String {
        let seconds_since = |then_ms: u64| self.now_ms.saturating_sub(then_ms) / 1000;
        let is_me = client.id == self.me;
        let age = seconds_since(client.connected_ms);
        let idle = if is_me { 0 } else { seconds_since(client.active_ms.load(Ordering::Relaxed)) };
        let [channels, patterns, shards] = client.subscriptions.each_ref().map(|count| count.load(Ordering::Relaxed));
        let flags = flags(client);
        let command = match client.last_command.load(Ordering::Relaxed) {
            _ if is_me => self.my_command,
            index => all().get(index).map_or("NULL", |entry| &entry.full_name),
        };
        let input = if is_me { self.my_bytes } else { client.query_bytes.load(Ordering::Relaxed) };
        let output = client.output_bytes.load(Ordering::Relaxed);
        let events = if output > 0 { "rw" } else { "r" };
        let texts = client.texts();
        let (queued, watched) = client.pending();
        let memory = size_of::<Client>() + client.held_bytes.load(Ordering::Relaxed).max(input + output);
        format!(
            "id={} addr={} laddr={} fd={} name={} age={age} idle={idle} flags={flags} db={} sub={channels} psub={patterns} ssub={shards} multi={} \
             watch={watched} qbuf={input} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={output} oll=0 omem={output} \
             tot-mem={memory} events={events} cmd={command} user={} redir=-1 resp={} lib-name={} lib-ver={}\n",
            client.id,
            client.address,
            client.local_address,
            client.descriptor,
            texts.name,
            client.database(),
            queued.map_or(-1, |queued| queued as i64),
            String::from_utf8_lossy(client.user().name()),
            client.protocol(),
            texts.lib_name,
            texts.lib_ver,
        )
    }
}

/// The letters for what is special about a client, in Redis's order.
fn flags(client: &Client) -> String {
    let letters = [
        ('O', client.monitors.load(Ordering::Relaxed)),
        ('P', client.is_subscriber()),
        ('x', client.pending().0.is_some()),
        ('b', client.is_blocked()),
        ('A', client.killed.load(Ordering::Relaxed)),
        ('U', client.unix),
        ('e', client.stays.load(Ordering::Relaxed)),
        ('T', client.no_touch.load(Ordering::Relaxed)),
    ];
    let flags: String = letters.into_iter().filter_map(|(letter, applies)| applies.then_some(letter)).collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::DEFAULT_USER;
    use crate::session::registry::Ends;

    fn client(address: &str, connected_ms: u64) -> Client {
        let user = Arc::new(User::unrestricted(DEFAULT_USER.into()));
        let (address, local_address) = (address.to_owned(), "127.0.0.1:6379".to_owned());
        Client::new(7, Ends { address, local_address, descriptor: 9, unix: false }, 0, connected_ms, user)
    }

    #[test]
    fn a_line_has_the_fields_of_redis_in_their_order() {
        let lines = Lines { now_ms: 12_500, me: 1, my_command: "client|list", my_bytes: 26 };
        let line = lines.line(&client("127.0.0.1:50000", 2_000));
        let names: Vec<&str> =
            line.trim_end().split(' ').map(|field| field.split_once('=').map_or(field, |(name, _)| name)).collect();
        let redis = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem \
                     rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver";
        assert_eq!(names, redis.split_whitespace().collect::<Vec<_>>());
        assert!(
            line.starts_with("id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 fd=9 name= age=10 idle=10 flags=N db=0 ")
        );
        assert!(line.contains(" cmd=NULL user=default redir=-1 resp=2 "));
    }

    #[test]
    fn a_filter_wants_everything_to_fit() {
        let it = client("127.0.0.1:50000", 2_000);
        let filter =
            |age| Filter { id: Some(7), address: Some(b"127.0.0.1:50000"), max_age_s: age, ..Filter::default() };
        assert!(filter(10).fits(&it, 12_000));
        assert!(!filter(11).fits(&it, 12_000));
        assert!(!Filter { id: Some(8), ..filter(0) }.fits(&it, 12_000));
        assert!(!Filter { class: Some(Class::PubSub), ..filter(0) }.fits(&it, 12_000));
    }
}
