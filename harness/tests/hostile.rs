//! Bytes from hell: Redis's error or a closed connection, everybody else is served, memory stays where it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use harness::fault;
use std::time::Duration;

use harness::client::{Address, Client};
use harness::process::{Mode, Server};
use harness::random::Random;
use harness::wire::Reply;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// What the whole run may cost.
const GROWTH_LIMIT: u64 = 64 * MIB;
/// What an idle connection may cost.
const IDLE_LIMIT: u64 = 16 * 1024;

struct Victim {
    server: Server,
    room: TempDir,
    witness: Client,
    count: i64,
    peak: u64,
}

impl Victim {
    fn start() -> Self {
        let room = TempDir::with_prefix("harness-hostile-").unwrap();
        let dir = room.path().join("data");
        harness::files::make_dir(&dir).unwrap();
        let server = common::start(&common::launch(&dir, Mode::EverySec));
        let witness = server.connect().unwrap();
        let mut victim = Self { server, room, witness, count: 0, peak: 0 };
        victim.others_are_served("start");
        victim
    }

    /// An old connection and a new one are answered.
    fn others_are_served(&mut self, after: &str) {
        self.count += 1;
        let resident = self.server.resident_bytes().unwrap();
        if resident > self.peak + MIB {
            fault::say(&format!("hostile: resident {} MiB after {after}", resident / MIB));
        }
        self.peak = self.peak.max(resident);
        let reply = self.witness.call(&[b"INCR", b"witness"]).unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert_eq!(reply, Reply::Int(self.count), "after {after}");
        let fresh = self.server.connect().and_then(|mut client| Ok(client.call(&[b"PING"])?));
        assert_eq!(fresh.unwrap_or_else(|error| panic!("after {after}: {error}")), Reply::Simple("PONG".into()));
    }

    fn attack(&self) -> Client {
        Client::connect(&self.server.address, Duration::from_secs(10)).unwrap()
    }

    /// Sends; gives the first reply, or nothing when the connection was closed.
    fn first_reply(&self, bytes: &[u8]) -> Option<Reply> {
        let mut client = self.attack();
        // A server may close before it has read everything.
        let _ = client.send_raw(bytes);
        client.reply().ok()
    }
}

fn is_protocol_error(reply: &Option<Reply>) -> bool {
    match reply {
        None => true,
        Some(Reply::Error(text)) => text.starts_with("ERR Protocol error"),
        Some(_) => false,
    }
}

fn malformed(victim: &mut Victim) {
    for bytes in [
        &b"*1\r\n$9223372036854775807\r\n"[..],
        b"*1\r\n$-1\r\n",
        b"*1000000000000\r\n",
        b"*9223372036854775808\r\n",
        b"*1\r\n*1\r\n",
        b"*3\r\n$3\r\nSET\r\n:1\r\n",
        b"*1\r\n$536870913\r\n",
    ] {
        let reply = victim.first_reply(bytes);
        let name = String::from_utf8_lossy(bytes).into_owned();
        assert!(is_protocol_error(&reply), "{name:?}: {reply:?}");
        victim.others_are_served(&name);
    }
    let nested = b"*1\r\n".repeat(200_000);
    let reply = victim.first_reply(&nested);
    assert!(is_protocol_error(&reply), "nested arrays: {reply:?}");
    victim.others_are_served("200,000 nested arrays");
    let endless = vec![b'a'; 256 * 1024];
    let reply = victim.first_reply(&endless);
    assert!(is_protocol_error(&reply), "an endless inline command: {reply:?}");
    victim.others_are_served("an endless inline command");
}

/// Claims of size without the bytes: nothing may be allocated for a promise.
fn promises(victim: &mut Victim) -> Vec<Client> {
    let mut held = Vec::new();
    for _ in 0..64 {
        for bytes in [&b"*2\r\n$3\r\nGET\r\n$536870912\r\nx"[..], b"*1048576\r\n$3\r\nDEL\r\n"] {
            let mut client = victim.attack();
            client.send_raw(bytes).unwrap();
            held.push(client);
        }
    }
    victim.others_are_served("promises of 36 GiB");
    held
}

fn noise(victim: &mut Victim) {
    let mut random = Random::new(common::seed());
    for _ in 0..200 {
        let length = random.between(1, 4096) as usize;
        let start = [&b"*"[..], b"$", b"*3\r\n$3\r\nSET\r\n$", b"", b"\r\n\r\n"][random.between(0, 4) as usize];
        let noise = (0..length).map(|_| random.next() as u8);
        let bytes: Vec<u8> = start.iter().copied().chain(noise).collect();
        let mut client = victim.attack();
        let _ = client.send_raw(&bytes);
    }
    victim.others_are_served("random bytes");
}

/// Asks for ever and never reads. Backpressure must stop it; the timeout on our side ends it.
fn never_reads(victim: &mut Victim) {
    let value = vec![b'v'; 1 << 20];
    victim.witness.call(&[b"SET", b"big", &value]).unwrap();
    let mut client = Client::connect(&victim.server.address, Duration::from_secs(2)).unwrap();
    let gets = b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(10_000);
    // 10 GB of replies to 270 KB of requests, then as many small ones as fit.
    let _ = client.send_raw(&gets);
    let pings = b"PING\r\n".repeat(100_000);
    for _ in 0..50 {
        if client.send_raw(&pings).is_err() {
            break;
        }
    }
    victim.others_are_served("a client that never reads");
}

/// On a fresh server, whose memory nobody has stretched before. Ten thousand with `HARNESS_CONNECTIONS=10000`, where
/// the limits on open files allow it.
#[test]
fn an_idle_connection_costs_little() {
    let _turn = common::alone();
    let mut victim = Victim::start();
    let wanted = std::env::var("HARNESS_CONNECTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000u64);
    // Room for the witness and the newcomer beside them.
    let room = (wanted + 16).max(10_000).to_string();
    victim.witness.call(&[b"CONFIG", b"SET", b"maxclients", room.as_bytes()]).unwrap();
    let before = victim.server.resident_bytes().unwrap();
    let mut held = Vec::new();
    for _ in 0..wanted {
        match std::net::TcpStream::connect(tcp(&victim.server)) {
            Ok(stream) => held.push(stream),
            Err(error) => {
                fault::say(&format!("{} connections, then: {error}", held.len()));
                break;
            }
        }
    }
    victim.others_are_served("many connections");
    let after = victim.server.resident_bytes().unwrap();
    let each = after.saturating_sub(before) / held.len().max(1) as u64;
    fault::say(&format!("{} idle connections, {each} bytes each", held.len()));
    assert!(held.len() as u64 >= wanted.min(500), "only {} connections", held.len());
    assert!(each <= IDLE_LIMIT, "an idle connection costs {each} bytes");
    drop(held);
    victim.others_are_served("many connections closed");
}

fn tcp(server: &Server) -> std::net::SocketAddr {
    match &server.address {
        Address::Tcp(address) => *address,
        Address::Unix(_) => panic!("a TCP server"),
    }
}

#[test]
fn hostile_clients_harm_nobody() {
    let _turn = common::alone();
    let mut victim = Victim::start();
    let before = victim.server.resident_bytes().unwrap();
    malformed(&mut victim);
    let held = promises(&mut victim);
    noise(&mut victim);
    never_reads(&mut victim);
    drop(held);
    victim.others_are_served("all of it");
    let growth = victim.peak.saturating_sub(before);
    fault::say(&format!("hostile: resident {} MiB, at most {} MiB", before / MIB, victim.peak / MIB));
    assert!(growth <= GROWTH_LIMIT, "grew by {} MiB", growth / MIB);
    let stop = victim.server.terminate(common::millis(20_000)).unwrap();
    assert!(stop.is_some_and(|status| status.success()), "{stop:?} in {}", victim.room.path().display());
}
