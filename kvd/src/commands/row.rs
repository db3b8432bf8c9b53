//! What a row of the command table says, and what it may leave unsaid.

use engine::{Item, Transaction};
use resp::Request;

use super::error::CommandError;
use super::touch::Permission;
use super::{After, Call, Context, Reply, View};

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

/// Whether a request looks at very many elements of its keys.
pub type Whole = fn(&Request<'_>) -> bool;

/// Whether a request replaces the value at its first key without looking at it.
pub type Replaces = fn(&Request<'_>) -> bool;

/// Whether an argument of a request is a secret.
pub type Secrets = fn(&Request<'_>, usize) -> bool;

/// What a request does with keys that it does not name, if it does, and the error for who may not do that with every key.
pub type Reaches = fn(&Request<'_>) -> Option<(Permission, CommandError)>;

/// Which arguments of a command are names of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// The first, which is published to.
    Published,
    /// All, which are listened to.
    Listened,
    /// All, which are patterns of such.
    Patterns,
    /// All, and nobody minds.
    Left,
}

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
    /// The arguments, in the notation of [`syntax`](super::syntax).
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
    /// Says which requests look at every element of their keys, or at very many: they run apart when there are as many.
    pub whole: Option<Whole>,
    /// Whether a request may look at keys that it does not name; all are locked then.
    pub widens: Option<Widens>,
    /// What a request does with keys that it does not name, where its user must be allowed to.
    pub reaches: Option<Reaches>,
    /// Which arguments are channels.
    pub channels: Option<Channels>,
    /// Which requests replace the value at their first key without looking at it, whatever `key_flags` say.
    pub replaces: Option<Replaces>,
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
            whole: None,
            widens: None,
            reaches: None,
            channels: None,
            replaces: None,
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

    /// Says that it looks at every element of its keys.
    pub const fn whole(self) -> Command {
        self.whole_if(|_| true)
    }

    /// Says which requests look at very many elements of their keys, if there are as many.
    pub const fn whole_if(mut self, whole: Whole) -> Command {
        self.whole = Some(whole);
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

    /// Says what a request does with keys that it does not name, where its user must be allowed to.
    pub const fn reaches(mut self, reaches: Reaches) -> Command {
        self.reaches = Some(reaches);
        self
    }

    /// Says which arguments are channels.
    pub const fn channels(mut self, channels: Channels) -> Command {
        self.channels = Some(channels);
        self
    }

    /// Says which requests replace the value at their first key without looking at it.
    pub const fn replaces(mut self, replaces: Replaces) -> Command {
        self.replaces = Some(replaces);
        self
    }

    /// Whether a request that changes keys needs the value at one of them to be in memory.
    pub fn needs_value(&self, request: &Request<'_>, index: usize) -> bool {
        let flags = self.key_flags.get(index).or(self.key_flags.last()).copied().unwrap_or("RW");
        let is_replaced = index == 0 && self.replaces.is_some_and(|replaces| replaces(request));
        !(is_replaced || flags.starts_with("OW") || flags.starts_with("RM"))
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

    /// Whether a request may look at keys that it does not name.
    #[inline]
    pub fn widens_for(&self, request: &Request<'_>) -> bool {
        self.widens.is_some_and(|widens| widens(request))
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
