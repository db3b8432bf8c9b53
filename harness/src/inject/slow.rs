//! Syncs that take long, in `everysec`: how old is the oldest answered write that a power loss would take?
//!
//! A write is answered when the kernel has its bytes, and safe when a sync of its file that began later has ended. Both are
//! read from the trace, so the server's own account of it is not needed: the age is that of the oldest write without such
//! a sync, at each moment at which another is written.

use std::collections::HashMap;
use std::time::Duration;

use tempfile::TempDir;

use super::fault;
use super::trace::{self, Call};
use crate::error::Result;
use crate::files;
use crate::mix::Mix;
use crate::process::{Mode, Program};
use crate::random::Random;
use crate::rules::Violation;
use crate::store::{Plan, Store, Until};
use crate::workload::Weight;

/// What is promised, in milliseconds.
pub const OLDEST_MS: u64 = 2000;

/// What a load under slow syncs showed.
#[derive(Clone, Debug)]
pub struct Slow {
    /// How much longer each sync took.
    pub delay_ms: u64,
    /// Answered writes that were judged after a kill.
    pub acked_writes: u64,
    /// Calls that wrote to the log.
    pub writes: usize,
    /// Syncs that ended.
    pub syncs: usize,
    /// Age of the oldest write that was not safe, when another was written.
    pub oldest_ms: u64,
    /// Broken rules after the kill.
    pub broken: Vec<Violation>,
}

/// Loads a server for some time while each sync takes so much longer, kills it, and judges what is left.
pub fn run(program: Program, env: &[(String, String)], delay_ms: u64, time: Duration, seed: u64) -> Result<Slow> {
    let room = TempDir::with_prefix("harness-slow-")?;
    let trace = room.path().join("trace");
    files::write(&trace, b"")?;
    let mut plan = Plan::new(program, Mode::EverySec);
    plan.clients = 4;
    plan.weight = Weight::Light;
    // Values of a megabyte are synced before they are answered: here this is not what is asked.
    plan.mix = Mix::Strings;
    plan.env.extend(env.iter().cloned());
    let mut store = Store::in_room(plan, 1, Random::new(seed), room)?;
    let mut launch = store.launch();
    launch.wrapper = fault::wrapper(&trace, true, &format!("fdatasync:delay_enter={delay_ms}ms"));
    let mut server = launch.start()?;
    let figures = store.load(&mut server, Until::Kill(time))?;
    let calls = trace::of_ended(&trace, server.pid())?;
    let broken = match store.start()? {
        Ok(server) => store.judge(&server)?,
        Err(violation) => vec![violation],
    };
    let is_of_log = |call: &&Call| call.file.ends_with(".log");
    let writes = calls.iter().filter(is_of_log).filter(|call| call.name.starts_with("pwrite") && call.is_done());
    let syncs = calls.iter().filter(is_of_log).filter(|call| call.is_sync() && call.is_done());
    Ok(Slow {
        delay_ms,
        acked_writes: figures.acked_writes,
        writes: writes.count(),
        syncs: syncs.count(),
        oldest_ms: oldest_us(&calls) / 1000,
        broken,
    })
}

/// The greatest age in microseconds of the oldest write that was not safe, over the moments at which another was written.
fn oldest_us(calls: &[Call]) -> u64 {
    let mut events: Vec<(u64, &Call)> = Vec::new();
    for call in calls.iter().filter(|call| call.file.ends_with(".log") && call.is_done()) {
        events.push((call.end_us, call));
    }
    events.sort_by_key(|(at, _)| *at);
    let mut waiting: HashMap<&str, Vec<u64>> = HashMap::new();
    let mut oldest = 0;
    for (at, call) in events {
        if call.is_sync() {
            waiting.entry(&call.file).or_default().retain(|written| *written > call.begin_us);
        } else if call.name.starts_with("pwrite") {
            waiting.entry(&call.file).or_default().push(at);
            let first = waiting.values().flatten().min().copied().unwrap_or(at);
            oldest = oldest.max(at - first);
        }
    }
    oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, file: &str, begin_us: u64, end_us: u64) -> Call {
        let (name, file) = (name.to_owned(), file.to_owned());
        Call {
            thread: 1,
            name,
            file,
            creates: false,
            range: None,
            begin_us,
            end_us,
            result: Some(0),
            is_injected: false,
        }
    }

    #[test]
    fn a_write_is_safe_when_a_sync_that_began_behind_it_has_ended() {
        let first = call("pwrite64", "a.log", 0, 10);
        let second = call("pwrite64", "a.log", 500, 510);
        assert_eq!(oldest_us(&[first.clone(), second.clone()]), 500);
        assert_eq!(oldest_us(&[first.clone(), call("fdatasync", "a.log", 20, 400), second.clone()]), 0);
        // Too early, too late, or of another file.
        assert_eq!(oldest_us(&[first.clone(), call("fdatasync", "a.log", 5, 400), second.clone()]), 500);
        assert_eq!(oldest_us(&[first.clone(), call("fdatasync", "a.log", 20, 600), second.clone()]), 500);
        assert_eq!(oldest_us(&[first, call("fdatasync", "b.log", 20, 400), second]), 500);
    }
}
