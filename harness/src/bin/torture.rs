//! Kills a server under load, or cuts the power of its disk, over and over, and adds up what it lost.
//!
//! Exit codes: 0 no rule broken, 1 a rule broken (prints the seed and the command that repeats it), 3 no verdict.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness::aim::{self, Aim};
use harness::campaign::Campaign;
use harness::clock;
use harness::command_line::{self, number};
use harness::error::{Failure, Result};
use harness::mix::Mix;
use harness::process::{Mode, Program};
use harness::report::Report;
use harness::rules::Violation;
use harness::store::Plan;
use harness::volume::Volume;
use harness::workload::Weight;
use harness::{binary, fault};

const USAGE: &str = "\
torture [options]
  --kills N           kills per mode, under enough load (100)
  --cuts N            instead of kills power cuts: of a mounted image, needs root, loop devices and xfs_io
  --mode M            always, everysec, no or all (all)
  --clients N         clients writing at once (16)
  --server S          kvd, redis, a path to a redis-server, or 'command {port} {dir} {mode}' (kvd)
  --seed S            repeats a run's choices (fresh)
  --resume FILE       adds the figures to those in FILE
  --slow-fsync MS     makes every fsync of the log take so much longer
  --slow-by HOW       failpoint (kvd) or strace (all others)
  --min-rate N        answered writes a second below which a kill does not count (2000; 0 with --slow-fsync, --failpoints, --cuts)
  --load LOW-HIGH     milliseconds of load before a kill (150-600; power cuts in everysec: 400-2600)
  --failpoints WORDS  kills at failpoints whose names begin with one of these: compact,checkpoint,spill (any moment)
  --kills-per-store N kills before a fresh store (10)
  --weight W          full or light values (full)
  --mix M             all, strings only, or older: all that Redis before 7.4 knows (all)
  --keep-going        counts broken rules and goes on
  --notes DIR         where notes of a broken rule go (the system's temporary directory)
  -- ARGUMENTS        for the server (with --failpoints small segments, checkpoints and memory; with --cuts small segments)
";

/// Arguments of kvd under power cuts: it fills segments that it makes ahead, and the disk is small.
const SMALL_SEGMENTS: [&str; 2] = ["--segment-size", "1mb"];

struct Options {
    kills: u64,
    by_cuts: bool,
    modes: Vec<Mode>,
    clients: u16,
    server: String,
    seed: u64,
    resume: Option<PathBuf>,
    slow_fsync_ms: Option<u64>,
    by_strace: Option<bool>,
    min_rate: Option<f64>,
    load_ms: Option<(u64, u64)>,
    failpoints: Option<String>,
    kills_per_store: u64,
    weight: Weight,
    mix: Mix,
    keep_going: bool,
    notes: PathBuf,
    args: Vec<String>,
}

fn main() -> ExitCode {
    command_line::run("torture", USAGE, |words| Ok(run(&parse(words)?)?.is_empty()))
}

fn run(options: &Options) -> Result<Vec<Violation>> {
    if let Some(reason) = options.by_cuts.then(Volume::missing).flatten() {
        return Err(Failure::Usage(format!("SKIPPED L3: {reason}")));
    }
    let mut report = options.resume.as_deref().map_or_else(|| Ok(Report::default()), Report::resume)?;
    let program = program(&options.server)?;
    let mut all = Vec::new();
    for &mode in &options.modes {
        let campaign = campaign(options, program.clone(), mode)?;
        let delay = options.slow_fsync_ms.map_or_else(String::new, |ms| format!("/fsync+{ms}ms"));
        let mix = if options.mix == Mix::All { String::new() } else { format!("/{}", options.mix.word()) };
        let aim = options.failpoints.as_ref().map_or_else(String::new, |words| format!("/{words}"));
        let cut = if options.by_cuts { "/power" } else { "" };
        let row = format!("{}/{}{delay}{mix}{aim}{cut}", program.name(), mode.word());
        let broken = campaign.run(report.row(&row))?;
        if let Some(path) = &options.resume {
            report.save(path)?;
        }
        for violation in broken.iter().take(5) {
            eprintln!("{row}: {violation}");
        }
        if !broken.is_empty() {
            eprintln!("{row}: {} violations, seed {}; again: {}", broken.len(), options.seed, again(options, mode));
        }
        all.extend(broken);
        if !all.is_empty() && !options.keep_going {
            break;
        }
    }
    print!("{report}");
    Ok(all)
}

fn campaign(options: &Options, program: Program, mode: Mode) -> Result<Campaign> {
    let mut plan = Plan::new(program, mode);
    plan.clients = options.clients;
    plan.args.clone_from(&options.args);
    if options.failpoints.is_some() && options.args.is_empty() {
        plan.args.extend(aim::ARGUMENTS.map(str::to_owned));
    }
    if options.by_cuts && options.args.is_empty() && matches!(plan.program, Program::Kvd(_)) {
        plan.args.extend(SMALL_SEGMENTS.map(str::to_owned));
    }
    plan.on_volume = options.by_cuts;
    plan.weight = options.weight;
    plan.mix = options.mix;
    if let Some(ms) = options.slow_fsync_ms {
        let by_strace = options.by_strace.unwrap_or(!matches!(plan.program, Program::Kvd(_)));
        match (by_strace, fault::strace_missing()) {
            (false, _) => plan.env.push(fault::slow_sync(ms)),
            (true, None) => plan.wrapper = fault::strace_slow_sync(ms),
            (true, Some(reason)) => return Err(Failure::Usage(format!("SKIPPED slow fsync: {reason}"))),
        }
    }
    let mut campaign = Campaign::new(plan, options.seed, options.kills);
    campaign.aim =
        options.failpoints.as_deref().map(|words| Aim::at(&words.split(',').collect::<Vec<_>>())).transpose()?;
    campaign.kills_per_store = options.kills_per_store;
    let (low, high) = load_ms(options, mode);
    campaign.load = (Duration::from_millis(low), Duration::from_millis(high));
    // Who dies at a failpoint was perhaps not under load for long: what counts is where it died. And a mounted image is slow.
    let is_slow = options.slow_fsync_ms.is_some() || options.failpoints.is_some() || options.by_cuts;
    campaign.min_rate = options.min_rate.unwrap_or(if is_slow { 0.0 } else { 2000.0 });
    campaign.keep_going = options.keep_going;
    campaign.notes = Some(options.notes.clone());
    Ok(campaign)
}

/// What may be lost in everysec is a second old: loads have to be longer.
fn load_ms(options: &Options, mode: Mode) -> (u64, u64) {
    let usual = if options.by_cuts && mode == Mode::EverySec { (400, 2600) } else { (150, 600) };
    options.load_ms.unwrap_or(usual)
}

fn program(server: &str) -> Result<Program> {
    match server {
        "kvd" => binary::with_failpoints().map(Program::Kvd),
        "redis" => Ok(Program::Redis("redis-server".into())),
        line if line.contains("{port}") => Ok(Program::Template(line.to_owned())),
        path => Ok(Program::Redis(path.into())),
    }
}

fn again(options: &Options, mode: Mode) -> String {
    let (low, high) = load_ms(options, mode);
    let mut line = format!(
        "cargo run --release -p harness --bin torture -- --server '{}' --mode {} --{} {} --clients {} --seed {} --load {low}-{high} --kills-per-store {}",
        options.server,
        mode.word(),
        if options.by_cuts { "cuts" } else { "kills" },
        options.kills,
        options.clients,
        options.seed,
        options.kills_per_store
    );
    if let Some(ms) = options.slow_fsync_ms {
        line += &format!(" --slow-fsync {ms}");
    }
    if let Some(words) = &options.failpoints {
        line += &format!(" --failpoints {words}");
    }
    if options.mix != Mix::All {
        line += &format!(" --mix {}", options.mix.word());
    }
    if options.weight == Weight::Light {
        line += " --weight light";
    }
    if !options.args.is_empty() {
        line += &format!(" -- {}", options.args.join(" "));
    }
    line
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options {
        kills: 100,
        by_cuts: false,
        modes: Mode::ALL.to_vec(),
        clients: 16,
        server: "kvd".to_owned(),
        seed: clock::fresh_seed(),
        resume: None,
        slow_fsync_ms: None,
        by_strace: None,
        min_rate: None,
        load_ms: None,
        failpoints: None,
        kills_per_store: 10,
        weight: Weight::Full,
        mix: Mix::All,
        keep_going: false,
        notes: std::env::temp_dir(),
        args: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            options.args = words.cloned().collect();
            break;
        }
        if word == "--keep-going" {
            options.keep_going = true;
            continue;
        }
        let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{USAGE}")))?;
        set(&mut options, word, value)?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<()> {
    match name {
        "--kills" => options.kills = number(name, value)?,
        "--cuts" => {
            options.kills = number(name, value)?;
            options.by_cuts = true;
        }
        "--mode" => options.modes = command_line::modes(value)?,
        "--clients" => options.clients = number(name, value)?,
        "--server" => value.clone_into(&mut options.server),
        "--seed" => options.seed = number(name, value)?,
        "--resume" => options.resume = Some(value.into()),
        "--slow-fsync" => options.slow_fsync_ms = Some(number(name, value)?),
        "--slow-by" => options.by_strace = Some(value == "strace"),
        "--min-rate" => options.min_rate = Some(number(name, value)?),
        "--load" => {
            let (low, high) = value.split_once('-').unwrap_or((value, value));
            options.load_ms = Some((number(name, low)?, number(name, high)?));
        }
        "--failpoints" => options.failpoints = Some(value.to_owned()),
        "--kills-per-store" => options.kills_per_store = number(name, value)?,
        "--weight" => options.weight = if value == "light" { Weight::Light } else { Weight::Full },
        "--mix" => {
            let mix = Mix::EACH.into_iter().find(|mix| mix.word() == value);
            options.mix = mix.ok_or_else(|| Failure::Usage(format!("no mix {value}")))?;
        }
        "--notes" => options.notes = value.into(),
        _ => return Err(Failure::Usage(format!("no option {name}\n{USAGE}"))),
    }
    Ok(())
}
