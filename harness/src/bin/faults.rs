//! Hurts real servers below their feet: system calls that kill or fail, failpoints, damaged files; one after the other.
//!
//! Exit codes: 0 no rule broken, 1 a rule broken (prints the seed and the command that repeats it), 3 no verdict.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness::clock;
use harness::command_line::{self, number};
use harness::compare::{self, Amounts};
use harness::damage::tail::{self, Tail};
use harness::damage::victim::{End, Victim};
use harness::damage::{Outcome, Tally, rot};
use harness::error::{Failure, Result};
use harness::exhaust::{Course, Depth, FAMILIES};
use harness::inject::case::{self, Case};
use harness::inject::fault::Fault;
use harness::inject::series::{Found, Series};
use harness::inject::{short, slow};
use harness::process::{Mode, Program};
use harness::random::Random;
use harness::{binary, fault};

const USAGE: &str = "\
faults WHAT [options]
  kills             the N-th write, sync, rename … of each kind kills kvd, for every N
  errors            the same calls fail with EIO, ENOSPC, EMFILE
  short             the N-th write takes 16 bytes
  slow              each sync takes 0.7, 1.5, 3 s longer, in everysec: the age of what is not safe
  failpoints        kvd dies at every hit of every failpoint
  damage            torn, zero and garbage tails, and turned bits
  compare SERVER…   the same faults for kvd and these servers, as one table: paths of redis-server and its likes, or
                    'command {port} {dir} {mode}'
options
  --case NAME       one load (all)
  --call NAME       one call: pwrite64, fdatasync, openat … (all)
  --failpoint NAME  one failpoint (all)
  --mode M          always, everysec or no (the load's own)
  --most N          the farthest call that is hurt (65535)
  --stride N        beyond the eighth call: from one that is hurt to the next (1)
  --dense N         failpoints: beyond this hit, each time twice as many (every hit)
  --count N         damage: so many tails of each kind, three times as many bits (3334)
  --kills N         compare: kills in each mode (20)
  --seed S          repeats what clients write (fresh)
  --mutant NAME     a bug planted in kvd: this must find it
  --notes DIR       where notes of a broken rule go (the system's temporary directory)
";

struct Options {
    words: Vec<String>,
    what: String,
    servers: Vec<String>,
    case: Option<Case>,
    call: Option<String>,
    failpoint: Option<String>,
    mode: Option<Mode>,
    most: u64,
    stride: u64,
    dense: Option<u64>,
    count: u64,
    kills: u64,
    seed: u64,
    mutant: Option<String>,
    notes: PathBuf,
}

fn main() -> ExitCode {
    command_line::run("faults", USAGE, |words| run(&parse(words)?))
}

/// Whether no rule was broken.
fn run(options: &Options) -> Result<bool> {
    let by_strace = ["kills", "errors", "short", "slow", "compare"].contains(&options.what.as_str());
    if let Some(reason) = fault::strace_missing().filter(|_| by_strace) {
        fault::skipped("L4", &reason);
        return Ok(true);
    }
    let begin = clock::now();
    let sound = match options.what.as_str() {
        "kills" => options.all_series(&Fault::kills()),
        "errors" => options.all_series(&Fault::errors()),
        "short" => options.short_writes(),
        "slow" => options.slow_syncs(),
        "failpoints" => options.failpoints(),
        "damage" => options.damage(),
        "compare" => options.compare(),
        what => Err(Failure::Usage(format!("no such thing as {what}\n{USAGE}"))),
    }?;
    println!("{:.0} s", (clock::now() - begin).as_secs_f64());
    if !sound {
        eprintln!("again: {}", options.again());
    }
    Ok(sound)
}

impl Options {
    /// Every case with every fault.
    fn all_series(&self, faults: &[Fault]) -> Result<bool> {
        let mut all = Found { is_exhausted: true, ..Found::default() };
        println!("| case | fault | lives | hit | farthest | where |\n|---|---|---|---|---|---|");
        for case in self.cases() {
            for fault in faults.iter().filter(|fault| self.wants(fault)) {
                let found = self.series(case, *fault)?.run()?;
                println!("{}", row(case.name, &fault.name(), &found));
                if !told(&format!("{} {}", case.name, fault.name()), &found) {
                    return Ok(false);
                }
                all.add(found);
            }
        }
        println!("{}", row("all", "", &all));
        println!("{} acked writes, 0 violations; {} lives with refused writes", all.acked_writes, all.refusing_lives);
        Ok(true)
    }

    fn cases(&self) -> impl Iterator<Item = Case> {
        let only = self.case.map(|case| case.name);
        let mode = self.mode;
        let cases = case::ALL.into_iter().filter(move |case| only.is_none_or(|only| only == case.name));
        cases.map(move |case| Case { mode: mode.unwrap_or(case.mode), ..case })
    }

    fn wants(&self, fault: &Fault) -> bool {
        self.call.as_ref().is_none_or(|call| fault.calls.split(',').any(|name| name == call))
    }

    /// The program, and the environment that plants a bug in it.
    fn kvd(&self) -> Result<(Program, Vec<(String, String)>)> {
        Ok(match &self.mutant {
            Some(mutant) => (Program::Kvd(binary::with_mutants()?), vec![(fault::MUTANT.to_owned(), mutant.clone())]),
            None => (Program::Kvd(binary::plain()?), Vec::new()),
        })
    }

    fn series(&self, case: Case, fault: Fault) -> Result<Series> {
        let (program, env) = self.kvd()?;
        let notes = Some(self.notes.clone());
        let (seed, most, stride) = (self.seed, self.most, self.stride);
        Ok(Series { program, env, case, fault, seed, most, stride, notes })
    }

    fn short_writes(&self) -> Result<bool> {
        let (program, env) = self.kvd()?;
        println!("| case | fault | lives | hit | farthest | where |\n|---|---|---|---|---|---|");
        for case in self.cases() {
            let found = short::run(&program, &env, &case, self.most, self.seed)?;
            println!("{}", row(case.name, "pwrite64 takes 16 bytes", &found));
            if !told(case.name, &found) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn slow_syncs(&self) -> Result<bool> {
        let (program, env) = self.kvd()?;
        let mut sound = true;
        println!("| each sync takes longer by | acked | lost | writes of the log | syncs | oldest that is not safe |");
        println!("|---|---|---|---|---|---|");
        for delay_ms in [700, 1500, 3000] {
            let found = slow::run(program.clone(), &env, delay_ms, Duration::from_secs(12))?;
            println!(
                "| {delay_ms} ms | {} | {} | {} | {} | {} ms |",
                found.acked_writes, found.lost_writes, found.writes, found.syncs, found.oldest_ms
            );
            sound &= found.lost_writes == 0 && found.oldest_ms <= slow::OLDEST_MS && found.syncs > 0;
        }
        Ok(sound)
    }

    fn failpoints(&self) -> Result<bool> {
        let program = Program::Kvd(binary::with_failpoints()?);
        let (mut deaths, mut unreached) = (0, Vec::new());
        println!("| failpoint | mode | deaths | first hit that is not reached |\n|---|---|---|---|");
        for family in FAMILIES {
            let mode = self.mode.unwrap_or(family.mode);
            let depth = self.dense.map_or(Depth::All, Depth::Then);
            for name in family.failpoints().filter(|name| self.failpoint.as_deref().is_none_or(|only| only == *name)) {
                let course = Course { depth, seed: self.seed, notes: Some(&self.notes) };
                let done = family.exhaust(&program, name, mode, course)?;
                println!("| {name} | {} | {} | {} |", mode.word(), done.deaths, done.end);
                done.broken.iter().take(5).for_each(|violation| eprintln!("{name}: {violation}"));
                if !done.broken.is_empty() {
                    return Ok(false);
                }
                deaths += done.deaths;
                unreached.extend((done.deaths == 0).then_some(name));
            }
        }
        println!("{deaths} deaths, 0 violations; not reached: {unreached:?}");
        Ok(true)
    }

    fn damage(&self) -> Result<bool> {
        let (program, _) = self.kvd()?;
        let mut random = Random::new(self.seed);
        let mut sound = true;
        let victim = Victim::make(program.clone(), &SMALL_SEGMENTS, End::Killed)?;
        for tail in Tail::ALL {
            let tally = tail::run(&victim, tail, self.count, &mut random)?;
            println!("{tail} tails, {tally}");
            sound &= without(&tally, &[Outcome::Refused, Outcome::ErrorReply, Outcome::Missing, Outcome::Wrong]);
        }
        let victim = Victim::make(program, &SMALL_SEGMENTS, End::Stopped)?;
        let tally = rot::run(&victim, 3 * self.count, &mut random)?;
        println!("turned bits, {tally}");
        Ok(sound & without(&tally, &[Outcome::Missing, Outcome::Wrong]))
    }

    fn compare(&self) -> Result<bool> {
        let mut programs = vec![self.kvd()?.0];
        for server in &self.servers {
            let is_line = server.contains("{port}");
            programs.push(if is_line { Program::Template(server.clone()) } else { Program::Redis(server.into()) });
        }
        let amounts = Amounts { kills: self.kills, tails: self.count.min(100), flips: self.count.min(300) };
        let mut tell = |row: &compare::Row| eprintln!("{}: {}", row.fault, row.cells.join(" | "));
        print!("{}", compare::run(&programs, amounts, self.seed, &mut tell)?);
        Ok(true)
    }

    fn again(&self) -> String {
        let seed = if self.words.iter().any(|word| word == "--seed") {
            String::new()
        } else {
            format!(" --seed {}", self.seed)
        };
        format!("cargo run --release -p harness --bin faults -- {}{seed}", self.words.join(" "))
    }
}

const SMALL_SEGMENTS: [&str; 2] = ["--segment-size", "64kb"];

/// Whether none of these was seen; else the first of each is told.
fn without(tally: &Tally, outcomes: &[Outcome]) -> bool {
    let seen = outcomes.iter().filter_map(|outcome| Some((outcome, tally.first.get(outcome)?)));
    seen.map(|(outcome, what)| eprintln!("{}: {what}", outcome.word())).count() == 0
}

/// Whether no rule was broken; else the first of them are told.
fn told(what: &str, found: &Found) -> bool {
    found.broken.iter().take(5).for_each(|violation| eprintln!("{what}: {violation}"));
    found.broken.is_empty()
}

fn row(case: &str, fault: &str, found: &Found) -> String {
    let places = found.places.iter().map(|(place, count)| format!("{place} {count}")).collect::<Vec<_>>().join(", ");
    let more = if found.is_exhausted { "" } else { " (and more)" };
    format!("| {case} | {fault} | {} | {} | {}{more} | {places} |", found.lives, found.hits, found.farthest)
}

fn parse(words: &[String]) -> Result<Options> {
    let what = words.first().ok_or_else(|| Failure::Usage(USAGE.to_owned()))?;
    let mut options = Options {
        words: words.to_vec(),
        what: what.clone(),
        servers: Vec::new(),
        case: None,
        call: None,
        failpoint: None,
        mode: None,
        most: 65_535,
        stride: 1,
        dense: None,
        count: 3334,
        kills: 20,
        seed: clock::fresh_seed(),
        mutant: None,
        notes: std::env::temp_dir(),
    };
    let mut words = words[1..].iter();
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            options.servers.push(word.clone());
            continue;
        }
        let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value\n{USAGE}")))?;
        set(&mut options, word, value)?;
    }
    Ok(options)
}

fn set(options: &mut Options, word: &str, value: &str) -> Result<()> {
    let none = || Failure::Usage(format!("{word}: there is no {value}"));
    match word {
        "--case" => options.case = Some(Case::named(value).ok_or_else(none)?),
        "--call" => options.call = Some(value.to_owned()),
        "--failpoint" => options.failpoint = Some(value.to_owned()),
        "--mode" => options.mode = Some(command_line::mode(value)?),
        "--most" => options.most = number(word, value)?,
        "--stride" => options.stride = number::<u64>(word, value)?.max(1),
        "--dense" => options.dense = Some(number(word, value)?),
        "--count" => options.count = number(word, value)?,
        "--kills" => options.kills = number(word, value)?,
        "--seed" => options.seed = number(word, value)?,
        "--mutant" => options.mutant = Some(value.to_owned()),
        "--notes" => options.notes = value.into(),
        _ => return Err(Failure::Usage(format!("no option {word}\n{USAGE}"))),
    }
    Ok(())
}
