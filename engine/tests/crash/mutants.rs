//! Planted bugs: the simulation must find each one within a budget of seeds, or it proves nothing.
//!
//! ```text
//! cargo test --release -p engine --features mutants,few-shards --test crash mutants -- --nocapture
//! ```

use std::panic::catch_unwind;

use engine::mutant::{NAMES, plant};

use crate::images::hostile;
use crate::life::Counts;
use crate::recycling::{segment_without_file, slow_reader};
use crate::ring::pieces;
use crate::shrink::Steps;
use crate::simulation::{run_some, shrink};
use crate::{checkpoints, damage, exchanges, renames, salvage};

/// Runs within which a planted bug must have been found.
const BUDGET: u64 = 8000;

fn run(seed: u64) -> Result<Counts, String> {
    run_some(seed, Steps::All, false).0
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it really took is what the table says")]
fn mutants() {
    // What a planted bug breaks may well panic: that is a way to be found.
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("SIM_MUTANT").ok();
    let mut missed = Vec::new();
    println!("{:28} {:6} {:>6} {:>8}  found as", "mutant", "level", "seeds", "seconds");
    for (name, _) in NAMES.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        plant(Some(name));
        let started = std::time::Instant::now();
        // A log that no store has written shows at once what no life of a store can show.
        // Nor does a life of a store ever meet damage, nor read by the kernel's ring; it seldom renames what is large and has just
        // changed, or exchanges databases so often that it matters, and how long somebody reads a segment that is emptied
        // meanwhile is no matter of chance there. Of the other bugs the simulation must find what it can. And it is rare that a
        // disk is full just when compaction waits for a sync, that of all bits just one rots in the header of the segment where
        // a checkpoint starts, or that nothing is left behind one.
        let by_name = || match name.split('_').next() {
            Some("salvaged") => salvage::crashes(),
            Some("damaged") => damage::crashes(),
            Some("renamed") => renames::changed_large_value(),
            Some("ring") => pieces(),
            Some("map") => exchanges::often(),
            Some("checkpoint") if *name == "checkpoint_start_unproved" => checkpoints::lost_headers(),
            Some("checkpoint") if *name == "checkpoint_of_nothing_refused" => checkpoints::of_nothing(),
            Some("recycled") if *name == "recycled_under_reader" => slow_reader(),
            Some("recycled") if *name == "recycled_before_current" => segment_without_file(),
            _ => Ok(()),
        };
        let crafted = || hostile().and_then(|()| by_name());
        let hostile = catch_unwind(crafted).unwrap_or_else(|_| Err("panic".to_owned())).err();
        let level = if hostile.is_some() { "L0" } else { "L1" };
        let caught = hostile
            .map(|why| (0, why))
            .or_else(|| (0..BUDGET).find_map(|seed| run(seed).err().map(|why| (seed + 1, why))));
        plant(None);
        let seconds = started.elapsed().as_secs_f64();
        match caught {
            Some((seeds, why)) => {
                let why: String = why.lines().next().unwrap_or_default().chars().take(90).collect();
                println!("{name:28} {:6} {seeds:>6} {seconds:>8.3}  {why}", level);
            }
            None => {
                println!("{name:28} {:6} {:>6} {seconds:>8.3}", "L1", "MISSED");
                missed.push(*name);
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// What a failure is told with is no more than what it takes.
#[test]
fn a_failing_run_is_made_short() {
    std::panic::set_hook(Box::new(|_| {}));
    for name in ["compaction_copies_older", "deadline_not_replayed", "checkpoint_passes_over_changed"] {
        plant(Some(name));
        let seed = (0..BUDGET).find(|seed| run(*seed).is_err()).unwrap();
        let steps = shrink(seed);
        let written: Steps = steps.to_string().parse().unwrap();
        let (verdict, world) = run_some(seed, written, true);
        plant(None);
        println!("{name}: seed {seed}, steps {steps}\n{}", world.disk.trace().join("\n"));
        assert!(verdict.is_err(), "{name}, seed {seed}: {steps} do not fail");
        assert!(world.done.len() <= 25, "{name}, seed {seed}: {steps} are many");
        assert!(run(seed).is_ok(), "{name}, seed {seed}: fails by itself");
    }
    let _ = std::panic::take_hook();
}
