//! A short version of `faults`: some of the calls, and the planted bugs that each kind of fault must find.

mod common;

use harness::binary;
use harness::clock;
use harness::damage::tail::{self, Tail};
use harness::damage::victim::{End, Victim};
use harness::damage::{Outcome, rot};
use harness::fault;
use harness::inject::case::Case;
use harness::inject::fault::{Effect, Fault, Since};
use harness::inject::series::{Found, Series};
use harness::inject::{short, slow};
use harness::process::Program;
use harness::random::Random;
use harness::rules::Rule;

const WRITE: &str = "pwrite64";
const SYNC: &str = "fdatasync";
const EIO: Effect = Effect::Error("EIO");
const FULL: Effect = Effect::Error("ENOSPC");

fn case(name: &str) -> Case {
    Case::named(name).expect("there is such a case")
}

/// The first calls of a kind, from the start on or behind it; in a server with a planted bug, if one is named.
fn series(name: &str, calls: &'static str, effect: Effect, since: Since, most: u64, mutant: Option<&str>) -> Found {
    let program = Program::Kvd(binary::with_mutants().expect("kvd builds with its planted bugs"));
    let env = mutant.map(|mutant| (fault::MUTANT.to_owned(), mutant.to_owned())).into_iter().collect();
    let (fault, seed) = (Fault { calls, effect, since }, common::seed());
    let series = Series { program, env, case: case(name), fault, seed, most, stride: 1, notes: None };
    let found = series.run().expect("the harness works");
    let place = format!("{name} {} HARNESS_SEED={seed}", fault.name());
    fault::say(&format!("{place}: {} of {} lives hit, {:?}", found.hits, found.lives, found.broken.first()));
    assert!(found.hits > 0, "{place}: nothing was hit: this check cannot fail");
    found
}

fn sound(name: &str, calls: &'static str, effect: Effect, since: Since, most: u64) {
    let found = series(name, calls, effect, since, most, None);
    common::assert_sound(&found.broken, common::seed());
}

/// The first calls of a kind find a planted bug, and by one of these rules.
fn finds(mutant: &str, name: &str, calls: &'static str, effect: Effect, most: u64, rules: &[Rule]) {
    let (begin, seed) = (clock::now(), common::seed());
    let found = series(name, calls, effect, Since::Serving, most, Some(mutant));
    let (is_found, why) = common::found(&found.broken, rules);
    common::assert_found(mutant, "L4", &format!("life {}", found.lives), begin, seed, is_found, &why);
}

/// Whether strace is missing: then it is said, once for each test.
fn skipped() -> bool {
    let reason = fault::strace_missing();
    reason.iter().for_each(|reason| fault::skipped("L4", reason));
    reason.is_some()
}

#[test]
fn calls_that_kill() {
    let _turn = common::alone();
    if !skipped() {
        sound("types-always", WRITE, Effect::Kill, Since::Serving, 4);
        sound("types-always", SYNC, Effect::Kill, Since::Start, 4);
        sound("config", "rename,renameat,renameat2", Effect::Kill, Since::Serving, 2);
    }
}

#[test]
fn calls_that_fail() {
    let _turn = common::alone();
    if !skipped() {
        // The fourth write makes the first segment, before anybody can be told that it has failed.
        sound("types-always", WRITE, EIO, Since::Start, 5);
        sound("types-always", SYNC, EIO, Since::Serving, 2);
        sound("types", SYNC, EIO, Since::Serving, 2);
        sound("types", WRITE, FULL, Since::Serving, 3);
    }
}

#[test]
fn an_answered_write_is_not_older_than_two_seconds() {
    let _turn = common::alone();
    if skipped() {
        return;
    }
    let found = slow::run(common::kvd(), &[], 1500, common::millis(4000)).expect("the harness works");
    fault::say(&format!("each sync takes 1.5 s longer: {found:?}"));
    assert_eq!(found.lost_writes, 0, "{found:?}");
    assert!(found.oldest_ms <= slow::OLDEST_MS && found.oldest_ms > 200 && found.syncs > 0, "{found:?}");
}

#[test]
fn planted_bugs_are_found() {
    let _turn = common::alone();
    if skipped() {
        return;
    }
    // (Built before anything is timed.)
    let program = Program::Kvd(binary::with_mutants().expect("kvd builds with its planted bugs"));
    finds("ignore_write_errors", "types", WRITE, EIO, 6, &[Rule::AckedSurvives, Rule::Serves]);
    finds("retry_failed_fsync", "types-always", SYNC, EIO, 6, &[Rule::SyncedOnce]);
    // At a sync it would depend on who else is in the midst of a write.
    finds("ack_before_write", "types-always", WRITE, Effect::Kill, 12, &[Rule::AckedSurvives, Rule::NoResurrection]);
    for mutant in [None, Some("short_write_not_looped")] {
        let env: Vec<_> = mutant.iter().map(|&mutant| (fault::MUTANT.to_owned(), mutant.to_owned())).collect();
        let (begin, seed) = (clock::now(), common::seed());
        let found = short::run(&program, &env, &case("types"), 3, seed).expect("the harness works");
        assert!(found.hits > 0, "nothing was cut short");
        match mutant {
            None => common::assert_sound(&found.broken, seed),
            Some(mutant) => {
                let (is_found, why) = common::found(&found.broken, &[Rule::NoTear]);
                common::assert_found(mutant, "L4", &format!("life {}", found.lives), begin, seed, is_found, &why);
            }
        }
    }
}

#[test]
fn spoilt_files() {
    let _turn = common::alone();
    let (program, mut random) = (common::kvd(), Random::new(common::seed()));
    let killed = Victim::make(program.clone(), &common::SMALL_SEGMENTS, End::Killed).expect("the harness works");
    for tail in Tail::ALL {
        let tally = tail::run(&killed, tail, 5, &mut random).expect("the harness works");
        assert_eq!(tally.of(Outcome::Whole), 5, "{tail}: {tally}; {:?}", tally.first);
    }
    let stopped = Victim::make(program, &common::SMALL_SEGMENTS, End::Stopped).expect("the harness works");
    let tally = rot::run(&stopped, 20, &mut random).expect("the harness works");
    fault::say(&format!("turned bits: {tally}"));
    assert!(tally.of(Outcome::Refused) > 0, "{tally}");
    assert_eq!(tally.of(Outcome::Missing) + tally.of(Outcome::Wrong), 0, "{tally}; {:?}", tally.first);
}

/// Whoever judges servers by what they show must see what is wrong: of this one it is known.
#[test]
fn spoilt_files_of_redis() {
    let _turn = common::alone();
    if std::process::Command::new("redis-server").arg("--version").output().is_err() {
        return fault::skipped("spoilt files of redis-server", "no redis-server");
    }
    let program = Program::Redis("redis-server".into());
    let stopped = Victim::make(program, &[], End::Stopped).expect("the harness works");
    let tally = rot::run(&stopped, 20, &mut Random::new(common::seed())).expect("the harness works");
    assert!(tally.of(Outcome::Wrong) > 0, "{tally}");
}
