//! Looking a store over without changing it: what a start would find, and all that is wrong instead of the first of it.

use std::sync::Arc;

use super::find::{Finder, Found};
use super::replay::Lost;
use super::survey::{Damage, Survey};
use super::{lock, rebuild};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::{checkpoint, lost};
use crate::options::Options;
use crate::store;

/// A checkpoint that a start passes over: all that is lost with it is time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its file.
    pub file: String,
    /// Why.
    pub why: String,
}

/// What a store was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// What is damaged, in the order of the log.
    pub damages: Vec<Damage>,
    /// Keys whose value cannot be known for it.
    pub lost: Vec<Lost>,
    /// Checkpoints that are damaged. The log alone is enough.
    pub passed_over: Vec<PassedOver>,
    /// Segments that compaction had found to be damaged: it has kept their files. What could not be saved of them is lost.
    pub kept: Vec<String>,
    /// Segments that were read.
    pub segments: u64,
    /// Valid frames in them.
    pub frames: u64,
    /// Bytes of log from the first to the last of these.
    pub log_bytes: u64,
    /// Keys that can be read, expired ones included.
    pub keys: u64,
    /// Bytes behind the end of the log that a start would drop.
    pub torn_bytes: u64,
}

impl Check {
    /// Whether a start would serve all of it.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.lost.is_empty()
    }
}

/// Reads all of a store: the manifest, every frame of the log, every large value, the checkpoints. What a start would
/// refuse is looked for to the end; an error is what keeps that from being done. Beyond the options' goal for memory
/// values are forgotten when they have been read.
pub fn check(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &Options) -> Result<Check, Error> {
    let _lock = lock(&**disk, options)?;
    check_locked(disk, clock, options)
}

/// The same, for whoever has locked the store.
pub(super) fn check_locked(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &Options) -> Result<Check, Error> {
    let names = disk.list()?;
    let (manifest, damage) = rebuild::manifest(&**disk, &options.name, &names)?;
    let blobs = Blobs::new(disk.clone(), &options.name, manifest.id, 0);
    let secrets = store::secrets(&manifest.hash_seed);
    let finder =
        Finder { disk: &**disk, options, manifest: &manifest, blobs: &blobs, names: &names, secrets, serves: false };
    let passed_over = |(number, why)| PassedOver { file: checkpoint::file_name(&options.name, number), why };
    let passed_over = finder.unusable_checkpoints().into_iter().map(passed_over).collect();
    let kept = names.iter().filter(|other| lost::is_name(&options.name, other)).cloned().collect();
    match finder.find_in_log(clock.wall_ms()) {
        Ok(Found { replayed, read, .. }) => Ok(Check {
            segments: read.segments.len() as u64,
            frames: replayed.records,
            log_bytes: read.end - manifest.base,
            keys: replayed.keys(),
            torn_bytes: read.dropped_bytes,
            damages: damage.into_iter().collect(),
            lost: Vec::new(),
            passed_over,
            kept,
        }),
        Err(Error::Corrupt { file, offset, what }) => {
            let Survey { replayed, damages, lost, end, segments, torn_bytes, .. } = finder.survey(clock.wall_ms())?;
            let mut check = Check {
                segments,
                frames: replayed.records,
                log_bytes: end - manifest.base,
                keys: replayed.keys(),
                torn_bytes,
                damages: damage.into_iter().chain(damages).collect(),
                lost,
                passed_over,
                kept,
            };
            if check.is_sound() {
                // What a start refuses is damaged, whatever this has made of it.
                check.damages.push(Damage { file, offset, bytes: 0, what });
            }
            Ok(check)
        }
        Err(error) => Err(error),
    }
}
