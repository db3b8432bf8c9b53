//! The wire, seen from outside: golden conversations, any split, limits, hostile headers, and the fuzz corpora.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod any_split;
mod boundaries;
mod fuzz_replay;
mod golden;
mod hostile;

#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/replies.rs"]
#[expect(unreachable_pub, reason = "public for the fuzz targets, which share this file")]
mod replies;
#[path = "../../../fuzz/src/requests.rs"]
#[expect(unreachable_pub, reason = "public for the fuzz targets, which share this file")]
mod requests;
