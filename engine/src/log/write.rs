//! Writing: from memory to the kernel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::append::Run;
use super::prepare::{is_full, is_passing};
use super::sync::Unsynced;
use super::{Log, Lsn};
use crate::disk::{self, File};
use crate::failpoint;
use crate::format::segment;
use crate::mutant::planted;

/// What the kernel keeps files in.
pub(super) const PAGE: usize = 4096;

/// Zeros to write behind a run, up to the end of a page in which it is the first. A page of a used file would have to be read
/// before a part of it is written, if the kernel does not have it in memory.
fn page_rest(run: &Run) -> usize {
    let offset = (segment::HEADER + run.start - run.base) as usize;
    let end = offset + run.bytes.len();
    let rest = end.next_multiple_of(PAGE) - end;
    let begins_page = offset / PAGE < end / PAGE;
    if run.used && begins_page && (end + rest) as u64 <= run.segment_bytes { rest } else { 0 }
}

fn write_frames(bytes: &[u8], offset: u64, file: &Arc<dyn File>) -> io::Result<()> {
    if cfg!(feature = "failpoints") {
        let (front, back) = bytes.split_at(bytes.len() / 2);
        disk::write_all_at(&**file, front, offset)?;
        failpoint::hit("log.write.mid")?;
        disk::write_all_at(&**file, back, offset + front.len() as u64)?;
    } else {
        disk::write_all_at(&**file, bytes, offset)?;
    }
    failpoint::hit("log.write.after")
}

/// What the holder of the writer's lock knows.
pub(super) struct Writer {
    /// The segment written last.
    current: Option<(u64, Arc<dyn File>)>,
    position: Lsn,
    runs: Vec<Run>,
    spare: Vec<Vec<u8>>,
    pub(super) unsynced: Unsynced,
    /// Something happened that changes when the next sync is due.
    news: bool,
}

impl Writer {
    pub(super) fn new(position: Lsn) -> Writer {
        let (runs, spare) = (Vec::new(), Vec::new());
        Writer { current: None, position, runs, spare, unsynced: Unsynced::default(), news: false }
    }
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
            Err(_) if planted("ignore_write_errors") => self.marks.write_to(self.appended()),
            Ok(()) => {
                self.counters.writes.fetch_add(1, Ordering::Relaxed);
                self.stuck.store(false, Ordering::Relaxed);
            }
            Err(e) if is_full(&e) => {
                self.stuck.store(true, Ordering::Relaxed);
                self.set_full(true);
            }
            Err(e) if is_passing(&e) => self.stuck.store(true, Ordering::Relaxed),
            Err(_) => self.fail(),
        }
        if std::mem::take(&mut writer.news) {
            self.wake_flusher();
        }
    }

    /// The same for others, who are told when there is more that is written. Whether there is.
    pub fn write_out_for_others(&self) -> bool {
        let before = self.written();
        self.write_out();
        let is_more = self.written() != before;
        if is_more {
            self.tell_listeners();
        }
        is_more
    }

    fn write_runs(&self, writer: &mut Writer) -> io::Result<()> {
        let mut done = 0;
        let result = (|| {
            while let Some(run) = writer.runs.get_mut(done) {
                if !run.bytes.is_empty() {
                    let file = match (&writer.current, run.file.take()) {
                        (Some((number, file)), _) if *number == run.segment => file.clone(),
                        (_, Some(file)) => file,
                        (_, None) => {
                            let file = self.create_segment(run.segment, run.segment_bytes)?;
                            self.note_file(run.segment, file.clone());
                            file
                        }
                    };
                    self.write_run(run, &file)?;
                    if writer.current.as_ref().is_none_or(|(number, _)| *number != run.segment) {
                        failpoint::hit("segment.seal")?;
                        writer.current = Some((run.segment, file.clone()));
                    }
                    let (bytes, whole) = (run.bytes.len() as u64, self.written());
                    if writer.unsynced.note(run.segment, &file, bytes, whole, || self.timer_us()) {
                        self.oldest_unsynced_us.store(writer.unsynced.oldest_us(), Ordering::Relaxed);
                        writer.news = true;
                    }
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
            self.marks.write_to(writer.position);
        }
        result
    }

    /// One run at its place. Done again after an error it writes the same bytes to the same place.
    fn write_run(&self, run: &mut Run, file: &Arc<dyn File>) -> io::Result<()> {
        failpoint::hit("log.write.before")?;
        if run.start == run.base {
            self.write_header(run, file)?;
        }
        let offset = segment::HEADER + run.start - run.base;
        let length = run.bytes.len();
        let rest = page_rest(run);
        run.bytes.reserve_exact(rest);
        run.bytes.resize(length + rest, 0);
        let written = write_frames(&run.bytes, offset, file);
        run.bytes.truncate(length);
        written
    }

    fn write_header(&self, run: &Run, file: &Arc<dyn File>) -> io::Result<()> {
        let Run { segment: number, base, used, .. } = *run;
        let header = segment::Header { id: self.id, number, base, epoch: self.epoch, used };
        if !used {
            return disk::write_all_at(&**file, &header.encode(), 0);
        }
        self.counters.recycled.fetch_add(1, Ordering::Relaxed);
        if planted("recycled_header_kept") {
            return Ok(());
        }
        let mut page = [0; PAGE];
        page[..segment::HEADER as usize].copy_from_slice(&header.encode());
        disk::write_all_at(&**file, &page, 0)
    }

    /// The clock by which bytes age.
    fn timer_us(&self) -> u64 {
        if planted("wall_clock_timer") { self.clock.wall_ms() * 1000 } else { self.clock.monotonic_us() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = super::PAGE as u64;

    fn rest(offset: u64, length: u64, used: bool, segment_bytes: u64) -> usize {
        let base = 1 << 30;
        let start = base + offset - segment::HEADER;
        let bytes = vec![1; length as usize];
        page_rest(&Run { segment: 3, base, segment_bytes, file: None, used, start, bytes })
    }

    #[test]
    fn zeros_fill_the_page_in_which_a_run_is_the_first() {
        for (offset, length, expected) in [
            // It ends in the page in which it begins, or with it: the rest of that is not its own to write.
            (segment::HEADER, 100, 0),
            (3 * PAGE + 100, 200, 0),
            (PAGE - 100, 100, 0),
            (PAGE - 100, 101, PAGE - 1),
            (PAGE - 100, 100 + PAGE - 1, 1),
            (PAGE - 100, 100 + PAGE, 0),
            (2 * PAGE + 7, 5 * PAGE, PAGE - 7),
        ] {
            assert_eq!(rest(offset, length, true, 100 * PAGE), expected as usize, "{offset} {length}");
            assert_eq!(rest(offset, length, false, 100 * PAGE), 0, "a new file has zeros");
        }
        // Not beyond the end of the file.
        assert_eq!(rest(PAGE - 100, 200, true, 2 * PAGE), super::PAGE - 100);
        assert_eq!(rest(PAGE - 100, 200, true, 2 * PAGE - 1), 0);
    }
}
