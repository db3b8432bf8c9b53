//! What happens to which system call, as strace is told.

use std::path::Path;

/// Calls that change what a disk holds, each with the names it may have, and the errors it may have.
pub const CALLS: [(&str, &[&str]); 8] = [
    ("pwrite64,pwritev,pwritev2", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO"]),
    ("fsync", &["EIO"]),
    ("fallocate", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO"]),
    ("openat", &["EIO", "EMFILE"]),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC"]),
    ("unlink,unlinkat", &["EIO"]),
];

/// Made once in a store's life: nothing but a kill is tried there.
pub const MKDIR: &str = "mkdir,mkdirat";

/// All calls that are written down, so that it can be seen what a server did before and after.
pub const TRACED: &str = "pwrite64,pwritev,pwritev2,fdatasync,fsync,fallocate,ftruncate,openat,rename,renameat,renameat2,\
    unlink,unlinkat,mkdir,mkdirat";

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The process is gone before the call is made.
    Kill,
    /// The call is not made, and gives this error.
    Error(&'static str),
}

/// From when on calls are counted. A thread that opens the store makes so many that those which serve never come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The process's first.
    Start,
    /// The first behind the opening.
    Serving,
}

/// What happens to which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The names of the call.
    pub calls: &'static str,
    /// What happens.
    pub effect: Effect,
    /// Where counting begins.
    pub since: Since,
}

impl Fault {
    /// The calls, each killed at.
    pub fn kills() -> Vec<Fault> {
        let calls = CALLS.iter().map(|(calls, _)| *calls).chain([MKDIR]);
        calls.flat_map(|calls| Fault::of(calls, Effect::Kill)).collect()
    }

    /// The calls, each with each of its errors.
    pub fn errors() -> Vec<Fault> {
        let each = |(calls, errors): &(&'static str, &'static [&'static str])| {
            let calls = *calls;
            errors.iter().flat_map(move |&error| Fault::of(calls, Effect::Error(error))).collect::<Vec<_>>()
        };
        CALLS.iter().flat_map(each).collect()
    }

    fn of(calls: &'static str, effect: Effect) -> [Fault; 2] {
        [Since::Start, Since::Serving].map(|since| Fault { calls, effect, since })
    }

    /// Its name in reports: `fdatasync EIO, serving`.
    pub fn name(&self) -> String {
        let since = if self.since == Since::Serving { ", serving" } else { "" };
        match self.effect {
            Effect::Kill => format!("{} kill{since}", self.call()),
            Effect::Error(error) => format!("{} {error}{since}", self.call()),
        }
    }

    /// The first of its calls' names.
    pub fn call(&self) -> &'static str {
        self.calls.split(',').next().unwrap_or_default()
    }

    /// Whether the server is to get over it by itself: a disk that is full, or a descriptor that is missing, for one call.
    pub fn passes(&self) -> bool {
        matches!(self.effect, Effect::Error("ENOSPC" | "EMFILE"))
    }

    /// What strace injects at the `nth` call of each thread.
    pub fn injection(&self, nth: u64) -> String {
        let effect = match self.effect {
            Effect::Kill => "signal=KILL".to_owned(),
            Effect::Error(error) => format!("error={error}"),
        };
        format!("{}:{effect}:when={nth}", self.calls)
    }

    /// The wrapper that does it from the start on, and writes down all calls.
    pub fn wrapper(&self, nth: u64, trace: &Path) -> Vec<String> {
        // With a filter strace 6.1 loses the signal: then every call of the process stops.
        wrapper(trace, self.effect != Effect::Kill, &self.injection(nth))
    }
}

/// `-D`: the server is our child, strace its own grandchild. `--seccomp-bpf`: only the calls that are written down stop, all
/// others run at full speed.
pub fn wrapper(trace: &Path, filtered: bool, inject: &str) -> Vec<String> {
    let mut words = vec!["strace", "-D", "-f", "-q", "-y", "-s", "0", "-ttt", "-T"];
    if filtered {
        words.push("--seccomp-bpf");
    }
    let (trace, traced, inject) = (trace.display().to_string(), format!("trace={TRACED}"), format!("inject={inject}"));
    words.extend(["-o", &trace, "-e", &traced, "-e", &inject]);
    words.into_iter().map(str::to_owned).collect()
}
