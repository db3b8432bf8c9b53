//! From hash to number: linear hashing over buckets of one cache line, as in `keyspace/table.rs`.
//!
//! ```text
//!   0          12         16                    64
//!   ┌──────────┬──────────┬─────────────────────┐      ┌───────────┬────────┬──────┐
//!   │ 12 tags  │ overflow ─┼─ 12 numbers        │  ─►  │ 4 numbers │ 4 tags │ next ─► …
//!   └──────────┴──────────┴─────────────────────┘      └───────────┴────────┴──────┘
//! ```
//!
//! * A tag is eight bits of the hash, never 0; a place whose tag is 0 is empty. The lowest bits number the bucket.
//! * What finds no room in a bucket goes to blocks of four, which all buckets take from one row. Only the first block
//!   of a chain has empty places, and those behind its entries; while there is a chain the bucket is full.
//! * An insert that brings the average above [`MAX_LOAD`] splits one bucket; a removal that leaves too few entries
//!   merges one. Cursors do not point into the index, so merging is no harm.
//!
//! Up to `2^16` buckets, sixteen bits of an entry's hash say where it belongs, and the caller has them at hand; a
//! *wide* index asks for more.

use std::mem;

use super::chunks::Chunks;
use crate::prefetch::prefetch;

const SLOTS: usize = 12;
const BLOCK_SLOTS: usize = 4;
/// Entries per bucket that a split follows: with twelve places, one entry in ten or so goes to an overflow.
const MAX_LOAD: usize = 10;
/// Entries per bucket that a merge follows.
const MIN_LOAD: usize = 3;
/// No block.
const NONE: u32 = u32::MAX;

#[repr(C, align(64))]
#[derive(Debug)]
struct Bucket {
    tags: [u8; SLOTS],
    overflow: u32,
    numbers: [u32; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

#[derive(Debug)]
struct Block {
    numbers: [u32; BLOCK_SLOTS],
    tags: [u8; BLOCK_SLOTS],
    next: u32,
}

#[derive(Debug)]
pub(super) struct Index {
    buckets: Chunks<Bucket>,
    blocks: Chunks<Block>,
    /// The first of the blocks that nobody uses.
    free: u32,
    len: usize,
}

impl Default for Index {
    fn default() -> Index {
        Index { buckets: Chunks::default(), blocks: Chunks::default(), free: NONE, len: 0 }
    }
}

impl Index {
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.buckets.memory() + self.blocks.memory()
    }

    /// Whether sixteen bits of a hash do not say where an entry is.
    #[inline]
    pub(super) fn is_wide(&self) -> bool {
        self.buckets.len() > 1 << 16
    }

    /// The number under this hash that is the right one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.buckets.len() == 0 {
            return None;
        }
        let bucket = &self.buckets[self.place(hash)];
        let tag = tag(hash);
        let mut hits = bucket.hits(tag);
        while hits != 0 {
            let number = bucket.numbers[(hits.trailing_zeros() / 8) as usize];
            if is(number) {
                return Some(number);
            }
            hits &= hits - 1;
        }
        let mut next = bucket.overflow;
        while next != NONE {
            let block = &self.blocks[next as usize];
            for slot in 0..BLOCK_SLOTS {
                if block.tags[slot] == tag && is(block.numbers[slot]) {
                    return Some(block.numbers[slot]);
                }
            }
            next = block.next;
        }
        None
    }

    /// Fetches the bucket of a hash.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if self.buckets.len() != 0 {
            prefetch(&raw const self.buckets[self.place(hash)]);
        }
    }

    /// The numbers in the bucket of a hash that may be the right one; there may be others behind it.
    #[inline]
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let bucket = (self.buckets.len() != 0).then(|| &self.buckets[self.place(hash)]);
        let mut hits = bucket.map_or(0, |bucket| bucket.hits(tag(hash)));
        std::iter::from_fn(move || {
            let slot = (hits != 0).then(|| (hits.trailing_zeros() / 8) as usize)?;
            hits &= hits - 1;
            bucket.map(|bucket| bucket.numbers[slot])
        })
    }

    /// Adds a number. `hash_of` gives the hash of a number, all of it when asked for a wide one.
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(bool, u32) -> u64) {
        if self.buckets.len() == 0 {
            self.buckets.push(Bucket::EMPTY);
        }
        self.add(self.place(hash), tag(hash), number);
        self.len += 1;
        if self.len > self.buckets.len() * MAX_LOAD {
            self.split(hash_of);
        }
    }

    /// Takes out a number that is there.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        let place = self.place(hash);
        let mut head = self.buckets[place].overflow;
        let last = self.take_overflow(&mut head);
        self.buckets[place].overflow = head;
        self.len -= 1;
        match last {
            None => {
                let bucket = &mut self.buckets[place];
                let slot = bucket.slot(number).expect("the number is in its bucket");
                bucket.tags[slot] = 0;
            }
            Some((_, last)) if last == number => {}
            Some(filler) => self.rewrite(place, number, |entry_tag, entry| (*entry_tag, *entry) = filler),
        }
    }

    /// Writes another number in the place of one that is there.
    pub(super) fn renumber(&mut self, hash: u64, from: u32, to: u32) {
        self.rewrite(self.place(hash), from, |_, entry| *entry = to);
    }

    /// Merges the last bucket into the one it was split from, when few entries are left.
    pub(super) fn shrink(&mut self, hash_of: impl Fn(bool, u32) -> u64) {
        if self.len == 0 {
            *self = Index::default();
        } else if self.buckets.len() > 1 && self.len < self.buckets.len() * MIN_LOAD {
            let mut last = self.buckets.pop().expect("there are buckets");
            let home = self.buckets.len() - (1 << self.buckets.len().ilog2());
            debug_assert!(last.entries().all(|(_, number)| self.place(hash_of(self.is_wide(), number)) == home));
            for (tag, number) in last.entries() {
                self.add(home, tag, number);
            }
            while let Some((tag, number)) = self.take_overflow(&mut last.overflow) {
                self.add(home, tag, number);
            }
        }
    }

    /// The bucket of a hash: that of its lowest bits, with one bit fewer where that one does not exist yet.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        let buckets = self.buckets.len();
        let bits = usize::BITS - ((buckets - 1) | 1).leading_zeros();
        let index = hash as usize & ((1 << bits) - 1);
        if index < buckets { index } else { index & ((1 << (bits - 1)) - 1) }
    }

    fn split(&mut self, hash_of: impl Fn(bool, u32) -> u64) {
        let new = self.buckets.len();
        self.buckets.push(Bucket::EMPTY);
        let bit = 1 << new.ilog2();
        let old = new - bit;
        let wide = self.is_wide();
        let mut source = mem::replace(&mut self.buckets[old], Bucket::EMPTY);
        let home = |number| if hash_of(wide, number) & bit as u64 == 0 { old } else { new };
        for (tag, number) in source.entries() {
            self.add(home(number), tag, number);
        }
        while let Some((tag, number)) = self.take_overflow(&mut source.overflow) {
            self.add(home(number), tag, number);
        }
    }

    fn add(&mut self, place: usize, tag: u8, number: u32) {
        let bucket = &mut self.buckets[place];
        let empty = bucket.hits(0);
        if empty != 0 {
            let slot = (empty.trailing_zeros() / 8) as usize;
            bucket.tags[slot] = tag;
            bucket.numbers[slot] = number;
            return;
        }
        let head = bucket.overflow;
        if head != NONE {
            let block = &mut self.blocks[head as usize];
            if let Some(slot) = block.tags.iter().position(|&tag| tag == 0) {
                block.tags[slot] = tag;
                block.numbers[slot] = number;
                return;
            }
        }
        let mut block = Block { numbers: [0; BLOCK_SLOTS], tags: [0; BLOCK_SLOTS], next: head };
        (block.tags[0], block.numbers[0]) = (tag, number);
        self.buckets[place].overflow = self.new_block(block);
    }

    fn new_block(&mut self, block: Block) -> u32 {
        let at = self.free;
        if at != NONE {
            self.free = mem::replace(&mut self.blocks[at as usize], block).next;
            return at;
        }
        let at = u32::try_from(self.blocks.len()).expect("fewer blocks than numbers");
        self.blocks.push(block);
        at
    }

    /// Takes the last entry of the first block of a chain, and the block out of the chain if it was its only one.
    fn take_overflow(&mut self, head: &mut u32) -> Option<(u8, u32)> {
        if *head == NONE {
            return None;
        }
        let block = &mut self.blocks[*head as usize];
        let slot = block.tags.iter().rposition(|&tag| tag != 0).expect("a block in a chain is not empty");
        let entry = (mem::replace(&mut block.tags[slot], 0), block.numbers[slot]);
        if slot == 0 {
            let next = mem::replace(&mut block.next, self.free);
            self.free = mem::replace(head, next);
        }
        Some(entry)
    }

    fn rewrite(&mut self, place: usize, number: u32, write: impl FnOnce(&mut u8, &mut u32)) {
        let bucket = &mut self.buckets[place];
        if let Some(slot) = bucket.slot(number) {
            return write(&mut bucket.tags[slot], &mut bucket.numbers[slot]);
        }
        let mut next = bucket.overflow;
        while next != NONE {
            let block = &mut self.blocks[next as usize];
            let slot = (0..BLOCK_SLOTS).find(|&slot| block.tags[slot] != 0 && block.numbers[slot] == number);
            if let Some(slot) = slot {
                return write(&mut block.tags[slot], &mut block.numbers[slot]);
            }
            next = block.next;
        }
        unreachable!("the number is in its bucket");
    }
}

impl Bucket {
    const EMPTY: Bucket = Bucket { tags: [0; SLOTS], overflow: NONE, numbers: [0; SLOTS] };

    /// The highest bit of the byte of each place that has this tag. Exact: what stands in an empty place is no number.
    #[inline]
    fn hits(&self, tag: u8) -> u128 {
        const ONES: u128 = 0x0101_0101_0101_0101_0101_0101;
        const LOWS: u128 = ONES * 0x7F;
        let mut bytes = [0; 16];
        bytes[..SLOTS].copy_from_slice(&self.tags);
        let differences = u128::from_le_bytes(bytes) ^ (ONES * u128::from(tag));
        !(((differences & LOWS) + LOWS) | differences) & (ONES << 7)
    }

    #[inline]
    fn slot(&self, number: u32) -> Option<usize> {
        (0..SLOTS).find(|&slot| self.numbers[slot] == number && self.tags[slot] != 0)
    }

    fn entries(&self) -> impl Iterator<Item = (u8, u32)> + use<> {
        let (tags, numbers) = (self.tags, self.numbers);
        (0..SLOTS).filter(move |&slot| tags[slot] != 0).map(move |slot| (tags[slot], numbers[slot]))
    }
}

/// Bits that do not number buckets before there are `2^32` of them.
#[inline]
fn tag(hash: u64) -> u8 {
    ((hash >> 32) as u8).max(1)
}
