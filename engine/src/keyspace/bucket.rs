//! One cache line of a table: up to seven entries, or six and a sorted-out rest.
//!
//! ```text
//!   0                                            48        56            63
//!   ┌────────┬────────┬────────┬────────┬───────┬─────────┬─────────────┬─────┐
//!   │ entry 0│ entry 1│   …    │   …    │   …   │ entry 6 │ 7 tag bytes │ more│
//!   └────────┴────────┴────────┴────────┴───────┴─────────┴─────────────┴─────┘
//!                                        more = 1: overflow┘
//! ```
//!
//! * A tag is eight bits of the hash, never 0; a slot whose tag is 0 is empty. One look at the tags, all at once,
//!   tells which entries are worth reading.
//! * The mark of an entry ([`Entry::mark`]) holds sixteen other bits of its hash: a second check before the entry
//!   itself is touched, and what a split needs to know.
//! * When seven are not enough, the seventh slot gives way to an [`Overflow`], a separate block with exactly the
//!   entries that found no room. Linear hashing lets buckets grow to twice the average before it splits them; exact
//!   blocks make that cheap, where whole overflow buckets would cost 64 bytes for often one entry.
//!
//! Invariants: an overflow holds at least two entries, and while it exists the six slots are full.

#![expect(unsafe_code, reason = "slots are entries or a block of them, told apart by the tags; run under Miri")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::entry::Entry;
use crate::class::class;
use crate::prefetch::prefetch;

const SLOTS: usize = 7;
/// The slot that gives way to an overflow.
const LAST: usize = SLOTS - 1;
const ONES: u64 = 0x0001_0101_0101_0101;
const HIGHS: u64 = ONES << 7;
const LOWS: u64 = ONES * 0x7F;
/// Set in `meta` when the last slot is an overflow.
const MORE: u64 = 1 << 56;

/// The part of a hash that buckets deal with.
#[derive(Clone, Copy)]
pub(super) struct Print {
    /// Not 0.
    pub(super) tag: u8,
    pub(super) mark: u16,
}

#[repr(C, align(64))]
pub(super) struct Bucket {
    /// Slot `i` is initialised when tag `i` is not 0. The last one is an `Overflow` when `MORE` is set (its tag is
    /// then 0).
    slots: [MaybeUninit<Entry>; SLOTS],
    /// Tags, from the lowest byte up, and `MORE`.
    meta: u64,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    pub(super) const EMPTY: Bucket = Bucket { slots: [const { MaybeUninit::uninit() }; SLOTS], meta: 0 };

    #[inline]
    pub(super) fn find(&self, print: Print, key: &[u8]) -> Option<&Entry> {
        let mut hits = self.hits(print.tag);
        while hits != 0 {
            let entry = self.at(slot_of(hits));
            if is(entry, print, key) {
                return Some(entry);
            }
            hits &= hits - 1;
        }
        let overflow = self.overflow()?;
        overflow.position(print, key).map(|index| overflow.get(index))
    }

    #[inline]
    pub(super) fn find_mut(&mut self, print: Print, key: &[u8]) -> Option<&mut Entry> {
        self.position(print, key).map(|at| self.at_mut(at))
    }

    /// Adds an entry. The bytes of memory that its overflow takes more.
    #[inline]
    pub(super) fn push(&mut self, tag: u8, entry: Entry) -> isize {
        debug_assert!(tag != 0);
        match (self.free_slot(), self.overflow_mut()) {
            (Some(slot), _) => {
                self.fill(slot, tag, entry);
                0
            }
            (None, Some(overflow)) => {
                let before = overflow.bytes();
                overflow.push(tag, entry);
                (overflow.bytes() - before) as isize
            }
            (None, None) => {
                let mut overflow = Overflow::new();
                let (last_tag, last) = self.empty(LAST);
                overflow.push(last_tag, last);
                overflow.push(tag, entry);
                self.set_overflow(overflow)
            }
        }
    }

    /// Takes an entry out. Gives also the bytes of memory that its overflow takes less.
    pub(super) fn remove(&mut self, print: Print, key: &[u8]) -> Option<(Entry, isize)> {
        let position = self.position(print, key)?;
        let Some(overflow) = self.overflow_mut() else { return Some((self.empty(position).1, 0)) };
        let before = overflow.bytes();
        let taken = if position < LAST {
            // The slot is filled again, or a lookup would go to the overflow more often than it must.
            let (tag, entry) = overflow.remove(overflow.len() - 1);
            let taken = self.empty(position).1;
            self.fill(position, tag, entry);
            taken
        } else {
            overflow.remove(position - LAST).1
        };
        let overflow = self.overflow_mut().expect("seen above");
        let mut after = overflow.bytes();
        if overflow.len() == 1 {
            let (tag, entry) = overflow.remove(0);
            self.drop_overflow();
            self.fill(LAST, tag, entry);
            after = 0;
        }
        Some((taken, before as isize - after as isize))
    }

    /// Moves everything out, entry by entry with its tag.
    pub(super) fn drain(&mut self, mut take: impl FnMut(u8, Entry)) {
        if let Some(overflow) = self.overflow_mut() {
            while overflow.len() > 0 {
                let (tag, entry) = overflow.remove(overflow.len() - 1);
                take(tag, entry);
            }
            self.drop_overflow();
        }
        for slot in 0..SLOTS {
            if self.tag(slot) != 0 {
                let (tag, entry) = self.empty(slot);
                take(tag, entry);
            }
        }
    }

    /// Positions of entries are below this; not all of them are taken.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.overflow().map_or(SLOTS, |overflow| LAST + overflow.len())
    }

    #[inline]
    pub(super) fn get(&self, position: usize) -> Option<&Entry> {
        match self.overflow() {
            Some(overflow) if position >= LAST => {
                (position < LAST + overflow.len()).then(|| overflow.get(position - LAST))
            }
            _ => (position < SLOTS && self.tag(position) != 0).then(|| self.at(position)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        (0..self.end()).filter_map(|position| self.get(position))
    }

    pub(super) fn for_each_mut(&mut self, mut visit: impl FnMut(&mut Entry)) {
        for position in 0..self.end() {
            if self.get(position).is_some() {
                visit(self.at_mut(position));
            }
        }
    }

    /// Fetches all of its entries into the cache.
    pub(super) fn prefetch_all(&self) {
        self.iter().for_each(Entry::prefetch);
    }

    pub(super) fn overflow_bytes(&self) -> usize {
        self.overflow().map_or(0, Overflow::bytes)
    }

    /// Fetches the entries that may be the one looked for, or the overflow that must be searched.
    #[inline]
    pub(super) fn prefetch_entry(&self, print: Print) {
        let mut hits = self.hits(print.tag);
        if let (0, Some(overflow)) = (hits, self.overflow()) {
            overflow.prefetch();
        }
        while hits != 0 {
            self.at(slot_of(hits)).prefetch();
            hits &= hits - 1;
        }
    }

    #[inline]
    fn position(&self, print: Print, key: &[u8]) -> Option<usize> {
        let mut hits = self.hits(print.tag);
        while hits != 0 {
            let slot = slot_of(hits);
            if is(self.at(slot), print, key) {
                return Some(slot);
            }
            hits &= hits - 1;
        }
        self.overflow()?.position(print, key).map(|index| LAST + index)
    }

    /// A bit in the byte of each slot that has this tag.
    #[inline]
    fn hits(&self, tag: u8) -> u64 {
        zero_bytes(self.meta ^ (ONES * u64::from(tag)))
    }

    #[inline]
    fn free_slot(&self) -> Option<usize> {
        let mut free = zero_bytes(self.meta);
        if self.meta & MORE != 0 {
            free &= !(0x80 << (8 * LAST));
        }
        (free != 0).then(|| slot_of(free))
    }

    #[inline]
    fn tag(&self, slot: usize) -> u8 {
        (self.meta >> (8 * slot)) as u8
    }

    fn fill(&mut self, slot: usize, tag: u8, entry: Entry) {
        debug_assert!(self.tag(slot) == 0 && (self.meta & MORE == 0 || slot != LAST));
        self.slots[slot].write(entry);
        self.meta |= u64::from(tag) << (8 * slot);
    }

    fn empty(&mut self, slot: usize) -> (u8, Entry) {
        let tag = self.tag(slot);
        assert!(tag != 0, "an entry in the slot");
        self.meta &= !(0xFF << (8 * slot));
        // SAFETY: the tag said that the slot is initialised; it is 0 now, so the entry is not read again.
        (tag, unsafe { self.slots[slot].assume_init_read() })
    }

    /// The entry in a slot that is taken.
    #[inline]
    fn at(&self, slot: usize) -> &Entry {
        debug_assert!(self.tag(slot) != 0);
        // SAFETY: callers give slots whose tag is not 0, so the slot is initialised.
        unsafe { self.slots[slot].assume_init_ref() }
    }

    /// The entry at a position that is taken.
    #[inline]
    fn at_mut(&mut self, position: usize) -> &mut Entry {
        if position >= LAST && self.meta & MORE != 0 {
            return self.overflow_mut().expect("seen above").get_mut(position - LAST);
        }
        debug_assert!(self.tag(position) != 0);
        // SAFETY: as for `at`.
        unsafe { self.slots[position].assume_init_mut() }
    }

    #[inline]
    fn overflow(&self) -> Option<&Overflow> {
        // SAFETY: `MORE` says that the last slot was written as an overflow, which has the size of an entry.
        (self.meta & MORE != 0).then(|| unsafe { &*self.slots[LAST].as_ptr().cast::<Overflow>() })
    }

    #[inline]
    fn overflow_mut(&mut self) -> Option<&mut Overflow> {
        // SAFETY: as for `overflow`.
        (self.meta & MORE != 0).then(|| unsafe { &mut *self.slots[LAST].as_mut_ptr().cast::<Overflow>() })
    }

    /// Puts an overflow in the last slot, which is empty. Its size.
    fn set_overflow(&mut self, overflow: Overflow) -> isize {
        debug_assert!(self.tag(LAST) == 0 && self.meta & MORE == 0);
        let bytes = overflow.bytes() as isize;
        // SAFETY: an overflow has the size and alignment of an entry, and the slot holds nothing.
        unsafe { self.slots[LAST].as_mut_ptr().cast::<Overflow>().write(overflow) };
        self.meta |= MORE;
        bytes
    }

    fn drop_overflow(&mut self) {
        if let Some(overflow) = self.overflow_mut() {
            // SAFETY: it is not used again, for `MORE` is taken away next.
            unsafe { ptr::drop_in_place(overflow) };
            self.meta &= !MORE;
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if self.meta != 0 {
            self.drain(|_, entry| drop(entry));
        }
    }
}

/// The highest bit of each of the lower seven bytes that is 0. (The shorter trick with a subtraction lets a borrow
/// out of a byte and reports a 1 above a 0, which here could be an empty slot.)
#[inline]
fn zero_bytes(bytes: u64) -> u64 {
    !(((bytes & LOWS) + LOWS) | bytes) & HIGHS
}

#[inline]
fn slot_of(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8
}

#[inline]
fn is(entry: &Entry, print: Print, key: &[u8]) -> bool {
    entry.mark() == print.mark && entry.key() == key
}

/// The entries of a bucket that found no room in it: one block of entries from the front and their tags from the
/// back, of the size class that holds them. The number of entries is in the upper bits of the pointer.
#[repr(transparent)]
struct Overflow(NonNull<u8>);

const _: () = assert!(size_of::<Overflow>() == size_of::<Entry>() && align_of::<Overflow>() == align_of::<Entry>());

const COUNT_SHIFT: u32 = 48;
const ADDRESS: usize = (1 << COUNT_SHIFT) - 1;

impl Overflow {
    fn new() -> Overflow {
        Overflow(Overflow::allocate(1))
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.addr().get() >> COUNT_SHIFT
    }

    fn bytes(&self) -> usize {
        Overflow::size(self.len().max(1))
    }

    #[inline]
    fn get(&self, index: usize) -> &Entry {
        assert!(index < self.len());
        // SAFETY: all entries below the length are initialised.
        unsafe { &*self.entry(index) }
    }

    fn get_mut(&mut self, index: usize) -> &mut Entry {
        assert!(index < self.len());
        // SAFETY: as for `get`.
        unsafe { &mut *self.entry(index) }
    }

    #[inline]
    fn position(&self, print: Print, key: &[u8]) -> Option<usize> {
        let (len, size) = (self.len(), self.bytes());
        (0..len).find(|&index| {
            // SAFETY: all tags below the length are initialised.
            let tag = unsafe { self.tag(size, index).read() };
            tag == print.tag && is(self.get(index), print, key)
        })
    }

    fn push(&mut self, tag: u8, entry: Entry) {
        let len = self.len();
        // Never by chance, and by design only for who knows the secret of the hash; the search would long have
        // become the greater trouble.
        assert!(len < (1 << 16) - 1, "65535 keys in one bucket");
        self.resize(len + 1);
        let size = Overflow::size(len + 1);
        // SAFETY: the block has room for one more of each, as it was just resized.
        unsafe {
            self.tag(size, len).write(tag);
            self.entry(len).write(entry);
        }
    }

    /// Takes an entry out; the last one takes its place.
    fn remove(&mut self, index: usize) -> (u8, Entry) {
        let (last, size) = (self.len() - 1, self.bytes());
        assert!(index <= last);
        // SAFETY: both are below the length. What is read at `index` is overwritten by the last one, whose place the
        // shorter length gives up.
        let taken = unsafe {
            let taken = (self.tag(size, index).read(), self.entry(index).read());
            self.tag(size, index).write(self.tag(size, last).read());
            ptr::copy(self.entry(last), self.entry(index), 1);
            taken
        };
        self.resize(last);
        taken
    }

    /// Sets the length to `len`, which is at most one more than it is, with a block of the size that asks for.
    fn resize(&mut self, len: usize) {
        let (old, old_size, size) = (self.start(), self.bytes(), Overflow::size(len.max(1)));
        let kept = len.min(self.len());
        let start = if size == old_size { old } else { Overflow::allocate(len.max(1)).as_ptr() };
        if start != old {
            // SAFETY: both blocks have room for as many entries from the front and tags from the back, and they are
            // different blocks. The old one is not used again.
            unsafe {
                ptr::copy_nonoverlapping(old, start, kept * size_of::<Entry>());
                ptr::copy_nonoverlapping(old.add(old_size - kept), start.add(size - kept), kept);
                Overflow::release(old, old_size);
            }
        }
        let pointer = start.map_addr(|address| address | len << COUNT_SHIFT);
        self.0 = NonNull::new(pointer).expect("the address of a block");
    }

    fn prefetch(&self) {
        prefetch(self.start());
        // The tags are at the other end.
        prefetch(self.start().wrapping_add(self.bytes() - 1));
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS)
    }

    #[inline]
    fn entry(&self, index: usize) -> *mut Entry {
        self.start().cast::<Entry>().wrapping_add(index)
    }

    /// Of a block of `size` bytes.
    #[inline]
    fn tag(&self, size: usize, index: usize) -> *mut u8 {
        self.start().wrapping_add(size - 1 - index)
    }

    fn size(len: usize) -> usize {
        class(len * (size_of::<Entry>() + 1))
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, align_of::<Entry>()).expect("at most 65535 entries")
    }

    fn allocate(len: usize) -> NonNull<u8> {
        let layout = Overflow::layout(Overflow::size(len));
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        assert!(block.addr().get() & !ADDRESS == 0, "an address of more than 48 bits");
        block
    }

    /// # Safety
    /// The block was allocated with this size and is not used again.
    unsafe fn release(block: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(block, Overflow::layout(size)) }
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        while self.len() > 0 {
            drop(self.remove(self.len() - 1));
        }
        // SAFETY: the block has the size of an empty overflow, and nobody uses it after this.
        unsafe { Overflow::release(self.start(), self.bytes()) }
    }
}
