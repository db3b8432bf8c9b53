//! A file from its front: bytes as they come, where they lie, and the checksum of all that was taken.

use std::io::{self, Read};

use crc::{Digest, Table};

use super::error::Problem;
use crate::footer::CRC_64;

const BUFFER_BYTES: usize = 256 << 10;

/// A file being read. Nothing is kept but one buffer.
pub(super) struct Source<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer was taken.
    at: usize,
    /// What of the buffer is in the checksum.
    summed: usize,
    /// Where the buffer lies in the file.
    buffer_offset: u64,
    digest: Digest<'static, u64, Table<16>>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Source<R> {
        Source { input, buffer: Vec::new(), at: 0, summed: 0, buffer_offset: 0, digest: CRC_64.digest() }
    }

    /// Where the next byte lies.
    pub(super) fn offset(&self) -> u64 {
        self.buffer_offset + self.at as u64
    }

    /// The checksum of everything that was taken.
    pub(super) fn checksum(&mut self) -> u64 {
        self.sum();
        self.digest.clone().finalize()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Problem> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        let mut filled = 0;
        while filled < N {
            let piece = self.piece(N - filled)?;
            array[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        Ok(array)
    }

    /// Puts the next `count` bytes behind `out`, which grows with what has come, not with what was promised.
    pub(super) fn append(&mut self, out: &mut Vec<u8>, mut count: u64) -> Result<(), Problem> {
        // A planted bug: memory for what was promised instead of what has come.
        #[cfg(feature = "mutants")]
        out.reserve(usize::try_from(count.min(1 << 40)).unwrap_or(usize::MAX));
        while count > 0 {
            let piece = self.piece(usize::try_from(count).unwrap_or(usize::MAX))?;
            out.extend_from_slice(piece);
            count -= piece.len() as u64;
        }
        Ok(())
    }

    /// What was not taken: bytes that were read already, and what the file still has.
    pub(super) fn into_rest(self) -> impl Read {
        let mut rest = self.buffer;
        rest.drain(..self.at);
        io::Cursor::new(rest).chain(self.input)
    }

    /// Some of the next `most` bytes, which must not be 0.
    fn piece(&mut self, most: usize) -> Result<&[u8], Problem> {
        if self.at == self.buffer.len() {
            self.fill()?;
        }
        let start = self.at;
        self.at += most.min(self.buffer.len() - start);
        Ok(&self.buffer[start..self.at])
    }

    fn fill(&mut self) -> Result<(), Problem> {
        self.sum();
        self.buffer_offset += self.buffer.len() as u64;
        (self.at, self.summed) = (0, 0);
        self.buffer.resize(BUFFER_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Problem::Truncated),
            Ok(_) => Ok(()),
            Err(error) => Err(Problem::Io(error)),
        }
    }

    fn sum(&mut self) {
        self.digest.update(&self.buffer[self.summed..self.at]);
        self.summed = self.at;
    }
}
