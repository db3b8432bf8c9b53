//! Syncing: from the kernel to the disk, one file at a time, several at once.
//!
//! A sync is settled in one moment (what it makes durable) and waits in another, without a lock. What is durable is told in
//! the order in which syncs began: the file of an earlier one holds bytes below the end of a later one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::flusher::SYNC_AFTER_BYTES;
use super::under_way::UnderWay;
use super::{Log, Lsn};
use crate::disk::File;
use crate::failpoint;
use crate::format::segment;
use crate::mutant::planted;

/// What is written and not durable.
#[derive(Default)]
pub(super) struct Unsynced {
    /// Files that no sync has taken up, oldest first; all but the last are filled.
    dirty: VecDeque<Dirty>,
    under_way: UnderWay,
}

struct Dirty {
    segment: u64,
    file: Arc<dyn File>,
    bytes: u64,
    since_us: u64,
    /// Of a filled segment: where the last whole batch in it ends. One that was cut in two does not count yet.
    whole: Option<Lsn>,
}

/// A sync that has begun: what it makes durable is settled, the disk has not been asked yet.
pub(super) struct BegunSync {
    number: u64,
    file: Arc<dyn File>,
    sealed: bool,
}

/// What the flusher decides by.
pub(super) struct Backlog {
    /// Of the oldest byte that no sync has taken up; `u64::MAX` when there is none.
    pub since_us: u64,
    /// Bytes that no sync has taken up.
    pub bytes: u64,
    /// A filled segment is among them.
    pub sealed: bool,
    /// Syncs that have begun and not ended.
    pub under_way: usize,
    /// What is durable when they have ended.
    pub covered: Lsn,
}

impl Unsynced {
    /// Notes that `bytes` were written to a segment; everything below `whole` belonged to earlier batches. Whether the
    /// next sync is due at another time than before.
    pub(super) fn note(
        &mut self,
        segment: u64,
        file: &Arc<dyn File>,
        bytes: u64,
        whole: Lsn,
        now_us: impl FnOnce() -> u64,
    ) -> bool {
        let before = self.bytes();
        let news = match self.dirty.back_mut() {
            Some(last) if last.segment == segment => {
                last.bytes += bytes;
                false
            }
            last => {
                if let Some(filled) = last {
                    filled.whole = Some(whole);
                }
                self.dirty.push_back(Dirty { segment, file: file.clone(), bytes, since_us: now_us(), whole: None });
                true
            }
        };
        news || (before < SYNC_AFTER_BYTES && before + bytes >= SYNC_AFTER_BYTES)
    }

    /// Since when the oldest byte that is not durable has been written; `u64::MAX` when there is none.
    pub(super) fn oldest_us(&self) -> u64 {
        self.under_way.oldest_us().unwrap_or_else(|| self.since_us())
    }

    fn since_us(&self) -> u64 {
        self.dirty.front().map_or(u64::MAX, |first| first.since_us)
    }

    fn bytes(&self) -> u64 {
        self.dirty.iter().map(|dirty| dirty.bytes).sum()
    }
}

impl Log {
    /// Makes everything written so far durable.
    pub(super) fn sync(&self) {
        while let Some(begun) = self.begin_sync() {
            self.finish_sync(begun);
        }
    }

    /// Settles what the next sync makes durable. `None` when there is nothing, or no descriptor to do it with.
    pub(super) fn begin_sync(&self) -> Option<BegunSync> {
        let mut writer = self.writer.lock();
        let unsynced = &mut writer.unsynced;
        let oldest = unsynced.dirty.front()?;
        if self.is_read_only() {
            return None;
        }
        // The kernel tells an error once to each open file. A sync beside another of the same segment needs a file of its
        // own, or one of the two could be told of success.
        let file = match unsynced.under_way.has(oldest.segment) {
            true => self.disk.open(&segment::file_name(&self.store_name, oldest.segment)).ok()?,
            false => oldest.file.clone(),
        };
        let Dirty { segment, since_us, whole, .. } = unsynced.dirty.pop_front()?;
        let target = whole.unwrap_or_else(|| self.written());
        let number = unsynced.under_way.begin(segment, target, since_us);
        Some(BegunSync { number, file, sealed: whole.is_some() })
    }

    /// Waits for the disk, without holding a lock that a writer needs.
    pub(super) fn finish_sync(&self, begun: BegunSync) {
        let started_us = self.clock.monotonic_us();
        let skipped = planted("skip_fsync") || (begun.sealed && planted("sealed_segment_not_synced"));
        if !skipped {
            let mut synced = failpoint::hit("log.sync.before").and_then(|()| begun.file.sync());
            if synced.is_err() && planted("retry_failed_fsync") {
                synced = begun.file.sync();
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
            // One beside this one has failed, and may have been the one that was told of this one's bytes.
            return;
        }
        let unsynced = &mut writer.unsynced;
        unsynced.under_way.end(begun.number, &self.marks);
        self.oldest_unsynced_us.store(unsynced.oldest_us(), Ordering::Relaxed);
    }

    pub(super) fn backlog(&self) -> Backlog {
        let writer = self.writer.lock();
        let unsynced = &writer.unsynced;
        Backlog {
            since_us: unsynced.since_us(),
            bytes: unsynced.bytes(),
            sealed: unsynced.dirty.len() > 1,
            under_way: unsynced.under_way.count(),
            covered: unsynced.under_way.covered().max(self.durable()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;
    use crate::disk::Disk;
    use crate::disk::sim::SimDisk;
    use crate::options::Options;
    use crate::store::Store;
    use crate::txn::Value;

    /// Writes a value to the log; up to where it is written.
    fn write(store: &Store) -> Lsn {
        let key = store.key(b"key");
        let mut transaction = store.begin(0, &[key], 1);
        transaction.set(&key, Value::Copy(b"value"), None);
        transaction.commit();
        store.log().write_out();
        store.log().written()
    }

    #[test]
    fn two_syncs_of_one_segment_share_no_open_file() {
        let options = Options { secrets_from: Some(3), ..Options::default() };
        let clock = Arc::new(SimClock::new(1 << 40));
        let store = Store::open(Arc::new(SimDisk::new(1)), clock, options).unwrap();
        let log = store.log();
        log.sync();
        let before = log.durable();
        let begin = || {
            let written = write(&store);
            (written, log.begin_sync().unwrap())
        };
        let ((first_end, first), (second_end, second)) = (begin(), begin());
        assert!(!Arc::ptr_eq(&first.file, &second.file));
        let backlog = log.backlog();
        assert_eq!((backlog.under_way, backlog.covered), (2, second_end));
        // The one that ends first waits for the other, whose bytes stand before its own.
        log.finish_sync(second);
        assert_eq!(log.durable(), before);
        let own = first.file.clone();
        log.finish_sync(first);
        assert!(first_end < second_end);
        let backlog = log.backlog();
        assert_eq!((log.durable(), backlog.under_way, backlog.covered), (second_end, 0, second_end));
        // Alone, it needs no other file than the one that is written to.
        let (_, alone) = begin();
        assert!(Arc::ptr_eq(&alone.file, &own));
        log.finish_sync(alone);
    }

    #[test]
    fn the_flusher_is_told_of_what_changes_when_the_next_sync_is_due() {
        let disk = SimDisk::new(1);
        let [first, second] = ["a", "b"].map(|name| disk.create(name).unwrap());
        let mut unsynced = Unsynced::default();
        assert_eq!((unsynced.bytes(), unsynced.oldest_us()), (0, u64::MAX));
        // The first bytes begin to age, those behind them are no older.
        assert!(unsynced.note(1, &first, 100, 0, || 7));
        assert!(!unsynced.note(1, &first, 50, 100, || panic!("only the oldest byte's time counts")));
        assert_eq!((unsynced.bytes(), unsynced.since_us(), unsynced.oldest_us()), (150, 7, 7));
        // Very many are synced at once: that is told one time.
        assert!(!unsynced.note(1, &first, SYNC_AFTER_BYTES - 151, 150, || 8));
        assert!(unsynced.note(1, &first, 1, 150, || 8));
        assert!(!unsynced.note(1, &first, 1, 150, || 8));
        // A filled segment is, too.
        assert!(unsynced.note(2, &second, 1, 200, || 9));
        assert_eq!((unsynced.bytes(), unsynced.since_us()), (SYNC_AFTER_BYTES + 2, 7));
        let wholes: Vec<Option<Lsn>> = unsynced.dirty.iter().map(|dirty| dirty.whole).collect();
        assert_eq!(wholes, [Some(200), None]);
    }
}
