//! Clients that wait for elements, and those who bring them.

use std::io::Read;

use crate::client::{Client, own};
use crate::server::Target;

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// An array of bulk strings.
fn array(texts: &[&str]) -> String {
    texts.iter().fold(format!("*{}\r\n", texts.len()), |all, text| all + &bulk(text))
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Clients of a server of our own, where it can be seen who waits.
struct Scene {
    target: Target,
    owner: Client,
    waiting: u64,
}

impl Scene {
    fn new() -> Option<Scene> {
        let target = own()?;
        let owner = Client::connect(&target);
        Some(Scene { target, owner, waiting: 0 })
    }

    /// A client that has sent this and waits.
    fn waiter(&mut self, request: &str) -> Client {
        let mut client = Client::connect(&self.target);
        self.wait(&mut client, request);
        client
    }

    fn wait(&mut self, client: &mut Client, request: &str) {
        client.send(format!("{request}\r\n"));
        self.waiting += 1;
        self.still();
    }

    /// So many wait no more.
    fn ended(&mut self, count: u64) {
        self.waiting -= count;
        self.still();
    }

    fn still(&mut self) {
        let waiting = self.waiting;
        self.owner.until("blocked_clients", |count| count == waiting);
    }

    #[track_caller]
    fn ask(&mut self, request: &str, reply: &str) {
        self.owner.expect(request, reply);
    }
}

#[test]
fn who_came_first_is_served_first() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiters: Vec<Client> = (0..20).map(|_| scene.waiter("BLPOP queue 0")).collect();
    for (number, waiter) in waiters.iter_mut().take(10).enumerate() {
        scene.ask(&format!("RPUSH queue {number}"), ":1\r\n");
        waiter.expect_reply(&array(&["queue", &number.to_string()]));
    }
    // All at once.
    let all: Vec<String> = (10..20).map(|number| number.to_string()).collect();
    scene.ask(&format!("RPUSH queue {} left", all.join(" ")), ":11\r\n");
    for (number, waiter) in waiters.iter_mut().enumerate().skip(10) {
        waiter.expect_reply(&array(&["queue", &number.to_string()]));
    }
    scene.ask("LRANGE queue 0 -1", &array(&["left"]));
    scene.ended(20);
}

#[test]
fn who_is_served_waits_behind_the_others_again() {
    let Some(mut scene) = Scene::new() else { return };
    let (mut first, mut second) = (scene.waiter("BLPOP turn 0"), scene.waiter("BRPOP turn 0"));
    for round in 0..50 {
        scene.ask(&format!("RPUSH turn {round}"), ":1\r\n");
        first.expect_reply(&array(&["turn", &round.to_string()]));
        scene.ended(1);
        scene.wait(&mut first, "BLPOP turn 0");
        std::mem::swap(&mut first, &mut second);
    }
}

#[test]
fn several_elements_are_pushed_before_one_is_taken() {
    let Some(mut scene) = Scene::new() else { return };
    let (mut left, mut right) = (scene.waiter("BLPOP several 0"), scene.waiter("BRPOP several 0"));
    scene.ask("LPUSH several a b c", ":3\r\n");
    left.expect_reply(&array(&["several", "c"]));
    right.expect_reply(&array(&["several", "a"]));
    scene.ask("LRANGE several 0 -1", &array(&["b"]));
}

#[test]
fn of_several_keys_the_first_that_has_something_is_taken() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP k1 k2 k3 0");
    scene.ask("RPUSH k3 3", ":1\r\n");
    waiter.expect_reply(&array(&["k3", "3"]));
    scene.ended(1);
    // Both come at once: what counts is the order of the arguments.
    scene.wait(&mut waiter, "BLPOP k1 k2 k1 0");
    scene.owner.send("MULTI\r\nRPUSH k2 2\r\nRPUSH k1 1\r\nEXEC\r\n");
    scene.owner.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
    waiter.expect_reply(&array(&["k1", "1"]));
    scene.ended(1);
    // It waits at no other key any more.
    scene.ask("RPUSH k3 left", ":1\r\n");
    scene.ask("LRANGE k3 0 -1", &array(&["left"]));
    scene.ask("LLEN k2", ":1\r\n");
}

#[test]
fn a_transaction_serves_when_it_is_over() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP multi 0");
    // Nobody has seen the element within: the transaction took it back itself.
    scene.owner.send("MULTI\r\nRPUSH multi a\r\nLPOP multi\r\nEXEC\r\n");
    scene.owner.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\na\r\n");
    scene.still();
    scene.owner.send("MULTI\r\nRPUSH multi a\r\nDEL multi\r\nLPUSH multi b c\r\nSET other 1\r\nEXEC\r\n");
    scene.owner.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n:1\r\n:2\r\n+OK\r\n");
    waiter.expect_reply(&array(&["multi", "c"]));
    scene.ask("LRANGE multi 0 -1", &array(&["b"]));
}

#[test]
fn a_push_and_a_removal_in_one_write_serve_in_order() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP pipeline 0");
    // Served before the next command runs.
    scene.owner.send("RPUSH pipeline a\r\nLPOP pipeline\r\nDEL pipeline\r\nEXISTS pipeline\r\n");
    scene.owner.expect_reply(":1\r\n$-1\r\n:0\r\n:0\r\n");
    waiter.expect_reply(&array(&["pipeline", "a"]));
}

#[test]
fn keys_that_come_by_another_name_serve() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP new 0");
    scene.ask("RPUSH old 1", ":1\r\n");
    scene.ask("RENAME old new", "+OK\r\n");
    waiter.expect_reply(&array(&["new", "1"]));
    scene.ended(1);
    scene.wait(&mut waiter, "BLPOP new 0");
    scene.ask("RPUSH old 2 3", ":2\r\n");
    scene.ask("RENAMENX old new", ":1\r\n");
    waiter.expect_reply(&array(&["new", "2"]));
    scene.ended(1);
    scene.ask("LRANGE new 0 -1", &array(&["3"]));
}

#[test]
fn keys_that_are_brought_from_elsewhere_serve() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP there 0");
    scene.ask("RPUSH here 1 2", ":2\r\n");
    scene.ask("COPY here there", ":1\r\n");
    waiter.expect_reply(&array(&["there", "1"]));
    scene.ended(1);
    scene.ask("DEL there", ":1\r\n");
    scene.wait(&mut waiter, "BRPOP there 0");
    scene.ask("SORT here BY nosort STORE there", ":2\r\n");
    waiter.expect_reply(&array(&["there", "2"]));
    scene.ended(1);
    scene.ask("DEL there", ":1\r\n");
    scene.owner.send("DUMP here\r\n");
    let length: usize = scene.owner.line().trim_start_matches('$').parse().expect("a bulk string");
    let mut dump = vec![0; length + 2];
    scene.owner.0.read_exact(&mut dump).expect("the server answers");
    dump.truncate(length);
    scene.wait(&mut waiter, "BLPOP there 0");
    let mut request = format!("*4\r\n$7\r\nRESTORE\r\n$5\r\nthere\r\n$1\r\n0\r\n${length}\r\n").into_bytes();
    request.extend_from_slice(&dump);
    request.extend_from_slice(b"\r\n");
    scene.owner.send(request);
    scene.owner.expect_reply("+OK\r\n");
    waiter.expect_reply(&array(&["there", "1"]));
    scene.ended(1);
    scene.ask("LRANGE there 0 -1", &array(&["2"]));
}

#[test]
fn databases_that_change_places_serve() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP swapped 0");
    scene.ask("SELECT 1", "+OK\r\n");
    scene.ask("RPUSH swapped 1 2", ":2\r\n");
    scene.ask("SWAPDB 0 1", "+OK\r\n");
    waiter.expect_reply(&array(&["swapped", "1"]));
    scene.ended(1);
    scene.wait(&mut waiter, "BLPOP moved 0");
    scene.ask("RPUSH moved 3", ":1\r\n");
    scene.ask("MOVE moved 0", ":1\r\n");
    waiter.expect_reply(&array(&["moved", "3"]));
    scene.ended(1);
    // Within a transaction too.
    scene.wait(&mut waiter, "BLPOP swapped2 0");
    scene.owner.send("MULTI\r\nRPUSH swapped2 1\r\nSWAPDB 0 1\r\nEXEC\r\n");
    scene.owner.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n+OK\r\n");
    waiter.expect_reply(&array(&["swapped2", "1"]));
}

#[test]
fn others_end_a_wait() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = Client::connect(&scene.target);
    waiter.send("CLIENT ID\r\n");
    let id = waiter.line().trim_start_matches(':').to_owned();
    for (how, reply) in
        [("", "*-1\r\n"), (" TIMEOUT", "*-1\r\n"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
    {
        scene.wait(&mut waiter, "BLPOP nothing 0");
        scene.ask(&format!("CLIENT UNBLOCK {id}{how}"), ":1\r\n");
        waiter.expect_reply(reply);
        scene.ended(1);
    }
    scene.ask(&format!("CLIENT UNBLOCK {id}"), ":0\r\n");
    // While the transaction that does it holds what the other waits for.
    scene.wait(&mut waiter, "BLPOP nothing 0");
    scene.owner.send(format!("MULTI\r\nRPUSH nothing 1\r\nCLIENT UNBLOCK {id} ERROR\r\nEXEC\r\n"));
    scene.owner.expect_reply("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
    waiter.expect_reply("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    scene.ask("LRANGE nothing 0 -1", &array(&["1"]));
}

#[test]
fn who_wants_no_replies_gets_none() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("CLIENT REPLY OFF\r\nBLMOVE quiet moved LEFT LEFT 0\r\nCLIENT REPLY ON");
    scene.ask("RPUSH quiet 1", ":1\r\n");
    waiter.expect_reply("+OK\r\n");
    scene.ask("LRANGE moved 0 -1", &array(&["1"]));
    waiter.send("CLIENT REPLY SKIP\r\nBLPOP moved 0\r\nPING\r\n");
    waiter.expect_reply("+PONG\r\n");
}

#[test]
fn another_database_is_another_key() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = Client::connect(&scene.target);
    waiter.expect("SELECT 1", "+OK\r\n");
    scene.wait(&mut waiter, "BLPOP database 0");
    scene.ask("RPUSH database 0", ":1\r\n");
    scene.ask("SELECT 1", "+OK\r\n");
    scene.still();
    scene.ask("RPUSH database 1", ":1\r\n");
    waiter.expect_reply(&array(&["database", "1"]));
}

#[test]
fn time_runs_out() {
    let Some(mut scene) = Scene::new() else { return };
    let mut client = Client::connect(&scene.target);
    for request in ["BLPOP none 0.01", "BRPOP a b .01", "BLMPOP 1e-2 1 a LEFT", "BLMOVE a b LEFT LEFT 0.01"] {
        client.expect(request, "*-1\r\n");
    }
    // Long enough to be seen.
    scene.wait(&mut client, "BRPOPLPUSH a b 1.5");
    client.expect_reply("*-1\r\n");
    scene.ended(1);
    client.send("HELLO 3\r\n");
    while client.line() != "*0" {}
    client.expect("BLPOP none 0.01", "_\r\n");
    client.expect("BRPOPLPUSH none other 0.01", "_\r\n");
    // Nobody is left who would take it.
    scene.ask("RPUSH none 1", ":1\r\n");
    scene.ask("LLEN none", ":1\r\n");
}

#[test]
fn who_has_gone_takes_nothing() {
    let Some(mut scene) = Scene::new() else { return };
    let gone = scene.waiter("BLPOP gone 0");
    let mut stays = scene.waiter("BLPOP gone 0");
    drop(gone);
    scene.ended(1);
    scene.ask("RPUSH gone 1 2", ":2\r\n");
    stays.expect_reply(&array(&["gone", "1"]));
    scene.ended(1);
    let mut killed = scene.waiter("BLPOP killed 0");
    scene.owner.send("CLIENT LIST\r\n");
    let header = scene.owner.line();
    assert!(header.starts_with('$'), "{header}");
    let mut id = String::new();
    loop {
        let line = scene.owner.line();
        if line.is_empty() {
            break;
        }
        if line.contains("cmd=blpop") {
            id = line.split(' ').next().and_then(|word| word.strip_prefix("id=")).expect("an id").to_owned();
        }
    }
    scene.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n");
    assert!(killed.rest().is_empty());
    scene.ended(1);
    scene.ask("RPUSH killed 1", ":1\r\n");
    scene.ask("LLEN killed", ":1\r\n");
}

#[test]
fn what_is_asked_behind_a_wait_is_answered_behind_it() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP behind 0\r\nPING\r\nLLEN behind");
    scene.ask("RPUSH behind 1 2", ":2\r\n");
    waiter.expect_reply(&format!("{}+PONG\r\n:1\r\n", array(&["behind", "1"])));
}

#[test]
fn moves_form_chains() {
    let Some(mut scene) = Scene::new() else { return };
    // Who waits at the end of the chain is there first, or last.
    let mut last = scene.waiter("BLPOP chain3 0");
    let mut first = scene.waiter("BLMOVE chain1 chain2 LEFT RIGHT 0");
    let mut second = scene.waiter("BRPOPLPUSH chain2 chain3 0");
    scene.ask("RPUSH chain1 a", ":1\r\n");
    first.expect_reply(&bulk("a"));
    second.expect_reply(&bulk("a"));
    last.expect_reply(&array(&["chain3", "a"]));
    scene.ended(3);
    scene.ask("EXISTS chain1 chain2 chain3", ":0\r\n");
    // In a circle: each moves one element once.
    scene.wait(&mut first, "BLMOVE ring1 ring2 LEFT RIGHT 0");
    scene.wait(&mut second, "BLMOVE ring2 ring1 LEFT RIGHT 0");
    scene.ask("RPUSH ring1 x", ":1\r\n");
    first.expect_reply(&bulk("x"));
    second.expect_reply(&bulk("x"));
    scene.ask("LRANGE ring1 0 -1", &array(&["x"]));
    scene.ended(2);
    // Onto itself.
    scene.wait(&mut first, "BLMOVE self self LEFT RIGHT 0");
    scene.ask("RPUSH self 1 2", ":2\r\n");
    first.expect_reply(&bulk("1"));
    scene.ask("LRANGE self 0 -1", &array(&["2", "1"]));
}

#[test]
fn a_destination_of_another_type_takes_nothing() {
    let Some(mut scene) = Scene::new() else { return };
    let mut mover = scene.waiter("BLMOVE source target LEFT RIGHT 0");
    let mut next = scene.waiter("BLPOP source 0");
    // A change of the destination is no element.
    scene.ask("SET target text", "+OK\r\n");
    scene.still();
    scene.ask("RPUSH source 1 2", ":2\r\n");
    mover.expect_reply(WRONG_TYPE);
    next.expect_reply(&array(&["source", "1"]));
    scene.ended(2);
    scene.ask("LRANGE source 0 -1", &array(&["2"]));
    scene.ask("GET target", &bulk("text"));
}

#[test]
fn values_of_other_types_are_waited_past() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLPOP one two 0");
    scene.ask("SET two text", "+OK\r\n");
    scene.still();
    scene.ask("DEL two", ":1\r\n");
    scene.ask("RPUSH two 1", ":1\r\n");
    waiter.expect_reply(&array(&["two", "1"]));
    scene.ended(1);
    // When there is something at last, what stands before it is looked at again.
    scene.wait(&mut waiter, "BLPOP one two 0");
    scene.ask("SET one text", "+OK\r\n");
    scene.still();
    scene.ask("RPUSH two 2", ":1\r\n");
    waiter.expect_reply(WRONG_TYPE);
    scene.ended(1);
    scene.ask("LRANGE two 0 -1", &array(&["2"]));
}

#[test]
fn several_are_taken_by_who_asked_for_several() {
    let Some(mut scene) = Scene::new() else { return };
    let mut many = scene.waiter("BLMPOP 0 2 m1 m2 RIGHT COUNT 3");
    let mut rest = scene.waiter("BLMPOP 0 2 m1 m2 LEFT COUNT 3");
    scene.ask("RPUSH m2 1 2 3 4", ":4\r\n");
    many.expect_reply(&format!("*2\r\n{}{}", bulk("m2"), array(&["4", "3", "2"])));
    rest.expect_reply(&format!("*2\r\n{}{}", bulk("m2"), array(&["1"])));
    scene.ask("EXISTS m2", ":0\r\n");
}

#[test]
fn what_was_served_counts_as_a_change_for_who_watches() {
    let Some(mut scene) = Scene::new() else { return };
    let mut waiter = scene.waiter("BLMOVE watched elsewhere LEFT RIGHT 0");
    let mut watcher = Client::connect(&scene.target);
    watcher.expect("WATCH elsewhere", "+OK\r\n");
    scene.ask("RPUSH watched 1", ":1\r\n");
    waiter.expect_reply(&bulk("1"));
    watcher.send("MULTI\r\nPING\r\nEXEC\r\n");
    watcher.expect_reply("+OK\r\n+QUEUED\r\n*-1\r\n");
}

#[test]
fn events_come_in_the_order_of_what_happened() {
    let Some(mut scene) = Scene::new() else { return };
    scene.ask("CONFIG SET notify-keyspace-events El", "+OK\r\n");
    let mut ear = Client::connect(&scene.target);
    ear.expect("PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    let mut waiter = scene.waiter("BLMOVE from to LEFT RIGHT 0");
    scene.ask("RPUSH from 1", ":1\r\n");
    waiter.expect_reply(&bulk("1"));
    for (event, key) in [("rpush", "from"), ("rpush", "to"), ("lpop", "from")] {
        let channel = format!("__keyevent@0__:{event}");
        ear.expect_reply(&array(&["pmessage", "*", &channel, key]));
    }
}

#[test]
fn nothing_is_lost_or_given_twice_under_load() {
    let Some(scene) = Scene::new() else { return };
    const EACH: usize = 2_000;
    const PAIRS: usize = 4;
    let consumers: Vec<_> = (0..PAIRS)
        .map(|_| {
            let mut client = Client::connect(&scene.target);
            std::thread::spawn(move || {
                let mut taken = Vec::new();
                loop {
                    client.send("BLPOP load1 load2 0\r\n");
                    let lines: Vec<String> = (0..5).map(|_| client.line()).collect();
                    if lines[4] == "end" {
                        return taken;
                    }
                    taken.push(lines[4].clone());
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..PAIRS)
        .map(|producer| {
            let mut client = Client::connect(&scene.target);
            std::thread::spawn(move || {
                for number in 0..EACH {
                    client.send(format!("RPUSH load{} {producer}:{number}\r\n", 1 + number % 2));
                    client.line();
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|producer| producer.join().expect("a producer ends"));
    let mut owner = Client::connect(&scene.target);
    owner.until("blocked_clients", |count| count == PAIRS as u64);
    owner.expect(&format!("RPUSH load1{}", " end".repeat(PAIRS)), &format!(":{PAIRS}\r\n"));
    let mut taken: Vec<String> =
        consumers.into_iter().flat_map(|consumer| consumer.join().expect("a consumer ends")).collect();
    taken.sort();
    let mut expected: Vec<String> =
        (0..PAIRS).flat_map(|producer| (0..EACH).map(move |number| format!("{producer}:{number}"))).collect();
    expected.sort();
    assert!(taken == expected, "{} of {}", taken.len(), expected.len());
}

#[test]
fn a_wait_for_the_log_or_for_replicas_is_unblocked_too() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    let mut waiter = Client::connect(&target);
    waiter.send("CLIENT ID\r\n");
    let id = waiter.line().trim_start_matches(':').to_owned();
    let unblocked = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
    for (request, timed_out) in [("WAIT 1 0", ":0\r\n"), ("WAITAOF 1 1 0", "*2\r\n:1\r\n:0\r\n")] {
        owner.expect("SET key value", "+OK\r\n");
        owner.expect("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
        for (how, reply) in [("", timed_out), (" TIMEOUT", timed_out), (" ERROR", unblocked)] {
            waiter.send(format!("{request}\r\n"));
            owner.until("blocked_clients", |clients| clients == 1);
            assert!(owner.text(&format!("CLIENT LIST ID {id}")).contains(" flags=b "), "{request}");
            owner.expect(&format!("CLIENT UNBLOCK {id}{how}"), ":1\r\n");
            waiter.expect_reply(reply);
            waiter.expect("PING", "+PONG\r\n");
            owner.expect(&format!("CLIENT UNBLOCK {id}"), ":0\r\n");
        }
    }
}
