//! What an attack on a server came to.

use std::collections::BTreeMap;

use serde::Serialize;

/// Whether a server is there after an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Life {
    /// It answers, and has its data.
    Alive,
    /// The process has ended, like this.
    Dead(String),
    /// It does not answer, for this reason.
    Silent(String),
    /// It answers, and this is not as it was.
    Changed(String),
}

/// A number that an attack has measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// How much.
    pub value: f64,
    /// What it has to be at least, and at most.
    pub range: (f64, f64),
}

/// An attack on a server.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The attack's name.
    pub attack: &'static str,
    /// The server's.
    pub server: String,
    /// What is left of it.
    pub life: Life,
    /// Bytes of memory at its peak beyond those before.
    pub growth: u64,
    /// Bytes that it may have grown by: the attack's limit and what the attack has stored there.
    pub growth_limit: u64,
    /// Milliseconds within which 99 of 100 PINGs of others were answered.
    pub ping_p99_ms: f64,
    /// Of the slowest.
    pub ping_max_ms: f64,
    /// How many there were.
    pub pings: usize,
    /// Why one was not answered at all.
    pub ping_broken: Option<String>,
    /// How attackers were ended, and how many were so.
    pub ends: BTreeMap<String, u64>,
    /// What else was measured.
    pub figures: Vec<Figure>,
    /// Why the attack was not carried to its end.
    pub halted: Option<String>,
    /// Seconds that it took.
    pub seconds: f64,
}
