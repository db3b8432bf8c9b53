//! Requests that take long run apart: what they answer and change is what they would in their place.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::client::{Client, own};
use crate::server::Target;

/// So many short elements that a collection's image is larger than 1 MiB.
const ELEMENTS: usize = 150_000;

const PONG: &[u8] = b"+PONG\r\n";

/// A client of a server with large collections: two sets, two sorted sets, a list, a hash.
fn with_large(target: &Target) -> Client {
    let mut client = Client::connect(target);
    for (command, key, from, scored) in [
        ("SADD", "set1", 0, false),
        ("SADD", "set2", ELEMENTS / 2, false),
        ("ZADD", "zset1", 0, true),
        ("ZADD", "zset2", ELEMENTS / 2, true),
        ("RPUSH", "list", 0, false),
        ("HSET", "hash", 0, true),
    ] {
        let mut request = format!("*{}\r\n$4\r\n", 2 + ELEMENTS * (1 + usize::from(scored)));
        request = request.replacen("$4", &format!("${}", command.len()), 1);
        request += &format!("{command}\r\n${}\r\n{key}\r\n", key.len());
        for number in from..from + ELEMENTS {
            if scored {
                request += &format!("${}\r\n{number}\r\n", number.to_string().len());
            }
            let element = format!("element:{number}");
            request += &format!("${}\r\n{element}\r\n", element.len());
        }
        client.send(request);
        assert_eq!(client.line(), format!(":{ELEMENTS}"));
    }
    client
}

/// Everything up to the next PONG.
fn until_pong(client: &mut Client) -> Vec<String> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    while !bytes.ends_with(PONG) {
        let read = client.0.read(&mut piece).expect("the server answers");
        bytes.extend_from_slice(&piece[..read]);
    }
    let lines = String::from_utf8_lossy(&bytes[..bytes.len() - PONG.len()]).into_owned();
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn it_answers_and_changes_what_it_would_in_its_place() {
    let Some(target) = own() else { return };
    let mut client = with_large(&target);
    // Those that brought it all had very many words.
    let mut ran = client.info("requests_run_apart");
    assert_eq!(ran, 6);
    for request in [
        "SUNION set1 set2",
        "SINTER set1 set2",
        "SDIFF set1 set2",
        "SINTERCARD 2 set1 set2 LIMIT 1000",
        "SUNIONSTORE to set1 set2",
        "SINTERSTORE to set1 set2",
        "SDIFFSTORE to set1 set2",
        "SUNION set1 list",
        "ZUNION 2 zset1 set2 WITHSCORES",
        "ZINTER 2 zset1 zset2 WEIGHTS 2 3 WITHSCORES",
        "ZDIFF 2 zset1 zset2",
        "ZINTERCARD 2 zset1 zset2",
        "ZUNIONSTORE to 2 zset1 zset2",
        "ZINTERSTORE to 2 zset1 zset2 AGGREGATE MAX",
        "ZDIFFSTORE to 2 zset1 zset2",
        "SORT list ALPHA DESC LIMIT 10 5",
        "SORT list ALPHA STORE to",
        "SORT list",
        "SORT_RO set1 ALPHA GET # GET other* LIMIT 0 20",
        "SMEMBERS set1",
        "HGETALL hash",
        "HKEYS hash",
        "HVALS hash",
        "DUMP set2",
        "LRANGE list 0 -1",
        "LRANGE list 10 99999",
        "ZRANGE zset1 -100000 -1 WITHSCORES",
        "COPY hash to REPLACE",
        "COPY hash to",
    ] {
        let changes = request.contains(" to") && !request.ends_with("hash to");
        client.send(format!("{request}\r\nPING\r\n"));
        let apart = until_pong(&mut client);
        ran += 1;
        assert_eq!(client.info("requests_run_apart"), ran, "{request}");
        let digest = |client: &mut Client| {
            client.send("DEBUG DIGEST-VALUE to\r\nPING\r\n");
            until_pong(client)
        };
        let made = digest(&mut client);
        if changes {
            client.expect("DEL to", ":1\r\n");
        }
        // Within EXEC nothing runs apart.
        client.send(format!("MULTI\r\n{request}\r\nEXEC\r\nPING\r\n"));
        let within = until_pong(&mut client);
        assert_eq!(within[..3], ["+OK", "+QUEUED", "*1"], "{request}");
        let difference = apart.iter().zip(&within[3..]).find(|(apart, within)| apart != within);
        assert!(apart.len() == within.len() - 3 && difference.is_none(), "{request}: {difference:?}");
        assert_eq!(digest(&mut client), made, "{request}");
    }
    // A few of very many are soon there.
    client.expect("LRANGE list 149999 160000", "*1\r\n$14\r\nelement:149999\r\n");
    client.expect("ZRANGE zset1 (1 (3 BYSCORE", "*1\r\n$9\r\nelement:2\r\n");
    assert_eq!(client.info("requests_run_apart"), ran);
}

#[test]
fn replies_keep_their_order_and_who_wants_the_same_keys_waits() {
    let Some(target) = own() else { return };
    drop(with_large(&target));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let target = &target;
            scope.spawn(move || {
                let mut client = Client::connect(target);
                for round in 0..5 {
                    // All in one write: some of it waits for what others run apart, on the same keys.
                    client.send(format!(
                        "SINTERSTORE to{number} set1 set2\r\nSCARD to{number}\r\nSADD set1 {number}:{round}\r\nPING\r\n\
                         ZUNIONSTORE both 2 zset1 zset2\r\nMULTI\r\nSCARD set2\r\nZCARD both\r\nEXEC\r\nDBSIZE\r\n"
                    ));
                    let half = ELEMENTS / 2;
                    client.expect_reply(&format!(":{half}\r\n:{half}\r\n:1\r\n+PONG\r\n:{}\r\n", ELEMENTS + half));
                    client.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n");
                    client.expect_reply(&format!("*2\r\n:{ELEMENTS}\r\n:{}\r\n", ELEMENTS + half));
                    assert!(client.line().starts_with(':'));
                }
            });
        }
    });
    let mut client = Client::connect(&target);
    client.expect("SCARD set1", &format!(":{}\r\n", ELEMENTS + 20));
    assert_eq!(client.info("requests_run_apart"), 6 + 40);
}

#[test]
fn whoever_wants_other_keys_is_served_meanwhile() {
    if own().is_none() {
        return;
    }
    // One thread serves all: who holds it is seen.
    let target = Target::with(&["--threads", "1"]);
    let mut slow = with_large(&target);
    let [mut same, mut other] = [(); 2].map(|()| Client::connect(&target));
    let served_meanwhile = (0..5).any(|_| {
        slow.send("ZUNIONSTORE to 2 zset1 zset2\r\n");
        std::thread::sleep(Duration::from_millis(20));
        same.send("ZCARD zset1\r\n");
        // One may be answered in the turn in which the thread is let go; not so many.
        (0..10).for_each(|_| other.expect("PING", "+PONG\r\n"));
        slow.0.set_nonblocking(true).expect("it can be set");
        let early = slow.0.peek(&mut [0]).map_err(|error| error.kind());
        slow.0.set_nonblocking(false).expect("it can be set");
        slow.expect_reply(&format!(":{}\r\n", ELEMENTS + ELEMENTS / 2));
        same.expect_reply(&format!(":{ELEMENTS}\r\n"));
        early == Err(ErrorKind::WouldBlock)
    });
    assert!(served_meanwhile, "PINGs waited for a union five times");
}

#[test]
fn a_pipeline_that_takes_long_has_its_turn_and_no_more() {
    const REQUESTS: usize = 500;
    if own().is_none() {
        return;
    }
    let target = Target::with(&["--threads", "1"]);
    let [mut slow, mut other] = [(); 2].map(|()| Client::connect(&target));
    let elements: String = (0..5000).map(|number| format!(" element:{number}")).collect();
    slow.expect(&format!("RPUSH list{elements}"), ":5000\r\n");
    slow.send("SORT list ALPHA LIMIT 0 0\r\n".repeat(REQUESTS) + "PING\r\n");
    // One may be answered before the pipeline has come.
    (0..3).for_each(|_| other.expect("PING", "+PONG\r\n"));
    let mut early = vec![0; 8 * REQUESTS];
    slow.0.set_nonblocking(true).expect("it can be set");
    let early = slow.0.peek(&mut early).unwrap_or(0);
    slow.0.set_nonblocking(false).expect("it can be set");
    slow.expect_reply(&("*0\r\n".repeat(REQUESTS) + "+PONG\r\n"));
    assert!(early < 4 * REQUESTS, "PINGs waited for all of a pipeline: {early} bytes had come");
    assert_eq!(slow.info("requests_run_apart"), 0);
}

#[test]
fn very_many_words_may_be_large_too() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    let large = "v".repeat(2 << 20);
    let mut request = format!("*{}\r\n$4\r\nMSET\r\n", 1 + 2 * 30_000);
    for number in 0..30_000 {
        let key = format!("key:{number}");
        let value = if number == 7 { large.as_str() } else { "small" };
        request += &format!("${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len());
    }
    client.send(request);
    client.expect_reply("+OK\r\n");
    client.expect("STRLEN key:7", &format!(":{}\r\n", large.len()));
    client.expect("DBSIZE", ":30000\r\n");
    let keys: String = (0..30_000).map(|number| format!("$9\r\nkey:{number:05}\r\n")).collect();
    client.send(format!("*60001\r\n$3\r\nDEL\r\n{keys}{keys}"));
    client.expect_reply(":20000\r\n");
    assert_eq!(client.info("requests_run_apart"), 1);
}

#[test]
fn long_strings_run_apart() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    let mut ran = 0;
    let mut apart = |client: &mut Client, request: &str, reply: &str| {
        client.expect(request, reply);
        ran += 1;
        assert_eq!(client.info("requests_run_apart"), ran, "{:.40}", request);
    };
    let long = "x".repeat(5 << 20);
    let bulk = format!("${}\r\n{long}\r\n", long.len());
    for length in [long.len(), 2 * long.len()] {
        let mut request = format!("*3\r\n$6\r\nAPPEND\r\n$1\r\na\r\n{bulk}");
        request.truncate(request.len() - 2);
        apart(&mut client, &request, &format!(":{length}\r\n"));
    }
    apart(&mut client, "SETBIT bits 41943041 1", ":0\r\n");
    apart(&mut client, "SETRANGE range 5242880 y", ":5242881\r\n");
    apart(&mut client, "BITFIELD field SET u8 41943040 7", "*1\r\n:0\r\n");
    apart(&mut client, "BITOP OR both bits field", ":5242881\r\n");
    apart(&mut client, "COPY both copy", ":1\r\n");
    client.expect("GETRANGE copy -1 -1", "$1\r\nG\r\n");
    // What changes a little of them, or reads, is soon done.
    for (request, reply) in [
        ("APPEND a z", ":10485761\r\n"),
        ("SETBIT bits 7 1", ":0\r\n"),
        ("BITCOUNT bits", ":2\r\n"),
        ("STRLEN a", ":10485761\r\n"),
        ("GETRANGE a -2 -1", "$2\r\nxz\r\n"),
    ] {
        client.expect(request, reply);
    }
    assert_eq!(client.info("requests_run_apart"), ran);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\ns\r\n{bulk}"));
    client.expect_reply("+OK\r\n");
    // Its value was put into a file of its own, which keeps nobody waiting.
    assert_eq!(client.info("requests_run_apart"), ran);
    client.send("DUMP s\r\nPING\r\n");
    until_pong(&mut client);
    assert_eq!(client.info("requests_run_apart"), ran + 1);
}

#[test]
fn it_is_silent_closed_or_told_like_any_other() {
    let Some(target) = own() else { return };
    let mut client = with_large(&target);
    client.send("CLIENT REPLY SKIP\r\nSUNION set1 set2\r\nPING\r\n");
    assert!(until_pong(&mut client).is_empty());
    client.send("CLIENT REPLY OFF\r\nSMEMBERS set1\r\nSUNIONSTORE to set1 set2\r\nCLIENT REPLY ON\r\n");
    client.expect_reply("+OK\r\n");
    client.expect("SCARD to", &format!(":{}\r\n", ELEMENTS + ELEMENTS / 2));
    client.expect("SUNIONSTORE to set1 list", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    client.expect("SCARD to", &format!(":{}\r\n", ELEMENTS + ELEMENTS / 2));
    // Who watches a key is told of its change.
    let mut watcher = Client::connect(&target);
    watcher.expect("WATCH to", "+OK\r\n");
    client.expect("SDIFFSTORE to set1 set2", &format!(":{}\r\n", ELEMENTS / 2));
    watcher.expect("MULTI", "+OK\r\n");
    watcher.expect("PING", "+QUEUED\r\n");
    watcher.expect("EXEC", "*-1\r\n");
    client.expect("CONFIG SET client-output-buffer-limit \"normal 1mb 0 0\"", "+OK\r\n");
    let mut greedy = Client::connect(&target);
    greedy.send("SMEMBERS set1\r\nPING\r\n");
    assert!(greedy.rest().len() < 2 << 20);
    client.expect("PING", "+PONG\r\n");
}

#[test]
fn a_message_is_held_against_long_patterns_apart() {
    let Some(target) = own() else { return };
    let [mut listener, mut publisher, mut other] = [(); 3].map(|()| Client::connect(&target));
    let body = "a".repeat(1000);
    let subscribe: String = (0..20).map(|number| format!("PSUBSCRIBE *{body}b{number}*\r\n")).collect();
    listener.send(subscribe + "PSUBSCRIBE a*a\r\n");
    while listener.line() != ":21" {}
    let channel = "a".repeat(5000);
    let through =
        |payload: &str| format!("*4\r\n$8\r\npmessage\r\n$3\r\na*a\r\n$5000\r\n{channel}\r\n$1\r\n{payload}\r\n");
    publisher.expect(&format!("PUBLISH {channel} 1"), ":1\r\n");
    listener.expect_reply(&through("1"));
    assert_eq!(other.info("requests_run_apart"), 1);
    publisher.expect(&format!("MULTI\r\nPUBLISH {channel} 2\r\nEXEC"), "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
    listener.expect_reply(&through("2"));
    // A shard channel has no patterns, and this name is soon compared.
    publisher.expect(&format!("SPUBLISH {channel} 3\r\nPUBLISH b 4"), ":0\r\n:0\r\n");
    assert_eq!(other.info("requests_run_apart"), 1);
}

#[test]
fn very_many_subscriptions_are_looked_at_and_ended_apart() {
    const CHANNELS: usize = 6000;
    let Some(target) = own() else { return };
    let [mut listener, mut other] = [(); 2].map(|()| Client::connect(&target));
    let subscribe =
        format!("SUBSCRIBE{}\r\n", (0..CHANNELS).map(|number| format!(" c{number:04}")).collect::<String>());
    let confirmed = format!(":{CHANNELS}");
    listener.send(subscribe.clone());
    while listener.line() != confirmed {}
    other.send("PUBSUB CHANNELS c*0\r\nPING\r\n");
    assert_eq!(until_pong(&mut other).len(), 1 + 2 * CHANNELS / 10);
    assert_eq!(other.info("requests_run_apart"), 1);
    // What follows in the same write is confirmed behind them all.
    listener.send("UNSUBSCRIBE\r\nSUBSCRIBE last\r\n");
    for number in 0..CHANNELS {
        let left = CHANNELS - 1 - number;
        listener.expect_reply(&format!("*3\r\n$11\r\nunsubscribe\r\n$5\r\nc{number:04}\r\n:{left}\r\n"));
    }
    listener.expect_reply("*3\r\n$9\r\nsubscribe\r\n$4\r\nlast\r\n:1\r\n");
    listener.send(subscribe.clone());
    while listener.line() != format!(":{}", CHANNELS + 1) {}
    listener.expect("RESET", "+RESET\r\n");
    other.expect("PUBSUB CHANNELS", "*0\r\n");
    assert_eq!(other.info("requests_run_apart"), 3);
    listener.send(subscribe);
    while listener.line() != confirmed {}
    drop(listener);
    // Those of a connection that has gone end a part at a time.
    while other.info("pubsub_channels") != 0 {}
}

#[test]
fn what_is_large_is_written_to_the_log_although_nobody_syncs() {
    if own().is_none() {
        return;
    }
    // Where nothing is synced by the clock, nobody else writes it.
    let target = Target::with(&["--appendfsync", "no"]);
    let mut client = Client::connect(&target);
    let long = "x".repeat(5 << 20);
    for times in 1..=3 {
        client.send(format!("*3\r\n$6\r\nAPPEND\r\n$1\r\na\r\n${}\r\n{long}\r\n", long.len()));
        client.expect_reply(&format!(":{}\r\n", times * long.len()));
    }
}
