//! The program's tools, as they are called from a shell: what they make, what they say, and how they end.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
#![expect(clippy::disallowed_methods, reason = "these tests make, damage and look at files as people do")]

mod check;
mod import;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder of a test, with files to import and stores in it.
struct Bench(TempDir);

/// How a call has ended.
struct Ended {
    is_good: bool,
    out: Vec<u8>,
    said: String,
}

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Calls the program in the folder.
    fn kvd(&self, arguments: &[&str]) -> Ended {
        let mut program = Command::new(env!("CARGO_BIN_EXE_kvd"));
        let output = program.args(arguments).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { is_good: output.status.success(), out: output.stdout, said }
    }

    /// Calls the program, which succeeds; what it says.
    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let ended = self.kvd(arguments);
        assert!(ended.is_good, "{arguments:?}: {}", ended.said);
        String::from_utf8_lossy(&ended.out).into_owned()
    }

    /// Calls the program, which fails; what it complains of.
    #[track_caller]
    fn bad(&self, arguments: &[&str]) -> String {
        let ended = self.kvd(arguments);
        assert!(!ended.is_good, "{arguments:?}: {}", String::from_utf8_lossy(&ended.out));
        [String::from_utf8_lossy(&ended.out).into_owned(), ended.said].concat()
    }

    /// The commands that a store is exported as, sorted.
    #[track_caller]
    fn held(&self, store: &str) -> Vec<String> {
        let ended = self.kvd(&["export", store]);
        assert!(ended.is_good, "{}", ended.said);
        let mut commands = lines(&ended.out);
        commands.sort();
        commands
    }
}

/// All files of a folder and what is in them.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Requests as an append-only file has them, from words with a blank between them.
fn commands(lines: &[&str]) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    for line in lines {
        resp::encode_request(&mut bytes, &line.split(' ').collect::<Vec<_>>());
    }
    bytes.to_vec()
}

/// The other way round, for words that are text.
fn lines(requests: &[u8]) -> Vec<String> {
    let text = String::from_utf8(requests.to_vec()).unwrap();
    let words = |request: &str| {
        let words = request.split("\r\n").skip(1).filter(|line| !line.starts_with('$') && !line.is_empty());
        words.collect::<Vec<_>>().join(" ")
    };
    text.split('*').skip(1).map(words).collect()
}
