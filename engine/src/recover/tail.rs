//! The valid end of the log, of which nothing says that it is durable: it is made so before anyone is told of it.
//!
//! It is copied into new segments. On a disk without space for that it is written again where it lies.

use std::sync::Arc;

use crate::disk::{self, Disk, File};
use crate::error::Error;
use crate::format::StoreId;
use crate::format::frame::{self, Seed};
use crate::format::segment::{self, Header};
use crate::log::Lsn;
use crate::log::scan::Loaded;
use crate::mutant::planted;

/// Segments written by a recovery, with their first LSNs.
pub(super) type Copied = Vec<(u64, Lsn)>;

/// Copies frames into new segments under their own LSNs.
pub(super) struct Tail<'a> {
    pub disk: &'a dyn Disk,
    pub name: &'a str,
    pub id: StoreId,
    pub epoch: u64,
    pub limit: u64,
    /// The segments made, with their first LSNs.
    pub made: Copied,
    /// The number of the next.
    pub next: u64,
}

impl Tail<'_> {
    /// Copies the frames from `from` to `to` into new segments.
    pub(super) fn copy(&mut self, segments: &[(u64, Lsn)], from: Lsn, to: Lsn) -> Result<(), Error> {
        let mut out: Vec<u8> = Vec::new();
        let mut base = from;
        let mut at = from;
        for source in holding(segments, from) {
            if at >= to {
                break;
            }
            let Some((_, segment)) = Loaded::load(self.disk, self.name, self.id, source)? else { continue };
            while at < to
                && let Some(frame) = segment.frame(at)
            {
                if !out.is_empty() && segment::HEADER + out.len() as u64 + frame.padded as u64 > self.limit {
                    self.write(base, &out)?;
                    base = at;
                    out.clear();
                }
                let start = out.len();
                out.extend_from_slice(segment.frame_bytes(&frame));
                let body = frame::body_checksum(&out[start..]);
                frame::seal(&mut out[start..], body, at, &Seed::new(self.id, self.next));
                at += frame.padded as u64;
            }
        }
        if at != to {
            let file = segment::file_name(self.name, segments.last().map_or(0, |(number, _)| *number));
            return Err(Error::Corrupt { file, offset: 0, what: "the tail changed while it was copied" });
        }
        if !out.is_empty() {
            self.write(base, &out)?;
        }
        self.disk.sync_dir()?;
        Ok(())
    }

    fn write(&mut self, base: Lsn, frames: &[u8]) -> Result<(), Error> {
        let number = self.next;
        // Counted before it is whole, so that what becomes of it half is undone too.
        self.made.push((number, base));
        self.next += 1;
        let name = segment::file_name(self.name, number);
        let file: Arc<dyn File> = self.disk.create(&name)?;
        let header = Header { id: self.id, number, base, epoch: self.epoch, used: false };
        disk::write_all_at(&*file, &header.encode(), 0)?;
        disk::write_all_at(&*file, frames, segment::HEADER)?;
        if !planted("tail_not_made_durable") {
            file.sync()?;
        }
        Ok(())
    }

    /// Removes the copies that were made. Their numbers are not used again: a removal may come undone.
    pub(super) fn undo(&mut self) {
        for (number, _) in self.made.drain(..) {
            // What stays behind is of an opening that no manifest knows.
            let _ = self.disk.remove(&segment::file_name(self.name, number));
        }
    }

    /// Writes the frames from `from` to `to` again where they are. Pages that a failed sync has left clean are dirty then,
    /// and the sync that follows saves them or fails. The bytes are the same: no crash in here changes what is found.
    pub(super) fn write_again(&self, segments: &[(u64, Lsn)], from: Lsn, to: Lsn) -> Result<(), Error> {
        let mut at = from;
        for number in holding(segments, from) {
            let Some((header, segment)) = Loaded::load(self.disk, self.name, self.id, number)? else { continue };
            let file = self.disk.open(&segment::file_name(self.name, number))?;
            while at < to
                && let Some(frame) = segment.frame(at)
            {
                let offset = segment::HEADER + at - segment.base;
                disk::write_all_at(&*file, segment.frame_bytes(&frame), offset)?;
                at += frame.padded as u64;
            }
            disk::write_all_at(&*file, &header.encode(), 0)?;
            if !planted("tail_not_made_durable") {
                file.sync()?;
            }
        }
        self.disk.sync_dir()?;
        Ok(())
    }
}

/// Numbers of the segments that hold what begins at `from`.
fn holding(segments: &[(u64, Lsn)], from: Lsn) -> impl Iterator<Item = u64> {
    let first = segments.partition_point(|(_, base)| *base <= from).saturating_sub(1);
    segments[first.min(segments.len())..].iter().map(|(number, _)| *number)
}
