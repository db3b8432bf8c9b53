//! `kvd import` and `kvd export`: what comes in goes out again, and nothing that failed passes for whole.

use std::fs;

use crate::{Bench, commands, files};

/// Later than any test runs, and long gone: milliseconds since 1970.
const LATE: u64 = 4_000_000_000_000;
const GONE: u64 = 1_000_000_000_000;

/// An RDB file of some values, without a checksum.
fn rdb(values: &[&[u8]]) -> Vec<u8> {
    [b"REDIS0011", &values.concat()[..], b"\xff\0\0\0\0\0\0\0\0"].concat()
}

fn deadline(ms: u64) -> Vec<u8> {
    [&b"\xfc"[..], &ms.to_le_bytes()].concat()
}

fn sample() -> Vec<u8> {
    let (late, gone) = (deadline(LATE), deadline(GONE));
    rdb(&[
        b"\xfa\x09redis-ver\x057.4.0\xfe\x00\x00\x01a\x05hello",
        &late,
        b"\x01\x01l\x02\x01x\x01y",
        &gone,
        b"\x00\x04gone\x01v",
        b"\xfe\x03\x04\x01h\x01\x01f\x01v\x05\x01z\x01\x01m\0\0\0\0\0\0\xf8\x3f\x02\x01s\x01\x01e",
    ])
}

const SAMPLE: [&str; 8] = [
    "HSET h f v",
    "PEXPIREAT l 4000000000000",
    "RPUSH l x y",
    "SADD s e",
    "SELECT 0",
    "SELECT 3",
    "SET a hello",
    "ZADD z 1.5 m",
];

#[test]
fn an_rdb_file_becomes_a_store_and_commands_again() {
    let bench = Bench::new();
    bench.put("dump.rdb", &sample());
    let said = bench.good(&["import", "dump.rdb", "--dir", "store"]);
    assert!(said.starts_with("imported 5 keys (1 strings, 1 lists, 1 hashes, 1 sets, 1 sorted sets) in "), "{said}");
    assert!(said.contains("1 keys had expired"), "{said}");
    let before = files(&bench.path("store"));
    assert_eq!(bench.held("store"), SAMPLE);
    let mut parsed = crate::lines(&bench.kvd(&["--parse-snapshot", "store/dump.kv"]).out);
    parsed.sort();
    assert_eq!(parsed, SAMPLE);
    assert_eq!(files(&bench.path("store")), before, "an export changes no file");
    let mut parsed = crate::lines(&bench.kvd(&["--parse-snapshot", "dump.rdb"]).out);
    parsed.sort();
    assert_eq!(parsed, SAMPLE);
    // What was exported is an append-only file too.
    let exported = bench.kvd(&["export", "store"]).out;
    bench.put("again.aof", &exported);
    let said = bench.good(&["import", "again.aof", "--dir", "again", "--dbfilename", "other.kv"]);
    assert!(said.contains("by 8 commands"), "{said}");
    assert_eq!(
        bench.bad(&["export", "again"]),
        "kvd export: cannot read the store in again: there is no store dump.kv here\n"
    );
    let mut held = crate::lines(&bench.kvd(&["export", "again", "--dbfilename", "other.kv"]).out);
    held.sort();
    assert_eq!(held, SAMPLE);
}

/// A value of 4,000 bytes, and each has another.
fn long(number: usize) -> String {
    format!("{number:04}").repeat(1000)
}

#[test]
fn more_than_memory_is_imported_unless_values_may_not_leave_it() {
    let bench = Bench::new();
    let value = |number| [format!("\0\x08key:{number:04}").as_bytes(), &[0x4F, 0xA0], long(number).as_bytes()].concat();
    let values: Vec<Vec<u8>> = (0..3000).map(value).collect();
    bench.put("dump.rdb", &rdb(&values.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let said = bench.bad(&["import", "dump.rdb", "--dir", "none", "--maxmemory", "4mb", "--spill", "no"]);
    assert!(said.contains(": maxmemory is reached, and no value can leave memory"), "{said}");
    let said = bench.good(&["import", "dump.rdb", "--dir", "store", "--maxmemory", "4mb"]);
    assert!(said.starts_with("imported 3000 keys"), "{said}");
    // In the order in which they came.
    let expected: Vec<String> = (0..3000).map(|number| format!("SET key:{number:04} {}", long(number))).collect();
    assert!(crate::lines(&bench.kvd(&["export", "store"]).out)[1..] == expected);
}

#[test]
fn an_import_that_failed_is_not_served_and_begins_anew() {
    let bench = Bench::new();
    let whole = sample();
    let cut = whole.windows(2).position(|window| window == b"\x01y").unwrap() + 1;
    bench.put("dump.rdb", &whole);
    bench.put("cut.rdb", &whole[..cut]);
    let said = bench.bad(&["import", "cut.rdb", "--dir", "store"]);
    let why = format!("cut.rdb: at byte {cut}, in the value of key \"l\" of database 0: the file ends too early");
    assert!(said.contains(&why) && said.contains("1 keys were stored before"), "{said}");
    for arguments in [
        &["--dir", "store", "--port", "0", "--unixsocket", "s"][..],
        &["export", "store"],
        &["check", "store"],
        &["import", "dump.rdb", "--merge", "--dir", "store"],
    ] {
        let said = bench.bad(arguments);
        assert!(said.contains("is an unfinished import"), "{arguments:?}: {said}");
    }
    assert!(bench.kvd(&["import", "dump.rdb", "--dir", "store"]).said.contains("begun anew: 1 keys are removed"));
    assert_eq!(bench.held("store"), SAMPLE);
}

#[test]
fn what_is_there_is_not_touched_but_on_demand() {
    let bench = Bench::new();
    bench.put("one.aof", &commands(&["SET a before", "SET b before"]));
    bench.put("dump.rdb", &sample());
    bench.good(&["import", "one.aof", "--dir", "store"]);
    let said = bench.bad(&["import", "dump.rdb", "--dir", "store"]);
    assert!(said.contains("the store dump.kv in store holds 2 keys: --merge imports into it"), "{said}");
    assert_eq!(bench.held("store"), ["SELECT 0", "SET a before", "SET b before"]);
    bench.put("cut.rdb", &sample()[..60]);
    let said = bench.bad(&["import", "cut.rdb", "--merge", "--dir", "store"]);
    assert!(said.contains("what came before it is stored"), "{said}");
    bench.good(&["import", "dump.rdb", "--merge", "--dir", "store"]);
    let held = bench.held("store");
    assert_eq!(held.len(), SAMPLE.len() + 1);
    assert!(held.contains(&"SET b before".to_owned()) && held.contains(&"SET a hello".to_owned()), "{held:?}");
}

#[test]
fn what_is_no_file_of_redis_is_refused_before_a_store_is_made() {
    let bench = Bench::new();
    for (name, bytes, why) in [
        ("empty", &b""[..], "is empty: there is nothing to import"),
        ("text", b"hello", "is neither an RDB file nor"),
        ("old", b"REDIS0003\xff", "RDB version 3 is not supported: versions 5 to 12 are"),
        ("valkey", b"VALKEY080\xff", "Valkey"),
        ("folder/x", b"", "holds no file that ends with .manifest"),
        ("m.manifest", b"file nowhere seq 1 type b\n", "nowhere: No such file"),
    ] {
        bench.put(name, bytes);
        let said = bench.bad(&["import", name.strip_suffix("/x").unwrap_or(name), "--dir", "store"]);
        assert!(said.contains(why), "{name}: {said}");
        assert!(!bench.path("store").exists(), "{name}");
    }
    bench.put("behind.rdb", &[&sample()[..], b"x"].concat());
    let said = bench.bad(&["import", "behind.rdb", "--dir", "store"]);
    assert!(said.contains("the file goes on behind its end"), "{said}");
    assert!(bench.bad(&["import"]).contains("FILE is missing"));
    assert!(bench.bad(&["import", "text", "--no-such-setting", "1"]).contains("Bad directive"));
    assert!(bench.good(&["import", "--help"]).contains("--skip-unsupported"));
    assert!(bench.good(&["--help"]).contains("kvd check DIR"));
}

#[test]
fn what_is_not_supported_is_an_error_or_passed_over_and_named() {
    let bench = Bench::new();
    let stream = b"\x0f\x06stream\x00\x00\x00\x00\x00";
    bench.put("stream.rdb", &rdb(&[b"\xf5\x01f", stream, b"\x00\x01a\x01b"]));
    let said = bench.bad(&["import", "stream.rdb", "--dir", "store"]);
    assert!(said.contains("stream.rdb: key \"stream\" of database 0 is a stream, which is not supported"), "{said}");
    let ended = bench.kvd(&["import", "stream.rdb", "--dir", "store", "--skip-unsupported"]);
    assert!(ended.said.contains("skipped: key \"stream\" of database 0 is a stream"), "{}", ended.said);
    let out = String::from_utf8_lossy(&ended.out).into_owned();
    assert!(out.contains("skipped: 1 libraries of functions\nskipped: 1 values of type stream"), "{out}");
    assert_eq!(bench.held("store"), ["SELECT 0", "SET a b"]);
    assert!(bench.bad(&["--parse-snapshot", "stream.rdb"]).contains("is a stream"));

    bench.put("x.aof", &commands(&["SET a b", "XADD s * f v", "SET c d"]));
    let said = bench.bad(&["import", "x.aof", "--dir", "other"]);
    assert!(said.contains("x.aof: at byte 27, the command XADD \"s\" is not supported"), "{said}");
    assert!(
        bench.good(&["import", "x.aof", "--dir", "other", "--skip-unsupported"]).contains("1 unsupported commands")
    );
    assert_eq!(bench.held("other"), ["SELECT 0", "SET a b", "SET c d"]);

    bench.put("database.rdb", &rdb(&[b"\xfe\x10\x00\x01a\x01b"]));
    let said = bench.bad(&["import", "database.rdb", "--dir", "third"]);
    assert!(said.contains("key \"a\" of database 16: there are 16 databases"), "{said}");
}

/// The parts of an append-only file: what has expired in one may have been given more time in a later one.
#[test]
fn a_file_in_parts_is_what_its_manifest_names() {
    let bench = Bench::new();
    let gone = deadline(GONE);
    let base = rdb(&[b"\xfa\x08aof-base\xc0\x01", &gone, b"\x00\x05renew\x01v", &gone, b"\x00\x04gone\x01v"]);
    bench.put("d/a.1.base.rdb", &base);
    let renewed = format!("PEXPIREAT renew {LATE}");
    bench.put("d/a.1.incr.aof", &commands(&["SELECT 0", "PERSIST renew", "SET x 1", &format!("PEXPIREAT x {GONE}")]));
    let last = ["#", "SELECT 0", &renewed, "PERSIST x", "MULTI", "SET y 1", "INCR y", "EXEC"];
    let last = [b"#TS:1700000000\r\n", &commands(&last[1..])[..]].concat();
    bench.put("d/a.2.incr.aof", &last);
    bench.put("d/old.aof", b"not read");
    let manifest = "file a.1.base.rdb seq 1 type b\nfile old.aof seq 1 type h\n\
        file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
    bench.put("d/a.manifest", manifest.as_bytes());
    let expected = [&renewed, "SELECT 0", "SET renew v", "SET x 1", "SET y 2"];
    for (at, source) in ["d", "d/a.manifest"].into_iter().enumerate() {
        let said = bench.good(&["import", source, "--dir", &format!("store{at}")]);
        assert!(said.starts_with("imported 4 keys (4 strings) by 11 commands"), "{said}");
        assert!(said.contains("1 keys had expired"), "{said}");
        assert_eq!(bench.held(&format!("store{at}")), expected);
    }

    // Cut: at the end of the last it is a crash, anywhere else it is damage.
    bench.put("d/a.2.incr.aof", &last[..last.len() - 3]);
    let said = bench.good(&["import", "d", "--dir", "cut"]);
    let multi = last.windows(5).position(|window| window == b"MULTI").unwrap() - 8;
    let left = last.len() - 3 - multi;
    assert!(said.contains(&format!("the last {left} bytes, from byte {multi}, are left out: a transaction")), "{said}");
    assert_eq!(bench.held("cut"), expected[..4]);
    let whole = fs::read(bench.path("d/a.1.incr.aof")).unwrap();
    bench.put("d/a.1.incr.aof", &whole[..whole.len() - 3]);
    let said = bench.bad(&["import", "d", "--dir", "damaged"]);
    assert!(said.contains("a.1.incr.aof: at byte ") && said.contains("and another file follows"), "{said}");
    // Old versions put it all into one file.
    bench.put("one.aof", &[&base[..], &whole, &last].concat());
    bench.good(&["import", "one.aof", "--dir", "one"]);
    assert_eq!(bench.held("one"), expected);
}

#[test]
fn a_command_that_fails_is_named_with_its_place() {
    let bench = Bench::new();
    let fine = commands(&["SET a 1"]);
    for (name, lines, word) in [
        ("wrong", &["LPUSH a x"][..], "LPUSH"),
        ("queued", &["MULTI", "SET b 1", "LPUSH a x", "EXEC"], "LPUSH"),
        ("arity", &["GET"], "GET"),
    ] {
        let bytes = [&fine[..], &commands(lines), &commands(&["SET z 1"])].concat();
        let at = bytes.windows(word.len()).position(|window| window == word.as_bytes()).unwrap();
        // In front of the word stand the lengths of the command and of the word.
        let at = at - 8;
        bench.put(name, &bytes);
        let said = bench.bad(&["import", name, "--dir", name.to_uppercase().as_str()]);
        assert!(said.contains(&format!("{name}: at byte {at}, the command {word}")), "{said}");
    }
    bench.put("relative", &commands(&["SET a 1", "EXPIRE a 100"]));
    let said = bench.bad(&["import", "relative", "--dir", "relatives"]);
    assert!(said.contains("at byte 27, the command EXPIRE \"a\" counts a deadline from now"), "{said}");
    let mut damaged = commands(&["SET a 1", "SET b 1", "SET c 1"]);
    damaged[27] = b'x';
    bench.put("damaged", &damaged);
    let said = bench.bad(&["import", "damaged", "--dir", "store"]);
    assert!(said.contains("damaged: at byte 27: here should be a line that begins with '*'"), "{said}");
}
