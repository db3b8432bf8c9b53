//! Large lists: a deque of chunks, like Redis's quicklist.
//!
//! * At the ends elements come and go within one chunk, and chunks come and go whole.
//! * A chunk that is no end any more gives back most of its room ([`Chunk::tidy`]).
//! * An insert into a full chunk splits it; where elements are removed, neighbours that fit in three quarters of a
//!   chunk become one.
//! * An index is found by the counts of the chunks, from the nearer end.

use std::collections::VecDeque;
use std::collections::vec_deque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::element::push_element;
use super::super::packed::{ELEMENTS_AT, count, elements, emit_parts};
use super::super::{op, tag};
use super::chunk::{CHUNK, Chunk, Room};
use super::entry::{entry_bytes, first, tail_bytes};
use super::view::ListView;
use super::{End, Runs};
use crate::class::class;

/// From so many chunks on, new ones have their full size at once.
const MANY: usize = 6;
/// Neighbours of so many bytes together are merged: less than a chunk, so that an insert does not split it again.
const MERGED: usize = CHUNK / 4 * 3;
/// Parts of a chunk's bytes that may lie idle: in one that has become whole, and in one that is changed.
const WHOLE: usize = 8;
const CHANGED: usize = 2;

/// Elements from this length on begin a chunk of their own.
static ALONE_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Lets elements of so many bytes and more begin chunks of their own, in all large lists of this process from now on: a
/// test reaches the seams between chunks with short elements. Nothing that anybody can see depends on it.
pub fn set_alone_from(bytes: usize) {
    ALONE_FROM.store(bytes, Ordering::Relaxed);
}

fn stands_alone(element: &[u8]) -> bool {
    element.len() >= ALONE_FROM.load(Ordering::Relaxed)
}

/// A large list.
#[derive(Debug, Default)]
pub struct List {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// Of all chunks.
    entry_bytes: usize,
    tails: usize,
    heap: usize,
}

impl List {
    pub(super) fn from_packed(packed: &[u8]) -> List {
        let mut list = List::default();
        let (mut entries, mut part, mut parts) = (elements(packed), (0, 0), elements(packed));
        // As many entries as fit in a chunk are copied at once.
        while let Some((element, rest)) = first(entries) {
            let taken = parts.len() - rest.len();
            if taken > CHUNK && part.0 > 0 {
                let whole = parts.len() - entries.len();
                list.add(list.chunks.len(), Chunk::of_entries(&parts[..whole], part.0, part.1));
                (parts, part) = (&parts[whole..], (0, 0));
            }
            part = (part.0 + 1, part.1 + tail_bytes(element.len()));
            entries = rest;
        }
        if part.0 > 0 {
            list.add(list.chunks.len(), Chunk::of_entries(parts, part.0, part.1));
        }
        debug_assert_eq!(list.len, count(packed));
        list
    }

    pub(super) fn to_packed(&self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(self.packed_bytes());
        packed.push(tag::LIST_PACKED);
        packed.extend_from_slice(&(self.len as u16).to_le_bytes());
        self.chunks.iter().for_each(|chunk| packed.extend_from_slice(chunk.entries()));
        packed
    }

    /// Bytes that it would have as a packed list.
    pub(super) fn packed_bytes(&self) -> usize {
        ELEMENTS_AT + self.entry_bytes
    }

    #[inline]
    pub(super) fn push(&mut self, element: &[u8], end: End) {
        let at = if end == End::Front { 0 } else { self.chunks.len().wrapping_sub(1) };
        if let Some(chunk) = self.chunks.get_mut(at)
            && !stands_alone(element)
        {
            let (before, tails) = (chunk.heap(), tail_bytes(element.len()));
            let pushed = if end == End::Front { chunk.push_front(element) } else { chunk.push_back(element) };
            if pushed {
                self.heap = self.heap - before + chunk.heap();
                self.len += 1;
                self.entry_bytes += entry_bytes(element.len());
                self.tails += tails;
                return;
            }
        }
        self.push_chunk(element, end);
    }

    fn push_chunk(&mut self, element: &[u8], end: End) {
        let room = match entry_bytes(element.len()) {
            CHUNK.. => Room::No,
            _ if self.chunks.len() < MANY => Room::Small,
            _ => Room::Full,
        };
        match end {
            End::Front => {
                self.change(0, |chunk| chunk.tidy(WHOLE));
                self.add(0, Chunk::begun_at_back(element, room));
            }
            End::Back => {
                let last = self.chunks.len();
                self.change(last.wrapping_sub(1), |chunk| chunk.tidy(WHOLE));
                self.add(last, Chunk::begun_at_front(element, room));
            }
        }
    }

    /// Takes out what there is of `n` elements at an end. How many.
    pub(super) fn pop(&mut self, n: usize, end: End) -> usize {
        let n = n.min(self.len);
        let mut rest = n;
        while rest > 0 {
            let at = if end == End::Front { 0 } else { self.chunks.len() - 1 };
            let count = self.chunks[at].count();
            if count <= rest {
                self.take(at);
                rest -= count;
            } else {
                self.change(at, |chunk| match end {
                    End::Front => chunk.pop_front(rest),
                    End::Back => chunk.pop_back(rest),
                });
                rest = 0;
            }
        }
        self.shrink_directory();
        n
    }

    /// Puts an element in the place of another, whose index is below the length.
    pub(super) fn set(&mut self, index: usize, element: &[u8]) {
        let (at, within) = self.locate(index);
        let chunk = &self.chunks[at];
        let start = chunk.offset(within);
        let Some((old, _)) = first(&chunk.entries()[start..]) else { return };
        let (old, size) = (old.len(), entry_bytes(element.len()));
        let range = start..start + entry_bytes(old);
        if size == range.len() || chunk.takes(size, range.len()) {
            let is_end = self.is_end(at);
            self.change(at, |chunk| {
                chunk.put(range, Some(old), element);
                if is_end { chunk.tidy_long() } else { chunk.tidy(CHANGED) }
            });
        } else if chunk.count() == 1 {
            self.take(at);
            self.add(at, Chunk::begun_at_front(element, Room::No));
        } else {
            self.remove(index, 1);
            self.insert(index, element);
        }
    }

    /// Adds an element before an index, which is at most the length.
    pub(super) fn insert(&mut self, index: usize, element: &[u8]) {
        if index == 0 || index == self.len {
            return self.push(element, if index == 0 { End::Front } else { End::Back });
        }
        let (at, within) = self.locate(index);
        let size = entry_bytes(element.len());
        let is_alone = stands_alone(element);
        if !is_alone && self.chunks[at].takes(size, 0) {
            let place = self.chunks[at].offset(within);
            return self.change(at, |chunk| chunk.put(place..place, None, element));
        }
        let mut next = at;
        if within > 0 {
            let right = self.change(at, |chunk| {
                let right = chunk.split_off(within);
                chunk.tidy(CHANGED);
                right
            });
            next = at + 1;
            self.add(next, right);
        }
        // The element lies between `next - 1` and `next` now, and goes where there is more room.
        let room = |chunk: Option<&Chunk>| chunk.map_or(0, |chunk| CHUNK.saturating_sub(chunk.used()));
        let before = room(next.checked_sub(1).and_then(|before| self.chunks.get(before)));
        let behind = room(self.chunks.get(next));
        if is_alone || before.max(behind) < size {
            self.add(next, Chunk::begun_at_front(element, Room::No));
        } else if before > behind {
            self.change(next - 1, |chunk| chunk.put(chunk.used()..chunk.used(), None, element));
        } else {
            self.change(next, |chunk| chunk.put(0..0, None, element));
        }
    }

    /// Takes out what there is of `n` elements from a start on. How many.
    pub(super) fn remove(&mut self, start: usize, n: usize) -> usize {
        let n = n.min(self.len.saturating_sub(start));
        if n == 0 {
            return 0;
        }
        if start == 0 || start + n == self.len {
            return self.pop(n, if start == 0 { End::Front } else { End::Back });
        }
        let (at, within) = self.locate(start);
        let (mut next, mut rest) = (at, n);
        if within > 0 {
            let removed = rest.min(self.chunks[at].count() - within);
            self.change(at, |chunk| chunk.remove(within, removed));
            (next, rest) = (at + 1, rest - removed);
        }
        let mut end = next;
        while rest > 0 && self.chunks[end].count() <= rest {
            rest -= self.chunks[end].count();
            end += 1;
        }
        self.take_all(next, end);
        if rest > 0 {
            self.change(next, |chunk| chunk.remove(0, rest));
        }
        // Neighbours of what has changed, from the right so that the places to the left stay.
        let first = next.saturating_sub(2);
        for left in (first..=next).rev() {
            self.merge(left);
        }
        for at in first..=next {
            if !self.is_end(at) {
                self.change(at, |chunk| chunk.tidy(CHANGED));
            }
        }
        self.shrink_directory();
        n
    }

    /// Takes out what there is of many runs in one pass over all elements. How many.
    pub(super) fn remove_runs(&mut self, mut runs: Runs<'_>) -> usize {
        let len = self.len;
        let mut index = 0;
        // Chunk by chunk: the old list goes while the new one grows.
        for chunk in std::mem::take(self).chunks {
            let end = index + chunk.count();
            if runs.keeps(index) && runs.starts_behind(end - 1) && chunk.used() > CHUNK / 2 {
                self.change(self.chunks.len().wrapping_sub(1), |chunk| chunk.tidy(WHOLE));
                self.add(self.chunks.len(), chunk);
                index = end;
                continue;
            }
            let mut entries = chunk.entries();
            while let Some((element, rest)) = first(entries) {
                if runs.keeps(index) {
                    self.push(element, End::Back);
                }
                (entries, index) = (rest, index + 1);
            }
        }
        self.shrink_directory();
        len - self.len
    }

    /// The element of an index.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let entries = self.split(index)?.1;
        first(entries).map(|(element, _)| element)
    }

    /// Around an index below the length: the chunks before, the entries from there on in its own, and the chunks
    /// behind.
    pub(super) fn split(
        &self,
        index: usize,
    ) -> Option<(vec_deque::Iter<'_, Chunk>, &[u8], vec_deque::Iter<'_, Chunk>)> {
        if index >= self.len {
            return None;
        }
        let (at, within) = self.locate(index);
        let chunk = &self.chunks[at];
        Some((self.chunks.range(..at), &chunk.entries()[chunk.offset(within)..], self.chunks.range(at + 1..)))
    }

    /// The same, with the entries up to that index and with it.
    pub(super) fn split_behind(&self, index: usize) -> Option<(vec_deque::Iter<'_, Chunk>, &[u8])> {
        if index >= self.len {
            return None;
        }
        let (at, within) = self.locate(index);
        let chunk = &self.chunks[at];
        Some((self.chunks.range(..at), &chunk.entries()[..chunk.offset(within + 1)]))
    }

    pub(in crate::value) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::value) fn image_bytes(&self) -> usize {
        1 + self.entry_bytes - self.tails
    }

    pub(in crate::value) fn memory(&self) -> usize {
        match self.chunks.capacity() {
            0 => 0,
            capacity => self.heap + class(capacity * size_of::<Chunk>()),
        }
    }

    pub(in crate::value) fn image_parts(&self, part_bytes: usize, emit: &mut dyn FnMut(&[u8])) {
        let elements = ListView::Chunks(self).iter_from(0);
        emit_parts((tag::LIST_CHUNKS, op::LIST_PUSH_BACK), part_bytes, elements, push_element, emit);
    }

    /// The chunk of an index below the length, and the index within it.
    fn locate(&self, index: usize) -> (usize, usize) {
        if index <= self.len / 2 {
            let mut rest = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                if rest < chunk.count() {
                    return (at, rest);
                }
                rest -= chunk.count();
            }
        } else {
            let mut rest = self.len - index;
            for (at, chunk) in self.chunks.iter().enumerate().rev() {
                if rest <= chunk.count() {
                    return (at, chunk.count() - rest);
                }
                rest -= chunk.count();
            }
        }
        unreachable!("the index is below the length")
    }

    fn is_end(&self, at: usize) -> bool {
        at == 0 || at + 1 >= self.chunks.len()
    }

    /// Makes one of a chunk and the next, if they are small.
    fn merge(&mut self, left: usize) {
        let both = self.chunks.range(left.min(self.chunks.len())..).take(2);
        let (count, used) = both.fold((0, 0), |(count, used), chunk| (count + 1, used + chunk.used()));
        if count < 2 || used > MERGED {
            return;
        }
        if let Some(right) = self.take(left + 1) {
            self.change(left, |chunk| chunk.append(&right));
        }
    }

    /// Changes a chunk, if it is there, and what is known of all.
    fn change<R: Default>(&mut self, at: usize, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let Some(chunk) = self.chunks.get_mut(at) else { return R::default() };
        let before = (chunk.count(), chunk.used(), chunk.tails(), chunk.heap());
        let result = change(chunk);
        self.len = self.len - before.0 + chunk.count();
        self.entry_bytes = self.entry_bytes - before.1 + chunk.used();
        self.tails = self.tails - before.2 + chunk.tails();
        self.heap = self.heap - before.3 + chunk.heap();
        result
    }

    fn add(&mut self, at: usize, chunk: Chunk) {
        self.len += chunk.count();
        self.entry_bytes += chunk.used();
        self.tails += chunk.tails();
        self.heap += chunk.heap();
        self.chunks.insert(at, chunk);
    }

    fn take(&mut self, at: usize) -> Option<Chunk> {
        let chunk = self.chunks.remove(at)?;
        self.forget(&chunk);
        Some(chunk)
    }

    fn take_all(&mut self, begin: usize, end: usize) {
        let taken: VecDeque<Chunk> = self.chunks.drain(begin..end).collect();
        taken.iter().for_each(|chunk| self.forget(chunk));
    }

    fn forget(&mut self, chunk: &Chunk) {
        self.len -= chunk.count();
        self.entry_bytes -= chunk.used();
        self.tails -= chunk.tails();
        self.heap -= chunk.heap();
    }

    /// Gives back the directory's room when few chunks are left.
    fn shrink_directory(&mut self) {
        if self.chunks.capacity() > 4 * self.chunks.len() + 16 {
            self.chunks.shrink_to(2 * self.chunks.len());
        }
    }

    /// What is known of all, from the chunks.
    #[cfg(test)]
    pub(super) fn recount(&self) {
        let sum = |part: fn(&Chunk) -> usize| self.chunks.iter().map(part).sum::<usize>();
        assert_eq!(self.len, sum(Chunk::count));
        assert_eq!(self.entry_bytes, sum(Chunk::used));
        assert_eq!(self.tails, sum(Chunk::tails));
        assert_eq!(self.heap, sum(Chunk::heap));
        for (at, chunk) in self.chunks.iter().enumerate() {
            assert!(chunk.used() <= CHUNK || chunk.count() == 1);
            assert_eq!(super::entry::check(chunk.entries()), Some(chunk.count()));
            assert!(self.is_end(at) || chunk.heap() <= 64 + 2 * chunk.used(), "{} of {}", chunk.used(), chunk.heap());
        }
    }
}
