//! A probe: one client that asks at times that were fixed before, so that a server that pauses is charged for every request
//! that should have been sent meanwhile (an open loop).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::data::{Data, Draw};
use crate::client::{Address, Client};
use crate::clock;
use crate::error::{Failure, Result};
use crate::random::Random;
use crate::wire::Reply;

/// Time between two requests.
pub const PERIOD: Duration = Duration::from_millis(1);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// GET of a key that is drawn.
    Get,
    /// SET of one.
    Set,
}

/// Times from when a request should have been sent to its reply, in microseconds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Sorts them.
    pub fn new(mut unsorted_us: Vec<u32>) -> Self {
        unsorted_us.sort_unstable();
        Self(unsorted_us)
    }

    /// Milliseconds that so much of them, of 1, do not exceed; 0 of none.
    pub fn share_ms(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.max(1) - 1).map_or(0.0, |&us| f64::from(us) / 1000.0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds of the longest.
    pub fn longest_ms(&self) -> f64 {
        self.share_ms(1.0)
    }
}

/// A probe that has begun; it ends when `stop` is set.
pub type Running<'scope> = ScopedJoinHandle<'scope, Result<Latencies>>;

/// Begins one.
pub fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    address: &'env Address,
    (data, draw, ask): (&'env Data, &'env Draw, Ask),
    stop: &'env AtomicBool,
) -> Running<'scope> {
    scope.spawn(move || run(address, data, draw, ask, stop))
}

/// Its result.
pub fn finish(running: Running<'_>) -> Result<Latencies> {
    running.join().expect("a probe does not panic")
}

/// Sends each request when its time has come, whatever has been answered by then: requests that waited for each other's replies
/// would wait for more than one pause, and for ever if a reply took longer than a period.
fn run(address: &Address, data: &Data, draw: &Draw, ask: Ask, stop: &AtomicBool) -> Result<Latencies> {
    let mut client = Client::connect(address, Duration::from_secs(60))?;
    let replies = client.again()?;
    let (sent, expected) = mpsc::channel();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read(replies, &expected));
        let mut random = Random::new(clock::fresh_seed());
        let mut intended = clock::now();
        while !stop.load(Ordering::Relaxed) {
            intended += PERIOD;
            std::thread::sleep(intended.saturating_duration_since(clock::now()));
            let number = draw.next(&mut random);
            let key = data.key(number);
            match ask {
                Ask::Get => client.queue(&[b"GET", &key]),
                Ask::Set => client.queue(&[b"SET", &key, data.value(number, 1)]),
            }
            client.flush()?;
            if sent.send(intended).is_err() {
                break; // The reader has failed, and says why.
            }
        }
        drop(sent);
        reader.join().expect("a reader does not panic")
    })
}

/// Reads one reply for each request that was sent.
fn read(mut replies: Client, expected: &mpsc::Receiver<Instant>) -> Result<Latencies> {
    let mut took_us = Vec::new();
    for intended in expected {
        let reply = replies.reply()?;
        took_us.push(u32::try_from(intended.elapsed().as_micros()).unwrap_or(u32::MAX));
        if let Reply::Error(text) = reply
            && !text.starts_with("OOM")
        {
            return Err(Failure::Reply(text));
        }
    }
    Ok(Latencies::new(took_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_hundred() {
        let of = Latencies::new((1..=100).rev().map(|ms| ms * 1000).collect());
        assert_eq!([of.share_ms(0.5), of.share_ms(0.99), of.longest_ms()], [50.0, 99.0, 100.0]);
        assert_eq!(Latencies::default().longest_ms(), 0.0);
    }
}
