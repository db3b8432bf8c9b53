//! INFO: the rows of the table, section by section, in Redis's layout.
//!
//! ```text
//!  # Section          one line for each row of the table, then what has as many lines as there are
//!  name:value         commands, error codes, databases
//! ```

use std::cell::OnceCell;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::{DATABASES, Store, Transaction};

use super::machine::Process;
use super::rows::{self, Row};
use super::stats::Totals;
use crate::commands::{self, Entry};
use crate::config::{Named, Percentiles, Settings};
use crate::server::Server;

/// A part of INFO, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The program.
    Server,
    /// Connections.
    Clients,
    /// Memory.
    Memory,
    /// The log.
    Persistence,
    /// Counters.
    Stats,
    /// There is none yet.
    Replication,
    /// Processor time.
    Cpu,
    /// There are none.
    Modules,
    /// Calls of each command.
    Commandstats,
    /// Error replies of each code.
    Errorstats,
    /// How long calls of each command took.
    Latencystats,
    /// There is none.
    Cluster,
    /// Databases.
    Keyspace,
    /// Keys by the first part of their names.
    Namespaces,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 14] = [
        Section::Server,
        Section::Clients,
        Section::Memory,
        Section::Persistence,
        Section::Stats,
        Section::Replication,
        Section::Cpu,
        Section::Modules,
        Section::Commandstats,
        Section::Errorstats,
        Section::Latencystats,
        Section::Cluster,
        Section::Keyspace,
        Section::Namespaces,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Section::Server => "Server",
            Section::Clients => "Clients",
            Section::Memory => "Memory",
            Section::Persistence => "Persistence",
            Section::Stats => "Stats",
            Section::Replication => "Replication",
            Section::Cpu => "CPU",
            Section::Modules => "Modules",
            Section::Commandstats => "Commandstats",
            Section::Errorstats => "Errorstats",
            Section::Latencystats => "Latencystats",
            Section::Cluster => "Cluster",
            Section::Keyspace => "Keyspace",
            Section::Namespaces => "Namespaces",
        }
    }

    /// Whether INFO shows it unasked.
    fn is_default(self) -> bool {
        !matches!(self, Section::Commandstats | Section::Latencystats)
    }

    /// Whether any of the words asks for it. No words ask for the default.
    fn is_wanted(self, words: &[&[u8]]) -> bool {
        let asked = |word: &&[u8]| {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            is(self.title()) || is("all") || is("everything") || (is("default") && self.is_default())
        };
        if words.is_empty() { self.is_default() } else { words.iter().any(asked) }
    }
}

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// A count or a size.
    Number(u64),
    /// A number that may be below zero.
    Signed(i64),
    /// A number with digits behind the point, and how many.
    Real(f64, usize),
    /// Text.
    Text(String),
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Number(number) => number.fmt(out),
            Shown::Signed(number) => number.fmt(out),
            Shown::Real(number, digits) => write!(out, "{number:.digits$}"),
            // A line end in a path would begin another row.
            Shown::Text(text) => out.write_str(&text.replace(['\r', '\n'], " ")),
        }
    }
}

impl From<u64> for Shown {
    fn from(number: u64) -> Shown {
        Shown::Number(number)
    }
}

impl From<i64> for Shown {
    fn from(number: i64) -> Shown {
        Shown::Signed(number)
    }
}

impl From<bool> for Shown {
    fn from(yes: bool) -> Shown {
        Shown::Number(u64::from(yes))
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Shown {
        Shown::Text(text)
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Shown {
        Shown::Text(text.to_owned())
    }
}

/// Where rows take their values from. What costs more than a load is asked for once, when a row needs it.
pub struct Sources<'a> {
    /// Everything shared.
    pub server: &'a Server,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// Counters since the last reset.
    pub totals: Totals,
    process: OnceCell<Process>,
    clients: OnceCell<ClientTotals>,
}

/// All connections together.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTotals {
    /// How many there are.
    pub count: u64,
    /// Bytes read and not executed, and bytes to be sent.
    pub buffered_bytes: u64,
    /// Most bytes read and not executed, of one connection.
    pub largest_input_bytes: u64,
    /// Most bytes to be sent, of one connection.
    pub largest_output_bytes: u64,
    /// How many subscribe to something.
    pub subscribers: u64,
    /// How many watch keys.
    pub watchers: u64,
}

impl<'a> Sources<'a> {
    /// Of a server.
    pub fn new(server: &'a Server) -> Sources<'a> {
        Sources {
            server,
            settings: server.settings(),
            totals: server.stats.totals(server.store.removed_counts()),
            process: OnceCell::new(),
            clients: OnceCell::new(),
        }
    }

    /// The keys and values.
    pub fn store(&self) -> &Store {
        &self.server.store
    }

    /// What the system says about this process.
    pub fn process(&self) -> &Process {
        self.process.get_or_init(Process::read)
    }

    /// All connections together.
    pub fn clients(&self) -> &ClientTotals {
        self.clients.get_or_init(|| {
            let mut totals = ClientTotals::default();
            for client in self.server.registry.all() {
                let input = client.query_bytes.load(Ordering::Relaxed) as u64;
                let output = client.output_bytes.load(Ordering::Relaxed) as u64;
                totals.count += 1;
                totals.watchers += u64::from(client.pending().1 != 0);
                totals.subscribers += u64::from(client.is_subscriber());
                totals.buffered_bytes += input + output;
                totals.largest_input_bytes = totals.largest_input_bytes.max(input);
                totals.largest_output_bytes = totals.largest_output_bytes.max(output);
            }
            totals
        })
    }

    /// Bytes of log that are not yet in the kernel.
    pub fn unwritten_log_bytes(&self) -> u64 {
        // The mark that moves last is read first, or the difference could be below zero.
        let written = self.store().log().written();
        self.store().log().appended().saturating_sub(written)
    }

    /// The most memory there ever was.
    pub fn peak_memory(&self) -> u64 {
        self.server.stats.peak_memory(self.store().memory())
    }
}

/// The text of INFO. Words name sections, or `default`, `all`, `everything`; unknown ones ask for nothing. Within a
/// transaction that holds all locks, that must be given.
pub fn text(server: &Server, words: &[&[u8]], mut held: Option<&mut Transaction<'_>>) -> String {
    let sources = Sources::new(server);
    let mut out = String::new();
    for section in Section::ALL.into_iter().filter(|section| section.is_wanted(words)) {
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        line(&mut out, format_args!("# {}", section.title()));
        let is_loading = section == Section::Persistence && server.store.is_loading();
        let more = if is_loading { rows::LOADING } else { &[] };
        for Row { name, value, .. } in rows::of(section).iter().chain(more) {
            line(&mut out, format_args!("{name}:{}", value(&sources)));
        }
        match section {
            Section::Server => listeners(&sources, &mut out),
            Section::Commandstats => commands::all().iter().for_each(|entry| command_calls(entry, &mut out)),
            Section::Errorstats => error_codes(&sources, &mut out),
            Section::Latencystats => {
                let percents = &sources.settings.latency_tracking_info_percentiles;
                commands::all().iter().for_each(|entry| latencies(entry, percents, &mut out));
            }
            Section::Keyspace => databases(&sources, held.as_deref_mut(), &mut out),
            Section::Namespaces => namespaces(&sources, &mut out),
            _ => {}
        }
    }
    out
}

/// Bytes as people read them.
pub(super) fn human(bytes: u64) -> Shown {
    let mut value = bytes as f64;
    let mut unit = 'B';
    for larger in ['K', 'M', 'G', 'T', 'P'] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    Shown::Text(if unit == 'B' { format!("{bytes}B") } else { format!("{value:.2}{unit}") })
}

fn line(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{text}\r\n");
}

fn listeners(sources: &Sources<'_>, out: &mut String) {
    let settings = &sources.settings;
    let binds: String = settings.bind.iter().map(|address| format!("bind={address},")).collect();
    let over_tcp = |name: &str, port: u16| (port != 0).then(|| format!("name={name},{binds}port={port}"));
    let over_unix = settings.unixsocket.as_ref().map(|path| {
        let path = Shown::Text(path.display().to_string());
        format!("name=unix,bind={path}")
    });
    let shown = [over_tcp("tcp", settings.port), over_unix, over_tcp("tls", settings.tls_port)];
    // As in Redis each kind has its number, also where another is missing.
    for (number, listener) in shown.into_iter().enumerate() {
        if let Some(listener) = listener {
            line(out, format_args!("listener{number}:{listener}"));
        }
    }
}

/// What takes constant time shares what its group of requests took; see [`crate::server::stopwatch`].
fn command_calls(entry: &Entry, out: &mut String) {
    let [calls, rejected, failed] = entry.calls.each_ref().map(|count| count.load(Ordering::Relaxed));
    if calls + rejected != 0 {
        let name = &entry.full_name;
        let usec = entry.busy_us.load(Ordering::Relaxed);
        let time = format!("usec={usec},usec_per_call={:.2}", usec as f64 / calls.max(1) as f64);
        line(out, format_args!("cmdstat_{name}:calls={calls},{time},rejected_calls={rejected},failed_calls={failed}"));
    }
    entry.subcommands.iter().for_each(|sub| command_calls(sub, out));
}

/// What takes constant time has its share of what its group of requests took.
fn latencies(entry: &Entry, percents: &Percentiles, out: &mut String) {
    if let Some(counts) = entry.latency.read() {
        let shown = percents.0.iter().map(|percent| {
            // The settings have checked it.
            let at_most_us = counts.percentile_ns(percent.parse().unwrap_or_default()) as f64 / 1000.0;
            format!("p{percent}={at_most_us:.3}")
        });
        let shown = shown.collect::<Vec<_>>().join(",");
        line(out, format_args!("latency_percentiles_usec_{}:{shown}", entry.full_name));
    }
    entry.subcommands.iter().for_each(|sub| latencies(sub, percents, out));
}

fn error_codes(sources: &Sources<'_>, out: &mut String) {
    for (code, count) in sources.server.stats.errors_by_code() {
        line(out, format_args!("errorstat_{code}:count={count}"));
    }
}

fn databases(sources: &Sources<'_>, mut held: Option<&mut Transaction<'_>>, out: &mut String) {
    let store = sources.store();
    for database in 0..DATABASES as u8 {
        let keys = store.key_count(database);
        if keys != 0 {
            let expires = store.volatile_count(held.as_deref_mut(), database);
            let average = if expires == 0 { 0 } else { store.average_ttl_ms(held.as_deref_mut(), database) };
            let hashes = store.hashes_with_deadlines(held.as_deref_mut(), database);
            line(out, format_args!("db{database}:keys={keys},expires={expires},avg_ttl={average},subexpiry={hashes}"));
        }
    }
}

fn namespaces(sources: &Sources<'_>, out: &mut String) {
    for of in sources.store().namespaces() {
        let (name, policy) = (escaped(&of.name), of.policy.name());
        let figures = format!("keys={},memory={},evicted={}", of.keys, of.memory, of.evicted);
        line(out, format_args!("namespace_{name}:{figures},policy={policy}"));
    }
}

/// A name that clients have chosen, so that it cannot look like another line: all but letters, digits, `_`, `-` and `.` as
/// `%` and two hexadecimal digits.
fn escaped(name: &[u8]) -> String {
    let mut escaped = String::new();
    for &byte in name {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-' | b'.' => escaped.push(char::from(byte)),
            _ => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_sections() {
        let wanted = |words: &[&[u8]]| -> Vec<&str> {
            Section::ALL.into_iter().filter(|section| section.is_wanted(words)).map(Section::title).collect()
        };
        assert_eq!(wanted(&[b"keyspace", b"SERVER", b"nothing"]), ["Server", "Keyspace"]);
        assert_eq!(wanted(&[]).len(), 12);
        assert_eq!(wanted(&[b"default"]), wanted(&[]));
        assert_eq!(wanted(&[b"all"]).len(), 14);
        assert_eq!(wanted(&[b"foo"]), [""; 0]);
    }

    #[test]
    fn a_name_forges_no_line() {
        assert_eq!(escaped(b"users-1_a.B"), "users-1_a.B");
        assert_eq!(escaped(b"a\r\nmaxmemory:1,b=%\xff "), "a%0D%0Amaxmemory%3A1%2Cb%3D%25%FF%20");
    }

    #[test]
    fn sizes_read_as_redis_writes_them() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (916_368, "894.89K"), (25_276_502_016, "23.54G")]
        {
            assert_eq!(human(bytes).to_string(), text);
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut names = std::collections::HashSet::new();
        for row in Section::ALL.into_iter().flat_map(rows::of).chain(rows::LOADING) {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            assert!(row.doc.ends_with('.'), "{} has no sentence", row.name);
            assert!(
                row.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                row.name
            );
        }
    }
}
