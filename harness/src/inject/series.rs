//! One case, one fault: the first of the calls is hurt, the second, the third … until a life does not come to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::attached::Attached;
use super::case::{self, Case};
use super::ending::{self, Facts};
use super::fault::{self, Effect, Fault, Since};
use super::trace::{self, Call};
use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::process::{self, Mode, Program, Server};
use crate::random::Random;
use crate::rules::{Rule, Violation};
use crate::store::{Store, Until};
use crate::wire::Reply;

/// Commands of each client before the crash that leaves a tail.
const COMMANDS_BEFORE: u64 = 6;
/// Longest wait for a server that has to end by itself, or to take writes again.
const WELL_LIMIT: Duration = Duration::from_secs(5);
/// Lives that do not come to the call before there counts as none left: threads share the work differently each time.
const MISSES: u64 = 2;

/// Lives before a fresh store: each leaves segments behind, which the next has to open and remove.
const LIVES_PER_STORE: usize = 8;

/// What to do.
#[derive(Clone, Debug)]
pub struct Series {
    /// The server.
    pub program: Program,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// What is written.
    pub case: Case,
    /// What happens.
    pub fault: Fault,
    /// Decides what clients write.
    pub seed: u64,
    /// The farthest call to hurt.
    pub most: u64,
    /// From one call to the next that is hurt, beyond the eighth.
    pub stride: u64,
    /// Where notes of a broken rule go; without it they are not kept.
    pub notes: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Lives with a fault armed.
    pub lives: u64,
    /// Of those: in which it came to pass.
    pub hits: u64,
    /// The farthest call that was hurt.
    pub farthest: u64,
    /// Whether there was no farther one.
    pub is_exhausted: bool,
    /// Hurt calls by the kind of file.
    pub places: BTreeMap<String, u64>,
    /// Answered writes that were judged.
    pub acked_writes: u64,
    /// Error replies and connections that ended: lives in which there were any.
    pub refusing_lives: u64,
    /// Broken rules of the life that stopped it.
    pub broken: Vec<Violation>,
}

impl Found {
    /// Adds another series.
    pub fn add(&mut self, other: Found) {
        self.lives += other.lives;
        self.hits += other.hits;
        self.farthest = self.farthest.max(other.farthest);
        self.is_exhausted &= other.is_exhausted;
        for (place, count) in other.places {
            *self.places.entry(place).or_default() += count;
        }
        self.acked_writes += other.acked_writes;
        self.refusing_lives += other.refusing_lives;
        self.broken.extend(other.broken);
    }
}

/// Which call is hurt next, and how many lives in a row have not come to theirs.
struct Next {
    nth: u64,
    misses: u64,
}

/// One life.
struct Life {
    hit: bool,
    broken: Vec<Violation>,
}

impl Series {
    /// Goes on until the call is not reached, or a rule is broken.
    pub fn run(&self) -> Result<Found> {
        let mut random = Random::new(self.seed);
        let mut found = Found::default();
        let mut next = Next { nth: 1, misses: 0 };
        let mut run = 0;
        while next.nth <= self.most && next.misses < MISSES && found.broken.is_empty() {
            run += 1;
            self.run_store(run, random.fork(), &mut next, &mut found)?;
        }
        found.is_exhausted = next.misses == MISSES;
        Ok(found)
    }

    /// Some lives of one store.
    fn run_store(&self, run: u32, random: Random, next: &mut Next, found: &mut Found) -> Result<()> {
        let room = TempDir::with_prefix("harness-inject-")?;
        let path = room.path().to_path_buf();
        let mut plan = self.case.plan(self.program.clone(), &path)?;
        plan.env.extend(self.env.iter().cloned());
        let mut store = Store::in_room(plan, run, random, room)?;
        for _ in 0..LIVES_PER_STORE {
            if next.nth > self.most || next.misses == MISSES || !found.broken.is_empty() {
                break;
            }
            let life = self.round(&mut store, &path, next.nth, found)?;
            found.lives += 1;
            found.broken = life.broken;
            if life.hit {
                (found.hits, found.farthest, next.misses) = (found.hits + 1, next.nth, 0);
            } else {
                next.misses += 1;
            }
            next.nth += if next.nth < 8 || !life.hit { 1 } else { self.stride };
        }
        if found.broken.is_empty() {
            found.broken = self.start_and_judge(&mut store, &path)?.1;
        }
        if let (Some(notes), false) = (&self.notes, found.broken.is_empty()) {
            store.keep_with_notes(notes, self.seed, &found.broken)?;
        }
        Ok(())
    }

    /// A crash that leaves a tail, and a life with the `nth` call hurt; what that leaves is judged when the next begins.
    fn round(&self, store: &mut Store, room: &Path, nth: u64, found: &mut Found) -> Result<Life> {
        let (server, broken) = self.start_and_judge(store, room)?;
        let Some(mut server) = server.filter(|_| broken.is_empty()) else { return Ok(Life { hit: false, broken }) };
        let figures = store.load(&mut server, Until::Commands(COMMANDS_BEFORE))?;
        found.acked_writes += figures.acked_writes;
        server.kill()?;
        self.hurt_life(store, room, nth, found)
    }

    /// A life without a fault: everything must be as it was left.
    fn start_and_judge(&self, store: &mut Store, room: &Path) -> Result<(Option<Server>, Vec<Violation>)> {
        let server = match store.start()? {
            Ok(server) => server,
            Err(violation) => return Ok((None, vec![violation])),
        };
        let mut broken = match self.fault.effect {
            Effect::Kill => store.judge(&server)?,
            Effect::Error(_) => store.judge_with_refusals(&server)?,
        };
        broken.extend(self.config_is_whole(room)?);
        Ok((Some(server), broken))
    }

    fn config_is_whole(&self, room: &Path) -> Result<Option<Violation>> {
        if !self.case.has_config() {
            return Ok(None);
        }
        let text = files::read(&case::config_file(room))?;
        let whole = [&b"# ours\ntimeout 76\n"[..], b"# ours\ntimeout 77\n", b"# ours\ntimeout 78\n"];
        let is_whole = whole.iter().any(|whole| text.starts_with(whole));
        let detail = || format!("the file of settings is {:?}", String::from_utf8_lossy(&text));
        Ok((!is_whole).then(|| Violation::new(Rule::NoTear, "kvd.conf", detail())))
    }

    fn hurt_life(&self, store: &mut Store, room: &Path, nth: u64, found: &mut Found) -> Result<Life> {
        let trace = room.join("trace");
        files::write(&trace, b"")?;
        let mut launch = store.launch();
        if self.fault.since == Since::Start {
            launch.wrapper = self.fault.wrapper(nth, &trace);
        }
        let mut server = launch.spawn()?;
        let served = match server.wait_until_serving() {
            Ok(()) => true,
            Err(Failure::Start { .. }) => false,
            Err(failure) => return Err(failure),
        };
        let mut broken = Vec::new();
        let (mut before, mut refusal, mut attached) = (Vec::new(), None, None);
        if served {
            // That it dies or refuses while it is looked at is part of the experiment; that it shows what is not so is not.
            broken.extend(store.judge(&server).unwrap_or_default());
            if self.fault.since == Since::Serving {
                attached = Some(Attached::begin(&server, fault::TRACED, &self.fault.injection(nth), &[], &trace)?);
            }
            let figures = store.load(&mut server, Until::Commands(self.case.commands))?;
            found.acked_writes += figures.acked_writes;
            found.refusing_lives += u64::from(store.refusal().is_some());
            self.case.ask(&server);
            before = trace::read(&trace)?;
            if before.iter().any(|call| call.is_injected) {
                refusal = self.refusal(&server);
            }
        }
        if self.case.mode == Mode::Always && before.iter().any(|call| ending::fails_log(call, self.fault)) {
            server.wait_for_end(WELL_LIMIT)?;
        }
        let ended_early = server.ended()?.is_some();
        let status = server.terminate(Duration::from_secs(30))?;
        let calls = if served || attached.is_none() { trace::of_ended(&trace, server.pid())? } else { Vec::new() };
        drop(attached);
        let hit = self.hurt_places(&calls, status.is_some_and(process::was_killed), found);
        let facts = Facts {
            mode: self.case.mode,
            fault: self.fault,
            calls,
            status,
            served,
            ended_early,
            calls_before_end: before.len(),
            refusal,
            output: server.output(),
        };
        // Somebody else may have taken the port: that is no end to judge.
        if served || !facts.output.contains("in use") {
            broken.extend(ending::judge(&facts));
        }
        Ok(Life { hit, broken })
    }

    /// What it says to a write; nothing if it takes it. Where the fault was one that passes, it has some seconds to get over it.
    fn refusal(&self, server: &Server) -> Option<String> {
        let limit = if self.fault.passes() { WELL_LIMIT } else { Duration::ZERO };
        let mut told = None;
        clock::wait_until(limit, || {
            // A write that changes nothing: there is no such key.
            let reply = server.connect().and_then(|mut client| Ok(client.call(&[b"SET", b"none", b"1", b"XX"])?));
            told = match reply {
                Ok(Reply::Nil) => None,
                Ok(reply) => Some(format!("{reply:?}")),
                Err(failure) => Some(failure.to_string()),
            };
            told.is_none()
        });
        told
    }

    /// Notes which calls were hurt. Whether any was.
    fn hurt_places(&self, calls: &[Call], was_killed: bool, found: &mut Found) -> bool {
        let is_meant = |call: &&Call| self.fault.calls.split(',').any(|name| name == call.name);
        let hurt: Vec<&Call> = match self.fault.effect {
            Effect::Kill if was_killed => {
                calls.iter().filter(is_meant).rfind(|call| call.result.is_none()).into_iter().collect()
            }
            Effect::Kill => Vec::new(),
            Effect::Error(_) => calls.iter().filter(|call| call.is_injected).collect(),
        };
        for call in &hurt {
            *found.places.entry(kind_of(&call.file)).or_default() += 1;
        }
        was_killed || !hurt.is_empty()
    }
}

/// `segment`, `blob`, `manifest` …: what a file of the store is, by its name.
fn kind_of(file: &str) -> String {
    let kind = match file {
        "dump.kv" | "dump.kv.tmp" => "manifest",
        "data" => "directory",
        file if file.starts_with("kvd.conf") => "settings",
        file => match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("log") => "segment",
            Some("blob") => "large value",
            Some("ckpt") => "checkpoint",
            Some("commit") => "commit file",
            Some("lock") => "lock",
            _ => "other",
        },
    };
    kind.to_owned()
}
