//! Reading a log that is damaged, as far as it can be read: what does not check is passed over and noted, and reading goes
//! on at the next place where a valid frame says that it stands there.
//!
//! ```text
//!  segments  ├── frames ──┤ damage ├── frames ──┤   │ missing │   ├── frames ──┤ torn tail
//!                         ▲        ▲ LSN equals position, checksum holds
//!                         └────────┴─ put aside; keys whose change stands on what is gone are lost
//! ```
//!
//! Frames count by themselves here: a transaction that damage has cut counts as far as it is there. What is gone cannot be
//! told in full: a key whose last change stood in a damaged part has the value it had before.

use crate::disk::Disk;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::format::segment;
use crate::log::Lsn;
use crate::log::scan::{self, Loaded};
use crate::recover::replay::Replay;

/// A part of a file that is not what was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where it begins.
    pub offset: u64,
    /// Bytes of it that are there; 0 when they are missing.
    pub bytes: u64,
    /// How it was noticed.
    pub what: &'static str,
}

/// What a damaged log was found to be.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub damages: Vec<Damage>,
    /// Behind everything that was read.
    pub end: Lsn,
    /// Segments that were read, with their first LSNs.
    pub segments: Vec<(u64, Lsn)>,
    pub torn_bytes: u64,
}

/// Reads what can be read. The state is left in `replay`.
pub(super) fn survey(
    disk: &dyn Disk,
    name: &str,
    manifest: &Manifest,
    names: &[String],
    replay: &mut Replay<'_>,
) -> Result<Survey, Error> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|other| segment::parse_name(name, other)).collect();
    numbers.retain(|number| {
        let passed_over = manifest.cuts.iter().any(|cut| cut.segment < *number && *number < cut.next);
        *number >= manifest.first && !passed_over
    });
    numbers.sort_unstable();
    let mut walk = Walk {
        name,
        replay,
        found: Survey::default(),
        at: manifest.base,
        whole: manifest.base,
        durable: manifest.durable,
        last: None,
    };
    let mut expected = manifest.first;
    // The segments that the manifest names must be there; later ones are, if something says so.
    let named = manifest.cuts.last().map_or(manifest.first, |cut| cut.next);
    for number in numbers {
        let Some(loaded) = walk.look(disk, manifest, number)? else {
            continue;
        };
        walk.miss(&mut expected, number, manifest);
        walk.segment(loaded);
        expected = next(manifest, number);
    }
    if expected <= named && (walk.durable > walk.at || expected < named) {
        walk.miss(&mut expected, named + 1, manifest);
    }
    Ok(walk.finish())
}

/// The segment behind another.
fn next(manifest: &Manifest, number: u64) -> u64 {
    manifest.cuts.iter().find(|cut| cut.segment == number).map_or(number + 1, |cut| cut.next)
}

struct Walk<'w, 'r> {
    name: &'w str,
    replay: &'w mut Replay<'r>,
    found: Survey,
    /// Up to where the log was read.
    at: Lsn,
    /// Behind the last whole transaction.
    whole: Lsn,
    durable: Lsn,
    last: Option<Loaded>,
}

impl Walk<'_, '_> {
    /// Loads a segment, one with a damaged header too. `None` when it is not in use.
    fn look(&mut self, disk: &dyn Disk, manifest: &Manifest, number: u64) -> Result<Option<Loaded>, Error> {
        let end = manifest.cuts.iter().find(|cut| cut.segment == number).map(|cut| cut.end);
        if let Some((header, mut loaded)) = Loaded::load(disk, self.name, manifest.id, number)? {
            loaded.end = end;
            return Ok((header.epoch <= manifest.epoch).then_some(loaded));
        }
        let Some(mut loaded) = Loaded::assume(disk, self.name, manifest.id, number, self.at)? else { return Ok(None) };
        if !loaded.begin_at_first_frame(self.at) {
            return Ok(None);
        }
        loaded.end = end;
        self.note(number, 0, segment::HEADER, "the segment's header is damaged");
        Ok(Some(loaded))
    }

    /// Notes the segments from `expected` to before `number`, which are not there.
    fn miss(&mut self, expected: &mut u64, number: u64, manifest: &Manifest) {
        while *expected < number {
            self.note(*expected, 0, 0, "the segment is missing, or nothing in it can be read");
            *expected = next(manifest, *expected);
        }
    }

    fn segment(&mut self, loaded: Loaded) {
        if loaded.base > self.at {
            self.skip_to(loaded.base, "the log ends before it goes on in another segment");
        }
        self.found.segments.push((loaded.number, loaded.base));
        self.last = Some(loaded);
        while let Some(frames) = self.frames() {
            self.skip_to(frames, "frames that were written here are not valid");
        }
    }

    /// Applies the frames from here on. Where valid ones follow behind some that are not.
    fn frames(&mut self) -> Option<Lsn> {
        let loaded = self.last.take()?;
        while let Some(frame) = loaded.frame(self.at) {
            let mut sound = self.replay.apply(&frame);
            if !sound {
                // Perhaps only what stood before it is missing.
                self.replay.pass_gap(frame.lsn);
                self.replay.records -= 1;
                sound = self.replay.apply(&frame);
            }
            if !sound {
                let (offset, bytes) = loaded.bytes_between(frame.lsn, frame.lsn + frame.padded as u64);
                self.note(loaded.number, offset, bytes, "a frame's checksum holds but its content makes no sense");
                self.replay.pass_gap(frame.lsn + frame.padded as u64);
            }
            self.durable = self.durable.max(scan::mark_of(&frame).unwrap_or(0));
            self.at += frame.padded as u64;
            if frame.last {
                self.whole = self.at;
            }
        }
        let next = loaded.next_frame(self.at).or(loaded.end.filter(|end| *end > self.at));
        self.last = Some(loaded);
        next
    }

    /// What lies from here to there is damaged.
    fn skip_to(&mut self, to: Lsn, what: &'static str) {
        if let Some(last) = &self.last {
            let (offset, bytes) = last.bytes_between(self.at, to);
            let number = last.number;
            self.note(number, offset, bytes, what);
        }
        self.replay.pass_gap(to);
        self.at = to;
    }

    fn note(&mut self, number: u64, offset: u64, bytes: u64, what: &'static str) {
        self.found.damages.push(Damage { file: segment::file_name(self.name, number), offset, bytes, what });
    }

    fn finish(mut self) -> Survey {
        if self.durable > self.at {
            self.skip_to(self.durable, "the log ends before what was durable");
        } else if let Some(last) = &self.last {
            self.found.torn_bytes = last.bytes_behind(self.whole.max(last.base));
        }
        self.replay.drop_unfinished();
        self.found.end = self.at;
        self.found
    }
}
