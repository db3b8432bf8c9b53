//! A batch of requests: one shared buffer, and for every argument where it lies in it.
//!
//! ```text
//! data    *2␍␊$3␍␊GET␍␊$1␍␊k␍␊*1␍␊$4␍␊PING␍␊      one Bytes, one reference count
//! ranges          8..11     17..18     28..32     one entry an argument
//! ends                      2          3          one entry a request: where its ranges end
//! ```
//!
//! Arguments of inline requests that were quoted differ from the bytes received. They lie in a second buffer, which is
//! empty in nearly every batch; a bit in the range tells which one is meant.

use std::ops::Index;

use bytes::{Bytes, BytesMut};

/// Complete requests in the order they were received.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) data: Bytes,
    pub(crate) unescaped: Bytes,
    pub(crate) layout: Layout,
}

/// Where the arguments of requests lie. Positions fit in 31 bits because a batch is shorter than 2 GiB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) ranges: Vec<ArgumentRange>,
    pub(crate) ends: Vec<u32>,
}

/// The bytes of one argument, in the received or in the unescaped buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgumentRange {
    start: u32,
    end: u32,
}

/// One request: borrowed arguments, of which the first is the command's name. It has at least one.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    batch: &'a Batch,
    ranges: &'a [ArgumentRange],
}

impl Batch {
    /// The number of requests.
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.ends.len()
    }

    /// Whether there is no request, which a codec never returns.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.layout.ends.is_empty()
    }

    /// The request at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`Batch::len`].
    #[inline]
    pub fn request(&self, index: usize) -> Request<'_> {
        let start = if index == 0 { 0 } else { self.layout.ends[index - 1] as usize };
        Request { batch: self, ranges: &self.layout.ranges[start..self.layout.ends[index] as usize] }
    }

    /// The requests in the order they were received.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Request<'_>> {
        (0..self.len()).map(|index| self.request(index))
    }

    /// A batch of one of its requests, which shares the received bytes.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`Batch::len`].
    pub fn only(&self, index: usize) -> Batch {
        let ranges = self.request(index).ranges.to_vec();
        let ends = vec![ranges.len() as u32];
        Batch { data: self.data.clone(), unescaped: self.unescaped.clone(), layout: Layout { ranges, ends } }
    }

    /// Bytes this batch keeps alive: the received bytes and what describes them.
    pub fn memory_bytes(&self) -> usize {
        self.data.len() + self.unescaped.len() + self.layout.memory_bytes()
    }

    #[inline]
    fn bytes(&self, range: ArgumentRange) -> &[u8] {
        range.of(&self.data, &self.unescaped)
    }
}

/// Requests that are kept to be run later, in a buffer of their own.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    data: BytesMut,
    layout: Layout,
}

impl Queue {
    /// Copies a request behind the others. One that would make the queue longer than 1 GiB is not taken: `false`.
    #[must_use]
    pub fn push<'a>(&mut self, arguments: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        const LONGEST: usize = 1 << 30;
        let bytes: usize = arguments.clone().map(<[u8]>::len).sum();
        if self.data.len() + bytes > LONGEST {
            return false;
        }
        for argument in arguments {
            let start = self.data.len();
            self.data.extend_from_slice(argument);
            self.layout.ranges.push(ArgumentRange::received(start, self.data.len()));
        }
        self.layout.ends.push(self.layout.ranges.len() as u32);
        true
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.layout.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        self.data.capacity() + self.layout.memory_bytes()
    }

    /// The requests, to be run.
    pub fn into_batch(self) -> Batch {
        Batch { data: self.data.freeze(), unescaped: Bytes::new(), layout: self.layout }
    }
}

impl<'a> Request<'a> {
    /// The number of arguments, the command's name included; at least 1.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a request has at least the command's name")]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The argument at `index`; 0 is the command's name.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.ranges.get(index).map(|range| self.batch.bytes(*range))
    }

    /// The arguments, beginning with the command's name.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let batch = self.batch;
        self.ranges.iter().map(move |range| batch.bytes(*range))
    }

    /// The request that begins at an argument.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`Request::len`].
    pub fn from(&self, index: usize) -> Request<'a> {
        assert!(index < self.ranges.len(), "a request has a name");
        Request { batch: self.batch, ranges: &self.ranges[index..] }
    }

    /// The argument at `index` as a slice that shares, and keeps alive, the buffer of the whole batch.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`Request::len`].
    pub fn shared(&self, index: usize) -> Bytes {
        let range = self.ranges[index];
        let (start, end) = (range.start as usize, range.end as usize);
        if range.start & ArgumentRange::UNESCAPED == 0 {
            self.batch.data.slice(start..end)
        } else {
            self.batch.unescaped.slice(start & !(ArgumentRange::UNESCAPED as usize)..end)
        }
    }

    /// Bytes that stay in memory for as long as a shared argument of this batch does.
    pub fn pinned_bytes(&self) -> usize {
        self.batch.data.len().max(self.batch.unescaped.len())
    }
}

/// # Panics
///
/// When the index is not below [`Request::len`].
impl Index<usize> for Request<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.batch.bytes(self.ranges[index])
    }
}

impl Layout {
    /// Entries kept for the next batch. More than a usual pipeline needs would burden every idle connection.
    const KEPT_ENTRIES: usize = 512;

    pub(crate) fn memory_bytes(&self) -> usize {
        self.ranges.capacity() * size_of::<ArgumentRange>() + self.ends.capacity() * size_of::<u32>()
    }

    /// Empties it; whether its memory is worth keeping.
    pub(crate) fn reuse(&mut self) -> bool {
        self.ranges.clear();
        self.ends.clear();
        self.ranges.capacity() <= Self::KEPT_ENTRIES && self.ends.capacity() <= Self::KEPT_ENTRIES
    }
}

impl ArgumentRange {
    /// Marks a range of the unescaped buffer.
    const UNESCAPED: u32 = 1 << 31;

    #[inline]
    pub(crate) fn received(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < Self::UNESCAPED as usize);
        ArgumentRange { start: start as u32, end: end as u32 }
    }

    pub(crate) fn unescaped(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < Self::UNESCAPED as usize);
        ArgumentRange { start: start as u32 | Self::UNESCAPED, end: end as u32 }
    }

    /// The bytes it stands for.
    #[inline]
    pub(crate) fn of<'a>(self, received: &'a [u8], unescaped: &'a [u8]) -> &'a [u8] {
        let (start, end) = (self.start as usize, self.end as usize);
        if self.start & Self::UNESCAPED == 0 {
            &received[start..end]
        } else {
            &unescaped[start & !(Self::UNESCAPED as usize)..end]
        }
    }

    /// The same received bytes, seen from a front that lies `by` bytes further on.
    pub(crate) fn moved_back(self, by: usize) -> Self {
        debug_assert!(self.start & Self::UNESCAPED == 0 && self.start as usize >= by);
        ArgumentRange { start: self.start - by as u32, end: self.end - by as u32 }
    }
}
