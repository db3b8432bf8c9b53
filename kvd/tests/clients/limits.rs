//! What one client may hold and for how long, and when it counts as gone: nobody else notices.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::client::{Client, bulk, own, set};
use crate::server::Target;

const MIB: usize = 1 << 20;

#[test]
fn a_reply_beyond_the_output_buffer_limit_closes_the_connection() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.send(set("large", MIB));
    owner.expect_reply("+OK\r\n");
    owner.send(set("small", 1000));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET client-output-buffer-limit \"normal 2mb 0 0\"", "+OK\r\n");
    for (closed, key, times) in [(1, "large", 100), (2, "small", 4000)] {
        let mut greedy = Client::connect(&target);
        greedy.send(format!("PING\r\nMGET{}\r\n", format!(" {key}").repeat(times)));
        assert!(greedy.rest().len() < 2 * MIB, "{key}");
        assert_eq!(owner.info("connected_clients"), 1, "{key}");
        assert_eq!(owner.info("client_output_buffer_limit_disconnections"), closed, "{key}");
    }
    let mut modest = Client::connect(&target);
    modest.send("MGET large\r\n");
    modest.expect_reply("*1\r\n$1048576\r\nvvv");
    owner.expect("CONFIG SET client-output-buffer-limit \"normal 0 0 0\"", "+OK\r\n");
    let mut greedy = Client::connect(&target);
    greedy.send(format!("MGET{}\r\nQUIT\r\n", " large".repeat(5)));
    assert_eq!(greedy.rest().len(), "*5\r\n".len() + 5 * bulk(MIB) + "+OK\r\n".len());
}

#[test]
fn replies_of_all_clients_have_a_limit_and_one_value_always_fits() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.send(set("large", 8 * MIB));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET maxmemory-clients 4mb", "+OK\r\n");
    let mut greedy = Client::connect(&target);
    greedy.send("MGET large large\r\n");
    assert!(greedy.rest().is_empty());
    let mut modest = Client::connect(&target);
    modest.send("GET large\r\nGET large\r\nQUIT\r\n");
    assert_eq!(modest.rest().len(), 2 * bulk(8 * MIB) + "+OK\r\n".len());
    assert_eq!(owner.info("client_output_buffer_limit_disconnections"), 1);
}

#[test]
fn requests_of_all_clients_have_a_limit_and_who_holds_little_is_spared() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET maxmemory-clients 3mb", "+OK\r\n");
    let whole = set("key", 4 * MIB);
    let mut first = Client::connect(&target);
    first.send(&whole[..MIB]);
    owner.until("client_recent_max_input_buffer", |bytes| bytes >= MIB as u64);
    let mut small = Client::connect(&target);
    small.send(b"*2\r\n$3\r\nGET\r\n$6\r\nmiss");
    let mut second = Client::connect(&target);
    // It is closed while it writes, when it holds more than the first.
    let _ = second.0.write_all(&whole);
    assert!(second.rest().is_empty());
    assert!((1..=2).contains(&owner.info("evicted_clients")));
    small.send(b"es\r\n");
    small.expect_reply("$-1\r\n");
    drop(first);
    owner.until("client_recent_max_input_buffer", |bytes| bytes < MIB as u64);
    // What was held is free again, also where the connections stay.
    let mut others = [0; 4].map(|_| Client::connect(&target));
    for other in &mut others {
        other.send(set("key", MIB * 5 / 4));
        other.expect_reply("+OK\r\n");
    }
}

/// What watching one of the keys of [`hold`] takes.
const HELD: usize = 2 * 200_000 + 256;

/// A client that holds so many times [`HELD`].
fn hold(target: &Target, keys: usize) -> Client {
    let mut client = Client::connect(target);
    (0..keys).for_each(|key| hold_more(&mut client, key));
    client
}

fn hold_more(client: &mut Client, key: usize) {
    let name = format!("{key:04}").repeat(50_000);
    client.send(format!("*2\r\n$5\r\nWATCH\r\n$200000\r\n{name}\r\n"));
    client.expect_reply("+OK\r\n");
}

#[test]
fn the_largest_client_is_closed_first_and_one_that_may_stay_is_not() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect(&format!("CONFIG SET maxmemory-clients {}", 23 * HELD), "+OK\r\n");
    let [mut large, mut middle, mut another] = [10, 6, 4].map(|keys| hold(&target, keys));
    let mut little = Client::connect(&target);
    little.expect("WATCH a", "+OK\r\n");
    assert_eq!(owner.info("evicted_clients"), 0);
    // It becomes too much for all, but this is not the one who holds most.
    for key in 4..8 {
        hold_more(&mut another, key);
    }
    assert!(large.rest().is_empty());
    assert_eq!(owner.info("evicted_clients"), 1);
    owner.expect("CONFIG SET maxmemory-clients 1mb", "+OK\r\n");
    assert!(middle.rest().is_empty() && another.rest().is_empty());
    assert_eq!(owner.info("evicted_clients"), 3);
    little.expect("PING", "+PONG\r\n");
    let mut stays = Client::connect(&target);
    stays.expect("CLIENT NO-EVICT ON", "+OK\r\n");
    for key in 0..6 {
        hold_more(&mut stays, key);
    }
    stays.expect("CLIENT NO-EVICT OFF", "+OK\r\n");
    owner.expect("CONFIG SET maxmemory-clients 2mb", "+OK\r\n");
    assert!(stays.rest().is_empty());
    assert_eq!(owner.info("evicted_clients"), 4);
}

#[test]
fn a_reply_takes_the_place_of_the_largest_client() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    for key in ["a", "b", "c", "d"] {
        owner.send(set(key, 8 * MIB));
        owner.expect_reply("+OK\r\n");
    }
    owner.expect("CONFIG SET maxmemory-clients 40mb", "+OK\r\n");
    let mut hoarder = hold(&target, 80);
    // Who holds most is looked for a hundred times a second: before, less was seen than it holds now.
    std::thread::sleep(Duration::from_millis(100));
    let mut modest = Client::connect(&target);
    modest.send("MGET a b c d\r\nQUIT\r\n");
    assert!(hoarder.rest().is_empty());
    assert_eq!(modest.rest().len(), "*4\r\n".len() + 4 * bulk(8 * MIB) + "+OK\r\n".len());
    assert_eq!([owner.info("evicted_clients"), owner.info("client_output_buffer_limit_disconnections")], [1, 0]);
}

#[test]
fn who_takes_too_long_for_a_request_is_closed_and_who_only_is_slow_is_not() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET request-timeout 1", "+OK\r\n");
    let mut idle = Client::connect(&target);
    let mut dawdler = Client::connect(&target);
    dawdler.send("PING\r\n*2\r\n$4\r\nECHO\r\n$10\r\nabc");
    // Of each request something is missing for most of the time, but never of the same one for long.
    let mut busy = Client::connect(&target);
    // So much has come that it may take its time for the rest.
    let mut slow = Client::connect(&target);
    slow.send(&set("key", MIB)[..MIB / 2]);
    busy.send("PI");
    let mut asked = 0;
    while owner.info("request_timeouts") == 0 {
        busy.send("NG\r\nPI");
        busy.expect_reply("+PONG\r\n");
        asked += 1;
    }
    assert!(asked > 1);
    dawdler.expect_reply("+PONG\r\n");
    assert!(dawdler.rest().is_empty());
    slow.send(&set("key", MIB)[MIB / 2..]);
    slow.expect_reply("+OK\r\n");
    idle.expect("PING", "+PONG\r\n");
    owner.expect("CONFIG SET request-timeout 0", "+OK\r\n");
    assert_eq!(owner.info("request_timeouts"), 1);
}

#[test]
fn what_a_client_watches_counts_and_is_free_again() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    let mut client = Client::connect(&target);
    client.expect("CONFIG SET maxmemory-clients 3mb", "+OK\r\n");
    // Four keys, which take twice their bytes.
    let watch = |first: &str| {
        let names = (0..4).map(|number| format!("$200001\r\n{number}{}\r\n", first.repeat(200_000)));
        format!("*5\r\n$5\r\nWATCH\r\n{}", names.collect::<String>())
    };
    client.send(watch("a"));
    client.expect_reply("+OK\r\n");
    client.expect("UNWATCH", "+OK\r\n");
    client.send(watch("b"));
    client.expect_reply("+OK\r\n");
    client.expect("MULTI", "+OK\r\n");
    client.expect("EXEC", "*0\r\n");
    client.send(watch("c"));
    client.expect_reply("+OK\r\n");
    client.send(watch("d"));
    client.expect_reply("-ERR the keys to watch need more memory than clients may hold (maxmemory-clients)\r\n");
    assert!(client.rest().is_empty());
    assert_eq!(owner.info("evicted_clients"), 1);
}

#[test]
fn a_client_that_has_said_all_gets_its_replies() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.send(set("large", 4 * MIB));
    owner.expect_reply("+OK\r\n");
    let large = "*4\r\n".len() + 4 * bulk(4 * MIB);
    for _ in 0..10 {
        for (request, replies) in [
            ("SET a b\r\nSAVE\r\n", "+OK\r\n+OK\r\n".len()),
            ("SET a b\r\nWAITAOF 1 0 0\r\nPING\r\n", "+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n".len()),
            ("MGET large large large large\r\nPING\r\n", large + "+PONG\r\n".len()),
        ] {
            let mut client = Client::connect(&target);
            client.send(request);
            client.0.shutdown(Shutdown::Write).expect("it is open");
            assert_eq!(client.rest().len(), replies, "{request}");
        }
    }
}

#[test]
fn a_blocked_client_that_goes_is_noticed_behind_what_it_sent() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    for reset in [false, true] {
        let mut client = Client::connect(&target);
        client.send("WAIT 1 0\r\n");
        owner.until("blocked_clients", |clients| clients == 1);
        client.send("PING\r\n");
        if reset {
            socket2::SockRef::from(&client.0).set_linger(Some(Duration::ZERO)).expect("it can be");
        }
        drop(client);
        owner.until("blocked_clients", |clients| clients == 0);
        owner.until("connected_clients", |clients| clients == 1);
    }
}

#[test]
fn who_neither_asks_nor_reads_for_too_long_is_closed_and_who_has_to_wait_is_not() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.send(set("large", 8 * MIB));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET timeout 1", "+OK\r\n");
    let mut blocked = Client::connect(&target);
    blocked.send("WAIT 1 5000\r\n");
    let mut deaf = Client::connect(&target);
    deaf.send("GET large\r\n".repeat(4));
    let idle = Client::connect(&target);
    let mut listener = Client::connect(&target);
    listener.expect("SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    owner.until("connected_clients", |clients| clients == 5);
    owner.until("connected_clients", |clients| clients == 3);
    // The owner does not ask while it waits for the others.
    owner.expect("CONFIG SET timeout 0", "+OK\r\n");
    assert!(deaf.rest().len() < 4 * bulk(8 * MIB));
    drop(idle);
    blocked.expect_reply(":0\r\n");
    blocked.expect("PING", "+PONG\r\n");
    owner.expect("PUBLISH a x", ":1\r\n");
    listener.expect_reply("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
}

#[test]
fn too_much_for_too_long_closes_the_connection() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.send(set("large", 8 * MIB));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET client-output-buffer-limit \"normal 0 1mb 1\"", "+OK\r\n");
    let mut deaf = Client::connect(&target);
    deaf.send("GET large\r\n".repeat(4));
    owner.until("client_output_buffer_limit_disconnections", |closed| closed == 1);
    assert!(deaf.rest().len() < 4 * bulk(8 * MIB));
}

#[test]
fn new_limits_on_requests_hold_for_clients_that_are_connected() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    for (setting, narrow, wide, request, error) in [
        ("proto-max-bulk-len", "1mb", "512mb", format!("*2\r\n$4\r\nECHO\r\n${}\r\n", 2 * MIB), "invalid bulk length"),
        ("max-arguments", "16", "1000", "*17\r\n".to_owned(), "invalid multibulk length"),
    ] {
        let mut clients = [0; 2].map(|_| Client::connect(&target));
        for client in &mut clients {
            client.expect("PING", "+PONG\r\n");
        }
        let [narrowed, widened] = &mut clients;
        owner.expect(&format!("CONFIG SET {setting} {narrow}"), "+OK\r\n");
        narrowed.send(&request);
        narrowed.expect_reply(&format!("-ERR Protocol error: {error}\r\n"));
        assert!(narrowed.rest().is_empty());
        // One that was accepted under narrow limits.
        let mut late = Client::connect(&target);
        late.expect("PING", "+PONG\r\n");
        owner.expect(&format!("CONFIG SET {setting} {wide}"), "+OK\r\n");
        for client in [widened, &mut late] {
            client.send(&request);
            client.0.shutdown(Shutdown::Write).expect("it is open");
            assert!(client.rest().is_empty(), "{setting}: the rest is waited for");
        }
    }
    let mut client = Client::connect(&target);
    client.expect("PING", "+PONG\r\n");
    owner.expect("CONFIG SET client-query-buffer-limit 1mb", "+OK\r\n");
    let _ = client.0.write_all(&set("key", 2 * MIB));
    assert!(!client.rest().starts_with(b"+OK"));
    owner.expect("EXISTS key", ":0\r\n");
}

#[test]
fn only_what_lies_behind_the_value_is_growth() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("SETRANGE long 67108863 x", ":67108864\r\n");
    // The first change makes room behind a long value.
    owner.expect("SETRANGE long 67108863 y", ":67108864\r\n");
    let limit = owner.info("used_memory") as usize + 32 * MIB;
    owner.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    owner.expect("SETRANGE long 60000000 y", ":67108864\r\n");
    owner.expect("SETRANGE long 110000000 z", refused);
    owner.expect("SETRANGE new 60000000 z", refused);
    owner.expect("SETRANGE long 70000000 z", ":70000001\r\n");
    owner.expect("SETBIT long 480000000 1", ":0\r\n");
    owner.expect("SETBIT long 880000000 1", refused);
    owner.expect("SETBIT new 480000000 1", refused);
    owner.expect("BITFIELD new SET u8 480000000 1", refused);
    owner.expect("BITFIELD new SET u8 0 1 SET u8 1600000 1", "*2\r\n:0\r\n:0\r\n");
    owner.expect("BITFIELD long SET u8 0 1 SET u8 480000000 1", refused);
    owner.expect("BITFIELD long SET u8 480000000 1 GET u8 0", "*2\r\n:249\r\n:0\r\n");
    owner.expect("BITOP NOT other long", refused);
    owner.expect("BITOP OR other new long", refused);
    owner.expect("BITOP NOT other new", ":200001\r\n");
}

#[test]
fn many_keys_take_time_in_proportion() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    // A client that is as patient as these would give up where each key costs a look at all before it.
    for head in ["SUNIONSTORE d", "BITOP OR d", "ZUNIONSTORE d 200000"] {
        let words: Vec<&str> = head.split(' ').chain(std::iter::repeat_n("absent", 200_000)).collect();
        let request: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        client.send(format!("*{}\r\n{request}", words.len()));
        client.expect_reply(":0\r\n");
    }
}

#[test]
fn sorted_sets_ask_for_no_more_room_than_their_result_may_take() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    let member = "m".repeat(8 * MIB);
    owner.send(format!("*4\r\n$4\r\nZADD\r\n$5\r\nlarge\r\n$1\r\n1\r\n${}\r\n{member}\r\n", member.len()));
    owner.expect_reply(":1\r\n");
    owner.expect("ZADD small 1 a", ":1\r\n");
    let limit = owner.info("used_memory") as usize + 16 * MIB;
    owner.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    owner.expect("ZINTERSTORE d 2 large small", ":0\r\n");
    owner.expect("ZDIFFSTORE d 2 small large", ":1\r\n");
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    owner.expect("ZUNIONSTORE d 2 large small", refused);
    owner.expect("ZDIFFSTORE d 2 large small", refused);
}

#[test]
fn what_get_brings_to_a_sorted_list_asks_for_room() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("SETRANGE long 3000000 x", ":3000001\r\n");
    owner.expect("RPUSH list 1 2 3 4 5 6 7 8", ":8\r\n");
    let limit = owner.info("used_memory") as usize + 16 * MIB;
    owner.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    owner.expect("MSET long1 a long2 b", "+OK\r\n");
    owner.expect("SORT list BY none LIMIT 0 2 GET long* STORE d", ":2\r\n");
    owner.expect("LRANGE d 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    owner.expect("RENAME long at:1", "+OK\r\n");
    owner.expect("COPY at:1 at:2", ":1\r\n");
    owner.expect("SORT list BY none LIMIT 0 2 GET at:* GET at:* GET at:* STORE e", refused);
    owner.expect("EXISTS e", ":0\r\n");
    owner.expect("SORT list BY none LIMIT 0 1 GET at:* STORE e", ":1\r\n");
    owner.expect("EXISTS e", ":1\r\n");
}

#[test]
fn huge_pages_are_turned_off_where_they_are_not_wanted() {
    if own().is_none() {
        return;
    }
    for (setting, line) in [("yes", "THP_enabled:\t0"), ("no", "THP_enabled:\t1")] {
        let target = Target::with(&["--disable-thp", setting]);
        let process = Client::connect(&target).info("process_id");
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
        // (Kernels before 5.0 do not tell.)
        assert!(!status.contains("THP_enabled") || status.contains(line), "{setting}: {status}");
    }
}
