//! Opening a store: replay the log, drop what a crash tore, make what is left durable, then serve.
//!
//! ```text
//!  segments   ├──────────── marked durable ────────────┤── valid tail ──┤ torn │ 0000
//!                                                       ▲ cut           ▲ end
//!  new        the tail is copied under its LSNs into ───┘                └── the log goes on here
//! ```
//!
//! Every opening goes on in a segment number never used before. The valid tail was perhaps never synced, or only looks
//! synced; so it is copied into a new segment and synced, then the manifest, swapped atomically, says where the old
//! segments end. Only on a disk without space for the copy is the tail written again where it lies. What lay behind the
//! dropped part of the tail can never come back, what was recovered can never be
//! lost, and a crash at any point in here leaves either the old picture or the new one, which recover to the same state.
//!
//! A checkpoint spares reading the log from its beginning; without one, or when it is damaged, the log alone is enough.

mod check;
mod checkpoint;
mod contents;
mod find;
mod lane;
mod progress;
mod read;
mod rebuild;
mod replay;
mod salvage;
mod source;
mod survey;
mod tail;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::blobs::Blobs;
use crate::checkpoint::Checkpoints;
use crate::clock::Clock;
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::failpoint;
use crate::format::frame;
use crate::format::manifest::{self, Cut, Manifest, Refused};
use crate::format::segment::{self, Header};
use crate::format::{self, StoreId, blob, lost};
use crate::heal;
use crate::log::scan::MAX_SEGMENT;
use crate::log::{Continue, Lengths, Log, Lsn, START, is_full};
use crate::mutant::planted;
use crate::options::Options;
use crate::random::{self, Random};
use crate::store::{self, Parts};
pub use check::{Check, PassedOver, check};
pub use contents::Contents;
use find::{Finder, Found};
pub use progress::Progress;
use read::Read;
pub use replay::Lost;
use replay::Replayed;
pub use salvage::{Salvage, salvage};
pub use survey::Damage;
use tail::{Copied, Tail};

/// What was found when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether there was no store before.
    pub created: bool,
    /// Frames replayed.
    pub records: u64,
    /// Bytes of log replayed.
    pub log_bytes: u64,
    /// Segments read.
    pub segments: u64,
    /// Bytes behind the end of the log that were not zero and were dropped.
    pub dropped_bytes: u64,
    /// Bytes of the log that were copied and synced because nothing said they were durable.
    pub copied_bytes: u64,
    /// The checkpoint that it began with, if there was one.
    pub checkpoint: Option<u64>,
    /// Checkpoints that should have been of use and were not, and why.
    pub refused_checkpoints: Vec<String>,
    /// Segments that compaction had found to be damaged, and that are kept beside the log.
    pub kept_segments: u64,
    /// Microseconds it took.
    pub took_us: u64,
}

pub(crate) fn open(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>, options: &Options) -> Result<Parts, Error> {
    let started_us = clock.monotonic_us();
    let lock = lock(&**disk, options)?;
    let names = disk.list()?;
    let (mut old, created) = match load_manifest(&**disk, &options.name, &names)? {
        Some(manifest) => (manifest, false),
        None => (create(&**disk, options)?, true),
    };
    // Before anything else: without its first segment it would be refused.
    let taken_back = heal::take_back(&**disk, &options.name, old.first, &names)?;
    let names = if taken_back { disk.list()? } else { names };
    let next_blob = next_number(&names, |name| blob::parse_name(&options.name, name));
    let blobs = Blobs::new(disk.clone(), &options.name, old.id, next_blob);
    let secrets = store::secrets(&old.hash_seed);
    let finder = Finder { disk: &**disk, options, manifest: &old, blobs: &blobs, names: &names, secrets, serves: true };
    let Found { shards, replayed, read, checkpoint, refused } = finder.find(clock.wall_ms())?;
    let mut recovery = Recovery {
        created,
        records: replayed.records,
        log_bytes: read.end - read.start,
        checkpoint: checkpoint.map(|of| of.number),
        refused_checkpoints: refused,
        segments: read.segments.len() as u64,
        dropped_bytes: read.dropped_bytes,
        kept_segments: names.iter().filter(|other| lost::is_name(&options.name, other)).count() as u64,
        ..Recovery::default()
    };
    // One that was refused now is not tried again. What is older than the one that was used may be of use yet.
    let usable = |of: &manifest::Checkpoint| checkpoint.is_some_and(|used| of.number <= used.number);
    old.checkpoints.retain(usable);
    let newest_ms = if options.forgets_time { 0 } else { replayed.newest_ms };
    let lengths = lengths(options);
    remove_unused(&**disk, &options.name, &names, old.epoch, &read.segments);
    // A new store's manifest has just been written and its log is empty: there is nothing to settle.
    let (manifest, from, copied) = if created {
        let (number, base, epoch) = (old.first, old.base, old.epoch);
        (old, Continue { number, base, epoch, newest_ms, lengths }, Vec::new())
    } else {
        settle(&**disk, options, old, &read, newest_ms, &names, &mut recovery)?
    };
    let log = Log::new(disk.clone(), clock.clone(), &options.name, manifest.id, options.mode, &from);
    log.make_first_segment();
    let segments = chain_segments(&manifest, &read, &copied, &from);
    remove_leftovers(&**disk, &options.name, &segments, log.next_number(), &manifest, &blobs);
    recovery.took_us = clock.monotonic_us() - started_us;
    let Replayed { figures, map, .. } = replayed;
    let last = manifest.checkpoints.first().copied();
    let next_checkpoint = next_number(&names, |name| format::checkpoint::parse_name(&options.name, name));
    let size = |of: manifest::Checkpoint| {
        disk.open(&format::checkpoint::file_name(&options.name, of.number)).and_then(|file| file.len()).unwrap_or(0)
    };
    let (start, size) = last.map_or((manifest.base, 0), |of| (of.start, size(of)));
    let checkpoints = Checkpoints::new(next_checkpoint, start, size);
    Ok(Parts { shards, log: Arc::new(log), blobs, manifest, segments, figures, map, recovery, checkpoints, lock })
}

/// A number that no file of a kind has, nor one that was put aside.
fn next_number(names: &[String], number_of: impl Fn(&str) -> Option<u64>) -> u64 {
    let numbers = names.iter().filter_map(|name| number_of(name.strip_suffix(salvage::ASIDE).unwrap_or(name)));
    numbers.max().map_or(1, |number| number.saturating_add(1))
}

/// Keeps other processes away.
fn lock(disk: &dyn Disk, options: &Options) -> Result<Box<dyn Send + Sync>, Error> {
    disk.lock(&format!("{}.lock", options.name)).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked(options.name.clone()),
        _ => e.into(),
    })
}

fn load_manifest(disk: &dyn Disk, name: &str, names: &[String]) -> Result<Option<Manifest>, Error> {
    let bytes = match disk::read_all(disk, name, manifest::MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return match names.iter().any(|other| segment::parse_name(name, other).is_some()) {
                true => Err(Error::ManifestMissing(name.to_owned())),
                false => Ok(None),
            };
        }
        Err(e) => return Err(e.into()),
    };
    Manifest::parse(&bytes).map(Some).map_err(|refused| match refused {
        Refused::Foreign => Error::Foreign(name.to_owned()),
        Refused::Newer(found) => Error::NewerFormat { file: name.to_owned(), found, known: manifest::VERSION },
        Refused::Checksum => {
            Error::Corrupt { file: name.to_owned(), offset: 0, what: "the manifest's checksum does not hold" }
        }
    })
}

fn create(disk: &dyn Disk, options: &Options) -> Result<Manifest, Error> {
    let mut chance = options.secrets_from.map(Random::new);
    let mut secret = || chance.as_mut().map_or_else(random::secret, |chance| Ok(random::not_secret(chance)));
    let manifest = Manifest {
        id: StoreId(secret()?),
        hash_seed: secret()?,
        epoch: 1,
        first: 1,
        base: START,
        durable: START,
        cuts: Vec::new(),
        checkpoints: Vec::new(),
    };
    disk::replace(disk, &options.name, &manifest.encode())?;
    Ok(manifest)
}

/// Makes the recovered log durable and tells the manifest.
fn settle(
    disk: &dyn Disk,
    options: &Options,
    old: Manifest,
    read: &Read,
    newest_ms: u64,
    names: &[String],
    recovery: &mut Recovery,
) -> Result<(Manifest, Continue, Copied), Error> {
    let highest = names.iter().filter_map(|name| segment::parse_name(&options.name, name)).max().unwrap_or(0);
    let mut fresh = highest.max(read.segments.last().map_or(0, |(number, _)| *number)).max(old.first).saturating_add(1);
    let epoch = old.epoch + 1;
    let mut durable = if planted("tail_not_copied") { read.end } else { read.durable };
    recovery.copied_bytes = read.end - durable;
    failpoint::hit("recover.copy.before")?;
    let mut tail = Tail {
        disk,
        name: &options.name,
        id: old.id,
        epoch,
        limit: options.segment_bytes,
        made: Vec::new(),
        next: fresh,
    };
    match tail.copy(&read.segments, durable, read.end) {
        Err(Error::Io(e)) if is_full(&e) => {
            // Without space for a copy the tail is made durable where it lies.
            tail.undo();
            tail.write_again(&read.segments, durable, read.end)?;
            (durable, fresh) = (read.end, tail.next);
        }
        copied => copied?,
    }
    let copied = tail.made;
    failpoint::hit("recover.copy.after")?;

    let mut manifest = Manifest { epoch, durable: read.end, ..old };
    // The last segment with something durable in it is cut there; the ones behind it are copied whole.
    match read.segments.iter().rev().find(|(_, base)| *base < durable) {
        Some(&(segment, _)) => {
            manifest.cuts.retain(|cut| cut.segment < segment);
            manifest.cuts.push(Cut { segment, end: durable, next: fresh });
        }
        None => {
            manifest.first = fresh;
            manifest.base = durable;
            manifest.cuts.clear();
            manifest.checkpoints.clear();
        }
    }
    failpoint::hit("recover.manifest.before")?;
    disk::replace(disk, &options.name, &manifest.encode())?;
    failpoint::hit("recover.manifest.after")?;
    let reused = read.segments.last().filter(|_| planted("lsn_reused"));
    let number = reused.map_or(fresh + copied.len() as u64, |(number, _)| *number);
    let from = Continue { number, base: read.end, epoch, newest_ms, lengths: lengths(options) };
    Ok((manifest, from, copied))
}

/// The segments in use after settling, with their first LSNs.
fn chain_segments(manifest: &Manifest, read: &Read, copied: &[(u64, Lsn)], from: &Continue) -> BTreeMap<u64, Lsn> {
    let kept = manifest.cuts.last().map_or(0, |cut| cut.segment);
    let old = read.segments.iter().filter(|(number, _)| *number <= kept && *number >= manifest.first);
    old.chain(copied).copied().chain([(from.number, from.base)]).collect()
}

/// Removes segments that were made ahead and never used, and those of a recovery that did not come to its end, from the
/// newest down to the first of another kind. On a full disk they are the space in which the tail is made durable. Should
/// the process end here, the next start finds the same log.
fn remove_unused(disk: &dyn Disk, name: &str, names: &[String], epoch: u64, read: &[(u64, Lsn)]) {
    let mut ahead: Vec<u64> = names.iter().filter_map(|other| segment::parse_name(name, other)).collect();
    ahead.retain(|number| read.last().is_none_or(|(last, _)| number > last));
    ahead.sort_unstable();
    for number in ahead.into_iter().rev() {
        let file = segment::file_name(name, number);
        let mut header = [0; segment::HEADER as usize];
        let read = disk.open(&file).and_then(|file| match file.len()? < segment::HEADER {
            // Whoever made it was killed before it had its length.
            true => Ok(()),
            false => disk::read_exact_at(&*file, &mut header, 0),
        });
        // Made ahead of a file that was used before: that has the header of the segment that it was.
        let superfluous = |header: Header| header.epoch > epoch || header.number < number;
        let is_unused = header == [0; segment::HEADER as usize] || Header::parse(&header).is_some_and(superfluous);
        if read.is_err() || !is_unused {
            return;
        }
        let _ = disk.remove(&file);
    }
}

/// Removes files that no manifest names: from before this opening, from one that was interrupted, made ahead and never
/// used, or blobs whose values are gone. A file that cannot be removed now is found again at the next start.
fn remove_leftovers(
    disk: &dyn Disk,
    name: &str,
    keep: &BTreeMap<u64, Lsn>,
    next: u64,
    manifest: &Manifest,
    blobs: &Blobs,
) {
    let live: HashSet<u64> = blobs.live_numbers();
    for other in disk.list().unwrap_or_default() {
        let segment_gone =
            segment::parse_name(name, &other).is_some_and(|number| !keep.contains_key(&number) && number < next);
        let blob_gone = blob::parse_name(name, &other).is_some_and(|number| !live.contains(&number));
        let checkpoint_gone = format::checkpoint::parse_name(name, &other)
            .is_some_and(|number| manifest.checkpoints.iter().all(|of| of.number != number));
        if segment_gone || blob_gone || checkpoint_gone {
            let _ = disk.remove(&other);
        }
    }
}

fn lengths(options: &Options) -> Lengths {
    let expected = options.expected_keys.saturating_mul(options.expected_value_bytes.saturating_add(EXPECTED_FRAME));
    Lengths { segment: options.segment_bytes, longest: options.longest_segment_bytes, expected }
}

/// Bytes of a frame beside its value, with a short key.
const EXPECTED_FRAME: u64 = 64;

const _: () = assert!(MAX_SEGMENT >= frame::MAX_FRAME as u64, "a segment must hold the longest frame");
