//! SIGTERM and a new start: the state hash is the same, over a store with values of all types.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use harness::process::{Mode, Server};
use harness::random::Random;
use harness::store::{self, Store, Until};
use harness::wire::Reply;
use harness::{digest, fault};

/// Commands of each client.
const COMMANDS: u64 = 1500;

/// How many keys of each type there are.
fn census(server: &Server) -> Vec<(&'static str, usize)> {
    let mut client = server.connect().unwrap();
    let count = |kind: &'static str| {
        let reply = client.call(&[b"SCAN", b"0", b"COUNT", b"100000", b"TYPE", kind.as_bytes()]).unwrap();
        let Reply::Array(parts) = reply else { panic!("SCAN: {reply:?}") };
        let Some(Reply::Array(names)) = parts.get(1) else { panic!("SCAN without a page") };
        (kind, names.len())
    };
    ["string", "list", "hash", "set", "zset"].map(count).to_vec()
}

fn stop_and_start(mode: Mode) {
    let _turn = common::alone();
    let seed = common::seed();
    let mut store = Store::new(common::plan(mode), 1, Random::new(seed)).unwrap();
    let mut server = store.start().unwrap().unwrap();
    store.load(&mut server, Until::Commands(COMMANDS)).unwrap();
    common::assert_sound(&store.judge(&server).unwrap(), seed);
    digest::still(&server).unwrap();
    let (before, types) = (digest::of(&server).unwrap(), census(&server));
    fault::say(&format!("{}: {before:?} over {types:?}", mode.word()));
    assert!(before.is_some() && types.iter().all(|(_, count)| *count > 0), "{before:?} {types:?}");
    assert_eq!(store::stopped(&mut server).unwrap(), None);
    let server = store.start().unwrap().unwrap();
    assert_eq!((digest::of(&server).unwrap(), census(&server)), (before.clone(), types), "HARNESS_SEED={seed}");
    // The hash is one of contents: a field more and it is another.
    server.connect().unwrap().call(&[b"HSET", b"another", b"field", b"value"]).unwrap();
    assert_ne!(digest::of(&server).unwrap(), before);
}

#[test]
fn always_has_the_same_state_after_a_clean_stop() {
    stop_and_start(Mode::Always);
}

#[test]
fn everysec_has_the_same_state_after_a_clean_stop() {
    stop_and_start(Mode::EverySec);
}

#[test]
fn no_has_the_same_state_after_a_clean_stop() {
    stop_and_start(Mode::No);
}
