//! Making a damaged store one that opens again: everything that can be read goes into a new log, what is damaged is put
//! aside, and nothing is removed.
//!
//! ```text
//!  1  survey      the state of all frames that are valid; keys that cannot be known are left out and named
//!  2  copy        every key into new segments, of an opening that no manifest knows; synced
//!  3  set aside   each damaged part to <file>.damaged-<offset>; synced
//!  4  guard       the manifest says that the old log was durable to its end: a start that misses a part of it refuses
//!  5  rename      the old segments, newest first, blobs that no key has, and the checkpoints, to <file>.aside
//!  6  swap        the manifest names the new segments
//! ```
//!
//! A crash before 6 leaves a store that a start refuses as it did before, and that can be salvaged again: names that
//! were changed are changed back first. After 6 the store opens; the files that were put aside are nobody's.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::check::{Check, check_locked};
use super::find::Finder;
use super::replay::Replayed;
use super::source::Source;
use super::survey::{Damage, Survey};
use super::{lengths, lock, next_number, rebuild};
use crate::blobs::Blobs;
use crate::checkpoint::Checkpoints;
use crate::clock::Clock;
use crate::cold::Want;
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::format::{blob, checkpoint, segment};
use crate::heal;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::{DATABASES, SHARDS};
use crate::log::{Continue, FsyncMode, Log, Lsn};
use crate::mutant::planted;
use crate::options::Options;
use crate::recover::Recovery;
use crate::store::{self, Parts, Store};

/// The end of the name of a file that was put aside.
pub(super) const ASIDE: &str = ".aside";
/// What is appended before it is written.
const WRITE_BYTES: u64 = 4 << 20;

/// What was done for a damaged store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// What it was found to be.
    pub found: Check,
    /// The files that were put aside. None when nothing was wrong, and nothing was done.
    pub aside: Vec<String>,
}

/// Salvages a store that a start refuses as corrupt. One that is sound is left as it is.
pub fn salvage(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>, options: &Options) -> Result<Salvage, Error> {
    let lock = lock(&**disk, options)?;
    let name = &options.name;
    let names = disk.list()?;
    let (old, _) = rebuild::manifest(&**disk, name, &names)?;
    take_back(&**disk, name, &old, &names)?;
    let found = check_locked(disk, &**clock, options)?;
    if found.is_sound() {
        return Ok(Salvage { found, aside: Vec::new() });
    }

    let names = disk.list()?;
    let blobs = Blobs::new(disk.clone(), name, old.id, next_number(&names, |other| blob::parse_name(name, other)));
    let secrets = store::secrets(&old.hash_seed);
    // Whether they are sound is known by now, and those that are not are left out.
    let finder =
        Finder { disk: &**disk, options, manifest: &old, blobs: &blobs, names: &names, secrets, serves: false };
    let Survey { shards, replayed, end, places, .. } = finder.survey(clock.wall_ms())?;
    let Replayed { figures, map, newest_ms, .. } = replayed;
    // Their frames are damaged, or nobody knows what to make of them: the next start would remove them.
    let live = blobs.live_numbers();
    let mut orphans: Vec<u64> = names.iter().filter_map(|other| blob::parse_name(name, other)).collect();
    orphans.retain(|number| !live.contains(number));

    let highest = names.iter().filter_map(|other| segment::parse_name(name, other)).max().unwrap_or(0);
    let number = highest.max(old.first).saturating_add(1);
    let new = Manifest {
        epoch: old.epoch + 1,
        first: number,
        base: end,
        durable: end,
        cuts: Vec::new(),
        checkpoints: Vec::new(),
        ..old.clone()
    };
    let from = Continue { number, base: end, epoch: new.epoch, newest_ms, lengths: lengths(options) };
    let log = Log::new(disk.clone(), clock.clone(), name, new.id, FsyncMode::No, &from);
    let segments = BTreeMap::from([(number, new.base)]);
    let parts = Parts {
        shards,
        log: Arc::new(log),
        blobs,
        manifest: new.clone(),
        segments,
        figures,
        map,
        recovery: Recovery::default(),
        checkpoints: Checkpoints::new(next_number(&names, |other| checkpoint::parse_name(name, other)), end, 0),
        lock,
    };
    let swaps_early = planted("salvaged_manifest_early");
    if swaps_early {
        disk::replace(&**disk, name, &new.encode())?;
    }
    let source = Source::new(&**disk, name, old.id, places);
    copy_all(&Store::of_parts(parts, disk.clone(), clock.clone(), options.clone()), &source)?;

    let mut aside = Vec::new();
    for damage in found.damages.iter().filter(|damage| damage.bytes > 0) {
        aside.push(set_aside(&**disk, damage)?);
    }
    let guard = Manifest { durable: old.durable.max(end), ..old.clone() };
    if !swaps_early {
        disk::replace(&**disk, name, &guard.encode())?;
    }
    let blobs = orphans.into_iter().map(|number| blob::file_name(name, number));
    // Checkpoints last: by then no start gets as far as to want them.
    let checkpoints = names.iter().filter(|other| checkpoint::parse_name(name, other).is_some()).cloned();
    for file in old_segments(name, &names, old.first).into_iter().chain(blobs).chain(checkpoints) {
        let to = format!("{file}{ASIDE}");
        disk.rename(&file, &to)?;
        aside.push(to);
    }
    disk.sync_dir()?;
    if !swaps_early {
        disk::replace(&**disk, name, &new.encode())?;
    }
    Ok(Salvage { found, aside })
}

/// The files of segments from a number on, newest first.
fn old_segments(name: &str, names: &[String], first: u64) -> Vec<String> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|other| segment::parse_name(name, other)).collect();
    numbers.retain(|number| *number >= first);
    numbers.sort_unstable();
    numbers.into_iter().rev().map(|number| segment::file_name(name, number)).collect()
}

/// Gives segments their names again that an earlier attempt has put aside, and that the manifest still names.
fn take_back(disk: &dyn Disk, name: &str, manifest: &Manifest, names: &[String]) -> Result<(), Error> {
    let mut changed = heal::take_back(disk, name, manifest.first, names)?;
    for aside in names {
        let Some(file) = aside.strip_suffix(ASIDE) else { continue };
        let is_named = segment::parse_name(name, file).is_some_and(|number| number >= manifest.first);
        if is_named && !names.iter().any(|other| other == file) {
            disk.rename(aside, file)?;
            changed = true;
        }
    }
    if changed {
        disk.sync_dir()?;
    }
    Ok(())
}

/// Writes a damaged part to a file of its own; the file's name.
fn set_aside(disk: &dyn Disk, damage: &Damage) -> Result<String, Error> {
    let file = disk.open(&damage.file)?;
    let mut bytes = vec![0; damage.bytes as usize];
    disk::read_exact_at(&*file, &mut bytes, damage.offset)?;
    let aside = format!("{}.damaged-{}", damage.file, damage.offset);
    disk::replace(disk, &aside, &bytes)?;
    Ok(aside)
}

/// Writes every key to the log, as compaction would, and makes that durable. Values that were left to the old log are
/// read there.
fn copy_all(store: &Store, source: &Source<'_>) -> Result<(), Error> {
    store.log_map();
    for physical in 0..DATABASES as u8 {
        for index in 0..SHARDS {
            for (bytes, base, want) in keys_of(store, index, physical) {
                let key = store.key(&bytes);
                let image = want.map(|want| source.image(&want, store.blobs().contains(want.lsn))).transpose()?;
                let mut transaction = store.begin(0, &[key], store.now_ms());
                transaction.copy_forward(&key, physical, base, image.as_deref());
                transaction.commit();
                let log = store.log();
                if log.appended() - log.written() >= WRITE_BYTES {
                    log.write_out();
                    check_health(log)?;
                }
            }
        }
    }
    store.close();
    check_health(store.log())?;
    match store.log().durable() < store.log().appended() {
        true => Err(Error::Io(io::ErrorKind::StorageFull.into())),
        false => Ok(()),
    }
}

/// The keys of a shard, each with the position of its last whole value, and what is to be read if that is in the log
/// only.
fn keys_of(store: &Store, index: usize, physical: u8) -> Vec<(Vec<u8>, Lsn, Option<Want>)> {
    let shard = store.shards().lock(index);
    let entries = shard.table(physical).into_iter().flat_map(|table| table.iter());
    let want = |entry: &Entry| entry.is_cold().then(|| Want::of(physical, entry));
    entries.map(|entry| (entry.key().to_vec(), entry.base().unwrap_or(entry.lsn()), want(entry))).collect()
}

fn check_health(log: &Log) -> Result<(), Error> {
    if log.is_read_only() {
        return Err(Error::Io(io::Error::other("a write to the disk has failed")));
    }
    if log.is_full() { Err(Error::Io(io::ErrorKind::StorageFull.into())) } else { Ok(()) }
}
