//! One table of the planted bugs of all levels: `mutants`, or `mutants simulation kills` for some.
//!
//! Exit codes: 0 all found, 1 one was missed, 3 no verdict.

use std::process::ExitCode;

use harness::command_line;
use harness::error::Result;
use harness::planted;

const USAGE: &str = "mutants [simulation] [kills] [calls] [cuts] [histories] [attacks] [fuzz]: those of these levels, of all when none is \
                     named\n";

fn main() -> ExitCode {
    command_line::run("mutants", USAGE, |words| Ok(run(words)? == 0))
}

/// How many were missed.
fn run(words: &[String]) -> Result<usize> {
    println!("| mutant | level | found by | s |\n|---|---|---|---|");
    let (mut missed, mut all) = (0, 0);
    let every: Vec<&str> = planted::levels().collect();
    let chosen = words.iter().map(String::as_str).collect::<Vec<_>>();
    for level in if chosen.is_empty() { every } else { chosen } {
        for caught in planted::find(level)? {
            println!("{caught}");
            all += 1;
            missed += usize::from(caught.by.is_none());
        }
    }
    println!("\n{} of {all} found", all - missed);
    Ok(missed)
}
