//! What a server says of itself: its counts of calls, and its log for people.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use harness::client::Client;
use harness::files;
use harness::process::{Mode, Server};
use harness::wire::Reply;
use tempfile::TempDir;

struct One {
    server: Server,
    log: PathBuf,
    _room: TempDir,
}

fn one() -> One {
    let room = TempDir::with_prefix("harness-observed-").unwrap();
    let data = room.path().join("data");
    files::make_dir(&data).unwrap();
    let launch = common::launch(&data, Mode::EverySec);
    One { server: common::start(&launch), log: launch.log, _room: room }
}

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

/// A large value makes its command begin twice: once to find that a file has to be written first. It is one call.
#[test]
fn a_large_write_is_one_call() {
    let one = one();
    let mut client = one.server.connect().unwrap();
    let large = vec![b'v'; 2 << 20];
    assert_eq!(client.call(&[b"SET", b"small", b"1"]).unwrap(), ok());
    assert_eq!(client.call(&[b"SET", b"large", &large]).unwrap(), ok());
    assert_eq!(client.call(&[b"GETSET", b"large", &large]).unwrap(), Reply::Bulk(large));
    let Reply::Bulk(text) = client.call(&[b"INFO", b"commandstats"]).unwrap() else { panic!("INFO") };
    let text = String::from_utf8(text).unwrap();
    for counted in ["cmdstat_set:calls=2,", "cmdstat_getset:calls=1,"] {
        assert!(text.lines().any(|line| line.starts_with(counted)), "{counted} {text}");
    }
}

/// Sends a line of HTTP, about which the server warns before it closes the connection; how many warnings there are.
fn warned(one: &One) -> usize {
    let mut stranger = one.server.connect().unwrap();
    stranger.send_raw(b"POST / HTTP/1.1\r\n").unwrap();
    assert!(stranger.reply().is_err(), "an HTTP request was answered");
    let log = String::from_utf8(files::read(&one.log).unwrap()).unwrap();
    log.lines().filter(|line| line.contains("SECURITY ATTACK")).count()
}

/// A level counts from the answer on, for what is logged on every thread.
#[test]
fn the_log_level_can_be_changed() {
    let one = one();
    let mut client = one.server.connect().unwrap();
    let set = |client: &mut Client, level: &str| {
        assert_eq!(client.call(&[b"CONFIG", b"SET", b"loglevel", level.as_bytes()]).unwrap(), ok());
    };
    assert_eq!(warned(&one), 1);
    set(&mut client, "nothing");
    assert_eq!(warned(&one), 1);
    set(&mut client, "warning");
    assert_eq!(warned(&one), 2);
    set(&mut client, "nothing");
    assert_eq!(warned(&one), 2);
    set(&mut client, "debug");
    assert_eq!(warned(&one), 3);
}
