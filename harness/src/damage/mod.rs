//! Files that are damaged while the server is down: ends of logs that were being written, and bits that have turned.
//!
//! ```text
//! Victim: a store with known contents ── copy ──► spoilt ── start ──► Outcome: told, wrong, or as it was
//! ```
//!
//! Any server can be the victim: which file grows with the last write, and where, is seen by comparing.

pub mod rot;
pub mod tail;
pub mod victim;

use std::collections::BTreeMap;
use std::fmt;

/// What a start on damaged files led to, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It starts, and shows all that was answered.
    Whole,
    /// It starts, and answers some reads with an error; all others are right.
    ErrorReply,
    /// It does not start.
    Refused,
    /// It starts, and something that was answered is not there.
    Missing,
    /// It starts, and shows a value that nobody wrote.
    Wrong,
}

impl Outcome {
    /// As reports say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "nothing missing",
            Self::ErrorReply => "error reply",
            Self::Refused => "start refused",
            Self::Missing => "missing without a word",
            Self::Wrong => "wrong value served",
        }
    }
}

/// How often each outcome was seen.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<Outcome, u64>,
    /// Of each bad outcome the first: what was done to the file.
    pub first: BTreeMap<Outcome, String>,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, outcome: Outcome, what: &str) {
        *self.counts.entry(outcome).or_default() += 1;
        self.first.entry(outcome).or_insert_with(|| what.to_owned());
    }

    /// How often this one.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.counts.get(&outcome).copied().unwrap_or(0)
    }

    /// All.
    pub fn all(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.counts.iter().map(|(outcome, count)| format!("{} {count}", outcome.word())).collect();
        write!(f, "{}: {}", self.all(), parts.join(", "))
    }
}
