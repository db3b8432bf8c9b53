//! `stall`: the longest latency while clients write and the log is rewritten again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bench::{Bench, Peer, Running};
use super::data::{Data, Draw};
use super::figures::median;
use super::load::Work;
use super::probe::{self, Ask, Latencies};
use crate::clock;
use crate::error::Result;

const CLIENTS: u64 = 50;
/// Time between two rewrites.
const REWRITE: Duration = Duration::from_secs(2);

pub fn run(bench: &mut Bench) -> Result<()> {
    let (count, time, runs) = (bench.size(200_000), bench.seconds(20), bench.runs(5));
    bench.figures.with(format!(
        "{count} keys of 16 + 256 bytes, {CLIENTS} clients that write, BGREWRITEAOF every {} s for {} s, a GET each ms beside \
         them, median of {runs} runs",
        REWRITE.as_secs(),
        time.as_secs()
    ));
    let (data, draw) = (Data::new(16, 256), Draw::uniform(count));
    let peers = [Peer::Kvd, Peer::Null, Peer::Redis];
    let mut found: [Vec<Latencies>; 3] = Default::default();
    for _ in 0..runs {
        for (peer, found) in peers.into_iter().zip(&mut found) {
            if let Some(server) = bench.start(peer, &[])? {
                found.push(one(&server, &data, &draw, count, time)?);
            }
        }
    }
    for (peer, found) in peers.into_iter().zip(&found) {
        for (name, share) in [("p99 of the GETs", 0.99), ("longest latency of the GETs", 1.0)] {
            let each: Vec<f64> = found.iter().map(|of| of.share_ms(share)).collect();
            if let Some(median) = median(&each) {
                bench.figures.add(peer.name(), name, median, "ms");
            }
        }
    }
    Ok(())
}

fn one(server: &Running, data: &Data, draw: &Draw, count: u64, time: Duration) -> Result<Latencies> {
    if server.peer != Peer::Null {
        server.fill(data, count)?;
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (load, work) = (server.load(data, CLIENTS, 1), Work::Write(draw, &stop));
        let writers = scope.spawn(move || load.run(&work));
        let probe = probe::start(scope, &server.server.address, (data, draw, Ask::Get), &stop);
        let rewritten = rewrite(server, time);
        stop.store(true, Ordering::Relaxed);
        let latencies = probe::finish(probe);
        writers.join().expect("a load does not panic")?;
        rewritten?;
        latencies
    })
}

/// Asks for a rewrite again and again. One that is still going on is no failure: Redis says so.
fn rewrite(server: &Running, time: Duration) -> Result<()> {
    let mut client = server.server.connect()?;
    let end = clock::now() + time;
    while clock::now() + REWRITE <= end {
        std::thread::sleep(REWRITE);
        client.call(&[b"BGREWRITEAOF"])?;
    }
    std::thread::sleep(end.saturating_duration_since(clock::now()));
    Ok(())
}
