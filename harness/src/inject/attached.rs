//! strace on a server that runs already: what it injects begins and ends when we say.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::trace;
use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::process::Server;

/// Longest wait for strace to hold all threads.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);

/// A tracer at work. Dropped, it lets go.
#[derive(Debug)]
pub struct Attached {
    child: Child,
    log: PathBuf,
    server_pid: u32,
}

impl Attached {
    /// Begins: `inject` as strace has it, for calls about one of these files, or about any. Those that are `traced` are written
    /// down in `log`.
    pub fn begin(server: &Server, traced: &str, inject: &str, about: &[PathBuf], log: &Path) -> Result<Self> {
        files::write(log, b"")?;
        let pid = server.pid();
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-y", "-s", "0", "-ttt", "-T", "-o"]).arg(log);
        command.args(["-p", &pid.to_string(), "-e", &format!("trace={traced}")]);
        command.args(["-e", &format!("inject={inject}")]);
        for path in about {
            command.arg("-P").arg(path);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|source| Failure::Run { program: "strace".to_owned(), source })?;
        let mut attached = Self { child, log: log.to_path_buf(), server_pid: pid };
        if clock::wait_until(ATTACH_LIMIT, || attached.holds_all()) {
            Ok(attached)
        } else {
            attached.let_go();
            Err(Failure::Usage("strace did not take hold of the server".to_owned()))
        }
    }

    /// Whether every thread of the server has a tracer, or has come to its end by what is injected.
    fn holds_all(&self) -> bool {
        let tasks = files::list(Path::new(&format!("/proc/{}/task", self.server_pid))).unwrap_or_default();
        let held = |task: &PathBuf| {
            let status = files::read(&task.join("status")).unwrap_or_default();
            let status = String::from_utf8_lossy(&status);
            let is_traced = |line: &str| line.starts_with("TracerPid:") && !line.ends_with("\t0");
            status.lines().any(|line| is_traced(line) || line.starts_with("State:\tZ"))
        };
        !tasks.is_empty() && tasks.iter().all(held)
    }

    /// Whether something was injected.
    pub fn is_injected(&self) -> bool {
        trace::is_injected(&self.log)
    }

    /// What the server has asked the kernel for so far.
    pub fn calls(&self) -> Result<Vec<trace::Call>> {
        trace::read(&self.log)
    }

    /// Ends it; the server goes on without.
    pub fn let_go(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // An error means that it has ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.let_go();
    }
}
