//! A small file system fills up: writes are refused by name, reads go on, nothing acknowledged is lost, and it works
//! again by itself when there is space.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::client::Client;
use harness::process::{Mode, Server};
use harness::wire::Reply;
use harness::{clock, fault, files};
use tempfile::TempDir;

const SIZE: &str = "size=24m";

/// A mounted tmpfs, unmounted when dropped.
struct Tmpfs {
    room: TempDir,
}

impl Tmpfs {
    fn mount() -> Result<Self, String> {
        let room = TempDir::with_prefix("harness-full-").map_err(|error| error.to_string())?;
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(room.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self { room }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }

    fn data(&self) -> PathBuf {
        self.room.path().join("data")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.room.path()).status();
    }
}

fn key(n: u64) -> String {
    format!("key{n}")
}

fn value(n: u64) -> Vec<u8> {
    format!("{n}:").into_bytes().into_iter().chain(std::iter::repeat_n(b'v', 4096)).collect()
}

/// SETs until one is refused; gives the number that were acknowledged and the refusal.
fn fill(client: &mut Client, from: u64) -> (u64, String) {
    for n in from..from + 100_000 {
        let reply = client.call(&[b"SET", key(n).as_bytes(), &value(n)]);
        match reply.unwrap_or_else(|error| panic!("SET number {n} got no reply: {error}")) {
            Reply::Simple(_) => {}
            Reply::Error(text) => return (n, text),
            other => panic!("SET: {other:?}"),
        }
    }
    panic!("a {SIZE} file system took 400 MB");
}

fn expect_all(server: &Server, acked: u64, what: &str) {
    let mut client = server.connect().unwrap();
    for n in 0..acked {
        let reply = client.call(&[b"GET", key(n).as_bytes()]).unwrap();
        assert!(reply == Reply::Bulk(value(n)), "{what}: key{n} of {acked} acknowledged");
    }
    let refused = client.call(&[b"GET", key(acked).as_bytes()]).unwrap();
    assert_eq!(refused, Reply::Nil, "{what}: the refused write had an effect");
}

fn in_mode(mode: Mode) {
    let _turn = common::alone();
    let tmpfs = match Tmpfs::mount() {
        Ok(tmpfs) => tmpfs,
        Err(reason) => return fault::skipped("disk_full", &reason),
    };
    files::make_dir(&tmpfs.data()).unwrap();
    let mut launch = common::launch(&tmpfs.data(), mode);
    launch.log = std::env::temp_dir().join(format!("harness-full-{}.log", std::process::id()));
    let ballast = tmpfs.room.path().join("ballast");
    files::write(&ballast, &vec![1; 12 << 20]).unwrap();
    let mut server = common::start(&launch);
    let mut client = server.connect().unwrap();
    let (acked, refusal) = fill(&mut client, 0);
    assert!(refusal.starts_with("MISCONF") && refusal.contains("space"), "{refusal}");
    assert!(acked > 100, "only {acked} writes fit");
    expect_all(&server, acked, "full");
    server.kill().unwrap();
    let mut server = common::start(&launch);
    expect_all(&server, acked, "full, killed, restarted");
    remove(&ballast);
    let mut client = server.connect().unwrap();
    let again = clock::wait_until(common::millis(10_000), || {
        matches!(client.call(&[b"SET", key(acked).as_bytes(), &value(acked)]), Ok(Reply::Simple(_)))
    });
    assert!(again, "there is space again, writes are still refused");
    server.kill().unwrap();
    let server = common::start(&launch);
    expect_all(&server, acked + 1, "space again, killed, restarted");
}

#[expect(clippy::disallowed_methods, reason = "the test's own file")]
fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn everysec() {
    in_mode(Mode::EverySec);
}

#[test]
fn always() {
    in_mode(Mode::Always);
}

/// DEL has room of its own: a full store can be emptied.
#[test]
fn a_full_store_can_be_emptied() {
    let _turn = common::alone();
    let tmpfs = match Tmpfs::mount() {
        Ok(tmpfs) => tmpfs,
        Err(reason) => return fault::skipped("disk_full", &reason),
    };
    files::make_dir(&tmpfs.data()).unwrap();
    let mut launch = common::launch(&tmpfs.data(), Mode::EverySec);
    launch.log = std::env::temp_dir().join(format!("harness-full-del-{}.log", std::process::id()));
    let server = common::start(&launch);
    let mut client = server.connect().unwrap();
    let (acked, _) = fill(&mut client, 0);
    for n in 0..acked {
        assert_eq!(client.call(&[b"DEL", key(n).as_bytes()]).unwrap(), Reply::Int(1), "DEL of key{n}");
    }
    let again = clock::wait_until(common::millis(20_000), || {
        matches!(client.call(&[b"SET", b"again", &value(1)]), Ok(Reply::Simple(_)))
    });
    assert!(again, "everything is deleted, writes are still refused");
}

/// A large value goes to a file of its own, for which the log keeps no room: where that cannot be written, the command
/// is refused by name, those behind it are not, and of the file nothing is left.
#[test]
fn a_large_value_that_does_not_fit_is_refused() {
    let _turn = common::alone();
    let tmpfs = match Tmpfs::mount() {
        Ok(tmpfs) => tmpfs,
        Err(reason) => return fault::skipped("disk_full", &reason),
    };
    files::make_dir(&tmpfs.data()).unwrap();
    let mut launch = common::launch(&tmpfs.data(), Mode::EverySec);
    launch.log = std::env::temp_dir().join(format!("harness-full-large-{}.log", std::process::id()));
    let mut server = common::start(&launch);
    let mut client = server.connect().unwrap();
    let ok = || Reply::Simple("OK".to_owned());
    let (fits, large) = (vec![b'f'; 2 << 20], vec![b'l'; 32 << 20]);
    let commands: [Vec<&[u8]>; 5] = [
        vec![b"SET", b"fits", &fits],
        vec![b"SET", b"large", &large],
        vec![b"SET", b"small", b"1"],
        vec![b"GET", b"large"],
        vec![b"GET", b"small"],
    ];
    let replies = client.pipeline(commands).unwrap();
    let [stored, refused, small, nothing, one] = &replies[..] else { panic!("{} replies", replies.len()) };
    assert_eq!((stored, small), (&ok(), &ok()));
    let full = "MISCONF Errors writing to the AOF file: No space left on device";
    assert_eq!(refused, &Reply::Error(full.to_owned()));
    assert_eq!((nothing, one), (&Reply::Nil, &Reply::Bulk(b"1".to_vec())));
    let names = files::list(&tmpfs.data()).unwrap();
    let blobs = names.iter().filter(|path| path.extension().is_some_and(|extension| extension == "blob"));
    assert_eq!(blobs.count(), 1, "{names:?}");
    server.kill().unwrap();
    let server = common::start(&launch);
    let mut client = server.connect().unwrap();
    assert!(client.call(&[b"GET", b"fits"]).unwrap() == Reply::Bulk(fits), "a large value that fitted is not there");
    assert_eq!(client.call(&[b"GET", b"large"]).unwrap(), Reply::Nil);
}
