//! What an import tells: how far it is while it runs, what it did when it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine::clock::Clock;
use engine::value;

/// How often it says how far it is.
const EVERY_MS: u64 = 1000;

/// Types and what they are called, in the order in which they are listed.
const TYPES: [(u8, &str); 5] = [
    (value::STRING, "strings"),
    (value::LIST, "lists"),
    (value::HASH, "hashes"),
    (value::SET, "sets"),
    (value::ZSET, "sorted sets"),
];

/// Counts and progress.
pub(super) struct Report {
    clock: Arc<dyn Clock>,
    started_ms: u64,
    told_ms: u64,
    /// Bytes of all files, and those of the files that are done.
    pub(super) total_bytes: u64,
    pub(super) done_bytes: u64,
    /// Keys stored, by type.
    keys: BTreeMap<u8, u64>,
    /// Commands carried out.
    pub(super) commands: u64,
    pub(super) expired: u64,
    /// What was passed over, by what it is.
    pub(super) skipped: BTreeMap<String, u64>,
    /// What is to be said at the end.
    pub(super) notes: Vec<String>,
}

impl Report {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Report {
        let now_ms = clock.monotonic_ms();
        Report {
            clock,
            started_ms: now_ms,
            told_ms: now_ms,
            total_bytes: 0,
            done_bytes: 0,
            keys: BTreeMap::new(),
            commands: 0,
            expired: 0,
            skipped: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn count_key(&mut self, value_type: u8) {
        *self.keys.entry(value_type).or_default() += 1;
    }

    pub(super) fn forget_keys(&mut self) {
        self.keys.clear();
        self.expired = 0;
    }

    /// Something was passed over, which is named.
    pub(super) fn skip(&mut self, what: &str, which: &dyn fmt::Display) {
        eprintln!("skipped: {which}");
        *self.skipped.entry(what.to_owned()).or_default() += 1;
    }

    /// Says how far it is, now and then: `offset` bytes of the present file are done.
    pub(super) fn progress(&mut self, offset: u64) {
        let now_ms = self.clock.monotonic_ms();
        if now_ms < self.told_ms + EVERY_MS {
            return;
        }
        self.told_ms = now_ms;
        let done = self.done_bytes + offset;
        let percent = (100 * done).checked_div(self.total_bytes).unwrap_or(100).min(100);
        let what = match self.commands {
            0 => format!("{} keys", self.keys.values().sum::<u64>()),
            commands => format!("{commands} commands"),
        };
        eprintln!("{percent:3} %  {} MB of {} MB, {what}", mb(done), mb(self.total_bytes));
    }
}

fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: u64 = self.keys.values().sum();
        write!(f, "imported {keys} keys")?;
        let of_type = |(kind, name): &(u8, &str)| Some(format!("{} {name}", self.keys.get(kind)?));
        let types: Vec<String> = TYPES.iter().filter_map(of_type).collect();
        if !types.is_empty() {
            write!(f, " ({})", types.join(", "))?;
        }
        if self.commands > 0 {
            write!(f, " by {} commands", self.commands)?;
        }
        let ms = self.clock.monotonic_ms() - self.started_ms;
        write!(f, " in {}.{:03} s", ms / 1000, ms % 1000)?;
        if self.expired > 0 {
            write!(f, "\n{} keys had expired", self.expired)?;
        }
        for (what, count) in &self.skipped {
            write!(f, "\nskipped: {count} {what}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}
