//! The attacks in small, on the real server: it lives, keeps its data, stays small, and others are served. And weaknesses
//! that are planted are seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use harness::attack::judge::{Broken, judge};
use harness::attack::row::{Life, Row};
use harness::attack::run::{Options, Siege};
use harness::attack::scene::{self, Scene};
use harness::attack::victim::Kind;
use harness::attack::{self, Attack};
use harness::binary;
use harness::clock;
use harness::error::Result;
use rustix::process::{Pid, Signal, kill_process};

/// Where nothing but tests runs a PING takes a moment; where everything else runs too it may take some seconds.
const PATIENT_MS: f64 = 5_000.0;

fn siege(kind: Kind) -> Siege {
    let time = Duration::from_secs(20);
    Siege::new(kind, Options { small: true, seed: common::seed(), time, args: Vec::new() })
}

fn kvd() -> Kind {
    Kind::kvd(binary::with_failpoints().unwrap())
}

#[test]
fn attacks_harm_nobody() {
    let _turn = common::alone();
    let mut siege = siege(kvd());
    for attack in attack::ALL {
        let row = siege.attack(attack).unwrap();
        let counts = |broken: &Broken| !is_a_speed(broken) && !is_a_page(broken);
        let broken: Vec<Broken> = judge(&row, None).into_iter().filter(counts).collect();
        assert!(broken.is_empty(), "{}: {broken:?}: {row:?}", attack.name);
        assert!(row.ping_p99_ms < PATIENT_MS, "{}: {row:?}", attack.name);
    }
}

/// Speed is no matter of tests: not of a debug build, beside others.
fn is_a_speed(broken: &Broken) -> bool {
    matches!(broken, Broken::Figure(name, _) if name.ends_with("/s") || name.contains("colliding"))
}

/// The kernel may give two large pages at once where little is asked for. Who brings what no limit stops brings 64 MiB.
fn is_a_page(broken: &Broken) -> bool {
    const LARGE_PAGES: u64 = 2 * (2 << 20);
    matches!(broken, Broken::Grew(grown, limit) if *grown <= limit + LARGE_PAGES)
}

/// An attack that plants a weakness, and what is seen of it.
fn seen(siege: &mut Siege, run: fn(&Scene) -> Result<()>) -> (Row, Vec<Broken>) {
    let attack = Attack { name: "planted", doc: "", prepare: scene::nothing, run, growth_limit: 16 << 20 };
    let row = siege.attack(&attack).unwrap();
    let null = Row { ping_p99_ms: 1.0, ..row.clone() };
    let broken = judge(&row, Some(&null));
    (row, broken)
}

fn signal(scene: &Scene, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(scene.pid).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_server_that_dies_grows_sleeps_or_forgets_is_seen() {
    let _turn = common::alone();
    let mut siege = siege(kvd());
    let (_, broken) = seen(&mut siege, |scene| {
        signal(scene, Signal::ABORT);
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    });
    assert!(matches!(&broken[0], Broken::Gone(Life::Dead(how)) if how.contains("signal: 6")), "{broken:?}");
    assert!(broken.iter().any(|broken| matches!(broken, Broken::Unanswered(_))), "{broken:?}");
    let (row, broken) = seen(&mut siege, |scene| {
        scene.client()?.call(&[b"SETRANGE", b"attack:large", b"100000000", b"x"])?;
        Ok(())
    });
    assert!(broken.contains(&Broken::Grew(row.growth, 16 << 20)), "{broken:?}: {row:?}");
    let (_, broken) = seen(&mut siege, |scene| {
        signal(scene, Signal::STOP);
        std::thread::sleep(Duration::from_millis(700));
        signal(scene, Signal::CONT);
        Ok(())
    });
    assert!(broken.iter().any(|broken| matches!(broken, Broken::Late(ms, _) if *ms > 300.0)), "{broken:?}");
    let (_, broken) = seen(&mut siege, |scene| {
        scene.plain_client()?.call(&[b"DEL", b"kept:7"])?;
        Ok(())
    });
    assert!(matches!(&broken[0], Broken::Gone(Life::Changed(_))), "{broken:?}");
    assert!(siege.starts >= 2, "a dead server is started again");
}

#[test]
fn a_planted_bug_is_found() {
    let _turn = common::alone();
    let (mutant, begin) = ("request_waited_for", clock::now());
    let mut kind = Kind::kvd(binary::with_mutants().unwrap());
    kind.env.push((harness::fault::MUTANT.to_owned(), mutant.to_owned()));
    let row = siege(kind).attack(attack::named("drip").unwrap()).unwrap();
    let broken = judge(&row, None);
    let is_found = broken.iter().any(|broken| matches!(broken, Broken::Figure(name, _) if name.contains("limited")));
    common::assert_found(mutant, "attack", "drip", begin, 0, is_found, &format!("{broken:?}"));
}
