//! Writing and syncing: from memory to the kernel, from the kernel to the disk.

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
    dirty: Vec<Arc<dyn File>>,
    /// A segment was filled since the last sync.
    sealed: bool,
    first_unsynced_us: u64,
    unsynced_bytes: u64,
    /// Something happened that changes when the next sync is due.
    news: bool,
}

impl Writer {
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
        }
    }
}

/// What the flusher decides by.
pub(super) struct Unsynced {
    pub since_us: u64,
    pub bytes: u64,
    pub sealed: bool,
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
                        writer.dirty.push(file.clone());
                        writer.current = Some((run.segment, file));
                    } else if writer.dirty.is_empty() {
                        writer.dirty.push(file);
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
        let (target, files, since_us) = {
            let mut writer = self.writer.lock();
            if writer.dirty.is_empty() || self.is_read_only() {
                return;
            }
            writer.sealed = false;
            writer.unsynced_bytes = 0;
            let since = std::mem::replace(&mut writer.first_unsynced_us, u64::MAX);
            // A batch that was cut short by a full disk is not whole: its beginning does not count yet.
            (self.written(), std::mem::take(&mut writer.dirty), since)
        };
        self.oldest_unsynced_us.store(since_us, Ordering::Relaxed);
        let started_us = self.clock.monotonic_us();
        for (index, file) in files.iter().enumerate() {
            if planted("skip_fsync") || (planted("sealed_segment_not_synced") && index + 1 < files.len()) {
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
        self.durable.store(target, Ordering::Release);
        let writer = self.writer.lock();
        self.oldest_unsynced_us.store(writer.first_unsynced_us, Ordering::Relaxed);
    }

    /// The clock by which bytes age.
    fn timer_us(&self) -> u64 {
        if planted("wall_clock_timer") { self.clock.wall_ms() * 1000 } else { self.clock.monotonic_us() }
    }

    pub(super) fn unsynced(&self) -> Unsynced {
        let writer = self.writer.lock();
        Unsynced { since_us: writer.first_unsynced_us, bytes: writer.unsynced_bytes, sealed: writer.sealed }
    }
}
