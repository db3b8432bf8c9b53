//! A segment read from front to back, a piece at a time: for those who walk over it while others need the memory.

use std::io;
use std::sync::Arc;

use super::Lsn;
use super::scan::read_header;
use crate::disk::{self, Disk, File};
use crate::format::frame::{self, Frame, Seed};
use crate::format::{StoreId, segment, u32_at};

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
    /// Opens a segment. `None` when its header is not in use, or damaged.
    pub fn open(disk: &dyn Disk, store: &str, id: StoreId, number: u64) -> io::Result<Option<Window>> {
        let Some(header) = read_header(disk, store, id, number)? else { return Ok(None) };
        let file = disk.open(&segment::file_name(store, number))?;
        let file_bytes = file.len()?;
        let seed = Seed::new(id, number);
        Ok(Some(Window { number, base: header.base, file, file_bytes, seed, bytes: Vec::new(), from: 0 }))
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
