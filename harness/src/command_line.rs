//! What the programs have in common: their help, their exit codes, and words that are numbers or modes.

use std::process::ExitCode;
use std::str::FromStr;

use crate::error::{Failure, Result};
use crate::process::Mode;

/// Runs a program on its words. Exit codes: 0 as it should be, or help, 1 something is broken or missed, 3 no verdict.
pub fn run(name: &str, usage: &str, judge: impl FnOnce(&[String]) -> Result<bool>) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help") {
        print!("{usage}");
        return ExitCode::SUCCESS;
    }
    match judge(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("{name}: no verdict: {failure}");
            ExitCode::from(3)
        }
    }
}

/// The value of an option as a number.
pub fn number<T: FromStr>(option: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| Failure::Usage(format!("{option}: {value} is no number")))
}

/// The modes that a word names, `all` or one.
pub fn modes(value: &str) -> Result<Vec<Mode>> {
    if value == "all" { Ok(Mode::ALL.to_vec()) } else { mode(value).map(|mode| vec![mode]) }
}

/// The mode of a name.
pub fn mode(value: &str) -> Result<Mode> {
    let mode = Mode::ALL.into_iter().find(|mode| mode.word() == value);
    mode.ok_or_else(|| Failure::Usage(format!("no mode {value}")))
}
