//! A client that writes one key after the other and remembers what it was told: as much of a ledger as any server needs.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::clock;
use crate::error::Result;
use crate::process::Server;
use crate::wire::Reply;

/// Longest wait for a reply: a server may stall its writers, and go on.
const PATIENCE: Duration = Duration::from_secs(6);

/// What was written.
#[derive(Debug, Default)]
pub struct Notes {
    /// Keys with an OK, and when that was there.
    pub acked: Vec<(u64, Instant)>,
    /// Keys with an error reply.
    pub refused: Vec<u64>,
    /// The last of these errors.
    pub error: Option<String>,
    next: u64,
}

/// What a restart shows.
#[derive(Debug, Default)]
pub struct Seen {
    /// Answered writes that are gone.
    pub lost: Vec<u64>,
    /// Refused writes that are there.
    pub refused_there: u64,
}

impl Notes {
    /// Writes for some time, or until told to stop, or the server has no more connections to give.
    pub fn write(&mut self, server: &mut Server, time: Duration, mut stop: impl FnMut(&Notes) -> bool) -> Result<()> {
        let end = clock::now() + time;
        let mut client = None;
        while clock::now() < end && !stop(self) && server.ended()?.is_none() {
            let Some(connection) = client.as_mut() else {
                client = Client::connect(&server.address, PATIENCE).ok();
                if client.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                continue;
            };
            let key = self.next;
            self.next += 1;
            match connection.call(&[b"SET", name(key).as_bytes(), value(key).as_bytes()]) {
                Ok(Reply::Error(text)) => {
                    self.refused.push(key);
                    self.error = Some(text);
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(_) => self.acked.push((key, clock::now())),
                Err(_) => client = None,
            }
        }
        Ok(())
    }

    /// Writes answered after this moment.
    pub fn acked_after(&self, moment: Instant) -> usize {
        self.acked.iter().filter(|(_, at)| *at > moment).count()
    }

    /// Looks for everything that was written.
    pub fn look(&self, server: &Server) -> Result<Seen> {
        let mut client = server.connect()?;
        let mut seen = Seen::default();
        for (key, _) in &self.acked {
            if client.call(&[b"GET", name(*key).as_bytes()])? != Reply::Bulk(value(*key).into_bytes()) {
                seen.lost.push(*key);
            }
        }
        for key in &self.refused {
            seen.refused_there += u64::from(client.call(&[b"GET", name(*key).as_bytes()])? != Reply::Nil);
        }
        Ok(seen)
    }

    /// How long before `moment` the first of these writes was answered, in milliseconds.
    pub fn age_ms(&self, keys: &[u64], moment: Instant) -> u128 {
        let answered = self.acked.iter().filter(|(key, _)| keys.contains(key)).map(|(_, at)| *at);
        answered.min().map_or(0, |first| moment.saturating_duration_since(first).as_millis())
    }
}

fn name(key: u64) -> String {
    format!("key{key}")
}

fn value(key: u64) -> String {
    format!("the value of key {key}, with something behind it to make it longer")
}
