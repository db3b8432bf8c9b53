//! What clients send is nobody's business who reads the log: at the most talkative level it holds none of it.
//!
//! Names that clients give themselves stand in lines that describe a client, as in Redis: they are there to tell one from
//! the other, and are neither keys nor values.

use std::io::Write;
use std::time::Duration;

use crate::client::{Client, set};
use crate::server::Target;

const CANARY: &str = "canary7Q";
const NAME: &str = "name7Q";

#[test]
fn the_log_holds_nothing_that_clients_sent() {
    let folder = tempfile::tempdir().expect("there is room");
    let log = folder.path().join("log");
    let log_path = log.display().to_string();
    let arguments = ["--logfile", &log_path, "--loglevel", "debug", "--slowlog-log-slower-than", "0"];
    let arguments = [&arguments[..], &["--latency-monitor-threshold", "1", "--enable-debug-command", "yes"]].concat();
    let server = Target::with(&arguments);
    let mut owner = Client::connect(&server);
    owner.expect(&format!("CLIENT SETNAME {NAME}"), "+OK\r\n");
    owner.expect(&format!("CLIENT SETINFO LIB-NAME {NAME}"), "+OK\r\n");
    say_everything(&mut owner, &server);
    overflow(&mut owner, &server);
    let text = std::fs::read_to_string(&log).expect("there is a log");
    assert!(text.contains(" DEBUG ") && text.contains("scheduled to be closed ASAP"), "it is talkative: {text}");
    owner.send("SHUTDOWN\r\n");
    assert!(owner.rest().is_empty());
    drop(server);
    let text = std::fs::read_to_string(&log).expect("there is a log");
    for line in text.lines() {
        assert!(!line.contains(CANARY), "{line}");
        assert!(!line.contains(NAME) || line.contains("id="), "{line}");
    }
}

/// Requests that succeed, and those that fail in every way there is.
fn say_everything(owner: &mut Client, server: &Target) {
    let c = CANARY;
    let lines = [
        format!("SET {c} {c}"),
        format!("GET {c}"),
        format!("INCR {c}"),
        format!("LPUSH {c} {c}"),
        format!("EXPIRE {c} {c}"),
        format!("SET {c} {c} {c}"),
        format!("HSET h:{c} {c} {c}"),
        format!("HPEXPIRE h:{c} 1 FIELDS 1 {c}"),
        format!("PSETEX short:{c} 1 {c}"),
        format!("{c} {c}"),
        format!("CONFIG {c}"),
        format!("CONFIG SET {c} {c}"),
        format!("CONFIG SET timeout {c}"),
        format!("CONFIG SET dir /{c}"),
        format!("CONFIG GET {c}"),
        format!("CLIENT KILL {c}"),
        format!("CLIENT KILL ID {c}"),
        format!("OBJECT ENCODING {c}"),
        format!("RESTORE r:{c} 0 {c}"),
        format!("SORT {c} BY {c}* GET {c}*"),
        format!("KEYS *{c}*"),
        format!("SCAN 0 MATCH {c}*"),
        format!("WATCH {c}"),
        "MULTI".to_owned(),
        format!("SET {c} {c}"),
        c.to_owned(),
        "EXEC".to_owned(),
        format!("AUTH {c}"),
        format!("AUTH {c} {c}"),
        format!("HELLO 3 AUTH {c} {c}"),
        format!("HELLO {c}"),
        format!("ECHO {c}"),
        format!("DEBUG OBJECT {c}"),
        format!("DEBUG {c}"),
        format!("PUBLISH {c} {c}"),
        format!("MIGRATE 127.0.0.1 1 {c} 0 1"),
        format!("EVAL {c} 0"),
        format!("COMMAND DOCS {c}"),
        format!("CONFIG SET requirepass {c}"),
    ];
    for line in &lines {
        owner.send(format!("{line}\r\n"));
    }
    // Everything before has been run when this one has.
    owner.send("ECHO done\r\n");
    while owner.line() != "done" {}
    let mut stranger = Client::connect(server);
    stranger.send(format!("GET {c}\r\nAUTH x{c}\r\nAUTH {c}\r\nSUBSCRIBE {c}\r\nPSUBSCRIBE {c}*\r\nQUIT\r\n"));
    stranger.rest();
    owner.expect("CONFIG SET requirepass \"\"", "+OK\r\n");
    // What breaks the protocol.
    for wrong in [
        format!("*2\r\n$3\r\nGET\r\n{c}\r\n"),
        format!("*{c}\r\n"),
        format!("*1\r\n${c}\r\n"),
        format!("GET \"{c}\r\n"),
        format!("*1\r\n$-5\r\n{c}\r\n"),
        c.repeat(20_000),
    ] {
        let mut client = Client::connect(server);
        // It may be closed while it writes.
        let _ = client.0.write_all(wrong.as_bytes());
        client.rest();
    }
    // Who is killed, and who goes, in the middle of something.
    let mut half = Client::connect(server);
    half.send(format!("*2\r\n$3\r\nGET\r\n$1000\r\n{c}"));
    let mut waiting = Client::connect(server);
    waiting.send(format!("BLPOP {c}:none 0\r\n"));
    owner.until("blocked_clients", |clients| clients == 1);
    owner.expect("CLIENT KILL TYPE normal SKIPME yes", ":2\r\n");
    drop((half, waiting));
    let mut lost = Client::connect(server);
    lost.send(format!("*2\r\n$3\r\nGET\r\n$1000\r\n{c}"));
    owner.until("connected_clients", |clients| clients == 2);
    socket2::SockRef::from(&lost.0).set_linger(Some(Duration::ZERO)).expect("it can be");
    drop(lost);
    owner.until("connected_clients", |clients| clients == 1);
}

/// Clients that are closed because of what waits for them.
fn overflow(owner: &mut Client, server: &Target) {
    owner.send(set(&format!("large:{CANARY}"), 1 << 20));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET client-output-buffer-limit \"normal 2mb 0 0 pubsub 1mb 0 0\"", "+OK\r\n");
    let mut greedy = Client::connect(server);
    greedy.send(format!("CLIENT SETNAME {NAME}\r\nMGET{}\r\n", format!(" large:{CANARY}").repeat(100)));
    greedy.rest();
    let mut deaf = Client::connect(server);
    deaf.send(format!("SUBSCRIBE {CANARY}\r\n"));
    owner.until("pubsub_clients", |clients| clients == 1);
    let message = format!("PUBLISH {CANARY} {}\r\n", CANARY.repeat(7000));
    while owner.info("pubsub_clients") == 1 {
        owner.send(&message);
        owner.line();
    }
    owner.expect("CONFIG SET maxmemory-clients 1mb", "+OK\r\n");
    let mut hoarder = Client::connect(server);
    let _ = hoarder.0.write_all(&set(CANARY, 4 << 20));
    hoarder.rest();
    owner.until("evicted_clients", |clients| clients >= 1);
}
