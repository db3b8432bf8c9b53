//! Random lives: every seed has its own sizes, limits, mode, faults and end.
//!
//! ```text
//! cargo test -p engine --test crash simulation                 2,000 runs
//! SIM_LIVES=100000 cargo test --release -p engine --features few-shards --test crash simulation
//! SIM_LIVES=100000 SIM_FIRST=50000 cargo …                     the runs from that seed on
//! SIM_SEED=17 cargo test -p engine --test crash simulation     one run again
//! ```
//!
//! Of the first run that fails the fewest steps are looked for with which it does, and told with all that the disk is asked meanwhile.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use crate::life::{Counts, World};
use crate::shrink::{Step, Steps, fewest};

/// Lives of one run.
pub const LIVES_A_RUN: u64 = 4;
/// Lives in a plain `cargo test`.
const LIVES: u64 = 8000;
/// How a run is done again: the number of shards changes the order of what is looked at.
const AGAIN: &str = if cfg!(feature = "few-shards") {
    "cargo test -p engine --features few-shards --test crash simulation"
} else {
    "cargo test -p engine --test crash simulation"
};
/// Failures after which a run of many ends.
const SHOWN: usize = 10;

/// One run, of these steps: what is wrong with it, and the world that it leaves, which may have recorded what happened.
pub fn run_some(seed: u64, steps: Steps, records: bool) -> (Result<Counts, String>, World) {
    let mut world = World::new(seed);
    if records {
        world.disk.record();
    }
    let lived = catch_unwind(AssertUnwindSafe(|| world.run_some(LIVES_A_RUN, steps)));
    let verdict = lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    (verdict.map(|()| world.counts), world)
}

/// The fewest steps with which a run fails that does with all.
pub fn shrink(seed: u64) -> Steps {
    let fails = |steps: &[Step]| run_some(seed, Steps::Only(steps.iter().copied().collect()), false).0.is_err();
    let (_, world) = run_some(seed, Steps::All, false);
    Steps::Only(fewest(world.done, fails).into_iter().collect())
}

/// What is wrong with a run, how little of it is needed, what happens then, and how to see it again.
fn explain(seed: u64, why: &str) -> String {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let steps = shrink(seed);
    let (shown, world) = run_some(seed, steps.clone(), true);
    std::panic::set_hook(hook);
    format!(
        "seed {seed}: {why}\n{}\nwith these steps only: {}\n\
         repeat with: SIM_SEED={seed} SIM_STEPS={steps} cargo test -p engine --test crash simulation",
        world.disk.trace().join("\n"),
        shown.map_or_else(|why| why, |_| "nothing is wrong".to_owned()),
    )
}

fn from_environment<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the lives really took")]
fn simulation() {
    let started = std::time::Instant::now();
    let one = from_environment("SIM_SEED");
    let steps = from_environment("SIM_STEPS").unwrap_or(Steps::All);
    let lives = from_environment("SIM_LIVES").unwrap_or(LIVES);
    let first: u64 = from_environment("SIM_FIRST").unwrap_or(0);
    let seeds = one.map_or(first..first + lives.div_ceil(LIVES_A_RUN), |seed| seed..seed + 1);
    let mut total = Counts::default();
    let mut wrong = Vec::new();
    for seed in seeds {
        match run_some(seed, steps.clone(), false).0 {
            Ok(counts) => total.add(&counts),
            Err(why) if wrong.is_empty() => wrong.push(explain(seed, &why)),
            Err(why) => wrong.push(format!("seed {seed}: {why}\nrepeat with: SIM_SEED={seed} {AGAIN}")),
        }
        if wrong.len() == SHOWN {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(one.is_some() || total.recycled > total.lives / 50, "segments are hardly ever used again: {total:?}");
    let seconds = started.elapsed().as_secs_f64();
    println!("{total:?}\n{:.0} lives a second", total.lives as f64 / seconds);
}
