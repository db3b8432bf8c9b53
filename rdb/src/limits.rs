//! What a dump may cost, and how far its checksum is trusted.

use crate::Error;

/// What [`restore`](crate::restore()) may do for a dump.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most that the value may take: its bytes, and the size of what holds them. Three bytes of a dump can unfold
    /// to 264, and each of these to an element. While the value is read, up to four times as much is in use.
    pub memory_bytes: usize,
    /// How far its checksum is trusted.
    pub checksum: Checksum,
}

/// What a value may take that was written in so many bytes: more than any but a hostile one does, which LZF lets unfold to
/// 264 bytes for each three.
#[must_use]
pub fn memory_for(bytes: usize) -> usize {
    const MOST_PER_BYTE: usize = 128;
    (1 << 20) + bytes.saturating_mul(MOST_PER_BYTE)
}

/// How far a checksum is trusted; most of all, what one of zero says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it must match like any other. This is what RESTORE does.
    Required,
    /// That nobody calculated it, as in files written under `rdbchecksum no`.
    ZeroIsUnchecked,
    /// That nothing matters: no checksum is looked at. For tests of what comes behind it.
    Ignored,
}

/// What is left of [`Limits::memory_bytes`].
pub(crate) struct Budget {
    limit_bytes: usize,
    left_bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, left_bytes: limit_bytes }
    }

    /// Takes memory that the value will keep.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(self.exceeded())?;
        Ok(())
    }

    /// Takes memory for `count` elements before any is there.
    pub(crate) fn elements<T>(&mut self, count: usize) -> Result<Vec<T>, Error> {
        self.take(count.saturating_mul(size_of::<T>()))?;
        Ok(Vec::with_capacity(count))
    }

    /// Asks for memory that is given back: what is kept of it is taken later.
    pub(crate) fn borrow(&self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.left_bytes { Ok(()) } else { Err(self.exceeded()) }
    }

    fn exceeded(&self) -> Error {
        Error::TooLarge { limit_bytes: self.limit_bytes }
    }
}
