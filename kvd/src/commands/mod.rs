//! The command table: one row declares a command, and everything else derives from it.
//!
//! ```text
//!  name ─ lookup ─► Command ─ gate (arity, auth, memory, state) ─► Handler ─► Reply
//! ```
//!
//! A read handler gets a [`View`], which has no setters but for notes: it cannot lie about being a read. No handler reads a clock,
//! draws a random number, waits, or touches a socket; what needs any of these returns an [`After`] that the
//! connection carries out.

pub mod absent;
pub mod args;
pub mod bitfield;
pub mod bitmap;
mod bits;
mod carry;
pub mod client;
pub mod client_state;
pub mod config;
pub mod connection;
pub mod counter;
mod debug;
mod documentation;
mod dump;
pub mod error;
pub mod expire;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod introspect;
pub mod keys;
pub mod latency;
pub mod lcs;
pub mod list;
mod long_double;
mod memory;
pub mod monitor;
mod object;
mod pattern;
pub mod persist;
pub mod pubsub;
pub mod reply;
pub mod scan;
pub mod server;
pub mod set;
pub mod slow_log;
mod sort;
pub mod string;
pub mod syntax;
pub mod transaction;
pub mod zset;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Item, Key, Lsn, Reference, Transaction};
use resp::Request;

use crate::observe::histogram::Histogram;
use crate::server::Server;
use crate::server::room::Room;
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
/// A command that changes its keys, or waits until it can.
pub type BlockingHandler = fn(&mut Transaction<'_>, &Call<'_>, &mut Reply<'_>) -> Result<Attempt, CommandError>;
/// A command about the connection, the server, or all of a database.
pub type ServerHandler = fn(&mut Context<'_, '_>, &Call<'_>, &mut Reply<'_>) -> Result<After, CommandError>;

/// Whether a command has done what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It has, and has answered.
    Done,
    /// There was nothing to be had. Nothing was changed or answered.
    Wait(Wait),
}

/// How long a client waits, and what it is told where it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Milliseconds, 0 for ever.
    pub timeout_ms: u64,
    /// Within EXEC, where nobody waits, it is told of an array that is not there, rather than of a string. When time has
    /// run out it always is, as in Redis.
    pub null_array: bool,
}

/// What a request adds beyond what it brings, by the length of the value at each of its keys, which is looked up when asked
/// for.
pub type Growth = fn(&Request<'_>, &mut dyn FnMut(usize) -> u64) -> u64;

/// Bytes of the value at a request's first key that are logged again.
pub type LogsAgain = fn(&Request<'_>, Item<'_>) -> u64;

/// Looks up the value at a key of a request by the key's index, and measures it; 0 when there is none.
pub type Measure<'a> = &'a mut dyn FnMut(usize, &dyn Fn(Item<'_>) -> u64) -> u64;

/// Whether a request may look at keys that it does not name.
pub type Widens = fn(&Request<'_>) -> bool;

/// Whether an argument of a request is a secret.
pub type Secrets = fn(&Request<'_>, usize) -> bool;

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Handler {
    /// In a transaction over its keys, without setters.
    Read(ReadHandler),
    /// In a transaction over its keys.
    Write(WriteHandler),
    /// In a transaction over its keys, again and again until it succeeds.
    Blocking(BlockingHandler),
    /// Outside of any transaction, or in the one that EXEC runs.
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
    /// The reply may leave when so many milliseconds are over.
    Sleep(u64),
    /// Do this on another thread, for it waits for the disk, then answer OK or the error.
    Elsewhere(Errand),
    /// Send what there is, then close the connection.
    Close,
    /// End the process cleanly.
    Shutdown,
    /// Run what was queued, all or nothing.
    Exec,
    /// Go on with these, then answer.
    Slices(Box<dyn Slices>),
    /// The log had no place at this moment and nothing was done: run it again a little later.
    Again,
}

/// What is done on another thread.
pub struct Errand(pub Box<dyn FnOnce() -> Result<(), CommandError> + Send>);

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errand")
    }
}

/// A command that takes long, cut into slices between which other clients are served.
pub trait Slices {
    /// Does some of it. Within EXEC, in its transaction.
    fn step(&mut self, server: &Server, held: Option<&mut Transaction<'_>>) -> Step;

    /// Answers when all is done. The position that the reply waits for.
    fn finish(
        self: Box<Self>,
        server: &Server,
        held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError>;
}

impl std::fmt::Debug for dyn Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slices")
    }
}

/// What a slice has left to do.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Done,
    /// More.
    More,
    /// The same again, a little later: the disk is behind.
    Stalled,
    /// It cannot go on.
    Failed(CommandError),
}

/// Runs slices: at once within EXEC and when one is enough, else as the connection finds time.
fn run_slices(
    mut slices: Box<dyn Slices>,
    context: &mut Context<'_, '_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    loop {
        match slices.step(context.server, context.held.as_deref_mut()) {
            Step::Done => {
                let gate = slices.finish(context.server, context.held.as_deref_mut(), reply)?;
                return Ok(After::Gate(gate));
            }
            Step::More | Step::Stalled if context.held.is_none() => return Ok(After::Slices(slices)),
            Step::More | Step::Stalled => {}
            Step::Failed(error) => return Err(error),
        }
    }
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
    /// A [`Handler::Server`] that counts what the shards hold: within EXEC it needs all locks, as those do that look at keys.
    WalksShards,
    /// Takes long, reveals much or removes much: category `@dangerous` without being for operators.
    Dangerous,
    /// In the categories of what is for operators, without the flag.
    OfOperators,
    /// In category `@connection`, though documented with another family.
    OfConnection,
    /// Not in category `@keyspace`, though it counts as a reader.
    NotOfKeyspace,
    /// In the categories of lists, sets and sorted sets and not in `@keyspace`, though documented with another family.
    OfCollections,
    /// About subscriptions.
    PubSub,
    /// Allowed to a RESP2 client with subscriptions.
    InSubscription,
    /// Reaches others without changing keys: waits while writes are paused.
    MayReplicate,
    /// Not shown by MONITOR.
    SkipMonitor,
    /// Not kept by SLOWLOG.
    SkipSlowlog,
    /// Run at once, also between MULTI and EXEC.
    InMulti,
    /// Allowed to those whom `enable-debug-command` names.
    Protected,
    /// That it looks at a key is no use of it: the key stays as idle as it was.
    NoUse,
}

/// Families, which are ACL categories and groups in COMMAND DOCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `string`
    String,
    /// `bitmap`
    Bitmap,
    /// `hyperloglog`
    Hyperloglog,
    /// `generic`, category `@keyspace`
    Generic,
    /// `connection`
    Connection,
    /// `pubsub`
    PubSub,
    /// `list`
    List,
    /// `hash`
    Hash,
    /// `set`
    Set,
    /// `sorted-set`
    SortedSet,
    /// `geo`
    Geo,
    /// `transactions`
    Transactions,
    /// `cluster`
    Cluster,
    /// `server`
    Server,
}

impl Group {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Hyperloglog => "hyperloglog",
            Group::Generic => "generic",
            Group::Connection => "connection",
            Group::PubSub => "pubsub",
            Group::List => "list",
            Group::Hash => "hash",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Geo => "geo",
            Group::Transactions => "transactions",
            Group::Cluster => "cluster",
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
    /// Bytes of the value at its first key that it logs again, in part.
    pub logs_again: Option<LogsAgain>,
    /// It waits for its first key only; the others are where something goes.
    pub waits_for_first: bool,
    /// Whether its arguments are logged as they are, however large.
    pub inline: bool,
    /// Whether a request may look at keys that it does not name; all are locked then.
    pub widens: Option<Widens>,
    /// Whether the value of its first key is logged again as a whole, so that a large one must lie in a file of its own.
    pub relogs: bool,
    /// Which arguments nobody may see in MONITOR and SLOWLOG.
    pub secrets: Option<Secrets>,
    /// Whether its outcome is left to chance.
    pub random: bool,
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
            logs_again: None,
            waits_for_first: false,
            inline: false,
            widens: None,
            relogs: false,
            secrets: None,
            random: false,
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

    /// A command that changes keys, or waits until it can.
    pub const fn blocking(name: &'static str, usage: &'static str, handler: BlockingHandler) -> Command {
        Command::new(name, usage, Handler::Blocking(handler))
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

    /// Says which requests may look at keys that they do not name.
    pub const fn widens(mut self, widens: Widens) -> Command {
        self.widens = Some(widens);
        self
    }

    /// Says that the value of the first key is logged again as a whole.
    pub const fn relogs(mut self) -> Command {
        self.relogs = true;
        self
    }

    /// Says which arguments are secrets.
    pub const fn secrets(mut self, secrets: Secrets) -> Command {
        self.secrets = Some(secrets);
        self
    }

    /// Says that its outcome is left to chance, which its [`Call`] brings.
    pub const fn random(mut self) -> Command {
        assert!(matches!(self.handler, Handler::Read(_) | Handler::Write(_)), "only these are given chance");
        self.random = true;
        self
    }

    /// Sets what it may add beyond what it brings.
    pub const fn growth(mut self, growth: Growth) -> Command {
        self.growth = Some(growth);
        self
    }

    /// Sets what part of the value at the first key is logged again.
    pub const fn logs_again(mut self, logs_again: LogsAgain) -> Command {
        self.logs_again = Some(logs_again);
        self
    }

    /// Says that it waits for its first key only.
    pub const fn waits_for_first(mut self) -> Command {
        self.waits_for_first = true;
        self
    }

    /// Bytes that a request adds to the log beyond those it brings.
    #[inline]
    pub fn added_bytes(&self, request: &Request<'_>, measure: Measure<'_>) -> u64 {
        self.added_bytes_after(request, measure, &|_| 0)
    }

    /// The same, when what runs before it makes the values at its keys longer by so much.
    #[inline]
    pub fn added_bytes_after(&self, request: &Request<'_>, measure: Measure<'_>, made: &dyn Fn(usize) -> u64) -> u64 {
        let again = self.logs_again.map_or(0, |again| measure(0, &|item| again(request, item)));
        let image = |item: Item<'_>| item.image_bytes() as u64;
        let mut present = |index| measure(index, &image).saturating_add(made(index));
        again + self.growth.map_or(0, |growth| growth(request, &mut present))
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
        matches!(self.handler, Handler::Write(_) | Handler::Blocking(_))
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
    /// Microseconds that calls took, as far as they were measured.
    pub busy_us: AtomicU64,
    /// How long they took, one by one or as their share of a group's time.
    pub latency: Histogram,
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
    /// Takes constant or logarithmic time.
    pub fast: bool,
    /// Its replies are messages, as those about subscriptions are.
    pub messages: bool,
    /// That it looks at a key is a use of it.
    pub uses: bool,
}

/// All commands, in the order of the families.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let families = [
        string::COMMANDS,
        counter::COMMANDS,
        lcs::COMMANDS,
        bitmap::COMMANDS,
        bitfield::COMMANDS,
        hyperloglog::COMMANDS,
        list::COMMANDS,
        zset::COMMANDS,
        geo::COMMANDS,
        keys::COMMANDS,
        carry::COMMANDS,
        dump::COMMANDS,
        object::COMMANDS,
        memory::COMMANDS,
        pattern::COMMANDS,
        sort::COMMANDS,
        expire::COMMANDS,
        scan::COMMANDS,
        hash::read::COMMANDS,
        hash::write::COMMANDS,
        hash::volatile::COMMANDS,
        hash::setex::COMMANDS,
        set::COMMANDS,
        connection::COMMANDS,
        client::COMMANDS,
        config::COMMANDS,
        introspect::COMMANDS,
        debug::COMMANDS,
        persist::COMMANDS,
        pubsub::COMMANDS,
        monitor::COMMANDS,
        slow_log::COMMANDS,
        latency::COMMANDS,
        absent::COMMANDS,
        server::COMMANDS,
        transaction::COMMANDS,
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
            fast: command.has(Flag::Fast),
            messages: command.has(Flag::PubSub) && command.has(Flag::InSubscription),
            uses: !command.has(Flag::NoUse),
        },
        subcommands: command.subcommands.iter().map(|sub| entry(sub, Some(&full_name), index)).collect(),
        full_name,
        index,
        calls: Default::default(),
        busy_us: AtomicU64::new(0),
        latency: Histogram::default(),
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

/// A command or a subcommand (`config|get`), whatever its case.
pub fn find(name: &[u8]) -> Option<&'static Entry> {
    match name.iter().position(|&byte| byte == b'|') {
        None => lookup(name),
        Some(bar) => lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

impl Entry {
    /// Whether an argument must not be shown to others.
    pub fn is_secret(&self, request: &Request<'_>, index: usize) -> bool {
        self.command.secrets.is_some_and(|is_secret| is_secret(request, index))
    }

    /// Whether it waits while writes are paused.
    pub fn may_replicate(&self) -> bool {
        self.command.is_write() || self.command.has(Flag::Writes) || self.command.has(Flag::MayReplicate)
    }

    /// Whether it looks at keys, changes them, or reaches other servers.
    pub fn is_about_keys(&self) -> bool {
        matches!(self.command.handler, Handler::Read(_)) || self.command.has(Flag::Reads) || self.may_replicate()
    }

    /// Whether a [`Handler::Server`] needs all locks within EXEC.
    pub fn needs_all_locks(&self) -> bool {
        self.is_about_keys() || self.command.has(Flag::WalksShards)
    }

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
    /// How many databases there are.
    pub databases: u64,
    /// The client has waited for this: what is there now is perhaps not what it waits for.
    pub is_retry: bool,
    /// A random number, in the rows that say [`Command::random`]: a seed for as many as the handler needs.
    pub chance: u64,
    /// No sparse HyperLogLog becomes longer than this: `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: usize,
    /// What was asked for it and for those before it in its transaction; in rows that say [`Command::growth`], and in EXEC.
    pub room: Option<&'a Room<'a>>,
}

impl<'a> Call<'a> {
    /// A request that is to run now on these keys.
    #[inline]
    pub fn new(
        entry: &'static Entry,
        request: Request<'a>,
        keys: &'a [Key<'a>],
        now_ms: u64,
        server: &Server,
    ) -> Call<'a> {
        let max_value_bytes = server.hot.max_bulk_bytes.load(Ordering::Relaxed) as usize;
        let hll_sparse_max_bytes = server.hot.hll_sparse_max_bytes.load(Ordering::Relaxed) as usize;
        let databases = server.hot.databases.load(Ordering::Relaxed);
        Call {
            entry,
            request,
            keys,
            blobs: &[],
            now_ms,
            max_value_bytes,
            databases,
            is_retry: false,
            chance: 0,
            hll_sparse_max_bytes,
            room: None,
        }
    }

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

    /// Takes room for what the request adds, when no [`Growth`] can know it: before anything is changed.
    pub fn make_room(&self, growth: u64) -> Result<(), CommandError> {
        Ok(self.room.map_or(Ok(()), |room| room.extend(self.entry, growth))?)
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
        if self.transaction.is_heard() && self.transaction.get(key).is_none() {
            self.transaction.notify(engine::listener::Class::KeyMiss, "keymiss", key);
        }
        self.look(key)
    }

    /// The same, but subscribers do not hear of a key that is not there.
    #[inline]
    pub fn look(&mut self, key: &Key<'_>) -> Option<Item<'_>> {
        let found = self.transaction.get(key);
        self.hits += u64::from(found.is_some());
        self.misses += u64::from(found.is_none());
        found
    }

    /// The value of a key that [`View::get`] has looked at, beside those of others.
    pub fn peek(&self, key: &Key<'_>) -> Option<Item<'_>> {
        self.transaction.peek(key)
    }

    /// The transaction itself, for what both reads and writes do.
    pub(crate) fn transaction(&mut self) -> &mut Transaction<'s> {
        self.transaction
    }

    /// Notes within a value what follows from the rest of it, if there is room in the log: all that a reader may leave.
    pub fn note(&mut self, key: &Key<'_>, offset: usize, bytes: &[u8]) {
        self.transaction.note(key, offset, bytes);
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
pub struct Context<'a, 's> {
    /// The connection's own state.
    pub session: &'a mut Session,
    /// Everything shared.
    pub server: &'s Server,
    /// Within EXEC: its transaction, which holds all locks.
    pub held: Option<&'a mut Transaction<'s>>,
}
