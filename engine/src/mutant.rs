//! Planted bugs: what the tests must be able to find. Nothing of this is in a build without the feature `mutants`.
//!
//! A line that asks [`planted`] stands where the bug would be. With the feature, `KVD_MUTANT=name` plants one for the
//! whole process, `plant` for the calling thread only.

/// Every planted bug that the simulation must find, and what it does.
pub const NAMES: &[(&str, &str)] = &[
    ("skip_fsync", "a sync is counted and not done"),
    ("ack_before_sync", "always: released when written"),
    ("ack_before_write", "released when appended"),
    ("no_dir_fsync", "a new segment's name is not synced"),
    ("retry_failed_fsync", "a failed sync is done again, and believed"),
    ("ignore_write_errors", "a failed write counts as written"),
    ("short_write_not_looped", "the rest of a short write is forgotten"),
    ("crc_unchecked", "a frame's checksum is not compared"),
    ("blob_crc_unchecked", "a large value's checksum is not compared"),
    ("any_bad_record_is_the_end", "corruption below a mark is dropped as a tail"),
    ("batch_mark_ignored", "marks are written and not read"),
    ("mark_past_durable", "a mark names what is only written"),
    ("mark_past_incomplete", "half a written transaction moves the written mark"),
    ("torn_tail_kept", "a bad last frame and an unfinished transaction are applied"),
    ("torn_transaction", "every frame is a transaction of its own"),
    ("tail_not_made_durable", "the recovered tail is copied and not synced"),
    ("tail_not_copied", "the recovered tail is left where it was and called durable"),
    ("lsn_reused", "after recovery the log goes on in a segment used before"),
    ("manifest_not_synced", "the manifest is renamed before its bytes are durable"),
    ("manifest_dir_not_synced", "the manifest's new name is not synced"),
    ("compaction_unlinks_early", "a segment goes before its copies are durable"),
    ("recycled_under_reader", "the file of an emptied segment is used again although somebody reads it"),
    (
        "recycled_before_current",
        "an emptied segment's file is made ahead while the segment that is being filled has none",
    ),
    ("recycled_header_kept", "a file that is used again keeps the header of the segment that it was"),
    ("seed_without_segment", "a frame's checksum does not say of which segment it is"),
    ("tombstone_dropped_early", "a tomb in the oldest segment buries nothing"),
    ("compaction_forgets_values", "values with a deadline are not copied forward"),
    ("compaction_copies_older", "an older image of a value that lies in the log only is copied over the newer one"),
    ("compacted_transaction_refused", "a transaction whose first segment was compacted is taken for damage"),
    ("manifest_mark_below_base", "compaction moves the manifest's base past its mark"),
    ("damaged_segment_removed", "compaction removes a segment that it has found to be damaged"),
    ("damaged_value_forgotten", "compaction passes over a key whose only copy is damaged"),
    ("checkpoint_published_early", "the manifest names a checkpoint before the log is durable to its end"),
    ("checkpoint_not_synced", "the manifest names a checkpoint whose file is not durable"),
    ("checkpoint_crc_unchecked", "the checksums of a checkpoint are not compared"),
    ("checkpoint_starts_at_its_end", "what has changed while a checkpoint was written is not replayed"),
    ("checkpoint_passes_over_changed", "a checkpoint leaves out what has changed since its image"),
    ("checkpoint_names_the_image", "a checkpoint names the image of a value and forgets the changes behind it"),
    ("checkpoint_outlives_log", "a checkpoint counts although compaction has gone beyond its start"),
    ("checkpoint_start_unproved", "a checkpoint counts although nothing shows that the log leads to its start"),
    ("checkpoint_of_nothing_refused", "a checkpoint is refused because no segment has been begun behind it"),
    ("checkpoint_frames_repeated", "frames that a checkpoint holds already are replayed on top of it"),
    ("empty_segment_passed_over", "a frame too long for an empty segment leaves it without a header"),
    ("lost_header_is_the_end", "a segment with a damaged header is the end of the log"),
    ("blob_not_synced", "a frame names a large value that is not durable"),
    ("blob_removed_early", "a large value goes before the frame that replaces it is durable"),
    ("delta_applied_twice", "replay applies a change two times"),
    ("operation_not_replayed", "replay passes over changes of collections"),
    ("deadline_not_replayed", "replay passes over a new deadline of a value that is not logged again"),
    ("renamed_not_buried", "replay passes over tombs that stand beside other frames"),
    ("second_change_names_first", "two changes of a key in one transaction name the same frame before them"),
    ("same_transaction_of_another", "a change may build on what an older transaction has written"),
    ("image_part_lost", "of a long image only the first part is logged"),
    ("encoding_not_kept", "a large collection that would fit is packed when it is loaded"),
    ("emptied_not_buried", "a collection of which nothing is left goes without a tomb"),
    ("field_expiry_unlogged", "expired fields of a hash go and nothing is logged"),
    (
        "changed_blob_named_again",
        "a large value that came and changed in one transaction is renamed with its old bytes",
    ),
    ("renamed_by_reference", "a large value that has changes behind it is renamed with its old bytes"),
    ("spill_above_mark", "a value leaves memory that is not durable"),
    ("stale_cold_read", "a value read back counts although the key has changed meanwhile"),
    ("moved_not_noted", "what compaction moves is read where it is going to be"),
    ("ring_short_read_not_continued", "what the kernel has read in part is taken for the whole"),
    ("swap_unlogged", "databases are exchanged in memory only"),
    ("map_left_behind", "compaction takes the map of exchanged databases with the segment it stands in"),
    ("map_copied_for_ever", "compaction writes the map again for every exchange that there ever was"),
    ("swap_ungated", "always: a look at exchanged databases waits for nothing"),
    ("flush_of_nothing_ungated", "always: flushing what is empty waits for nothing"),
    ("nil_after_del_ungated", "always: a miss waits for nothing"),
    ("ungated_read", "always: a hit waits for nothing"),
    ("expiry_unlogged", "an expired key goes without a tomb"),
    ("eviction_unlogged", "an evicted key goes without a tomb"),
    ("namespace_forgets_growth", "an entry that grows when its base is noted is not counted in its namespace"),
    ("order_keeps_removed", "a key that goes stays in the order of keys"),
    ("scan_leaves_expired", "an expired key is not shown and not removed"),
    ("no_stall", "everysec: writes go on however far the disk is behind"),
    ("wall_clock_timer", "everysec: the age of bytes is measured by the wall clock"),
    ("sync_overtakes", "a sync that ends first makes durable what an earlier one has not"),
    ("sealed_segment_not_synced", "only the newest segment is synced"),
    ("salvaged_manifest_early", "a salvaged store's manifest is swapped before its log is written"),
    ("shutdown_without_sync", "a clean end writes and does not sync"),
];

/// Planted bugs of what many threads do at once. A simulation, in which one thing is done after the other, cannot see them.
pub const OF_CONCURRENCY: &[(&str, &str)] = &[
    ("watch_seen_early", "EXEC asks whether a watched key has changed before it holds the keys' locks"),
    ("exec_lets_go", "EXEC lets go of its locks between requests"),
    ("call_unheard", "a call that comes before the flusher sleeps does not keep it awake"),
    ("interest_unfenced", "who waits for a mark may miss who moves it, and the other way round"),
    ("marks_relaxed", "a mark may be seen before what was done until it moved there"),
];

/// Planted bugs that no crash shows: each is for the fuzz target whose name it begins with.
pub const FUZZED: &[(&str, &str)] = &[
    ("acl_read_is_write", "who may write a key may read it"),
    ("command_list_copy_forgets_deadline", "COPY leaves the time to live behind"),
    ("command_words_pop_promises_too_much", "LPOP and RPOP announce as many elements as they were asked for"),
    ("config_backslash_bare", "a backslash in a setting is written as it is"),
    ("glob_range_unsigned", "the bytes of a range are compared as unsigned"),
    ("manifest_length_unchecked", "a manifest is believed to hold what it announces"),
];

/// Planted bugs that the attacks must find.
pub const ATTACKED: &[(&str, &str)] =
    &[("request_waited_for", "a request that has begun may take any time to come, whatever `request-timeout` says")];

/// Whether this bug is planted here.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
#[must_use]
pub const fn planted(_name: &str) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use planting::{plant, planted};

#[cfg(feature = "mutants")]
mod planting {
    use std::cell::Cell;
    use std::sync::LazyLock;

    static OF_PROCESS: LazyLock<Option<String>> = LazyLock::new(|| {
        let name = std::env::var("KVD_MUTANT").ok().filter(|name| !name.is_empty());
        if let Some(name) = &name {
            assert!(is_known(name), "KVD_MUTANT: there is no {name:?}");
        }
        name
    });

    fn is_known(name: &str) -> bool {
        [super::NAMES, super::OF_CONCURRENCY, super::FUZZED, super::ATTACKED]
            .concat()
            .iter()
            .any(|(known, _)| *known == name)
    }

    thread_local! {
        static OF_THREAD: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Plants a bug for this thread, or takes it out.
    pub fn plant(name: Option<&'static str>) {
        OF_THREAD.set(name);
    }

    /// Whether this bug is planted here.
    #[must_use]
    pub fn planted(name: &str) -> bool {
        debug_assert!(is_known(name), "{name} is not in the list");
        OF_THREAD.get().or(OF_PROCESS.as_deref()) == Some(name)
    }
}
