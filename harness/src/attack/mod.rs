//! Attacks: what hostile clients do to any server that speaks RESP, and what everybody else notices of it.
//!
//! ```text
//!   victim: a server with data that must stay ◄─ attack: one row of a table, on many connections
//!                                             ◄─ ping: well-behaved clients that ask at fixed times
//!                                             ◄─ watch: memory, from /proc; ends what grows too far
//!        └─ row: alive, grown by, pings, how attackers were ended ─► judge: what was promised ─► report
//! ```
//!
//! The same load against a server that does nothing says what machine and harness take: a ping that is late there too was not
//! late because of the server. Not done here: whether secrets can be guessed by the clock.

mod arguments;
mod collisions;
mod crowd;
mod deaf;
mod descriptors;
mod draws;
mod drip;
pub mod ending;
mod extremes;
mod foreign;
mod half_open;
mod hoards;
mod inline;
mod inspections;
pub mod judge;
mod lengths;
mod mutations;
mod nested;
mod offsets;
mod patterns;
mod payloads;
pub mod ping;
pub mod report;
pub mod row;
pub mod run;
pub mod scene;
mod storm;
mod strangers;
mod unread;
pub mod victim;
mod walks;
pub mod watch;

use crate::error::Result;
use scene::Scene;

/// An attack.
pub struct Attack {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// Puts in place what it needs; what that costs is not counted.
    pub prepare: fn(&Scene) -> Result<()>,
    /// Does it.
    pub run: fn(&Scene) -> Result<()>,
    /// Bytes that the server may grow by meanwhile.
    pub growth_limit: u64,
}

const MIB: u64 = 1 << 20;
/// What any attack may cost in memory.
const GROWTH: u64 = 64 * MIB;
/// What clients without a password may.
const STRANGER: u64 = MIB;

const fn row(name: &'static str, doc: &'static str, run: fn(&Scene) -> Result<()>) -> Attack {
    Attack { name, doc, prepare: scene::nothing, run, growth_limit: GROWTH }
}

impl Attack {
    const fn after(mut self, prepare: fn(&Scene) -> Result<()>) -> Self {
        self.prepare = prepare;
        self
    }

    const fn within(mut self, bytes: u64) -> Self {
        self.growth_limit = bytes;
        self
    }
}

/// All of them, in the order in which they run: those that leave data behind come last.
pub const ALL: &[Attack] = &[
    row("lengths", "Lengths of arrays and bulks around 2^31, 2^32, 2^63, negative, signed, no numbers.", lengths::run),
    row("nested", "Arrays in arrays, 200,000 deep.", nested::run),
    row("inline", "An inline request of 1 MiB without an end, at once and in pieces.", inline::run),
    row("foreign", "A TLS handshake and an HTTP POST with commands in it.", foreign::run),
    row(
        "arguments",
        "1,048,576 arguments, 2^31 announced, and as many connections that announce and hold.",
        arguments::run,
    ),
    row(
        "mutations",
        "1,000,000 broken frames: requests with bytes changed, cut, doubled, over many connections.",
        mutations::run,
    ),
    row("unread_pings", "10,000,000 PINGs by a client that reads nothing.", unread::pings),
    row("unread_gets", "10,000,000 GETs of a value of 64 KiB by a client that reads nothing.", unread::gets)
        .after(unread::prepare),
    row("drip", "100 clients that send a request of one byte a second.", drip::run),
    row("half_open", "10,000 clients that send half a request and hold.", half_open::run).after(crowd::prepare),
    row("crowd", "10,000 clients that are held and send a PING each, again and again.", crowd::run)
        .after(crowd::prepare),
    row("storm", "Clients that connect, ask once and go, as fast as they can.", storm::run),
    row("descriptors", "More clients than the server may have files, beside those that come and go.", descriptors::run),
    row("stranger_bulks", "No password: bulks as large as are taken, held.", strangers::bulks)
        .after(strangers::prepare)
        .within(STRANGER),
    row("stranger_arguments", "No password: as many arguments as are taken, held.", strangers::arguments)
        .after(strangers::prepare)
        .within(STRANGER),
    row("stranger_unread", "No password: requests without end, replies are not read.", strangers::unread)
        .after(strangers::prepare)
        .within(STRANGER),
    row("stranger_guesses", "No password: AUTH with guesses, as many as fit.", strangers::guesses)
        .after(strangers::prepare)
        .within(STRANGER),
    row("deaf", "Subscribers that read nothing while others publish.", deaf::run),
    row(
        "names",
        "Names of channels, watched keys, queued requests and of the client itself, without end.",
        hoards::run,
    )
    .after(hoards::prepare),
    row("subscriptions", "SUBSCRIBE to 1,000,000 channels by one client.", hoards::subscribe).after(hoards::prepare),
    row("patterns", "Patterns with many stars against long names: KEYS, SCAN, PSUBSCRIBE.", patterns::run)
        .after(patterns::prepare),
    row("draws", "Random elements, -2^63 of them.", draws::run).after(draws::prepare),
    row("extremes", "Every number of every command around 2^31, 2^32 and 2^63.", extremes::run)
        .after(extremes::prepare),
    row("payloads", "RESTORE of values that are damaged, with a checksum that is right.", payloads::run)
        .after(payloads::prepare),
    row("inspections", "COMMAND DOCS, OBJECT, DEBUG, MEMORY and INFO without end.", inspections::run)
        .after(inspections::prepare),
    row("offsets", "SETRANGE, SETBIT and BITFIELD at offsets around 2^32.", offsets::run),
    row("walks", "KEYS, SORT, SUNION and DEL of 1,000,000 elements.", walks::run).after(walks::prepare),
    row(
        "collisions",
        "Keys that collide under FNV, CRC, DJB and SipHash of a known key, beside random ones.",
        collisions::run,
    ),
];

/// The attack of a name.
pub fn named(name: &str) -> Option<&'static Attack> {
    ALL.iter().find(|attack| attack.name == name)
}
