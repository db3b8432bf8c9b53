//! A target's corpus, replayed without a fuzzer: what was found once is checked at every test run.

use std::path::Path;

/// Runs `check` on every file of a target's corpus, and on every prefix of it.
pub fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let input = std::fs::read(entry.expect("it can be listed").path()).expect("and read");
        for end in (0..=input.len()).rev().take(512) {
            check(&input[..end]);
        }
        files += 1;
    }
    assert!(files > 0, "no seeds in {}", folder.display());
}
