//! How a store is opened.

use std::sync::Arc;

use crate::log::{FsyncMode, scan};
use crate::recover::Progress;
use crate::value::Limits;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Name of the manifest; the other files' names begin with it.
    pub name: String,
    /// When acknowledgements may leave.
    pub mode: FsyncMode,
    /// Largest segment file in bytes, 64 KiB to 256 MiB.
    pub segment_bytes: u64,
    /// What a segment may be made longer to for a large transaction.
    pub longest_segment_bytes: u64,
    /// Values of this length and more get a file of their own.
    pub blob_bytes: usize,
    /// Bytes of memory that keys, values and tables should take at most; values beyond are left to the log alone.
    pub memory_goal: u64,
    /// A checkpoint is taken when the log has grown by so many bytes, or by twice the last checkpoint if that is more.
    pub checkpoint_bytes: u64,
    /// Logs shorter than this are not compacted.
    pub compact_from_bytes: u64,
    /// An image of a collection that is longer is logged in parts of about so many bytes; so is a change of one, which is
    /// carried out in these parts too.
    pub part_bytes: usize,
    /// When collections leave their packed form.
    pub limits: Limits,
    /// Keys to expect, for the first size of tables and segments; 0 when nothing is known. A hint, for which memory is taken
    /// at once.
    pub expected_keys: u64,
    /// Bytes of a typical value; the same.
    pub expected_value_bytes: u64,
    /// Keep the keys in their order.
    pub key_order: bool,
    /// Where the secrets of a new store come from: `None` for the operating system, as it should be. A simulation
    /// gives a number, so that the same seed makes the same store.
    pub secrets_from: Option<u64>,
    /// Whether the clock alone says what time it is, also when the log has known a later one: an import stops the clock, so
    /// that nothing expires before all that is known of it has come.
    pub forgets_time: bool,
    /// Who replays the log.
    pub lanes: Lanes,
    /// Told how far the opening is.
    pub progress: Arc<Progress>,
}

/// How many parts of the keyspace are replayed side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// So many.
    pub count: usize,
    /// Each on a thread of its own. Without, a run is the same each time.
    pub threads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: "dump.kv".to_owned(),
            mode: FsyncMode::EverySec,
            segment_bytes: 64 << 20,
            longest_segment_bytes: scan::MAX_SEGMENT,
            blob_bytes: 1 << 20,
            memory_goal: u64::MAX,
            checkpoint_bytes: 512 << 20,
            compact_from_bytes: 64 << 20,
            part_bytes: 4 << 20,
            limits: Limits::default(),
            expected_keys: 0,
            expected_value_bytes: 0,
            key_order: false,
            secrets_from: None,
            forgets_time: false,
            lanes: Lanes { count: 1, threads: false },
            progress: Arc::default(),
        }
    }
}
