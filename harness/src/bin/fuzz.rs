//! Runs the fuzz targets for a while and adds their executions up.
//!
//! Exit codes: 0 nothing found, 1 something found (prints the input and where it lies), 3 no verdict.

use std::path::PathBuf;
use std::process::ExitCode;

use harness::command_line;
use harness::error::{Failure, Result};
use harness::files;
use harness::fuzzing::{self, Report, TARGETS, Target};

const USAGE: &str = "\
fuzz [options]
  --seconds N     for each target (60)
  --targets A,B   only these (all)
  --resume FILE   adds the figures to those in FILE
";

struct Options {
    seconds: u64,
    targets: Vec<&'static Target>,
    resume: Option<PathBuf>,
}

fn main() -> ExitCode {
    command_line::run("fuzz", USAGE, |words| {
        let options = parse(words)?;
        match fuzzing::missing() {
            Some(reason) => Err(Failure::Usage(format!("SKIPPED L6: {reason}"))),
            None => Ok(run(&options)? == 0),
        }
    })
}

/// How many findings there were.
fn run(options: &Options) -> Result<u64> {
    let mut report: Report = options.resume.as_deref().map_or_else(|| Ok(Report::default()), files::resume_json)?;
    fuzzing::build(false)?;
    let mut findings = 0;
    for target in &options.targets {
        let done = fuzzing::run(target, options.seconds, false)?;
        findings += done.findings;
        report.add(target.name, done);
        if let Some(path) = &options.resume {
            files::write_json(path, &report)?;
        }
    }
    print!("{report}");
    Ok(findings)
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options { seconds: 60, targets: TARGETS.iter().collect(), resume: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{USAGE}")))?;
        match word.as_str() {
            "--seconds" => options.seconds = command_line::number(word, value)?,
            "--targets" => options.targets = value.split(',').map(find).collect::<Result<_>>()?,
            "--resume" => options.resume = Some(value.into()),
            _ => return Err(Failure::Usage(format!("no option {word}\n{USAGE}"))),
        }
    }
    Ok(options)
}

fn find(name: &str) -> Result<&'static Target> {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.ok_or_else(|| Failure::Usage(format!("no target {name}")))
}
