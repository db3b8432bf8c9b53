//! How long requests take, for SLOWLOG, LATENCY and INFO, without a reading of the clock for each.
//!
//! A reading costs as much as a tenth of a small request in a pipeline. So requests of commands that take constant or
//! logarithmic time, with few arguments, share the reading at the end of their group of up to 16; one that came alone is
//! a group of its own and measured exactly. All others are measured one by one. When a group that shares a reading
//! took too long it was held up by what no request of it asked for (a lock, a page, the processor): it is kept under
//! the longest of its requests, with the time of all. Who wants to know exactly sets a limit below a millisecond: then
//! every request is measured by itself. For INFO and LATENCY HISTOGRAM the requests of a group share its time alike. While
//! none of SLOWLOG, LATENCY and `latency-tracking` keeps anything, nothing is measured.

use std::sync::atomic::Ordering;

use resp::{Batch, Request};

use super::Server;
use crate::commands::{self, Entry, Flag};
use crate::session::registry::Client;

/// With a limit below this every request is measured by itself.
const EXACT_BELOW_US: u64 = 1000;
/// More arguments than these take time to handle, whatever the command.
const FEW_ARGUMENTS: usize = 16;
/// Where there is no limit.
pub const OFF: u64 = u64::MAX;

/// Measures the requests of one run of a batch.
pub struct Stopwatch {
    /// The last reading, in monotonic microseconds; none while nothing is measured.
    read_us: Option<u64>,
    /// Requests since then that have run.
    unread: Option<(usize, usize)>,
    /// The commands of these requests, with how many there are of each.
    runs: [Option<(&'static Entry, u64)>; RUNS],
    /// The request that runs is measured by itself.
    alone: bool,
    /// A request has begun since the last reading.
    is_late: bool,
}

/// Different commands that share a reading; one more ends the group.
const RUNS: usize = 4;

impl Stopwatch {
    /// Starts at a time that was read anyway.
    #[inline]
    pub fn new(now_us: u64) -> Stopwatch {
        Stopwatch { read_us: Some(now_us), unread: None, runs: [None; RUNS], alone: false, is_late: false }
    }

    /// A request is about to run.
    #[inline]
    pub fn start(&mut self, entry: Option<&Entry>, arguments: usize, batch: &Batch, client: &Client, server: &Server) {
        let limit_us = server.hot.slow_us.load(Ordering::Relaxed);
        if limit_us == OFF {
            self.read_us = None;
            return;
        }
        self.alone =
            limit_us < EXACT_BELOW_US || arguments > FEW_ARGUMENTS || entry.is_some_and(|entry| !entry.gate.fast);
        if self.unread.is_some() && (self.alone || !self.has_room(entry)) {
            self.finish(batch, client, server);
        }
        if self.read_us.is_none() {
            self.read_us = Some(server.clock.monotonic_us());
        }
        self.is_late = true;
    }

    /// The request at this place of the batch has run, but for so many milliseconds that its client now sleeps.
    #[inline]
    pub fn stop(
        &mut self,
        at: usize,
        entry: &'static Entry,
        request: &Request<'_>,
        sleep_ms: u64,
        client: &Client,
        server: &Server,
    ) {
        if self.alone {
            account(self.read(server).saturating_add(sleep_ms.saturating_mul(1000)), entry, request, client, server);
        } else if self.read_us.is_some() {
            self.note(entry);
            let (first, _) = self.unread.unwrap_or((at, at));
            self.unread = Some((first, at));
        }
    }

    /// Whether the last reading was behind this time.
    #[inline]
    pub fn is_past(&self, us: u64) -> bool {
        self.read_us.is_some_and(|read_us| read_us > us)
    }

    /// Whether requests of this command can share the next reading.
    #[inline]
    fn has_room(&self, entry: Option<&Entry>) -> bool {
        let is = |run: &Option<(&'static Entry, u64)>| match (run, entry) {
            (Some((of, _)), Some(entry)) => std::ptr::eq(*of, entry),
            _ => true,
        };
        self.runs[RUNS - 1].is_none() || self.runs.iter().any(is)
    }

    /// A request of this command shares the time of its group.
    #[inline]
    fn note(&mut self, entry: &'static Entry) {
        for run in &mut self.runs {
            let (of, count) = run.get_or_insert((entry, 0));
            if std::ptr::eq(*of, entry) {
                *count += 1;
                return;
            }
        }
    }

    /// Gives the time of a group to its commands.
    #[inline]
    fn share(&mut self, took_us: u64, server: &Server) {
        let tracks = server.hot.tracks_latency.load(Ordering::Relaxed);
        let (mut left_us, mut left) = (took_us, self.runs.iter().flatten().map(|(_, count)| count).sum::<u64>());
        let each_ns = took_us * 1000 / left.max(1);
        for (entry, count) in self.runs.iter_mut().map_while(Option::take) {
            let part_us = left_us * count / left.max(1);
            entry.busy_us.fetch_add(part_us, Ordering::Relaxed);
            if tracks {
                entry.latency.note(each_ns, count);
            }
            (left_us, left) = (left_us - part_us, left - count);
        }
    }

    /// Reads the clock for the requests that have run without, and for those that were refused or queued, which take time too.
    #[inline]
    pub fn finish(&mut self, batch: &Batch, client: &Client, server: &Server) {
        let Some((first, last)) = self.unread.take() else {
            if self.is_late {
                self.read(server);
            }
            return;
        };
        let took_us = self.read(server);
        self.share(took_us, server);
        if took_us >= server.hot.slow_us.load(Ordering::Relaxed) {
            let bytes = |at: &usize| batch.request(*at).iter().map(<[u8]>::len).sum::<usize>();
            let request = batch.request((first..=last).max_by_key(bytes).unwrap_or(last));
            if let Some(entry) = request.get(0).and_then(commands::lookup) {
                keep(took_us, entry, &request, client, server);
            }
        }
    }

    /// Microseconds since the last reading.
    #[inline]
    fn read(&mut self, server: &Server) -> u64 {
        let Some(before_us) = self.read_us else { return 0 };
        let now_us = server.clock.monotonic_us();
        (self.read_us, self.is_late) = (Some(now_us), false);
        now_us.saturating_sub(before_us)
    }
}

/// A request that was measured by itself has taken so long.
#[inline]
pub fn account(took_us: u64, entry: &Entry, request: &Request<'_>, client: &Client, server: &Server) {
    entry.busy_us.fetch_add(took_us, Ordering::Relaxed);
    if server.hot.tracks_latency.load(Ordering::Relaxed) {
        entry.latency.note(took_us.saturating_mul(1000), 1);
    }
    keep(took_us, entry, request, client, server);
}

/// Keeps a request that took too long.
#[inline]
fn keep(took_us: u64, entry: &Entry, request: &Request<'_>, client: &Client, server: &Server) {
    if took_us >= server.hot.slow_us.load(Ordering::Relaxed) {
        keep_slow(took_us, entry, request, client, server);
    }
}

#[cold]
fn keep_slow(took_us: u64, entry: &Entry, request: &Request<'_>, client: &Client, server: &Server) {
    let settings = server.settings();
    let at_s = server.clock.wall_ms() / 1000;
    let is_slow = u64::try_from(settings.slowlog_log_slower_than).is_ok_and(|limit_us| took_us >= limit_us);
    if is_slow && settings.slowlog_max_len > 0 && !entry.command.has(Flag::SkipSlowlog) {
        server.slow_log.add(entry, request, client, took_us, at_s, settings.slowlog_max_len);
    }
    let (took_ms, limit_ms) = (took_us / 1000, settings.latency_monitor_threshold);
    if limit_ms > 0 && took_ms >= limit_ms {
        server.latency.add(if entry.gate.fast { "fast-command" } else { "command" }, took_ms, at_s);
    }
}
