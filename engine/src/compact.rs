//! Compaction: first in, first out, copy forward.
//!
//! The oldest segment is read frame by frame; what is still the base of a live key is appended again at the end of the
//! log, under the shard's lock, as any other write. When the copies are durable the manifest drops the segment, and
//! then the file goes; meanwhile the next one is read. The log's order stays the order of versions, so a full replay from
//! the first segment is always right, and a tomb in the oldest segment has nothing left to bury and is simply not copied.
//!
//! Deltas are never copied: their base is older, so it was copied before them, as the whole value.

use std::collections::VecDeque;

use crate::disk;
use crate::error::Error;
use crate::failpoint;
use crate::format::checkpoint;
use crate::format::frame::Kind;
use crate::format::lost::Place;
use crate::format::manifest::Checkpoint;
use crate::format::segment;
use crate::heal::{self, Damaged, Parts};
use crate::log::window::Window;
use crate::log::{Lsn, is_full};
use crate::mutant::planted;
use crate::store::Store;

/// The log may be so long, in sixteenths of what lives in it. Files made ahead and checkpoints come to that: in all it should
/// be twice. Earlier is dearer: at 1.75 nearly a third of what is read has to be copied when all keys are written alike.
const LONG: u64 = 27;
/// From here on it is read faster than at the rate that is set, and from here on as fast as can be.
const LONGER: u64 = 28;
const TOO_LONG: u64 = 29;
/// How much of the number of segments that the log would have if all were full may be there.
const MAX_RATIO: u64 = 2;
/// Segments that are not full: more than this are too many, for every start leaves one.
const MAX_SEGMENTS: u64 = 64;
/// A log longer than so many segments is long enough, whatever the setting: small segments are for small disks.
const SMALL_LOG_SEGMENTS: u64 = 16;
/// Garbage that is left alone even when the disk is full; with segments that are smaller still, one of them.
const PRESSED_SLACK: u64 = 256 << 10;
/// Log read by one step.
const STEP_BYTES: u64 = 256 << 10;

/// So many segments may wait for their copies to be durable while the next is copied from.
const MOST_COPIED: usize = 4;

/// A segment that is being copied from.
struct Copying {
    segment: Box<Window>,
    at: Lsn,
    end: Lsn,
    damage: Parts,
    /// What was done about the damage.
    damaged: Option<Damaged>,
}

/// A segment that has been copied from: it may go when the copies are durable.
struct Copied {
    /// Where the log goes on behind it.
    end: Lsn,
    /// The copies end here.
    until: Lsn,
    damaged: Option<Damaged>,
}

/// Gives back the space of overwritten values: a machine that a thread, or a simulation, steps.
#[derive(Default)]
pub struct Compactor {
    /// The oldest segments, in their order.
    copied: VecDeque<Copied>,
    /// The one behind them.
    copying: Option<Copying>,
    retry_at_us: u64,
    /// It has read so much that it rests until then.
    rests_until_us: u64,
}

/// How soon a failed step is tried again.
const RETRY_US: u64 = 1_000_000;

impl Compactor {
    /// Does a little work if there is some. Whether it did.
    pub fn step(&mut self, store: &Store, now_us: u64) -> bool {
        if now_us < self.retry_at_us || store.log().is_read_only() {
            return false;
        }
        let advanced = match self.drop_copied(store) {
            Ok(false) if now_us >= self.rests_until_us => self.go_on(store, now_us),
            dropped => dropped,
        };
        store.set_compacting(self.copying.is_some() || !self.copied.is_empty());
        // Who waits for room waits while it gets on, and until what was given back was tried to be made a segment, before it is
        // told that there is none. A copy that itself finds no room is no reason to wait.
        let waits_for_disk = !self.copied.is_empty() && advanced.is_ok();
        store.log().set_reclaiming(waits_for_disk || matches!(advanced, Ok(true)));
        advanced.unwrap_or_else(|_| {
            self.retry_at_us = now_us + RETRY_US;
            false
        })
    }

    /// Takes the oldest segment out of the log, if it may go. Whether it did.
    fn drop_copied(&mut self, store: &Store) -> Result<bool, Error> {
        let durable = store.log().durable();
        let may_go = |oldest: &Copied| oldest.until <= durable || planted("compaction_unlinks_early");
        let Some(oldest) = self.copied.front().filter(|oldest| may_go(oldest)) else { return Ok(false) };
        // Before values are read where they have been moved to: that segment must be known.
        store.note_segments();
        failpoint::hit("compact.settle")?;
        store.moved().settle(durable);
        // Tried again if this fails.
        store.drop_oldest_segment(oldest.damaged.is_some())?;
        store.log().note_given_back();
        let dropped = self.copied.pop_front();
        dropped.and_then(|segment| segment.damaged).into_iter().for_each(|damaged| store.note_damaged(damaged));
        Ok(true)
    }

    /// Copies a step far, or begins with the next segment. Whether it got on.
    fn go_on(&mut self, store: &Store, now_us: u64) -> Result<bool, Error> {
        let base = self.copied.back().map_or(store.log_base(), |last| last.end);
        let Some(mut copying) = self.copying.take() else {
            store.note_segments();
            // On a full disk the reserve holds what is live in one segment, and the manifest may need the last of it.
            let most = if store.log().is_full() { 1 } else { MOST_COPIED };
            if self.copied.len() < most && store.wants_compaction(self.copied.len(), base) {
                self.copying = begin(store, self.copied.len())?;
            }
            return Ok(self.copying.is_some());
        };
        let from = copying.at;
        copying.at = copy(store, &mut copying.segment, from, copying.end, &mut copying.damage)?;
        store.log().write_out();
        self.rests_until_us = now_us + rest_us(store, copying.at - from, base);
        let Copying { at, end, .. } = copying;
        if at < end || !heal(store, &mut copying)? {
            self.copying = Some(copying);
        } else {
            let until = store.log().appended();
            store.log().want_sync(until);
            self.copied.push_back(Copied { end, until, damaged: copying.damaged });
        }
        Ok(at > from)
    }
}

/// Sees to it that nothing is missed of what is damaged. Whether it did.
fn heal(store: &Store, Copying { segment, damage, damaged, .. }: &mut Copying) -> Result<bool, Error> {
    if damage.is_empty() {
        return Ok(true);
    }
    Ok(store.heal((segment.number, segment.base), damage, damaged.get_or_insert_default())?)
}

/// How long to rest after so many bytes were read of the log that begins here, so that whoever shares disk and processor is not slowed down. A log that
/// becomes too long, or a disk that is full, is worse than that.
fn rest_us(store: &Store, read: u64, base: Lsn) -> u64 {
    let rate = store.compaction_rate();
    let (log, live) = (store.log().appended() - base, store.live_log_bytes());
    if rate == 0 || store.log().is_full() || log > live / 16 * TOO_LONG {
        return 0;
    }
    let rate = if log > live / 16 * LONGER { rate * 4 } else { rate };
    read * 1_000_000 / rate
}

/// Opens the segment behind so many that have been copied from. `None` when it is not wholly durable.
fn begin(store: &Store, copied: usize) -> Result<Option<Copying>, Error> {
    let (number, base, end) = {
        let segments = store.segments().lock();
        let mut numbers = segments.iter().skip(copied);
        let (Some((&number, &base)), Some((_, &next_base))) = (numbers.next(), numbers.next()) else {
            return Ok(None);
        };
        (number, base, next_base)
    };
    if end > store.log().durable() {
        return Ok(None);
    }
    let (segment, header_holds) = Window::open(store.disk(), &store.options().name, store.id(), number, base)?;
    let mut damage = Parts::new();
    if !header_holds {
        damage.push(base..base);
    }
    Ok(Some(Copying { segment: Box::new(segment), at: base, end, damage, damaged: None }))
}

/// Copies live frames from `from` on, a step far or up to `end`, or until there is no room for the next; where it stopped.
/// Notes the parts that it passes over because they are damaged.
fn copy(store: &Store, segment: &mut Window, from: Lsn, end: Lsn, damage: &mut Parts) -> Result<Lsn, Error> {
    let mut at = from;
    let stop = end.min(from + STEP_BYTES);
    while at < stop {
        let Some(frame) = segment.frame(at)? else {
            let next = segment.next_frame(at, end)?.unwrap_or(end);
            damage.push(at..next);
            at = next;
            continue;
        };
        match frame.kind {
            Kind::Image if frame.deadline.is_some() && planted("compaction_forgets_values") => {}
            Kind::Image | Kind::Blob | Kind::Lost => {
                let key = store.key(frame.key);
                match store.settle_at(frame.database, &key, Some(frame.lsn)) {
                    Err(e) if is_full(&e) => return Ok(at),
                    settled => settled?,
                };
                let mut transaction = store.begin(0, &[key], store.now_ms());
                if !transaction.may_copy_forward(&key, frame.database, frame.lsn) {
                    return Ok(at);
                }
                let copied = match Place::parse(frame.value).filter(|_| frame.kind == Kind::Lost) {
                    Some(Place { segment, offset, .. }) => {
                        transaction.lose(&key, frame.database, frame.lsn, segment, offset)
                    }
                    None => transaction.copy_forward(&key, frame.database, frame.lsn, Some(frame.value)),
                };
                if copied {
                    failpoint::hit("compact.copy")?;
                }
                transaction.commit();
            }
            // The map of databases must stand somewhere in what is left.
            Kind::Swap => store.keep_map(frame.lsn),
            Kind::Delta | Kind::Tomb | Kind::Flush | Kind::Mark => {}
        }
        at += frame.padded as u64;
    }
    Ok(at)
}

impl Store {
    /// Whether more is to be copied of the log, which begins here when the segments that have been copied from are gone.
    fn wants_compaction(&self, copied: usize, base: Lsn) -> bool {
        let segments = self.segments().lock().len() - copied;
        let log = self.log().appended() - base;
        // On a full disk whatever can be given back is.
        let pressed =
            self.log().is_full() && log > self.live_log_bytes() + PRESSED_SLACK.min(self.options().segment_bytes);
        let asked = base < self.compact_until() && log > self.live_log_bytes() + self.live_log_bytes() / 64;
        segments > 1
            && (asked
                || segments as u64 > MAX_SEGMENTS + MAX_RATIO * log / self.options().segment_bytes
                || pressed
                || (log > self.options().compact_from_bytes.min(SMALL_LOG_SEGMENTS * self.options().segment_bytes)
                    && log > self.live_log_bytes() / 16 * LONG))
    }

    /// Notes the segments that the log has begun since the last look.
    pub(crate) fn note_segments(&self) {
        let begun = self.log().take_begun();
        if !begun.is_empty() {
            self.segments().lock().extend(begun);
        }
    }

    /// Takes the oldest segment out of the log, and removes its file if it is not damaged.
    fn drop_oldest_segment(&self, is_damaged: bool) -> Result<(), Error> {
        let (number, next, next_base) = {
            let segments = self.segments().lock();
            let mut numbers = segments.iter();
            let (Some((&number, _)), Some((&next, &base))) = (numbers.next(), numbers.next()) else { return Ok(()) };
            (number, next, base)
        };
        let is_kept = is_damaged && !planted("damaged_segment_removed");
        if is_kept {
            heal::keep(self.disk(), &self.options().name, number)?;
        }
        failpoint::hit("compact.manifest.before")?;
        let mut manifest = self.manifest().lock();
        let mut shorter = manifest.clone();
        shorter.first = next;
        shorter.base = next_base;
        // Never below the base: what was dropped was durable, and so is the rest of a transaction that began there.
        if !planted("manifest_mark_below_base") {
            shorter.durable = shorter.durable.max(self.log().durable());
        }
        shorter.cuts.retain(|cut| cut.segment >= next);
        // What the log does not reach back to is of no use; should its file stay behind, the next start removes it.
        let superfluous = |of: &Checkpoint| of.start < next_base && !planted("checkpoint_outlives_log");
        let outlived: Vec<Checkpoint> = shorter.checkpoints.extract_if(.., |of| superfluous(of)).collect();
        let replace = || disk::replace(self.disk(), &self.options().name, &shorter.encode());
        match replace() {
            // At once, before somebody takes the room.
            Err(e) if is_full(&e) && self.log().give_back_one() => replace()?,
            replaced => replaced?,
        }
        *manifest = shorter;
        drop(manifest);
        self.set_log_base(next_base);
        failpoint::hit("compact.manifest.after")?;
        self.segments().lock().remove(&number);
        failpoint::hit("compact.close")?;
        let is_read = !self.segment_files().close_oldest(number);
        for of in outlived {
            let _ = self.disk().remove(&checkpoint::file_name(&self.options().name, of.number));
        }
        if is_kept {
            return Ok(());
        }
        failpoint::hit("compact.unlink")?;
        // No manifest names it any more: if this fails, the next start removes it.
        if is_read || !self.log().recycle(number) {
            let _ = self.disk().remove(&segment::file_name(&self.options().name, number));
        }
        Ok(())
    }
}
