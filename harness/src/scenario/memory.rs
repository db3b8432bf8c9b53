//! `memory`: what a key takes in memory, with its value there and with the value in the log only.

use super::bench::{Bench, Peer};
use super::data::Data;
use crate::error::Result;

/// Lengths of key and value, and the target in bytes a key.
const SHAPES: [(usize, usize, &str); 2] = [(12, 14, "≤ 62"), (16, 64, "≤ 110")];
/// The same for values in the log only.
const COLD: (usize, usize, &str) = (16, 1024, "≤ 61: the key and 45");

pub fn run(bench: &mut Bench) -> Result<()> {
    for count in [1_000_000, 5_000_000] {
        for (key_bytes, value_bytes, target) in SHAPES {
            hot(bench, bench.size(count), (key_bytes, value_bytes), target)?;
        }
    }
    cold(bench, bench.size(1_000_000))
}

fn hot(bench: &mut Bench, count: u64, (key_bytes, value_bytes): (usize, usize), target: &'static str) -> Result<()> {
    bench
        .figures
        .with(format!("{count} keys of {key_bytes} bytes, values of {value_bytes} random bytes, all read back"));
    let data = Data::new(key_bytes, value_bytes);
    let Some(server) = bench.start(Peer::Kvd, &[])? else { return Ok(()) };
    let empty = server.resident()?;
    server.fill(&data, count)?;
    server.verify(&data, count)?;
    server.rest();
    let keys = count as f64;
    let used = server.info("used_memory")? / keys;
    let (resident, spilled) = (server.resident()? - empty, server.info("spilled_keys")?);
    let figures = &mut bench.figures;
    figures.add_with_target("kvd", "used_memory a key", used, "B", Some(target));
    figures.add_with_target(
        "kvd",
        "resident memory a key, less the empty server's",
        resident / keys,
        "B",
        Some(target),
    );
    figures.add_with_target("kvd", "values that left memory", spilled, "", Some("0"));
    Ok(())
}

/// The limit is set when everything was written: with room for no value, and then for no key, writes would be refused.
fn cold(bench: &mut Bench, count: u64) -> Result<()> {
    let (key_bytes, value_bytes, target) = COLD;
    let room = (count * 256).max(64 << 20);
    bench.figures.with(format!(
        "{count} keys of {key_bytes} bytes, values of {value_bytes} random bytes, written with maxmemory {room}, then maxmemory 1mb"
    ));
    let data = Data::new(key_bytes, value_bytes);
    let Some(server) = bench.start(Peer::Kvd, &["--maxmemory", &room.to_string()])? else { return Ok(()) };
    server.fill(&data, count)?;
    server.rest();
    server.call(&["CONFIG", "SET", "maxmemory", "1mb"])?;
    let cold = server.settle("spilled_keys")?;
    let used = server.info("used_memory")? / count as f64;
    let figures = &mut bench.figures;
    figures.add("kvd", "keys whose values are in the log only", 100.0 * cold / count as f64, "%");
    figures.add_with_target("kvd", "used_memory a key", used, "B", Some(target));
    // Every value can be read all the same.
    server.call(&["CONFIG", "SET", "maxmemory", &room.to_string()])?;
    server.verify(&data, count)?;
    Ok(())
}
