//! A row that grows without ever being moved as a whole.
//!
//! The first chunk doubles up to one page, so that short rows are small; the others are one page from the start.

use std::ops::{Index, IndexMut};

use crate::class::class;

const CHUNK_BYTES: usize = 4096;
/// Items that the first chunk has room for when it comes.
const FIRST: usize = 4;

#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Chunks<T> {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// Items in a full chunk: a power of two.
    const CHUNK: usize = 1 << (CHUNK_BYTES / size_of::<T>()).ilog2();

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        let Some(first) = self.chunks.first() else { return 0 };
        let others = self.chunks.len() - 1;
        class(self.chunks.capacity() * size_of::<Vec<T>>())
            + class(first.capacity() * size_of::<T>())
            + others * class(Self::CHUNK * size_of::<T>())
    }

    pub(super) fn push(&mut self, item: T) {
        if self.len == self.chunks.len() * Self::CHUNK {
            let room = if self.chunks.is_empty() { FIRST } else { Self::CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunk = self.chunks.last_mut().expect("there is room, so there is a chunk");
        if chunk.len() == chunk.capacity() {
            // Only the first chunk is ever short: twice as much, and never more than a chunk.
            chunk.reserve_exact(chunk.len());
        }
        chunk.push(item);
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let chunk = self.chunks.last_mut()?;
        let item = chunk.pop()?;
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.pop();
            if self.chunks.len() * 4 < self.chunks.capacity() {
                self.chunks.shrink_to(self.chunks.len() * 2);
            }
        }
        Some(item)
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.chunks[index / Self::CHUNK][index % Self::CHUNK]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / Self::CHUNK][index % Self::CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_up_and_down_and_gives_its_memory_back() {
        let mut row = Chunks::default();
        for n in 0..3000_u64 {
            row.push(n);
            assert!(row.memory() <= 128 + 2 * 8 * row.len().next_power_of_two() + CHUNK_BYTES);
        }
        assert!((0..3000).all(|n| row[n] == n as u64));
        row[2999] = 7;
        assert_eq!(row.pop(), Some(7));
        assert!((0..2999).rev().all(|n| row.pop() == Some(n)));
        assert_eq!((row.pop(), row.len(), row.memory()), (None, 0, 0));
    }
}
