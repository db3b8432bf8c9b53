//! Has clients ask a server that is killed in their midst, and judges whether what they saw is linearizable.
//!
//! Exit codes: 0 all histories are, 1 one is not (prints its seed and the command that asks the same again), 3 no verdict.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::command_line::{self, number};
use harness::error::{Failure, Result};
use harness::linear::figures::Rows;
use harness::linear::history::History;
use harness::linear::judge::{self, Verdict};
use harness::linear::play::{self, Plan};
use harness::process::{Mode, Program};
use harness::{aim, binary, clock, fault, files};

const USAGE: &str = "\
linear [options]
  --histories N   histories per mode (100)
  --mode M        always, everysec, no or all (always)
  --clients N     clients asking at once (8)
  --requests N    requests of each (500)
  --stretch N     requests of each after which it waits for the others (25)
  --kills N       kills per history (3)
  --seed S        of the first history; each has one more than the one before (fresh)
  --resume FILE   adds the figures to those in FILE
  --notes DIR     where a history goes that is not linearizable (the system's temporary directory)
  --mutant NAME   plants a bug
  --judge FILE    judges a history that was written, and plays none
  -- ARGUMENTS    for the server (small segments, checkpoints and memory, 4 threads)
";

struct Options {
    histories: u64,
    modes: Vec<Mode>,
    clients: u16,
    requests: u64,
    stretch: u64,
    kills: u64,
    seed: u64,
    resume: Option<PathBuf>,
    notes: PathBuf,
    mutant: Option<String>,
    judge: Option<PathBuf>,
    args: Vec<String>,
}

fn main() -> ExitCode {
    command_line::run("linear", USAGE, |words| run(&parse(words)?))
}

/// Whether nothing was broken.
fn run(options: &Options) -> Result<bool> {
    if let Some(path) = &options.judge {
        return judge_file(path);
    }
    let mut rows: Rows = options.resume.as_deref().map_or_else(|| Ok(Rows::new()), files::resume_json)?;
    for &mode in &options.modes {
        let plan = plan(options, mode)?;
        let name = options.mutant.as_ref().map_or_else(String::new, |mutant| format!("/{mutant}"));
        let row = format!("{}/{}{name}", plan.program.name(), mode.word());
        let is_fine = play_all(options, &plan, &mut rows, &row)?;
        println!("{row}: {:?}", rows[&row]);
        if !is_fine {
            return Ok(false);
        }
    }
    Ok(true)
}

fn plan(options: &Options, mode: Mode) -> Result<Plan> {
    let (program, env) = match &options.mutant {
        None => (binary::with_failpoints()?, Vec::new()),
        Some(mutant) => (binary::with_mutants()?, vec![(fault::MUTANT.to_owned(), mutant.clone())]),
    };
    let Options { clients, requests, stretch, kills, .. } = *options;
    let (program, args) = (Program::Kvd(program), options.args.clone());
    Ok(Plan { program, mode, args, env, clients, requests, stretch, kills })
}

/// Plays and judges until there are enough, or one is broken.
fn play_all(options: &Options, plan: &Plan, rows: &mut Rows, row: &str) -> Result<bool> {
    let runs = &mut rows.entry(row.to_owned()).or_default().runs;
    runs.push((options.seed, 0));
    for seed in options.seed..options.seed + options.histories {
        let started = clock::now();
        let history = play::play(plan, seed)?;
        let played = clock::now();
        let judged = judge::judge(&history);
        let figures = rows.entry(row.to_owned()).or_default();
        figures.add(&history, &judged, played - started, clock::now() - played);
        // After each: a long run may be ended by others, and what it has judged counts.
        if let Some(path) = &options.resume {
            files::write_json(path, rows)?;
        }
        if judged.0 == Verdict::Linearizable {
            continue;
        }
        let path = options.notes.join(format!("linear-{}-seed{seed}.json", plan.mode.word()));
        files::write_json(&path, &history)?;
        eprintln!("judged again: cargo run --release -p harness --bin linear -- --judge {}", path.display());
        eprintln!("asked again: {}", again(options, plan.mode, seed));
        return fine(judged.0);
    }
    Ok(true)
}

/// Whether it is: a broken one is told.
fn fine(verdict: Verdict) -> Result<bool> {
    match verdict {
        Verdict::Linearizable => Ok(true),
        Verdict::Broken(why) => {
            eprintln!("not linearizable: {why}");
            Ok(false)
        }
        Verdict::Undecided => Err(Failure::Usage("the search for an order was given up".to_owned())),
    }
}

fn judge_file(path: &Path) -> Result<bool> {
    let history: History = files::read_json(path)?;
    let (requests, begin) = (history.operations().count(), clock::now());
    let (verdict, steps) = judge::judge(&history);
    println!("{requests} requests judged in {:?}, {steps} steps for one stretch", clock::now() - begin);
    fine(verdict)
}

fn again(options: &Options, mode: Mode, seed: u64) -> String {
    let Options { clients, requests, stretch, kills, mutant, args, .. } = options;
    let mutant = mutant.as_ref().map_or_else(String::new, |mutant| format!(" --mutant {mutant}"));
    format!(
        "cargo run --release -p harness --bin linear -- --histories 1 --mode {} --clients {clients} --requests {requests} \
         --stretch {stretch} --kills {kills} --seed {seed}{mutant} -- {}",
        mode.word(),
        args.join(" ")
    )
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options {
        histories: 100,
        modes: vec![Mode::Always],
        clients: 8,
        requests: 500,
        stretch: 25,
        kills: 3,
        seed: clock::fresh_seed(),
        resume: None,
        notes: std::env::temp_dir(),
        mutant: None,
        judge: None,
        args: aim::ARGUMENTS.into_iter().chain(["--threads", "4"]).map(str::to_owned).collect(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            options.args = words.cloned().collect();
            break;
        }
        let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{USAGE}")))?;
        set(&mut options, word, value)?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<()> {
    match name {
        "--histories" => options.histories = number(name, value)?,
        "--mode" => options.modes = command_line::modes(value)?,
        "--clients" => options.clients = number(name, value)?,
        "--requests" => options.requests = number(name, value)?,
        "--stretch" => options.stretch = number(name, value)?,
        "--kills" => options.kills = number(name, value)?,
        "--seed" => options.seed = number(name, value)?,
        "--resume" => options.resume = Some(value.into()),
        "--notes" => options.notes = value.into(),
        "--mutant" => options.mutant = Some(value.to_owned()),
        "--judge" => options.judge = Some(value.into()),
        _ => return Err(Failure::Usage(format!("no option {name}\n{USAGE}"))),
    }
    Ok(())
}
