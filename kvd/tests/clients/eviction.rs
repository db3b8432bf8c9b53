//! Eviction as clients see it: who stays, what is told of those who go, and that namespaces keep out of each other's way.

use crate::client::Client;
use crate::server::Target;

const KEYS: u64 = 20_000;

/// A server with as many keys as fill it, and its limit.
fn full(policy: &str, key: impl Fn(u64) -> String) -> (Target, Client) {
    let target = Target::with(&["--maxmemory-policy", policy]);
    let mut client = Client::connect(&target);
    fill(&mut client, 0..KEYS, key);
    let limit = client.info("used_memory");
    client.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    (target, client)
}

fn fill(client: &mut Client, numbers: std::ops::Range<u64>, key: impl Fn(u64) -> String) {
    for number in numbers {
        client.expect(&format!("SET {} {}", key(number), "x".repeat(100)), "+OK\r\n");
    }
}

#[test]
fn memory_stays_below_the_limit_and_the_new_keys_in_it() {
    let (target, mut client) = full("allkeys-lru", |number| format!("k{number}"));
    client.expect("CONFIG SET notify-keyspace-events Ee", "+OK\r\n");
    let mut listener = Client::connect(&target);
    listener
        .expect("SUBSCRIBE __keyevent@0__:evicted", "*3\r\n$9\r\nsubscribe\r\n$22\r\n__keyevent@0__:evicted\r\n:1\r\n");
    let limit = client.info("maxmemory");
    fill(&mut client, KEYS..2 * KEYS, |number| format!("k{number}"));
    assert!(client.info("used_memory") < limit + 4096);
    assert!(client.info("evicted_keys") > KEYS * 9 / 10);
    client.expect("EXISTS k39999", ":1\r\n");
    assert_eq!([listener.line(), listener.line(), listener.line()], ["*3", "$7", "message"]);
    // And by itself when the limit is lowered.
    client.expect(&format!("CONFIG SET spill no maxmemory {}", limit * 3 / 4), "+OK\r\n");
    client.until("used_memory", |used| used <= limit * 3 / 4);
}

#[test]
fn what_the_policy_spares_leaves_no_room() {
    let (_target, mut client) = full("volatile-ttl", |number| format!("k{number}"));
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    client.expect("DEL k1 k2", ":2\r\n");
    client.expect(&format!("SET k1 {} EX 1000", "x".repeat(100)), "+OK\r\n");
    let limit = client.info("used_memory") - 1;
    client.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    client.until("evicted_keys", |evicted| evicted == 1);
    client.expect("EXISTS k1", ":0\r\n");
    client.expect(&format!("CONFIG SET spill no maxmemory {}", limit / 2), "+OK\r\n");
    client.expect("SET new x", refused);
    client.expect("APPEND k3 x", refused);
    client.expect("MULTI", "+OK\r\n");
    client.expect("SET new x", refused);
    client.expect("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    client.expect("EXISTS k3 k4 k5", ":3\r\n");
}

#[test]
fn a_write_evicts_from_its_own_namespace_only() {
    let name = |number: u64| ["users", "cache"][(number % 2) as usize];
    let (_target, mut client) = full("allkeys-lru", |number| format!("{}/{number}", name(number)));
    fill(&mut client, KEYS..2 * KEYS, |number| format!("cache/{number}"));
    let info = client.text("INFO namespaces");
    let users = format!("namespace_users:keys={},", KEYS / 2);
    assert!(info.contains(&users) && info.contains("namespace_cache:keys=") && info.contains("evicted=0"), "{info}");
    // One is let in while memory is just below its limit; then nothing of its own can go.
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.";
    let mut other = |number: u32| {
        client.send(format!("SET other/{number} {}\r\n", "x".repeat(20_000)));
        client.line()
    };
    assert!([other(1), other(2)].contains(&refused.to_owned()));
    client.expect(&format!("SET cache/1 {}", "x".repeat(20_000)), "+OK\r\n");
    assert!(client.text("INFO namespaces").contains(&users));
}
