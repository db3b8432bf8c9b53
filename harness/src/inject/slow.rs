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
use crate::process::{Launch, Mode, Program};
use crate::writer::Notes;

/// What is promised, in milliseconds.
pub const OLDEST_MS: u64 = 2000;

/// What a client that wrote under slow syncs showed.
#[derive(Clone, Debug)]
pub struct Slow {
    /// How much longer each sync took.
    pub delay_ms: u64,
    /// Answered writes.
    pub acked_writes: usize,
    /// Of those: gone after a kill.
    pub lost_writes: usize,
    /// Calls that wrote to the log.
    pub writes: usize,
    /// Syncs that ended.
    pub syncs: usize,
    /// Age of the oldest write that was not safe, when another was written.
    pub oldest_ms: u64,
}

/// Writes for some time while each sync takes so much longer, kills the server, and looks at what is left.
///
/// Only plain SETs of small values: what expires is removed by writes that no client waits for, large values are synced
/// before they are answered, and a load that fills segments faster than they can be made waits for those.
pub fn run(program: Program, env: &[(String, String)], delay_ms: u64, time: Duration) -> Result<Slow> {
    let room = TempDir::with_prefix("harness-slow-")?;
    let (trace, dir, log) = (room.path().join("trace"), room.path().join("data"), room.path().join("server.log"));
    files::write(&trace, b"")?;
    files::make_dir(&dir)?;
    let wrapper = fault::wrapper(&trace, true, &format!("fdatasync:delay_enter={delay_ms}ms"));
    let (args, env) = (Vec::new(), env.to_vec());
    let mut launch = Launch { program, dir, log, mode: Mode::EverySec, args, env, wrapper };
    let (mut server, mut notes) = (launch.start()?, Notes::default());
    notes.write(&mut server, time, |_| false)?;
    server.kill()?;
    let calls = trace::of_ended(&trace, server.pid())?;
    launch.wrapper.clear();
    let seen = notes.look(&launch.start()?)?;
    let of_log = |call: &&Call| call.file.ends_with(".log") && call.is_done();
    Ok(Slow {
        delay_ms,
        acked_writes: notes.acked.len(),
        lost_writes: seen.lost.len(),
        writes: calls.iter().filter(of_log).filter(|call| call.name.starts_with("pwrite")).count(),
        syncs: calls.iter().filter(of_log).filter(|call| call.is_sync()).count(),
        oldest_ms: oldest_us(&calls) / 1000,
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
            descriptor: Some(3),
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
