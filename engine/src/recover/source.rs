//! Values that are read back from a log while it is being replayed, or that has no store yet.

use parking_lot::Mutex;

use crate::blobs::Blobs;
use crate::cold::read::{entry_of, frame_of, read_frame};
use crate::cold::{Fetched, SegmentFiles, Want};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::format::blob::Reference;
use crate::format::frame::{self, Frame, Kind, Seed};
use crate::format::{StoreId, segment, u32_at};
use crate::log::Lsn;
use crate::store::MAX_VALUE;

/// The segments that were found so far.
pub(super) struct Source<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    id: StoreId,
    /// Numbers and first LSNs, in order.
    segments: Mutex<Vec<(u64, Lsn)>>,
    files: SegmentFiles,
}

impl<'a> Source<'a> {
    /// Of a store some of whose segments are known.
    pub(super) fn new(disk: &'a dyn Disk, name: &'a str, id: StoreId, segments: Vec<(u64, Lsn)>) -> Source<'a> {
        Source { disk, name, id, segments: Mutex::new(segments), files: SegmentFiles::default() }
    }

    /// Those that are known in the end.
    pub(super) fn into_segments(self) -> Vec<(u64, Lsn)> {
        self.segments.into_inner()
    }

    /// The next segment.
    pub(super) fn add(&self, number: u64, base: Lsn) {
        let mut segments = self.segments.lock();
        if segments.last().is_none_or(|(last, _)| number > *last) {
            segments.push((number, base));
        }
    }

    /// Visits the frames from one to another, each of which must be valid.
    pub(super) fn frames(&self, from: Lsn, last: Lsn, visit: &mut dyn FnMut(&Frame<'_>)) -> Result<(), String> {
        let mut at = from;
        let mut bytes = Vec::new();
        while at <= last {
            let (number, base) = self.segment_of(at);
            let offset = segment::HEADER + at.saturating_sub(base);
            let file = self.files.open(self.disk, number, &segment::file_name(self.name, number));
            let file = file.map_err(|error| error.to_string())?;
            bytes.resize(frame::HEADER, 0);
            disk::read_exact_at(&*file, &mut bytes, offset).map_err(|error| error.to_string())?;
            let length = frame::padded(u32_at(&bytes, 4) as usize);
            if (frame::HEADER..=frame::padded(frame::MAX_FRAME)).contains(&length) {
                bytes.resize(length, 0);
                disk::read_exact_at(&*file, &mut bytes, offset).map_err(|error| error.to_string())?;
            }
            let frame = frame::parse(&bytes, at, &Seed::new(self.id, number));
            let frame = frame.ok_or_else(|| format!("a frame at byte {offset} of segment {number} is not valid"))?;
            visit(&frame);
            at += frame.padded as u64;
        }
        Ok(())
    }

    /// The segment that holds a position.
    fn segment_of(&self, lsn: Lsn) -> (u64, Lsn) {
        let segments = self.segments.lock();
        let behind = segments.partition_point(|(_, base)| *base <= lsn);
        behind.checked_sub(1).map_or((0, 0), |at| segments[at])
    }

    /// Reads a value that lies in one frame.
    pub(super) fn read(&self, want: &Want, is_blob: bool, blobs: &Blobs) -> Result<Fetched, Error> {
        self.with_frame(want, is_blob, |frame, corrupt| {
            let reference = if frame.kind == Kind::Blob { Reference::parse(frame.value) } else { None };
            let blob = reference.map(|reference| blobs.read(&reference, MAX_VALUE as u64)).transpose()?.flatten();
            entry_of(want, frame, blob).map_err(corrupt)
        })
    }

    /// Reads the image of a value that lies in one frame, as it stands there.
    pub(super) fn image(&self, want: &Want, is_blob: bool) -> Result<Vec<u8>, Error> {
        self.with_frame(want, is_blob, |frame, _| Ok(frame.value.to_vec()))
    }

    fn with_frame<T>(
        &self,
        want: &Want,
        is_blob: bool,
        take: impl FnOnce(&Frame<'_>, &dyn Fn(&'static str) -> Error) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (number, base) = self.segment_of(want.lsn);
        let name = segment::file_name(self.name, number);
        let offset = segment::HEADER + want.lsn.saturating_sub(base);
        let file = self.files.open(self.disk, number, &name)?;
        let mut bytes = vec![0; want.frame_bytes(is_blob)];
        read_frame(&*file, &mut bytes, offset)?;
        let corrupt = |what| Error::Corrupt { file: name.clone(), offset, what };
        let frame = frame_of(want, want.lsn, number, self.id, &bytes).map_err(corrupt)?;
        take(&frame, &corrupt)
    }
}
