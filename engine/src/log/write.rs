//! Writing and syncing: from memory to the kernel, from the kernel to the disk.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::append::Run;
use super::flusher::SYNC_AFTER_BYTES;
use super::prepare::is_full;
use super::{Log, Lsn};
use crate::disk::{self, File};
use crate::failpoint;
use crate::format::segment;
use crate::mutant::planted;

/// What the holder of the writer's lock knows.
pub(super) struct Writer {
    /// The segment written last.
    current: Option<(u64, Arc<dyn File>)>,
    position: Lsn,
    runs: Vec<Run>,
    spare: Vec<Vec<u8>>,
    /// Files with bytes that are not synced.
    dirty: Vec<(u64, Arc<dyn File>)>,
    /// A segment was filled since the last sync.
    sealed: bool,
    first_unsynced_us: u64,
    unsynced_bytes: u64,
    /// Something happened that changes when the next sync is due.
    news: bool,
    /// Syncs that have begun, oldest first, and the number of the first of them.
    under_way: VecDeque<UnderWay>,
    first_sync: u64,
}

/// A sync between its beginning and its end.
struct UnderWay {
    target: Lsn,
    since_us: u64,
    done: bool,
}

/// A sync that has begun: what it makes durable is settled, the disk has not been asked yet.
pub(super) struct BegunSync {
    number: u64,
    files: Vec<Arc<dyn File>>,
}

impl Writer {
    /// Since when the oldest byte that is not durable has been written; `u64::MAX` when there is none.
    fn oldest_us(&self) -> u64 {
        self.under_way.front().map_or(self.first_unsynced_us, |first| first.since_us)
    }

    pub(super) fn new(position: Lsn) -> Writer {
        Writer {
            current: None,
            position,
            runs: Vec::new(),
            spare: Vec::new(),
            dirty: Vec::new(),
            sealed: false,
            first_unsynced_us: u64::MAX,
            unsynced_bytes: 0,
            news: false,
            under_way: VecDeque::new(),
            first_sync: 0,
        }
    }
}

/// What the flusher decides by.
pub(super) struct Unsynced {
    /// Of the oldest byte that no sync has taken up; `u64::MAX` when there is none.
    pub since_us: u64,
    pub bytes: u64,
    pub sealed: bool,
    /// Syncs that have begun and not ended.
    pub under_way: usize,
    /// What is durable when they have ended.
    pub covered: Lsn,
}

impl Log {
    /// Writes everything appended so far. When it returns, [`Log::written`] has passed what the caller appended, or
    /// the log is full (the bytes are kept and written later) or read-only.
    pub fn write_out(&self) {
        if self.written() >= self.appended() || self.is_read_only() {
            return;
        }
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let _ = self.take_pending(&mut writer.spare, &mut writer.runs);
        match self.write_runs(writer) {
            Err(_) if planted("ignore_write_errors") => self.written.store(self.appended(), Ordering::Release),
            Ok(()) => {
                self.counters.writes.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) if is_full(&e) => self.set_full(true),
            Err(_) => self.fail(),
        }
        if std::mem::take(&mut writer.news) {
            self.wake_flusher();
        }
    }

    fn write_runs(&self, writer: &mut Writer) -> io::Result<()> {
        let mut done = 0;
        let result = (|| {
            while let Some(run) = writer.runs.get_mut(done) {
                if !run.bytes.is_empty() {
                    let file = match (&writer.current, run.file.take()) {
                        (Some((number, file)), _) if *number == run.segment => file.clone(),
                        (_, Some(file)) => file,
                        (_, None) => self.create_segment(run.segment, run.segment_bytes)?,
                    };
                    self.write_run(run, &file)?;
                    let begun = writer.current.as_ref().is_none_or(|(number, _)| *number != run.segment);
                    if begun {
                        failpoint::hit("segment.seal")?;
                        writer.news |= writer.current.is_some();
                        writer.sealed |= writer.current.is_some();
                        writer.dirty.push((run.segment, file.clone()));
                        writer.current = Some((run.segment, file));
                    } else if writer.dirty.is_empty() {
                        writer.dirty.push((run.segment, file));
                    }
                    if writer.first_unsynced_us == u64::MAX {
                        writer.first_unsynced_us = self.timer_us();
                        self.oldest_unsynced_us.fetch_min(writer.first_unsynced_us, Ordering::Relaxed);
                        writer.news = true;
                    }
                    let before = writer.unsynced_bytes;
                    writer.unsynced_bytes += run.bytes.len() as u64;
                    writer.news |= before < SYNC_AFTER_BYTES && writer.unsynced_bytes >= SYNC_AFTER_BYTES;
                    writer.position = run.start + run.bytes.len() as u64;
                }
                done += 1;
            }
            Ok(())
        })();
        for run in writer.runs.drain(..done) {
            writer.spare.push(run.bytes);
        }
        if writer.runs.is_empty() || planted("mark_past_incomplete") {
            // Only at the end of a whole batch: a mark between two frames of a transaction would release its replies.
            self.written.store(writer.position, Ordering::Release);
        }
        result
    }

    /// One run at its place. Done again after an error it writes the same bytes to the same place.
    fn write_run(&self, run: &Run, file: &Arc<dyn File>) -> io::Result<()> {
        failpoint::hit("log.write.before")?;
        if run.start == run.base {
            let header = segment::Header { id: self.id, number: run.segment, base: run.base, epoch: self.epoch };
            disk::write_all_at(&**file, &header.encode(), 0)?;
        }
        let offset = segment::HEADER + run.start - run.base;
        if cfg!(feature = "failpoints") {
            let (front, back) = run.bytes.split_at(run.bytes.len() / 2);
            disk::write_all_at(&**file, front, offset)?;
            failpoint::hit("log.write.mid")?;
            disk::write_all_at(&**file, back, offset + front.len() as u64)?;
        } else {
            disk::write_all_at(&**file, &run.bytes, offset)?;
        }
        failpoint::hit("log.write.after")
    }

    /// Makes everything written so far durable, without holding a lock that a writer needs.
    pub(super) fn sync(&self) {
        if let Some(begun) = self.begin_sync() {
            self.finish_sync(begun);
        }
    }

    /// Settles what the next sync makes durable. `None` when there is nothing, or no descriptor to do it with.
    pub(super) fn begin_sync(&self) -> Option<BegunSync> {
        let mut writer = self.writer.lock();
        if writer.dirty.is_empty() || self.is_read_only() {
            return None;
        }
        // The kernel tells an error once to each open file. A sync beside another needs files of its own, or one of the
        // two could be told of success.
        let files = match writer.under_way.is_empty() {
            true => writer.dirty.iter().map(|(_, file)| file.clone()).collect(),
            false => {
                let own = |(number, _): &(u64, _)| self.disk.open(&segment::file_name(&self.store_name, *number)).ok();
                writer.dirty.iter().map(own).collect::<Option<Vec<_>>>()?
            }
        };
        writer.dirty.clear();
        writer.sealed = false;
        writer.unsynced_bytes = 0;
        let since_us = std::mem::replace(&mut writer.first_unsynced_us, u64::MAX);
        // A batch that was cut short by a full disk is not whole: its beginning does not count yet.
        writer.under_way.push_back(UnderWay { target: self.written(), since_us, done: false });
        self.oldest_unsynced_us.store(writer.oldest_us(), Ordering::Relaxed);
        Some(BegunSync { number: writer.first_sync + writer.under_way.len() as u64 - 1, files })
    }

    /// Waits for the disk. What is durable is told in the order in which syncs began: the files of an earlier one may
    /// hold bytes below this one's end.
    pub(super) fn finish_sync(&self, begun: BegunSync) {
        let started_us = self.clock.monotonic_us();
        for (index, file) in begun.files.iter().enumerate() {
            if planted("skip_fsync") || (planted("sealed_segment_not_synced") && index + 1 < begun.files.len()) {
                continue;
            }
            let mut synced = failpoint::hit("log.sync.before").and_then(|()| file.sync());
            if synced.is_err() && planted("retry_failed_fsync") {
                synced = file.sync();
            }
            if synced.is_err() {
                // Never again: the pages are clean now, and a second sync would succeed without writing them.
                self.fail();
                return;
            }
        }
        let took_us = self.clock.monotonic_us() - started_us;
        let _ = failpoint::hit("log.sync.after");
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.counters.longest_sync_us.fetch_max(took_us, Ordering::Relaxed);
        let mut writer = self.writer.lock();
        if self.is_read_only() {
            return;
        }
        let index = (begun.number - writer.first_sync) as usize;
        writer.under_way[index].done = true;
        if planted("sync_overtakes") {
            self.durable.fetch_max(writer.under_way[index].target, Ordering::Release);
        }
        while let Some(first) = writer.under_way.pop_front_if(|first| first.done) {
            self.durable.fetch_max(first.target, Ordering::Release);
            writer.first_sync += 1;
        }
        self.oldest_unsynced_us.store(writer.oldest_us(), Ordering::Relaxed);
    }

    /// The clock by which bytes age.
    fn timer_us(&self) -> u64 {
        if planted("wall_clock_timer") { self.clock.wall_ms() * 1000 } else { self.clock.monotonic_us() }
    }

    pub(super) fn unsynced(&self) -> Unsynced {
        let writer = self.writer.lock();
        Unsynced {
            since_us: writer.first_unsynced_us,
            bytes: writer.unsynced_bytes,
            sealed: writer.sealed,
            under_way: writer.under_way.len(),
            covered: writer.under_way.back().map_or(0, |last| last.target).max(self.durable()),
        }
    }
}
