//! One data directory over many lives of its server: load, kill, restart, judge, and on with what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clock;
use crate::digest;
use crate::error::{Failure, Result};
use crate::files;
use crate::ledger::{Ledger, Stamps};
use crate::mix::Mix;
use crate::op::Family;
use crate::process::{self, Launch, Mode, Program, Server};
use crate::random::Random;
use crate::rules::{self, Rule, Violation};
use crate::snapshot;
use crate::verify::{self, Shared, Snapshot};
use crate::workload::{self, End, Load, Weight};

/// What a store is and how it is loaded.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which server.
    pub program: Program,
    /// When it answers.
    pub mode: Mode,
    /// How many clients write.
    pub clients: u16,
    /// Arguments of the server.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// A command in front of it.
    pub wrapper: Vec<String>,
    /// How heavy the values are.
    pub weight: Weight,
    /// What is written.
    pub mix: Mix,
    /// Longest wait for one reply.
    pub patience: Duration,
}

impl Plan {
    /// Sixteen clients, nothing special.
    pub fn new(program: Program, mode: Mode) -> Self {
        let (args, env, wrapper) = (Vec::new(), Vec::new(), Vec::new());
        let patience = Duration::from_secs(30);
        Self { program, mode, clients: 16, args, env, wrapper, weight: Weight::Full, mix: Mix::All, patience }
    }
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// The server is killed after this time.
    Kill(Duration),
    /// The server dies at a failpoint, or else is killed after this time.
    Death(Duration),
    /// Each client has sent this many commands, or its connection ended.
    Commands(u64),
}

/// What one load did.
#[derive(Clone, Debug, Default)]
pub struct LoadFigures {
    /// Writes answered.
    pub acked_writes: u64,
    /// The same by what they were about.
    pub acked_by_family: BTreeMap<Family, u64>,
    /// Writes sent and not answered.
    pub unknown_writes: u64,
    /// Replies compared with the oracle.
    pub checked_replies: u64,
    /// From the first command to the end.
    pub took: Duration,
    /// Error replies nobody expected.
    pub refused: bool,
    /// The server died at a failpoint.
    pub died: bool,
}

impl LoadFigures {
    /// Answered writes a second.
    pub fn writes_per_second(&self) -> f64 {
        self.acked_writes as f64 / self.took.as_secs_f64().max(0.001)
    }
}

/// Longest wait for clients that have a number of commands to send.
const COMMANDS_LIMIT: Duration = Duration::from_secs(120);

/// One data directory and all that is known of it.
pub struct Store {
    plan: Plan,
    room: TempDir,
    run: u32,
    ledgers: Vec<Ledger>,
    shared: Shared,
    stamps: Stamps,
    random: Random,
    crash: Instant,
}

impl Store {
    /// An empty store. `run` names its values, `random` decides its load.
    pub fn new(plan: Plan, run: u32, random: Random) -> Result<Self> {
        let room = TempDir::with_prefix("harness-")?;
        Self::in_room(plan, run, random, room)
    }

    /// An empty store in a directory of one's own choice.
    pub fn in_room(plan: Plan, run: u32, random: Random, room: TempDir) -> Result<Self> {
        files::make_dir(&room.path().join("data"))?;
        let ledger = |client| Ledger::new(run, client, (workload::database_of(client), workload::away_of(client)));
        let ledgers = (0..plan.clients).map(ledger).collect();
        let (shared, stamps, crash) = (Shared::default(), Stamps::default(), clock::now());
        Ok(Self { plan, room, run, ledgers, shared, stamps, random, crash })
    }

    /// The server's files.
    pub fn data(&self) -> PathBuf {
        self.room.path().join("data")
    }

    /// How the server is started.
    pub fn launch(&self) -> Launch {
        Launch {
            program: self.plan.program.clone(),
            dir: self.data(),
            log: self.room.path().join("server.log"),
            mode: self.plan.mode,
            args: self.plan.args.clone(),
            env: self.plan.env.clone(),
            wrapper: self.plan.wrapper.clone(),
        }
    }

    /// Starts the server as planned. That it does not start is a violation, not a failure of the harness.
    pub fn start(&self) -> Result<std::result::Result<Server, Violation>> {
        started(&self.launch())
    }

    /// Loads the server with all clients. Violations seen by clients are judged later, with the rest.
    pub fn load(&mut self, server: &mut Server, until: Until) -> Result<LoadFigures> {
        let (stop, ready) = (AtomicBool::new(false), Barrier::new(self.ledgers.len() + 1));
        let limit = match until {
            Until::Kill(_) | Until::Death(_) => None,
            Until::Commands(count) => Some(count),
        };
        let load = Load {
            address: server.address.clone(),
            run: self.run,
            round: self.shared.round,
            clients: self.plan.clients,
            stamps: &self.stamps,
            stop: &stop,
            limit,
            patience: self.plan.patience,
            weight: self.plan.weight,
            mix: self.plan.mix,
        };
        let random = &mut self.random;
        let (ends, end, took) = std::thread::scope(|scope| -> Result<_> {
            let clients: Vec<_> = self.ledgers.iter_mut().map(|ledger| (ledger, random.fork())).collect();
            let drive = |(ledger, random)| {
                let (load, ready) = (&load, &ready);
                scope.spawn(move || {
                    ready.wait();
                    workload::drive(ledger, load, random)
                })
            };
            let threads: Vec<_> = clients.into_iter().map(drive).collect();
            ready.wait();
            let begin = clock::now();
            let end = end_load(server, until, &threads);
            // A server that could not be killed must not keep the clients for ever.
            stop.store(true, Ordering::Relaxed);
            let ends: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            Ok((ends, end?, clock::now() - begin))
        })?;
        self.crash = clock::now();
        self.note_ends(ends, end == LoadEnd::Early)?;
        Ok(LoadFigures { died: end == LoadEnd::Died, ..self.figures(took) })
    }

    /// A connection that ends, or a server that does, before anybody killed it.
    fn note_ends(&mut self, ends: Vec<std::thread::Result<End>>, early: bool) -> Result<()> {
        for (ledger, end) in self.ledgers.iter_mut().zip(ends) {
            let end = end.map_err(|_| Failure::Usage("a client thread panicked".to_owned()))?;
            if let (End::Closed(reason), true) = (end, early) {
                let (place, detail) = (format!("c{}", ledger.client), format!("ended under load: {reason}"));
                ledger.violations.push(Violation::new(Rule::Serves, place, detail));
            }
        }
        Ok(())
    }

    fn figures(&self, took: Duration) -> LoadFigures {
        let sum = |count: fn(&Ledger) -> u64| self.ledgers.iter().map(count).sum();
        let mut acked_by_family = BTreeMap::new();
        for (family, count) in self.ledgers.iter().flat_map(|ledger| &ledger.acked_by_family) {
            *acked_by_family.entry(*family).or_default() += count;
        }
        LoadFigures {
            acked_by_family,
            acked_writes: sum(|ledger| ledger.acked_writes),
            unknown_writes: sum(Ledger::unknown_writes),
            checked_replies: sum(|ledger| ledger.checked_replies),
            took,
            refused: self.ledgers.iter().any(|ledger| ledger.last_refusal.is_some()),
            died: false,
        }
    }

    /// An error reply that nobody expected, if there was one since the last restart.
    pub fn refusal(&self) -> Option<&str> {
        self.ledgers.iter().find_map(|ledger| ledger.last_refusal.as_deref())
    }

    /// Reads everything.
    pub fn look(&self, server: &Server) -> Result<Snapshot> {
        let mut client = server.connect()?;
        let mut databases: BTreeSet<u32> =
            self.ledgers.iter().flat_map(|ledger| [ledger.database, ledger.away]).collect();
        databases.insert(verify::SHARED_DATABASE);
        let mut look = |database| {
            let universe = verify::universe(&self.ledgers, &self.shared, database);
            Ok((database, snapshot::take(&mut client, database, &universe)?))
        };
        databases.into_iter().map(&mut look).collect()
    }

    /// Judges a freshly started server and takes what it has as the new beginning.
    pub fn judge(&mut self, server: &Server) -> Result<Vec<Violation>> {
        let snapshot = self.look(server)?;
        let broken = verify::judge(&self.ledgers, &self.shared, &snapshot, self.crash);
        if broken.is_empty() {
            verify::adopt(&mut self.ledgers, &mut self.shared, &snapshot);
        }
        Ok(broken)
    }

    /// After violations that are only counted: takes what is there as the new beginning.
    pub fn forgive(&mut self, server: &Server) -> Result<()> {
        let snapshot = self.look(server)?;
        verify::adopt(&mut self.ledgers, &mut self.shared, &snapshot);
        Ok(())
    }

    /// Stops the server in order, opens twice more, and compares.
    pub fn reopen_twice(&self, mut server: Server) -> Result<Vec<Violation>> {
        let steady = |snapshot: &Snapshot| -> BTreeMap<_, _> {
            snapshot.iter().map(|(number, database)| (*number, database.steady())).collect()
        };
        digest::still(&server)?;
        let (first, state) = (steady(&self.look(&server)?), digest::of(&server)?);
        let mut broken = Vec::new();
        for turn in 0..2 {
            if turn == 0 {
                broken.extend(stopped(&mut server)?);
            } else {
                server.kill()?;
            }
            server = match started(&self.launch())? {
                Ok(server) => server,
                Err(violation) => return Ok([broken, vec![violation]].concat()),
            };
            broken.extend(digest::same(&state, &digest::of(&server)?));
            let again = steady(&self.look(&server)?);
            for (number, before) in &first {
                broken.extend(rules::reopen_same(&format!("db{number}"), before, &again[number]));
            }
        }
        Ok(broken)
    }

    /// Starts the server and kills it after `delay`, wherever it is in its recovery.
    pub fn kill_recovery(&self, delay: Duration) -> Result<()> {
        self.launch().spawn_and_kill(delay)
    }

    /// All notes, for a file that a person reads.
    pub fn dump(&self, broken: &[Violation]) -> String {
        let mut text = String::new();
        for violation in broken {
            let _ = writeln!(text, "{violation}");
        }
        for ledger in &self.ledgers {
            text.push_str(&ledger.dump());
        }
        text
    }

    /// Leaves the directory where it is, to be studied.
    pub fn keep(self) -> PathBuf {
        self.room.keep()
    }
}

/// How a load came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LoadEnd {
    /// As planned.
    Planned,
    /// The server has killed itself, as planned.
    Died,
    /// A client or the server came to an end before the kill.
    Early,
}

/// Longest wait for the end of a server of which clients have seen the end.
const DEATH_LIMIT: Duration = Duration::from_secs(5);

/// Waits for the load's end, or kills.
fn end_load(server: &mut Server, until: Until, threads: &[ScopedJoinHandle<'_, End>]) -> Result<LoadEnd> {
    let ended = || threads.iter().any(|thread| thread.is_finished());
    match until {
        Until::Commands(_) => {
            clock::wait_until(COMMANDS_LIMIT, || threads.iter().all(|thread| thread.is_finished()));
            return Ok(LoadEnd::Planned);
        }
        Until::Kill(after) => std::thread::sleep(after),
        Until::Death(after) => {
            clock::wait_until(after, ended);
            let status = if ended() { server.wait_for_end(DEATH_LIMIT)? } else { None };
            if status.is_some_and(process::was_killed) {
                return Ok(LoadEnd::Died);
            }
        }
    }
    let early = ended() || server.ended()?.is_some();
    server.kill()?;
    Ok(if early { LoadEnd::Early } else { LoadEnd::Planned })
}

/// SIGTERM: exit code 0 within a time, or a violation.
pub fn stopped(server: &mut Server) -> Result<Option<Violation>> {
    let status = server.terminate(Duration::from_secs(30))?;
    let fine = status.is_some_and(|status| status.success());
    let detail = || format!("SIGTERM: {status:?}; its output ends: {}", server.output());
    Ok((!fine).then(|| Violation::new(Rule::Serves, "server", detail())))
}

/// A server that must start.
pub fn started(launch: &Launch) -> Result<std::result::Result<Server, Violation>> {
    match launch.start() {
        Ok(server) => Ok(Ok(server)),
        Err(failure @ Failure::Start { .. }) => Ok(Err(Violation::new(Rule::Serves, "server", failure.to_string()))),
        Err(failure) => Err(failure),
    }
}

/// Where a failed run leaves its notes.
pub fn notes_path(dir: &Path, seed: u64, run: u32) -> PathBuf {
    dir.join(format!("violation-seed{seed}-store{run}.txt"))
}
