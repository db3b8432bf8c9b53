//! A hash table that grows one bucket at a time: linear hashing (Litwin 1980) over cache-line buckets.
//!
//! ```text
//!   hash   63 ……… 54 │ …… │ 39 … 32 │ …… │ 15 ……………… 0
//!          shard          tag            mark, of which the lowest bits are the bucket
//!                                             │
//!   directory ─► chunk ─► 16 buckets of 64 bytes, which never move
//! ```
//!
//! With `n` buckets and `2^k ≤ n < 2^(k+1)`, a key is in the bucket of its lowest `k + 1` bits if there is one with
//! that number, else of its lowest `k`. When an insert brings the average above [`MAX_LOAD`], bucket `n - 2^k` is
//! split: those of its entries whose bit `k` is set go to the new bucket `n`. So there is never a rehash, an insert
//! costs one split at most, and where a bucket lies is known from the hash alone and can be prefetched.
//!
//! While there are at most `2^16` buckets a split reads the bits it needs from the marks; beyond, from the entries.
//!
//! # Scanning
//!
//! A cursor is a bucket number. [`Table::scan`] goes upwards and returns each entry that is present from beginning to
//! end at least once, however much the table grows meanwhile. Proof: only a split moves an entry to another bucket,
//! and to one of a higher number. Let the entry be in bucket `b`, and let `c` be the cursor. First `c = 0 ≤ b`. While
//! the entry has not been visited, `c ≤ b` stays true: splits raise `b`; a visit of bucket `c` visits the entry if
//! `b = c`, and else `b ≥ c + 1`, the next cursor. At the end `c = n > b`, so it has been visited. ∎
//!
//! That is why buckets are never merged: an entry would go to a lower number, behind the cursor.
//!
//! Not here: locks, the hash function, shrinking. An empty table has no memory; [`Table::clear`] gives all back.

use std::mem;
use std::ops::Range;

use super::bucket::{Bucket, Print};
use super::entry::Entry;
use crate::prefetch::prefetch;

/// Buckets that are allocated together: enough that the directory is small, few enough for small tables.
const CHUNK: usize = 16;
type Chunk = [Bucket; CHUNK];

/// Entries per bucket, as a fraction: of seven slots 90 %. More saves little memory, and sends more lookups to an
/// overflow.
const MAX_LOAD: (usize, usize) = (63, 10);

/// Entries of one shard and database, by key. The caller brings the hash, the same for a key at all times.
#[derive(Default)]
pub struct Table {
    #[expect(clippy::vec_box, reason = "buckets must not move when the directory grows")]
    chunks: Vec<Box<Chunk>>,
    /// Buckets in use; all of them from 0 up.
    buckets: usize,
    len: usize,
    overflow_bytes: usize,
}

impl Table {
    /// Bytes that the table itself takes, without its entries.
    #[inline]
    pub fn memory(&self) -> usize {
        self.chunks.len() * size_of::<Chunk>() + self.chunks.capacity() * size_of::<Box<Chunk>>() + self.overflow_bytes
    }

    /// Whether no entry is in the table. (One that was emptied keeps its buckets until it is cleared.)
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of a key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        if self.buckets == 0 {
            return None;
        }
        self.bucket(self.index(hash)).find(print(hash), key)
    }

    /// The entry of a key, to be changed. (Its key must stay: a changed entry may not be swapped for another.)
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        if self.buckets == 0 {
            return None;
        }
        let index = self.index(hash);
        self.bucket_mut(index).find_mut(print(hash), key)
    }

    /// An entry of which, besides its hash, something else is known.
    pub fn find_where(&self, hash: u64, mut is: impl FnMut(&Entry) -> bool) -> Option<&Entry> {
        if self.buckets == 0 {
            return None;
        }
        let mark = print(hash).mark;
        self.bucket(self.index(hash)).iter().find(|entry| entry.mark() == mark && is(entry))
    }

    /// Adds an entry whose key is not in the table. `rehash` is asked for the hash of an entry's key, in tables of
    /// more than `2^16` buckets only.
    pub fn insert(&mut self, hash: u64, mut entry: Entry, rehash: impl Fn(&Entry) -> u64) {
        debug_assert!(self.find(hash, entry.key()).is_none(), "the key is in the table");
        if self.buckets == 0 {
            self.add_bucket();
        }
        let (index, print) = (self.index(hash), print(hash));
        entry.set_mark(print.mark);
        let grown = self.bucket_mut(index).push(print.tag, entry);
        self.overflow_bytes = self.overflow_bytes.wrapping_add_signed(grown);
        self.len += 1;
        if self.is_overfull(self.len) {
            self.split(rehash);
        }
    }

    /// Whether the next insert makes it larger by a chunk of buckets.
    #[inline]
    pub fn is_about_to_grow(&self) -> bool {
        self.buckets == self.chunks.len() * CHUNK && self.is_overfull(self.len + 1)
    }

    #[inline]
    fn is_overfull(&self, entries: usize) -> bool {
        entries * MAX_LOAD.1 > self.buckets * MAX_LOAD.0
    }

    /// Makes it as large as it becomes by so many entries.
    pub fn reserve(&mut self, entries: usize, rehash: impl Fn(&Entry) -> u64) {
        let wanted = entries.saturating_mul(MAX_LOAD.1).div_ceil(MAX_LOAD.0);
        self.chunks.reserve_exact(wanted.div_ceil(CHUNK).saturating_sub(self.chunks.len()));
        if self.buckets == 0 && wanted > 0 {
            self.add_bucket();
        }
        while self.buckets < wanted {
            self.split(&rehash);
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        if self.buckets == 0 {
            return None;
        }
        let index = self.index(hash);
        let (entry, freed) = self.bucket_mut(index).remove(print(hash), key)?;
        self.overflow_bytes = self.overflow_bytes.wrapping_add_signed(-freed);
        self.len -= 1;
        Some(entry)
    }

    /// Visits the entries of one bucket. The next cursor, or 0 at the end; begin with 0.
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&Entry)) -> u64 {
        let Some(index) = usize::try_from(cursor).ok().filter(|&index| index < self.buckets) else { return 0 };
        self.bucket(index).iter().for_each(visit);
        if index + 1 < self.buckets { cursor + 1 } else { 0 }
    }

    /// Visits the entries of some buckets, to change them in place (but their keys). Nothing behind the last bucket.
    pub fn visit_mut(&mut self, buckets: Range<usize>, visit: &mut impl FnMut(&mut Entry)) {
        let end = buckets.end.min(self.buckets);
        for index in buckets.start..end {
            self.bucket_mut(index).for_each_mut(visit);
        }
    }

    /// Fetches some buckets, and then their entries, into the cache.
    pub fn prefetch_run(&self, buckets: Range<usize>) {
        let end = buckets.end.min(self.buckets);
        (buckets.start..end).for_each(|index| prefetch(self.bucket(index)));
        (buckets.start..end).for_each(|index| self.bucket(index).prefetch_all());
    }

    /// How many buckets there are.
    #[inline]
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// All entries, in the order of a scan.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).flat_map(Bucket::iter)
    }

    /// Gives each entry to `change`. Its key must stay.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&mut Entry)) {
        for bucket in self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut()) {
            bucket.for_each_mut(&mut change);
        }
    }

    /// Some entry, each with the same chance for a random number (but in tables so unlucky, or so full of holes after
    /// removals, that a few tries fail). `None` only from an empty table.
    pub fn random(&self, random: u64) -> Option<&Entry> {
        /// Positions drawn from: more than almost every bucket has.
        const POSITIONS: u64 = 16;
        const TRIES: usize = 32;
        if self.len == 0 {
            return None;
        }
        let mut state = random;
        for _ in 0..TRIES {
            // The finaliser of MurmurHash3: consecutive numbers must not visit consecutive buckets.
            state = (state ^ (state >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
            state = (state ^ (state >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
            state ^= state >> 33;
            let index = ((u128::from(state) * self.buckets as u128) >> 64) as usize;
            if let Some(entry) = self.bucket(index).get((state % POSITIONS) as usize) {
                return Some(entry);
            }
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        }
        let start = (state % self.buckets as u64) as usize;
        (start..self.buckets).chain(0..start).find_map(|index| self.bucket(index).iter().next())
    }

    /// Fetches the bucket of a hash into the cache.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if self.buckets != 0 {
            prefetch(self.bucket(self.index(hash)));
        }
    }

    /// Fetches the entry of a hash into the cache. It reads the bucket, which should be there by now.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        if self.buckets != 0 {
            self.bucket(self.index(hash)).prefetch_entry(print(hash));
        }
    }

    /// The bucket of a hash, in a table that has one.
    #[inline]
    fn index(&self, hash: u64) -> usize {
        let bits = usize::BITS - ((self.buckets - 1) | 1).leading_zeros();
        let index = hash as usize & ((1 << bits) - 1);
        if index < self.buckets { index } else { index & ((1 << (bits - 1)) - 1) }
    }

    #[inline]
    fn bucket(&self, index: usize) -> &Bucket {
        &self.chunks[index / CHUNK][index % CHUNK]
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }

    fn add_bucket(&mut self) -> usize {
        let index = self.buckets;
        if index == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new([const { Bucket::EMPTY }; CHUNK]));
        }
        self.buckets += 1;
        index
    }

    /// Adds one bucket and moves to it what belongs there, from the only bucket that can have it.
    fn split(&mut self, rehash: impl Fn(&Entry) -> u64) {
        let new = self.add_bucket();
        let bit = 1_u64 << new.ilog2();
        let old = new - bit as usize;
        let mut source = mem::replace(self.bucket_mut(old), Bucket::EMPTY);
        let mut overflow = self.overflow_bytes as isize - source.overflow_bytes() as isize;
        source.drain(|tag, entry| {
            let hash = if bit <= u64::from(u16::MAX) { u64::from(entry.mark()) } else { rehash(&entry) };
            let index = if hash & bit == 0 { old } else { new };
            overflow += self.bucket_mut(index).push(tag, entry);
        });
        self.overflow_bytes = overflow as usize;
    }
}

/// What buckets tell entries apart by. The mark must be the lowest bits, which number the buckets; the tag must not
/// overlap them.
#[inline]
fn print(hash: u64) -> Print {
    Print { tag: ((hash >> 32) as u8).max(1), mark: hash as u16 }
}

#[cfg(test)]
mod tests;
