//! Load: clients that write or read as fast as they are answered, each on a thread of its own.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::data::{Data, Draw};
use crate::client::{Address, Client};
use crate::clock;
use crate::error::{Failure, Result};
use crate::random::Random;
use crate::wire::Reply;

/// Longest wait for a reply.
const REPLY_LIMIT: Duration = Duration::from_secs(120);
/// A server that refuses writes for so long has no room.
const REFUSED_LIMIT: Duration = Duration::from_secs(30);

/// What the clients do.
#[derive(Clone)]
pub enum Work<'a> {
    /// Writes each key once.
    Fill(Range<u64>),
    /// Reads each key once and compares its value.
    Verify(Range<u64>),
    /// Writes keys as they are drawn, so many in all.
    Overwrite(&'a Draw, u64),
    /// Reads keys as they are drawn, until it is told to stop.
    Read(&'a Draw, &'a AtomicBool),
    /// Writes keys as they are drawn, until it is told to stop.
    Write(&'a Draw, &'a AtomicBool),
}

/// Who does it, to whom.
#[derive(Clone)]
pub struct Load<'a> {
    /// The server.
    pub address: &'a Address,
    /// Keys and values.
    pub data: &'a Data,
    /// Clients at once.
    pub clients: u64,
    /// Commands of each that are under way at once.
    pub pipeline: usize,
    /// Replies are those of a store. Not so from the null server, which knows nothing.
    pub is_store: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Commands that were answered, refused ones not counted.
    pub commands: u64,
    /// Writes that were refused for want of memory, and then done again.
    pub refused: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Done {
    /// Commands in a second.
    pub fn rate(&self) -> f64 {
        self.commands as f64 / self.seconds
    }
}

/// One command: what it does, and its key's number.
#[derive(Clone, Copy)]
struct Command {
    does: Does,
    number: u64,
}

#[derive(Clone, Copy)]
enum Does {
    /// Writes the value of a version.
    Set(u64),
    /// Reads some version.
    Get,
    /// Reads what was filled in.
    Check,
}

impl Load<'_> {
    /// Has the work done. Any wrong reply is a failure.
    pub fn run(&self, work: &Work<'_>) -> Result<Done> {
        let start = clock::now();
        let parts = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..self.clients).map(|index| scope.spawn(move || self.client(work, index))).collect();
            clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect::<Vec<_>>()
        });
        let mut done = Done::default();
        for part in parts {
            let part = part?;
            done.commands += part.commands;
            done.refused += part.refused;
        }
        done.seconds = start.elapsed().as_secs_f64();
        Ok(done)
    }

    fn client(&self, work: &Work<'_>, index: u64) -> Result<Done> {
        let mut client = Client::connect(self.address, REPLY_LIMIT)?;
        let mut random = Random::new(clock::fresh_seed() ^ (index << 32));
        let mut left = match work {
            Work::Fill(range) | Work::Verify(range) => share(range, self.clients, index),
            Work::Overwrite(_, count) => share(&(0..*count), self.clients, index),
            Work::Read(..) | Work::Write(..) => 0..u64::MAX,
        };
        let (mut done, mut batch) = (Done::default(), Vec::new());
        while !matches!(work, Work::Read(_, stop) | Work::Write(_, stop) if stop.load(Ordering::Relaxed)) {
            batch.clear();
            batch.extend(left.by_ref().take(self.pipeline).map(|count| match work {
                Work::Fill(_) => Command { does: Does::Set(0), number: count },
                Work::Verify(_) => Command { does: Does::Check, number: count },
                Work::Overwrite(draw, _) | Work::Write(draw, _) => {
                    Command { does: Does::Set(1 + random.next() % 1024), number: draw.next(&mut random) }
                }
                Work::Read(draw, _) => Command { does: Does::Get, number: draw.next(&mut random) },
            }));
            if batch.is_empty() {
                break;
            }
            self.exchange(&mut client, &mut batch, &mut done)?;
        }
        Ok(done)
    }

    /// Sends commands and reads their replies; refused ones again, until none is.
    fn exchange(&self, client: &mut Client, batch: &mut Vec<Command>, done: &mut Done) -> Result<()> {
        let mut first_refused: Option<Instant> = None;
        while !batch.is_empty() {
            for command in &*batch {
                let key = self.data.key(command.number);
                match command.does {
                    Does::Set(version) => client.queue(&[b"SET", &key, self.data.value(command.number, version)]),
                    Does::Get | Does::Check => client.queue(&[b"GET", &key]),
                }
            }
            client.flush()?;
            let mut refused = Vec::new();
            for &command in &*batch {
                match client.reply()? {
                    Reply::Error(text) if text.starts_with("OOM") => refused.push(command),
                    reply => self.check(command, &reply)?,
                }
            }
            done.commands += (batch.len() - refused.len()) as u64;
            done.refused += refused.len() as u64;
            *batch = refused;
            if !batch.is_empty() {
                if first_refused.get_or_insert_with(clock::now).elapsed() > REFUSED_LIMIT {
                    return Err(Failure::Reply("writes are refused for want of memory all the time".to_owned()));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    fn check(&self, command: Command, reply: &Reply) -> Result<()> {
        let is_right = match (command.does, reply) {
            _ if !self.is_store => true,
            (Does::Set(_), Reply::Simple(text)) => text == "OK",
            (Does::Check, Reply::Bulk(value)) => value == self.data.value(command.number, 0),
            (Does::Get, Reply::Bulk(value)) => value.len() == self.data.value(0, 0).len(),
            _ => false,
        };
        if is_right { Ok(()) } else { Err(Failure::Reply(format!("key {}: {reply:?}", command.number))) }
    }
}

/// The part of a range that one of several clients has.
fn share(range: &Range<u64>, clients: u64, index: u64) -> Range<u64> {
    let length = range.end - range.start;
    range.start + length * index / clients..range.start + length * (index + 1) / clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_whole() {
        for (range, clients) in [(3..17, 4), (0..3, 8), (5..5, 2)] {
            let all: Vec<u64> = (0..clients).flat_map(|index| share(&range, clients, index)).collect();
            assert_eq!(all, range.collect::<Vec<_>>());
        }
    }
}
