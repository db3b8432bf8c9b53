//! Dumps from outside: round trips, hostile bytes, dumps of a real server, and the fuzz corpus.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod fuzz_replay;
mod hostile;
mod round_trip;
mod vectors;

#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/rdb_files.rs"]
mod rdb_files;
#[path = "../../../fuzz/src/restored.rs"]
#[expect(unreachable_pub, reason = "public for the fuzz target, which shares this file")]
mod restored;

use rdb::{Checksum, Limits};

/// What RESTORE allows, and more memory than a test needs.
const REQUIRED: Limits = Limits { memory_bytes: 64 << 20, checksum: Checksum::Required };
