//! The end of the log, cut and spoilt at every byte of the last record: the server starts, and all before is there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use harness::fault;
use std::ops::Range;
use std::path::{Path, PathBuf};

use harness::files;
use harness::process::{Launch, Mode};
use harness::wire::Reply;
use tempfile::TempDir;

const WRITES: u32 = 20;

/// A log that ends with one small record, and where that is.
struct Victim {
    _room: TempDir,
    dir: PathBuf,
    segment: String,
    record: Range<usize>,
}

/// Mode `no`: nothing is synced and no mark says that the tail was durable.
fn victim() -> Victim {
    let room = TempDir::with_prefix("harness-tail-").expect("a directory");
    let dir = room.path().join("data");
    files::make_dir(&dir).unwrap();
    let mut server = common::start(&common::launch(&dir, Mode::No));
    let mut client = server.connect().unwrap();
    for n in 0..WRITES {
        set(&mut client, n);
    }
    let before = room.path().join("before");
    files::copy_dir(&dir, &before).unwrap();
    set(&mut client, WRITES);
    server.kill().unwrap();
    let (segment, record) = difference(&before, &dir);
    Victim { _room: room, dir, segment, record }
}

fn set(client: &mut harness::client::Client, n: u32) {
    let reply = client.call(&[b"SET", format!("key{n}").as_bytes(), value(n).as_bytes()]).unwrap();
    assert_eq!(reply, Reply::Simple("OK".into()));
}

fn value(n: u32) -> String {
    format!("the value of key {n}")
}

/// The bytes that the last write changed.
fn difference(before: &Path, after: &Path) -> (String, Range<usize>) {
    let mut found = None;
    for path in files::list(after).unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".log") {
            continue;
        }
        let (old, new) = (files::read(&before.join(&name)).unwrap_or_default(), files::read(&path).unwrap());
        let differs = |at: &usize| old.get(*at).copied().unwrap_or(0) != new[*at];
        if let (Some(first), Some(last)) = ((0..new.len()).find(differs), (0..new.len()).rev().find(differs)) {
            assert!(found.is_none(), "one write changed two segments");
            found = Some((name, first..last + 1));
        }
    }
    found.expect("the last write is in the log")
}

/// Starts on a copy of the victim whose segment `spoil` has changed, and looks for every key.
fn survives(victim: &Victim, what: &str, spoil: impl FnOnce(&mut Vec<u8>)) {
    let room = TempDir::with_prefix("harness-tail-").unwrap();
    let dir = room.path().join("data");
    files::copy_dir(&victim.dir, &dir).unwrap();
    let path = dir.join(&victim.segment);
    let mut bytes = files::read(&path).unwrap();
    spoil(&mut bytes);
    files::write(&path, &bytes).unwrap();
    let launch = common::launch(&dir, Mode::No);
    for opening in ["first", "second"] {
        let mut server = launch.start().unwrap_or_else(|failure| panic!("{what}, {opening} opening: {failure}"));
        look(&launch, &mut server, &format!("{what}, {opening} opening"));
        server.kill().unwrap();
    }
}

fn look(_launch: &Launch, server: &mut harness::process::Server, what: &str) {
    let mut client = server.connect().unwrap();
    for n in 0..WRITES {
        let reply = client.call(&[b"GET", format!("key{n}").as_bytes()]).unwrap();
        assert_eq!(reply, Reply::Bulk(value(n).into()), "{what}: an acknowledged write before the tail");
    }
    let last = client.call(&[b"GET", format!("key{WRITES}").as_bytes()]).unwrap();
    let whole = Reply::Bulk(value(WRITES).into());
    assert!(last == Reply::Nil || last == whole, "{what}: the last write is {last:?}");
    let size = WRITES as i64 + i64::from(last == whole);
    assert_eq!(client.call(&[b"DBSIZE"]).unwrap(), Reply::Int(size), "{what}");
}

#[test]
fn a_tail_spoilt_at_every_byte_is_dropped() {
    let _turn = common::alone();
    let victim = victim();
    let record = victim.record.clone();
    fault::say(&format!("{}: the last record is bytes {record:?}", victim.segment));
    assert!((16..512).contains(&record.len()), "a small record, found at {record:?}");
    for at in record.clone() {
        survives(&victim, &format!("cut at {at}"), |bytes| bytes.truncate(at));
        survives(&victim, &format!("zeros from {at}"), |bytes| bytes[at..].fill(0));
        survives(&victim, &format!("bit of {at}"), |bytes| bytes[at] ^= 1 << (at % 8));
    }
    survives(&victim, "garbage behind", |bytes| {
        let noise = (0u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
        bytes[record.start..].iter_mut().zip(noise).for_each(|(byte, noise)| *byte = noise);
    });
    survives(&victim, "garbage at the file's end", |bytes| bytes.extend_from_slice(&[0xa5; 777]));
}

/// A clean shutdown says that all is durable: then a bad byte is no tail but corruption, and is said to be.
#[test]
fn a_flipped_byte_below_the_mark_is_refused_by_name() {
    let _turn = common::alone();
    let victim = victim();
    let launch = common::launch(&victim.dir, Mode::No);
    let mut server = common::start(&launch);
    let ended = server.terminate(common::millis(20_000)).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    // Opening has moved the tail to a new segment.
    let needle = value(3);
    let at = |bytes: &[u8]| bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
    let logs = files::list(&victim.dir).unwrap().into_iter().map(|path| (path.clone(), files::read(&path).unwrap()));
    let (path, whole) = logs.into_iter().find(|(_, bytes)| at(bytes).is_some()).expect("the value is in the log");
    let mut bytes = whole.clone();
    bytes[at(&whole).unwrap()] ^= 1;
    files::write(&path, &bytes).unwrap();
    let failure = launch.start().expect_err("a corrupt log is refused").to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(failure.contains(name), "the message names the file: {failure}");
    files::write(&path, &whole).unwrap();
    common::start(&launch);
}
