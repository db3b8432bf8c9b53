//! A segment read from front to back, a piece at a time: for those who walk over it while others need the memory.

use std::io;
use std::sync::Arc;

use super::Lsn;
use super::scan::read_header;
use crate::disk::{self, Disk, File};
use crate::format::frame::{self, ALIGN, Frame, Seed};
use crate::format::{StoreId, segment, u32_at, u64_at};

/// Bytes read at once; more only for a frame that is longer.
const PIECE: u64 = 256 << 10;

/// A part of one segment in memory.
pub struct Window {
    /// The segment's number.
    pub number: u64,
    /// LSN of its first frame.
    pub base: Lsn,
    file: Arc<dyn File>,
    file_bytes: u64,
    seed: Seed,
    bytes: Vec<u8>,
    /// Where in the file they begin.
    from: u64,
}

impl Window {
    /// Opens a segment that begins at `base`. Whether its header says so, too.
    pub fn open(disk: &dyn Disk, store: &str, id: StoreId, number: u64, base: Lsn) -> io::Result<(Window, bool)> {
        let holds = read_header(disk, store, id, number)?.is_some_and(|header| header.base == base);
        let file = disk.open(&segment::file_name(store, number))?;
        let file_bytes = file.len()?;
        let seed = Seed::new(id, number);
        Ok((Window { number, base, file, file_bytes, seed, bytes: Vec::new(), from: 0 }, holds))
    }

    /// The frame at a position; `None` when there is none that is valid.
    pub fn frame(&mut self, lsn: Lsn) -> io::Result<Option<Frame<'_>>> {
        let Some(offset) = lsn.checked_sub(self.base).map(|bytes| segment::HEADER + bytes) else { return Ok(None) };
        if !self.hold(offset, frame::HEADER as u64)? {
            return Ok(None);
        }
        let length = u32_at(&self.bytes, (offset - self.from) as usize + 4) as usize;
        if length > frame::MAX_FRAME || !self.hold(offset, frame::padded(length) as u64)? {
            return Ok(None);
        }
        Ok(frame::parse(&self.bytes[(offset - self.from) as usize..], lsn, &self.seed))
    }

    /// Where the first valid frame stands behind a position where there is none, and before another.
    pub fn next_frame(&mut self, lsn: Lsn, before: Lsn) -> io::Result<Option<Lsn>> {
        let mut at = lsn + ALIGN as u64;
        while at < before {
            let offset = segment::HEADER + at - self.base;
            if !self.hold(offset, frame::HEADER as u64)? {
                return Ok(None);
            }
            let is_here = u64_at(&self.bytes, (offset - self.from) as usize + 8) == at;
            if is_here && self.frame(at)?.is_some_and(|frame| at + frame.padded as u64 <= before) {
                return Ok(Some(at));
            }
            at += ALIGN as u64;
        }
        Ok(None)
    }

    /// Sees to it that some bytes of the file are in memory; false when it ends before.
    fn hold(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        if offset >= self.from && offset + length <= self.from + self.bytes.len() as u64 {
            return Ok(true);
        }
        if offset.saturating_add(length) > self.file_bytes {
            return Ok(false);
        }
        let read = length.max(PIECE).min(self.file_bytes - offset) as usize;
        self.bytes.truncate(read);
        self.bytes.shrink_to(2 * PIECE as usize);
        self.bytes.resize(read, 0);
        self.from = offset;
        disk::read_exact_at(&*self.file, &mut self.bytes, offset)?;
        Ok(true)
    }
}
