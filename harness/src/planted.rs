//! The planted bugs of all levels, and what found each: the simulation, kills, system calls, power cuts, histories, attacks, fuzz
//! targets.
//!
//! All but the last are tests that print a line for each bug; their lines are read here. The fuzz targets are run.

use std::fmt;
use std::process::Command;

use crate::error::{Failure, Result};
use crate::fault;
use crate::fuzzing::{self, Planted, TARGETS};

/// A planted bug and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// Its name.
    pub mutant: String,
    /// `L0`, `L1`, … `L6`.
    pub level: String,
    /// `46 seeds`, `kill 3`, `512 executions`; nothing when it was missed.
    pub by: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.as_deref().unwrap_or("**MISSED**");
        write!(f, "| {} | {} | {by} | {:.3} |", self.mutant, self.level, self.seconds)
    }
}

/// How a line of a test about a planted bug begins, and what it says instead of by what when it was missed.
const PLANTED: &str = "planted ";
const MISSED: &str = "MISSED";

impl Caught {
    /// Says it, for whoever runs the test and for the table, with the seed that repeats it and why.
    pub fn say(&self, seed: u64, why: &str) {
        fault::say(&self.line(seed, why));
    }

    /// `planted torn_tail_kept at L2: death 2, 1.500 s, seed 7: why`
    fn line(&self, seed: u64, why: &str) -> String {
        let Caught { mutant, level, by, seconds } = self;
        let by = by.as_deref().unwrap_or(MISSED);
        format!("{PLANTED}{mutant} at {level}: {by}, {seconds:.3} s, seed {seed}: {why}")
    }

    fn read(line: &str) -> Option<Caught> {
        let (mutant, rest) = line.strip_prefix(PLANTED)?.split_once(" at ")?;
        let (level, rest) = rest.split_once(": ")?;
        let (by, rest) = rest.split_once(", ")?;
        let seconds = rest.split_once(" s, ")?.0.parse().ok()?;
        let by = (by != MISSED).then(|| by.to_owned());
        Some(Caught { mutant: mutant.to_owned(), level: level.to_owned(), by, seconds })
    }
}

/// What has planted bugs: tests, by the words that cargo gets, and the fuzz targets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Simulation,
    Tests(&'static [&'static str]),
    Fuzz,
}

/// All levels, with their words on a command line.
const LEVELS: [(&str, Kind); 7] = [
    ("simulation", Kind::Simulation),
    ("kills", Kind::Tests(&["mutants"])),
    ("calls", Kind::Tests(&["faults", "planted"])),
    ("cuts", Kind::Tests(&["power_cuts"])),
    ("histories", Kind::Tests(&["linear"])),
    ("attacks", Kind::Tests(&["attack", "planted"])),
    ("fuzz", Kind::Fuzz),
];

/// The words of all levels.
pub fn levels() -> impl Iterator<Item = &'static str> {
    LEVELS.into_iter().map(|(name, _)| name)
}

/// Seconds within which a fuzz target must find its bug.
const BUDGET_S: u64 = 120;

/// Looks for all planted bugs of a level.
pub fn find(level: &str) -> Result<Vec<Caught>> {
    let kind = LEVELS.iter().find(|(name, _)| *name == level).map(|(_, kind)| *kind);
    match kind.ok_or_else(|| {
        Failure::Usage(format!("no level {level}: there are {}", levels().collect::<Vec<_>>().join(", ")))
    })? {
        Kind::Simulation => {
            let features = ["--features", "mutants,few-shards"];
            test(&[&["--release", "-p", "engine"], &features[..], &["--test", "crash", "mutants"]].concat(), simulated)
        }
        Kind::Tests(words) => test(&[&["-p", "harness", "--test"], words].concat(), Caught::read),
        Kind::Fuzz => fuzzed(),
    }
}

/// Runs a test that prints a line for each bug. One that fails without a bug that was missed has not worked.
fn test(words: &[&str], read: fn(&str) -> Option<Caught>) -> Result<Vec<Caught>> {
    let output = Command::new("cargo").arg("test").args(words).args(["--", "--nocapture"]).output();
    let output = output.map_err(|source| Failure::Run { program: "cargo".to_owned(), source })?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let caught: Vec<Caught> = said.lines().filter_map(read).collect();
    let skipped: Vec<&str> = said.lines().filter(|line| line.starts_with(fault::SKIPPED)).collect();
    skipped.iter().for_each(|line| fault::say(line));
    let explained = output.status.success() || caught.iter().any(|caught| caught.by.is_none());
    if !explained || caught.is_empty() && skipped.is_empty() {
        let lines: Vec<&str> = said.lines().collect();
        return Err(Failure::Usage(lines[lines.len().saturating_sub(30)..].join("\n")));
    }
    Ok(caught)
}

/// `skip_fsync   L1   1   0.010  why`
fn simulated(line: &str) -> Option<Caught> {
    let mut words = line.split_whitespace();
    let (mutant, level, seeds, seconds) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_known = engine::mutant::NAMES.iter().any(|(name, _)| *name == mutant);
    let by = match (level, seeds) {
        (_, "MISSED") => None,
        ("L0", _) => Some("image".to_owned()),
        _ => Some(format!("{seeds} seeds")),
    };
    let seconds = seconds.parse().ok()?;
    is_known.then(|| Caught { mutant: mutant.to_owned(), level: level.to_owned(), by, seconds })
}

fn fuzzed() -> Result<Vec<Caught>> {
    if let Some(reason) = fuzzing::missing() {
        return Err(Failure::Usage(format!("SKIPPED L6: {reason}")));
    }
    fuzzing::build(true)?;
    let has_one = TARGETS.iter().filter(|target| target.planted != Planted::Nothing);
    has_one
        .map(|target| {
            let done = fuzzing::run(target, BUDGET_S, true)?;
            let name = match target.planted {
                Planted::Named(name) => name,
                _ => "memory_as_announced",
            };
            let by = (done.findings > 0).then(|| format!("{}, {} executions", target.name, done.executions));
            Ok(Caught { mutant: name.to_owned(), level: "L6".to_owned(), by, seconds: done.seconds })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tests_are_read() {
        let image = simulated("torn_tail_kept               L0          0    0.006  a state").unwrap();
        assert_eq!(image.to_string(), "| torn_tail_kept | L0 | image | 0.006 |");
        assert_eq!(simulated("skip_fsync  L1  46  0.412  why").unwrap().by.as_deref(), Some("46 seeds"));
        assert_eq!(simulated("skip_fsync  L1  MISSED  57.9").unwrap().by, None);
        assert_eq!(simulated("running 1 test in all of them"), None);
        let caught = |by: Option<&str>| Caught {
            mutant: "torn_tail_kept".to_owned(),
            level: "L2".to_owned(),
            by: by.map(str::to_owned),
            seconds: 1.5,
        };
        for caught in [caught(Some("death 2")), caught(None)] {
            assert_eq!(Caught::read(&caught.line(7, "NoTear: a, b at c")), Some(caught));
        }
        assert_eq!(caught(Some("death 2")).to_string(), "| torn_tail_kept | L2 | death 2 | 1.500 |");
        assert_eq!(Caught::read("test half_a_transaction ... ok"), None);
    }
}
