//! One failpoint, all its hits: the process dies at the first, the second, the third … until a run does not reach it.

use std::time::Duration;

use crate::clock;
use crate::error::{Failure, Result};
use crate::fault;
use crate::process::{self, Server};
use crate::random::Random;
use crate::rules::{Rule, Violation};
use crate::store::{Plan, Store, Until};
use crate::wire::Reply;

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

/// What happens while a failpoint is armed.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    /// Commands of each client.
    pub commands: u64,
    /// How long the server is left alone behind them, to compact.
    pub settle: Duration,
}

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

/// Kills at every hit of the failpoint `name`, on one store. `plan` may have an environment, but no failpoint.
pub fn exhaust(plan: &Plan, name: &str, life: Armed, depth: Depth, seed: u64) -> Result<Exhausted> {
    let mut store = Store::new(plan.clone(), 1, Random::new(seed))?;
    let mut done = Exhausted::default();
    let mut hit = 1;
    loop {
        let (died, broken) = one_hit(&mut store, name, life, hit)?;
        done.broken = broken;
        done.deaths += u64::from(died);
        if !died || !done.broken.is_empty() {
            done.end = hit;
            return Ok(done);
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
