//! The corpus of the fuzz target `log_image`, replayed without a fuzzer: every file, and every prefix of it.

use std::path::Path;

#[path = "../../../fuzz/src/log_image.rs"]
#[expect(unreachable_pub, reason = "public for the fuzz target, which shares this file")]
mod body;

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/log_image");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        for end in (0..=input.len()).rev().take(512) {
            body::recover(&input[..end]);
        }
        files += 1;
    }
    assert!(files > 0, "no seeds in {}", folder.display());
}

/// What a fuzzer begins with: damage at random, from a seed.
#[test]
fn random_images() {
    let mut chance = engine::random::Random::new(1);
    for _ in 0..4000 {
        let mut input = vec![chance.below(6) as u8];
        input.extend((0..chance.below(200)).map(|_| chance.next_u64() as u8));
        body::recover(&input);
    }
}
