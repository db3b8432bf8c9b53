//! Writes of which the kernel takes a part: the rest has to be written behind it.
//!
//! strace has the N-th write of each thread say that it took 16 bytes. It took none, so what lies on the disk then is nobody's
//! fault: what is judged is what the server asks for next.

use std::path::Path;

use tempfile::TempDir;

use super::case::Case;
use super::fault;
use super::series::Found;
use super::trace::{self, Call};
use crate::error::{Failure, Result};
use crate::files;
use crate::process::Program;
use crate::random::Random;
use crate::rules::{Rule, Violation};
use crate::store::{Plan, Store, Until};

/// What a short write takes.
const TAKEN: u64 = 16;

/// Each write in turn, on a store of its own, until none is left.
pub fn run(program: &Program, env: &[(String, String)], case: &Case, most: u64, seed: u64) -> Result<Found> {
    let mut found = Found::default();
    for nth in 1..=most {
        let room = TempDir::with_prefix("harness-short-")?;
        let path = room.path().to_path_buf();
        let mut plan = case.plan(program.clone(), &path)?;
        plan.env.extend(env.iter().cloned());
        let calls = life(plan, room, case, nth, seed, &path.join("trace"))?;
        let short: Vec<&Call> = calls.iter().filter(|call| call.is_injected).collect();
        found.lives += 1;
        if short.is_empty() {
            found.is_exhausted = true;
            break;
        }
        found.hits += 1;
        found.farthest = nth;
        found.broken.extend(short.into_iter().filter_map(|call| left_short(&calls, call)));
        if !found.broken.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn life(plan: Plan, room: TempDir, case: &Case, nth: u64, seed: u64, trace: &Path) -> Result<Vec<Call>> {
    let mut store = Store::in_room(plan, 1, Random::new(seed), room)?;
    files::write(trace, b"")?;
    let mut launch = store.launch();
    launch.wrapper = fault::wrapper(trace, true, &format!("pwrite64:retval={TAKEN}:when={nth}"));
    let mut server = launch.spawn()?;
    match server.wait_until_serving() {
        Ok(()) => {
            store.load(&mut server, Until::Commands(case.commands))?;
            case.ask(&server);
        }
        Err(Failure::Start { .. }) => {}
        Err(failure) => return Err(failure),
    }
    server.terminate(std::time::Duration::from_secs(30))?;
    trace::of_ended(trace, server.pid())
}

/// The next that the thread writes to this file must be the rest of it.
fn left_short(calls: &[Call], short: &Call) -> Option<Violation> {
    let (asked, offset) = short.range.filter(|(asked, _)| *asked > TAKEN)?;
    let mut of_thread =
        calls.iter().skip_while(|call| *call != short).skip(1).filter(|call| call.thread == short.thread);
    let rest = of_thread.find(|call| call.range.is_some());
    let is_rest =
        rest.is_some_and(|call| call.file == short.file && call.range == Some((asked - TAKEN, offset + TAKEN)));
    let detail = || {
        let next = rest.map(|call| (&call.file, call.range));
        format!("{TAKEN} of {asked} bytes at {offset} were taken, and the next that is written is {next:?}")
    };
    (!is_rest).then(|| Violation::new(Rule::NoTear, short.file.clone(), detail()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(thread: u32, range: (u64, u64), is_injected: bool) -> Call {
        let (name, file) = ("pwrite64".to_owned(), "a.log".to_owned());
        let (begin_us, end_us, result) = (range.1, range.1, Some(TAKEN as i64));
        Call {
            thread,
            name,
            file,
            descriptor: Some(3),
            creates: false,
            range: Some(range),
            begin_us,
            end_us,
            result,
            is_injected,
        }
    }

    #[test]
    fn the_rest_of_a_short_write_is_what_comes_next() {
        let (short, rest) = (write(1, (100, 1000), true), write(1, (84, 1016), false));
        let other = write(2, (5, 0), false);
        assert_eq!(left_short(&[short.clone(), other.clone(), rest.clone()], &short), None);
        assert!(left_short(&[short.clone(), other, write(1, (50, 1100), false)], &short).is_some());
        assert!(left_short(&[rest, short.clone()], &short).is_some());
    }
}
