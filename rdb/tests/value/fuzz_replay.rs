//! The fuzz target's corpus, replayed without a fuzzer: what was found once is checked at every test run.

use std::path::Path;

use crate::restored;

#[test]
fn restore() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/restore");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        for end in (0..=input.len()).rev().take(512) {
            restored::check(&input[..end], || 0);
        }
        files += 1;
    }
    assert!(files > 0, "no seeds in {}", folder.display());
}
