//! `larger`: four times as much data as memory. How much memory the server holds, how fast it reads what it has not in
//! memory beside bare reads of the same files, and what it costs to read what it has.
//!
//! The machine keeps files in memory as well, and would answer for the disk. So the server and the bare reads run in a control
//! group that has a quarter more memory than the limit. Where none can be made, the store's pages are dropped from that cache all
//! the time while misses are measured, for the server and for the bare reads alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bench::{Bench, Peer, Running};
use super::data::{Data, Draw};
use super::disk::{self, Through};
use super::figures::median;
use super::group::MemoryGroup;
use super::load::{Done, Work};
use super::machine::{self, Watch};
use crate::error::Result;

/// Connections, and threads of bare reads.
const READERS: u64 = 16;
/// Ways to have as many reads under way: connections, and the pipeline of each. What a request costs on its way between two
/// programs is not the disk's.
const WAYS: [(u64, usize); 2] = [(READERS, 1), (2, 8)];
/// Reads of what is in memory.
const HOT: (u64, usize) = (READERS, 16);
/// Keys that are read until they are in memory: so many of all.
const HOT_ONE_IN: u64 = 100;
/// Times that each server is measured while it reads these.
const HOT_RUNS: usize = 3;

pub fn run(bench: &mut Bench) -> Result<()> {
    // What the process takes by itself, some ten MiB, is not to be most of it.
    let limit = bench.size(1 << 30).max(256 << 20);
    let data = Data::new(16, 1024);
    let count = 4 * limit / data.pair_bytes();
    let time = bench.seconds(20);
    let group = match MemoryGroup::make(limit / 4 * 5) {
        Ok(group) => Some(group),
        Err(reason) => {
            bench.figures.skip("control group of memory", &reason.to_string());
            None
        }
    };
    let group = group.as_ref();
    let Some(server) = bench.start_in(group, Peer::Kvd, &["--maxmemory", &limit.to_string()])? else {
        return Ok(());
    };
    bench.figures.with(format!(
        "{count} keys of 16 + 1024 random bytes, maxmemory {limit}, {}, written by 4 clients",
        if group.is_some() { "in a group with a quarter more" } else { "in no group" }
    ));
    let watch = Watch::start(server.server.pid(), server.dir());
    let done = server.fill(&data, count)?;
    server.rest();
    bench.figures.add("kvd", "writes", done.rate(), "/s");
    bench.figures.add("kvd", "writes refused and done again", done.refused as f64, "");
    bench.figures.add("kvd", "keys whose values are in the log only", cold_percent(&server, count)?, "%");
    disk::drop_cached(server.dir())?;
    bench.figures.with(format!("the same, {READERS} threads that read 1 KiB of the files, {} s", time.as_secs()));
    let bare = bare(bench, group, &server, time)?;
    for (name, draw) in Draw::each(count) {
        for way in WAYS {
            bench.figures.with(format!(
                "the same, {} connections that read, pipelines of {}, {name}, {} s",
                way.0,
                way.1,
                time.as_secs()
            ));
            let rate = misses(bench, group, &server, &data, &draw, way, time)?;
            // Where most reads find their value in memory, these say nothing of the disk.
            if matches!(draw, Draw::Uniform { .. }) {
                let (name, ratio) = ("these reads to bare ones", 100.0 * rate / bare);
                bench.figures.add_with_target("kvd", name, ratio, "%", Some("≥ 80"));
            }
        }
    }
    let most = watch.finish();
    bench.figures.with(format!("the same, all of it, against maxmemory {limit}"));
    let part = 100.0 * most.resident as f64 / limit as f64;
    bench.figures.add_with_target("kvd", "most resident memory, in percent of maxmemory", part, "%", Some("≤ 105"));
    for name in ["used_memory", "used_memory_goal"] {
        let part = 100.0 * server.info(name)? / limit as f64;
        bench.figures.add("kvd", &format!("{name} at the end, in percent of maxmemory"), part, "%");
    }
    let hot = Draw::uniform(count / HOT_ONE_IN);
    bench.figures.with(format!(
        "{} of these keys, {} connections that read, pipelines of {}",
        count / HOT_ONE_IN,
        HOT.0,
        HOT.1
    ));
    // All the machine has is the default; it may be less than the data.
    let Some(other) = bench.start(Peer::Kvd, &["--maxmemory", "100%"])? else { return Ok(()) };
    other.fill(&data, count)?;
    let mut cpu_us = [Vec::new(), Vec::new()];
    for run in 0..=HOT_RUNS {
        for ((name, server), cpu_us) in [("kvd", &server), ("kvd, all fits", &other)].into_iter().zip(&mut cpu_us) {
            let of = reads(server, &data, &hot, HOT, time)?;
            // The first brings the values into memory.
            if run > 0 {
                cpu_us.push(of.cpu_us);
            }
            if run == HOT_RUNS {
                let read = 100.0 * of.misses / of.done.commands as f64;
                bench.figures.add(name, "hot reads", of.done.rate(), "/s");
                bench.figures.add(name, "values read from files meanwhile", read, "%");
            }
        }
    }
    let [with, without] = cpu_us.map(|of| median(&of).unwrap_or_default());
    for (name, cpu_us) in [("kvd", with), ("kvd, all fits", without)] {
        bench.figures.add(name, "processor time a hot read, median of runs in turn", cpu_us, "µs");
    }
    let name = "processor time a hot read, to that where all fits";
    bench.figures.add_with_target("kvd", name, with / without, "×", Some("≤ 1.1"));
    Ok(())
}

fn cold_percent(server: &Running, count: u64) -> Result<f64> {
    Ok(100.0 * server.info("spilled_keys")? / count as f64)
}

/// What a time of reading came to.
struct Reads {
    done: Done,
    cpu_us: f64,
    /// Values that were read from files.
    misses: f64,
    /// Pages that were read from the disk.
    pages: f64,
}

fn reads(server: &Running, data: &Data, draw: &Draw, way: (u64, usize), time: Duration) -> Result<Reads> {
    let (stop, pid) = (AtomicBool::new(false), server.server.pid());
    let (cpu, bytes) = (machine::cpu_seconds(pid)?, machine::bytes_from_disk(pid)?);
    let before = server.info("spilled_values_read")?;
    let done = std::thread::scope(|scope| {
        let (load, work) = (server.load(data, way.0, way.1), Work::Read(draw, &stop));
        let readers = scope.spawn(move || load.run(&work));
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        readers.join().expect("a load does not panic")
    })?;
    let cpu_us = (machine::cpu_seconds(pid)? - cpu) * 1e6 / done.commands as f64;
    let misses = server.info("spilled_values_read")? - before;
    let pages = (machine::bytes_from_disk(pid)? - bytes) as f64 / rustix::param::page_size() as f64;
    Ok(Reads { done, cpu_us, misses, pages })
}

/// Does something that finds little of the store's files in the kernel's cache.
fn uncached<T: Send>(
    group: Option<&MemoryGroup>,
    server: &Running,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    if group.is_some() {
        return work();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let dropper = scope.spawn(|| disk::keep_dropping(server.dir(), &stop));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        dropper.join().expect("what drops pages does not panic")?;
        done
    })
}

/// Values a second that were read because they were not in memory.
fn misses(
    bench: &mut Bench,
    group: Option<&MemoryGroup>,
    server: &Running,
    data: &Data,
    draw: &Draw,
    way: (u64, usize),
    time: Duration,
) -> Result<f64> {
    let of = uncached(group, server, || reads(server, data, draw, way, time))?;
    bench.figures.add("kvd", "reads", of.done.rate(), "/s");
    let rate = of.misses / of.done.seconds;
    bench.figures.add("kvd", "reads of values that were not in memory", rate, "/s");
    bench.figures.add("kvd", "pages from the disk for each of these", of.pages / of.misses, "");
    bench.figures.add("kvd", "processor time a read", of.cpu_us, "µs");
    Ok(rate)
}

/// Bare reads a second, through the kernel's cache, of which there is little.
fn bare(bench: &mut Bench, group: Option<&MemoryGroup>, server: &Running, time: Duration) -> Result<f64> {
    let dir = server.dir();
    let read = || uncached(group, server, || disk::bare_reads(dir, READERS, time, Through::Cache));
    let cached = group.map_or_else(|| Ok(read()), |group| group.with(read))??;
    bench.figures.add("bare pread", "reads", cached, "/s");
    match disk::bare_reads(dir, READERS, time, Through::Nothing) {
        Ok(direct) => bench.figures.add("bare pread", "reads, O_DIRECT", direct, "/s"),
        Err(reason) => bench.figures.skip("O_DIRECT", &reason.to_string()),
    }
    bench.figures.note(
        "larger: without a group the store's pages are dropped from the kernel's cache every 20 ms while misses and bare reads \
         are measured. A disk that is a file of another machine may be cached there."
            .to_owned(),
    );
    Ok(cached)
}
