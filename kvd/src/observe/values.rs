//! Values of rows of INFO that take more than a word to say.

use std::sync::atomic::Ordering;

use engine::DATABASES;

use super::info::Sources;

/// Seconds since the start.
pub(super) fn uptime_seconds(sources: &Sources<'_>) -> u64 {
    let server = sources.server;
    server.monotonic_ms().saturating_sub(server.started_ms) / 1000
}

/// Path of the program.
pub(super) fn executable() -> String {
    std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string())
}

/// The port, that for TLS if there is no other.
pub(super) fn tcp_port(sources: &Sources<'_>) -> u16 {
    let settings = &sources.settings;
    if settings.port == 0 { settings.tls_port } else { settings.port }
}

/// Path of the configuration file, if there is one.
pub(super) fn config_file(sources: &Sources<'_>) -> String {
    sources.server.config_file.as_ref().map_or_else(String::new, |path| path.display().to_string())
}

/// What reads values back, for all workers.
pub(super) fn spill_reads(sources: &Sources<'_>) -> &'static str {
    match sources.server.rings.load(Ordering::Relaxed) {
        0 => "threads",
        rings if rings >= sources.server.stats.workers() => "io_uring",
        _ => "io_uring and threads",
    }
}

/// `maxmemory` in bytes.
pub(super) fn max_memory(sources: &Sources<'_>) -> u64 {
    sources.server.hot.max_memory.load(Ordering::Relaxed)
}

/// What the process holds beyond what the store does.
pub(super) fn unused_bytes(sources: &Sources<'_>) -> i64 {
    sources.process().resident_bytes as i64 - sources.store().memory() as i64
}

/// Keys that the checkpoint under way has looked at, and all.
pub(super) fn saved_keys(sources: &Sources<'_>) -> [u64; 2] {
    let store = sources.store();
    if !store.is_checkpointing() {
        return [0; 2];
    }
    let keys = (0..DATABASES as u8).map(|database| store.key_count(database)).sum();
    [store.checkpointed_keys().min(keys), keys]
}

/// How much of the store has been opened.
pub(super) fn loaded_percent(sources: &Sources<'_>) -> f64 {
    let progress = &sources.server.store.progress;
    100.0 * ratio(progress.loaded_bytes(), progress.total_bytes())
}

/// Whether the log takes writes.
pub(super) fn write_status(sources: &Sources<'_>) -> &'static str {
    let log = sources.store().log();
    if log.is_read_only() || log.is_full() { "err" } else { "ok" }
}

/// 0 of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
