//! With `key-order yes` every reply is what it is without.

use crate::client::Client;
use crate::server::Target;

const REQUESTS: &[&str] = &[
    "KEYS user:* LIMIT 7",
    "KEYS user:* PIVOT user:0300 LIMIT 7",
    "KEYS user:* PIVOT user:0300 LIMIT 7 DESC",
    "KEYS user:02* DESC",
    "KEYS user:*5 LIMIT 30",
    "KEYS * LIMIT 25 WITHVALUES",
    "KEYS * PIVOT team:0990 LIMIT 25 DESC WITHVALUES",
    "KEYS user:0123 LIMIT 10",
    "KEYS user:[01]*9 LIMIT 10 DESC",
    "KEYS zzz* LIMIT 10",
    "KEYS user:* PIVOT zzz LIMIT 3",
    "KEYS user:* PIVOT zzz LIMIT 3 DESC",
    "KEYS user:* LIMIT 0",
    "KEYS us\\er:001? LIMIT 20",
    "PDEL user:01*",
    "KEYS user:0* LIMIT 120",
    "DBSIZE",
    "SWAPDB 0 3",
    "KEYS * LIMIT 5",
    "SELECT 3",
    "KEYS team:* LIMIT 5",
    "FLUSHDB",
    "KEYS * LIMIT 5",
    "SET user:9 x",
    "KEYS us* LIMIT 5 WITHVALUES",
    "PDEL *",
    "DBSIZE",
];

/// The lines of a reply that is no array of arrays.
fn reply(client: &mut Client, request: &str) -> Vec<String> {
    client.send(format!("{request}\r\n"));
    let first = client.line();
    let mut lines = Vec::new();
    for _ in 0..first.strip_prefix('*').map_or(0, |count| count.parse::<usize>().expect("a count")) {
        let head = client.line();
        lines.push(if head.starts_with("$-") { head } else { client.line() });
    }
    lines.insert(0, first);
    lines
}

#[test]
fn keys_in_order_are_the_same_with_and_without_an_index() {
    let mut replies = ["yes", "no"].map(|order| {
        let target = Target::with(&["--key-order", order]);
        let mut client = Client::connect(&target);
        for number in 0..1000 {
            client.expect(&format!("SET user:{number:04} {number}"), "+OK\r\n");
            client.expect(&format!("RPUSH team:{number:04} {number}"), ":1\r\n");
            if number % 10 == 3 {
                client.expect(&format!("RENAME user:{number:04} user:x{number:04}"), "+OK\r\n");
            }
        }
        let told = |client: &mut Client, request: &str| (request.to_owned(), reply(client, request));
        let mut replies: Vec<_> = REQUESTS[..14].iter().map(|request| told(&mut client, request)).collect();
        client.expect("MULTI", "+OK\r\n");
        client.expect("KEYS user:* LIMIT 1", "+QUEUED\r\n");
        client.expect("PDEL user:00*", "+QUEUED\r\n");
        client.expect("KEYS user:0* LIMIT 1", "+QUEUED\r\n");
        client.expect("EXEC", "*3\r\n*1\r\n$9\r\nuser:0000\r\n:90\r\n*1\r\n$9\r\nuser:0100\r\n");
        replies.extend(REQUESTS[14..].iter().map(|request| told(&mut client, request)));
        replies
    });
    let [with, without] = &mut replies;
    for (with, without) in with.iter().zip(&*without) {
        assert_eq!(with, without);
    }
    // KEYS without an option promises no order.
    assert_eq!(with[0].1[1..4], ["user:0000", "user:0001", "user:0002"]);
}

/// All that a scan shows, call by call.
fn scan(client: &mut Client, options: &str) -> Vec<Vec<String>> {
    let (mut calls, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        client.send(format!("SCAN {cursor} {options}\r\n"));
        client.expect_reply("*2\r\n");
        client.line();
        cursor = client.line();
        let names = client.line().strip_prefix('*').expect("an array").parse().expect("a count");
        calls.push(
            (0..names)
                .map(|_| {
                    client.line();
                    client.line()
                })
                .collect(),
        );
        if cursor == "0" {
            return calls;
        }
        assert!(cursor.parse::<i64>().is_ok(), "{cursor}");
    }
}

#[test]
fn scans_show_the_same_with_and_without_an_index() {
    let [with, without] = ["yes", "no"].map(|order| {
        let target = Target::with(&["--key-order", order]);
        let mut client = Client::connect(&target);
        for number in 0..3000 {
            client.expect(&format!("SET user:{number} {number}"), "+OK\r\n");
        }
        for number in 0..50 {
            client.expect(&format!("RPUSH user:{number}:name {number}"), ":1\r\n");
            client.expect(&format!("SET us*er:{number} {number}"), "+OK\r\n");
        }
        client.expect("SELECT 4", "+OK\r\n");
        client.expect("SET user:elsewhere 1", "+OK\r\n");
        let elsewhere = scan(&mut client, "MATCH user:*");
        client.expect("SELECT 0", "+OK\r\n");
        let mut all = vec![elsewhere];
        for options in [
            "MATCH user:* COUNT 100",
            "MATCH user:*:name COUNT 100",
            "MATCH user:* TYPE list COUNT 500",
            "MATCH user:25[5-7]? COUNT 5",
            "MATCH us\\*er:1*",
            "MATCH us[*]er:* COUNT 7",
            "MATCH user:7",
            "MATCH none:*",
            "MATCH * COUNT 1000",
            "COUNT 1000",
        ] {
            all.push(scan(&mut client, options));
        }
        all
    });
    let shown = |calls: &[Vec<String>]| calls.iter().flatten().cloned().collect::<std::collections::BTreeSet<_>>();
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(shown(with), shown(without));
    }
    assert_eq!(shown(&with[5]).len(), 11);
    let calls: Vec<usize> = with.iter().map(Vec::len).collect();
    assert!(calls[1] <= 31 && calls[2] <= 31 && calls[3] <= 8, "{calls:?}");
    assert_eq!([0, 4, 7, 8].map(|at| calls[at]), [1; 4]);
    assert!(without[4].len() > 8, "few calls without the order as well");
}

#[test]
fn a_scan_in_a_transaction_sees_its_changes() {
    let target = Target::with(&["--key-order", "yes"]);
    let mut client = Client::connect(&target);
    client.expect("MSET k1 1 k2 2", "+OK\r\n");
    client.expect("MULTI", "+OK\r\n");
    client.expect("RENAME k1 k3", "+QUEUED\r\n");
    client.expect("SCAN 0 MATCH k*", "+QUEUED\r\n");
    client.expect("EXEC", "*2\r\n+OK\r\n*2\r\n$1\r\n0\r\n*2\r\n$2\r\nk2\r\n$2\r\nk3\r\n");
}

#[test]
fn what_has_expired_is_in_no_page() {
    let target = Target::with(&["--key-order", "yes", "--enable-debug-command", "yes"]);
    let mut client = Client::connect(&target);
    client.expect("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
    client.expect("MSET a 1 b 2 c 3", "+OK\r\n");
    client.expect("PEXPIREAT b 1", ":1\r\n");
    client.expect("SET d 4 PX 1", "+OK\r\n");
    client.until("uptime_in_seconds", |seconds| seconds > 0);
    client.expect("KEYS * LIMIT 9", "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
    client.expect("DBSIZE", ":2\r\n");
}
