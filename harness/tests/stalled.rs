//! The disk takes four seconds for a sync, so a writer is made to wait: what it sent is run once, in its order, and a
//! server that is to end does not wait for it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use harness::client::Client;
use harness::process::{Launch, Mode, Server};
use harness::wire::Reply;
use harness::{clock, fault, files};
use tempfile::TempDir;

const SYNC_MS: u64 = 4000;
/// In `everysec` a write waits when the oldest byte that is not on the disk is older than this.
const STALLED_MS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a server that answers, and short beside what is left of a sync when a write is first made to wait.
const MOMENT: Duration = Duration::from_millis(300);

struct Slow {
    launch: Launch,
    server: Server,
    _room: TempDir,
}

fn slow(mode: Mode) -> Slow {
    let room = TempDir::with_prefix("harness-stalled-").unwrap();
    let data = room.path().join("data");
    files::make_dir(&data).unwrap();
    let mut launch = common::launch(&data, mode);
    // Large segments: a fresh one has to be synced before it is used, and this is not about that.
    launch.args.clear();
    launch.env.push(fault::slow_sync(SYNC_MS));
    let server = common::start(&launch);
    Slow { launch, server, _room: room }
}

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

fn value(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

/// The number behind a name in INFO.
fn info(client: &mut Client, section: &str, name: &str) -> String {
    let Reply::Bulk(text) = client.call(&[b"INFO", section.as_bytes()]).unwrap() else { panic!("INFO {section}") };
    let text = String::from_utf8(text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().to_owned()
}

/// Writes, and waits until the next writer is made to wait for the disk.
fn stall(client: &mut Client) {
    assert_eq!(client.call(&[b"SET", b"before", b"1"]).unwrap(), ok());
    let stalled = clock::wait_until(PATIENCE, || {
        let age_ms: u64 = info(client, "persistence", "log_unsynced_age_ms").parse().unwrap();
        age_ms >= STALLED_MS
    });
    assert!(stalled, "the disk is not slow enough for this test");
}

#[test]
fn flushall_waits_and_is_answered_once_and_in_order() {
    let _turn = common::alone();
    let slow = slow(Mode::EverySec);
    let (mut client, mut other) = (slow.server.connect().unwrap(), slow.server.connect().unwrap());
    stall(&mut other);
    client.queue(&[b"PING"]);
    client.queue(&[b"FLUSHALL"]);
    client.queue(&[b"GET", b"before"]);
    client.queue(&[b"SET", b"after", b"2"]);
    client.queue(&[b"DBSIZE"]);
    client.queue(&[b"GET", b"after"]);
    client.flush().unwrap();
    assert_eq!(client.reply().unwrap(), Reply::Simple("PONG".to_owned()));
    std::thread::sleep(MOMENT);
    assert_eq!(other.call(&[b"GET", b"before"]).unwrap(), value("1"), "FLUSHALL did not wait for the disk");
    let replies: Vec<Reply> = (0..5).map(|_| client.reply().unwrap()).collect();
    assert_eq!(replies, [ok(), Reply::Nil, ok(), Reply::Int(1), value("2")]);
    let calls = info(&mut other, "commandstats", "cmdstat_flushall");
    assert!(calls.starts_with("calls=1,"), "{calls}");
}

#[test]
fn a_server_ends_though_a_writer_waits_for_the_disk() {
    let _turn = common::alone();
    let mut slow = slow(Mode::EverySec);
    let (mut client, mut other) = (slow.server.connect().unwrap(), slow.server.connect().unwrap());
    stall(&mut other);
    client.queue(&[b"PING"]);
    client.queue(&[b"SET", b"waiting", b"2"]);
    client.flush().unwrap();
    assert_eq!(client.reply().unwrap(), Reply::Simple("PONG".to_owned()));
    let ended = slow.server.terminate(PATIENCE).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {}", slow.server.output());
    assert!(client.reply().is_err(), "what did not run before the end is not answered");
    let server = common::start(&Launch { env: Vec::new(), ..slow.launch });
    let mut client = server.connect().unwrap();
    assert_eq!(client.call(&[b"GET", b"before"]).unwrap(), value("1"));
    assert_eq!(client.call(&[b"GET", b"waiting"]).unwrap(), Reply::Nil);
}

#[test]
fn a_server_that_ends_answers_what_waits_for_its_sync() {
    let _turn = common::alone();
    let mut slow = slow(Mode::Always);
    let (mut client, mut other) = (slow.server.connect().unwrap(), slow.server.connect().unwrap());
    let mut appended = || info(&mut other, "persistence", "log_appended");
    let before = appended();
    client.queue(&[b"SET", b"waiting", b"1"]);
    client.flush().unwrap();
    assert!(clock::wait_until(PATIENCE, || appended() != before), "the SET is not run");
    let ended = slow.server.terminate(PATIENCE).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {}", slow.server.output());
    assert_eq!(client.reply().unwrap(), ok());
    let server = common::start(&Launch { env: Vec::new(), ..slow.launch });
    assert_eq!(server.connect().unwrap().call(&[b"GET", b"waiting"]).unwrap(), value("1"));
}
