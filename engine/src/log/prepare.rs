//! Segment files made ahead: created, filled, synced and in the directory before the first frame goes in.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use rustix::io::Errno;

use super::append::Longer;
use super::scan::MAX_SEGMENT;
use super::{FsyncMode, Health, Log, Need};
use crate::disk::{self, File};
use crate::failpoint;
use crate::format::segment;
use crate::mutant::planted;

/// Files kept ready behind the current one: two to go on with, one in reserve for removals, one for compaction.
const WANTED: usize = 2 + Need::Grow as usize;
/// So many more may be ready that are emptied segments: each is used up about when the next one is emptied.
const SPARE: usize = 2;
/// Room that is left for marks and headers when the disk is full.
pub(super) const SLACK: u64 = 4096;
/// Smallest segment.
pub const MIN_SEGMENT: u64 = 64 << 10;
/// Segment of a log that has just been opened and of which nothing more is known.
const FIRST_SEGMENT: u64 = 1 << 20;
/// A segment holds a quarter of what has been appended at most: what is made ahead is then never much more than what was used.
const PART_OF_APPENDED: u64 = 4;
/// It holds such a part of the log that is kept, so that what is made ahead is little beside that.
const PART_OF_KEPT: u64 = 16;
/// Or what is written in so much time, if that is more: no more than three are full within the 0.8 s that a sync may take, and
/// who makes them keeps up.
const WRITTEN_IN_US: u64 = 300_000;
/// The rate of writes is looked at so often.
const PACE_US: u64 = 250_000;
/// So many zeros are written before they are synced: a sync of frames must not wait behind a whole segment of them.
const ZEROS: usize = 1 << 20;
/// How soon a full disk is tried again.
const RETRY_US: u64 = 20_000;

/// The size of a segment that should hold about so many bytes: few sizes, so that files of emptied ones fit.
fn wish(bytes: u64) -> u64 {
    bytes.clamp(FIRST_SEGMENT, MAX_SEGMENT).next_power_of_two()
}

/// How fast the log grows.
#[derive(Default)]
struct Pace {
    since_us: u64,
    appended: u64,
    per_second: u64,
}

impl Pace {
    /// Takes note of how much has been appended so far. A burst is forgotten by halves.
    fn note(&mut self, appended: u64, now_us: u64) {
        let took_us = now_us.saturating_sub(self.since_us);
        if took_us >= PACE_US {
            let lately = appended.saturating_sub(self.appended).saturating_mul(1_000_000) / took_us;
            *self = Pace { since_us: now_us, appended, per_second: lately.max(self.per_second / 2) };
        }
    }

    /// Bytes that a segment should hold of a log of which so much is kept.
    fn segment_bytes(&self, kept: u64, appended: u64) -> u64 {
        let soon = self.per_second.saturating_mul(WRITTEN_IN_US) / 1_000_000;
        soon.max(kept / PART_OF_KEPT).min(appended / PART_OF_APPENDED)
    }
}

/// A segment that is to be filled next.
pub(super) struct Claimed {
    pub number: u64,
    pub bytes: u64,
    /// Its file was another segment's before.
    pub used: bool,
    /// `None` when it was needed before it was made: the writer makes it.
    pub file: Option<Arc<dyn File>>,
}

/// The files made ahead.
pub(super) struct Ready {
    files: VecDeque<Claimed>,
    next: u64,
    /// The number for which a used file is being renamed.
    renaming: Option<u64>,
    /// Size of the next file, by the log that is kept and by how fast it grows; smaller while the disk has no room for that.
    wish_bytes: u64,
    limit_bytes: u64,
    max_bytes: u64,
    /// Size of the first file, and the least size of the others while the disk has room.
    first_bytes: u64,
}

impl Ready {
    pub(super) fn new(next: u64, max_bytes: u64, expected_bytes: u64) -> Ready {
        let max_bytes = max_bytes.max(MIN_SEGMENT);
        let first_bytes = wish(expected_bytes.min(4 * max_bytes) / PART_OF_APPENDED);
        let files = VecDeque::new();
        Ready { files, next, renaming: None, wish_bytes: first_bytes, limit_bytes: max_bytes, max_bytes, first_bytes }
    }

    /// The next segment to fill, at least `needed` bytes long.
    pub(super) fn claim(&mut self, needed: u64) -> Claimed {
        let mut claimed = self.files.pop_front().unwrap_or_else(|| {
            let used = self.renaming == Some(self.next);
            let claimed = Claimed { number: self.next, bytes: self.next_bytes(), used, file: None };
            self.advance();
            claimed
        });
        claimed.bytes = claimed.bytes.max(needed.next_multiple_of(4096));
        claimed
    }

    /// Takes the file that would be used last out of the row; its number.
    fn take_back(&mut self) -> Option<u64> {
        let last = self.files.pop_back()?;
        self.next = last.number;
        Some(last.number)
    }

    /// Bytes for frames in the next file, if it may be filled for this need.
    pub(super) fn next_for(&self, need: Need) -> u64 {
        let usable = self.files.len() > need as usize;
        self.files.front().filter(|_| usable).map_or(0, |file| file.bytes - segment::HEADER)
    }

    /// The next file, and the length that it needs to have room for so many bytes.
    fn needed_for(&self, bytes: u64) -> Option<Longer> {
        let to = (segment::HEADER + bytes).next_multiple_of(4096);
        self.files.front().map(|file| Longer { number: file.number, from: file.bytes, to })
    }

    /// Whether the next file is still this one, of this length.
    fn is_next(&self, number: u64, bytes: u64) -> bool {
        self.files.front().is_some_and(|file| (file.number, file.bytes) == (number, bytes))
    }

    /// Whether as many files are ready as are wanted.
    pub(super) fn is_complete(&self) -> bool {
        self.files.len() >= WANTED
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    fn next_bytes(&self) -> u64 {
        self.wish_bytes.min(self.limit_bytes)
    }

    /// Wishes for files that hold about so many bytes.
    fn wish(&mut self, bytes: u64) {
        self.wish_bytes = wish(bytes).max(self.first_bytes);
    }

    /// The number that a used file of so many bytes may have, if there is use for it.
    pub(super) fn begin_renaming(&mut self, bytes: u64, is_full: bool) -> Option<u64> {
        let wanted = if is_full { WANTED } else { WANTED + SPARE };
        let fits = (self.next_bytes() / 2..=2 * self.next_bytes()).contains(&bytes);
        self.renaming = (fits && self.files.len() < wanted).then_some(self.next);
        self.renaming
    }

    /// Takes a file that was made or renamed for this number. If the appender has claimed the number meanwhile, the writer
    /// finds the file.
    pub(super) fn put(&mut self, file: Claimed) {
        if self.next == file.number {
            self.files.push_back(file);
            self.advance();
        }
        self.renaming = None;
    }

    fn advance(&mut self) {
        self.next += 1;
        self.limit_bytes = (self.limit_bytes * 2).min(self.max_bytes);
    }
}

impl Log {
    /// Makes the file of a segment, or finds it when it was made meanwhile.
    pub(super) fn create_segment(&self, number: u64, bytes: u64) -> io::Result<Arc<dyn File>> {
        let _creating = self.creating.lock();
        self.create_locked(number, bytes)
    }

    fn create_locked(&self, number: u64, bytes: u64) -> io::Result<Arc<dyn File>> {
        let name = segment::file_name(&self.store_name, number);
        failpoint::hit("segment.create.before")?;
        let file = match self.disk.create(&name) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return self.disk.open(&name),
            Err(e) => return Err(e),
        };
        let made = self.fill(&*file, 0, bytes).and_then(|()| self.sync_names());
        if let Err(e) = made {
            drop(file);
            // Half a file must not be taken for a whole one by the next try.
            let _ = self.disk.remove(&name);
            return Err(e);
        }
        failpoint::hit("segment.create.after")?;
        Ok(file)
    }

    /// Makes room in a file from one length to another.
    fn fill(&self, file: &dyn File, from: u64, to: u64) -> io::Result<()> {
        file.allocate(to)?;
        if self.mode() == FsyncMode::Always {
            // Real zeros: a sync of an overwritten byte needs no journal entry, a sync of a reserved one does.
            let zeros = vec![0; ZEROS.min((to - from) as usize)];
            let mut at = from;
            while at < to {
                let part = zeros.len().min((to - at) as usize);
                disk::write_all_at(file, &zeros[..part], at)?;
                at += part as u64;
                if at < to {
                    file.sync()?;
                }
            }
        }
        file.sync()
    }

    pub(super) fn sync_names(&self) -> io::Result<()> {
        failpoint::hit("dir.sync.before")?;
        if !planted("no_dir_fsync") {
            self.disk.sync_dir()?;
        }
        failpoint::hit("dir.sync.after")
    }

    /// The files made ahead, to which none is added while the segment that is being filled has none: that comes first, and takes the
    /// space. What is appended goes through it, so that those behind it would be no room.
    pub(super) fn ready_behind_current(&self) -> Option<MutexGuard<'_, Ready>> {
        let appender = self.appender.lock();
        let comes_first = appender.without_file().is_some() && !planted("recycled_before_current");
        (!comes_first).then(|| self.ready.lock())
    }

    /// Makes the file of the first segment before a client waits for it. A disk that is full now may not be later.
    pub(crate) fn make_first_segment(&self) {
        if let Err(e) = self.make_current_segment() {
            self.note_refusal(&e);
        }
    }

    /// Makes the file of the segment that is being filled, if it was begun without.
    fn make_current_segment(&self) -> io::Result<()> {
        let Some((number, bytes)) = self.appender.lock().without_file() else { return Ok(()) };
        let file = self.create_segment(number, bytes)?;
        self.note_file(number, file);
        Ok(())
    }

    /// The segment that was begun without a file has one now.
    pub(super) fn note_file(&self, number: u64, file: Arc<dyn File>) {
        let mut appender = self.appender.lock();
        appender.set_file(number, file);
        self.room.store(appender.room_on_disk(), Ordering::Relaxed);
    }

    /// A file could not be made.
    pub(super) fn note_refusal(&self, error: &io::Error) {
        if is_full(error) {
            self.counters.errors.fetch_add(1, Ordering::Relaxed);
            self.set_full(true);
        } else if !is_passing(error) {
            self.fail();
        }
    }

    /// Removes the last file that was made ahead: room for a manifest on a disk that is full. Whether there was one.
    pub(crate) fn give_back_one(&self) -> bool {
        let _creating = self.creating.lock();
        let mut ready = self.ready.lock();
        let Some(number) = ready.take_back() else { return false };
        self.behind.store(ready.next_for(Need::Grow), Ordering::Relaxed);
        drop(ready);
        self.disk.remove(&segment::file_name(&self.store_name, number)).is_ok()
    }

    pub(super) fn set_full(&self, full: bool) {
        let (from, to) = if full { (Health::Good, Health::Full) } else { (Health::Full, Health::Good) };
        // Read-only stays: no space that comes back makes a failed sync good.
        let _ = self.health.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Keeps segments ready: a machine that a thread, or a simulation, steps.
#[derive(Default)]
pub struct Preparer {
    retry_at_us: u64,
    pace: Pace,
}

impl Preparer {
    /// Makes at most one file, for a log of which so many bytes are kept. Returns whether there may be more to do.
    pub fn step(&mut self, log: &Log, kept_bytes: u64, now_us: u64) -> bool {
        let given_back = log.given_back.load(Ordering::Acquire);
        if given_back != log.taken_up.load(Ordering::Relaxed) {
            // There may be space again.
            self.retry_at_us = 0;
        }
        let more = self.make_one(log, kept_bytes, now_us);
        log.taken_up.store(given_back, Ordering::Release);
        more
    }

    fn make_one(&mut self, log: &Log, kept_bytes: u64, now_us: u64) -> bool {
        let appended = log.counters.bytes.load(Ordering::Relaxed);
        self.pace.note(appended, now_us);
        log.ready.lock().wish(self.pace.segment_bytes(kept_bytes, appended));
        if now_us < self.retry_at_us || log.is_read_only() {
            return false;
        }
        if let Err(e) = log.make_current_segment() {
            return self.put_off(log, &e, now_us);
        }
        match make_longer(log) {
            Ok(false) => {}
            Ok(true) => return true,
            Err(e) => return self.put_off(log, &e, now_us),
        }
        let creating = log.creating.lock();
        let (number, bytes) = {
            let Some(ready) = log.ready_behind_current() else { return true };
            if ready.files.len() >= WANTED {
                // All are there. Whatever made it look full is over, unless bytes still wait for space.
                if !log.stuck.load(Ordering::Relaxed) {
                    log.set_full(false);
                }
                return false;
            }
            (ready.next, ready.next_bytes())
        };
        match log.create_locked(number, bytes) {
            Ok(file) => {
                let mut ready = log.ready.lock();
                ready.put(Claimed { number, bytes, used: false, file: Some(file) });
                drop(creating);
                log.behind.store(ready.next_for(Need::Grow), Ordering::Relaxed);
                if ready.files.len() >= WANTED && !log.stuck.load(Ordering::Relaxed) {
                    log.set_full(false);
                }
                ready.files.len() < WANTED
            }
            Err(e) if is_full(&e) && bytes > MIN_SEGMENT => {
                log.ready.lock().limit_bytes = (bytes / 2).max(MIN_SEGMENT);
                true
            }
            Err(e) => self.put_off(log, &e, now_us),
        }
    }

    /// A file could not be made: later, if at all. There is no more to do now.
    fn put_off(&mut self, log: &Log, error: &io::Error, now_us: u64) -> bool {
        self.retry_at_us = now_us + RETRY_US;
        log.note_refusal(error);
        false
    }
}

/// Makes the segment that is being filled as long as a transaction that waits needs it; or the next, when this one would
/// become too long. Whether it did.
fn make_longer(log: &Log) -> io::Result<bool> {
    // Once: who still waits asks again.
    let asked = log.asked.swap(0, Ordering::Relaxed);
    if asked == 0 {
        return Ok(false);
    }
    let bytes = asked + 2 * SLACK;
    let Some(current) = log.appender.lock().needed_for(bytes) else { return Ok(false) };
    if current.to <= log.longest_segment_bytes {
        return make_current_longer(log, &current);
    }
    // Nobody takes the file away meanwhile, but the appender may claim it.
    let _creating = log.creating.lock();
    let Some(next) = log.ready.lock().needed_for(bytes) else { return Ok(false) };
    make_next_longer(log, &next)
}

fn make_current_longer(log: &Log, &Longer { number, from, to }: &Longer) -> io::Result<bool> {
    if from >= to {
        return Ok(false);
    }
    if let Err(e) = fill_more(log, number, from, to) {
        // Unless the segment has grown by itself meanwhile. Under the lock, so that it does not now.
        let appender = log.appender.lock();
        if appender.reaches(number, from) {
            cut_back(log, number, from);
        }
        return Err(e);
    }
    let mut appender = log.appender.lock();
    appender.lengthen(number, to);
    log.room.store(appender.room_on_disk(), Ordering::Relaxed);
    Ok(true)
}

fn make_next_longer(log: &Log, &Longer { number, from, to }: &Longer) -> io::Result<bool> {
    if from >= to {
        return Ok(false);
    }
    let filled = fill_more(log, number, from, to);
    // Unless the appender has claimed it meanwhile: then it is as long as it was, and what lies behind is of no use to anybody.
    let mut ready = log.ready.lock();
    if ready.is_next(number, from) {
        match &filled {
            Ok(()) => ready.files[0].bytes = to,
            Err(_) => cut_back(log, number, from),
        }
        log.behind.store(ready.next_for(Need::Grow), Ordering::Relaxed);
    }
    filled.map(|()| true)
}

/// Makes the file of a segment longer.
fn fill_more(log: &Log, number: u64, from: u64, to: u64) -> io::Result<()> {
    // An open file of its own: the kernel tells an error once to each, and the one of the frames is not this one's to hear.
    let file = log.disk.open(&segment::file_name(&log.store_name, number))?;
    log.fill(&*file, from, to)
}

/// Gives back what was reserved behind this length before there was no more.
fn cut_back(log: &Log, number: u64, bytes: u64) {
    if let Ok(file) = log.disk.open(&segment::file_name(&log.store_name, number)) {
        let _ = file.set_len(bytes);
    }
}

/// Whether an error says that the disk, or the quota on it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Whether an error is over when others have given back what they hold: descriptors, or memory of the kernel.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn segments_are_as_long_as_the_log_and_its_growth_ask_for() {
        let mut pace = Pace::default();
        assert_eq!(wish(pace.segment_bytes(0, 0)), MIB);
        // 100 MiB kept, written long ago.
        pace.note(400 * MIB, 1000 * PACE_US);
        for pause in 1001..1040 {
            pace.note(400 * MIB, pause * PACE_US);
        }
        pace.note(400 * MIB, 2000 * PACE_US);
        assert_eq!(wish(pace.segment_bytes(100 * MIB, 400 * MIB)), 8 * MIB);
        // 100 MiB a second: 30 in the time that a segment should last.
        pace.note(500 * MIB, 2000 * PACE_US + 1_000_000);
        assert_eq!(wish(pace.segment_bytes(100 * MIB, 500 * MIB)), 32 * MIB);
        // Of so little not so much is made ahead.
        assert_eq!(wish(pace.segment_bytes(8 * MIB, 8 * MIB)), 2 * MIB);
        // A burst is forgotten.
        for pause in 3..20 {
            pace.note(500 * MIB, 2000 * PACE_US + pause * 1_000_000);
        }
        assert_eq!(wish(pace.segment_bytes(100 * MIB, 500 * MIB)), 8 * MIB);
    }

    fn made(number: u64) -> Claimed {
        Claimed { number, bytes: MIB, used: false, file: None }
    }

    #[test]
    fn what_is_taken_back_was_to_be_used_last_and_is_made_again() {
        let mut ready = Ready::new(7, 64 * MIB, 0);
        assert_eq!((ready.take_back(), ready.next_number()), (None, 7));
        for number in [7, 8, 9] {
            ready.put(made(number));
        }
        // One that was made for a number that is given already is no use.
        ready.put(made(8));
        assert_eq!((ready.count(), ready.next_number()), (3, 10));
        assert_eq!((ready.take_back(), ready.next_number(), ready.count()), (Some(9), 9, 2));
        assert_eq!([ready.claim(0).number, ready.claim(0).number, ready.claim(0).number], [7, 8, 9]);
        assert_eq!((ready.take_back(), ready.next_number()), (None, 10));
    }

    #[test]
    fn a_lack_of_descriptors_passes_and_a_broken_disk_does_not() {
        let is = |errno: Errno| {
            let error = io::Error::from(errno);
            (is_passing(&error), is_full(&error))
        };
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR] {
            assert_eq!(is(errno), (true, false), "{errno:?}");
        }
        assert_eq!((is(Errno::NOSPC), is(Errno::DQUOT)), ((false, true), (false, true)));
        assert_eq!((is(Errno::IO), is(Errno::ROFS)), ((false, false), (false, false)));
    }
}
