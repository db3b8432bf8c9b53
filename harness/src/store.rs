//! One data directory over many lives of its server: load, kill, restart, judge, and on with what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clock::{self, Interval};
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
use crate::verify::loss::{self, Loss};
use crate::verify::{self, Shared, Snapshot};
use crate::volume::{self, Journal, Volume};
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
    /// On a file system of its own, whose power can be cut.
    pub on_volume: bool,
}

impl Plan {
    /// Sixteen clients, nothing special.
    pub fn new(program: Program, mode: Mode) -> Self {
        let (args, env, wrapper) = (Vec::new(), Vec::new(), Vec::new());
        let patience = Duration::from_secs(30);
        let (weight, mix, on_volume) = (Weight::Full, Mix::All, false);
        Self { program, mode, clients: 16, args, env, wrapper, weight, mix, patience, on_volume }
    }
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// The server is killed after this time.
    Kill(Duration),
    /// The server dies at a failpoint, or else is killed after this time.
    Death(Duration),
    /// The power of its disk is cut.
    Cut(PowerCut),
    /// Each client has sent this many commands, or its connection ended.
    Commands(u64),
}

/// A power cut, and what of memory has reached the disk before it.
#[derive(Clone, Copy, Debug)]
pub struct PowerCut {
    /// Load before it.
    pub after: Duration,
    /// What becomes of the journal's last transaction.
    pub journal: Journal,
    /// Some files are written back a little before.
    pub written_back: bool,
    /// How long the server goes on, on a disk that answers with errors only.
    pub dead: Duration,
}

impl PowerCut {
    /// By chance; mostly nothing has reached the disk that was not synced.
    pub fn after(after: Duration, random: &mut Random) -> Self {
        let journal = if random.one_in(6) { Journal::Flushed } else { Journal::Lost };
        let (written_back, dead) = (random.one_in(4), Duration::from_millis(random.between(0, 30)));
        Self { after, journal, written_back, dead }
    }
}

/// What one load did.
#[derive(Clone, Debug, Default)]
pub struct LoadFigures {
    /// Writes answered, before the power was cut if it was.
    pub acked_writes: u64,
    /// The same by what they were about.
    pub acked_by_family: BTreeMap<Family, u64>,
    /// Writes sent and not answered.
    pub unknown_writes: u64,
    /// Replies compared with the oracle.
    pub checked_replies: u64,
    /// From the first command to the end.
    pub took: Duration,
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
    /// Mounted in the room: it has to go before.
    volume: Option<Volume>,
    room: TempDir,
    run: u32,
    ledgers: Vec<Ledger>,
    shared: Shared,
    stamps: Stamps,
    random: Random,
    crash: Instant,
    /// The power cut that is not judged yet.
    cut: Option<Interval>,
    /// What the last power cut has taken.
    loss: Option<Loss>,
}

impl Store {
    /// An empty store. `run` names its values, `random` decides its load.
    pub fn new(plan: Plan, run: u32, random: Random) -> Result<Self> {
        let room = TempDir::with_prefix("harness-")?;
        Self::in_room(plan, run, random, room)
    }

    /// An empty store in a directory of one's own choice.
    pub fn in_room(plan: Plan, run: u32, random: Random, room: TempDir) -> Result<Self> {
        let data = room.path().join("data");
        files::make_dir(&data)?;
        let ledger = |client| Ledger::new(run, client, (workload::database_of(client), workload::away_of(client)));
        let mut ledgers: Vec<Ledger> = (0..plan.clients).map(ledger).collect();
        if plan.on_volume {
            ledgers.iter_mut().for_each(Ledger::keep_past);
        }
        let volume = plan.on_volume.then(|| Volume::new(room.path().join("image"), data, volume::BYTES)).transpose()?;
        let (shared, stamps, crash) = (Shared::default(), Stamps::default(), clock::now());
        Ok(Self { plan, volume, room, run, ledgers, shared, stamps, random, crash, cut: None, loss: None })
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
            Until::Kill(_) | Until::Death(_) | Until::Cut(_) => None,
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
        let (random, volume) = (&mut self.random, self.volume.as_ref());
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
            let end = end_load(server, until, &threads, volume, random);
            // A server that could not be killed must not keep the clients for ever.
            stop.store(true, Ordering::Relaxed);
            let ends: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            Ok((ends, end?, clock::now() - begin))
        })?;
        self.crash = clock::now();
        self.cut = end.cut;
        self.note_ends(ends, end.how == LoadEnd::Early)?;
        if let (Some(volume), Some(_)) = (&self.volume, end.cut) {
            volume.restart()?;
        }
        Ok(LoadFigures { died: end.how == LoadEnd::Died, ..self.figures(took) })
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
            acked_writes: sum(|ledger| ledger.acked_writes) - self.acked_after_cut(),
            unknown_writes: sum(Ledger::unknown_writes),
            checked_replies: sum(|ledger| ledger.checked_replies),
            took,
            died: false,
        }
    }

    /// Writes that were answered on a disk without power.
    fn acked_after_cut(&self) -> u64 {
        let Some(cut) = self.cut else { return 0 };
        let answered = self.ledgers.iter().filter_map(|ledger| ledger.past.as_ref()).flat_map(|past| &past.answered);
        let late = answered.filter(|answered| answered.at.to > cut.from && !answered.is_refused());
        late.filter(|answered| answered.command.op.is_write()).count() as u64
    }

    /// An error reply that nobody expected, if there was one since the last restart. A disk without power may be complained of.
    pub fn refusal(&self) -> Option<&str> {
        let refusals = self.ledgers.iter().filter_map(|ledger| ledger.refusal.as_ref());
        let mut earlier = refusals.filter(|(at, _)| self.cut.is_none_or(|cut| *at < cut.from));
        earlier.next().map(|(_, text)| text.as_str())
    }

    /// What the last power cut has taken, once it was judged.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
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
        let mut broken = Vec::new();
        self.loss = None;
        if let Some(cut) = self.cut.take() {
            match loss::set_back(&mut self.ledgers, &self.shared, &snapshot, (cut, self.plan.mode)) {
                Ok(loss) => {
                    broken.extend(loss.judge(self.plan.mode));
                    self.loss = Some(loss);
                }
                Err(violation) => broken.push(violation),
            }
        }
        broken.extend(verify::judge(&self.ledgers, &self.shared, &snapshot, self.crash));
        if broken.is_empty() {
            verify::adopt(&mut self.ledgers, &mut self.shared, &snapshot);
        }
        Ok(broken)
    }

    /// The same after a life in which files could not be written.
    pub fn judge_with_refusals(&mut self, server: &Server) -> Result<Vec<Violation>> {
        let snapshot = self.look(server)?;
        let broken = verify::judge_with_refusals(&mut self.ledgers, &self.shared, &snapshot, self.crash);
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

    /// Starts the server and cuts the power after `delay`, wherever it is in its recovery.
    pub fn cut_recovery(&self, delay: Duration) -> Result<()> {
        let volume = self.volume.as_ref().ok_or_else(no_volume)?;
        let mut trigger = volume.arm(Journal::Lost)?;
        let mut server = self.launch().spawn()?;
        std::thread::sleep(delay);
        trigger.pull()?;
        server.kill()?;
        drop(trigger);
        volume.restart()
    }

    /// Writes what was noted to a file in `notes`, leaves the directory where it is, to be studied, and says where both are.
    pub fn keep_with_notes(self, notes: &Path, seed: u64, broken: &[Violation]) -> Result<()> {
        let path = notes.join(format!("violation-seed{seed}-store{}.txt", self.run));
        files::write(&path, self.dump(broken).as_bytes())?;
        eprintln!("notes: {}\nstore: {}", path.display(), self.room.keep().display());
        Ok(())
    }

    /// All notes, for a file that a person reads.
    fn dump(&self, broken: &[Violation]) -> String {
        let mut text = String::new();
        for violation in broken {
            let _ = writeln!(text, "{violation}");
        }
        for ledger in &self.ledgers {
            text.push_str(&ledger.dump());
        }
        text
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

/// A load's end, and when the power was cut, if it was.
struct Ended {
    how: LoadEnd,
    cut: Option<Interval>,
}

/// Longest wait for the end of a server of which clients have seen the end.
const DEATH_LIMIT: Duration = Duration::from_secs(5);

/// Time between a write-back and the power cut behind it, at most.
const WRITTEN_BACK_BEFORE: Duration = Duration::from_millis(100);

fn no_volume() -> Failure {
    Failure::Usage("a power cut needs a plan that is on a volume".to_owned())
}

/// Waits for the load's end, cuts the power, or kills.
fn end_load(
    server: &mut Server,
    until: Until,
    threads: &[ScopedJoinHandle<'_, End>],
    volume: Option<&Volume>,
    random: &mut Random,
) -> Result<Ended> {
    let ended = || threads.iter().any(|thread| thread.is_finished());
    let mut trigger = None;
    match until {
        Until::Commands(_) => {
            clock::wait_until(COMMANDS_LIMIT, || threads.iter().all(|thread| thread.is_finished()));
            return Ok(Ended { how: LoadEnd::Planned, cut: None });
        }
        Until::Kill(after) => std::thread::sleep(after),
        Until::Death(after) => {
            clock::wait_until(after, ended);
            let status = if ended() { server.wait_for_end(DEATH_LIMIT)? } else { None };
            if status.is_some_and(process::was_killed) {
                return Ok(Ended { how: LoadEnd::Died, cut: None });
            }
        }
        Until::Cut(cut) => {
            let volume = volume.ok_or_else(no_volume)?;
            let armed = volume.arm(cut.journal)?;
            let before = Duration::from_millis(random.between(0, WRITTEN_BACK_BEFORE.as_millis() as u64));
            std::thread::sleep(cut.after.saturating_sub(before));
            if cut.written_back {
                volume.write_back_some(random);
            }
            std::thread::sleep(before.min(cut.after));
            trigger = Some((armed, cut.dead));
        }
    }
    let early = ended() || server.ended()?.is_some();
    let mut cut = None;
    if let Some((armed, dead)) = &mut trigger {
        cut = Some(armed.pull()?);
        std::thread::sleep(*dead);
    }
    server.kill()?;
    Ok(Ended { how: if early { LoadEnd::Early } else { LoadEnd::Planned }, cut })
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
