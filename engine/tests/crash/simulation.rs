//! Random lives: every seed has its own sizes, limits, mode, faults and end.
//!
//! ```text
//! cargo test -p engine --test crash simulation                 a few hundred runs
//! SIM_LIVES=100000 cargo test --release -p engine --test crash simulation
//! SIM_SEED=17 cargo test -p engine --test crash simulation     one run again
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::life::{Counts, World};

/// Lives of one run.
pub const LIVES_A_RUN: u64 = 4;
/// Lives in a plain `cargo test`.
const LIVES: u64 = 8000;
/// Failures after which a run of many ends.
const SHOWN: usize = 10;

/// One run; what is wrong with it.
pub fn run(seed: u64) -> Result<Counts, String> {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.run(LIVES_A_RUN).map(|()| world.counts)
    }));
    lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the lives really took")]
fn simulation() {
    let started = std::time::Instant::now();
    let one = from_environment("SIM_SEED");
    let lives = from_environment("SIM_LIVES").unwrap_or(LIVES);
    let seeds = one.map_or(0..lives.div_ceil(LIVES_A_RUN), |seed| seed..seed + 1);
    let mut total = Counts::default();
    let mut wrong = Vec::new();
    for seed in seeds {
        match run(seed) {
            Ok(counts) => total.add(&counts),
            Err(why) => wrong.push(format!(
                "seed {seed}: {why}\nrepeat with: SIM_SEED={seed} cargo test -p engine --test crash simulation"
            )),
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
