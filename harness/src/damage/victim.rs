//! A store that was stopped or killed, what it must show, and starts on damaged copies of it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Outcome;
use crate::client::Client;
use crate::error::{Failure, Result};
use crate::files;
use crate::process::{Launch, Mode, Program, Server};
use crate::wire::Reply;

/// Keys of each type.
const KEYS: u32 = 12;

/// A store with known contents.
pub struct Victim {
    _room: TempDir,
    work: PathBuf,
    original: PathBuf,
    launch: Launch,
    /// The file that the last write went to, relative to the store.
    pub file: PathBuf,
    /// The bytes that it changed there.
    pub record: Range<usize>,
    /// The file as it is.
    pub bytes: Vec<u8>,
    expected: Vec<Reply>,
    /// What the key of the last write may be instead, if that may be lost.
    before_last: Option<Reply>,
}

/// How the server that made a store came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By `kill -9`, nothing synced: the last write is a tail.
    Killed,
    /// In order: all is durable.
    Stopped,
}

impl Victim {
    /// Fills a store with values of all types and ends its server.
    pub fn make(program: Program, args: &[&str], end: End) -> Result<Self> {
        let room = TempDir::with_prefix("harness-damage-")?;
        let (original, work) = (room.path().join("original"), room.path().join("data"));
        files::make_dir(&original)?;
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let (log, env, wrapper) = (room.path().join("server.log"), Vec::new(), Vec::new());
        // Nothing is written but what is asked for: no marks of syncs.
        let mode = Mode::No;
        let mut launch = Launch { program, dir: original.clone(), log, mode, args, env, wrapper };
        let mut server = launch.start()?;
        let mut client = server.connect()?;
        fill(&mut client)?;
        let before = room.path().join("before");
        files::copy_dir(&original, &before)?;
        let before_last = (end == End::Killed).then_some(Reply::Nil);
        expect_written(client.call(&words("SET last the-value-of-the-last-key"))?)?;
        let expected = look(&mut client)?;
        if end == End::Killed {
            server.kill()?;
        }
        let (file, record) = difference(&before, &original)?;
        if end == End::Stopped {
            server.terminate(std::time::Duration::from_secs(30))?;
        }
        launch.dir.clone_from(&work);
        let bytes = files::read(&original.join(&file))?;
        Ok(Self { _room: room, work, original, launch, file, record, bytes, expected, before_last })
    }

    /// Starts so many times on a copy of which one file has this content, and looks. What the first opening has done must do
    /// for the second.
    pub fn judge(&self, file: &Path, content: &[u8], openings: u32) -> Result<Outcome> {
        files::remove_dir(&self.work)?;
        files::copy_dir(&self.original, &self.work)?;
        files::write(&self.work.join(file), content)?;
        let mut worst = Outcome::Whole;
        for _ in 0..openings {
            let mut server = match self.launch.start() {
                Ok(server) => server,
                Err(Failure::Start { .. }) => return Ok(worst.max(Outcome::Refused)),
                Err(failure) => return Err(failure),
            };
            worst = worst.max(self.seen(&server)?);
            server.kill()?;
        }
        Ok(worst)
    }

    fn seen(&self, server: &Server) -> Result<Outcome> {
        let found = look(&mut server.connect()?)?;
        let is_last = |index: usize| index == 0;
        let of_each = found.iter().zip(&self.expected).enumerate().map(|(index, (found, expected))| {
            let may_be_lost = is_last(index) && self.before_last.as_ref() == Some(found);
            match found {
                _ if found == expected || may_be_lost => Outcome::Whole,
                Reply::Error(_) => Outcome::ErrorReply,
                Reply::Nil => Outcome::Missing,
                Reply::Array(items) if items.is_empty() => Outcome::Missing,
                _ => Outcome::Wrong,
            }
        });
        Ok(of_each.max().unwrap_or(Outcome::Whole))
    }

    /// The store's files that hold bytes, relative to it.
    pub fn all_files(&self) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for path in files::below(&self.original) {
            if !files::read(&path)?.is_empty() {
                all.extend(path.strip_prefix(&self.original).map(Path::to_path_buf));
            }
        }
        Ok(all)
    }

    /// One of its files.
    pub fn read(&self, file: &Path) -> Result<Vec<u8>> {
        files::read(&self.original.join(file))
    }
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

/// Strings, lists, hashes, sets and sorted sets, some changed after they were made.
fn fill(client: &mut Client) -> Result<()> {
    for n in 0..KEYS {
        let long = format!("{n}-").repeat(60);
        for line in [
            format!("SET s{n} {long}"),
            format!("RPUSH l{n} one{n} two{n} three{n}"),
            format!("HSET h{n} field{n} value{n} other{n} {long}"),
            format!("SADD e{n} member{n} more{n}"),
            format!("ZADD z{n} {n} first{n} 7 second{n}"),
            format!("LPUSH l{n} zero{n}"),
            format!("APPEND s{n} tail{n}"),
        ] {
            expect_written(client.call(&words(&line))?)?;
        }
    }
    Ok(())
}

fn expect_written(reply: Reply) -> Result<()> {
    match reply {
        Reply::Error(text) => Err(Failure::Reply(text)),
        _ => Ok(()),
    }
}

/// Every key's value, in an order of our own; of sets the members are sorted. The last key is the first.
fn look(client: &mut Client) -> Result<Vec<Reply>> {
    let mut found = vec![client.call(&words("GET last"))?];
    for n in 0..KEYS {
        for line in [format!("GET s{n}"), format!("LRANGE l{n} 0 -1"), format!("ZRANGE z{n} 0 -1 WITHSCORES")] {
            found.push(client.call(&words(&line))?);
        }
        for line in [format!("HGETALL h{n}"), format!("SMEMBERS e{n}")] {
            let mut reply = client.call(&words(&line))?;
            if let Reply::Array(items) = &mut reply {
                items.sort_by_key(|item| format!("{item:?}"));
            }
            found.push(reply);
        }
    }
    // Fewer keys are missed above; more are nobody's.
    let all = Reply::Int(i64::from(5 * KEYS) + 1);
    found.push(match client.call(&words("DBSIZE"))? {
        Reply::Int(size) if Reply::Int(size) != all && size <= i64::from(5 * KEYS) => all,
        size => size,
    });
    Ok(found)
}

/// The file that the last write changed, and where.
fn difference(before: &Path, after: &Path) -> Result<(PathBuf, Range<usize>)> {
    let mut found = Vec::new();
    for path in files::below(after) {
        let name = path.strip_prefix(after).unwrap_or(&path).to_path_buf();
        let (old, new) = (files::read(&before.join(&name)).unwrap_or_default(), files::read(&path)?);
        let differs = |at: &usize| old.get(*at) != new.get(*at);
        let is_zero_behind = |at: &usize| old.get(*at).is_none() && new[*at] == 0;
        let mut changed = (0..new.len()).filter(|at| differs(at) && !is_zero_behind(at));
        if let Some(first) = changed.next() {
            found.push((name, first..changed.next_back().unwrap_or(first) + 1));
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Failure::Usage(format!("one write changed {found:?}"))),
    }
}
