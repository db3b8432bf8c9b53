//! `kvd check` and what it repairs, and a server that is told to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Bench, commands, files};

const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// A store with three keys, and its first segment.
fn store(bench: &Bench) -> PathBuf {
    bench.put("some.aof", &commands(&["SET first 1", "SET second 2", "SET third 3"]));
    bench.good(&["import", "some.aof", "--dir", "store"]);
    bench.path("store/dump.kv-0000000000000001.log")
}

/// Changes a byte of the frame in which a word stands.
fn damage(segment: &Path, word: &[u8]) {
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(word.len()).position(|window| window == word).unwrap();
    bytes[at] ^= 1;
    fs::write(segment, bytes).unwrap();
}

#[test]
fn a_sound_store_is_called_sound() {
    let bench = Bench::new();
    let segment = store(&bench);
    let before = files(&bench.path("store"));
    let said = bench.good(&["check", "store"]);
    assert!(said.contains("1 segments") && said.contains("3 keys\nthe store is sound\n"), "{said}");
    assert_eq!(bench.good(&["check", "store", "--repair"]), said);
    assert_eq!(files(&bench.path("store")), before);
    // A torn tail is no damage.
    let mut bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end + 100] = 7;
    fs::write(&segment, bytes).unwrap();
    let said = bench.good(&["check", "store"]);
    assert!(said.contains("bytes of a torn tail, which a start drops\nthe store is sound\n"), "{said}");
    assert!(bench.bad(&["check", "nowhere"]).contains("No such file"));
    assert!(bench.bad(&["check", "store", "--dbfilename", "x.kv"]).contains("there is no store x.kv here"));
}

#[test]
fn what_is_damaged_is_named_and_put_aside() {
    let bench = Bench::new();
    let segment = store(&bench);
    damage(&segment, b"second");
    let before = files(&bench.path("store"));
    let said = bench.bad(&["check", "store"]);
    assert!(said.starts_with("dump.kv-0000000000000001.log: at byte "), "{said}");
    assert!(said.contains("2 keys\nthe store is damaged."), "{said}");
    assert!(bench.bad(&["export", "store"]).contains("is corrupt at byte"));
    assert!(
        bench.bad(&["--dir", "store", "--port", "0", "--unixsocket", "s"]).contains("kvd check says what is damaged")
    );
    assert_eq!(files(&bench.path("store")), before);
    let said = bench.good(&["check", "store", "--repair"]);
    assert!(said.contains("put aside: dump.kv-0000000000000001.log.damaged-"), "{said}");
    assert!(bench.good(&["check", "store"]).contains("the store is sound"));
    assert_eq!(bench.held("store"), ["SELECT 0", "SET first 1", "SET third 3"]);
}

#[test]
fn a_main_file_that_is_missing_is_made_again() {
    let bench = Bench::new();
    store(&bench);
    fs::remove_file(bench.path("store/dump.kv")).unwrap();
    assert!(bench.bad(&["export", "store"]).contains("dump.kv is missing, but segments of a store"));
    assert!(bench.bad(&["check", "store"]).contains("dump.kv: at byte 0: the manifest is missing"));
    bench.good(&["check", "store", "--repair"]);
    assert_eq!(bench.held("store"), ["SELECT 0", "SET first 1", "SET second 2", "SET third 3"]);
}

#[test]
fn a_server_salvages_when_it_is_told_to() {
    let bench = Bench::new();
    damage(&store(&bench), b"second");
    let log = fs::File::create(bench.path("log")).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_kvd"))
        .args(["--dir", "store", "--port", "0", "--unixsocket", "socket", "--recover", "salvage"])
        .current_dir(bench.path(""))
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = (0..TRIES).find_map(|_| {
        std::thread::sleep(PAUSE);
        let said = fs::read_to_string(bench.path("log")).unwrap();
        said.contains("Ready to accept").then_some(said)
    });
    server.kill().unwrap();
    server.wait().unwrap();
    let said = said.unwrap();
    assert!(
        said.contains("is corrupt at byte") && said.contains("put aside: dump.kv-0000000000000001.log.aside"),
        "{said}"
    );
    assert_eq!(bench.held("store"), ["SELECT 0", "SET first 1", "SET third 3"]);
}
