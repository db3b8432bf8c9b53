//! One table of the planted bugs of all levels: `mutants`, or `mutants simulation kills fuzz` for some.
//!
//! Exit codes: 0 all found, 1 one was missed, 3 no verdict.

use std::process::ExitCode;

use harness::command_line;
use harness::error::{Failure, Result};
use harness::planted::{self, Level};

const USAGE: &str = "mutants [simulation] [kills] [fuzz]: those of these levels, of all when none is named\n";

fn main() -> ExitCode {
    command_line::run("mutants", USAGE, |words| Ok(run(words)? == 0))
}

/// How many were missed.
fn run(words: &[String]) -> Result<usize> {
    if let Some(other) = words.iter().find(|word| !Level::ALL.iter().any(|(name, _)| name == word)) {
        return Err(Failure::Usage(format!("no level {other}: there are simulation, kills and fuzz")));
    }
    println!("| mutant | level | found by | s |\n|---|---|---|---|");
    let (mut missed, mut all) = (0, 0);
    for (name, level) in Level::ALL {
        if !words.is_empty() && !words.iter().any(|word| word == name) {
            continue;
        }
        for caught in planted::find(level)? {
            println!("{caught}");
            all += 1;
            missed += usize::from(caught.by.is_none());
        }
    }
    println!("\n{} of {all} found", all - missed);
    Ok(missed)
}
