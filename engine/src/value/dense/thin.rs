//! An element of a table: one allocation behind a pointer of eight bytes.
//!
//! ```text
//!   ┌───────┬────────────┬──────────────┬───────────┬─────┬───────┐
//!   │ flags │ key length │ value length │ deadline? │ key │ value │
//!   └───────┴────────────┴──────────────┴───────────┴─────┴───────┘
//!      1       1 or 4       0, 1 or 4       8 or 0
//! ```
//!
//! The value's length takes no bytes when it is 0 (members of sets) or 8 (scores). An element is written whole; only a
//! value or a deadline in the same layout is overwritten. The upper sixteen bits of the pointer, which no address
//! uses, hold the mark: bits of the key's hash.

#![expect(unsafe_code, reason = "one allocation of varying layout behind a thin pointer; run under Miri")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;

use crate::class::class;
use crate::prefetch::prefetch;

/// The key's length takes four bytes.
const KEY_WIDE: u8 = 1;
/// The form of the value's length: none as it is 0; one byte; four; none as it is 8.
const FORM: u8 = 6;
const NO_VALUE: u8 = 0;
const SHORT_VALUE: u8 = 2;
const WIDE_VALUE: u8 = 4;
const SCORE: u8 = 6;
const SCORE_BYTES: usize = 8;
/// There is a deadline.
const DEADLINE: u8 = 8;

const MARK_SHIFT: u32 = 48;
const ADDRESS: usize = (1 << MARK_SHIFT) - 1;

/// The owner of one element. The pointer is that of a block with the layout above, plus the mark.
pub(crate) struct Element(NonNull<u8>);

// SAFETY: an element owns its block alone, and the block is plain bytes.
unsafe impl Send for Element {}
// SAFETY: through a shared reference the block is only read.
unsafe impl Sync for Element {}

/// What the header says.
#[derive(Clone, Copy)]
struct Shape {
    flags: u8,
    key: usize,
    value: usize,
}

impl Shape {
    fn new(key: usize, value: usize, deadline: bool) -> Shape {
        assert!(key.max(value) <= u32::MAX as usize, "a key and a value below 4 GiB each");
        let form = match value {
            0 => NO_VALUE,
            SCORE_BYTES => SCORE,
            1..=255 => SHORT_VALUE,
            _ => WIDE_VALUE,
        };
        let wide = if key > 255 { KEY_WIDE } else { 0 };
        let deadline = if deadline { DEADLINE } else { 0 };
        Shape { flags: form | wide | deadline, key, value }
    }

    #[inline]
    fn bytes(self) -> usize {
        key_at(self.flags) + self.key + self.value
    }
}

#[inline]
fn value_length_at(flags: u8) -> usize {
    if flags & KEY_WIDE == 0 { 2 } else { 5 }
}

#[inline]
fn deadline_at(flags: u8) -> usize {
    value_length_at(flags)
        + match flags & FORM {
            SHORT_VALUE => 1,
            WIDE_VALUE => 4,
            _ => 0,
        }
}

#[inline]
fn key_at(flags: u8) -> usize {
    deadline_at(flags) + if flags & DEADLINE == 0 { 0 } else { 8 }
}

impl Element {
    /// # Panics
    ///
    /// When the key or the value is longer than 4 GiB.
    pub(super) fn new(mark: u16, key: &[u8], value: &[u8], deadline: Option<u64>) -> Element {
        let shape = Shape::new(key.len(), value.len(), deadline.is_some());
        let block = allocate(shape.bytes());
        let marked = block.as_ptr().map_addr(|address| address | usize::from(mark) << MARK_SHIFT);
        // SAFETY: the address of a block is not null, and setting bits does not make it so.
        let mut element = Element(unsafe { NonNull::new_unchecked(marked) });
        element.put_header(shape);
        if let Some(deadline) = deadline {
            element.put(deadline_at(shape.flags), &deadline.to_le_bytes());
        }
        element.put(key_at(shape.flags), key);
        element.put(key_at(shape.flags) + key.len(), value);
        element
    }

    /// Sixteen bits of the key's hash.
    #[inline]
    pub(crate) fn mark(&self) -> u16 {
        (self.0.as_ptr().addr() >> MARK_SHIFT) as u16
    }

    /// Fetches its header and the beginning of its key.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(self.start());
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let shape = self.shape();
        self.slice(key_at(shape.flags), shape.key)
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        let shape = self.shape();
        self.slice(key_at(shape.flags) + shape.key, shape.value)
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<u64> {
        let [flags] = self.get(0);
        (flags & DEADLINE != 0).then(|| u64::from_le_bytes(self.get(deadline_at(flags))))
    }

    /// In place when the layout and the size class stay the same.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        let old = self.shape();
        let new = Shape::new(old.key, value.len(), old.flags & DEADLINE != 0);
        if new.flags == old.flags && class(new.bytes()) == class(old.bytes()) {
            self.put_header(new);
            self.put(key_at(new.flags) + new.key, value);
        } else {
            *self = Element::new(self.mark(), self.key(), value, self.deadline());
        }
    }

    pub(super) fn set_deadline(&mut self, deadline: Option<u64>) {
        let [flags] = self.get(0);
        match deadline {
            Some(deadline) if flags & DEADLINE != 0 => self.put(deadline_at(flags), &deadline.to_le_bytes()),
            None if flags & DEADLINE == 0 => {}
            _ => *self = Element::new(self.mark(), self.key(), self.value(), deadline),
        }
    }

    /// Bytes of memory.
    #[inline]
    pub(super) fn footprint(&self) -> usize {
        class(self.shape().bytes())
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS)
    }

    #[inline]
    fn shape(&self) -> Shape {
        let [flags] = self.get(0);
        let key = match flags & KEY_WIDE {
            0 => usize::from(u8::from_le_bytes(self.get(1))),
            _ => u32::from_le_bytes(self.get(1)) as usize,
        };
        let value = match flags & FORM {
            SHORT_VALUE => usize::from(u8::from_le_bytes(self.get(value_length_at(flags)))),
            WIDE_VALUE => u32::from_le_bytes(self.get(value_length_at(flags))) as usize,
            SCORE => SCORE_BYTES,
            _ => 0,
        };
        Shape { flags, key, value }
    }

    /// Flags and lengths, which fit as `Shape::new` has chosen their forms.
    fn put_header(&mut self, shape: Shape) {
        self.put(0, &[shape.flags]);
        let (key, value) = ((shape.key as u32).to_le_bytes(), (shape.value as u32).to_le_bytes());
        let value_at = value_length_at(shape.flags);
        self.put(1, &key[..value_at - 1]);
        self.put(value_at, &value[..deadline_at(shape.flags) - value_at]);
    }

    #[inline]
    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        // SAFETY: the offset is that of a field which the flags of this element say it has, and all fields are written.
        unsafe { self.start().add(at).cast::<[u8; N]>().read() }
    }

    #[inline]
    fn slice(&self, at: usize, length: usize) -> &[u8] {
        // SAFETY: as for `get`; the key and the value have the lengths that the header states. Nobody writes while the
        // slice borrows the element.
        unsafe { slice::from_raw_parts(self.start().add(at), length) }
    }

    #[inline]
    fn put(&mut self, at: usize, bytes: &[u8]) {
        // SAFETY: the block is as long as the shape says whose fields are written here; the source is borrowed from
        // elsewhere, for nobody can borrow from this element now.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start().add(at), bytes.len()) }
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        let layout = block_layout(self.shape().bytes());
        // SAFETY: the block was allocated for as many bytes, or for others of their class, and is not used any more.
        unsafe { dealloc(self.start(), layout) }
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value_bytes", &self.value().len())
            .field("deadline", &self.deadline())
            .finish()
    }
}

fn block_layout(bytes: usize) -> Layout {
    // Not aligned, as in `keyspace/entry.rs`: mimalloc would give a larger block.
    Layout::from_size_align(class(bytes), 1).expect("a key and a value below 4 GiB each")
}

fn allocate(bytes: usize) -> NonNull<u8> {
    let layout = block_layout(bytes);
    // SAFETY: the layout is not empty, as every element has a header.
    let block = unsafe { alloc(layout) };
    let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
    assert!(block.addr().get() & !ADDRESS == 0, "an address of more than 48 bits");
    block
}
