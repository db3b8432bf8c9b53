//! `overwrite`: ten times the data is written over it. What the log, the disk and the latencies make of that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bench::{Bench, Peer, Running};
use super::data::{Data, Draw};
use super::load::{Done, Work};
use super::machine::Watch;
use super::probe::{self, Ask, Latencies};
use crate::error::Result;

/// How often the data is written over.
const TIMES: u64 = 10;
/// Clients that write, and their pipeline.
const WRITERS: (u64, usize) = (4, 8);

pub fn run(bench: &mut Bench) -> Result<()> {
    let count = bench.size(1_000_000);
    let quiet = bench.seconds(10);
    let data = Data::new(16, 1024);
    for (name, draw) in Draw::each(count) {
        bench.figures.with(format!(
            "{count} keys of 16 + 1024 bytes, {TIMES} times as many SETs, {name}, {} writers with pipelines of {}, a GET and a SET \
             each ms beside them; quiet: these two alone for {} s; new keys: nothing is compacted",
            WRITERS.0,
            WRITERS.1,
            quiet.as_secs()
        ));
        for peer in [Peer::Kvd, Peer::Redis] {
            if let Some(server) = bench.start(peer, &[])? {
                one(bench, &server, &data, &draw, count, quiet)?;
            }
        }
    }
    bench.figures.note(
        "overwrite: Redis's resident memory is the parent's alone, without what a rewriting child has.".to_owned(),
    );
    Ok(())
}

fn one(bench: &mut Bench, server: &Running, data: &Data, draw: &Draw, count: u64, quiet: Duration) -> Result<()> {
    let is_kvd = server.peer == Peer::Kvd;
    let tells = |row| if is_kvd { server.info(row) } else { Ok(0.0) };
    let appended = || tells("log_appended");
    let writers = || server.load(data, WRITERS.0, WRITERS.1);
    let empty = appended()?;
    let fresh = beside(server, data, draw, || writers().run(&Work::Fill(0..count)))?;
    // New keys leave nothing to be compacted: so many bytes are a frame.
    let frame = (appended()? - empty) / (count as f64 + fresh.set.count() as f64);
    server.rest();
    let still = beside(server, data, draw, || {
        std::thread::sleep(quiet);
        Ok(Done::default())
    })?;
    let (before, checkpoints) = (appended()?, tells("checkpoint_written")?);
    let watch = Watch::start(server.server.pid(), server.dir());
    let busy = beside(server, data, draw, || writers().run(&Work::Overwrite(draw, TIMES * count)))?;
    let (grown, most) = (appended()? - before, watch.finish());
    let checkpoints = tells("checkpoint_written")? - checkpoints;
    let name = server.name();
    let figures = &mut bench.figures;
    if is_kvd {
        let written = frame * (busy.done.commands as f64 + busy.set.count() as f64);
        figures.add(name, "bytes appended to those of the clients' frames", grown / written, "×");
        figures.add(name, "bytes of checkpoints to those of the clients' frames", checkpoints / written, "×");
        figures.add(name, "most space to live bytes of log", most.disk as f64 / server.info("log_live_bytes")?, "×");
    }
    let user = (count * data.pair_bytes()) as f64;
    figures.add(name, "most space to bytes of keys and values", most.disk as f64 / user, "×");
    figures.add(name, "most resident memory to bytes of keys and values", most.resident as f64 / user, "×");
    figures.add(name, "writes", busy.done.rate(), "/s");
    for (ask, still, fresh, busy) in
        [("GET", &still.get, &fresh.get, &busy.get), ("SET", &still.set, &fresh.set, &busy.set)]
    {
        figures.add(name, &format!("{ask} p99, quiet"), still.share_ms(0.99), "ms");
        figures.add(name, &format!("{ask} p99 beside the same writers of new keys"), fresh.share_ms(0.99), "ms");
        figures.add(name, &format!("{ask} p99"), busy.share_ms(0.99), "ms");
        figures.add(name, &format!("{ask} longest"), busy.longest_ms(), "ms");
    }
    Ok(())
}

/// What the probes found while something was done.
struct Beside {
    done: Done,
    get: Latencies,
    set: Latencies,
}

fn beside(server: &Running, data: &Data, draw: &Draw, work: impl FnOnce() -> Result<Done>) -> Result<Beside> {
    let (stop, address) = (AtomicBool::new(false), &server.server.address);
    std::thread::scope(|scope| {
        let [get, set] = [Ask::Get, Ask::Set].map(|ask| probe::start(scope, address, (data, draw, ask), &stop));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let (get, set) = (probe::finish(get), probe::finish(set));
        Ok(Beside { done: done?, get: get?, set: set? })
    })
}
