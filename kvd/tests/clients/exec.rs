//! EXEC beside what is not about the keys it holds: nothing waits within, and each request has its reply.

use kvd::commands::{self, Entry, Flag, Handler};

use crate::client::{Client, own, set};
use crate::server::Target;

/// Requests that are not for the keys that EXEC holds, each with words that take it as far as it goes.
const OF_THE_SERVER: &[&str] = &[
    "ACL CAT",
    "ACL DELUSER nobody",
    "ACL DRYRUN default GET a",
    "ACL GENPASS",
    "ACL GETUSER default",
    "ACL HELP",
    "ACL LIST",
    "ACL LOAD",
    "ACL LOG",
    "ACL SAVE",
    "ACL SETUSER somebody",
    "ACL USERS",
    "ACL WHOAMI",
    "ASKING",
    "AUTH x",
    "BGREWRITEAOF",
    "BGSAVE SCHEDULE",
    "CLIENT GETNAME",
    "CLIENT HELP",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT KILL ID 999",
    "CLIENT LIST",
    "CLIENT NO-EVICT on",
    "CLIENT NO-TOUCH off",
    "CLIENT PAUSE 0",
    "CLIENT REPLY ON",
    "CLIENT SETINFO LIB-NAME x",
    "CLIENT SETNAME x",
    "CLIENT UNBLOCK 999",
    "CLIENT UNPAUSE",
    "CLUSTER INFO",
    "COMMAND",
    "COMMAND COUNT",
    "COMMAND DOCS GET",
    "COMMAND GETKEYS GET a",
    "COMMAND GETKEYSANDFLAGS GET a",
    "COMMAND HELP",
    "COMMAND INFO GET",
    "COMMAND LIST",
    "CONFIG GET maxmemory",
    "CONFIG HELP",
    "CONFIG RESETSTAT",
    "CONFIG REWRITE",
    "CONFIG SET maxmemory 0 appendfsync always",
    "DBSIZE",
    "DEBUG DIGEST",
    "DEBUG DIGEST-VALUE held",
    "DEBUG LOADAOF",
    "DEBUG OBJECT held",
    "DEBUG POPULATE 10",
    "DEBUG RELOAD",
    "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG SLEEP 0",
    "DEBUG STRINGMATCH-TEST",
    "ECHO x",
    "FLUSHALL",
    "FLUSHDB",
    "HELLO 2",
    "INFO everything",
    "KEYS *",
    "LASTSAVE",
    "LATENCY DOCTOR",
    "LATENCY GRAPH x",
    "LATENCY HELP",
    "LATENCY HISTOGRAM",
    "LATENCY HISTORY x",
    "LATENCY LATEST",
    "LATENCY RESET",
    "LOLWUT",
    "MEMORY DOCTOR",
    "MEMORY HELP",
    "MEMORY MALLOC-STATS",
    "MEMORY PURGE",
    "MEMORY STATS",
    "MODULE HELP",
    "MODULE LIST",
    "OBJECT HELP",
    "PDEL *",
    "PFSELFTEST",
    "PING",
    "PUBLISH a x",
    "PUBSUB CHANNELS",
    "PUBSUB HELP",
    "PUBSUB NUMPAT",
    "PUBSUB NUMSUB a",
    "PUBSUB SHARDCHANNELS",
    "PUBSUB SHARDNUMSUB a",
    "RANDOMKEY",
    "READONLY",
    "READWRITE",
    "REPLICAOF NO ONE",
    "ROLE",
    "SCAN 0 COUNT 1000",
    "SELECT 0",
    "SLAVEOF NO ONE",
    "SLOWLOG GET",
    "SLOWLOG HELP",
    "SLOWLOG LEN",
    "SLOWLOG RESET",
    "SPUBLISH a x",
    "SWAPDB 0 1",
    "TIME",
    "UNWATCH",
    "WAIT 1 0",
    "WAITAOF 1 1 0",
];

#[test]
fn no_command_about_the_server_waits_within_exec() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    for request in OF_THE_SERVER {
        // Each has keys with deadlines to count, and some of the locks held that it may want.
        owner.expect("PSETEX volatile 100000 x", "+OK\r\n");
        owner.expect("HSET hash f v", ":1\r\n");
        owner.expect("HPEXPIRE hash 100000 FIELDS 1 f", "*1\r\n:1\r\n");
        let mut client = Client::connect(&target);
        client.send(format!("MULTI\r\nSET held x\r\n{request}\r\nEXEC\r\n"));
        client.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n");
        let first = client.line();
        assert!(!first.is_empty(), "{request}");
        // Whoever comes next finds no lock held.
        owner.expect("SET held x", "+OK\r\n");
        owner.expect("FLUSHALL", "+OK\r\n");
    }
}

#[test]
fn all_commands_about_the_server_are_tried() {
    let is_tried = |entry: &Entry| {
        let name = entry.full_name.replace('|', " ");
        OF_THE_SERVER.iter().any(|request| {
            let request = request.to_ascii_lowercase();
            request == name || request.starts_with(&format!("{name} "))
        })
    };
    let is_queued = |entry: &&Entry| {
        let command = entry.command;
        let is_left_out = ["reset", "quit", "monitor"].contains(&entry.full_name.as_str());
        matches!(command.handler, Handler::Server(_))
            && !command.has(Flag::NoMulti)
            && !command.has(Flag::InMulti)
            && !command.has(Flag::InSubscription)
            && !is_left_out
    };
    let entries = commands::all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands));
    let missed: Vec<&str> =
        entries.filter(is_queued).filter(|entry| !is_tried(entry)).map(|entry| &*entry.full_name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn what_is_published_within_exec_has_its_reply_when_no_more_can_be_delivered() {
    let target = Target::with(&["--threads", "1"]);
    let (mut listener, mut publisher) = (Client::connect(&target), Client::connect(&target));
    listener.expect("SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    publisher.expect("MULTI", "+OK\r\n");
    for _ in 0..2 {
        let request = String::from_utf8(set("a", 40 << 20)).expect("it is text");
        publisher.send(request.replacen("$3\r\nSET", "$7\r\nPUBLISH", 1));
        publisher.expect_reply("+QUEUED\r\n");
    }
    for request in ["PUBLISH a x", "SPUBLISH a x", "SET k v"] {
        publisher.expect(request, "+QUEUED\r\n");
    }
    publisher.expect("EXEC", "*5\r\n:1\r\n:1\r\n:1\r\n:0\r\n+OK\r\n");
    publisher.expect("GET k", "$1\r\nv\r\n");
}

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

#[test]
fn what_grows_by_what_exec_has_made_is_refused_alone() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    client.expect("MULTI", "+OK\r\n");
    client.expect("SETRANGE a 3000000 x", "+QUEUED\r\n");
    for copy in 0..8 {
        client.expect(&format!("COPY a b{copy}"), "+QUEUED\r\n");
    }
    client.expect("APPEND a y", "+QUEUED\r\n");
    let replies = format!("*10\r\n:3000001\r\n{}:3000002\r\n", ":1\r\n".repeat(8));
    client.expect("EXEC", &replies);
    client.expect("EXISTS b0 b7", ":2\r\n");
    // What nobody could know before: each makes more of what the one before it has made.
    let limit = client.info("used_memory") + (16 << 20);
    client.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    client.expect("RPUSH list 1 2 3 4 5 6 7 8", ":8\r\n");
    client.expect("MULTI", "+OK\r\n");
    client.expect("SORT list BY none GET a* GET # STORE d", "+QUEUED\r\n");
    client.expect("RENAME a a1", "+QUEUED\r\n");
    client.expect("SORT list BY none LIMIT 0 1 GET a* GET a* GET a* GET a* GET a* GET a* STORE d", "+QUEUED\r\n");
    client.expect("SET small x", "+QUEUED\r\n");
    client.expect("EXEC", &format!("*4\r\n:16\r\n+OK\r\n{OOM}+OK\r\n"));
    client.expect("LLEN d", ":16\r\n");
}

#[test]
fn what_grows_by_what_exec_has_made_goes_on_where_values_leave_memory_for_it() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    for key in 0..40 {
        client.expect(&format!("SETRANGE b{key} 3000000 x"), ":3000001\r\n");
    }
    client.expect("SETRANGE a 3000000 x", ":3000001\r\n");
    client.expect("RPUSH list 1", ":1\r\n");
    let limit = client.info("used_memory_rss") + (10 << 20);
    client.expect(&format!("CONFIG SET maxmemory {limit}"), "+OK\r\n");
    client.until("used_memory_goal", |goal| goal < limit);
    client.expect("MULTI", "+OK\r\n");
    client.expect("RENAME a a1", "+QUEUED\r\n");
    // Nobody could know what these need. The second finds more than the limit in memory.
    for list in ["c", "d"] {
        let request = format!("SORT list BY none GET a* GET a* GET a* GET a* GET a* GET a* STORE {list}");
        client.expect(&request, "+QUEUED\r\n");
    }
    client.expect("EXEC", "*3\r\n+OK\r\n:6\r\n:6\r\n");
}

#[test]
fn room_is_asked_for_in_the_database_that_is_selected_within() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    client.expect("SELECT 1", "+OK\r\n");
    client.expect("SETRANGE a 3000000 x", ":3000001\r\n");
    client.expect("SELECT 0", "+OK\r\n");
    client.expect("MULTI", "+OK\r\n");
    client.expect("SELECT 1", "+QUEUED\r\n");
    client.expect("COPY a b", "+QUEUED\r\n");
    let mut owner = Client::connect(&target);
    let limit = owner.info("used_memory") + (1 << 20);
    owner.expect(&format!("CONFIG SET spill no maxmemory {limit}"), "+OK\r\n");
    // Room was asked for, and what was asked for is given.
    client.expect("EXEC", "*2\r\n+OK\r\n:1\r\n");
}
