//! Reading a value back from the log: begun by who wants it, filled by who can wait for the disk, ended by who began it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{Fetched, Want, stored_of};
use crate::disk::ring::Read;
use crate::disk::{self, File};
use crate::error::Error;
use crate::failpoint;
use crate::format::blob::Reference;
use crate::format::frame::{self, Frame, Kind, Seed};
use crate::format::{StoreId, lost, segment};
use crate::keyspace::entry::{Entry, Stored};
use crate::log::Lsn;
use crate::store::{MAX_VALUE, Store};

/// Bytes that are read by the thread that wants them: to copy more would hold it up, even from the kernel's memory.
pub const LONGEST_PIECE: usize = 64 << 10;

/// A value on its way. Its memory is taken and given back by the thread that wants it, however many read for it.
pub struct Reading {
    want: Want,
    bytes: Vec<u8>,
    /// The bytes are those of a frame at this position in the segment of this number.
    filled: Option<(Lsn, u64)>,
    /// The value, if it has a file of its own.
    blob: Option<Bytes>,
}

/// Where a frame lies.
struct Place {
    file: Arc<dyn File>,
    /// Its position, and the number of its segment.
    at: (Lsn, u64),
    offset: u64,
}

impl Reading {
    /// Takes the memory. Nothing was read yet.
    pub fn new(want: Want, store: &Store) -> Reading {
        let bytes = vec![0; want.frame_bytes(store.blobs().contains(want.lsn))];
        Reading { want, bytes, filled: None, blob: None }
    }

    /// What is being read.
    pub fn want(&self) -> &Want {
        &self.want
    }

    /// Reads, in one piece. Blocks on the disk; holds no lock meanwhile. When the key has changed since it was wanted this may
    /// fail, and then nothing is wrong.
    pub fn fill(&mut self, store: &Store) -> Result<(), Error> {
        let at = store.moved().readable(self.want.lsn);
        self.fill_from(at, store).or_else(|error| match store.moved().readable(self.want.lsn) {
            // It has become durable where it was moved to, and what it was moved from is gone.
            now if now != at => self.fill_from(now, store),
            _ => Err(error),
        })
    }

    fn fill_from(&mut self, lsn: Lsn, store: &Store) -> Result<(), Error> {
        failpoint::hit("spill.read")?;
        let (number, base) = store.segment_of(lsn);
        let name = segment::file_name(&store.options().name, number);
        let offset = segment::HEADER + lsn.saturating_sub(base);
        let file = store.segment_files().open(store.disk(), number, &name)?;
        match read_frame(&*file, &mut self.bytes, offset) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::Corrupt { file: name, offset, what: "the segment is cut short" });
            }
            read => read?,
        }
        self.filled = Some((lsn, number));
        if store.blobs().contains(self.want.lsn)
            && let Ok(frame) = self.frame(lsn, number, store)
            && let Some(reference) = Reference::parse(frame.value)
        {
            self.blob = store.blobs().read(&reference, MAX_VALUE as u64)?;
        }
        Ok(())
    }

    /// The same if the kernel has it in memory: then it takes no longer than a copy. Whether it has.
    pub fn fill_cached(&mut self, store: &Store) -> bool {
        let Some(Place { file, at, offset }) = self.place(store) else { return false };
        let is_read =
            matches!(file.read_cached_at(&mut self.bytes, offset), Ok(Some(read)) if read == self.bytes.len());
        if is_read {
            self.filled = Some(at);
        }
        is_read
    }

    /// The same as a read for somebody else to do, which takes the memory along until [`Reading::filled`]. `None` when it is
    /// not one short read of an open file that the kernel knows.
    pub fn begin(&mut self, store: &Store) -> Option<Read> {
        let Place { file, at, offset } = self.place(store)?;
        file.descriptor()?;
        self.filled = Some(at);
        Read::new(file, std::mem::take(&mut self.bytes), offset)
    }

    /// What [`Reading::begin`] has asked for was read.
    pub fn filled(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// Where it lies, if one short read of an open file is enough.
    fn place(&self, store: &Store) -> Option<Place> {
        if self.bytes.len() > LONGEST_PIECE || store.blobs().contains(self.want.lsn) {
            return None;
        }
        let lsn = store.moved().readable(self.want.lsn);
        failpoint::hit("spill.read").ok()?;
        let (number, base) = store.segment_of(lsn);
        let file = store.segment_files().opened(number)?;
        Some(Place { file, at: (lsn, number), offset: segment::HEADER + lsn.saturating_sub(base) })
    }

    /// Checks what was read and makes an entry of it.
    pub fn finish(&self, store: &Store) -> Result<Fetched, Error> {
        let (lsn, number) = self.filled.unwrap_or_default();
        let frame = self.frame(lsn, number, store).ok();
        if let Some(place) = frame.filter(|of| of.kind == Kind::Lost).and_then(|of| lost::Place::parse(of.value)) {
            let file = lost::file_name(&store.options().name, place.segment);
            return Err(Error::Corrupt { file, offset: place.offset, what: lost::WHAT });
        }
        self.entry(lsn, number, store).map_err(|what| Error::Corrupt {
            file: segment::file_name(&store.options().name, number),
            offset: segment::HEADER + lsn.saturating_sub(store.segment_of(lsn).1),
            what,
        })
    }

    fn frame(&self, lsn: Lsn, number: u64, store: &Store) -> Result<Frame<'_>, &'static str> {
        frame_of(&self.want, lsn, number, store.id(), &self.bytes)
    }

    fn entry(&self, lsn: Lsn, number: u64, store: &Store) -> Result<Fetched, &'static str> {
        entry_of(&self.want, &self.frame(lsn, number, store)?, self.blob.clone())
    }
}

/// Reads a frame, or what there is of it: where a value was lost a shorter one stands than the one that is wanted.
pub(crate) fn read_frame(file: &dyn File, bytes: &mut Vec<u8>, offset: u64) -> io::Result<()> {
    let read = disk::read_exact_at(file, bytes, offset);
    let there = match read {
        Err(ref e) if e.kind() == io::ErrorKind::UnexpectedEof => file.len()?.saturating_sub(offset),
        read => return read,
    };
    if there < frame::HEADER as u64 || there >= bytes.len() as u64 {
        return read;
    }
    bytes.truncate(there as usize);
    disk::read_exact_at(file, bytes, offset)
}

/// The frame at a position in a segment, checked, that holds what is wanted.
pub(crate) fn frame_of<'b>(
    want: &Want,
    lsn: Lsn,
    number: u64,
    id: StoreId,
    bytes: &'b [u8],
) -> Result<Frame<'b>, &'static str> {
    let frame = frame::parse(bytes, lsn, &Seed::new(id, number)).ok_or("a frame that was durable is not valid")?;
    match frame.key == want.key && frame.database == want.database {
        true => Ok(frame),
        false => Err("the frame is of another key"),
    }
}

/// What a frame makes of what is wanted, with the value if that has a file of its own.
pub(crate) fn entry_of(want: &Want, frame: &Frame<'_>, blob: Option<Bytes>) -> Result<Fetched, &'static str> {
    let stored = match frame.kind {
        Kind::Image => stored_of(frame.value_type, frame.value),
        Kind::Blob => Some(Stored::own(blob.ok_or("the file of a large value is missing")?)),
        Kind::Lost => return Err(lost::WHAT),
        _ => None,
    };
    let stored = stored.ok_or("a frame's checksum holds but its content makes no sense")?;
    let entry = Entry::new(&want.key, stored, want.deadline, want.lsn);
    Ok(Fetched { database: want.database, entry: Arc::new(entry), idle: want.idle })
}

impl Store {
    /// Reads a value back from the log and checks it. Blocks on the disk.
    pub fn read(&self, want: &Want) -> Result<Fetched, Error> {
        let mut reading = Reading::new(want.clone(), self);
        reading.fill(self)?;
        reading.finish(self)
    }
}
