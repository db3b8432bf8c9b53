//! Appending: one lock around the position and the copy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::prepare::Claimed;
use super::{Log, Lsn, Need};
use crate::disk::File;
use crate::format::StoreId;
use crate::format::frame::{self, Draft, Kind, Seed};
use crate::format::segment;
use crate::mutant::planted;

/// The frames of one transaction, made before the log's lock is taken.
#[derive(Default)]
pub struct FrameBatch {
    bytes: Vec<u8>,
    frames: Vec<Placed>,
}

#[derive(Clone, Copy)]
struct Placed {
    start: usize,
    body: u32,
    lsn: Lsn,
}

/// Memory a batch keeps between transactions.
const KEPT_BYTES: usize = 64 << 10;

impl FrameBatch {
    /// Adds a frame.
    pub fn push(&mut self, draft: &Draft<'_>) {
        self.frames.push(Placed { start: self.bytes.len(), body: 0, lsn: 0 });
        draft.encode(&mut self.bytes);
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// All frames' bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Where a frame went; known after [`Log::append`].
    pub fn lsn(&self, index: usize) -> Lsn {
        self.frames[index].lsn
    }

    /// The key in a frame.
    pub fn key(&self, index: usize) -> &[u8] {
        frame::key_of(&self.bytes[self.frames[index].start..])
    }

    /// Padded length of a frame.
    pub fn frame_bytes(&self, index: usize) -> usize {
        self.end(index) - self.frames[index].start
    }

    /// Forgets everything, keeping a little memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.frames.clear();
        self.frames.shrink_to(KEPT_BYTES / size_of::<Placed>());
    }

    fn end(&self, index: usize) -> usize {
        self.frames.get(index + 1).map_or(self.bytes.len(), |next| next.start)
    }

    /// Marks the transaction's ends and sums the bodies: all that can be done without the position.
    fn finish(&mut self) {
        let last = self.frames.len() - 1;
        if planted("torn_transaction") {
            self.frames.iter().for_each(|f| frame::set_flags(&mut self.bytes[f.start..], frame::FIRST | frame::LAST));
        }
        frame::set_flags(&mut self.bytes[self.frames[0].start..], frame::FIRST);
        frame::set_flags(&mut self.bytes[self.frames[last].start..], frame::LAST);
        for placed in &mut self.frames {
            placed.body = frame::body_checksum(&self.bytes[placed.start..]);
        }
    }
}

/// The end of the log: the segment being filled and the bytes not yet given to the writer.
pub(super) struct Appender {
    id: StoreId,
    segment: Claimed,
    seed: Seed,
    base: Lsn,
    next: Lsn,
    pending: Vec<Run>,
    spare: Vec<Vec<u8>>,
    /// Whether there are frames since the last mark, so that an idle log is not marked again and again.
    unmarked: bool,
    marked: Lsn,
    begun: Vec<(u64, Lsn)>,
}

/// A segment that is to be made longer.
pub(super) struct Longer {
    pub number: u64,
    pub from: u64,
    pub to: u64,
}

/// Bytes that lie together in one segment.
pub(super) struct Run {
    pub segment: u64,
    pub base: Lsn,
    pub segment_bytes: u64,
    pub file: Option<Arc<dyn File>>,
    /// The file was another segment's before.
    pub used: bool,
    pub start: Lsn,
    pub bytes: Vec<u8>,
}

/// A run does not become longer than this, but of one frame: to copy a longer one into more memory would take milliseconds, for
/// which all who append would wait.
const RUN_BYTES: usize = 1 << 20;
/// Buffers kept for reuse, and the largest that is kept.
const SPARE_BUFFERS: usize = 4;
const SPARE_BYTES: usize = RUN_BYTES + super::write::PAGE;

impl Appender {
    pub(super) fn new(first: Claimed, base: Lsn, id: StoreId) -> Appender {
        let seed = Seed::new(id, first.number);
        let begun = vec![(first.number, base)];
        let mut appender = Appender {
            id,
            segment: first,
            seed,
            base,
            next: base,
            pending: Vec::new(),
            spare: Vec::new(),
            unmarked: false,
            marked: base,
            begun,
        };
        appender.start_run();
        appender
    }

    /// Bytes left in the current segment.
    pub(super) fn room(&self) -> usize {
        (self.segment.bytes - segment::HEADER).saturating_sub(self.next - self.base) as usize
    }

    /// The same for who asks before appending: a segment without a file is no room.
    pub(super) fn room_on_disk(&self) -> u64 {
        self.segment.file.as_ref().map_or(0, |_| self.room() as u64)
    }

    /// Number and length of the current segment when it has no file.
    pub(super) fn without_file(&self) -> Option<(u64, u64)> {
        self.segment.file.is_none().then_some((self.segment.number, self.segment.bytes))
    }

    /// The current segment, if it has a file, and the length that it needs to have room for so many bytes.
    pub(super) fn needed_for(&self, bytes: u64) -> Option<Longer> {
        let to = (segment::HEADER + self.next - self.base + bytes).next_multiple_of(4096);
        let Claimed { number, bytes: from, .. } = self.segment;
        self.segment.file.is_some().then_some(Longer { number, from, to })
    }

    /// Whether nothing of a segment lies, or will, behind this length: only an empty one grows by itself.
    pub(super) fn reaches(&self, number: u64, bytes: u64) -> bool {
        self.segment.number != number || self.segment.bytes == bytes
    }

    /// The file of a segment has been made longer.
    pub(super) fn lengthen(&mut self, number: u64, bytes: u64) {
        if self.segment.number == number {
            self.segment.bytes = self.segment.bytes.max(bytes);
        }
    }

    pub(super) fn set_file(&mut self, number: u64, file: Arc<dyn File>) {
        if self.segment.number == number {
            self.segment.file = Some(file);
        }
    }

    pub(super) fn take_begun(&mut self) -> Vec<(u64, Lsn)> {
        std::mem::take(&mut self.begun)
    }

    fn start_run(&mut self) {
        self.pending.push(Run {
            segment: self.segment.number,
            base: self.base,
            segment_bytes: self.segment.bytes,
            file: self.segment.file.clone(),
            used: self.segment.used,
            start: self.next,
            bytes: self.spare.pop().unwrap_or_default(),
        });
    }

    /// The run that takes so many bytes more.
    fn run_for(&mut self, bytes: usize) -> &mut Run {
        let is_full = |run: &Run| !run.bytes.is_empty() && run.bytes.len() + bytes > RUN_BYTES;
        if self.pending.last().is_some_and(is_full) {
            self.start_run();
        }
        self.pending.last_mut().expect("a run is started with the log and with each segment")
    }

    fn place(&mut self, frame: &mut [u8], body: u32, log: &Log) -> Lsn {
        if self.room() < frame.len() && self.next == self.base && !planted("empty_segment_passed_over") {
            // Nothing in it yet: a segment that is passed over would have no header and seem to be the log's end.
            self.segment.bytes = (frame.len() as u64 + segment::HEADER).next_multiple_of(4096);
            self.pending.iter_mut().for_each(|run| run.segment_bytes = self.segment.bytes);
        } else if self.room() < frame.len() {
            let mut ready = log.ready.lock();
            let claimed = ready.claim(frame.len() as u64 + segment::HEADER);
            log.behind.store(ready.next_for(Need::Grow), Ordering::Relaxed);
            drop(ready);
            self.seed = Seed::new(self.id, claimed.number);
            self.segment = claimed;
            self.base = self.next;
            self.begun.push((self.segment.number, self.base));
            self.start_run();
        }
        let lsn = self.next;
        frame::seal(frame, body, lsn, &self.seed);
        self.run_for(frame.len()).bytes.extend_from_slice(frame);
        self.next += frame.len() as u64;
        lsn
    }

    /// Appends a mark when something below it became durable since the last.
    fn mark(&mut self, durable: Lsn, wall_ms: u64, log: &Log) {
        let mut bytes = Vec::with_capacity(48);
        let draft = Draft {
            kind: Kind::Mark,
            database: 0,
            value_type: 0,
            deadline: None,
            previous: None,
            key: &[],
            value: [&durable.to_le_bytes(), &wall_ms.to_le_bytes()],
        };
        draft.encode(&mut bytes);
        frame::set_flags(&mut bytes, frame::FIRST | frame::LAST);
        let body = frame::body_checksum(&bytes);
        self.place(&mut bytes, body, log);
        self.marked = durable;
        self.unmarked = false;
    }
}

impl Log {
    /// Appends a transaction as one run of frames, in memory, and returns the position behind it. Never fails:
    /// whether there is room was asked before ([`Log::admit`]).
    pub fn append(&self, batch: &mut FrameBatch) -> Lsn {
        assert!(!batch.is_empty(), "a transaction without frames is not appended");
        let _ = crate::failpoint::hit("log.append.before");
        batch.finish();
        let mut appender = self.appender.lock();
        for index in 0..batch.frames.len() {
            let (start, end) = (batch.frames[index].start, batch.end(index));
            let body = batch.frames[index].body;
            batch.frames[index].lsn = appender.place(&mut batch.bytes[start..end], body, self);
        }
        appender.unmarked = true;
        let end = appender.next;
        self.room.store(appender.room_on_disk(), Ordering::Relaxed);
        self.marks.append_to(end);
        drop(appender);
        self.counters.bytes.fetch_add(batch.bytes.len() as u64, Ordering::Relaxed);
        self.counters.frames.fetch_add(batch.frames.len() as u64, Ordering::Relaxed);
        let _ = crate::failpoint::hit("log.append.after");
        end
    }

    /// Takes what is to be written: everything appended so far, and a mark if durability has moved since the last.
    pub(super) fn take_pending(&self, spare: &mut Vec<Vec<u8>>, into: &mut Vec<Run>) -> Lsn {
        let mut appender = self.appender.lock();
        for mut buffer in spare.drain(..) {
            if appender.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
                buffer.clear();
                appender.spare.push(buffer);
            }
        }
        let durable = if planted("mark_past_durable") { self.written() } else { self.durable() };
        if appender.unmarked && durable > appender.marked && !appender.pending.iter().all(|run| run.bytes.is_empty()) {
            appender.mark(durable, self.now_ms(), self);
            appender.unmarked = true;
            self.marks.append_to(appender.next);
        }
        into.append(&mut appender.pending);
        appender.start_run();
        appender.next
    }

    /// Appends a mark if everything is durable and something was appended since the last one.
    pub(super) fn mark_when_idle(&self) -> bool {
        let mut appender = self.appender.lock();
        let durable = self.durable();
        if !appender.unmarked || durable != appender.next {
            return false;
        }
        appender.mark(durable, self.now_ms(), self);
        self.marks.append_to(appender.next);
        true
    }
}
