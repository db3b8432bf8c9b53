//! A directory that kvd must not or cannot use: a clear message, a non-zero exit, and nothing changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use harness::error::Failure;
use harness::process::{Launch, Mode};
use harness::wire::Reply;
use harness::{fault, files};
use tempfile::TempDir;

/// Starts in vain; gives what the program said.
fn refused(launch: &Launch) -> String {
    match launch.start() {
        Err(Failure::Start { reason, output }) => {
            assert!(reason.contains("exit status") && !reason.ends_with(": 0"), "{reason}: {output}");
            assert!(!output.contains("panicked"), "{output}");
            output
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it serves"),
    }
}

fn room() -> TempDir {
    let room = TempDir::with_prefix("harness-dir-").unwrap();
    files::make_dir(&room.path().join("data")).unwrap();
    room
}

#[test]
fn a_second_daemon_is_refused_and_the_first_serves_on() {
    let room = room();
    let launch = common::launch(&room.path().join("data"), Mode::Always);
    let first = common::start(&launch);
    let mut client = first.connect().unwrap();
    client.call(&[b"SET", b"key", b"1"]).unwrap();
    let second = Launch { log: room.path().join("second.log"), ..launch };
    let output = refused(&second);
    assert!(output.contains("data"), "the message names the directory: {output}");
    assert!(["lock", "in use", "another"].iter().any(|word| output.contains(word)), "{output}");
    assert_eq!(client.call(&[b"INCR", b"key"]).unwrap(), Reply::Int(2));
}

#[test]
fn a_directory_that_is_missing_or_a_file_is_refused() {
    let room = room();
    let file = room.path().join("file");
    files::write(&file, b"x").unwrap();
    for dir in [room.path().join("missing/deep"), file] {
        let output = refused(&Launch { log: room.path().join("server.log"), ..common::launch(&dir, Mode::No) });
        assert!(output.contains(dir.to_str().unwrap()), "the message names the directory: {output}");
    }
}

/// Root may write where the bits forbid it, so the directory lies on a file system mounted read-only.
#[test]
fn a_directory_that_is_not_writable_is_refused() {
    let room = room();
    let dir = room.path().join("data");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "ro,size=1m", "none"]).arg(&dir).output();
    match mount {
        Ok(output) if output.status.success() => {}
        Ok(output) => return fault::skipped("read-only directory", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => return fault::skipped("read-only directory", &error.to_string()),
    }
    let launch = Launch { log: room.path().join("server.log"), ..common::launch(&dir, Mode::No) };
    let output = std::panic::catch_unwind(|| refused(&launch));
    let _ = Command::new("umount").arg("-l").arg(&dir).status();
    let output = output.expect("it is refused");
    assert!(output.contains("data"), "the message names the directory: {output}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let room = room();
    let dir = room.path().join("data");
    let launch = common::launch(&dir, Mode::Always);
    let mut server = common::start(&launch);
    server.connect().unwrap().call(&[b"SET", b"key", b"value"]).unwrap();
    server.terminate(common::millis(20_000)).unwrap();
    let manifest = dir.join("dump.kv");
    let bytes = files::read(&manifest).unwrap();
    files::write(&manifest, &from_the_future(&bytes)).unwrap();
    let newer = snapshot(&dir);
    let output = refused(&launch);
    assert!(output.contains("version") || output.contains("newer"), "{output}");
    assert!(snapshot(&dir) == newer, "a refused store was changed");
    files::write(&manifest, &bytes).unwrap();
    let server = common::start(&launch);
    assert_eq!(server.connect().unwrap().call(&[b"GET", b"key"]).unwrap(), Reply::Bulk(b"value".to_vec()));
}

/// The manifest with another version and, as its format says, a checksum that fits (CRC-32C of bytes 16.., then 0..12).
fn from_the_future(manifest: &[u8]) -> Vec<u8> {
    let mut bytes = manifest.to_vec();
    bytes[8..12].copy_from_slice(&999u32.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[16..]), &bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = files::list(dir).unwrap().into_iter().filter(|path| path.is_file());
    paths.map(|path| (path.display().to_string(), files::read(&path).unwrap())).collect()
}
