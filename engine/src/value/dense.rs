//! The hash table of large hashes, sets and sorted sets: elements in a row, and an index from hash to number.
//!
//! ```text
//!   hash ─► bucket of the index ─► number ─► row of thin pointers ─► flags, lengths, deadline?, key, value
//! ```
//!
//! Elements are numbered from 0 in the order in which they came. When one is taken out, the last takes its number. So
//! the order follows from the operations alone, a random element is a random number, and nothing is ever rehashed or
//! moved at once: the row grows by chunks, the index by one bucket.
//!
//! # Scanning
//!
//! A cursor `c` says that the elements numbered below `c` are still to come; 0 at the beginning stands for all, at the
//! end for none. [`Dense::scan`] goes downwards and returns each element that is present from beginning to end at
//! least once. Proof: let the element have number `e`. As long as it has not been visited, `e < c`: that is so in the
//! beginning, when `c` is the length. A new element comes behind the last and moves none. A removal moves only the
//! last, and to a smaller number, so `e` does not grow. A visit of the numbers from `c - n` to `c - 1` visits the
//! element or leaves `e < c - n`, the next cursor. At the end `c = 0 ≤ e`, so it has been visited. ∎
//!
//! Not here: what keys and values mean.

mod chunks;
mod index;
mod thin;

use std::sync::LazyLock;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use self::chunks::Chunks;
use self::index::Index;
pub(super) use self::thin::Element;
use crate::prefetch::prefetch;

/// See [`crate::random::process_secret`].
static SECRETS: LazyLock<RapidSecrets> = LazyLock::new(|| RapidSecrets::seed(crate::random::process_secret()));

/// Keys whose memory is fetched together at most.
const PREFETCHED: usize = 16;

/// Elements by key, in a row.
#[derive(Debug, Default)]
pub(super) struct Dense {
    elements: Chunks<Element>,
    index: Index,
    element_memory: usize,
}

/// The hash of a key, for those who look it up and insert it.
#[inline]
pub(super) fn hash(key: &[u8]) -> u64 {
    rapidhash_v3_seeded(key, &SECRETS)
}

impl Dense {
    /// Elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Bytes on the heap. Known at any time.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.elements.memory() + self.index.memory() + self.element_memory
    }

    /// The number of the element with this key.
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<u32> {
        self.find(hash(key), key)
    }

    /// The same when the hash is known.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let mark = hash as u16;
        self.index.find(hash, |number| {
            let element = self.element(number);
            element.mark() == mark && element.key() == key
        })
    }

    /// Brings the memory that looks for these keys will need towards the processor: all buckets, then their rows, then the
    /// elements. Those of so many keys as it makes sense to fetch at once.
    pub(super) fn prefetch<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut hashes = [0; PREFETCHED];
        let mut count = 0;
        for (slot, key) in hashes.iter_mut().zip(keys) {
            *slot = hash(key);
            self.index.prefetch(*slot);
            count += 1;
        }
        for number in hashes[..count].iter().flat_map(|&hash| self.index.candidates(hash)) {
            prefetch(&raw const self.elements[number as usize]);
        }
        for &hash in &hashes[..count] {
            let elements = self.index.candidates(hash).map(|number| self.element(number));
            elements.filter(|element| element.mark() == hash as u16).for_each(Element::prefetch);
        }
    }

    /// The element with a number below the length.
    #[inline]
    pub(super) fn element(&self, number: u32) -> &Element {
        &self.elements[number as usize]
    }

    /// The element with a number, if there is one.
    #[inline]
    pub(super) fn at(&self, number: usize) -> Option<&Element> {
        (number < self.len()).then(|| &self.elements[number])
    }

    /// Adds an element whose key must not be there. Its number.
    #[cfg(test)]
    pub(super) fn insert(&mut self, key: &[u8], value: &[u8]) -> u32 {
        self.insert_hashed(hash(key), key, value, None)
    }

    /// Adds an element whose key must not be there, of that hash, and with a deadline. Its number.
    pub(super) fn insert_hashed(&mut self, hash: u64, key: &[u8], value: &[u8], deadline: Option<u64>) -> u32 {
        debug_assert!(self.find(hash, key).is_none(), "the key is in the table");
        let number = u32::try_from(self.len()).expect("fewer than 2^32 elements in one value");
        let element = Element::new(hash as u16, key, value, deadline);
        self.element_memory += element.footprint();
        self.elements.push(element);
        let (index, elements) = (&mut self.index, &self.elements);
        index.insert(hash, number, |wide, number| place_hash(elements, wide, number));
        number
    }

    /// Gives an element another value.
    pub(super) fn set_value(&mut self, number: u32, value: &[u8]) {
        self.change(number, |element| element.set_value(value));
    }

    /// Sets or takes away the deadline of an element.
    pub(super) fn set_deadline(&mut self, number: u32, deadline: Option<u64>) {
        self.change(number, |element| element.set_deadline(deadline));
    }

    /// Takes an element out. The last one has its number then; what number that was before, if it was another.
    pub(super) fn swap_remove(&mut self, number: u32) -> Option<u32> {
        let last = u32::try_from(self.len() - 1).expect("no number is above u32");
        let wide = self.index.is_wide();
        self.index.remove(place_hash(&self.elements, wide, number), number);
        if number != last {
            self.index.renumber(place_hash(&self.elements, wide, last), last, number);
        }
        let mut removed = self.elements.pop().expect("an element with a number below the length");
        if number != last {
            std::mem::swap(&mut removed, &mut self.elements[number as usize]);
        }
        self.element_memory -= removed.footprint();
        let elements = &self.elements;
        self.index.shrink(|wide, number| place_hash(elements, wide, number));
        (number != last).then_some(last)
    }

    /// All elements by number.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Element> + ExactSizeIterator {
        (0..self.len()).map(|number| &self.elements[number])
    }

    /// Visits `count` elements, one at least. The next cursor, or 0 at the end; begin with 0.
    pub(super) fn scan<'a>(&'a self, cursor: u64, count: usize, mut visit: impl FnMut(&'a Element)) -> u64 {
        let end = match usize::try_from(cursor) {
            Ok(0) | Err(_) => self.len(),
            Ok(end) => end.min(self.len()),
        };
        let start = end.saturating_sub(count.max(1));
        (start..end).rev().for_each(|number| visit(&self.elements[number]));
        start as u64
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Element)) {
        let element = &mut self.elements[number as usize];
        let before = element.footprint();
        change(element);
        self.element_memory = self.element_memory - before + element.footprint();
    }
}

/// As much of an element's hash as says which bucket it is in: its mark, or, in a wide index, all.
fn place_hash(elements: &Chunks<Element>, wide: bool, number: u32) -> u64 {
    let element = &elements[number as usize];
    if wide { hash(element.key()) } else { u64::from(element.mark()) }
}

#[cfg(test)]
mod tests;
