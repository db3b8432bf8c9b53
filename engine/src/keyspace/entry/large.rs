//! A value kept apart from its entry, in a buffer that replies share.

use std::mem;

use bytes::{Bytes, BytesMut};

use crate::class::class;

/// A value kept apart from its entry.
pub(super) struct Large {
    pub(super) bytes: Bytes,
    /// What the bytes' own allocation has room for, as far as we know.
    capacity: usize,
}

impl Large {
    pub(super) fn new(bytes: Bytes) -> Large {
        Large { capacity: bytes.len(), bytes }
    }

    /// A copy of a value that is about to grow to `needed` bytes.
    pub(super) fn growing(bytes: &[u8], needed: usize) -> Large {
        let buffer = Large::with_room(bytes, needed);
        Large { capacity: buffer.capacity(), bytes: buffer.freeze() }
    }

    /// A copy, with room for `needed` bytes and some more.
    fn with_room(bytes: &[u8], needed: usize) -> BytesMut {
        /// Up to here capacity doubles; beyond, a quarter is added, so that not half of a large value is air.
        const DOUBLING: usize = 1 << 20;
        let spare = if needed < DOUBLING { needed } else { needed / 4 };
        let mut buffer = BytesMut::with_capacity(class(needed + spare));
        buffer.extend_from_slice(bytes);
        buffer
    }

    pub(super) fn set_range(&mut self, offset: usize, bytes: &[u8]) {
        let end = self.bytes.len().max(offset + bytes.len());
        // A reply may still hold the old value: then, or without room, the change is made to a copy.
        let mut buffer = match mem::take(&mut self.bytes).try_into_mut() {
            Ok(buffer) if buffer.capacity() >= end => buffer,
            Ok(buffer) => Large::with_room(&buffer, end),
            Err(shared) => Large::with_room(&shared, end),
        };
        if end > buffer.len() {
            buffer.resize(end, 0);
        }
        buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
        *self = Large { capacity: buffer.capacity(), bytes: buffer.freeze() };
    }

    pub(super) fn footprint(&self) -> usize {
        /// What `Bytes` allocates for its reference count.
        const SHARED: usize = 24;
        class(size_of::<Large>()) + class(SHARED) + class(self.capacity)
    }
}
