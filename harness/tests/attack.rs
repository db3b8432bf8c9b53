//! The attacks in small, on the real server: it lives, keeps its data, stays small, and others are served.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use harness::attack::judge::{Broken, judge};
use harness::attack::run::{Options, Siege};
use harness::attack::victim::Kind;
use harness::attack;
use harness::binary;

fn options() -> Options {
    Options { small: true, seed: common::seed(), time: Duration::from_secs(20), args: Vec::new() }
}

/// Where nothing but tests runs a PING takes a moment; where everything else runs too it may take a second.
const PATIENT_MS: f64 = 2_000.0;

#[test]
fn attacks_harm_nobody() {
    let _turn = common::alone();
    let mut siege = Siege::new(Kind::kvd(binary::with_failpoints().unwrap()), options());
    for attack in attack::ALL {
        let row = siege.attack(attack).unwrap();
        let broken: Vec<Broken> = judge(&row, None).into_iter().filter(|broken| !is_a_speed(broken)).collect();
        assert!(broken.is_empty(), "{}: {broken:?}: {row:?}", attack.name);
        assert!(row.ping_p99_ms < PATIENT_MS, "{}: {row:?}", attack.name);
    }
    assert_eq!(siege.starts, 1, "it keeps memory");
}

/// Speed is no matter of tests: not of a debug build, beside others.
fn is_a_speed(broken: &Broken) -> bool {
    matches!(broken, Broken::Figure(name, _) if name.ends_with("/s") || name.contains("colliding"))
}
