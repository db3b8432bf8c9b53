//! The fuzz targets of `fuzz/`, run one after the other for a while: executions are added up, planted bugs are looked for.
//!
//! The targets need a nightly compiler and cargo-fuzz; they run without a sanitizer, several times as fast. What the fuzzer has
//! grown from the corpus is kept beside it, so that the next run goes on from there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Failure, Result};
use crate::fault;
use crate::files;

/// A fuzz target.
#[derive(Debug)]
pub struct Target {
    /// The file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Longest input: what is short is tried more often.
    pub max_bytes: u32,
    /// The bug that it must find.
    pub planted: Planted,
}

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Planted {
    /// Whatever is planted, this target cannot see it.
    Nothing,
    /// In a crate that knows no names of bugs: the feature alone plants it.
    ByFeature,
    /// One of the engine's list.
    Named(&'static str),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("request_split", 64, Planted::Nothing),
    target("request_allocation", 64, Planted::ByFeature),
    target("reply_round_trip", 64, Planted::Nothing),
    target("restore", 64, Planted::Nothing),
    target("rdb_file", 96, Planted::ByFeature),
    target("glob", 48, Planted::Named("glob_range_unsigned")),
    target("config", 96, Planted::Named("config_backslash_bare")),
    target("acl", 128, Planted::Named("acl_read_is_write")),
    target("command_list", 64, Planted::Named("command_list_copy_forgets_deadline")),
    target("command_words", 64, Planted::Named("command_words_pop_promises_too_much")),
    target("log_image", 512, Planted::Named("crc_unchecked")),
    target("checkpoint", 64, Planted::Named("checkpoint_crc_unchecked")),
    target("manifest", 96, Planted::Named("manifest_length_unchecked")),
];

const fn target(name: &'static str, max_bytes: u32, planted: Planted) -> Target {
    Target { name, max_bytes, planted }
}

/// One input may take so long, and one allocation so much.
const LIMITS: [&str; 3] = ["-timeout=20", "-rss_limit_mb=4096", "-malloc_limit_mb=256"];

/// What was done with one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Inputs tried.
    pub executions: u64,
    /// Inputs that broke what must hold.
    pub findings: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Figures by target, added up over runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// By name.
    pub targets: BTreeMap<String, Done>,
}

impl Report {
    /// Counts a run.
    pub fn add(&mut self, target: &str, done: Done) {
        let row = self.targets.entry(target.to_owned()).or_default();
        row.executions += done.executions;
        row.findings += done.findings;
        row.seconds += done.seconds;
    }

    /// Of all targets together.
    pub fn total(&self) -> Done {
        let mut total = Report::default();
        self.targets.values().for_each(|done| total.add("", *done));
        total.targets.get("").copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| target | executions | per s | findings | s |\n|---|---|---|---|---|")?;
        for (name, done) in
            self.targets.iter().map(|(name, done)| (name.as_str(), *done)).chain([("all", self.total())])
        {
            let rate = done.executions as f64 / done.seconds.max(1.0);
            writeln!(f, "| {name} | {} | {rate:.0} | {} | {:.0} |", done.executions, done.findings, done.seconds)?;
        }
        Ok(())
    }
}

/// Why nothing can be fuzzed here, if so.
pub fn missing() -> Option<String> {
    let runs = |words: &[&str]| {
        let status = Command::new("cargo").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !runs(&["+nightly", "--version"]) {
        return Some("there is no nightly toolchain".to_owned());
    }
    (!runs(&["+nightly", "fuzz", "--version"])).then(|| "cargo-fuzz is not installed".to_owned())
}

/// Builds all targets, with their planted bugs or without.
pub fn build(planted: bool) -> Result<()> {
    let built = cargo_fuzz("build", planted).status().map_err(failed)?;
    if built.success() { Ok(()) } else { Err(Failure::Usage("the fuzz targets do not build".to_owned())) }
}

/// Runs a target for so many seconds, or until it finds something.
pub fn run(target: &Target, seconds: u64, planted: bool) -> Result<Done> {
    let grown = folder().join("grown").join(if planted { "planted" } else { "clean" }).join(target.name);
    if planted {
        // A planted bug is to be found from the seeds alone.
        let _ = std::fs::remove_dir_all(&grown);
    }
    files::make_dir(&grown)?;
    let mut command = cargo_fuzz("run", planted);
    command.arg(target.name).arg(&grown).arg(folder().join("corpus").join(target.name)).arg("--");
    command.args(LIMITS).arg(format!("-max_len={}", target.max_bytes)).arg(format!("-max_total_time={seconds}"));
    // Lists of commands say something only when they are long.
    command.args(["-print_final_stats=1", "-len_control=0"]);
    if let (true, Planted::Named(mutant)) = (planted, target.planted) {
        command.env(fault::MUTANT, mutant);
    }
    let begin = clock::now();
    let output = command.stdout(Stdio::null()).output().map_err(failed)?;
    let took = (clock::now() - begin).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    let found = !output.status.success() && said.contains(FOUND);
    let executions = executions(&said).filter(|_| found || output.status.success());
    let executions = executions.ok_or_else(|| Failure::Usage(format!("{}: {}", target.name, end(&said))))?;
    if found && !planted {
        eprintln!("{}: {}", target.name, end(&said));
    }
    Ok(Done { executions, findings: found.into(), seconds: took })
}

/// What libFuzzer says of an input that broke something. Who was only interrupted has found nothing.
const FOUND: &str = "Test unit written to";

/// How many inputs libFuzzer says that it has tried: at its end, or in the line of its last sign of life.
fn executions(said: &str) -> Option<u64> {
    let after = |mark: &str| said.rsplit_once(mark).map(|(_, rest)| rest);
    if let Some(rest) = after("stat::number_of_executed_units:") {
        return rest.split_whitespace().next()?.parse().ok();
    }
    let line = said.lines().rev().find(|line| line.starts_with('#'))?;
    line[1..].split_whitespace().next()?.parse().ok()
}

/// The last lines of an output.
fn end(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn cargo_fuzz(verb: &str, planted: bool) -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", verb, "--sanitizer", "none"]).current_dir(folder());
    if planted {
        command.args(["--features", "mutants"]);
    }
    command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn failed(source: std::io::Error) -> Failure {
    Failure::Usage(format!("cargo fuzz: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_target_is_run_and_has_seeds() {
        let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        let there = |what: &str| -> BTreeSet<String> {
            let entries = files::list(&folder().join(what)).unwrap();
            entries.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(there("fuzz_targets"), names);
        assert_eq!(there("corpus"), names);
    }

    #[test]
    fn every_planted_bug_has_its_target() {
        for (mutant, _) in engine::mutant::FUZZED {
            let finds = |target: &Target| target.planted == Planted::Named(mutant) && mutant.starts_with(target.name);
            assert!(TARGETS.iter().any(finds), "{mutant}");
        }
    }

    #[test]
    fn executions_are_read_from_what_libfuzzer_says() {
        assert_eq!(executions("#1\tINIT\nstat::number_of_executed_units: 512\nstat::x: 1\n"), Some(512));
        assert_eq!(executions("#2\tINITED cov: 5\n#4096\tpulse  cov: 6\nthread panicked\n"), Some(4096));
        assert_eq!(executions("error: could not compile"), None);
    }

    #[test]
    fn runs_add_up() {
        let mut report = Report::default();
        let done = Done { executions: 5, findings: 1, seconds: 2.0 };
        ["glob", "glob", "config"].iter().for_each(|target| report.add(target, done));
        assert_eq!(report.targets["glob"], Done { executions: 10, findings: 2, seconds: 4.0 });
        assert_eq!(report.total(), Done { executions: 15, findings: 3, seconds: 6.0 });
    }
}
