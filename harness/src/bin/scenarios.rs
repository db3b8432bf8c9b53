//! Measures the scenarios of the benchmark page: prints a table, and writes JSON.
//!
//! Exit codes: 0 all that was asked for was measured or skipped, 3 something failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::error::{Failure, Result};
use harness::scenario::bench::Bench;
use harness::scenario::{self, Scenario};
use harness::{binary, files};

const USAGE: &str = "\
scenarios [NAME ...] [options]
  --small             sizes of about a twentieth, for minutes on a small machine
  --redis PATH        the redis-server beside kvd (the one in PATH)
  --dir DIR           where directories for servers are made (the system's temporary directory)
  --out FILE          writes the figures as JSON

Scenarios; all when none is named:
";

#[derive(Default)]
struct Options {
    chosen: Vec<&'static Scenario>,
    small: bool,
    redis: Option<PathBuf>,
    dir: Option<PathBuf>,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    match parse(&words).and_then(|options| run(&options, &words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("scenarios: {failure}");
            ExitCode::from(3)
        }
    }
}

fn usage() -> String {
    let rows = scenario::ALL.iter().map(|of| format!("  {:<19} {}\n", of.name, of.doc));
    rows.fold(USAGE.to_owned(), |text, row| text + &row)
}

fn run(options: &Options, words: &[String]) -> Result<()> {
    let mut bench = Bench::new(binary::plain()?, options.redis.as_deref(), options.dir.as_deref(), options.small)?;
    bench.figures.command = format!("scenarios {}", words.join(" ")).trim_end().to_owned();
    bench.figures.processors = std::thread::available_parallelism()?.get();
    if options.small {
        bench.figures.note("--small: the targets are meant for the full sizes.".to_owned());
    }
    let mut failed = Ok(());
    for scenario in &options.chosen {
        bench.figures.begin(scenario.name);
        failed = (scenario.run)(&mut bench);
        if failed.is_err() {
            break;
        }
    }
    // What was found before a failure is told.
    print!("{}", bench.figures);
    if let Some(path) = &options.out {
        save(path, &bench)?;
    }
    failed
}

fn save(path: &Path, bench: &Bench) -> Result<()> {
    let text = serde_json::to_vec_pretty(&bench.figures).map_err(|error| Failure::Usage(error.to_string()))?;
    files::write(path, &text)
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut path = || {
            let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{}", usage())))?;
            Ok::<_, Failure>(Some(PathBuf::from(value)))
        };
        match word.as_str() {
            "--small" => options.small = true,
            "--redis" => options.redis = path()?,
            "--dir" => options.dir = path()?,
            "--out" => options.out = path()?,
            name => {
                let found = scenario::ALL.iter().find(|of| of.name == name);
                options.chosen.push(found.ok_or_else(|| Failure::Usage(format!("no scenario {name}\n{}", usage())))?);
            }
        }
    }
    if options.chosen.is_empty() {
        options.chosen = scenario::ALL.iter().collect();
    }
    Ok(options)
}
