//! Values that have left memory, asked for and changed in every way there is.

use std::fs::OpenOptions;
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{Advice, fadvise};

use crate::client::{Client, set};
use crate::server::Target;

/// Long enough to leave memory.
fn long(letter: &str) -> String {
    letter.repeat(100)
}

/// A server of our own for each way to read values back.
fn each_way() -> impl Iterator<Item = Target> {
    let is_foreign = std::env::var_os("GOLDEN_SERVER").is_some();
    ["auto", "threads"].into_iter().filter(move |_| !is_foreign).map(|way| {
        let target = Target::with(&["--enable-debug-command", "yes", "--threads", "2", "--spill-reads", way]);
        let mut client = Client::connect(&target);
        client.expect("CONFIG GET spill-reads", &format!("*2\r\n$11\r\nspill-reads\r\n{}", bulk(way)));
        let told = client.text("INFO memory");
        // What the kernel of this machine forbids is not there.
        let is_there = engine::disk::ring::Ring::<()>::new(8, 8).is_ok();
        let reads_by = if way == "auto" && is_there { "io_uring" } else { "threads" };
        assert!(told.contains(&format!("\r\nspill_reads:{reads_by}\r\n")), "{way}: {told}");
        target
    })
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Lets every value leave memory: so many.
#[track_caller]
fn chill(owner: &mut Client, keys: u64) {
    owner.expect("CONFIG SET maxmemory 1", "+OK\r\n");
    owner.until("spilled_keys", |spilled| spilled == keys);
    owner.expect("CONFIG SET maxmemory 0", "+OK\r\n");
}

fn filled(target: &Target) -> Client {
    let mut owner = Client::connect(target);
    for letter in ["a", "b"] {
        owner.expect(&format!("SET {letter} {}", long(letter)), "+OK\r\n");
    }
    owner.expect(&format!("RPUSH list {} {}", long("1"), long("2")), ":2\r\n");
    owner.expect(&format!("HSET hash f {}", long("h")), ":1\r\n");
    owner.expect(&format!("ZADD zset 1 {}", long("z")), ":1\r\n");
    owner
}

#[test]
fn every_way_to_a_value_finds_it() {
    each_way().for_each(|target| every_way(&target));
}

fn every_way(target: &Target) {
    let mut owner = filled(target);
    owner.expect("RPUSH names a", ":1\r\n");
    let (a, b) = (bulk(&long("a")), bulk(&long("b")));
    let element = bulk(&long("1"));
    let asked = [
        ("GET a", a.clone()),
        ("STRLEN a", ":100\r\n".to_owned()),
        ("MGET a none b", format!("*3\r\n{a}$-1\r\n{b}")),
        ("LRANGE list 0 0", format!("*1\r\n{element}")),
        ("HGET hash f", bulk(&long("h"))),
        ("ZSCORE zset none", "$-1\r\n".to_owned()),
        ("OBJECT ENCODING hash", "$9\r\nhashtable\r\n".to_owned()),
        ("SORT names BY nosort GET *", format!("*1\r\n{a}")),
        ("SORT names BY nosort GET * STORE sorted", ":1\r\n".to_owned()),
        ("DEL sorted", ":1\r\n".to_owned()),
        ("KEYS a LIMIT 1 WITHVALUES", format!("*2\r\n$1\r\na\r\n{a}")),
        ("GET a\r\nGET b\r\nGET a", format!("{a}{b}{a}")),
        (
            "MULTI\r\nGET a\r\nSORT names BY nosort GET *\r\nEXEC",
            format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n{a}*1\r\n{a}"),
        ),
        ("BLPOP list 1", format!("*2\r\n$4\r\nlist\r\n{element}")),
        ("COPY a copy", ":1\r\n".to_owned()),
        ("RENAME copy a", "+OK\r\n".to_owned()),
        ("APPEND a !", ":101\r\n".to_owned()),
        ("GETRANGE a 99 -1", "$2\r\na!\r\n".to_owned()),
        ("SETRANGE a 100 ?", ":101\r\n".to_owned()),
        ("GETRANGE a 99 -1", "$2\r\na?\r\n".to_owned()),
        ("EXISTS a b", ":2\r\n".to_owned()),
    ];
    for (request, reply) in asked {
        chill(&mut owner, 5 + u64::from(request == "DEL sorted") + u64::from(request == "RENAME copy a"));
        owner.expect(request, &reply);
    }
    assert!(owner.info("unspilled_values") > 10, "they were read back");
}

#[test]
fn values_of_a_listing_are_read_in_pieces() {
    each_way().for_each(|target| listing(&target));
}

fn listing(target: &Target) {
    let mut owner = Client::connect(target);
    let value = |number: usize| format!("{number:04}").repeat(300);
    for number in 0..2500 {
        owner.expect(&format!("SET key:{number:04} {}", value(number)), "+OK\r\n");
    }
    owner.expect("RPUSH key:list 1 2", ":2\r\n");
    chill(&mut owner, 2500);
    owner.expect(&format!("SET key:0007 {}", long("7")), "+OK\r\n");
    for order in ["", " DESC"] {
        let mut shown: Vec<String> = (0..2500)
            .map(|number| (number, if number == 7 { long("7") } else { value(number) }))
            .map(|(number, value)| format!("{}{}", bulk(&format!("key:{number:04}")), bulk(&value)))
            .chain([format!("{}$-1\r\n", bulk("key:list"))])
            .collect();
        if order == " DESC" {
            shown.reverse();
        }
        owner.expect(&format!("KEYS key:*{order} WITHVALUES"), &format!("*5002\r\n{}", shown.concat()));
    }
}

#[test]
fn a_damaged_value_is_told_and_the_others_are_served() {
    each_way().for_each(|target| damaged(&target));
}

#[expect(clippy::disallowed_methods, reason = "the file is damaged behind the back of its store")]
fn damaged(target: &Target) {
    let mut owner = filled(target);
    // A read that succeeds, so that the segment is open.
    chill(&mut owner, 5);
    owner.expect("GET a", &bulk(&long("a")));
    chill(&mut owner, 5);
    let holds = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| at(&bytes).is_some());
    let log = segments(&mut owner).find(holds);
    let log = log.expect("the log holds the value");
    let place = at(&std::fs::read(&log).expect("it can be read")).expect("seen above");
    let file = OpenOptions::new().write(true).open(log).expect("it is ours");
    file.write_all_at(b"A", place as u64).expect("a byte can be written");
    for request in ["GET a", "APPEND a x", "KEYS * LIMIT 9 WITHVALUES", "MULTI\r\nGET a\r\nEXEC"] {
        owner.send(format!("{request}\r\n"));
        let mut line = owner.line();
        while line == "+OK" || line == "+QUEUED" {
            line = owner.line();
        }
        assert!(line.starts_with("-CORRUPT the value cannot be read back: dump.kv-"), "{request}: {line}");
    }
    owner.expect("GET b", &bulk(&long("b")));
    owner.expect("SET a new", "+OK\r\n");
    owner.expect("GET a", "$3\r\nnew\r\n");
}

/// The files of the log.
fn segments(owner: &mut Client) -> impl Iterator<Item = PathBuf> {
    owner.send("CONFIG GET dir\r\n");
    let folder = (0..5).map(|_| owner.line()).last().expect("two strings");
    let files = std::fs::read_dir(folder).expect("it is a folder").flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "log"))
}

#[test]
fn who_goes_while_values_are_read_leaves_the_others_theirs() {
    each_way().for_each(|target| gone(&target));
}

/// Clients that go at once after they have asked for many values, and one that asks for the same.
#[expect(clippy::disallowed_methods, reason = "the kernel is to forget the files of the store")]
fn gone(target: &Target) {
    const KEYS: u64 = 300;
    const BYTES: usize = 5000;
    let mut owner = Client::connect(target);
    for number in 0..KEYS {
        owner.send(set(&format!("key:{number}"), BYTES));
        owner.expect_reply("+OK\r\n");
    }
    let ask: String = (0..KEYS).map(|number| format!("GET key:{number}\r\n")).collect();
    let value = bulk(&"v".repeat(BYTES));
    for round in 0..20 {
        chill(&mut owner, KEYS);
        for path in segments(&mut owner) {
            let file = OpenOptions::new().read(true).open(path).expect("it is ours");
            file.sync_all().expect("it can be synced");
            fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes advice");
        }
        let mut leaving: Vec<Client> = (0..4).map(|_| Client::connect(target)).collect();
        for client in &mut leaving {
            client.send(&ask);
        }
        if round % 2 == 0 {
            owner.send(&ask);
        }
        for client in leaving.drain(..) {
            client.0.shutdown(Shutdown::Both).expect("it is open");
        }
        if round % 2 == 1 {
            owner.send(&ask);
        }
        for _ in 0..KEYS {
            owner.expect_reply(&value);
        }
    }
    owner.until("connected_clients", |clients| clients == 1);
}

/// Where the value of the first key lies.
fn at(bytes: &[u8]) -> Option<usize> {
    let value = long("a");
    bytes.windows(value.len()).position(|window| window == value.as_bytes())
}
