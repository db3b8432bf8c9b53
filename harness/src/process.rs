//! A server as a process: started on a free port, asked until it answers, killed by its number.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::{Address, Client};
use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::wire::Reply;

/// Longest wait for a server that starts: it may have a log to read and slow fsyncs to do.
const START_LIMIT: Duration = Duration::from_secs(60);

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// After its fsync.
    Always,
    /// Before; one fsync a second.
    EverySec,
    /// Before; no fsync by the clock.
    No,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Always, Self::EverySec, Self::No];

    /// The word for `appendfsync`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySec => "everysec",
            Self::No => "no",
        }
    }
}

/// Which server.
#[derive(Clone, Debug)]
pub enum Program {
    /// This `kvd`.
    Kvd(PathBuf),
    /// This redis-server, or one with its flags.
    Redis(PathBuf),
    /// A command line with `{port}`, `{dir}` and `{mode}`.
    Template(String),
}

impl Program {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Kvd(_) => "kvd",
            Self::Redis(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or("redis"),
            Self::Template(line) => line.split_whitespace().next().unwrap_or("server"),
        }
    }

    fn command_line(&self, port: u16, dir: &Path, mode: Mode) -> Vec<String> {
        let (port, dir) = (port.to_string(), dir.display().to_string());
        let words = |path: &Path, rest: &[&str]| {
            let rest = rest.iter().map(|&word| word.to_owned());
            std::iter::once(path.display().to_string()).chain(rest).collect()
        };
        let fsync = mode.word();
        match self {
            Self::Kvd(path) => {
                let debug = ["--enable-debug-command", "yes"];
                let usual = ["--port", &port, "--dir", &dir, "--appendfsync", fsync];
                words(path, &[&usual[..], &debug[..]].concat())
            }
            Self::Redis(path) => words(
                path,
                &["--port", &port, "--dir", &dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", ""],
            ),
            Self::Template(line) => {
                let fill = |word: &str| word.replace("{port}", &port).replace("{dir}", &dir).replace("{mode}", fsync);
                line.split_whitespace().map(fill).collect()
            }
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Which.
    pub program: Program,
    /// Its data.
    pub dir: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// When it answers writes.
    pub mode: Mode,
    /// Arguments behind the usual ones.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// A command in front, such as strace. It must become the server, so that its number is the server's.
    pub wrapper: Vec<String>,
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: Address,
}

/// A port that nobody uses at the moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Launch {
    /// Starts the process and does not wait for it to serve.
    pub fn spawn(&self) -> Result<Server> {
        let port = free_port()?;
        let mut line = self.wrapper.clone();
        line.extend(self.program.command_line(port, &self.dir, self.mode));
        line.extend(self.args.iter().cloned());
        let output = files::create(&self.log)?;
        let mut command = Command::new(&line[0]);
        // kvd reads settings from such variables: those of whoever runs the harness are not meant for it.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("KVD_")) {
                command.env_remove(name);
            }
        }
        command.args(&line[1..]).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|source| Failure::Run { program: line[0].clone(), source })?;
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Server { child, log: self.log.clone(), address })
    }

    /// Starts the process and kills it after `delay`, wherever it is in its start.
    pub fn spawn_and_kill(&self, delay: Duration) -> Result<()> {
        let mut server = self.spawn()?;
        std::thread::sleep(delay);
        server.kill()?;
        Ok(())
    }

    /// Starts the process and waits until it answers PING. Another try when its port was taken in between.
    pub fn start(&self) -> Result<Server> {
        let mut tries = 3;
        loop {
            let mut server = self.spawn()?;
            match server.wait_until_serving() {
                Err(Failure::Start { output, .. }) if tries > 1 && output.contains("in use") => tries -= 1,
                Err(failure) => return Err(failure),
                Ok(()) => return Ok(server),
            }
        }
    }
}

impl Server {
    /// Waits for a PING's answer; an end of the process before is a failed start.
    pub fn wait_until_serving(&mut self) -> Result<()> {
        let mut ended = None;
        let serves = clock::wait_until(START_LIMIT, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || self.answers_ping()
        });
        match ended {
            Some(status) => Err(self.start_failure(status.to_string())),
            None if serves => Ok(()),
            None => Err(self.start_failure("no answer to PING".to_owned())),
        }
    }

    fn answers_ping(&self) -> bool {
        let pong =
            Client::connect(&self.address, Duration::from_secs(5)).and_then(|mut client| client.call(&[b"PING"]));
        matches!(pong, Ok(Reply::Simple(text)) if text == "PONG")
    }

    fn start_failure(&self, reason: String) -> Failure {
        Failure::Start { reason, output: self.output() }
    }

    /// The last lines of its output.
    pub fn output(&self) -> String {
        let bytes = files::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection of one's own.
    pub fn connect(&self) -> Result<Client> {
        Ok(Client::connect(&self.address, Duration::from_secs(30))?)
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// SIGTERM, and waits for the end; without one within `limit` it is killed and the answer is nothing.
    pub fn terminate(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw) {
            // An error means that it has ended already, which `wait` will tell.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = self.wait_for_end(limit)?;
        if ended.is_none() {
            self.kill()?;
        }
        Ok(ended)
    }

    /// Waits for an end that somebody else causes.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let mut ended = None;
        clock::wait_until(limit, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        });
        Ok(ended)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = files::read(Path::new(&format!("/proc/{}/status", self.pid())))?;
        let text = String::from_utf8_lossy(&status);
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Failure::Usage("no VmRSS in /proc".to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the process was ended by `kill -9`.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}
