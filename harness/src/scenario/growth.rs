//! `growth`: the longest pauses while the keyspace grows twentyfold under load, inside the server and as a client sees them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::bench::{Bench, Peer, Running};
use super::data::{Data, Draw};
use super::figures::median;
use super::load::Work;
use super::probe::{self, Ask};
use crate::error::Result;

/// Clients that write, and their pipeline.
const WRITERS: (u64, usize) = (8, 16);

/// The rows of INFO that tell the longest hold of a shard.
const HOLDS: [&str; 2] = ["max_shard_hold_us", "max_shard_hold_cpu_us"];

/// What one run found.
struct Found {
    gap_ms: f64,
    /// The longest hold of a shard: by the clock, and of processor time.
    hold_us: Option<[f64; 2]>,
    rate: f64,
}

pub fn run(bench: &mut Bench) -> Result<()> {
    let (from, to, runs) = (bench.size(1_000_000), bench.size(20_000_000), bench.runs(3));
    bench.figures.with(format!(
        "{from} to {to} keys of 12 + 14 bytes, {} writers with pipelines of {}, a GET each ms beside them, median of {runs} runs",
        WRITERS.0, WRITERS.1
    ));
    let data = Data::new(12, 14);
    let mut found: [Vec<Found>; 2] = Default::default();
    for _ in 0..runs {
        for (peer, found) in [Peer::Kvd, Peer::Null].into_iter().zip(&mut found) {
            if let Some(server) = bench.start(peer, &[])? {
                found.push(one(&server, &data, from, to)?);
            }
        }
    }
    let [kvd, null] = found;
    let hold = |at: usize| median(&kvd.iter().filter_map(|of| of.hold_us).map(|of| of[at]).collect::<Vec<_>>());
    let gap = |of: &[Found]| median(&of.iter().map(|of| of.gap_ms).collect::<Vec<_>>());
    let figures = &mut bench.figures;
    for (at, name) in HOLDS.into_iter().enumerate() {
        if let Some(hold) = hold(at) {
            figures.add_with_target("kvd", name, hold, "µs", Some("< 1000"));
        }
    }
    for (peer, found) in [(Peer::Kvd, &kvd), (Peer::Null, &null)] {
        if let Some(gap) = gap(found) {
            figures.add(peer.name(), "longest latency of the GETs", gap, "ms");
        }
        if let Some(rate) = median(&found.iter().map(|of| of.rate).collect::<Vec<_>>()) {
            figures.add(peer.name(), "writes", rate, "/s");
        }
    }
    if let (Some(kvd), Some(null)) = (gap(&kvd), gap(&null)) {
        figures.add_with_target("kvd", "longest latency less the null server's", kvd - null, "ms", Some("≤ 1"));
    }
    Ok(())
}

fn one(server: &Running, data: &Data, from: u64, to: u64) -> Result<Found> {
    let (stop, draw) = (AtomicBool::new(false), Draw::uniform(from));
    if server.peer != Peer::Null {
        server.fill(data, from)?;
        server.call(&["CONFIG", "RESETSTAT"])?;
    }
    std::thread::scope(|scope| {
        let probe = probe::start(scope, &server.server.address, (data, &draw, Ask::Get), &stop);
        let done = server.load(data, WRITERS.0, WRITERS.1).run(&Work::Fill(from..to));
        stop.store(true, Ordering::Relaxed);
        let (latencies, done) = (probe::finish(probe)?, done?);
        let is_kvd = server.peer == Peer::Kvd;
        let hold_us = match is_kvd {
            true => Some([server.info(HOLDS[0])?, server.info(HOLDS[1])?]),
            false => None,
        };
        Ok(Found { gap_ms: latencies.longest_ms(), hold_us, rate: done.rate() })
    })
}
