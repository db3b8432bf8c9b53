//! Attacks servers and tells what came of it, side by side.
//!
//! Exit codes: 0 kvd kept all promises, 1 it broke one, 3 no verdict.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness::attack::report::Report;
use harness::attack::run::{Options, Siege};
use harness::attack::victim::Kind;
use harness::attack::{self, Attack};
use harness::command_line::{self, number};
use harness::error::{Failure, Result};
use harness::scenario::bench;
use harness::{binary, clock, files};

const USAGE: &str = "\
attack [NAME ...] [options] [-- ARGUMENTS FOR THE SERVERS]
  --server SERVER     attacks this too: a path of redis-server and its likes, or 'command {port} {dir}'; may be repeated
  --only              attacks the servers that are named, and not kvd
  --small             sizes for seconds
  --time N            seconds that one attack may take (120)
  --seed S            repeats what is left to chance (fresh)
  --out FILE          writes what was measured as JSON

Attacks; all when none is named:
";

struct Chosen {
    attacks: Vec<&'static Attack>,
    servers: Vec<Kind>,
    out: Option<PathBuf>,
    only: bool,
    options: Options,
}

fn main() -> ExitCode {
    command_line::run("attack", &usage(), |words| run(parse(words)?))
}

fn usage() -> String {
    let rows = attack::ALL.iter().map(|of| format!("  {:<19} {}\n", of.name, of.doc));
    rows.fold(USAGE.to_owned(), |text, row| text + &row)
}

/// Whether kvd, or else every server, has kept all promises.
fn run(chosen: Chosen) -> Result<bool> {
    let room = tempfile::tempdir()?;
    let null = Kind::null(&bench::build_null(room.path())?);
    let mut kinds = vec![null.clone()];
    if !chosen.only {
        kinds.push(Kind::kvd(binary::plain()?));
    }
    kinds.extend(chosen.servers);
    let mut report = Report {
        servers: kinds.iter().map(|kind| kind.name.clone()).collect(),
        null: Some(null.name),
        ..Report::default()
    };
    let mut sieges: Vec<Siege> = kinds.into_iter().map(|kind| Siege::new(kind, chosen.options.clone())).collect();
    let mut kept = true;
    for attack in chosen.attacks {
        for siege in &mut sieges {
            let row = match siege.attack(attack) {
                Ok(row) => row,
                Err(error) => {
                    eprintln!("{} on {}: {error}", attack.name, siege.kind().name);
                    continue;
                }
            };
            let broken = report.broken(&row);
            let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
            eprintln!("{} on {}, {:.1} s: {}", row.attack, row.server, row.seconds, told.join("; "));
            kept &= broken.is_empty() || (row.server != "kvd" && !chosen.only);
            report.rows.push(row);
        }
    }
    for siege in &sieges {
        report.kept.push((siege.kind().name.clone(), siege.kept(), siege.starts));
    }
    print!("{report}");
    eprintln!("seed {}", chosen.options.seed);
    if let Some(path) = &chosen.out {
        files::write_json(path, &report)?;
    }
    Ok(kept)
}

fn parse(words: &[String]) -> Result<Chosen> {
    let options = Options { small: false, seed: clock::fresh_seed(), time: Duration::from_secs(120), args: Vec::new() };
    let mut chosen = Chosen { attacks: Vec::new(), servers: Vec::new(), out: None, only: false, options };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{}", usage())));
        match word.as_str() {
            "--server" => chosen.servers.push(Kind::of(value()?)),
            "--only" => chosen.only = true,
            "--small" => chosen.options.small = true,
            "--time" => chosen.options.time = Duration::from_secs(number(word, value()?)?),
            "--seed" => chosen.options.seed = number(word, value()?)?,
            "--out" => chosen.out = Some(value()?.into()),
            "--" => {
                chosen.options.args = words.by_ref().cloned().collect();
            }
            name => {
                let found = attack::named(name);
                chosen.attacks.push(found.ok_or_else(|| Failure::Usage(format!("no attack {name}\n{}", usage())))?);
            }
        }
    }
    if chosen.attacks.is_empty() {
        chosen.attacks = attack::ALL.iter().collect();
    }
    Ok(chosen)
}
