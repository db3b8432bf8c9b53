//! The command table: one row declares a command, and everything else derives from it.
//!
//! ```text
//!  name ─ lookup ─► Command ─ gate (arity, auth, memory, state) ─► Handler ─► Reply
//! ```
//!
//! A read handler gets a [`View`], which has no setters: it cannot lie about being a read. No handler reads a clock,
//! draws a random number, waits, or touches a socket; what needs any of these returns an [`After`] that the
//! connection carries out.

pub mod args;
pub mod client;
pub mod config;
pub mod connection;
pub mod counter;
mod documentation;
pub mod error;
pub mod expire;
pub mod glob;
pub mod help;
pub mod introspect;
pub mod keys;
mod long_double;
pub mod persist;
pub mod reply;
pub mod scan;
pub mod server;
pub mod string;
pub mod syntax;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use engine::{Item, Key, Lsn, Reference, Transaction};
use resp::Request;

use crate::server::Server;
use crate::session::Session;
pub use error::CommandError;
pub use reply::Reply;
use syntax::Syntax;

/// What a handler returns: the reply is in the [`Reply`], or there is an error to be sent in its place.
pub type Done = Result<(), CommandError>;

/// A command that only looks at its keys.
pub type ReadHandler = fn(&mut View<'_, '_>, &Call<'_>, &mut Reply<'_>) -> Done;
/// A command that may change its keys.
pub type WriteHandler = fn(&mut Transaction<'_>, &Call<'_>, &mut Reply<'_>) -> Done;
/// A command about the connection, the server, or all of a database.
pub type ServerHandler = fn(&mut Context<'_>, &Call<'_>, &mut Reply<'_>) -> Result<After, CommandError>;

/// What a request adds beyond what it brings, by the length of the value at its key, which is looked up when asked for.
pub type Growth = fn(&Request<'_>, &mut dyn FnMut() -> u64) -> u64;

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Handler {
    /// In a transaction over its keys, without setters.
    Read(ReadHandler),
    /// In a transaction over its keys.
    Write(WriteHandler),
    /// Outside of any transaction.
    Server(ServerHandler),
    /// Not at all: its subcommands do.
    Container,
}

/// What remains to be done when a [`ServerHandler`] has returned.
#[derive(Debug)]
pub enum After {
    /// Nothing: the reply is complete.
    Reply,
    /// The reply may leave when the log is safe up to here, as the mode demands.
    Gate(Lsn),
    /// The reply may leave when the log is durable up to here, whatever the mode.
    Durable(Lsn),
    /// WAITAOF: answer when the log is durable up to here or the time (0: no limit) is over.
    WaitDurable {
        /// The position.
        lsn: Lsn,
        /// Replicas are asked for too; there are none, so the time runs out.
        replicas: bool,
        /// Milliseconds, 0 for ever.
        timeout_ms: u64,
    },
    /// Wait, then answer an integer: WAIT without replicas.
    WaitReplicas {
        /// Milliseconds, 0 for ever.
        timeout_ms: u64,
    },
    /// Send what there is, then close the connection.
    Close,
    /// End the process cleanly.
    Shutdown,
    /// The log had no place at this moment and nothing was done: run it again a little later.
    Again,
}

/// Flags of a command, as COMMAND INFO names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Refused when memory is full.
    DenyOom,
    /// For operators.
    Admin,
    /// Constant or logarithmic time.
    Fast,
    /// Allowed before AUTH.
    NoAuth,
    /// Allowed while the store is loading.
    Loading,
    /// Allowed on a stale replica.
    Stale,
    /// Not allowed in scripts.
    NoScript,
    /// Gives memory or space back: uses the reserve when the disk is full.
    Shrinks,
    /// Not allowed inside MULTI.
    NoMulti,
    /// May wait.
    Blocking,
    /// Allowed while a script runs too long.
    AllowBusy,
    /// Not allowed while a replica loads in the background.
    NoAsyncLoading,
    /// A [`Handler::Server`] that looks at keys.
    Reads,
    /// A [`Handler::Server`] that changes keys.
    Writes,
    /// Takes long, reveals much or removes much: category `@dangerous` without being for operators.
    Dangerous,
    /// In the categories of what is for operators, without the flag.
    OfOperators,
    /// In category `@connection`, though documented with another family.
    OfConnection,
}

/// Families, which are ACL categories and groups in COMMAND DOCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `string`
    String,
    /// `generic`, category `@keyspace`
    Generic,
    /// `connection`
    Connection,
    /// `server`
    Server,
}

impl Group {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Generic => "generic",
            Group::Connection => "connection",
            Group::Server => "server",
        }
    }
}

/// One row of the table.
pub struct Command {
    /// Upper case.
    pub name: &'static str,
    /// The arguments, in the notation of [`syntax`].
    pub usage: &'static str,
    /// What runs.
    pub handler: Handler,
    /// Family.
    pub group: Group,
    /// Flags beside those that follow from the handler.
    pub flags: &'static [Flag],
    /// Redis version that had it first.
    pub since: &'static str,
    /// Complexity.
    pub cost: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What is done to each key, in the words of COMMAND INFO; empty: what follows from the handler.
    pub key_flags: &'static [&'static str],
    /// Hints for clients, in the words of COMMAND INFO.
    pub tips: &'static [&'static str],
    /// Subcommands, for a container such as CLIENT.
    pub subcommands: &'static [Command],
    /// Bytes that it may add beyond those it brings; to be known before it runs.
    pub growth: Option<Growth>,
    /// Whether its arguments are logged as they are, however large.
    pub inline: bool,
    /// Whether the value of its first key is logged again as a whole, so that a large one must lie in a file of its own.
    pub relogs: bool,
}

impl Command {
    const fn new(name: &'static str, usage: &'static str, handler: Handler) -> Command {
        Command {
            name,
            usage,
            handler,
            group: Group::Generic,
            flags: &[],
            since: "1.0.0",
            cost: "O(1)",
            doc: "",
            key_flags: &[],
            tips: &[],
            subcommands: &[],
            growth: None,
            inline: false,
            relogs: false,
        }
    }

    /// A command that looks at keys.
    pub const fn read(name: &'static str, usage: &'static str, handler: ReadHandler) -> Command {
        Command::new(name, usage, Handler::Read(handler))
    }

    /// A command that may change keys.
    pub const fn write(name: &'static str, usage: &'static str, handler: WriteHandler) -> Command {
        Command::new(name, usage, Handler::Write(handler))
    }

    /// A command about the connection or the server.
    pub const fn server(name: &'static str, usage: &'static str, handler: ServerHandler) -> Command {
        Command::new(name, usage, Handler::Server(handler))
    }

    /// A word that means something with a subcommand only.
    pub const fn container(name: &'static str, subcommands: &'static [Command]) -> Command {
        let command = Command::new(name, "subcommand [argument ...]", Handler::Container);
        Command { subcommands, cost: "Depends on subcommand.", ..command }
    }

    /// Sets the family.
    pub const fn group(mut self, group: Group) -> Command {
        self.group = group;
        self
    }

    /// Sets the flags.
    pub const fn flags(mut self, flags: &'static [Flag]) -> Command {
        self.flags = flags;
        self
    }

    /// Sets the Redis version that had it first.
    pub const fn since(mut self, since: &'static str) -> Command {
        self.since = since;
        self
    }

    /// Sets the complexity.
    pub const fn cost(mut self, cost: &'static str) -> Command {
        self.cost = cost;
        self
    }

    /// Sets the one-sentence description.
    pub const fn doc(mut self, doc: &'static str) -> Command {
        self.doc = doc;
        self
    }

    /// Sets what is done to each key, one text such as `RW access delete` for each group of keys.
    pub const fn key_flags(mut self, key_flags: &'static [&'static str]) -> Command {
        self.key_flags = key_flags;
        self
    }

    /// Sets the hints for clients.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Command {
        self.tips = tips;
        self
    }

    /// Says that arguments are logged as they are: they are parts of a value.
    pub const fn inline(mut self) -> Command {
        self.inline = true;
        self
    }

    /// Says that the value of the first key is logged again as a whole.
    pub const fn relogs(mut self) -> Command {
        self.relogs = true;
        self
    }

    /// Sets what it may add beyond what it brings.
    pub const fn growth(mut self, growth: Growth) -> Command {
        self.growth = Some(growth);
        self
    }

    /// Sets the subcommands.
    pub const fn subcommands(mut self, subcommands: &'static [Command]) -> Command {
        self.subcommands = subcommands;
        self
    }

    /// Whether it has a flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether it may change keys.
    pub fn is_write(&self) -> bool {
        matches!(self.handler, Handler::Write(_))
    }
}

/// A row with what was derived from it when the program started.
pub struct Entry {
    /// The row.
    pub command: &'static Command,
    /// Lower case; for a subcommand `container|name`.
    pub full_name: String,
    /// Its arguments, parsed.
    pub syntax: Syntax,
    /// Bits of [`Flag`]s that the gate asks for on every request.
    pub gate: GateFlags,
    /// Its subcommands.
    pub subcommands: Vec<Entry>,
    /// Place in [`all`], for counters.
    pub index: usize,
    /// Calls, rejected calls, failed calls.
    pub calls: [AtomicU64; 3],
}

/// What the gate looks at, unpacked.
#[derive(Clone, Copy)]
pub struct GateFlags {
    /// Refused when memory is full.
    pub deny_oom: bool,
    /// Allowed before AUTH.
    pub no_auth: bool,
    /// Uses the reserve when the disk is full.
    pub shrinks: bool,
}

/// All commands, in the order of the families.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let families = [
        string::COMMANDS,
        counter::COMMANDS,
        keys::COMMANDS,
        expire::COMMANDS,
        scan::COMMANDS,
        connection::COMMANDS,
        client::COMMANDS,
        config::COMMANDS,
        introspect::COMMANDS,
        persist::COMMANDS,
        server::COMMANDS,
    ];
    families.into_iter().flatten().enumerate().map(|(index, command)| entry(command, None, index)).collect()
});

static BY_NAME: LazyLock<HashMap<&'static [u8], usize, rapidhash::fast::RandomState>> =
    LazyLock::new(|| TABLE.iter().map(|entry| (entry.command.name.as_bytes(), entry.index)).collect());

fn entry(command: &'static Command, container: Option<&str>, index: usize) -> Entry {
    let name = command.name.to_ascii_lowercase();
    let full_name = container.map_or(name.clone(), |container| format!("{container}|{name}"));
    Entry {
        command,
        syntax: Syntax::parse(command.usage, 1 + usize::from(container.is_some())),
        gate: GateFlags {
            deny_oom: command.has(Flag::DenyOom),
            no_auth: command.has(Flag::NoAuth),
            shrinks: command.has(Flag::Shrinks),
        },
        subcommands: command.subcommands.iter().map(|sub| entry(sub, Some(&full_name), index)).collect(),
        full_name,
        index,
        calls: Default::default(),
    }
}

/// All rows.
pub fn all() -> &'static [Entry] {
    &TABLE
}

/// Longest command name; anything longer is unknown.
const MAX_NAME: usize = 32;

/// The row of a command, whatever its case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Entry> {
    let mut upper = [0; MAX_NAME];
    let upper = upper.get_mut(..name.len())?;
    for (to, from) in upper.iter_mut().zip(name) {
        *to = from.to_ascii_uppercase();
    }
    BY_NAME.get(&*upper).map(|&index| &TABLE[index])
}

impl Entry {
    /// The subcommand that an argument names, whatever its case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&Entry> {
        self.subcommands.iter().find(|sub| sub.command.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// One request to be executed.
pub struct Call<'a> {
    /// The row.
    pub entry: &'static Entry,
    /// Name and arguments.
    pub request: Request<'a>,
    /// The keys, in the order of the arguments.
    pub keys: &'a [Key<'a>],
    /// Large arguments that already lie in blob files, by argument number.
    pub blobs: &'a [(usize, Reference)],
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    /// No command may make a value longer than this: `proto-max-bulk-len`.
    pub max_value_bytes: usize,
}

impl<'a> Call<'a> {
    /// An argument; 0 is the command's name. Arity was checked: asking beyond it is a mistake in the handler.
    #[inline]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.request.get(index).expect("the row's arity covers what its handler asks for")
    }

    /// Arguments, the name included.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a request has at least the command's name")]
    pub fn len(&self) -> usize {
        self.request.len()
    }

    /// An argument as a value to be stored: in its blob file, shared, or to be copied.
    #[inline]
    pub fn value(&self, index: usize) -> engine::Value<'a> {
        let bytes = self.arg(index);
        if bytes.len() < STORE_SHARED_FROM {
            return engine::Value::Copy(bytes);
        }
        match self.blobs.iter().find(|(argument, _)| *argument == index) {
            Some((_, reference)) => engine::Value::Blob(self.request.shared(index), *reference),
            None if 2 * bytes.len() < self.request.pinned_bytes() => engine::Value::Copy(bytes),
            None => engine::Value::Shared(self.request.shared(index)),
        }
    }
}

/// Values of this length and more are kept in the buffer they were read into if they are most of it; others are copied
/// out of it, or a few bytes would pin a whole buffer.
const STORE_SHARED_FROM: usize = 64 << 10;

/// A transaction without its setters, which counts the keys that were found and those that were not.
pub struct View<'a, 's> {
    transaction: &'a mut Transaction<'s>,
    hits: u64,
    misses: u64,
}

impl<'a, 's> View<'a, 's> {
    /// The read side of a transaction.
    #[inline]
    pub fn new(transaction: &'a mut Transaction<'s>) -> View<'a, 's> {
        View { transaction, hits: 0, misses: 0 }
    }

    /// The value of a key, unless it is absent or expired.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>) -> Option<Item<'_>> {
        let found = self.transaction.get(key);
        self.hits += u64::from(found.is_some());
        self.misses += u64::from(found.is_none());
        found
    }

    /// The time of this request.
    pub fn now_ms(&self) -> u64 {
        self.transaction.now_ms()
    }

    /// Keys that were found, and keys that were not.
    #[inline]
    pub fn lookups(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

/// What a [`ServerHandler`] works on.
pub struct Context<'a> {
    /// The connection's own state.
    pub session: &'a mut Session,
    /// Everything shared.
    pub server: &'a Server,
}
