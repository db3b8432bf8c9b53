//! A store that takes long to open: clients are answered at once, and served on the same connection when it is open; a
//! server that is to end does not wait for it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use harness::client::Client;
use harness::process::{Launch, Mode, Server};
use harness::wire::Reply;
use harness::{clock, fault, files};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
/// Time for a client to ask what it has to ask while the store is being opened.
const MOMENT_MS: u64 = 2000;
const FOR_EVER_MS: u64 = 600_000;

/// A store with one key, and how to start a server on it that takes so long to open it.
fn slow(room: &TempDir, delay_ms: u64) -> Launch {
    let data = room.path().join("data");
    files::make_dir(&data).unwrap();
    let mut launch = common::launch(&data, Mode::EverySec);
    let mut server = common::start(&launch);
    assert_eq!(server.connect().unwrap().call(&[b"SET", b"key", b"value"]).unwrap(), simple("OK"));
    server.kill().unwrap();
    launch.env.push(fault::delayed("recover.scan", delay_ms));
    launch
}

fn simple(text: &str) -> Reply {
    Reply::Simple(text.to_owned())
}

/// A connection to a server that may not listen yet.
fn connect(server: &Server) -> Client {
    let mut client = None;
    clock::wait_until(PATIENCE, || {
        client = server.connect().ok();
        client.is_some()
    });
    client.unwrap()
}

fn is_loading(reply: &Reply) -> bool {
    *reply == Reply::Error("LOADING Redis is loading the dataset in memory".to_owned())
}

/// The number behind a name in INFO.
fn info(client: &mut Client, name: &str) -> Option<u64> {
    let Reply::Bulk(text) = client.call(&[b"INFO", b"persistence"]).unwrap() else { panic!("INFO") };
    let text = String::from_utf8(text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
}

#[test]
fn who_comes_early_is_told_and_then_served() {
    let room = TempDir::with_prefix("harness-loading-").unwrap();
    let server = slow(&room, MOMENT_MS).spawn().unwrap();
    let mut client = connect(&server);
    for request in [&[&b"PING"[..]][..], &[b"GET", b"key"], &[b"SET", b"key", b"other"], &[b"WATCH", b"key"]] {
        let reply = client.call(request).unwrap();
        assert!(is_loading(&reply), "{request:?} {reply:?}");
    }
    let populated = client.call(&[b"DEBUG", b"POPULATE", b"10"]).unwrap();
    assert!(is_loading(&populated), "nothing is written that nobody would find: {populated:?}");
    assert_eq!(info(&mut client, "loading"), Some(1));
    assert!(info(&mut client, "loading_total_bytes").is_some_and(|bytes| bytes > 0));
    assert!(info(&mut client, "loading_eta_seconds").is_some());
    assert_eq!(client.call(&[b"CONFIG", b"SET", b"appendfsync", b"always"]).unwrap(), simple("OK"));
    assert_eq!(client.call(&[b"MULTI"]).unwrap(), simple("OK"));
    assert!(is_loading(&client.call(&[b"SET", b"key", b"other"]).unwrap()));
    let aborted = client.call(&[b"EXEC"]).unwrap();
    assert!(matches!(&aborted, Reply::Error(text) if text.starts_with("EXECABORT")), "{aborted:?}");

    assert!(clock::wait_until(PATIENCE, || client.call(&[b"PING"]).unwrap() == simple("PONG")));
    assert_eq!(client.call(&[b"GET", b"key"]).unwrap(), Reply::Bulk(b"value".to_vec()));
    assert_eq!(client.call(&[b"DBSIZE"]).unwrap(), Reply::Int(1));
    assert_eq!((info(&mut client, "loading"), info(&mut client, "loading_eta_seconds")), (Some(0), None));
    let Reply::Bulk(text) = client.call(&[b"INFO", b"persistence"]).unwrap() else { panic!("INFO") };
    assert!(String::from_utf8(text).unwrap().contains("log_mode:always"), "what was set meanwhile counts");
}

#[test]
fn the_end_does_not_wait_for_the_opening() {
    let room = TempDir::with_prefix("harness-loading-").unwrap();
    let mut launch = slow(&room, FOR_EVER_MS);
    for way in ["SIGTERM", "SHUTDOWN"] {
        let mut server = launch.spawn().unwrap();
        let mut client = connect(&server);
        assert!(is_loading(&client.call(&[b"PING"]).unwrap()));
        let ended = if way == "SIGTERM" {
            server.terminate(PATIENCE).unwrap()
        } else {
            client.queue(&[b"SHUTDOWN", b"NOSAVE"]);
            client.flush().unwrap();
            server.wait_for_end(PATIENCE).unwrap()
        };
        assert!(ended.is_some_and(|status| status.success()), "{way}: {ended:?} {}", server.output());
    }
    launch.env.clear();
    let server = common::start(&launch);
    let value = server.connect().unwrap().call(&[b"GET", b"key"]).unwrap();
    assert_eq!(value, Reply::Bulk(b"value".to_vec()), "the store is as it was");
}
