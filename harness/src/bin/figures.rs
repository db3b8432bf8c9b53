//! Moves the figures of runs into `docs/reliability.json` and writes the page anew: `figures kills.json fuzz.json`.
//!
//! A file is emptied when its figures are in: the next run begins at zero, and nothing counts twice.

use std::path::PathBuf;
use std::process::ExitCode;

use harness::error::Result;
use harness::files;
use harness::reliability::{self, Figures};

fn main() -> ExitCode {
    let runs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match add(&runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("figures: {failure}");
            ExitCode::from(3)
        }
    }
}

fn add(runs: &[PathBuf]) -> Result<()> {
    let mut all = Figures::read()?;
    for run in runs {
        reliability::of_run(run)?.into_iter().for_each(|figure| all.add(figure));
    }
    all.write()?;
    runs.iter().try_for_each(|run| files::write(run, b"{}\n"))
}
