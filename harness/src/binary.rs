//! Builds the real `kvd`, with the features a test asks for, once per process.
//!
//! The program is copied away from where cargo puts it: two feature sets share that place. `HARNESS_KVD` names a program
//! to use instead; it must have been built with the features the test needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::error::{Failure, Result};
use crate::files;

/// The workspace's root.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program with named failpoints. Tests run the one that has planted bugs too, none of them planted: a second one
/// would take about as long to build as most of them take to run. Figures come from a release build, which has none.
pub fn with_failpoints() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    if cfg!(debug_assertions) && std::env::var_os("HARNESS_KVD").is_none() {
        return with_mutants();
    }
    once(&BUILT, "HARNESS_KVD", "failpoints")
}

/// The program with failpoints and planted bugs. `HARNESS_KVD_MUTANTS` names one to use instead.
pub fn with_mutants() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, "HARNESS_KVD_MUTANTS", "failpoints,mutants")
}

/// The program as it is shipped, for figures. `HARNESS_KVD` names one to use instead.
pub fn plain() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, "HARNESS_KVD", "")
}

fn once(built: &Mutex<Option<PathBuf>>, variable: &str, features: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    // A thread that failed while building leaves nothing half done behind.
    let mut built = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = &*built {
        return Ok(path.clone());
    }
    let path = build(features)?;
    *built = Some(path.clone());
    Ok(path)
}

fn build(features: &str) -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args(["build", "-p", "kvd", "--bin", "kvd", "--features", features]);
    command.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(Failure::Build(tail(&output.stderr)));
    }
    let executable = String::from_utf8_lossy(&output.stdout).lines().filter_map(executable_of).next_back();
    let executable = executable.ok_or_else(|| Failure::Build("cargo named no executable".to_owned()))?;
    let target = executable.parent().unwrap_or(Path::new(".")).join("harness");
    files::make_dir(&target)?;
    let copy = target
        .join(format!("kvd-{}", if features.is_empty() { "plain".to_owned() } else { features.replace(',', "-") }));
    files::install(&executable, &copy)?;
    Ok(copy)
}

/// The executable that one of cargo's messages tells of.
fn executable_of(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let ours = message["target"]["name"] == "kvd";
    ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
