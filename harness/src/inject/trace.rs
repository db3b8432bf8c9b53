//! What strace wrote down: which thread asked the kernel for what, of which file, and what it was told.
//!
//! ```text
//! 712 1795318074.099036 pwrite64(3</dir/a.log>, ""..., 5, 0) = 5
//! 713 1795318074.100754 fdatasync(3</dir/a.log> <unfinished ...>
//! 713 1795318074.100778 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::error::Result;
use crate::files;

/// Longest wait for strace to write down the end of a process that has ended.
const END_LIMIT: Duration = Duration::from_secs(5);

/// One call, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The thread's number.
    pub thread: u32,
    /// Its name: `pwrite64`.
    pub name: String,
    /// The name of the file it was about, without directories; of a renamed one the new name.
    pub file: String,
    /// The descriptor by which it knew the file, if it did.
    pub descriptor: Option<u32>,
    /// Whether it may have made a new file.
    pub creates: bool,
    /// Microseconds of the wall clock at its beginning and its end.
    pub begin_us: u64,
    /// The same at its end.
    pub end_us: u64,
    /// How many bytes it was about, and from which byte of the file on, if it wrote to a place.
    pub range: Option<(u64, u64)>,
    /// What it gave back; nothing when the process did not live to see it.
    pub result: Option<i64>,
    /// The error was ours.
    pub is_injected: bool,
}

impl Call {
    /// Whether it makes bytes durable.
    pub fn is_sync(&self) -> bool {
        self.name == "fdatasync" || self.name == "fsync"
    }

    /// Whether it was told of success.
    pub fn is_done(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }
}

/// Reads the trace of a process that has ended, in the order in which calls began.
pub fn of_ended(path: &Path, pid: u32) -> Result<Vec<Call>> {
    let ends = format!("{pid} ");
    clock::wait_until(END_LIMIT, || {
        files::read(path).is_ok_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.lines().rev().take(40).any(|line| line.starts_with(&ends) && line.contains(" +++ "))
        })
    });
    read(path)
}

/// Reads a trace as far as it is written.
pub fn read(path: &Path) -> Result<Vec<Call>> {
    Ok(parse(&String::from_utf8_lossy(&files::read(path)?)))
}

/// Whether an error or a signal of ours has come to pass.
pub fn is_injected(path: &Path) -> bool {
    files::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("(INJECTED)"))
}

fn parse(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    for line in text.lines() {
        let Some((thread, at_us, rest)) = split(line) else { continue };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            if let Some(call) = unfinished.remove(&thread).and_then(|index| calls.get_mut(index)) {
                finish(call, at_us, resumed);
            }
        } else if let Some(mut call) = begun(thread, at_us, rest) {
            if rest.ends_with("<unfinished ...>") {
                unfinished.insert(thread, calls.len());
            } else {
                finish(&mut call, at_us, rest);
            }
            calls.push(call);
        }
    }
    calls
}

/// Thread, time and the rest of a line.
fn split(line: &str) -> Option<(u32, u64, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    let (seconds, micros) = at.split_once('.')?;
    let at_us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    Some((thread.parse().ok()?, at_us, rest))
}

fn begun(thread: u32, at_us: u64, rest: &str) -> Option<Call> {
    let (name, arguments) = rest.split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Call {
        thread,
        name: name.to_owned(),
        file: file_of(name, arguments),
        descriptor: arguments.split_once('<').and_then(|(number, _)| number.parse().ok()),
        creates: arguments.contains("O_CREAT"),
        range: range_of(name, arguments),
        begin_us: at_us,
        end_us: at_us,
        result: None,
        is_injected: false,
    })
}

/// The end of a call: its result, and with `-T` behind it how long it took if the line is of its beginning.
fn finish(call: &mut Call, at_us: u64, rest: &str) {
    let Some((_, result)) = rest.rsplit_once(") ").and_then(|_| rest.rsplit_once(" = ")) else { return };
    let word = result.split(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default();
    call.result = word.parse().ok();
    call.is_injected = result.contains("(INJECTED)");
    let took = result.rsplit_once('<').and_then(|(_, took)| took.strip_suffix('>')?.parse::<f64>().ok());
    let took_us = took.map_or(0, |seconds| (seconds * 1e6) as u64);
    call.end_us = at_us.max(call.begin_us + took_us);
}

/// `3</dir/a.log>, ""..., 5, 0) = 5`: how many bytes, and where.
fn range_of(name: &str, arguments: &str) -> Option<(u64, u64)> {
    if name != "pwrite64" {
        return None;
    }
    let (_, behind) = arguments.rsplit_once('"')?;
    let mut numbers = behind.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `3</dir/a.log>` or `"/dir/a.log"`: the last of the quoted ones for a rename, else the first of either.
fn file_of(name: &str, arguments: &str) -> String {
    let quoted: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
    let path = if name.starts_with("rename") {
        quoted.last().copied()
    } else if matches!(name, "openat" | "open" | "unlink" | "unlinkat" | "mkdir" | "mkdirat") {
        quoted.first().copied()
    } else {
        arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path)
    };
    path.unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"11426 1795318075.413949 openat(AT_FDCWD</tmp>, "/tmp/store/x.log", O_RDWR|O_CREAT|O_CLOEXEC, 0777) = 3</tmp/store/x.log> <0.000012>
11322 1795318074.100541 pwrite64(3</tmp/store/x.log>, ""..., 5, 0 <unfinished ...>
11323 1795318074.100577 fdatasync(4</tmp/store/y.log> <unfinished ...>
11322 1795318074.100610 <... pwrite64 resumed>) = 5 <0.000041>
11323 1795318074.101025 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED) <0.000007>
11323 1795318074.102025 fdatasync(4</tmp/store/y.log>) = 0 (DELAYED) <0.300312>
11322 1795318074.103000 rename("/tmp/store/a.tmp", "/tmp/store/a") = 0 <0.000100>
11322 1795318074.104000 fsync(5</tmp/store>) = ?
11322 1795318074.582 +++ killed by SIGKILL +++
"#;

    #[test]
    fn calls_are_put_together_from_their_lines() {
        let calls = parse(TRACE);
        let told: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.file.as_str(), call.result)).collect();
        assert_eq!(
            told,
            [
                ("openat", "x.log", Some(3)),
                ("pwrite64", "x.log", Some(5)),
                ("fdatasync", "y.log", Some(-1)),
                ("fdatasync", "y.log", Some(0)),
                ("rename", "a", Some(0)),
                ("fsync", "store", None),
            ]
        );
        assert!(calls[0].creates && calls[2].is_injected && calls[2].is_sync() && !calls[2].is_done());
        assert!(!calls[3].is_injected);
        assert_eq!((calls[0].descriptor, calls[3].descriptor), (None, Some(4)));
        assert_eq!((calls[1].range, calls[2].range), (Some((5, 0)), None));
        assert_eq!(calls[2].end_us - calls[2].begin_us, 448);
        assert_eq!(calls[3].end_us - calls[3].begin_us, 300_312);
    }
}
