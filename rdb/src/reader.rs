//! Bytes taken from the front of a slice, as far as they are there.

use crate::Error;
use crate::error::TRUNCATED;

/// What was not read yet.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A signed integer of `N` bytes, little-endian.
    pub(crate) fn signed<const N: usize>(&mut self) -> Result<i64, Error> {
        const { assert!(0 < N && N <= 8) };
        let mut word = [0; 8];
        // At the high end, so that the shift brings the sign along.
        word[8 - N..].copy_from_slice(&self.array::<N>()?);
        Ok(i64::from_le_bytes(word) >> (64 - 8 * N))
    }
}
