//! Reading a log from the front: what is a frame, what is a tail, what is corruption.
//!
//! The log ends at the first place where no valid frame stands, unless a mark found *behind* that place says that it
//! was durable once: then it is corruption. Such marks are looked for at every aligned offset whose LSN equals its
//! position and whose checksum holds, in the rest of the segment and in all later ones.

use std::io;
use std::sync::Arc;

use super::Lsn;
use crate::disk::{self, Disk, File};
use crate::error::Error;
use crate::format::frame::{self, ALIGN, Frame, Kind, Seed};
use crate::format::manifest::Manifest;
use crate::format::segment::{self, Header};
use crate::format::{StoreId, u32_at, u64_at};
use crate::mutant::planted;

/// Largest segment file that is read.
pub const MAX_SEGMENT: u64 = 1 << 30;

/// Where a frame says at which LSN it stands.
const LSN_AT: usize = 8;

const _: () = assert!(LSN_AT + ALIGN == frame::HEADER, "a place is all of a header from the LSN on");

/// Zeros that are passed over at once.
const ZEROS: usize = 256;

/// A segment that should be there is not.
pub(crate) const MISSING: &str = "the segment is missing or its header is damaged";

/// One segment in memory.
pub struct Loaded {
    /// Its number.
    pub number: u64,
    /// LSN of its first frame.
    pub base: Lsn,
    /// Where it ends, when a cut in the manifest says so.
    pub end: Option<Lsn>,
    bytes: Vec<u8>,
    seed: Seed,
    /// What lies behind the frames may be of a segment that the file held before.
    used: bool,
}

impl Loaded {
    /// Reads the segment whole. `None` when its header is not in use, or of another opening than expected.
    pub fn load(disk: &dyn Disk, store: &str, id: StoreId, number: u64) -> io::Result<Option<(Header, Loaded)>> {
        let Some(header) = read_header(disk, store, id, number)? else { return Ok(None) };
        let loaded = Loaded::assume(disk, store, id, number, header.base)?;
        Ok(loaded.map(|loaded| (header, Loaded { used: header.used, ..loaded })))
    }

    /// Reads the segment whole and takes it to begin at `base`, whatever its header says. `None` when there is none.
    pub(crate) fn assume(
        disk: &dyn Disk,
        store: &str,
        id: StoreId,
        number: u64,
        base: Lsn,
    ) -> io::Result<Option<Loaded>> {
        let name = segment::file_name(store, number);
        let Some(file) = open(disk, &name)? else { return Ok(None) };
        let length = file.len()?;
        if length > MAX_SEGMENT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is longer than any segment")));
        }
        let mut bytes = vec![0; length as usize];
        disk::read_exact_at(&*file, &mut bytes, 0)?;
        Ok(Some(Loaded { number, base, end: None, bytes, seed: Seed::new(id, number), used: false }))
    }

    /// Bytes of its file.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The frame at a position; `None` when there is none that is valid.
    pub fn frame(&self, lsn: Lsn) -> Option<Frame<'_>> {
        if self.end.is_some_and(|end| lsn >= end) {
            return None;
        }
        let offset = usize::try_from(segment::HEADER + lsn.checked_sub(self.base)?).ok()?;
        frame::parse(self.bytes.get(offset..)?, lsn, &self.seed)
    }

    /// The frame at a position where one was found to be valid before.
    pub fn checked_frame(&self, lsn: Lsn) -> Option<Frame<'_>> {
        let offset = usize::try_from(segment::HEADER + lsn.checked_sub(self.base)?).ok()?;
        frame::parse_checked(self.bytes.get(offset..)?, lsn)
    }

    /// The bytes of a valid frame, to be copied to another segment.
    pub fn frame_bytes(&self, frame: &Frame<'_>) -> &[u8] {
        let offset = (segment::HEADER + frame.lsn - self.base) as usize;
        &self.bytes[offset..offset + frame.padded]
    }

    /// Bytes behind a position up to the last that is not zero. In a file that was used before: up to the end of the last
    /// frame that says it stands in its place, whole or not.
    pub fn bytes_behind(&self, lsn: Lsn) -> u64 {
        let from = (segment::HEADER + lsn.saturating_sub(self.base)) as usize;
        if self.used {
            let ends = self.places_from(from).map(|(offset, _)| self.claimed_end(offset));
            return ends.max().map_or(0, |end| (end - from) as u64);
        }
        let mut behind = self.bytes.get(from..).unwrap_or_default();
        // Segments are made ahead full of zeros: whole pieces of them go first, at the speed of memory.
        while let Some((rest, piece)) = behind.split_last_chunk::<ZEROS>()
            && piece == &[0; ZEROS]
        {
            behind = rest;
        }
        behind.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1)
    }

    /// Offsets from one on at which the LSN of the place stands, and that LSN: frames, or what is left of them.
    fn places_from(&self, offset: usize) -> impl Iterator<Item = (usize, Lsn)> {
        // Each holds the LSN and the rest of the shortest header.
        let places = self.bytes.get(offset + LSN_AT..).unwrap_or_default().as_chunks::<ALIGN>().0;
        let first = self.base.wrapping_add((offset as u64).wrapping_sub(segment::HEADER));
        places.iter().enumerate().filter_map(move |(index, place)| {
            let here = first.wrapping_add((index * ALIGN) as u64);
            (u64_at(place, 0) == here).then_some((offset + index * ALIGN, here))
        })
    }

    /// Where a frame ends by the length that it names, if that is one.
    fn claimed_end(&self, offset: usize) -> usize {
        let length = u32_at(&self.bytes, offset + 4) as usize;
        (offset + frame::padded(length.clamp(frame::HEADER, frame::MAX_FRAME))).min(self.bytes.len())
    }

    /// Lets the segment begin where its first valid frame says, and not before `least`. Whether there is such a frame: for one
    /// whose header is damaged.
    pub(crate) fn begin_at_first_frame(&mut self, least: Lsn) -> bool {
        let mut offset = segment::HEADER as usize;
        while offset + frame::HEADER <= self.bytes.len() {
            let lsn = u64_at(&self.bytes, offset + 8);
            let base = lsn.checked_sub(offset as u64 - segment::HEADER).filter(|base| *base >= least);
            if let Some(base) = base
                && frame::parse(&self.bytes[offset..], lsn, &self.seed).is_some()
            {
                self.base = base;
                return true;
            }
            offset += ALIGN;
        }
        false
    }

    /// Whether the log is known to come to a position in this segment: it begins there, or a valid frame begins or ends there.
    pub(crate) fn comes_to(&self, lsn: Lsn) -> bool {
        let before = self.places_from(segment::HEADER as usize).map(|(_, here)| here).take_while(|here| *here < lsn);
        let mut frames_before = before.filter_map(|here| self.frame(here));
        lsn == self.base
            || self.frame(lsn).is_some()
            || frames_before.any(|frame| frame.lsn + frame.padded as u64 == lsn)
    }

    /// Where the first valid frame at or behind a position stands.
    pub(crate) fn next_frame(&self, lsn: Lsn) -> Option<Lsn> {
        let offset = (segment::HEADER + lsn.saturating_sub(self.base)) as usize;
        self.places_from(offset).map(|(_, here)| here).find(|here| self.frame(*here).is_some())
    }

    /// Where a position stands in the file, and how many of the bytes up to another are there.
    pub(crate) fn bytes_between(&self, from: Lsn, to: Lsn) -> (u64, u64) {
        let offset = segment::HEADER + from.saturating_sub(self.base);
        (offset, (to - from).min((self.bytes.len() as u64).saturating_sub(offset)))
    }

    /// The highest mark in a valid frame at or behind a position.
    fn highest_mark_from(&self, lsn: Lsn) -> Option<Lsn> {
        let offset = (segment::HEADER + (lsn - self.base)) as usize;
        let parse = |(offset, here)| frame::parse_mark(&self.bytes[offset..], here, &self.seed);
        self.places_from(offset).filter_map(parse).filter_map(|mark| mark_of(&mark)).max()
    }
}

/// The durable position a mark frame names.
pub fn mark_of(frame: &Frame<'_>) -> Option<Lsn> {
    (frame.kind == Kind::Mark && !planted("batch_mark_ignored") && frame.value.len() >= 8)
        .then(|| u64_at(frame.value, 0))
}

fn open(disk: &dyn Disk, name: &str) -> io::Result<Option<Arc<dyn File>>> {
    match disk.open(name) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The header of a segment, if there is one that is valid and this segment's.
pub(super) fn read_header(disk: &dyn Disk, store: &str, id: StoreId, number: u64) -> io::Result<Option<Header>> {
    Ok(header_of(disk, store, number)?.filter(|header| header.id == id))
}

/// The same, whichever store wrote it.
pub(crate) fn header_of(disk: &dyn Disk, store: &str, number: u64) -> io::Result<Option<Header>> {
    let Some(file) = open(disk, &segment::file_name(store, number))? else { return Ok(None) };
    let mut bytes = [0; segment::HEADER as usize];
    match disk::read_exact_at(&*file, &mut bytes, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    Ok(Header::parse(&bytes).filter(|header| header.number == number))
}

/// Walks the segments of a store in the order of the log.
pub struct Chain<'a> {
    disk: &'a dyn Disk,
    store: &'a str,
    manifest: &'a Manifest,
    next: Option<u64>,
    expected_base: Lsn,
}

impl<'a> Chain<'a> {
    /// Begins at the manifest's first segment.
    pub fn new(disk: &'a dyn Disk, store: &'a str, manifest: &'a Manifest) -> Chain<'a> {
        Chain { disk, store, manifest, next: Some(manifest.first), expected_base: manifest.base }
    }

    /// Number and first LSN of the segment that comes next, as far as is known.
    pub fn next_segment(&self) -> Option<(u64, Lsn)> {
        self.next.map(|number| (number, self.expected_base))
    }

    /// Passes over the segments that end at or before a position; their numbers and first LSNs. `None` when there are not all
    /// of them.
    pub fn skip_to(&mut self, start: Lsn) -> io::Result<Option<Vec<(u64, Lsn)>>> {
        let mut passed = Vec::new();
        let Some(mut number) = self.next else { return Ok(None) };
        let header_of = |number| -> io::Result<Option<Header>> {
            let header = read_header(self.disk, self.store, self.manifest.id, number)?;
            Ok(header.filter(|header| header.epoch <= self.manifest.epoch))
        };
        let Some(mut base) = header_of(number)?.map(|header| header.base).filter(|base| *base == self.expected_base)
        else {
            // Nothing has been written behind the base, and no segment begun there: there is none to be passed over.
            let is_empty = self.manifest.durable <= self.expected_base && !planted("checkpoint_of_nothing_refused");
            return Ok(is_empty.then(Vec::new));
        };
        loop {
            let cut = self.manifest.cuts.iter().find(|cut| cut.segment == number);
            let next = cut.map_or(number + 1, |cut| cut.next);
            let follows = header_of(next)?.map(|header| header.base);
            let in_order = |at: &Lsn| *at >= base && cut.is_none_or(|cut| cut.end == *at);
            match follows.filter(in_order).filter(|at| *at <= start) {
                Some(at) => {
                    passed.push((number, base));
                    (number, base) = (next, at);
                }
                None => break,
            }
        }
        (self.next, self.expected_base) = (Some(number), base);
        Ok(Some(passed))
    }

    /// The next segment. `ended_at` is where the caller found the end of the one before.
    pub fn advance(&mut self, ended_at: Option<Lsn>) -> Result<Option<Loaded>, Error> {
        if let Some(end) = ended_at {
            self.expected_base = end;
        }
        let Some(number) = self.next.take() else { return Ok(None) };
        let last_cut = self.manifest.cuts.last();
        let in_force = last_cut.is_none_or(|cut| number >= cut.next);
        let name = segment::file_name(self.store, number);
        let follows = |header: &Header| header.base == self.expected_base && header.epoch <= self.manifest.epoch;
        let loaded = Loaded::load(self.disk, self.store, self.manifest.id, number)?;
        let Some((_, mut loaded)) = loaded.filter(|(header, _)| follows(header)) else {
            // The segments that the manifest names must be there. Later ones exist when they were begun, and then
            // something behind their damaged header may say that it was durable.
            let base = self.expected_base;
            let named = number == self.manifest.first && self.manifest.durable > base;
            let durable = !planted("lost_header_is_the_end") && self.highest_mark_from(number, base)? > Some(base);
            if !in_force || named || durable {
                return Err(Error::Corrupt { file: name, offset: 0, what: MISSING });
            }
            return Ok(None);
        };
        let cut = self.manifest.cuts.iter().find(|cut| cut.segment == number);
        loaded.end = cut.map(|cut| cut.end);
        self.next = Some(cut.map_or(number + 1, |cut| cut.next));
        Ok(Some(loaded))
    }

    /// Whether the next segment begins at this position: then nothing is wrong with a segment that ends there.
    pub fn follows(&self, lsn: Lsn) -> Result<bool, Error> {
        let Some(number) = self.next else { return Ok(false) };
        let header = read_header(self.disk, self.store, self.manifest.id, number)?;
        Ok(header.is_some_and(|header| header.base == lsn && header.epoch <= self.manifest.epoch))
    }

    /// The next segment, if it is not there or nobody can say what it is.
    pub(crate) fn missing(&self) -> Result<Option<u64>, Error> {
        let Some(number) = self.next else { return Ok(None) };
        let header = read_header(self.disk, self.store, self.manifest.id, number)?;
        Ok(header.is_none().then_some(number))
    }

    /// The highest mark in segments of the last opening numbered `from` and up, wherever their frames stand. The first
    /// of them should begin at `base`, and is believed to if its header is damaged.
    pub fn highest_mark_from(&self, from: u64, base: Lsn) -> Result<Option<Lsn>, Error> {
        let mut highest = None;
        for name in self.disk.list()? {
            let Some(number) = segment::parse_name(self.store, &name) else { continue };
            if number < from {
                continue;
            }
            let loaded = match Loaded::load(self.disk, self.store, self.manifest.id, number)? {
                Some((header, loaded)) => (header.epoch == self.manifest.epoch).then_some(loaded),
                None if number == from => Loaded::assume(self.disk, self.store, self.manifest.id, number, base)?,
                None => None,
            };
            highest = highest.max(loaded.and_then(|loaded| loaded.highest_mark_from(loaded.base)));
        }
        Ok(highest)
    }
}

/// Whether the invalid frame at `lsn` is corruption: whether something valid behind it says it was durable.
pub fn is_corruption(chain: &Chain<'_>, segment: &Loaded, lsn: Lsn, known_durable: Lsn) -> Result<bool, Error> {
    if planted("any_bad_record_is_the_end") {
        return Ok(false);
    }
    if lsn < known_durable || segment.end.is_some_and(|end| lsn < end) {
        return Ok(true);
    }
    if segment.end.is_some() {
        return Ok(false);
    }
    let here = segment.highest_mark_from(lsn);
    Ok(here.max(chain.highest_mark_from(segment.number + 1, lsn)?).is_some_and(|mark| mark > lsn))
}
