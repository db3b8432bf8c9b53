//! Connections that end or stop reading in the middle of something: nobody else may notice, and whoever reads on is
//! answered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use harness::client::{Address, Client};
use harness::fault;
use harness::files;
use harness::process::{Mode, Server};
use harness::wire::Reply;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server with one worker, on a port and a unix socket.
struct One {
    server: Server,
    socket: PathBuf,
    _room: TempDir,
}

fn one() -> One {
    let room = TempDir::with_prefix("harness-connections-").unwrap();
    let data = room.path().join("data");
    files::make_dir(&data).unwrap();
    let socket = room.path().join("kvd.sock");
    let mut launch = common::launch(&data, Mode::EverySec);
    launch.args = ["--threads", "1", "--unixsocket", socket.to_str().unwrap()].map(str::to_owned).to_vec();
    One { server: common::start(&launch), socket, _room: room }
}

fn id(client: &mut Client) -> String {
    match client.call(&[b"CLIENT", b"ID"]).unwrap() {
        Reply::Int(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What a client sends after it was killed is read by nobody, least of all in the session of another.
#[test]
fn bytes_of_a_killed_client_go_with_it() {
    let _turn = common::alone();
    let one = one();
    let (mut killer, mut other) = (one.server.connect().unwrap(), one.server.connect().unwrap());
    for batch in 0..100 {
        let keys: Vec<String> = (0..2000).map(|n| format!("key:{batch}:{n}")).collect();
        let mset: Vec<&[u8]> =
            std::iter::once(&b"MSET"[..]).chain(keys.iter().flat_map(|key| [key.as_bytes(), b"v"])).collect();
        assert_eq!(other.call(&mset).unwrap(), Reply::Simple("OK".into()));
    }
    for round in 0..5 {
        let mut victim = one.server.connect().unwrap();
        let id = id(&mut victim);
        // The walk over all keys keeps the worker busy while the victim goes on writing.
        killer.queue(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]);
        killer.queue(&[b"KEYS", b"nothing*"]);
        killer.flush().unwrap();
        std::thread::sleep(common::millis(5));
        let _ = victim.send_raw(b"SET leaked 1\r\n");
        assert_eq!(killer.reply().unwrap(), Reply::Int(1), "round {round}");
        killer.reply().unwrap();
        assert_eq!(other.call(&[b"GET", b"leaked"]).unwrap(), Reply::Nil, "round {round}");
        assert_eq!(other.call(&[b"ECHO", b"mine"]).unwrap(), Reply::Bulk(b"mine".to_vec()), "round {round}");
    }
}

/// A reply that the socket did not take at once is sent when it does, and so is what was gated behind it meanwhile.
#[test]
fn a_slow_reader_gets_everything_in_the_end() {
    let _turn = common::alone();
    let one = one();
    let mut writer = one.server.connect().unwrap();
    let value = vec![b'v'; 600 << 10];
    assert_eq!(writer.call(&[b"SET", b"big", &value]).unwrap(), Reply::Simple("OK".into()));
    for gets in [1, 3] {
        let mut slow = Client::connect(&Address::Unix(one.socket.clone()), PATIENCE).unwrap();
        slow.send_raw(&b"GET big\r\n".repeat(gets)).unwrap();
        std::thread::sleep(common::millis(50));
        slow.send_raw(b"SET x 1\r\n").unwrap();
        std::thread::sleep(common::millis(50));
        for get in 0..gets {
            let reply = slow.reply().unwrap_or_else(|error| panic!("GET {get} of {gets}: {error}"));
            assert!(reply == Reply::Bulk(value.clone()), "GET {get} of {gets}");
        }
        assert_eq!(slow.reply().unwrap_or_else(|error| panic!("behind {gets}: {error}")), Reply::Simple("OK".into()));
    }
}

/// Nobody waits for the disk on behalf of a client that has gone, whatever it had asked for.
#[test]
fn a_client_that_has_gone_does_not_wait_for_the_disk() {
    let _turn = common::alone();
    let room = TempDir::with_prefix("harness-connections-").unwrap();
    let data = room.path().join("data");
    files::make_dir(&data).unwrap();
    let socket = room.path().join("kvd.sock");
    let mut launch = common::launch(&data, Mode::Always);
    launch.args = ["--unixsocket", socket.to_str().unwrap()].map(str::to_owned).to_vec();
    launch.env.push(fault::slow_sync(4000));
    let server = common::start(&launch);
    let mut witness = server.connect().unwrap();
    for request in [&b"SET a b\r\nQUIT\r\n"[..], b"SET a b\r\nSAVE\r\nPING\r\n"] {
        let mut leaver = Client::connect(&Address::Unix(socket.clone()), PATIENCE).unwrap();
        leaver.send_raw(request).unwrap();
        std::thread::sleep(common::millis(50));
        drop(leaver);
        std::thread::sleep(common::millis(1000));
        let Reply::Bulk(info) = witness.call(&[b"INFO", b"clients"]).unwrap() else { panic!("INFO is text") };
        let info = String::from_utf8(info).unwrap();
        assert!(info.contains("connected_clients:1\r\n"), "{info}");
    }
}

/// Sixteen KiB of errors are enough for somebody who has no password, and he is not waited for.
#[test]
fn a_stranger_holds_nothing() {
    let _turn = common::alone();
    let one = one();
    let mut owner = one.server.connect().unwrap();
    assert_eq!(owner.call(&[b"CONFIG", b"SET", b"requirepass", b"secret"]).unwrap(), Reply::Simple("OK".into()));
    let mut stranger = Client::connect(&one.server.address, PATIENCE).unwrap();
    let _ = stranger.send_raw(&b"a\r\n".repeat(20_000));
    let mut replies = 0;
    while stranger.reply().is_ok() {
        replies += 1;
    }
    assert!((1..1000).contains(&replies), "{replies} replies");
    let mut guest = Client::connect(&one.server.address, PATIENCE).unwrap();
    assert_eq!(guest.call(&[b"AUTH", b"secret"]).unwrap(), Reply::Simple("OK".into()));
}
