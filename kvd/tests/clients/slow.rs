//! What took long, as SLOWLOG and LATENCY tell it.

use crate::client::{Client, own};

#[test]
fn requests_of_a_pipeline_are_measured_one_by_one_when_the_limit_is_low() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    owner.expect("SLOWLOG RESET", "+OK\r\n");
    owner.send("PING\r\nGET a\r\nKEYS *\r\nNOSUCHCOMMAND\r\nGET\r\nINCR a\r\n".repeat(10));
    owner.send("SLOWLOG LEN\r\n");
    // RESET itself, and four of each six: what was refused has not run.
    while owner.line() != ":41" {}
    owner.expect("CONFIG SET slowlog-log-slower-than -1", "+OK\r\n");
    owner.expect("SLOWLOG LEN", ":42\r\n");
}

#[test]
fn what_takes_long_is_an_event() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET latency-monitor-threshold 1", "+OK\r\n");
    owner.expect("SETRANGE long 200000000 x", ":200000001\r\n");
    owner.send("LATENCY LATEST\r\n");
    let lines: Vec<String> = (0..4).map(|_| owner.line()).collect();
    assert_eq!((&*lines[1], &*lines[3]), ("*4", "command"), "{lines:?}");
    for _ in 0..3 {
        owner.line();
    }
    if lines[0] == "*1" {
        owner.expect("LATENCY RESET", ":1\r\n");
    }
}

/// What SLOWLOG has kept: the arguments of each request, the latest first.
fn kept(client: &mut Client) -> Vec<String> {
    client.send("SLOWLOG GET -1\r\n");
    let count = client.line()[1..].parse().expect("a number of requests");
    let bulk = |client: &mut Client| (client.line(), client.line()).1;
    let mut request = |_| {
        let head: Vec<String> = (0..5).map(|_| client.line()).collect();
        let arguments: usize = head[4][1..].parse().expect("a number of arguments");
        let words: Vec<String> = (0..arguments).map(|_| bulk(client)).collect();
        // Address and name of the client.
        for _ in 0..2 {
            bulk(client);
        }
        words.join(" ")
    };
    (0..count).map(&mut request).collect()
}

#[test]
fn a_transaction_is_told_by_its_requests() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET slowlog-log-slower-than 20000", "+OK\r\n");
    owner.expect("MULTI", "+OK\r\n");
    owner.expect("SET a 1", "+QUEUED\r\n");
    owner.expect("DEBUG SLEEP 0.03", "+QUEUED\r\n");
    owner.expect("EXEC", "*2\r\n+OK\r\n+OK\r\n");
    assert!(kept(&mut owner).contains(&"DEBUG SLEEP 0.03".to_owned()));
    owner.expect("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    owner.expect("SLOWLOG RESET", "+OK\r\n");
    owner.expect("MULTI", "+OK\r\n");
    owner.expect("SET a 2", "+QUEUED\r\n");
    owner.expect("GET a", "+QUEUED\r\n");
    owner.expect("EXEC", "*2\r\n+OK\r\n$1\r\n2\r\n");
    assert_eq!(kept(&mut owner), ["GET a", "SET a 2", "MULTI", "SLOWLOG RESET"]);
}

#[test]
fn who_waits_is_measured_when_it_is_served() {
    let Some(target) = own() else { return };
    let (mut owner, mut waiter) = (Client::connect(&target), Client::connect(&target));
    owner.expect("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    waiter.send("BLPOP l 0\r\n");
    owner.until("blocked_clients", |count| count == 1);
    owner.expect("SLOWLOG RESET", "+OK\r\n");
    owner.expect("CONFIG RESETSTAT", "+OK\r\n");
    owner.expect("RPUSH l x", ":1\r\n");
    waiter.expect_reply("*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    assert_eq!(kept(&mut owner), ["BLPOP l 0", "RPUSH l x", "CONFIG RESETSTAT", "SLOWLOG RESET"]);
    let text = owner.text("INFO latencystats");
    assert!(text.contains("latency_percentiles_usec_blpop:p50="), "{text}");
}

#[test]
fn failures_count_for_the_command_that_failed() {
    let Some(target) = own() else { return };
    let (mut owner, mut waiter) = (Client::connect(&target), Client::connect(&target));
    waiter.send("CLIENT ID\r\n");
    let id = waiter.line()[1..].to_owned();
    waiter.send("BLPOP l 0\r\n");
    owner.until("blocked_clients", |count| count == 1);
    owner.expect(&format!("CLIENT UNBLOCK {id} ERROR"), ":1\r\n");
    assert!(waiter.line().starts_with("-UNBLOCKED "));
    owner.expect("EXEC", "-ERR EXEC without MULTI\r\n");
    owner.expect("MULTI", "+OK\r\n");
    owner.expect("INCR a b", "-ERR wrong number of arguments for 'incr' command\r\n");
    owner.expect("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    let text = owner.text("INFO commandstats");
    let counts = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap_or_default();
        line.split_once("rejected_calls=").map_or(line, |(_, counts)| counts).to_owned()
    };
    assert_eq!(
        (counts("blpop"), counts("exec"), counts("incr")),
        ("0,failed_calls=1".into(), "0,failed_calls=2".into(), "1,failed_calls=0".into())
    );
}

#[test]
fn latencies_of_a_mixed_pipeline_are_those_of_its_commands() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG RESETSTAT", "+OK\r\n");
    let mixed = ["PING", "GET a", "SET b 1", "INCR b", "STRLEN b", "EXISTS b", "LLEN l", "HGET h f"];
    owner.send(mixed.map(|request| format!("{request}\r\n")).concat().repeat(8));
    owner.send("ECHO end\r\n");
    while owner.line() != "end" {}
    for name in mixed.map(|request| request.split(' ').next().unwrap_or_default().to_lowercase()) {
        let mut client = Client::connect(&target);
        client.send(format!("LATENCY HISTOGRAM {name}\r\n"));
        let lines: Vec<String> = (0..7).map(|_| client.line()).collect();
        assert_eq!((&*lines[2], &*lines[6]), (&*name, ":8"), "{lines:?}");
    }
}
