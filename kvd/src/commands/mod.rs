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
pub mod acl;
mod after;
pub mod args;
pub mod bitfield;
pub mod bitmap;
mod bits;
mod call;
mod carry;
pub mod category;
pub mod client;
pub mod client_state;
pub mod config;
pub mod connection;
pub mod counter;
mod debug;
mod documentation;
pub mod dump;
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
mod row;
pub mod scan;
pub mod server;
pub mod set;
pub mod slow_log;
mod sort;
pub mod string;
pub mod syntax;
pub mod touch;
pub mod transaction;
pub mod zset;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use resp::Request;

use crate::observe::histogram::Histogram;
use after::run_slices;
pub use after::{After, Errand, Slices, Step};
pub use call::{Call, Context, View};
use category::Categories;
pub use error::CommandError;
pub use reply::Reply;
pub use row::{
    Attempt, BlockingHandler, Channels, Command, Done, Flag, Group, Growth, Handler, LogsAgain, Measure, ReadHandler,
    Secrets, ServerHandler, Wait, Widens, WriteHandler,
};
use syntax::Syntax;
use touch::Permissions;

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
    /// A number of its own, subcommand or not, below [`count`].
    pub id: usize,
    /// Its ACL categories.
    pub categories: Categories,
    /// What it does with its keys.
    pub permissions: Permissions,
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
    /// Allowed while the store is being opened.
    pub loading: bool,
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
        acl::COMMANDS,
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
    let ids = &mut (0..);
    families.into_iter().flatten().enumerate().map(|(index, command)| entry(command, None, index, ids)).collect()
});

static BY_NAME: LazyLock<HashMap<&'static [u8], usize, rapidhash::fast::RandomState>> =
    LazyLock::new(|| TABLE.iter().map(|entry| (entry.command.name.as_bytes(), entry.index)).collect());

/// Whether a command runs while the store is being opened. Redis lets two more: WATCH, which would watch keys that are not
/// there yet, and DEBUG, which would change them.
fn may_run_while_loading(command: &Command) -> bool {
    command.has(Flag::Loading) && !command.has(Flag::Protected) && command.name != "WATCH"
}

fn entry(
    command: &'static Command,
    container: Option<&str>,
    index: usize,
    ids: &mut impl Iterator<Item = usize>,
) -> Entry {
    let name = command.name.to_ascii_lowercase();
    let full_name = container.map_or(name.clone(), |container| format!("{container}|{name}"));
    Entry {
        command,
        id: ids.next().unwrap_or_default(),
        categories: Categories::of(command),
        permissions: Permissions::of(command),
        syntax: Syntax::parse(command.usage, 1 + usize::from(container.is_some())),
        gate: GateFlags {
            deny_oom: command.has(Flag::DenyOom),
            no_auth: command.has(Flag::NoAuth),
            loading: may_run_while_loading(command),
            shrinks: command.has(Flag::Shrinks),
            fast: command.has(Flag::Fast),
            messages: command.has(Flag::PubSub) && command.has(Flag::InSubscription),
            uses: !command.has(Flag::NoUse),
        },
        subcommands: command.subcommands.iter().map(|sub| entry(sub, Some(&full_name), index, ids)).collect(),
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

/// How many commands there are, subcommands included.
pub fn count() -> usize {
    TABLE.iter().map(|entry| 1 + entry.subcommands.len()).sum()
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
