//! A disk that fails, fills up or is slow, for any server: what it says, and what is left after `kill -9` and a start.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::inject::attached::Attached;
use crate::process::{Launch, Mode, Program, Server};
use crate::writer::Notes;

/// The calls that write; on connections too, so they are chosen by file.
const WRITES: &str = "write,writev,pwrite64,pwritev";
/// The calls that are looked at.
const TRACED: &str = "write,writev,pwrite64,pwritev,fdatasync,fsync,fallocate";
/// Before anything goes wrong.
const WARM: Duration = Duration::from_millis(500);
/// Longest wait for the fault to come to pass.
const REACHED_LIMIT: Duration = Duration::from_secs(8);
/// How long is written behind it.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How much longer a slow sync takes.
const DELAY: &str = "1500ms";

/// A server with some writes done, and the notes of them.
struct Subject {
    room: TempDir,
    launch: Launch,
    server: Server,
    notes: Notes,
}

impl Subject {
    fn start(program: &Program, mode: Mode) -> Result<Self> {
        let room = TempDir::with_prefix("harness-compare-")?;
        let (dir, log) = (room.path().join("data"), room.path().join("server.log"));
        files::make_dir(&dir)?;
        let (args, env, wrapper) = (Vec::new(), Vec::new(), Vec::new());
        let launch = Launch { program: program.clone(), dir, log, mode, args, env, wrapper };
        let mut server = launch.start()?;
        let mut notes = Notes::default();
        notes.write(&mut server, WARM, |_| false)?;
        Ok(Self { room, launch, server, notes })
    }

    /// Takes hold of the server.
    fn inject(&self, what: &str, about: &[PathBuf]) -> Result<Attached> {
        Attached::begin(&self.server, TRACED, what, about, &self.room.path().join("trace"))
    }

    /// The files that its log goes to.
    fn log_files(&self) -> Result<Vec<PathBuf>> {
        let is_log =
            |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log" || extension == "aof");
        let files: Vec<PathBuf> = files::below(&self.launch.dir).into_iter().filter(is_log).collect();
        if files.is_empty() { Err(Failure::Usage("no file of the server is a log".to_owned())) } else { Ok(files) }
    }

    /// Writes until the fault has come to pass; when that was.
    fn write_until_hit(&mut self, attached: &Attached) -> Result<Instant> {
        let mut looked = clock::now();
        self.notes.write(&mut self.server, REACHED_LIMIT, |_| {
            let due = clock::now() >= looked + Duration::from_millis(20);
            if due {
                looked = clock::now();
            }
            due && attached.is_injected()
        })?;
        if attached.is_injected() {
            Ok(clock::now())
        } else {
            Err(Failure::Usage("the fault was not reached".to_owned()))
        }
    }

    /// `ends (exit status: 1)`, `refuses writes`, `has writers wait` or `goes on`, and how many writes were answered behind the fault.
    fn reaction(&mut self, hit: Instant) -> Result<String> {
        let acked = self.notes.acked_after(hit);
        Ok(match (self.server.ended()?, &self.notes.error) {
            (Some(status), _) => format!("ends ({status}), {acked} acked after it"),
            (None, Some(error)) if acked == 0 => format!("refuses writes ({}), 0 acked after it", brief(error)),
            (None, Some(error)) => {
                format!("refuses {} ({}), {acked} acked after it", self.notes.refused.len(), brief(error))
            }
            (None, None) if acked == 0 => "has writers wait, 0 acked after it".to_owned(),
            (None, None) => format!("goes on, {acked} acked after it"),
        })
    }

    /// Kills it, starts it again without a fault, and looks.
    fn outcome(mut self) -> Result<String> {
        self.server.kill()?;
        let killed = clock::now();
        let server = match self.launch.start() {
            Ok(server) => server,
            Err(Failure::Start { .. }) => return Ok("; **does not start again**".to_owned()),
            Err(failure) => return Err(failure),
        };
        let seen = self.notes.look(&server)?;
        let age = if seen.lost.is_empty() {
            String::new()
        } else {
            format!(", oldest {} ms", self.notes.age_ms(&seen.lost, killed))
        };
        let there = if seen.refused_there > 0 {
            format!(", **{} refused ones are there**", seen.refused_there)
        } else {
            String::new()
        };
        Ok(format!("; of {} acked **{} lost**{age}{there}", self.notes.acked.len(), seen.lost.len()))
    }
}

/// An error's first word.
fn brief(error: &str) -> &str {
    error.split_whitespace().next().unwrap_or_default()
}

/// One fsync fails. Does it acknowledge behind that, and does it believe a second one?
pub fn failing_sync(program: &Program, mode: Mode) -> Result<String> {
    let mut subject = Subject::start(program, mode)?;
    let mut attached = subject.inject("fdatasync,fsync:error=EIO:when=1", &subject.log_files()?)?;
    let hit = subject.write_until_hit(&attached)?;
    subject.notes.write(&mut subject.server, AFTERWARDS, |_| false)?;
    let reaction = subject.reaction(hit)?;
    let calls = attached.calls()?;
    let failed = calls.iter().find(|call| call.is_injected);
    let again = failed.map_or(0, |failed| {
        calls.iter().filter(|call| call.is_sync() && call.file == failed.file && call.begin_us >= failed.end_us).count()
    });
    attached.let_go();
    let again = if again > 0 { format!(", the file is synced {again} times more") } else { String::new() };
    Ok(format!("{reaction}{again}{}", subject.outcome()?))
}

/// One write of the log fails.
pub fn failing_write(program: &Program, mode: Mode) -> Result<String> {
    let mut subject = Subject::start(program, mode)?;
    let mut attached = subject.inject(&format!("{WRITES}:error=EIO:when=1"), &subject.log_files()?)?;
    let hit = subject.write_until_hit(&attached)?;
    subject.notes.write(&mut subject.server, AFTERWARDS, |_| false)?;
    let reaction = subject.reaction(hit)?;
    attached.let_go();
    Ok(format!("{reaction}{}", subject.outcome()?))
}

/// For two seconds there is no space. Does it go on by itself when there is?
pub fn full(program: &Program, mode: Mode) -> Result<String> {
    let mut subject = Subject::start(program, mode)?;
    let mut attached = subject.inject(&format!("{WRITES},fallocate:error=ENOSPC"), &subject.log_files()?)?;
    let hit = subject.write_until_hit(&attached)?;
    subject.notes.write(&mut subject.server, Duration::from_secs(2), |_| false)?;
    let reaction = subject.reaction(hit)?;
    attached.let_go();
    let space = clock::now();
    if subject.server.ended()?.is_none() {
        subject.notes.write(&mut subject.server, Duration::from_secs(8), |notes| notes.acked_after(space) > 0)?;
    }
    let first = subject.notes.acked.iter().find(|(_, at)| *at > space).map(|(_, at)| (*at - space).as_millis());
    let again = first
        .map_or_else(|| "**does not go on by itself**".to_owned(), |ms| format!("goes on by itself after {ms} ms"));
    Ok(format!("{reaction}; {again}{}", subject.outcome()?))
}

/// Each fsync takes longer, and the process is killed.
pub fn slow_sync(program: &Program) -> Result<String> {
    let mut subject = Subject::start(program, Mode::EverySec)?;
    let attached = subject.inject(&format!("fdatasync,fsync:delay_enter={DELAY}"), &[])?;
    subject.notes.write(&mut subject.server, Duration::from_millis(4200), |_| false)?;
    let text = subject.outcome()?;
    drop(attached);
    Ok(text.trim_start_matches("; ").to_owned())
}
