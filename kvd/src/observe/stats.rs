//! Counters: what many threads count without slowing each other, and what is read out of it.
//!
//! ```text
//!  worker 0 ─ own cache line ─┐
//!  worker 1 ─ own cache line ─┼─ sum ─ less the baseline of CONFIG RESETSTAT ─► Totals
//!  acceptor, errors ──────────┘
//! ```
//!
//! A worker's counters are written by that worker alone, so that counting costs a plain store and no locked
//! instruction. Nobody sets them back: RESETSTAT notes where they stood.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::recent::RecentMost;
use crate::acl::Reason;

/// Different error codes that are counted; further ones count only in the total.
const MAX_ERROR_CODES: usize = 128;
/// Samples that "instantaneous" rates are taken over.
const SAMPLES: usize = 16;

/// Counters of one worker, on cache lines that no other worker writes.
#[derive(Default)]
#[repr(align(128))]
struct WorkerStats {
    commands: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    input_bytes: AtomicU64,
    output_bytes: AtomicU64,
}

/// All counters.
pub struct Stats {
    workers: Vec<WorkerStats>,
    connections: AtomicU64,
    rejected: AtomicU64,
    failed_handshakes: AtomicU64,
    protocol_errors: AtomicU64,
    overflows: AtomicU64,
    evictions: AtomicU64,
    dawdlers: AtomicU64,
    /// By [`Reason`].
    denied: [AtomicU64; 4],
    error_replies: AtomicU64,
    error_codes: Mutex<BTreeMap<String, u64>>,
    blocked: AtomicI64,
    blocked_for_a_time: AtomicI64,
    /// By how many milliseconds something that was due was late.
    expire_lag: RecentMost,
    peak_memory: AtomicU64,
    samples: Mutex<VecDeque<Sample>>,
    baseline: Mutex<Totals>,
}

/// The counters at one moment, since the start or the last RESETSTAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests run or refused.
    pub commands: u64,
    /// Keys that reads found.
    pub hits: u64,
    /// Keys that reads did not find.
    pub misses: u64,
    /// Reads from sockets.
    pub reads: u64,
    /// Writes to sockets.
    pub writes: u64,
    /// Bytes read from sockets.
    pub input_bytes: u64,
    /// Bytes written to sockets.
    pub output_bytes: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections turned away.
    pub rejected: u64,
    /// Connections closed in their TLS handshake.
    pub failed_handshakes: u64,
    /// Connections closed because what they sent was no request.
    pub protocol_errors: u64,
    /// Connections closed because too much waited for their clients.
    pub overflows: u64,
    /// Connections closed because all together held too much.
    pub evictions: u64,
    /// Connections closed because a request took too long to come.
    pub dawdlers: u64,
    /// Wrong passwords.
    pub denied_auth: u64,
    /// Commands that their users may not run.
    pub denied_commands: u64,
    /// Keys that their users may not touch.
    pub denied_keys: u64,
    /// Channels that their users may not use.
    pub denied_channels: u64,
    /// Error replies.
    pub error_replies: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Fields of hashes removed because their time had come.
    pub expired_fields: u64,
    /// Keys removed to make room.
    pub evicted: u64,
}

/// Rates over the last samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Requests in a second.
    pub commands_per_second: u64,
    /// KiB read in a second.
    pub input_kib_per_second: f64,
    /// KiB written in a second.
    pub output_kib_per_second: f64,
}

struct Sample {
    at_ms: u64,
    commands: u64,
    input_bytes: u64,
    output_bytes: u64,
}

/// For a counter that only this thread writes.
#[inline]
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

impl Stats {
    /// Counters for so many workers.
    pub fn new(workers: usize) -> Stats {
        Stats {
            workers: (0..workers).map(|_| WorkerStats::default()).collect(),
            connections: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
            protocol_errors: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            dawdlers: AtomicU64::new(0),
            denied: Default::default(),
            error_replies: AtomicU64::new(0),
            error_codes: Mutex::default(),
            blocked: AtomicI64::new(0),
            blocked_for_a_time: AtomicI64::new(0),
            expire_lag: RecentMost::default(),
            peak_memory: AtomicU64::new(0),
            samples: Mutex::default(),
            baseline: Mutex::default(),
        }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Requests came. Called by that worker alone.
    #[inline]
    pub fn count_commands(&self, worker: usize, requests: u64) {
        add(&self.workers[worker].commands, requests);
    }

    /// A read looked for keys. Called by that worker alone.
    #[inline]
    pub fn count_lookups(&self, worker: usize, hits: u64, misses: u64) {
        let worker = &self.workers[worker];
        if hits != 0 {
            add(&worker.hits, hits);
        }
        if misses != 0 {
            add(&worker.misses, misses);
        }
    }

    /// Bytes came from a socket. Called by that worker alone.
    #[inline]
    pub fn count_input(&self, worker: usize, bytes: usize) {
        let worker = &self.workers[worker];
        add(&worker.reads, 1);
        add(&worker.input_bytes, bytes as u64);
    }

    /// Bytes went to a socket. Called by that worker alone.
    #[inline]
    pub fn count_output(&self, worker: usize, bytes: usize) {
        let worker = &self.workers[worker];
        add(&worker.writes, 1);
        add(&worker.output_bytes, bytes as u64);
    }

    /// A connection was accepted.
    pub fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was turned away.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake came to nothing.
    pub fn count_failed_handshake(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// A client sent what is no request, was told so, and is closed.
    pub fn count_protocol_error(&self) {
        self.protocol_errors.fetch_add(1, Ordering::Relaxed);
        self.count_error("ERR");
    }

    /// Too much waited for a client: it is closed.
    pub fn count_overflow(&self) {
        self.overflows.fetch_add(1, Ordering::Relaxed);
    }

    /// A client takes too long for a request: it is closed.
    pub fn count_dawdler(&self) {
        self.dawdlers.fetch_add(1, Ordering::Relaxed);
    }

    /// All connections together held too much: one of those with most is closed.
    pub fn count_eviction(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    /// A user may not do something, or a password was wrong.
    pub fn count_denied(&self, reason: Reason) {
        self.denied[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An error reply, by its text.
    pub fn count_error(&self, text: &str) {
        self.error_replies.fetch_add(1, Ordering::Relaxed);
        let code = text.split(' ').next().unwrap_or_default();
        let mut codes = self.error_codes.lock();
        if let Some(count) = codes.get_mut(code) {
            *count += 1;
        } else if codes.len() < MAX_ERROR_CODES {
            codes.insert(code.to_owned(), 1);
        }
    }

    /// A client began to wait for something but input (1), or waits no more (-1).
    pub fn count_blocked(&self, by: i64, has_timeout: bool) {
        self.blocked.fetch_add(by, Ordering::Relaxed);
        if has_timeout {
            self.blocked_for_a_time.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Those of them that wait for a time only.
    pub fn blocked_for_a_time(&self) -> u64 {
        self.blocked_for_a_time.load(Ordering::Relaxed).max(0) as u64
    }

    /// Something that was due was late by at most so many milliseconds, up to this time.
    pub fn note_expire_lag(&self, lag_ms: u64, now_ms: u64) {
        self.expire_lag.note(lag_ms, now_ms);
    }

    /// By how many milliseconds at most something that was due was late in the last seconds.
    pub fn expire_lag_ms(&self, now_ms: u64) -> u64 {
        self.expire_lag.get(now_ms)
    }

    /// Clients that wait for something but input.
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed).max(0) as u64
    }

    /// Notes the memory in use; the most there ever was.
    pub fn peak_memory(&self, memory: u64) -> u64 {
        self.peak_memory.fetch_max(memory, Ordering::Relaxed).max(memory)
    }

    /// Error replies by code, in the order of the alphabet.
    pub fn errors_by_code(&self) -> Vec<(String, u64)> {
        self.error_codes.lock().iter().map(|(code, count)| (code.clone(), *count)).collect()
    }

    /// Takes a sample for [`Stats::rates`]. Called ten times a second, with monotonic milliseconds.
    pub fn tick(&self, now_ms: u64, memory: u64) {
        self.peak_memory(memory);
        let Totals { commands, input_bytes, output_bytes, .. } = self.sum([0, 0, 0]);
        let mut samples = self.samples.lock();
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(Sample { at_ms: now_ms, commands, input_bytes, output_bytes });
    }

    /// How fast it goes, over the last samples.
    pub fn rates(&self) -> Rates {
        let samples = self.samples.lock();
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return Rates::default() };
        let passed_ms = last.at_ms.saturating_sub(first.at_ms);
        if passed_ms == 0 {
            return Rates::default();
        }
        let kib = |bytes: u64| bytes as f64 / 1024.0 * 1000.0 / passed_ms as f64;
        Rates {
            commands_per_second: (last.commands - first.commands) * 1000 / passed_ms,
            input_kib_per_second: kib(last.input_bytes - first.input_bytes),
            output_kib_per_second: kib(last.output_bytes - first.output_bytes),
        }
    }

    /// The counters since the last reset. `removed` is what the store has counted of keys and fields that expired, and of
    /// keys that were evicted.
    pub fn totals(&self, removed: [u64; 3]) -> Totals {
        let baseline = *self.baseline.lock();
        self.sum(removed) - baseline
    }

    /// CONFIG RESETSTAT: everything counts from here. The peak of memory stays.
    pub fn reset(&self, removed: [u64; 3]) {
        let now = self.sum(removed);
        *self.baseline.lock() = now;
        self.error_codes.lock().clear();
    }

    fn sum(&self, [expired, expired_fields, evicted]: [u64; 3]) -> Totals {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut totals = Totals {
            connections: load(&self.connections),
            rejected: load(&self.rejected),
            failed_handshakes: load(&self.failed_handshakes),
            protocol_errors: load(&self.protocol_errors),
            overflows: load(&self.overflows),
            evictions: load(&self.evictions),
            dawdlers: load(&self.dawdlers),
            denied_auth: load(&self.denied[Reason::Auth as usize]),
            denied_commands: load(&self.denied[Reason::Command as usize]),
            denied_keys: load(&self.denied[Reason::Key as usize]),
            denied_channels: load(&self.denied[Reason::Channel as usize]),
            error_replies: load(&self.error_replies),
            expired,
            expired_fields,
            evicted,
            ..Totals::default()
        };
        for worker in &self.workers {
            totals += Totals {
                commands: load(&worker.commands),
                hits: load(&worker.hits),
                misses: load(&worker.misses),
                reads: load(&worker.reads),
                writes: load(&worker.writes),
                input_bytes: load(&worker.input_bytes),
                output_bytes: load(&worker.output_bytes),
                ..Totals::default()
            };
        }
        totals
    }
}

/// Does one operation to every counter.
macro_rules! each_counter {
    ($left:ident, $right:ident, $operation:ident) => {
        Totals {
            commands: $left.commands.$operation($right.commands),
            hits: $left.hits.$operation($right.hits),
            misses: $left.misses.$operation($right.misses),
            reads: $left.reads.$operation($right.reads),
            writes: $left.writes.$operation($right.writes),
            input_bytes: $left.input_bytes.$operation($right.input_bytes),
            output_bytes: $left.output_bytes.$operation($right.output_bytes),
            connections: $left.connections.$operation($right.connections),
            rejected: $left.rejected.$operation($right.rejected),
            failed_handshakes: $left.failed_handshakes.$operation($right.failed_handshakes),
            protocol_errors: $left.protocol_errors.$operation($right.protocol_errors),
            overflows: $left.overflows.$operation($right.overflows),
            evictions: $left.evictions.$operation($right.evictions),
            dawdlers: $left.dawdlers.$operation($right.dawdlers),
            denied_auth: $left.denied_auth.$operation($right.denied_auth),
            denied_commands: $left.denied_commands.$operation($right.denied_commands),
            denied_keys: $left.denied_keys.$operation($right.denied_keys),
            denied_channels: $left.denied_channels.$operation($right.denied_channels),
            error_replies: $left.error_replies.$operation($right.error_replies),
            expired: $left.expired.$operation($right.expired),
            expired_fields: $left.expired_fields.$operation($right.expired_fields),
            evicted: $left.evicted.$operation($right.evicted),
        }
    };
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        let before = *self;
        *self = each_counter!(before, other, wrapping_add);
    }
}

impl Sub for Totals {
    type Output = Totals;

    fn sub(self, other: Totals) -> Totals {
        each_counter!(self, other, saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_summed_and_a_reset_counts_from_there() {
        let stats = Stats::new(2);
        stats.count_commands(0, 3);
        stats.count_commands(1, 4);
        stats.count_lookups(1, 2, 1);
        stats.count_connection();
        stats.count_error("ERR syntax error");
        stats.count_error("ERR no such key");
        stats.count_error("WRONGPASS no");
        let totals = stats.totals([5, 7, 9]);
        assert_eq!((totals.commands, totals.hits, totals.misses, totals.connections), (7, 2, 1, 1));
        assert_eq!((totals.error_replies, totals.expired, totals.expired_fields, totals.evicted), (3, 5, 7, 9));
        assert_eq!(stats.errors_by_code(), [("ERR".to_owned(), 2), ("WRONGPASS".to_owned(), 1)]);

        stats.reset([5, 7, 9]);
        stats.count_commands(0, 1);
        assert_eq!(
            stats.totals([6, 9, 12]),
            Totals { commands: 1, expired: 1, expired_fields: 2, evicted: 3, ..Totals::default() }
        );
        assert!(stats.errors_by_code().is_empty());
    }

    #[test]
    fn rates_come_from_the_last_samples() {
        let stats = Stats::new(1);
        assert_eq!(stats.rates(), Rates::default());
        for tick in 0..=100 {
            stats.tick(tick * 100, 10 + tick % 3);
            stats.count_commands(0, 50);
            stats.count_input(0, 1024);
        }
        let rates = stats.rates();
        assert_eq!(rates.commands_per_second, 500);
        assert!((rates.input_kib_per_second - 10.0).abs() < 1e-9);
        assert_eq!(stats.peak_memory(1), 12);
    }

    #[test]
    fn error_codes_are_bounded() {
        let stats = Stats::new(1);
        for code in 0..2 * MAX_ERROR_CODES {
            stats.count_error(&format!("E{code} text"));
        }
        assert_eq!(stats.errors_by_code().len(), MAX_ERROR_CODES);
        assert_eq!(stats.totals([0, 0, 0]).error_replies, 2 * MAX_ERROR_CODES as u64);
    }
}
