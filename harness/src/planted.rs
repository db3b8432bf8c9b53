//! The planted bugs of all levels, and what found each: the simulation, kills, fuzz targets.
//!
//! The first two are tests that print a line for each bug; their lines are read here. The fuzz targets are run.

use std::fmt;
use std::process::Command;

use crate::error::{Failure, Result};
use crate::fuzzing::{self, Planted, TARGETS};

/// A planted bug and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// Its name.
    pub mutant: String,
    /// `L0`, `L1`, `L2` or `L6`.
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

/// A level that has planted bugs, and its test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// The simulated disk.
    Simulation,
    /// Kills of the real server.
    Kills,
    /// Fuzz targets.
    Fuzz,
}

impl Level {
    /// All of them, with their words on a command line.
    pub const ALL: [(&str, Level); 3] =
        [("simulation", Level::Simulation), ("kills", Level::Kills), ("fuzz", Level::Fuzz)];
}

/// Seconds within which a fuzz target must find its bug.
const BUDGET_S: u64 = 120;

/// Looks for all planted bugs of a level.
pub fn find(level: Level) -> Result<Vec<Caught>> {
    match level {
        Level::Simulation => {
            let words = ["--release", "-p", "engine", "--features", "mutants", "--test", "crash", "mutants"];
            test(&words, simulated)
        }
        Level::Kills => test(&["-p", "harness", "--test", "mutants"], killed),
        Level::Fuzz => fuzzed(),
    }
}

/// Runs a test that prints a line for each bug. One that fails without a bug that was missed has not worked.
fn test(words: &[&str], read: fn(&str) -> Option<Caught>) -> Result<Vec<Caught>> {
    let output = Command::new("cargo").arg("test").args(words).args(["--", "--nocapture"]).output();
    let output = output.map_err(|source| Failure::Run { program: "cargo".to_owned(), source })?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let caught: Vec<Caught> = said.lines().filter_map(read).collect();
    let explained = output.status.success() || caught.iter().any(|caught| caught.by.is_none());
    if caught.is_empty() || !explained {
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

/// `torn_tail_kept: found by death 2, seed 7, 1.5s: Some(why)`; what was missed has no rule behind it.
fn killed(line: &str) -> Option<Caught> {
    let (mutant, rest) = line.split_once(": found by ")?;
    let mut parts = rest.splitn(3, ", ");
    let (by, _seed, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, why) = rest.split_once(": ")?;
    let by = why.starts_with("Some").then(|| by.to_owned());
    Some(Caught { mutant: mutant.to_owned(), level: "L2".to_owned(), by, seconds: seconds_of(seconds)? })
}

/// What `Duration` says of itself: `1.5s`, `820.1ms`.
fn seconds_of(text: &str) -> Option<f64> {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse::<f64>().ok().map(|ms| ms / 1000.0),
        None => text.strip_suffix('s')?.parse().ok(),
    }
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
        let kill = killed("torn_tail_kept: found by death 2, seed 7, 1.5s: Some(Violation { rule: NoTear })").unwrap();
        assert_eq!(kill.to_string(), "| torn_tail_kept | L2 | death 2 | 1.500 |");
        assert_eq!(killed("swap_unlogged: found by kill 30, seed 7, 820.5ms: None").unwrap().by, None);
        assert_eq!(killed("test half_a_transaction ... ok"), None);
    }
}
