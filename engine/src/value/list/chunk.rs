//! A part of a large list: entries in one buffer, with room before and behind.
//!
//! ```text
//!   ┌──────┬─────────────┬──────────┐
//!   │ room │ entries …   │ capacity │
//!   └──────┴─────────────┴──────────┘
//!        start         length
//! ```
//!
//! Taking entries off the front only moves the start. A chunk has at most [`CHUNK`] bytes, or one element.

use std::ops::Range;

use super::entry::{entry_bytes, first, last, offset, tail_bytes, write_entry};
use crate::class::class;

/// Bytes of entries and the room before them.
pub(super) const CHUNK: usize = 8 * 1024;
/// The buffer of the first chunks, which grows.
const SMALL: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    start: u16,
    count: u16,
    /// Bytes of the lengths behind the elements: what images do without.
    tails: u16,
}

const _: () = assert!(size_of::<Chunk>() == 32 && CHUNK <= u16::MAX as usize);

impl Chunk {
    /// One element, with room for others behind it when `room` asks for it.
    pub(super) fn begun_at_front(element: &[u8], room: Room) -> Chunk {
        let size = entry_bytes(element.len());
        let mut chunk = Chunk { bytes: Vec::with_capacity(room.bytes(size)), ..Chunk::default() };
        chunk.bytes.resize(size, 0);
        write_entry(&mut chunk.bytes, element);
        chunk.counted(1, tail_bytes(element.len()));
        chunk
    }

    /// One element, with room for others before it.
    pub(super) fn begun_at_back(element: &[u8], room: Room) -> Chunk {
        let size = entry_bytes(element.len());
        let capacity = room.bytes(size);
        let mut chunk = Chunk { bytes: vec![0; capacity], start: (capacity - size) as u16, ..Chunk::default() };
        write_entry(&mut chunk.bytes[capacity - size..], element);
        chunk.counted(1, tail_bytes(element.len()));
        chunk
    }

    /// Entries that are written already.
    pub(super) fn of_entries(entries: &[u8], count: usize, tails: usize) -> Chunk {
        Chunk { bytes: entries.to_vec(), start: 0, count: count as u16, tails: tails as u16 }
    }

    #[inline]
    pub(super) fn entries(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes of entries.
    #[inline]
    pub(super) fn used(&self) -> usize {
        self.bytes.len() - usize::from(self.start)
    }

    pub(super) fn tails(&self) -> usize {
        usize::from(self.tails)
    }

    /// Bytes of heap.
    #[inline]
    pub(super) fn heap(&self) -> usize {
        class(self.bytes.capacity())
    }

    /// Where the entry of an index begins in the entries.
    #[inline]
    pub(super) fn offset(&self, index: usize) -> usize {
        offset(self.entries(), self.count(), index)
    }

    /// Adds an element behind the last, if there is room.
    #[inline]
    pub(super) fn push_back(&mut self, element: &[u8]) -> bool {
        let (len, size) = (self.bytes.len(), entry_bytes(element.len()));
        if len + size > CHUNK {
            return false;
        }
        self.reserve(len + size);
        self.bytes.resize(len + size, 0);
        write_entry(&mut self.bytes[len..], element);
        self.counted(1, tail_bytes(element.len()));
        true
    }

    /// Adds an element before the first, if there is room.
    #[inline]
    pub(super) fn push_front(&mut self, element: &[u8]) -> bool {
        let size = entry_bytes(element.len());
        if usize::from(self.start) < size && !self.make_room_before(size) {
            return false;
        }
        self.start -= size as u16;
        let start = usize::from(self.start);
        write_entry(&mut self.bytes[start..start + size], element);
        self.counted(1, tail_bytes(element.len()));
        true
    }

    /// Moves the entries to the end of the buffer, or of a larger one, when what that gains pays for many elements.
    fn make_room_before(&mut self, size: usize) -> bool {
        let used = self.used();
        if used + size > CHUNK {
            return false;
        }
        let capacity = class((used + size).max(2 * used)).clamp(SMALL, CHUNK).max(self.bytes.capacity()).min(CHUNK);
        if capacity - used < size + capacity / 4 && used > SMALL {
            return false;
        }
        let mut bytes = vec![0; capacity];
        bytes[capacity - used..].copy_from_slice(self.entries());
        (self.bytes, self.start) = (bytes, (capacity - used) as u16);
        true
    }

    /// Takes `n` entries off the front; more are there.
    pub(super) fn pop_front(&mut self, n: usize) {
        self.remove(0, n);
    }

    /// Takes `n` entries off the back; more are there.
    pub(super) fn pop_back(&mut self, n: usize) {
        self.remove(self.count() - n, n);
    }

    /// Takes out `n` entries from an index on; more are there. How many bytes they had.
    pub(super) fn remove(&mut self, index: usize, n: usize) -> usize {
        let (range, tails) = if index > 0 && index + n == self.count() {
            let (mut rest, mut tails) = (self.entries(), 0);
            for _ in 0..n {
                let Some((element, before)) = last(rest) else { break };
                tails += tail_bytes(element.len());
                rest = before;
            }
            (rest.len()..self.used(), tails)
        } else {
            let begin = self.offset(index);
            let (mut rest, mut tails) = (&self.entries()[begin..], 0);
            for _ in 0..n {
                let Some((element, behind)) = first(rest) else { break };
                tails += tail_bytes(element.len());
                rest = behind;
            }
            (begin..self.used() - rest.len(), tails)
        };
        let removed = range.len();
        let (start, used) = (usize::from(self.start), self.used());
        if range.end == used {
            self.bytes.truncate(start + range.start);
        } else if range.start < used - range.end {
            // What lies before is less.
            self.bytes.copy_within(start..start + range.start, start + removed);
            self.start += removed as u16;
        } else {
            self.bytes.drain(start + range.start..start + range.end);
        }
        self.count -= n as u16;
        self.tails -= tails as u16;
        removed
    }

    /// Whether an entry of this size fits in the place of `removed` bytes.
    pub(super) fn takes(&self, size: usize, removed: usize) -> bool {
        self.used() - removed + size <= CHUNK
    }

    /// Puts an element in a place that it fits in; the element that lay there, if any, goes.
    pub(super) fn put(&mut self, range: Range<usize>, old: Option<usize>, element: &[u8]) {
        let size = entry_bytes(element.len());
        let (mut start, removed) = (usize::from(self.start), range.len());
        if removed == 0 && start >= size && range.start < self.used() / 2 {
            self.bytes.copy_within(start..start + range.start, start - size);
            self.start -= size as u16;
            start -= size;
        } else if removed != size {
            // The room before is used up before more is taken.
            if self.bytes.len() - removed + size > self.bytes.capacity() {
                self.bytes.drain(..start);
                (self.start, start) = (0, 0);
            }
            let len = self.bytes.len();
            let new_len = len - removed + size;
            self.reserve(new_len);
            self.bytes.resize(len.max(new_len), 0);
            self.bytes.copy_within(start + range.end..len, start + range.start + size);
            self.bytes.truncate(new_len);
        }
        write_entry(&mut self.bytes[start + range.start..][..size], element);
        if let Some(length) = old {
            self.count -= 1;
            self.tails -= tail_bytes(length) as u16;
        }
        self.counted(1, tail_bytes(element.len()));
    }

    /// Another chunk with the entries from an index on.
    pub(super) fn split_off(&mut self, index: usize) -> Chunk {
        let at = self.offset(index);
        let (mut rest, mut tails) = (&self.entries()[at..], 0);
        while let Some((element, behind)) = first(rest) {
            tails += tail_bytes(element.len());
            rest = behind;
        }
        let right = Chunk::of_entries(&self.entries()[at..], self.count() - index, tails);
        self.bytes.truncate(usize::from(self.start) + at);
        self.count -= right.count;
        self.tails -= right.tails;
        right
    }

    /// Adds the entries of another chunk, for which there is room in a chunk.
    pub(super) fn append(&mut self, other: &Chunk) {
        if self.bytes.len() + other.used() > CHUNK {
            self.bytes.drain(..usize::from(self.start));
            self.start = 0;
        }
        self.reserve(self.bytes.len() + other.used());
        self.bytes.extend_from_slice(other.entries());
        self.counted(other.count, other.tails());
    }

    /// Gives back the room when it is more than a part of what is used.
    pub(super) fn tidy(&mut self, part: usize) {
        let used = self.used();
        if self.heap() > class(used) + used / part {
            self.bytes = self.entries().to_vec();
            self.start = 0;
        }
    }

    /// Gives back a buffer that one long element has left.
    pub(super) fn tidy_long(&mut self) {
        if self.bytes.capacity() > CHUNK {
            self.tidy(2);
        }
    }

    /// A buffer for so many bytes. It grows by half, so that at most a third lies idle.
    #[inline]
    fn reserve(&mut self, len: usize) {
        let capacity = self.bytes.capacity();
        if len > capacity {
            let more = class(len.max(capacity + capacity / 2)).min(CHUNK.max(len));
            self.bytes.reserve_exact(more - self.bytes.len());
        }
    }

    #[inline]
    fn counted(&mut self, count: u16, tails: usize) {
        self.count += count;
        self.tails += tails as u16;
    }
}

/// How much room a new chunk at an end has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Room {
    /// None.
    No,
    /// A little, for lists of few chunks.
    Small,
    /// All.
    Full,
}

impl Room {
    fn bytes(self, size: usize) -> usize {
        match self {
            Room::No => size,
            Room::Small => size.max(SMALL),
            Room::Full => size.max(CHUNK),
        }
    }
}
