//! `restart`: from `kill -9` and a start on the same files to the first answer, the first value and all of a thousand values.

use std::time::{Duration, Instant};

use super::bench::{Bench, Peer, Running};
use super::data::Data;
use super::disk;
use super::machine;
use crate::client::Client;
use crate::clock;
use crate::error::{Failure, Result};
use crate::random::Random;
use crate::wire::Reply;

/// Values that are asked for.
const ASKED: usize = 1000;
/// One key in so many is written again before a restart.
const REWRITTEN: u64 = 20;
/// Longest wait for one.
const LIMIT: Duration = Duration::from_secs(900);
/// Time between two tries.
const RETRY: Duration = Duration::from_millis(1);

pub fn run(bench: &mut Bench) -> Result<()> {
    let count = bench.size(10_000_000);
    let data = Data::new(16, 1024);
    for peer in [Peer::Kvd, Peer::Redis] {
        let Some(mut server) = bench.start(peer, &[])? else { continue };
        bench.figures.with(format!("{count} keys of 16 + 1024 random bytes, everysec"));
        let done = server.fill(&data, count)?;
        bench.figures.add(server.name(), "writes", done.rate(), "/s");
        for (name, is_cold) in [("warm", false), ("cold: the kernel has forgotten the files", true)] {
            bench.figures.with(format!(
                "{count} keys of 16 + 1024 random bytes, one in {REWRITTEN} of them written again and synced, kill -9, {ASKED} GETs of \
                 random keys, {name}"
            ));
            one(bench, &mut server, &data, count, is_cold)?;
        }
    }
    Ok(())
}

fn one(bench: &mut Bench, server: &mut Running, data: &Data, count: u64, is_cold: bool) -> Result<()> {
    // The end of the log is alike before each restart.
    server.fill(data, count / REWRITTEN)?;
    server.rest();
    let is_kvd = server.peer == Peer::Kvd;
    let log_mb = if is_kvd { server.info("log_bytes")? / 1e6 } else { 0.0 };
    server.kill(is_cold)?;
    let cached = disk::cached_percent(server.dir())?;
    let start = clock::now();
    server.start_again()?;
    let mut asking = Asking { server, start, client: None };
    let first_ping = asking.until(&[b"PING"], |reply| *reply == Reply::Simple("PONG".to_owned()))?;
    let mut random = Random::new(clock::fresh_seed());
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let number = random.next() % count;
        let value = data.value(number, 0);
        times.push(
            asking
                .until(&[b"GET", &data.key(number)], |reply| matches!(reply, Reply::Bulk(found) if found == value))?,
        );
    }
    let (name, figures) = (server.name(), &mut bench.figures);
    figures.add(name, "of its files, in the kernel's cache before", cached, "%");
    figures.add(name, "to the first answer to PING", first_ping, "s");
    figures.add_with_target(name, "to the first right GET", times[0], "s", (count == 10_000_000).then_some("< 3"));
    figures.add(name, "to all of them", times[ASKED - 1], "s");
    let cpu = machine::cpu_seconds(server.server.pid())?;
    figures.add(name, "processor time until then", cpu, "s");
    if is_kvd {
        figures.add(name, "log behind its checkpoint", server.info("recovery_replayed_bytes")? / 1e6, "MB");
        figures.add(name, "recovery, as INFO tells", server.info("recovery_ms")? / 1000.0, "s");
        figures.add_with_target(name, "log a second of processor time", log_mb / cpu, "MB/s", Some("≥ 300"));
    }
    Ok(())
}

/// Somebody who asks again and again until there is an answer.
struct Asking<'a> {
    server: &'a mut Running,
    start: Instant,
    client: Option<Client>,
}

impl Asking<'_> {
    /// Asks until the reply is right; the seconds since the start. While the server loads it says so, or refuses
    /// connections; any other reply is a failure.
    fn until(&mut self, command: &[&[u8]], is_right: impl Fn(&Reply) -> bool) -> Result<f64> {
        loop {
            let reply = self.try_once(command);
            let seconds = self.start.elapsed();
            match reply {
                Some(reply) if is_right(&reply) => return Ok(seconds.as_secs_f64()),
                Some(Reply::Error(text)) if text.starts_with("LOADING") => {}
                Some(reply) => return Err(Failure::Reply(format!("after the restart: {reply:?}"))),
                None => {}
            }
            if seconds > LIMIT || self.server.server.ended()?.is_some() {
                let output = self.server.server.output();
                return Err(Failure::Start { reason: "no right answer after the restart".to_owned(), output });
            }
            std::thread::sleep(RETRY);
        }
    }

    fn try_once(&mut self, command: &[&[u8]]) -> Option<Reply> {
        if self.client.is_none() {
            self.client = Client::connect(&self.server.server.address, Duration::from_secs(30)).ok();
        }
        let reply = self.client.as_mut()?.call(command).ok();
        if reply.is_none() {
            self.client = None;
        }
        reply
    }
}
