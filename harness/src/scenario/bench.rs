//! What all scenarios share: which servers there are, how one is started in a fresh directory, and what INFO says of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::data::Data;
use super::disk;
use super::figures::Figures;
use super::group::MemoryGroup;
use super::load::{Done, Load, Work};
use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::process::{Launch, Mode, Program, Server};
use crate::wire::Reply;

/// Clients of a load that only prepares something, and their pipeline.
const FILL: (u64, usize) = (4, 64);
/// What `--small` divides sizes by.
const SMALL: u64 = 20;

/// Servers that a scenario can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This program.
    Kvd,
    /// A redis-server.
    Redis,
    /// A server that answers constants and stores nothing: what machine and clients take.
    Null,
}

impl Peer {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Kvd => "kvd",
            Peer::Redis => "redis",
            Peer::Null => "null server",
        }
    }
}

/// A run.
pub struct Bench {
    /// Sizes are a twentieth.
    pub small: bool,
    /// What was found.
    pub figures: Figures,
    kvd: PathBuf,
    redis: Result<PathBuf>,
    null: Result<PathBuf>,
    dir: TempDir,
}

/// A server of a scenario. Dropped, it is killed and its directory removed.
pub struct Running {
    /// The process.
    pub server: Server,
    /// Which.
    pub peer: Peer,
    launch: Launch,
    _dir: TempDir,
}

impl Bench {
    /// Looks for the servers. Directories are made in `parent`, or where the system wants temporary files.
    pub fn new(kvd: PathBuf, redis: Option<&Path>, parent: Option<&Path>, small: bool) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("kvd-scenarios-");
        let dir = parent.map_or_else(|| builder.tempdir(), |parent| builder.tempdir_in(parent))?;
        let null = build_null(dir.path());
        let redis = find_redis(redis);
        Ok(Self { small, figures: Figures::default(), kvd, redis, null, dir })
    }

    /// A size, or a twentieth of it.
    pub fn size(&self, full: u64) -> u64 {
        if self.small { full / SMALL } else { full }
    }

    /// A time, or a part of it.
    pub fn seconds(&self, full: u64) -> Duration {
        Duration::from_secs(if self.small { (full / 4).max(2) } else { full })
    }

    /// How often something is repeated.
    pub fn runs(&self, full: usize) -> usize {
        if self.small { full.min(3) } else { full }
    }

    /// Starts a server on nothing, in `everysec`. `None` when there is none such here, which is told.
    pub fn start(&mut self, peer: Peer, args: &[&str]) -> Result<Option<Running>> {
        self.start_in(None, peer, args)
    }

    /// The same in a group, if there is one.
    pub fn start_in(&mut self, group: Option<&MemoryGroup>, peer: Peer, args: &[&str]) -> Result<Option<Running>> {
        let found = match peer {
            Peer::Kvd => Ok(Program::Kvd(self.kvd.clone())),
            Peer::Redis => self.redis.as_ref().map(|path| Program::Redis(path.clone())),
            Peer::Null => self.null.as_ref().map(|path| Program::Template(format!("{} {{port}}", path.display()))),
        };
        let program = match found {
            Ok(program) => program,
            Err(reason) => {
                self.figures.skip(peer.name(), &reason.to_string());
                return Ok(None);
            }
        };
        let own = tempfile::Builder::new().prefix("server-").tempdir_in(self.dir.path())?;
        let dir = own.path().join("data");
        files::make_dir(&dir)?;
        let launch = Launch {
            program,
            dir,
            log: own.path().join("output"),
            mode: Mode::EverySec,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            wrapper: group.map_or_else(Vec::new, MemoryGroup::wrapper),
        };
        Ok(Some(Running { server: launch.start()?, peer, launch, _dir: own }))
    }
}

/// The redis-server that was named, or the one in PATH, if it runs.
fn find_redis(named: Option<&Path>) -> Result<PathBuf> {
    let path = named.unwrap_or(Path::new("redis-server"));
    let program = path.display().to_string();
    let output = Command::new(path).arg("--version").output();
    let output = output.map_err(|source| Failure::Run { program: program.clone(), source })?;
    if output.status.success() {
        Ok(path.to_path_buf())
    } else {
        Err(Failure::Usage(format!("{program} does not run")))
    }
}

/// Compiles the null server.
pub fn build_null(dir: &Path) -> Result<PathBuf> {
    let (source, program) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/null_server.c"), dir.join("null_server"));
    let output = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).output();
    let output = output.map_err(|source| Failure::Run { program: "cc".to_owned(), source })?;
    let told = || Failure::Usage(format!("cc: {}", String::from_utf8_lossy(&output.stderr)));
    if output.status.success() { Ok(program) } else { Err(told()) }
}

impl Running {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.peer.name()
    }

    /// Its files.
    pub fn dir(&self) -> &Path {
        &self.launch.dir
    }

    /// Clients for it.
    pub fn load<'a>(&'a self, data: &'a Data, clients: u64, pipeline: usize) -> Load<'a> {
        Load { address: &self.server.address, data, clients, pipeline, is_store: self.peer != Peer::Null }
    }

    /// Writes each of so many keys once.
    pub fn fill(&self, data: &Data, count: u64) -> Result<Done> {
        self.load(data, FILL.0, FILL.1).run(&Work::Fill(0..count))
    }

    /// Reads each of so many keys once, and compares.
    pub fn verify(&self, data: &Data, count: u64) -> Result<Done> {
        self.load(data, FILL.0, FILL.1).run(&Work::Verify(0..count))
    }

    /// Runs one command.
    pub fn call(&self, words: &[&str]) -> Result<Reply> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        match self.server.connect()?.call(&words)? {
            Reply::Error(text) => Err(Failure::Reply(text)),
            reply => Ok(reply),
        }
    }

    /// A number from INFO.
    pub fn info(&self, name: &str) -> Result<f64> {
        let Reply::Bulk(text) = self.call(&["INFO", "everything"])? else {
            return Err(Failure::Reply("INFO is no text".to_owned()));
        };
        let text = String::from_utf8_lossy(&text);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
        found.ok_or_else(|| Failure::Reply(format!("INFO has no number {name}")))
    }

    /// Bytes of memory that the process holds.
    pub fn resident(&self) -> Result<f64> {
        Ok(self.server.resident_bytes()? as f64)
    }

    /// Waits until a number of INFO stays the same for a second, a minute at most.
    pub fn settle(&self, name: &str) -> Result<f64> {
        let (end, mut before) = (clock::now() + Duration::from_secs(60), self.info(name)?);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.info(name)?;
            if now == before || clock::now() > end {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Waits until what was written is on the disk, as `everysec` promises.
    pub fn rest(&self) {
        std::thread::sleep(Duration::from_millis(2500));
    }

    /// `kill -9`. `forget`: the kernel forgets its files.
    pub fn kill(&mut self, forget: bool) -> Result<()> {
        self.server.kill()?;
        if forget { disk::drop_cached(self.dir()) } else { Ok(()) }
    }

    /// Starts it on the same files, and does not wait for anything.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = self.launch.spawn()?;
        Ok(())
    }
}
