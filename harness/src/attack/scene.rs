//! What an attack sees: where the server is, how much of everything is wanted, and where it notes what it came to.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ending;
use super::row::Figure;
use super::watch::Halt;
use crate::client::{Address, Client};
use crate::error::{Failure, Result};
use crate::random::Random;
use crate::wire::{self, Reply};

/// Longest wait of an attacker to be connected, and for its bytes to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for the reply to a request that may take its time.
const REPLY_LIMIT: Duration = Duration::from_secs(120);
/// The database that attackers fill; what must stay is in the first.
const DATABASE: &[u8] = b"1";

/// A server under attack.
pub struct Scene {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// It stores what it is given; the null server does not.
    pub is_store: bool,
    /// Sizes for a test of seconds.
    pub small: bool,
    /// Seeds what is left to chance.
    pub seed: u64,
    /// Whether the attack is to end.
    pub halt: Arc<Halt>,
    notes: Mutex<Notes>,
}

/// What an attack has noted.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// How attackers were ended.
    pub ends: BTreeMap<String, u64>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// Bytes that were stored for good: they may be there.
    pub stored: u64,
}

/// An attack that needs nothing to be there.
pub fn nothing(_: &Scene) -> Result<()> {
    Ok(())
}

impl Scene {
    /// Where nothing was noted yet.
    pub fn new(address: SocketAddr, pid: u32, (is_store, small, seed): (bool, bool, u64), halt: Arc<Halt>) -> Self {
        Self { address, pid, is_store, small, seed, halt, notes: Mutex::default() }
    }

    /// A number, or the one for a test.
    pub fn amount(&self, full: u64, small: u64) -> u64 {
        if self.small { small } else { full }
    }

    /// A time, likewise.
    pub fn time(&self, full_ms: u64, small_ms: u64) -> Duration {
        Duration::from_millis(self.amount(full_ms, small_ms))
    }

    /// Chance.
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// Whether the attack is to end.
    pub fn is_over(&self) -> bool {
        self.halt.is_over()
    }

    /// A connection for bytes of all kinds.
    pub fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A client that speaks RESP, in the database of the attackers.
    pub fn client(&self) -> Result<Client> {
        let mut client = self.plain_client()?;
        client.call(&[b"SELECT", DATABASE])?;
        Ok(client)
    }

    /// The same in the first database, or without a password.
    pub fn plain_client(&self) -> Result<Client> {
        Ok(Client::connect(&Address::Tcp(self.address), REPLY_LIMIT)?)
    }

    /// Sends bytes on a connection of its own, waits for what comes of it, and notes it.
    pub fn strike(&self, bytes: &[u8], patience: Duration) {
        let end = match self.connect() {
            Ok(mut stream) => {
                // A server may close before it has taken everything.
                let _ = stream.write_all(bytes);
                return self.hear_end(&mut stream, patience);
            }
            Err(error) => format!("not accepted: {error}"),
        };
        self.ended(end);
    }

    /// Notes how the attacker of a connection was ended, if it was. The null server ends nobody and is not waited for.
    pub fn hear_end(&self, stream: &mut TcpStream, patience: Duration) {
        let patience = if self.is_store { patience } else { patience.min(Duration::from_millis(2)) };
        self.ended(ending::of(stream, patience));
    }

    /// One request, whose reply is noted when it is an error; nothing when the connection has ended.
    pub fn ask(&self, client: &mut Client, words: &[&[u8]]) -> Option<Reply> {
        match client.call(words) {
            Ok(Reply::Error(text)) => {
                self.ended(format!("{}; held", text.chars().take(70).collect::<String>()));
                Some(Reply::Error(text))
            }
            Ok(reply) => Some(reply),
            Err(error) => {
                self.ended(format!("closed: {error}"));
                None
            }
        }
    }

    /// A setting changed, and what it was before.
    pub fn configure(&self, name: &str, value: &str) -> Result<()> {
        if !self.is_store {
            return Ok(());
        }
        match self.plain_client()?.call(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()])? {
            Reply::Error(text) => Err(Failure::Reply(text)),
            _ => Ok(()),
        }
    }

    /// A number of INFO; `None` where the server does not tell.
    pub fn info(&self, name: &str) -> Option<f64> {
        let mut client = self.plain_client().ok().filter(|_| self.is_store)?;
        let Ok(Reply::Bulk(text)) = client.call(&[b"INFO", b"everything"]) else { return None };
        let text = String::from_utf8_lossy(&text);
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    }

    /// An attacker was ended like this.
    pub fn ended(&self, how: impl Into<String>) {
        self.ended_times(how, 1);
    }

    /// So many were.
    pub fn ended_times(&self, how: impl Into<String>, times: u64) {
        if times > 0 {
            *self.lock().ends.entry(how.into()).or_default() += times;
        }
    }

    /// A figure that is only told.
    pub fn figure(&self, name: &str, value: f64) {
        self.figure_within(name, value, f64::NEG_INFINITY, f64::INFINITY);
    }

    /// A figure that must be within a range, if the server is one that stores.
    pub fn figure_within(&self, name: &str, value: f64, least: f64, most: f64) {
        let range = if self.is_store { (least, most) } else { (f64::NEG_INFINITY, f64::INFINITY) };
        self.lock().figures.push(Figure { name: name.to_owned(), value, range });
    }

    /// Bytes that the server was asked to store and has stored.
    pub fn stored(&self, bytes: u64) {
        self.lock().stored += bytes;
    }

    /// What was noted.
    pub fn into_notes(self) -> Notes {
        self.notes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request as its bytes.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(&mut bytes, words);
    bytes
}
