//! The corpora of the fuzz targets about files of a store, replayed without a fuzzer. That of `log_image` is replayed with the
//! crash tests.

#[path = "../../../fuzz/src/checkpoints.rs"]
mod checkpoints;
#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/manifests.rs"]
mod manifests;
#[path = "../../../fuzz/src/stores.rs"]
mod stores;

use corpus::replay;

#[test]
fn checkpoint() {
    replay("checkpoint", checkpoints::check);
}

#[test]
fn manifest() {
    replay("manifest", manifests::check);
}
