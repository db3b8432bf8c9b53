//! One failpoint, all its hits: the process dies at the first, the second, the third … until runs do not reach it.

use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::error::{Failure, Result};
use crate::fault;
use crate::process::{self, Mode, Program, Server};
use crate::random::Random;
use crate::rules::{Rule, Violation};
use crate::store::{Plan, Store, Until};
use crate::wire::Reply;
use crate::workload::Weight;

/// Commands of each client before the crash that leaves a tail.
const COMMANDS_BEFORE: u64 = 12;

/// Longest wait for a compaction.
const COMPACTION_LIMIT: Duration = Duration::from_secs(5);

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every hit.
    All,
    /// Every hit up to this one, then each time twice as far.
    Then(u64),
}

/// How a series goes.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// How far.
    pub depth: Depth,
    /// Decides what clients write.
    pub seed: u64,
    /// Where notes of a broken rule go; without it neither they nor the store are kept.
    pub notes: Option<&'a Path>,
}

/// What happens while a failpoint is armed.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    /// Commands of each client.
    pub commands: u64,
    /// How long the server is left alone behind them, to compact.
    pub settle: Duration,
    /// Deaths before a fresh store. Each leaves keys behind, which no life takes away: where memory is scarce their names alone
    /// would fill it in the end, and writes be refused.
    pub deaths: u64,
}

/// Failpoints that take the same life to come to.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name on the command line.
    pub name: &'static str,
    /// How the names of its failpoints begin.
    pub prefixes: &'static [&'static str],
    /// Settings of the server beside small segments.
    pub args: &'static [&'static str],
    /// The life.
    pub life: Armed,
    /// When the server answers.
    pub mode: Mode,
}

const SHORT: Armed = Armed { commands: 40, settle: Duration::ZERO, deaths: u64::MAX };
/// What the first commands have done is still there when the log is compacted.
const SHORTER: Armed = Armed { commands: 40, settle: Duration::from_millis(300), ..SHORT };
/// The log has to outgrow what is alive in it.
const LONG: Armed = Armed { commands: 2500, settle: Duration::from_millis(300), ..SHORT };
/// The third checkpoint makes the first superfluous, and each waits for a sync.
const LONGER: Armed = Armed { commands: 8000, settle: Duration::from_millis(600), ..SHORT };

const WRITING: Family = Family {
    name: "writing",
    prefixes: &["log.append", "log.write", "ack", "blob.write"],
    args: &[],
    life: SHORT,
    mode: Mode::EverySec,
};

/// All failpoints.
pub const FAMILIES: [Family; 8] = [
    WRITING,
    Family { name: "syncing", prefixes: &["log.sync", "ack", "blob.sync"], mode: Mode::Always, ..WRITING },
    Family { name: "segments", prefixes: &["segment.create", "segment.seal", "dir.sync"], ..WRITING },
    Family { name: "compacting", prefixes: &["compact", "segment.recycle"], life: LONG, ..WRITING },
    Family {
        name: "checkpoints",
        prefixes: &["checkpoint"],
        args: &["--checkpoint-after", "8kb"],
        life: LONGER,
        ..WRITING
    },
    // Values leave memory and come back all the time.
    Family {
        name: "spilling",
        prefixes: &["spill.leave", "spill.image", "spill.read", "spill.bring"],
        args: &["--maxmemory", "1200kb"],
        life: Armed { deaths: 200, ..LONG },
        ..WRITING
    },
    // A large value has changed, and gets a file of its own again when the log is compacted.
    Family { name: "settling", prefixes: &["spill.settle"], life: SHORTER, ..WRITING },
    Family { name: "recovering", prefixes: &["recover", "shutdown"], ..WRITING },
];

impl Family {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Family> {
        FAMILIES.into_iter().find(|family| family.name == name)
    }

    /// Its failpoints.
    pub fn failpoints(&self) -> impl Iterator<Item = &'static str> {
        let prefixes = self.prefixes;
        fault::NAMES.iter().copied().filter(move |name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// The store in which its failpoints are come to.
    pub fn plan(&self, program: Program, mode: Mode) -> Plan {
        let mut plan = Plan::new(program, mode);
        plan.args = ["--segment-size", "64kb"].iter().chain(self.args).map(|&arg| arg.to_owned()).collect();
        plan.clients = 6;
        plan.weight = Weight::Light;
        plan
    }

    /// Kills at every hit of one of its failpoints. What clients do by chance may keep them from a place: then others are sent.
    pub fn exhaust(&self, program: &Program, name: &str, mode: Mode, course: Course<'_>) -> Result<Exhausted> {
        let plan = self.plan(program.clone(), mode);
        let mut done = Exhausted::default();
        for chance in 0..TRIES {
            let seed = course.seed.wrapping_add(chance);
            done = exhaust(&plan, name, self.life, Course { seed, ..course })?;
            if done.deaths > 0 || !done.broken.is_empty() {
                break;
            }
        }
        Ok(done)
    }
}

/// Lives in a row that do not come to a hit before there counts as none: the first of a fresh store finds little there.
const MISSES: u64 = 2;

/// Stores that are tried before a place counts as one that is not reached.
const TRIES: u64 = 6;

/// What one failpoint's runs found.
#[derive(Clone, Debug, Default)]
pub struct Exhausted {
    /// Runs in which the process died at the failpoint.
    pub deaths: u64,
    /// The first hit that was not reached.
    pub end: u64,
    /// Broken rules of the run that stopped it.
    pub broken: Vec<Violation>,
}

/// Kills at every hit of the failpoint `name`. `plan` may have an environment, but no failpoint. When a rule is
/// broken the store is kept, and what its clients have noted goes to `notes`.
pub fn exhaust(plan: &Plan, name: &str, life: Armed, course: Course<'_>) -> Result<Exhausted> {
    let Course { depth, seed, notes } = course;
    let mut random = Random::new(seed);
    let mut store = Store::new(plan.clone(), 1, random.fork())?;
    let mut done = Exhausted::default();
    let (mut hit, mut misses) = (1, 0);
    loop {
        if misses == 0 && done.deaths > 0 && done.deaths.is_multiple_of(life.deaths) {
            store = Store::new(plan.clone(), 1 + (done.deaths / life.deaths) as u32, random.fork())?;
        }
        let (died, broken) = one_hit(&mut store, name, life, hit)?;
        done.broken = broken;
        done.deaths += u64::from(died);
        misses = if died { 0 } else { misses + 1 };
        if misses == MISSES || !done.broken.is_empty() {
            done.end = hit;
            if let (Some(notes), false) = (notes, done.broken.is_empty()) {
                store.keep_with_notes(notes, seed, &done.broken)?;
            }
            return Ok(done);
        }
        if !died {
            continue;
        }
        hit = match depth {
            Depth::Then(dense) if hit >= dense => hit * 2,
            _ => hit + 1,
        };
    }
}

/// A crash that leaves a tail, a life with the failpoint armed, and a life that is judged.
fn one_hit(store: &mut Store, name: &str, life: Armed, hit: u64) -> Result<(bool, Vec<Violation>)> {
    let mut server = match store.start()? {
        Ok(server) => server,
        Err(violation) => return Ok((false, vec![violation])),
    };
    let broken = store.judge(&server)?;
    if !broken.is_empty() {
        return Ok((false, broken));
    }
    store.load(&mut server, Until::Commands(COMMANDS_BEFORE))?;
    server.kill()?;
    let died = armed_life(store, name, life, hit)?;
    let mut broken = match died {
        Ok(_) => Vec::new(),
        Err(ref broken) => broken.clone(),
    };
    match store.start()? {
        Ok(server) => broken.extend(store.judge(&server)?),
        Err(violation) => broken.push(violation),
    }
    Ok((died.unwrap_or(false), broken))
}

/// Starts with the failpoint armed, writes, compacts, stops. Whether it died on the way.
fn armed_life(
    store: &mut Store,
    name: &str,
    life: Armed,
    hit: u64,
) -> Result<std::result::Result<bool, Vec<Violation>>> {
    let mut launch = store.launch();
    launch.env.push(fault::kill_at(name, hit));
    let mut server = launch.spawn()?;
    match server.wait_until_serving() {
        Ok(()) => {}
        Err(Failure::Start { .. }) if died_at_failpoint(&mut server)? => return Ok(Ok(true)),
        Err(failure @ Failure::Start { .. }) => {
            return Ok(Err(vec![Violation::new(Rule::Serves, name, failure.to_string())]));
        }
        Err(failure) => return Err(failure),
    }
    match store.judge(&server) {
        Ok(broken) if broken.is_empty() => {}
        Ok(broken) => return Ok(Err(broken)),
        // Looking makes the server remove what has expired, which is a write like any other.
        Err(_) if died_at_failpoint(&mut server)? => return Ok(Ok(true)),
        Err(failure) => return Err(failure),
    }
    store.load(&mut server, Until::Commands(life.commands))?;
    compact(&server, life.settle);
    let status = server.terminate(Duration::from_secs(30))?;
    match status {
        Some(status) if process::was_killed(status) => Ok(Ok(true)),
        Some(status) if status.success() => Ok(Ok(false)),
        status => {
            let detail = format!("ended with {status:?}: {}", server.output());
            Ok(Err(vec![Violation::new(Rule::Serves, name, detail)]))
        }
    }
}

/// Asks for compaction and waits for the end of it. Whether the server still serves does not matter: what counts is how
/// it ends.
fn compact(server: &Server, settle: Duration) {
    let Ok(mut client) = server.connect() else { return };
    let _ = client.call(&[b"BGREWRITEAOF"]);
    // It begins by itself, when what it would copy is durable.
    std::thread::sleep(settle);
    clock::wait_until(COMPACTION_LIMIT, || match client.call(&[b"INFO", b"persistence"]) {
        Ok(Reply::Bulk(info)) => !String::from_utf8_lossy(&info).contains("aof_rewrite_in_progress:1"),
        _ => true,
    });
}

fn died_at_failpoint(server: &mut Server) -> Result<bool> {
    Ok(server.wait_for_end(Duration::from_secs(5))?.is_some_and(process::was_killed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failpoint_is_in_a_family() {
        let all: Vec<&str> = FAMILIES.iter().flat_map(Family::failpoints).collect();
        for name in fault::NAMES {
            assert!(all.contains(name), "nobody comes to {name}");
        }
    }
}
