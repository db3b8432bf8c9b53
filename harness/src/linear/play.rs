//! Plays a history: clients against a real server, which is killed in their midst.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::history::{Answer, Contents, History, Operation, Request, Stretch, Value, show};
use super::script::{self, Script};
use crate::client::{Address, Client};
use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::process::{Launch, Mode, Program, Server};
use crate::random::Random;
use crate::store;
use crate::wire::Reply;

/// Longest wait for one reply: who waits so long has been forgotten.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest time for a stretch.
const LONGEST_STRETCH: Duration = Duration::from_secs(300);

/// What is played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which server.
    pub program: Program,
    /// When it answers writes.
    pub mode: Mode,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// How many clients ask at once.
    pub clients: u16,
    /// How many requests each of them has.
    pub requests: u64,
    /// After how many of these it waits for the others: the judge's work grows faster than a stretch's length.
    pub stretch: u64,
    /// How often the server is killed.
    pub kills: u64,
}

/// One client: what it still has to ask.
struct Player {
    number: u16,
    script: Script,
    left: u64,
}

/// What the clients of one stretch have in common.
struct Scene<'a> {
    address: Address,
    begin: Instant,
    /// How many requests each of them has for now.
    requests: u64,
    answered: &'a AtomicU64,
    is_killed: AtomicBool,
}

/// Plays a history from an empty store on. The seed decides what each client asks, and after how many answers the server is
/// killed; what meets what is left to chance.
pub fn play(plan: &Plan, seed: u64) -> Result<History> {
    let room = TempDir::with_prefix("linear-")?;
    let mut history = History { seed, mode: plan.mode, stretches: Vec::new(), fault: None };
    history.fault = play_in(plan, &launch(plan, &room)?, &mut history)?;
    Ok(history)
}

/// Why it ended too early, if it did.
fn play_in(plan: &Plan, launch: &Launch, history: &mut History) -> Result<Option<String>> {
    let mut random = Random::new(history.seed);
    let player = |number| Player { number, script: Script::new(number, random.fork()), left: plan.requests };
    let mut players: Vec<Player> = (0..plan.clients).map(player).collect();
    let all = u64::from(plan.clients) * plan.requests;
    let kills: BTreeSet<u64> = (0..plan.kills).map(|_| random.between(1, all.max(2) - 1)).collect();
    let mut kills = kills.into_iter().peekable();

    let (begin, answered) = (clock::now(), AtomicU64::new(0));
    let mut server = match store::started(launch)? {
        Ok(server) => server,
        Err(violation) => return Ok(Some(violation.to_string())),
    };
    while players.iter().any(|player| player.left > 0) {
        let (address, is_killed) = (server.address.clone(), AtomicBool::new(false));
        let scene = Scene { address, begin, requests: plan.stretch, answered: &answered, is_killed };
        let kill_at = kills.peek().copied().unwrap_or(u64::MAX);
        let Ended { operations, fault } = ask_at_once(&mut players, &mut server, &scene, kill_at)?;
        let was_killed = scene.is_killed.into_inner();
        history.stretches.push(Stretch { operations, was_killed, recovery_kills: 0, look: Contents::new() });
        if fault.is_some() {
            return Ok(fault);
        }
        let stretch = history.stretches.last_mut().expect("one was added");
        if was_killed {
            kills.next();
            if random.one_in(4) {
                launch.spawn_and_kill(Duration::from_micros(random.between(0, 20_000)))?;
                stretch.recovery_kills += 1;
            }
            server = match store::started(launch)? {
                Ok(server) => server,
                Err(violation) => return Ok(Some(violation.to_string())),
            };
        }
        stretch.look = look(&server)?;
    }
    Ok(None)
}

fn launch(plan: &Plan, room: &TempDir) -> Result<Launch> {
    let dir = room.path().join("data");
    files::make_dir(&dir)?;
    Ok(Launch {
        program: plan.program.clone(),
        dir,
        log: room.path().join("server.log"),
        mode: plan.mode,
        args: plan.args.clone(),
        env: plan.env.clone(),
        wrapper: Vec::new(),
    })
}

/// What came of one client's stretch, or of all.
struct Ended {
    operations: Vec<Operation>,
    fault: Option<String>,
}

/// All players ask until each has had its turn, or the server is killed after so many answers.
fn ask_at_once(players: &mut [Player], server: &mut Server, scene: &Scene<'_>, kill_at: u64) -> Result<Ended> {
    let ends = std::thread::scope(|scope| -> Result<_> {
        let threads: Vec<_> = players.iter_mut().map(|player| scope.spawn(move || player.ask(scene))).collect();
        let ended = |thread: &ScopedJoinHandle<'_, _>| thread.is_finished();
        let end = clock::now() + LONGEST_STRETCH;
        while !threads.iter().all(ended) {
            if scene.answered.load(Ordering::Relaxed) >= kill_at || clock::now() > end {
                scene.is_killed.store(true, Ordering::SeqCst);
                server.kill()?;
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(threads.into_iter().map(ScopedJoinHandle::join).collect::<Vec<_>>())
    })?;
    let mut all = Ended { operations: Vec::new(), fault: None };
    for end in ends {
        let end = end.map_err(|_| Failure::Usage("a client thread panicked".to_owned()))??;
        all.operations.extend(end.operations);
        all.fault = all.fault.or(end.fault);
    }
    Ok(all)
}

impl Player {
    fn ask(&mut self, scene: &Scene<'_>) -> Result<Ended> {
        let mut ended = Ended { operations: Vec::new(), fault: None };
        let mut client = match Client::connect(&scene.address, PATIENCE) {
            Ok(client) => client,
            Err(_) if scene.is_killed.load(Ordering::SeqCst) => return Ok(ended),
            Err(error) => return Err(error.into()),
        };
        for _ in 0..scene.requests.min(self.left) {
            let request = self.script.next_request();
            self.left -= 1;
            let invoked_ns = since(scene.begin);
            let reply = send(&mut client, &request);
            let answer =
                reply.as_ref().ok().map(|reply| Answer { returned_ns: since(scene.begin), reply: show(reply) });
            ended.operations.push(Operation { client: self.number, invoked_ns, request, answer });
            if let Err(error) = reply {
                if !scene.is_killed.load(Ordering::SeqCst) {
                    ended.fault = Some(format!("client {}: no answer from a server that lives: {error}", self.number));
                }
                break;
            }
            scene.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(ended)
    }
}

fn since(begin: Instant) -> u64 {
    (clock::now() - begin).as_nanos() as u64
}

/// Sends a request and reads its reply; of a transaction that of EXEC.
fn send(client: &mut Client, request: &Request) -> std::io::Result<Reply> {
    match request {
        Request::One(words) => client.call(&bytes(words)),
        Request::Exec(commands) => {
            let around = |word: &'static [u8]| std::iter::once(vec![word]);
            let queued = commands.iter().map(|words| bytes(words));
            let replies = client.pipeline(around(b"MULTI").chain(queued).chain(around(b"EXEC")))?;
            replies.into_iter().next_back().ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn bytes(words: &[String]) -> Vec<&[u8]> {
    words.iter().map(String::as_bytes).collect()
}

/// All that is there. Nobody else may be asking.
fn look(server: &Server) -> Result<Contents> {
    let mut client = server.connect()?;
    let mut contents = Contents::new();
    for key in script::keys() {
        let key_bytes = key.as_bytes();
        let value = match client.call(&[b"GET", key_bytes])? {
            Reply::Bulk(bytes) => Value::Text(text(bytes)),
            Reply::Nil => continue,
            _ => match client.call(&[b"LRANGE", key_bytes, b"0", b"-1"])? {
                Reply::Array(elements) => Value::List(elements.into_iter().map(element).collect()),
                other => return Err(Failure::Reply(format!("{key} is read as {other:?}"))),
            },
        };
        contents.insert(key.to_owned(), value);
    }
    Ok(contents)
}

fn element(reply: Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => text(bytes),
        other => show(&other),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
