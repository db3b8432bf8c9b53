//! THE TABLE of INFO: one row is a name, where its value comes from, and one sentence.
//!
//! Names are Redis 7.4's wherever Redis has the thing. A row whose value can only be 0 here is there because programs
//! that read INFO expect it; what is not known is left out. Beside them stand kvd's own: `kvd_version`, `log_…`,
//! `recovery_…`, `checkpoint_…`, `protocol_errors`, `max_shard_hold_…`.

use crate::pubsub::Kind;
use std::sync::atomic::Ordering;

use super::REDIS_VERSION;
use super::info::{Section, Shown, Sources, human};
use super::machine;
use super::values::{
    config_file, executable, loaded_percent, max_memory, ratio, saved_keys, spill_reads, tcp_port, unused_bytes,
    uptime_seconds, write_status,
};
use crate::config::Named;

/// One line of INFO.
pub struct Row {
    /// What stands before the colon.
    pub name: &'static str,
    /// What stands behind it.
    pub value: fn(&Sources<'_>) -> Shown,
    /// One sentence for the manual.
    pub doc: &'static str,
}

/// The rows of a section.
pub fn of(section: Section) -> &'static [Row] {
    match section {
        Section::Server => SERVER,
        Section::Clients => CLIENTS,
        Section::Memory => MEMORY,
        Section::Persistence => PERSISTENCE,
        Section::Stats => STATS,
        Section::Replication => REPLICATION,
        Section::Cpu => CPU,
        Section::Cluster => CLUSTER,
        Section::Modules | Section::Commandstats | Section::Errorstats => &[],
        Section::Latencystats | Section::Keyspace | Section::Namespaces => &[],
    }
}

const fn row(name: &'static str, value: fn(&Sources<'_>) -> Shown, doc: &'static str) -> Row {
    Row { name, value, doc }
}

/// A row for what there is not: it never changes.
const fn none(name: &'static str, doc: &'static str) -> Row {
    Row { name, value: |_| Shown::Number(0), doc }
}

const SERVER: &[Row] = &[
    row("redis_version", |_| REDIS_VERSION.into(), "The Redis version whose behaviour this is."),
    row("server_name", |_| "kvd".into(), "This program."),
    row("redis_git_sha1", |_| "00000000".into(), "There is no Redis in this."),
    none("redis_git_dirty", "There is no Redis in this."),
    row("redis_build_id", |_| concat!("kvd-", env!("CARGO_PKG_VERSION")).into(), "This program and its version."),
    row("kvd_version", |_| env!("CARGO_PKG_VERSION").into(), "This program's own version."),
    row("redis_mode", |_| "standalone".into(), "One server, no cluster."),
    row("os", |_| machine::system_name().into(), "System, release and processor."),
    row("arch_bits", |_| u64::from(usize::BITS).into(), "Bits of an address."),
    row("monotonic_clock", |_| "POSIX clock_gettime".into(), "Where durations come from."),
    row("multiplexing_api", |_| "epoll".into(), "How a thread waits for many connections."),
    row("process_id", |_| u64::from(std::process::id()).into(), "Number of the process."),
    row("process_supervised", |_| "no".into(), "No service manager is told anything."),
    row("run_id", |s| s.server.run_id.as_str().into(), "Random, new for each start."),
    row("tcp_port", |s| u64::from(tcp_port(s)).into(), "TCP port, that for TLS if there is no other, 0 for none."),
    row("server_time_usec", |s| s.server.clock.wall_us().into(), "Microseconds since the epoch."),
    row("uptime_in_seconds", |s| uptime_seconds(s).into(), "Seconds since the start."),
    row("uptime_in_days", |s| (uptime_seconds(s) / 86_400).into(), "Whole days since the start."),
    row("threads", |s| (s.server.stats.workers() as u64).into(), "Threads that serve clients."),
    none("io_threads_active", "The threads that serve clients do all of it."),
    row("executable", |_| executable().into(), "Path of the program."),
    row("config_file", |s| config_file(s).into(), "Path of the configuration file, if there is one."),
];

const CLIENTS: &[Row] = &[
    row("connected_clients", |s| s.clients().count.into(), "Connections."),
    none("cluster_connections", "There is no cluster."),
    row("maxclients", |s| (s.server.max_clients() as u64).into(), "Connections at most."),
    row(
        "client_recent_max_input_buffer",
        |s| s.clients().largest_input_bytes.into(),
        "Most bytes that one connection has sent and that are not executed.",
    ),
    row(
        "client_recent_max_output_buffer",
        |s| s.clients().largest_output_bytes.into(),
        "Most bytes that wait to be sent to one connection.",
    ),
    row("blocked_clients", |s| s.server.stats.blocked().into(), "Connections that wait inside of a command."),
    none("tracking_clients", "There is no client tracking."),
    row("pubsub_clients", |s| s.clients().subscribers.into(), "Connections that subscribe to something."),
    row("watching_clients", |s| s.clients().watchers.into(), "Connections that watch keys."),
    row(
        "clients_in_timeout_table",
        |s| s.server.stats.blocked_for_a_time().into(),
        "Connections that wait inside of a command for a time only.",
    ),
    row("total_watched_keys", |s| (s.server.watches.key_count() as u64).into(), "Keys that are watched."),
    row("total_blocking_keys", |s| (s.server.blocked.key_count() as u64).into(), "Keys that are waited for."),
    none("total_blocking_keys_on_nokey", "Nobody waits for a key to go."),
];

const MEMORY: &[Row] = &[
    row("used_memory", |s| s.store().memory().into(), "Bytes of keys, values and their tables in memory."),
    row("used_memory_human", |s| human(s.store().memory()), "The same for people."),
    row("used_memory_rss", |s| s.process().resident_bytes.into(), "Bytes of memory the process holds."),
    row("used_memory_rss_human", |s| human(s.process().resident_bytes), "The same for people."),
    row("used_memory_rss_peak", |s| s.process().resident_peak_bytes.into(), "The most bytes the process ever held."),
    row("used_memory_peak", |s| s.peak_memory().into(), "The most that used_memory was."),
    row("used_memory_peak_human", |s| human(s.peak_memory()), "The same for people."),
    row(
        "used_memory_peak_perc",
        |s| format!("{:.2}%", 100.0 * ratio(s.store().memory(), s.peak_memory())).into(),
        "used_memory in percent of its peak.",
    ),
    none("used_memory_overhead", "Tables are not told apart from what they hold."),
    none("used_memory_startup", "Keys and values are counted, and there were none."),
    row("used_memory_dataset", |s| s.store().memory().into(), "Bytes of keys, values and their tables."),
    row("used_memory_dataset_perc", |_| "100.00%".into(), "The same in percent of used_memory."),
    row("allocator_allocated", |s| s.store().memory().into(), "The allocator tells nothing: used_memory."),
    row("allocator_active", |s| s.process().resident_bytes.into(), "The allocator tells nothing: used_memory_rss."),
    row("allocator_resident", |s| s.process().resident_bytes.into(), "The allocator tells nothing: used_memory_rss."),
    none("allocator_muzzy", "The allocator tells nothing."),
    row("total_system_memory", |_| machine::total_memory_bytes().into(), "Bytes of memory of the machine."),
    row("total_system_memory_human", |_| human(machine::total_memory_bytes()), "The same for people."),
    none("used_memory_lua", "There are no scripts."),
    row("used_memory_lua_human", |_| human(0), "There are no scripts."),
    none("used_memory_vm_eval", "There are no scripts."),
    none("used_memory_scripts_eval", "There are no scripts."),
    none("number_of_cached_scripts", "There are no scripts."),
    none("number_of_functions", "There are no functions."),
    none("number_of_libraries", "There are no functions."),
    none("used_memory_vm_functions", "There are no functions."),
    none("used_memory_vm_total", "There are no scripts."),
    row("used_memory_vm_total_human", |_| human(0), "There are no scripts."),
    none("used_memory_functions", "There are no functions."),
    none("used_memory_scripts", "There are no scripts."),
    row("used_memory_scripts_human", |_| human(0), "There are no scripts."),
    row("maxmemory", |s| max_memory(s).into(), "The limit in force in bytes."),
    row("maxmemory_human", |s| human(max_memory(s)), "The same for people."),
    row("maxmemory_policy", |s| s.settings.maxmemory_policy.name().into(), "What goes when memory is full."),
    row(
        "used_memory_goal",
        |s| s.store().memory_goal().into(),
        "What used_memory is to be at most at present, so that the process stays within maxmemory.",
    ),
    row("spilled_keys", |s| s.store().cold_keys().into(), "Keys whose values are in the log only."),
    row("spilled_values", |s| s.store().spill_counts()[0].into(), "Values that have left memory since the start."),
    row("unspilled_values", |s| s.store().spill_counts()[1].into(), "Values that were read back into memory to stay."),
    row(
        "spilled_values_read",
        |s| s.server.cold_reads.read.load(Ordering::Relaxed).into(),
        "Values that were read back, to stay or for one request.",
    ),
    row("spill_reads", |s| spill_reads(s).into(), "What reads values back: io_uring or threads."),
    row(
        "allocator_frag_ratio",
        |s| Shown::Real(ratio(s.process().resident_bytes, s.store().memory()), 2),
        "As mem_fragmentation_ratio: the allocator tells nothing.",
    ),
    row("allocator_frag_bytes", |s| unused_bytes(s).into(), "As mem_fragmentation_bytes: the allocator tells nothing."),
    row("allocator_rss_ratio", |_| Shown::Real(1.0, 2), "The allocator tells nothing."),
    none("allocator_rss_bytes", "The allocator tells nothing."),
    row("rss_overhead_ratio", |_| Shown::Real(1.0, 2), "The allocator tells nothing."),
    none("rss_overhead_bytes", "The allocator tells nothing."),
    row(
        "mem_fragmentation_ratio",
        |s| Shown::Real(ratio(s.process().resident_bytes, s.store().memory()), 2),
        "Memory the process holds for each byte of used_memory.",
    ),
    row("mem_fragmentation_bytes", |s| unused_bytes(s).into(), "Memory the process holds beyond used_memory."),
    none("mem_not_counted_for_evict", "There are no replicas."),
    none("mem_total_replication_buffers", "There are no replicas."),
    none("mem_cluster_links", "There is no cluster."),
    none("mem_overhead_db_hashtable_rehashing", "Tables grow bucket by bucket, in place."),
    row("mem_clients_normal", |s| s.clients().buffered_bytes.into(), "Bytes in the buffers of connections."),
    none("mem_clients_slaves", "There are no replicas."),
    none("mem_replication_backlog", "There are no replicas."),
    row("mem_aof_buffer", |s| s.unwritten_log_bytes().into(), "Bytes of log that are not yet in the kernel."),
    row("mem_allocator", |_| "mimalloc".into(), "The allocator."),
    none("active_defrag_running", "The allocator needs no help."),
    none("lazyfree_pending_objects", "Not counted."),
    none("lazyfreed_objects", "Not counted."),
];

const PERSISTENCE: &[Row] = &[
    row("loading", |s| s.server.store.is_loading().into(), "Whether the store is still being opened."),
    none("async_loading", "There are no replicas."),
    none("current_cow_peak", "Nothing forks."),
    none("current_cow_size", "Nothing forks."),
    none("current_cow_size_age", "Nothing forks."),
    row("current_fork_perc", |_| Shown::Real(0.0, 2), "Nothing forks."),
    row(
        "current_save_keys_processed",
        |s| saved_keys(s)[0].into(),
        "Keys that the checkpoint under way has looked at.",
    ),
    row("current_save_keys_total", |s| saved_keys(s)[1].into(), "Keys that it will look at."),
    row(
        "rdb_changes_since_last_save",
        |s| s.server.changes_since_save().into(),
        "Frames of the log since the last SAVE or BGSAVE, or since the start: one for most changes of a key.",
    ),
    row("rdb_bgsave_in_progress", |s| s.store().is_checkpointing().into(), "Whether a checkpoint is being written."),
    row(
        "rdb_last_save_time",
        |s| s.server.last_save.load(Ordering::Relaxed).into(),
        "Seconds since the epoch of the last SAVE or BGSAVE, or of the start.",
    ),
    row("rdb_last_bgsave_status", |s| write_status(s).into(), "Whether the log can be synced."),
    row("rdb_last_bgsave_time_sec", |_| (-1i64).into(), "Not measured."),
    row("rdb_current_bgsave_time_sec", |_| (-1i64).into(), "None is going on."),
    row("rdb_saves", |s| s.store().checkpoint_count().into(), "Checkpoints written since the start."),
    row("checkpoint_size", |s| s.store().checkpoint_size().into(), "Bytes of the last checkpoint, 0 for none."),
    row(
        "checkpoint_written",
        |s| s.store().checkpoint_written().into(),
        "Bytes of checkpoints written since the start, which log_appended does not count.",
    ),
    none("rdb_last_cow_size", "Nothing forks."),
    none("rdb_last_load_keys_expired", "There are no snapshots."),
    none("rdb_last_load_keys_loaded", "There are no snapshots."),
    row("aof_enabled", |_| true.into(), "There always is a log."),
    row("aof_rewrite_in_progress", |s| s.store().is_compacting().into(), "Whether the log is being compacted."),
    none("aof_rewrite_scheduled", "Compaction begins by itself."),
    row("aof_last_rewrite_time_sec", |_| (-1i64).into(), "Not measured."),
    row("aof_current_rewrite_time_sec", |_| (-1i64).into(), "Not measured."),
    row("aof_last_bgrewrite_status", |s| write_status(s).into(), "Whether the log can be written."),
    row("aof_last_write_status", |s| write_status(s).into(), "Whether the log can be written."),
    none("aof_last_cow_size", "Nothing forks."),
    none("module_fork_in_progress", "There are no modules."),
    none("module_fork_last_cow_size", "There are no modules."),
    row("aof_current_size", |s| s.store().log_bytes().into(), "Bytes of log kept."),
    row("aof_base_size", |s| s.store().live_log_bytes().into(), "Bytes of log that live keys need."),
    none("aof_pending_rewrite", "Compaction begins by itself."),
    row("aof_buffer_length", |s| s.unwritten_log_bytes().into(), "Bytes of log that are not yet in the kernel."),
    row("log_mode", |s| s.store().log().mode().name().into(), "When an acknowledgement may leave."),
    row("log_appended", |s| s.store().log().appended().into(), "End of the log in memory."),
    row("log_written", |s| s.store().log().written().into(), "Everything below is in the kernel."),
    row("log_durable", |s| s.store().log().durable().into(), "Everything below is on the disk."),
    row(
        "log_unsynced_age_ms",
        |s| (s.store().log().unsynced_age_us() / 1000).into(),
        "Age of the oldest byte in the kernel that is not on the disk: what a power loss now would take.",
    ),
    row("log_syncs", |s| s.store().log().counters().syncs.load(Ordering::Relaxed).into(), "Syncs since the start."),
    row("log_writes", |s| s.store().log().counters().writes.load(Ordering::Relaxed).into(), "Writes since the start."),
    row(
        "log_recycled_segments",
        |s| s.store().log().counters().recycled.load(Ordering::Relaxed).into(),
        "Segments begun in the file of one that compaction had emptied.",
    ),
    row(
        "log_longest_sync_us",
        |s| s.store().log().counters().longest_sync_us.load(Ordering::Relaxed).into(),
        "Microseconds of the longest sync since the start.",
    ),
    row(
        "log_errors",
        |s| s.store().log().counters().errors.load(Ordering::Relaxed).into(),
        "Writes and syncs that failed for good.",
    ),
    row("log_bytes", |s| s.store().log_bytes().into(), "Bytes of log kept."),
    row("log_live_bytes", |s| s.store().live_log_bytes().into(), "Bytes of log that live keys need."),
    row(
        "log_damaged_segments",
        |s| s.store().damage_counts()[0].into(),
        "Segments that compaction has found to be damaged; their files are kept.",
    ),
    row(
        "log_healed_values",
        |s| s.store().damage_counts()[1].into(),
        "Values that were damaged there and written again, since the start.",
    ),
    row(
        "log_lost_values",
        |s| s.store().damage_counts()[2].into(),
        "Values that were damaged there and are nowhere else, since the start.",
    ),
    row("log_read_only", |s| s.store().log().is_read_only().into(), "Whether a write or sync failed for good."),
    row("log_full", |s| s.store().log().is_full().into(), "Whether the disk has no room for more log."),
    row("recovered_records", |s| s.store().recovery().records.into(), "Records replayed at the start."),
    row("recovery_dropped_bytes", |s| s.store().recovery().dropped_bytes.into(), "Torn bytes dropped at the start."),
    row(
        "recovery_copied_bytes",
        |s| s.store().recovery().copied_bytes.into(),
        "Bytes that were not known to be durable at the start, and were made so.",
    ),
    row(
        "recovery_checkpoint",
        |s| s.store().recovery().checkpoint.unwrap_or(0).into(),
        "Number of the checkpoint that the start went on from, 0 for none.",
    ),
    row(
        "recovery_checkpoints_refused",
        |s| (s.store().recovery().refused_checkpoints.len() as u64).into(),
        "Checkpoints that should have been of use at the start and were damaged.",
    ),
    row("recovery_replayed_bytes", |s| s.store().recovery().log_bytes.into(), "Bytes of log replayed at the start."),
    row("recovery_ms", |s| (s.store().recovery().took_us / 1000).into(), "Milliseconds that the start took."),
];

/// What stands at the end of Persistence while the store is being opened.
pub const LOADING: &[Row] = &[
    row("loading_start_time", |s| s.server.store.began_seconds.into(), "Seconds since the epoch when it began."),
    row("loading_total_bytes", |s| s.server.store.progress.total_bytes().into(), "Bytes that are to be read."),
    none("loading_rdb_used_mem", "Nothing says how much memory it will take."),
    row("loading_loaded_bytes", |s| s.server.store.progress.loaded_bytes().into(), "Bytes that were read."),
    row("loading_loaded_perc", |s| Shown::Real(loaded_percent(s), 2), "The same in percent."),
    row("loading_loaded_keys", |s| s.server.store.progress.keys().into(), "Keys that were found so far."),
    row("loading_eta_seconds", |s| s.server.loading_eta_seconds().into(), "Seconds it will still take, at this pace."),
];

const STATS: &[Row] = &[
    row("total_connections_received", |s| s.totals.connections.into(), "Connections accepted."),
    row("total_commands_processed", |s| s.totals.commands.into(), "Requests, also those answered with an error."),
    row(
        "instantaneous_ops_per_sec",
        |s| s.server.stats.rates().commands_per_second.into(),
        "Requests in a second, now.",
    ),
    row("total_net_input_bytes", |s| s.totals.input_bytes.into(), "Bytes read from connections."),
    row("total_net_output_bytes", |s| s.totals.output_bytes.into(), "Bytes written to connections."),
    none("total_net_repl_input_bytes", "There are no replicas."),
    none("total_net_repl_output_bytes", "There are no replicas."),
    row(
        "instantaneous_input_kbps",
        |s| Shown::Real(s.server.stats.rates().input_kib_per_second, 2),
        "KiB read in a second, now.",
    ),
    row(
        "instantaneous_output_kbps",
        |s| Shown::Real(s.server.stats.rates().output_kib_per_second, 2),
        "KiB written in a second, now.",
    ),
    row("instantaneous_input_repl_kbps", |_| Shown::Real(0.0, 2), "There are no replicas."),
    row("instantaneous_output_repl_kbps", |_| Shown::Real(0.0, 2), "There are no replicas."),
    row("rejected_connections", |s| s.totals.rejected.into(), "Connections turned away."),
    row("failed_tls_handshakes", |s| s.totals.failed_handshakes.into(), "Connections closed in their TLS handshake."),
    none("sync_full", "There are no replicas."),
    none("sync_partial_ok", "There are no replicas."),
    none("sync_partial_err", "There are no replicas."),
    row("expired_subkeys", |s| s.totals.expired_fields.into(), "Fields of hashes removed because their time had come."),
    row("expired_keys", |s| s.totals.expired.into(), "Keys removed because their time had come."),
    row(
        "expire_lag_ms",
        |s| s.server.stats.expire_lag_ms(s.server.monotonic_ms()).into(),
        "By how many milliseconds at most something was late that expired in the last ten seconds.",
    ),
    row("expired_stale_perc", |_| Shown::Real(0.0, 2), "What has expired goes in time; see expire_lag_ms."),
    none("expired_time_cap_reached_count", "There is no cycle that could be cut short."),
    none("expire_cycle_cpu_milliseconds", "There is no cycle; what removes expired keys is not measured."),
    none("total_eviction_exceeded_time", "Not measured."),
    none("current_eviction_exceeded_time", "Not measured."),
    row("evicted_keys", |s| s.totals.evicted.into(), "Keys removed to make room."),
    row("evicted_clients", |s| s.totals.evictions.into(), "Connections closed because all together held too much."),
    row(
        "request_timeouts",
        |s| s.totals.dawdlers.into(),
        "Connections closed because a request took too long to come.",
    ),
    row("keyspace_hits", |s| s.totals.hits.into(), "Keys that reads found."),
    row("keyspace_misses", |s| s.totals.misses.into(), "Keys that reads did not find."),
    row(
        "max_shard_hold_us",
        |s| s.store().holds().longest_us().into(),
        "Microseconds of the longest time that a part of the keyspace was locked, of what was timed: inserts that make its table \
         larger, commands that lock everything, requests that run apart, and looks for values that can leave memory.",
    ),
    row(
        "max_shard_hold_cpu_us",
        |s| s.store().holds().longest_cpu_us().into(),
        "The same in time that the thread had a processor: what max_shard_hold_us is more than this, it waited for one.",
    ),
    row(
        "requests_run_apart",
        |s| s.server.apart.count().into(),
        "Requests that looked at very many elements and ran on a thread of their own.",
    ),
    row("pubsub_channels", |s| (s.server.pubsub.count(Kind::Channel) as u64).into(), "Channels with subscribers."),
    row("pubsub_patterns", |s| (s.server.pubsub.count(Kind::Pattern) as u64).into(), "Patterns with subscribers."),
    row(
        "pubsubshard_channels",
        |s| (s.server.pubsub.count(Kind::Shard) as u64).into(),
        "Shard channels with subscribers.",
    ),
    row(
        "pubsub_dropped_messages",
        |s| s.server.pubsub.dropped().into(),
        "Notifications and lines of MONITOR that a worker had no room for.",
    ),
    none("latest_fork_usec", "Nothing forks."),
    none("total_forks", "Nothing forks."),
    none("migrate_cached_sockets", "There is no cluster."),
    none("slave_expires_tracked_keys", "There are no replicas."),
    none("active_defrag_hits", "The allocator needs no help."),
    none("active_defrag_misses", "The allocator needs no help."),
    none("active_defrag_key_hits", "The allocator needs no help."),
    none("active_defrag_key_misses", "The allocator needs no help."),
    none("total_active_defrag_time", "The allocator needs no help."),
    none("current_active_defrag_time", "The allocator needs no help."),
    none("tracking_total_keys", "There is no client tracking."),
    none("tracking_total_items", "There is no client tracking."),
    none("tracking_total_prefixes", "There is no client tracking."),
    none("unexpected_error_replies", "There are no replicas."),
    row("total_error_replies", |s| s.totals.error_replies.into(), "Error replies."),
    none("dump_payload_sanitizations", "Every payload is checked while it is read."),
    row("total_reads_processed", |s| s.totals.reads.into(), "Reads from connections."),
    row("total_writes_processed", |s| s.totals.writes.into(), "Writes to connections."),
    row(
        "client_output_buffer_limit_disconnections",
        |s| s.totals.overflows.into(),
        "Connections closed because too much waited for their clients.",
    ),
    none("io_threaded_reads_processed", "There are no threads that only read."),
    none("io_threaded_writes_processed", "There are no threads that only write."),
    none("reply_buffer_shrinks", "Buffers are shared by connections."),
    none("reply_buffer_expands", "Buffers are shared by connections."),
    row("acl_access_denied_auth", |s| s.totals.denied_auth.into(), "Wrong passwords."),
    row("acl_access_denied_cmd", |s| s.totals.denied_commands.into(), "Commands that their users may not run."),
    row("acl_access_denied_key", |s| s.totals.denied_keys.into(), "Keys that their users may not touch."),
    row("acl_access_denied_channel", |s| s.totals.denied_channels.into(), "Channels that their users may not use."),
    row(
        "protocol_errors",
        |s| s.totals.protocol_errors.into(),
        "Connections closed because what they sent was no request.",
    ),
];

const REPLICATION: &[Row] = &[
    row("role", |_| "master".into(), "This server takes writes."),
    none("connected_slaves", "There are no replicas."),
    row("master_failover_state", |_| "no-failover".into(), "There are no replicas."),
    row("master_replid", |s| s.server.history_id.read().as_str().into(), "A name for this server's history."),
    row("master_replid2", |_| "0".repeat(40).into(), "There is no second history."),
    none("master_repl_offset", "There are no replicas."),
    row("second_repl_offset", |_| (-1i64).into(), "There is no second history."),
    none("repl_backlog_active", "There are no replicas."),
    none("repl_backlog_size", "There are no replicas."),
    none("repl_backlog_first_byte_offset", "There are no replicas."),
    none("repl_backlog_histlen", "There are no replicas."),
];

const CPU: &[Row] = &[
    row("used_cpu_sys", |s| Shown::Real(s.process().system_seconds, 6), "Seconds in the kernel."),
    row("used_cpu_user", |s| Shown::Real(s.process().user_seconds, 6), "Seconds outside of the kernel."),
    row("used_cpu_sys_children", |_| Shown::Real(0.0, 6), "There are no child processes."),
    row("used_cpu_user_children", |_| Shown::Real(0.0, 6), "There are no child processes."),
];

const CLUSTER: &[Row] = &[none("cluster_enabled", "There is no cluster.")];
