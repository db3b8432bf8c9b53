//! What subscribers are told of hashes, and large ones.

use crate::client::{Client, own};

fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A request and the events that follow from it.
const EVENTS: &[(&str, &[&str])] = &[
    ("HSET h a 1 b 2 c 3 d 4 e 5 f 6", &["hset"]),
    ("HSET h a 1", &["hset"]),
    ("HMSET h a 1", &["hset"]),
    ("HSETNX h a 1", &[]),
    ("HSETNX h n 1", &["hset"]),
    ("HINCRBY h a 1", &["hincrby"]),
    ("HINCRBYFLOAT h a 1", &["hincrbyfloat"]),
    ("HDEL h zz", &[]),
    ("HDEL h a a", &["hdel"]),
    ("HEXPIRE h 100 FIELDS 2 b c", &["hexpire"]),
    ("HEXPIRE h 100 FIELDS 1 zz", &[]),
    ("HEXPIRE h 0 FIELDS 1 b", &["hdel"]),
    ("HPERSIST h FIELDS 2 c d", &["hpersist"]),
    ("HPERSIST h FIELDS 1 d", &[]),
    ("HGETEX h EX 100 FIELDS 1 c", &["hexpire"]),
    ("HGETEX h PERSIST FIELDS 1 c", &["hpersist"]),
    ("HGETEX h PERSIST FIELDS 1 c", &[]),
    ("HGETEX h FIELDS 1 c", &[]),
    ("HGETEX h EXAT 1 FIELDS 1 c", &["hdel"]),
    ("HSETEX h EX 100 FIELDS 1 c 1", &["hset", "hexpire"]),
    ("HSETEX h KEEPTTL FIELDS 1 c 1", &["hset"]),
    ("HSETEX h FNX FIELDS 1 c 1", &[]),
    ("HSETEX h EXAT 1 FIELDS 1 c 1", &["hset", "hdel"]),
    ("HSETEX x EXAT 1 FIELDS 1 c 1", &["hset", "hdel", "del"]),
    ("HGETDEL h FIELDS 1 zz", &[]),
    ("HGETDEL h FIELDS 5 n d e f zz", &["hdel", "del"]),
    ("HSET h a 1", &["hset"]),
    ("HDEL h a", &["hdel", "del"]),
    ("HSET h a 1", &["hset"]),
    ("HEXPIRE h 0 FIELDS 1 a", &["hdel", "del"]),
    ("HSET h a 1 b 1", &["hset"]),
    ("HPEXPIRE h 20 FIELDS 1 a", &["hexpire", "hexpired"]),
    ("HPEXPIRE h 20 FIELDS 1 b", &["hexpire", "hexpired", "del"]),
];

#[test]
fn subscribers_are_told_what_happens_to_fields() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    client.expect("CONFIG SET notify-keyspace-events Kgh", "+OK\r\n");
    let mut subscriber = Client::connect(&target);
    let pattern = "__keyspace@0__:*";
    subscriber
        .expect(&format!("PSUBSCRIBE {pattern}"), &format!("*3\r\n{}{}:1\r\n", text("psubscribe"), text(pattern)));
    for (request, events) in EVENTS {
        client.send(format!("{request}\r\n"));
        // What comes next is the events of this request and no others: a mark follows them.
        let channel = format!("__keyspace@0__:{}", request.split(' ').nth(1).expect("a key"));
        let mut expect = |channel: &str, event: &str| {
            let message = format!("*4\r\n{}{}{}{}", text("pmessage"), text(pattern), text(channel), text(event));
            subscriber.expect_reply(&message);
        };
        events.iter().for_each(|event| expect(&channel, event));
        client.send("HSET mark a 1\r\n");
        expect("__keyspace@0__:mark", "hset");
    }
}

/// More fields than one operation of the log takes.
#[test]
fn a_request_of_many_megabytes_sets_all_its_fields() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    let (fields, value) = (3000, "v".repeat(1500));
    let mut request = format!("*{}\r\n{}{}", 2 + 2 * fields, text("HSET"), text("h"));
    for number in 0..fields {
        request += &text(&format!("f{number}"));
        request += &text(&value);
    }
    client.send(request);
    client.expect_reply(&format!(":{fields}\r\n"));
    client.expect("HLEN h", &format!(":{fields}\r\n"));
    client.expect("HSTRLEN h f2999", ":1500\r\n");
    client.expect("HPEXPIRE h 0 FIELDS 1 f0", "*1\r\n:2\r\n");
    client.expect("HRANDFIELD h -16777217", "-ERR value is out of range\r\n");
    client.send("HSCAN h 0 COUNT 100 NOVALUES\r\n");
    assert_eq!(client.line(), "*2");
    client.line();
    assert_ne!(client.line(), "0", "there is more to come");
    assert_eq!(client.line(), "*100");
    (0..200).for_each(|_| drop(client.line()));
    client.send("HRANDFIELD h 2000\r\n");
    assert_eq!(client.line(), "*2000");
    let drawn: std::collections::BTreeSet<String> =
        (0..4000).map(|_| client.line()).filter(|line| line.starts_with('f')).collect();
    assert_eq!(drawn.len(), 2000, "none comes twice");
    client.send("HRANDFIELD h 100\r\n");
    assert_eq!(client.line(), "*100");
    let drawn: std::collections::BTreeSet<String> =
        (0..200).map(|_| client.line()).filter(|line| line.starts_with('f')).collect();
    assert_eq!(drawn.len(), 100, "none comes twice");
}
