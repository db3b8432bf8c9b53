//! Scenarios that are measured: memory, growth, more data than memory, overwriting, restarting, stalls.
//!
//! ```text
//!   bench: which servers ─► running: one in a fresh directory ◄─ load (closed loop), probe (open loop), machine (/proc)
//!                                        └─ figures: table, JSON
//! ```
//!
//! Every figure of a load that a peer can do is taken of the peer beside it, one after the other. A server that
//! is not there is told as skipped. Not done here: requests a second and processor time per request of single commands,
//! which `bench/duel.py` compares.

pub mod bench;
pub mod data;
pub mod disk;
pub mod figures;
pub mod group;
mod growth;
mod larger;
pub mod load;
pub mod machine;
mod memory;
mod overwrite;
pub mod probe;
mod restart;
mod stall;

use bench::Bench;

use crate::error::Result;

/// A scenario.
pub struct Scenario {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it measures, in one sentence.
    pub doc: &'static str,
    /// Measures.
    pub run: fn(&mut Bench) -> Result<()>,
}

/// All of them, in the order in which they run.
pub const ALL: &[Scenario] = &[
    Scenario { name: "memory", doc: "Bytes of memory a key, in memory and cold.", run: memory::run },
    Scenario { name: "growth", doc: "Pauses while the keyspace grows twentyfold.", run: growth::run },
    Scenario { name: "larger", doc: "Four times as much data as memory.", run: larger::run },
    Scenario { name: "overwrite", doc: "Ten times the data written over it.", run: overwrite::run },
    Scenario { name: "restart", doc: "From kill -9 to the first answers and to all.", run: restart::run },
    Scenario { name: "stall", doc: "Longest latency while the log is rewritten again and again.", run: stall::run },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_told() {
        let mut names = std::collections::HashSet::new();
        assert!(ALL.iter().all(|of| names.insert(of.name) && of.doc.ends_with('.')));
    }
}
