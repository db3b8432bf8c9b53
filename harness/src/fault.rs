//! Faults from outside: named failpoints, slow and failing fsync, and what a machine must allow for them.

use std::io::Write;
use std::process::{Command, Stdio};

/// The environment variable that arms `kvd`'s failpoints: `name=action`, several separated by commas. Actions: `kill@N`
/// (kill -9 of itself at the N-th hit), `delay:MS` (every hit), `error@N`.
pub const FAILPOINTS: &str = "KVD_FAILPOINTS";

/// The environment variable that chooses a planted bug.
pub const MUTANT: &str = "KVD_MUTANT";

/// Every place where `kvd` may be killed.
pub use engine::failpoint::NAMES;

/// Arms one failpoint to kill the process at its `hit`-th hit.
pub fn kill_at(name: &str, hit: u64) -> (String, String) {
    (FAILPOINTS.to_owned(), format!("{name}=kill@{hit}"))
}

/// Delays at every hit of a failpoint.
pub fn delayed(name: &str, delay_ms: u64) -> (String, String) {
    (FAILPOINTS.to_owned(), format!("{name}=delay:{delay_ms}"))
}

/// Makes every fsync of the log take this much longer, by failpoint.
pub fn slow_sync(delay_ms: u64) -> (String, String) {
    delayed("log.sync.before", delay_ms)
}

/// A wrapper that makes every fdatasync of any program take this much longer.
pub fn strace_slow_sync(delay_ms: u64) -> Vec<String> {
    strace(&format!("fdatasync:delay_enter={delay_ms}ms"))
}

/// `-D`: the server is our child, strace its own grandchild, so that `kill -9` meets the server. `--seccomp-bpf`: only
/// the named call stops, all others run at full speed.
fn strace(inject: &str) -> Vec<String> {
    let words = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"];
    let words = words.into_iter().map(str::to_owned);
    words.chain([format!("inject={inject}")]).collect()
}

/// Why strace cannot be used here, if it cannot.
pub fn strace_missing() -> Option<String> {
    let line = strace("fdatasync:delay_enter=1ms");
    let run = Command::new(&line[0]).args(&line[1..]).arg("true").stderr(Stdio::piped()).output();
    match run {
        Err(error) => Some(format!("strace: {error}")),
        Ok(output) if output.status.success() && output.stderr.is_empty() => None,
        Ok(output) => Some(format!("strace: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Says that a level did not run. It is counted by whoever reads the output, and it is never a pass.
pub fn skipped(level: &str, reason: &str) {
    say(&format!("{SKIPPED}{level}: {reason}"));
}

/// How a line begins that says what was not done.
pub const SKIPPED: &str = "SKIPPED ";

/// A line for whoever runs the tests. Unlike `println!` it is shown when the test passes, too.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
