//! What is read of a list.

use std::collections::vec_deque;

use super::super::Object;
use super::super::packed::count;
use super::chunk::Chunk;
use super::entry::{first, last};
use super::large::List;
use super::packed::{entries, range};

/// A list to be read.
#[derive(Clone, Copy, Debug)]
pub enum ListView<'a> {
    /// The packed bytes of one.
    Packed(&'a [u8]),
    /// A large one.
    Chunks(&'a List),
}

impl<'a> ListView<'a> {
    /// The view of a slot that holds a list.
    #[must_use]
    pub fn new(packed: &'a [u8], object: Option<&'a Object>) -> ListView<'a> {
        match object {
            Some(Object::List(list)) => ListView::Chunks(list),
            _ => ListView::Packed(packed),
        }
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            ListView::Packed(packed) => count(packed),
            ListView::Chunks(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element of an index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        match *self {
            ListView::Packed(packed) => {
                let range = range(packed, index, 1)?;
                first(packed.get(range)?).map(|(element, _)| element)
            }
            ListView::Chunks(list) => list.get(index),
        }
    }

    /// Elements from an index upwards.
    #[must_use]
    pub fn iter_from(&self, index: usize) -> ListIter<'a> {
        match *self {
            ListView::Packed(packed) => {
                let rest = range(packed, index, 0).and_then(|range| packed.get(range.start..));
                ListIter { entries: rest.unwrap_or_default(), chunks: vec_deque::Iter::default() }
            }
            ListView::Chunks(list) => {
                let (_, entries, chunks) = list.split(index).unwrap_or_default();
                ListIter { entries, chunks }
            }
        }
    }

    /// Elements from an index downwards; from the last when there is no such index.
    #[must_use]
    pub fn iter_back_from(&self, index: usize) -> ListIterBack<'a> {
        let index = index.min(self.len().saturating_sub(1));
        match *self {
            ListView::Packed(packed) => {
                let behind =
                    range(packed, index, 1).map_or(0, |range| range.end - (packed.len() - entries(packed).len()));
                ListIterBack { entries: &entries(packed)[..behind], chunks: vec_deque::Iter::default() }
            }
            ListView::Chunks(list) => {
                let (chunks, entries) = list.split_behind(index).unwrap_or_default();
                ListIterBack { entries, chunks }
            }
        }
    }

    /// As OBJECT ENCODING gives it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            ListView::Packed(_) => "listpack",
            ListView::Chunks(_) => "quicklist",
        }
    }
}

/// Elements upwards.
#[derive(Clone, Debug)]
pub struct ListIter<'a> {
    entries: &'a [u8],
    chunks: vec_deque::Iter<'a, Chunk>,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.entries.is_empty() {
            self.entries = self.chunks.next()?.entries();
        }
        let (element, rest) = first(self.entries)?;
        self.entries = rest;
        Some(element)
    }
}

/// Elements downwards.
#[derive(Clone, Debug)]
pub struct ListIterBack<'a> {
    entries: &'a [u8],
    chunks: vec_deque::Iter<'a, Chunk>,
}

impl<'a> Iterator for ListIterBack<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.entries.is_empty() {
            self.entries = self.chunks.next_back()?.entries();
        }
        let (element, rest) = last(self.entries)?;
        self.entries = rest;
        Some(element)
    }
}
