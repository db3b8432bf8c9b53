//! Compaction: first in, first out, copy forward.
//!
//! The oldest segment is read frame by frame; what is still the base of a live key is appended again at the end of the
//! log, under the shard's lock, as any other write. When the copies are durable the manifest drops the segment, and
//! then the file goes. The log's order stays the order of versions, so a full replay from the first segment is always
//! right, and a tomb in the oldest segment has nothing left to bury and is simply not copied.
//!
//! Deltas are never copied: their base is older, so it was copied before them, as the whole value.

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

/// The log may be so long, in eighths of what lives in it. Files made ahead and checkpoints come to that: in all it should be twice.
const LONG: u64 = 12;
/// From here on it is read faster than at the rate that is set, and from here on as fast as can be.
const LONGER: u64 = 13;
const TOO_LONG: u64 = 14;
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

/// What a compactor is doing.
enum State {
    Idle,
    /// Copying from the oldest segment.
    Copying {
        segment: Box<Window>,
        at: Lsn,
        end: Lsn,
        damage: Parts,
    },
    /// The copies must be durable up to here before the segment may go.
    Waiting {
        until: Lsn,
    },
    /// The manifest or the directory could not be written; tried again later.
    Dropping,
}

/// Gives back the space of overwritten values: a machine that a thread, or a simulation, steps.
pub struct Compactor {
    state: State,
    /// What was found to be wrong with the segment that is being copied from.
    damaged: Option<Damaged>,
    retry_at_us: u64,
    /// It has read so much that it rests until then.
    rests_until_us: u64,
}

/// How soon a failed step is tried again.
const RETRY_US: u64 = 1_000_000;

impl Default for Compactor {
    fn default() -> Self {
        Compactor { state: State::Idle, damaged: None, retry_at_us: 0, rests_until_us: 0 }
    }
}

impl Compactor {
    /// Does a little work if there is some. Whether it did.
    pub fn step(&mut self, store: &Store, now_us: u64) -> bool {
        if now_us < self.retry_at_us || now_us < self.rests_until_us || store.log().is_read_only() {
            return false;
        }
        let read_before = self.position();
        let advanced = self.advance(store);
        self.rests_until_us = now_us + rest_us(store, self.position().saturating_sub(read_before));
        let working = !matches!(self.state, State::Idle);
        store.set_compacting(working);
        // Who waits for room waits while it gets on, and a step longer: what was given back must be made a segment before
        // anyone is told that there is no room. A copy that itself finds no room is no reason to wait.
        let waits_for_disk = matches!(self.state, State::Waiting { .. }) && advanced.is_ok();
        store.log().set_reclaiming(waits_for_disk || matches!(advanced, Ok(true)));
        match advanced {
            Ok(busy) => busy,
            Err(_) => {
                self.retry_at_us = now_us + RETRY_US;
                false
            }
        }
    }

    /// How far it has read in a segment; 0 when it does something else.
    fn position(&self) -> Lsn {
        match &self.state {
            State::Copying { at, .. } => *at,
            _ => 0,
        }
    }

    /// Sees to it that nothing is missed of what is damaged. Whether it did.
    fn heal(&mut self, store: &Store, segment: &Window, damage: &Parts) -> Result<bool, Error> {
        if damage.is_empty() {
            self.damaged = None;
            return Ok(true);
        }
        let damaged = self.damaged.get_or_insert_default();
        Ok(store.heal((segment.number, segment.base), damage, damaged)?)
    }

    fn advance(&mut self, store: &Store) -> Result<bool, Error> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {
                store.note_segments();
                if !store.wants_compaction() {
                    return Ok(false);
                }
                self.state = begin(store)?;
                Ok(!matches!(self.state, State::Idle))
            }
            State::Copying { mut segment, at, end, mut damage } => {
                let from = at;
                let at = copy(store, &mut segment, from, end, &mut damage)?;
                store.log().write_out();
                let is_done = at == end && self.heal(store, &segment, &damage)?;
                self.state = if !is_done {
                    State::Copying { segment, at, end, damage }
                } else {
                    let until = store.log().appended();
                    store.log().want_sync(until);
                    State::Waiting { until }
                };
                Ok(at > from)
            }
            State::Waiting { until } if store.log().durable() < until && !planted("compaction_unlinks_early") => {
                self.state = State::Waiting { until };
                Ok(false)
            }
            State::Waiting { .. } | State::Dropping => {
                self.state = State::Dropping;
                let durable = store.log().durable();
                // Before values are read where they have been moved to: that segment must be known.
                store.note_segments();
                failpoint::hit("compact.settle")?;
                store.moved().settle(durable);
                store.drop_oldest_segment(self.damaged.is_some())?;
                self.damaged.take().into_iter().for_each(|damaged| store.note_damaged(damaged));
                self.state = State::Idle;
                Ok(true)
            }
        }
    }
}

/// How long to rest after so many bytes were read, so that whoever shares disk and processor is not slowed down. A log that
/// becomes too long, or a disk that is full, is worse than that.
fn rest_us(store: &Store, read: u64) -> u64 {
    let rate = store.compaction_rate();
    let (log, live) = (store.log_bytes(), store.live_log_bytes());
    // A step from one segment to the next is no distance.
    if rate == 0 || read > STEP_BYTES * 4 || store.log().is_full() || log > live / 8 * TOO_LONG {
        return 0;
    }
    let rate = if log > live / 8 * LONGER { rate * 4 } else { rate };
    read * 1_000_000 / rate
}

fn begin(store: &Store) -> Result<State, Error> {
    let (number, base, end) = {
        let segments = store.segments().lock();
        let mut numbers = segments.iter();
        let (Some((&number, &base)), Some((_, &next_base))) = (numbers.next(), numbers.next()) else {
            return Ok(State::Idle);
        };
        (number, base, next_base)
    };
    if end > store.log().durable() {
        return Ok(State::Idle);
    }
    let (segment, header_holds) = Window::open(store.disk(), &store.options().name, store.id(), number, base)?;
    let mut damage = Parts::new();
    if !header_holds {
        damage.push(base..base);
    }
    Ok(State::Copying { segment: Box::new(segment), at: base, end, damage })
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
            Kind::Swap => store.log_map(),
            Kind::Delta | Kind::Tomb | Kind::Flush | Kind::Mark => {}
        }
        at += frame.padded as u64;
    }
    Ok(at)
}

impl Store {
    fn wants_compaction(&self) -> bool {
        let segments = self.segments().lock().len();
        let log = self.log_bytes();
        // On a full disk whatever can be given back is.
        let pressed =
            self.log().is_full() && log > self.live_log_bytes() + PRESSED_SLACK.min(self.options().segment_bytes);
        let asked = self.log_base() < self.compact_until() && log > self.live_log_bytes() + self.live_log_bytes() / 64;
        segments > 1
            && (asked
                || segments as u64 > MAX_SEGMENTS + MAX_RATIO * log / self.options().segment_bytes
                || pressed
                || (log > self.options().compact_from_bytes.min(SMALL_LOG_SEGMENTS * self.options().segment_bytes)
                    && log > self.live_log_bytes() / 8 * LONG))
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
