//! The bytes of an entry: the one place that reads and writes them.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::slice;

use super::large::Large;
use super::layout::{BASE, COLD, DEADLINE, LARGE, LENGTHS_AT, Shape, TYPE, U56, WIDE, base_at, deadline_at, large_at};
use super::stored::{Outside, Stored};
use super::{ADDRESS, Entry, MARK_SHIFT};
use crate::class::class;
use crate::value::{Object, STRING};

/// The layout, byte by byte. Every offset follows from the flags in the entry's own header, or is about to.
impl Entry {
    #[inline]
    pub(super) fn start(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS)
    }

    #[inline]
    pub(super) fn flags(&self) -> u8 {
        let [flags] = self.get(0);
        flags
    }

    #[inline]
    pub(super) fn shape(&self) -> Shape {
        let flags = self.flags();
        let (key, value_at) = match flags & WIDE {
            0 => (usize::from(u8::from_le_bytes(self.get(LENGTHS_AT))), LENGTHS_AT + 1),
            _ => (u32::from_le_bytes(self.get(LENGTHS_AT)) as usize, LENGTHS_AT + 4),
        };
        let value = match flags & (LARGE | COLD | WIDE) {
            0 => usize::from(u8::from_le_bytes(self.get(value_at))),
            WIDE => usize::from(u16::from_le_bytes(self.get(value_at))),
            _ => 0,
        };
        Shape { flags, key, value }
    }

    #[inline]
    pub(super) fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        // SAFETY: the offset is that of a field which the layout of this entry has, and all fields are written.
        unsafe { self.start().add(at).cast::<[u8; N]>().read() }
    }

    #[inline]
    pub(super) fn slice(&self, at: usize, length: usize) -> &[u8] {
        // SAFETY: as for `get`; the key and the value have the lengths that the header states. Nobody writes while
        // the slice borrows the entry.
        unsafe { slice::from_raw_parts(self.start().add(at), length) }
    }

    #[inline]
    pub(super) fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        // SAFETY: as for `get`; a block is never smaller than what its header describes.
        unsafe { self.start().add(at).cast::<[u8; N]>().write(bytes) }
    }

    #[inline]
    pub(super) fn put_slice(&mut self, at: usize, bytes: &[u8]) {
        // SAFETY: as for `put`; the source is borrowed from elsewhere, for nobody can borrow from this entry now.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start().add(at), bytes.len()) }
    }

    /// Moves bytes of the value from one offset to another.
    #[inline]
    pub(super) fn move_within(&mut self, value_at: usize, from: usize, to: usize, length: usize) {
        // SAFETY: the caller has seen that both ranges lie within the value that the block has room for; they may overlap.
        unsafe {
            let value = self.start().add(value_at);
            ptr::copy(value.add(from), value.add(to), length);
        }
    }

    pub(super) fn put_zeros(&mut self, at: usize, length: usize) {
        // SAFETY: as for `put`.
        unsafe { ptr::write_bytes(self.start().add(at), 0, length) }
    }

    /// Flags and lengths.
    #[inline]
    pub(super) fn put_header(&mut self, shape: Shape) {
        self.put(0, [shape.flags]);
        // The lengths fit: `with_width` has chosen the form, and a value in the entry is below `OUT_OF_LINE`.
        let value_at = if shape.flags & WIDE == 0 {
            self.put(LENGTHS_AT, [shape.key as u8]);
            LENGTHS_AT + 1
        } else {
            self.put(LENGTHS_AT, (shape.key as u32).to_le_bytes());
            LENGTHS_AT + 4
        };
        match shape.flags & (LARGE | COLD | WIDE) {
            0 => self.put(value_at, [shape.value as u8]),
            WIDE => self.put(value_at, (shape.value as u16).to_le_bytes()),
            _ => {}
        }
    }

    /// Into the place that the header has for it; nowhere when there is none.
    #[inline]
    pub(super) fn put_deadline(&mut self, deadline: Option<u64>) {
        if let Some(deadline) = deadline {
            self.put(deadline_at(self.flags()), deadline.to_le_bytes());
        }
    }

    /// Into the place that the header has for it; nowhere when there is none.
    #[inline]
    pub(super) fn put_base(&mut self, base: Option<[u8; U56]>) {
        if let Some(base) = base {
            self.put(base_at(self.flags()), base);
        }
    }

    #[inline]
    pub(super) fn put_value(&mut self, shape: Shape, value: Stored<'_>) {
        if let Stored::Cold(_, length) = value {
            return self.put(large_at(shape.flags), length.to_le_bytes());
        }
        match value.inline() {
            Some(bytes) => self.put_slice(shape.key_at() + shape.key, bytes),
            None => self.put_outside(shape.flags, value.into_outside()),
        }
    }

    pub(super) fn put_outside(&mut self, flags: u8, outside: Outside) {
        let pointer = match outside {
            Outside::String(large) => Box::into_raw(large).cast::<u8>(),
            Outside::Object(object) => Box::into_raw(object).cast::<u8>(),
        };
        self.put_pointer(flags, pointer);
    }

    pub(super) fn put_pointer(&mut self, flags: u8, pointer: *mut u8) {
        // SAFETY: the header has eight bytes for the pointer behind the length of the key.
        unsafe { self.start().add(large_at(flags)).cast::<*mut u8>().write_unaligned(pointer) }
    }

    #[inline]
    pub(super) fn pointer(&self) -> *mut u8 {
        debug_assert!(self.flags() & LARGE != 0);
        // SAFETY: callers have seen the flag that says that a pointer is here.
        unsafe { self.start().add(large_at(self.flags())).cast::<*mut u8>().read_unaligned() }
    }

    #[inline]
    pub(super) fn large_pointer(&self) -> *mut Large {
        debug_assert!(self.flags() & TYPE == STRING);
        self.pointer().cast()
    }

    #[inline]
    pub(super) fn object_pointer(&self) -> *mut Object {
        debug_assert!(self.flags() & TYPE != STRING);
        self.pointer().cast()
    }

    #[inline]
    pub(super) fn large(&self) -> &Large {
        // SAFETY: the pointer comes from a box that this entry owns.
        unsafe { &*self.large_pointer() }
    }

    pub(super) fn large_mut(&mut self) -> &mut Large {
        // SAFETY: as for `large`, and the entry is borrowed mutably.
        unsafe { &mut *self.large_pointer() }
    }

    #[inline]
    pub(super) fn object_ref(&self) -> &Object {
        // SAFETY: as for `large`: callers have seen that this is a large value of another type than a string.
        unsafe { &*self.object_pointer() }
    }

    /// What lies apart, if anything does. The pointer that stays behind is stale: the caller overwrites it or frees the
    /// entry.
    pub(super) fn take_outside(&mut self) -> Option<Outside> {
        let flags = self.flags();
        if flags & LARGE == 0 {
            return None;
        }
        // SAFETY: the box was given up in `put_outside` as what the type says, and the caller sees to it that it is
        // taken back only once.
        Some(unsafe {
            match flags & TYPE {
                STRING => Outside::String(Box::from_raw(self.large_pointer())),
                _ => Outside::Object(Box::from_raw(self.object_pointer())),
            }
        })
    }

    /// Brings the entry into a shape with the same key, in the same block when the size class allows it. Of the value
    /// the first `keep` bytes survive, as far as both shapes have them. Fields and bytes that are new are not
    /// written: the caller does that at once.
    pub(super) fn reshape(&mut self, to: Shape, keep: usize) {
        let from = self.shape();
        debug_assert_eq!(from.key, to.key);
        let in_place = class(from.bytes()) == class(to.bytes());
        if in_place && from.flags == to.flags {
            self.put_header(to);
            return;
        }
        let deadline = self.deadline().filter(|_| to.flags & DEADLINE != 0);
        let base = (from.flags & to.flags & BASE != 0).then(|| self.get(base_at(from.flags)));
        let outside = (from.flags & to.flags & LARGE != 0).then(|| self.pointer());
        let cold_length = (from.flags & to.flags & COLD != 0).then(|| self.cold_length());
        let moved = from.key + from.value.min(to.value).min(keep);
        let source = self.start();
        if !in_place {
            self.0 = marked(allocate(to.bytes()).as_ptr(), self.mark());
        }
        // SAFETY: both blocks hold a key and at least so much of a value at these offsets. Within one block the
        // ranges may overlap, which `copy` allows; the fields of the header have been read before.
        unsafe { ptr::copy(source.add(from.key_at()), self.start().add(to.key_at()), moved) };
        if !in_place {
            // SAFETY: both headers have these fields, in different blocks.
            unsafe { ptr::copy_nonoverlapping(source, self.start(), LENGTHS_AT) };
            release(source, from.bytes());
        }
        self.put_header(to);
        self.put_deadline(deadline);
        self.put_base(base);
        if let Some(outside) = outside {
            self.put_pointer(to.flags, outside);
        }
        if let Some(length) = cold_length {
            self.put(large_at(to.flags), length.to_le_bytes());
        }
    }
}

#[inline]
pub(super) fn marked(start: *mut u8, mark: u16) -> NonNull<u8> {
    let pointer = start.map_addr(|address| address | usize::from(mark) << MARK_SHIFT);
    // SAFETY: `start` is the address of a block, so it is not null, and setting bits does not make it so.
    unsafe { NonNull::new_unchecked(pointer) }
}

fn block_layout(bytes: usize) -> Layout {
    // No field is aligned, and more must not be asked for: mimalloc 3 answers an alignment of 8 for a size that is no
    // power of two with a block of the next class.
    Layout::from_size_align(class(bytes), 1).expect("a key and a value below 4 GiB each")
}

pub(super) fn allocate(bytes: usize) -> NonNull<u8> {
    let layout = block_layout(bytes);
    // SAFETY: the layout is not empty, as every entry has a header.
    let block = unsafe { alloc(layout) };
    let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
    assert!(block.addr().get() & !ADDRESS == 0, "an address of more than 48 bits");
    block
}

pub(super) fn release(block: *mut u8, bytes: usize) {
    // SAFETY: the block was allocated for as many bytes, or for others of their class, and is not used any more.
    unsafe { dealloc(block, block_layout(bytes)) }
}
