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

use std::sync::Arc;

use super::find::Finder;
use super::lane::Common;
use super::replay::{self, Lost, Replay, Replayed, Senseless};
use super::source::Source;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::format::{blob, segment};
use crate::keyspace::shard::Shards;
use crate::log::Lsn;
use crate::log::scan::{self, Loaded};

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

/// What a damaged store was found to be.
pub(super) struct Survey {
    /// The keys that can be known.
    pub shards: Shards,
    pub replayed: Replayed,
    pub damages: Vec<Damage>,
    /// The keys that cannot.
    pub lost: Vec<Lost>,
    /// Behind everything that was read.
    pub end: Lsn,
    pub segments: u64,
    pub torn_bytes: u64,
}

/// What was found in a log.
#[derive(Default)]
struct Found {
    /// With the numbers of their segments.
    damages: Vec<(u64, Damage)>,
    end: Lsn,
    segments: u64,
    torn_bytes: u64,
}

impl Finder<'_> {
    /// Reads what can be read.
    pub(super) fn survey(&self, now_ms: u64) -> Result<Survey, Error> {
        let Finder { disk, options, manifest, blobs, names, secrets, keeps_lost } = *self;
        let name = &*options.name;
        let source = Source::new(disk, name, manifest.id);
        let common = Common::new(secrets, blobs, source, options, keeps_lost, manifest.base, now_ms);
        options.progress.begin(self.bytes_from(0));
        let workers = replay::workers(&common, options);
        let read = |replay: &mut Replay<'_>| walk(disk, name, manifest, names, replay);
        let (found, mut replayed) = replay::run_through(&common, options, workers, manifest.durable, None, read)?;
        let Found { damages: mut found, end, segments, torn_bytes } = found?;
        found.extend(replayed.senseless.iter().map(|senseless| {
            let Senseless { segment, offset, bytes, .. } = *senseless;
            let file = segment::file_name(name, segment);
            (segment, Damage { file, offset, bytes, what: Senseless::WHAT })
        }));
        found.sort_by_key(|(segment, damage)| (*segment, damage.offset));
        let mut damages: Vec<Damage> = found.into_iter().map(|(_, damage)| damage).collect();
        let lost = replayed.remove_broken(&common);
        for blob in lost.iter().filter_map(|lost| lost.blob) {
            let file = blob::file_name(name, blob);
            damages.push(Damage { file, offset: 0, bytes: 0, what: "a large value is damaged" });
        }
        replayed.finish(&common)?;
        Ok(Survey { shards: common.shards, replayed, damages, lost, end, segments, torn_bytes })
    }
}

/// Walks over all segments that may be of use.
fn walk(
    disk: &dyn Disk,
    name: &str,
    manifest: &Manifest,
    names: &[String],
    replay: &mut Replay<'_>,
) -> Result<Found, Error> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|other| segment::parse_name(name, other)).collect();
    numbers.retain(|number| {
        let passed_over = manifest.cuts.iter().any(|cut| cut.segment < *number && *number < cut.next);
        *number >= manifest.first && !passed_over
    });
    numbers.sort_unstable();
    let mut walk = Walk {
        name,
        replay,
        found: Found::default(),
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
    found: Found,
    /// Up to where the log was read.
    at: Lsn,
    /// Behind the last whole transaction.
    whole: Lsn,
    durable: Lsn,
    last: Option<Arc<Loaded>>,
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
        self.found.segments += 1;
        let loaded = Arc::new(loaded);
        self.replay.enter(&loaded);
        self.last = Some(loaded);
        while let Some(frames) = self.frames() {
            self.skip_to(frames, "frames that were written here are not valid");
        }
    }

    /// Applies the frames from here on. Where valid ones follow behind some that are not.
    fn frames(&mut self) -> Option<Lsn> {
        let loaded = self.last.clone()?;
        while let Some(frame) = loaded.frame(self.at) {
            let mut fits = self.replay.apply(&frame);
            if !fits {
                // Perhaps only what stood before it is missing.
                self.replay.pass_gap(frame.lsn);
                self.replay.records -= 1;
                fits = self.replay.apply(&frame);
            }
            if !fits {
                let Senseless { segment, offset, bytes, .. } = Senseless::of(&frame, &loaded);
                self.note(segment, offset, bytes, Senseless::WHAT);
                self.replay.pass_gap(frame.lsn + frame.padded as u64);
            }
            self.durable = self.durable.max(scan::mark_of(&frame).unwrap_or(0));
            self.at += frame.padded as u64;
            if frame.last {
                self.whole = self.at;
            }
        }
        loaded.next_frame(self.at).or(loaded.end.filter(|end| *end > self.at))
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
        let file = segment::file_name(self.name, number);
        self.found.damages.push((number, Damage { file, offset, bytes, what }));
    }

    fn finish(mut self) -> Found {
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
