//! More clients than a process may have files: it must neither end nor turn in circles.

use std::io::Write;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::ending;
use super::scene::{Scene, request};
use crate::error::{Failure, Result};
use crate::scenario::machine;

/// Files that the server may have, once it runs and has taken its clients' share of more.
const FILES: u64 = 128;

/// Takes files from a running server, connects more clients than it can have, and measures what it does meanwhile.
pub fn run(scene: &Scene) -> Result<()> {
    let pid = i32::try_from(scene.pid).ok().and_then(Pid::from_raw);
    let limit = |current: Option<u64>, maximum| {
        let before = prlimit(pid, Resource::Nofile, Rlimit { current, maximum });
        before.map_err(|error| Failure::Connection(error.into()))
    };
    let before = limit(Some(FILES), rustix::process::getrlimit(Resource::Nofile).maximum)?;
    let mut held = Vec::new();
    // The kernel accepts them before the server does: all connect.
    for _ in 0..scene.amount(400, 200) {
        if let Ok(mut stream) = scene.connect() {
            let _ = stream.write_all(&request(&[b"PING"]));
            held.push(stream);
        }
    }
    let cpu = machine::cpu_seconds(scene.pid)?;
    let time = scene.time(3000, 1000);
    std::thread::sleep(time);
    let busy = (machine::cpu_seconds(scene.pid)? - cpu) / time.as_secs_f64();
    let answered = held.iter_mut().filter(|stream| ending::is_answered(stream, Duration::from_millis(5))).count();
    scene.ended_times("answered; held", answered as u64);
    scene.ended_times("waits to be accepted", (held.len() - answered) as u64);
    scene.figure_within("processors used while no file is left", busy, 0.0, 0.5);
    limit(before.current, before.maximum)?;
    let last = held.iter_mut().rev().take(50);
    let served = last.filter(|stream| ending::is_answered(stream, Duration::from_millis(1500))).count();
    scene.figure_within("of the last 50, answered when there are files again", served as f64, 50.0, 50.0);
    Ok(())
}
