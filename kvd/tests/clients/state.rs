//! How clients are treated by CLIENT REPLY, PAUSE and NO-EVICT, and what stands still meanwhile.

use engine::clock::{Clock, SystemClock};

use crate::client::{Client, own, set};
use crate::server::Target;

const MIB: usize = 1 << 20;

#[test]
fn who_wants_no_replies_gets_none_but_messages() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.send("CLIENT REPLY OFF\r\nSET quiet 1\r\nGET quiet\r\nNOSUCHCOMMAND\r\nCLIENT REPLY SKIP\r\nWAIT 1 1\r\n");
    client.send("INCR quiet\r\nCLIENT REPLY x\r\nCLIENT REPLY ON\r\nGET quiet\r\n");
    client.expect_reply("+OK\r\n$1\r\n2\r\n");
    client.send("CLIENT REPLY SKIP\r\nINCR quiet\r\nPING\r\nCLIENT REPLY SKIP\r\nWAIT 1 1\r\nWAIT 1 1\r\n");
    client.expect_reply("+PONG\r\n:0\r\n");
    client.send("CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\nCLIENT REPLY OFF\r\nSUBSCRIBE quiet\r\nPING\r\n");
    client.expect_reply("+OK\r\n+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nquiet\r\n:1\r\n");
    let mut publisher = Client::connect(&target);
    publisher.expect("PUBLISH quiet x", ":1\r\n");
    client.expect_reply("*3\r\n$7\r\nmessage\r\n$5\r\nquiet\r\n$1\r\nx\r\n");
    // RESET is answered: it ends this as well.
    client.send("RESET\r\nGET quiet\r\nDEL quiet\r\n");
    client.expect_reply("+RESET\r\n$1\r\n3\r\n:1\r\n");
}

#[test]
fn what_is_not_answered_is_in_the_log_all_the_same() {
    let Some(target) = own() else { return };
    for mode in ["always", "no"] {
        let (mut owner, mut client) = (Client::connect(&target), Client::connect(&target));
        owner.expect(&format!("CONFIG SET appendfsync {mode}"), "+OK\r\n");
        let before = owner.info("log_written");
        client.send("CLIENT REPLY OFF\r\nSET a 1\r\n");
        owner.until("log_written", |written| written > before);
        let more = "SET a 1\r\n".repeat(1000);
        client.send(format!("{more}CLIENT REPLY ON\r\nPING\r\n"));
        client.expect_reply("+OK\r\n+PONG\r\n");
    }
}

#[test]
fn paused_clients_wait_and_go_on() {
    let Some(target) = own() else { return };
    let (mut owner, mut client, mut other) =
        (Client::connect(&target), Client::connect(&target), Client::connect(&target));
    owner.expect("CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    client.send("GET a\r\nSET a 1\r\nGET a\r\n");
    client.expect_reply("$-1\r\n");
    other.send("PUBLISH a x\r\n");
    owner.until("blocked_clients", |clients| clients == 2);
    owner.expect("GET a", "$-1\r\n");
    drop(other);
    owner.until("blocked_clients", |clients| clients == 1);
    owner.expect("CLIENT UNPAUSE", "+OK\r\n");
    client.expect_reply("+OK\r\n$1\r\n1\r\n");
    let clock = SystemClock::new();
    owner.expect("CLIENT PAUSE 300", "+OK\r\n");
    client.expect("PING", "+PONG\r\n");
    assert!(clock.monotonic_ms() >= 290, "{}", clock.monotonic_ms());
    owner.expect("PING", "+PONG\r\n");
}

#[test]
fn a_transaction_that_writes_waits_while_writes_are_paused() {
    let Some(target) = own() else { return };
    let (mut owner, mut writer, mut reader) =
        (Client::connect(&target), Client::connect(&target), Client::connect(&target));
    writer.expect("MULTI", "+OK\r\n");
    writer.expect("SET a 1", "+QUEUED\r\n");
    reader.expect("MULTI", "+OK\r\n");
    reader.expect("GET a", "+QUEUED\r\n");
    owner.expect("CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    writer.send("EXEC\r\n");
    owner.until("blocked_clients", |clients| clients == 1);
    reader.expect("EXEC", "*1\r\n$-1\r\n");
    owner.expect("CLIENT UNPAUSE", "+OK\r\n");
    writer.expect_reply("*1\r\n+OK\r\n");
}

#[test]
fn nothing_goes_by_itself_while_clients_are_paused() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    let before = owner.info("expired_keys");
    owner.expect("MULTI", "+OK\r\n");
    owner.expect("SET seen x PX 10", "+QUEUED\r\n");
    owner.expect("SET unseen x PX 10", "+QUEUED\r\n");
    owner.expect("CLIENT PAUSE 100000 WRITE", "+QUEUED\r\n");
    owner.expect("EXEC", "*3\r\n+OK\r\n+OK\r\n+OK\r\n");
    let clock = SystemClock::new();
    while clock.monotonic_ms() < 100 {
        owner.expect("PING", "+PONG\r\n");
    }
    owner.expect("GET seen", "$-1\r\n");
    owner.expect("DBSIZE", ":2\r\n");
    assert_eq!(owner.info("expired_keys"), before);
    owner.expect("CLIENT UNPAUSE", "+OK\r\n");
    owner.until("expired_keys", |expired| expired == before + 2);
    owner.expect("DBSIZE", ":0\r\n");
}

#[test]
fn a_count_that_may_be_noted_waits_while_writes_are_paused() {
    let Some(target) = own() else { return };
    let (mut owner, mut client) = (Client::connect(&target), Client::connect(&target));
    owner.expect("PFADD h x", ":1\r\n");
    owner.expect("CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    client.send("PFCOUNT h\r\n");
    owner.until("blocked_clients", |clients| clients == 1);
    owner.expect("CLIENT UNPAUSE", "+OK\r\n");
    client.expect_reply(":1\r\n");
}

#[test]
fn who_is_not_to_be_evicted_may_hold_more() {
    let Some(target) = own() else { return };
    let (mut owner, mut greedy) = (Client::connect(&target), Client::connect(&target));
    owner.send(set("large", 3 * MIB));
    owner.expect_reply("+OK\r\n");
    owner.expect("CONFIG SET maxmemory-clients 1mb", "+OK\r\n");
    greedy.expect("CLIENT NO-EVICT ON", "+OK\r\n");
    greedy.expect("CLIENT NO-TOUCH ON", "+OK\r\n");
    greedy.send("CLIENT INFO\r\n");
    greedy.line();
    let line = greedy.line();
    assert!(line.contains(" flags=eT "), "{line}");
    greedy.expect_reply("\r\n");
    greedy.send("MGET large large\r\n");
    greedy.expect_reply("*2\r\n$3145728\r\nv");
    greedy.0.shutdown(std::net::Shutdown::Write).expect("it is open");
    assert!(greedy.rest().len() > 6 * MIB);
}

#[test]
fn the_log_is_written_anew_when_asked() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    // Three segments' worth, of which one value is left: less than what compaction begins at by itself.
    for _ in 0..12 {
        owner.send(set("k", MIB / 2));
        owner.expect_reply("+OK\r\n");
    }
    assert!(owner.info("aof_current_size") > 6 * MIB as u64);
    owner.expect("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    owner.until("aof_current_size", |bytes| bytes < 4 * MIB as u64);
    owner.send("STRLEN k\r\n");
    owner.expect_reply(&format!(":{}\r\n", MIB / 2));
}

#[test]
fn the_longest_hold_is_told_and_forgotten() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    client.expect("FLUSHALL", "+OK\r\n");
    assert!(client.info("max_shard_hold_us") > 0, "it empties a thousand tables while it holds all");
    client.expect("CONFIG RESETSTAT", "+OK\r\n");
    assert_eq!(client.info("max_shard_hold_us"), 0);
}
