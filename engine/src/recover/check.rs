//! Looking a store over without changing it: what a start would find, and all that is wrong instead of the first of it.

use std::sync::Arc;

use super::replay::{Lost, Replay};
use super::survey::{Damage, survey};
use super::{lock, read_log, rebuild};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::blob;
use crate::store::{self, Options};

/// What a store was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// What is damaged, in the order of the log.
    pub damages: Vec<Damage>,
    /// Keys whose value cannot be known for it.
    pub lost: Vec<Lost>,
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

/// Reads all of a store: the manifest, every frame of the log, every large value. What a start would refuse is looked for
/// to the end; an error is what keeps that from being done.
pub fn check(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &Options) -> Result<Check, Error> {
    let _lock = lock(&**disk, options)?;
    check_locked(disk, clock, options)
}

/// The same, for whoever has locked the store.
pub(super) fn check_locked(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &Options) -> Result<Check, Error> {
    let names = disk.list()?;
    let (manifest, damage) = rebuild::manifest(&**disk, &options.name, &names)?;
    let blobs = Blobs::new(disk.clone(), &options.name, manifest.id, 0);
    let secrets = || store::secrets(&manifest.hash_seed);
    let mut replay = Replay::new(secrets(), &blobs, manifest.durable, options, clock.wall_ms());
    let strict =
        read_log(&**disk, &options.name, &manifest, &mut replay).and_then(|read| replay.check().map(|()| read));
    match strict {
        Ok(read) => Ok(Check {
            segments: read.segments.len() as u64,
            frames: replay.records,
            log_bytes: read.end - manifest.base,
            keys: replay.keys(),
            torn_bytes: read.dropped_bytes,
            damages: damage.into_iter().collect(),
            ..Check::default()
        }),
        Err(Error::Corrupt { file, offset, what }) => {
            let mut replay = Replay::new(secrets(), &blobs, manifest.durable, options, clock.wall_ms());
            let found = survey(&**disk, &options.name, &manifest, &names, &mut replay)?;
            let mut check = Check {
                segments: found.segments.len() as u64,
                log_bytes: found.end - manifest.base,
                torn_bytes: found.torn_bytes,
                damages: damage.into_iter().chain(found.damages).collect(),
                ..Check::default()
            };
            check.finish(&mut replay, &options.name);
            if check.is_sound() {
                // What a start refuses is damaged, whatever this has made of it.
                check.damages.push(Damage { file, offset, bytes: 0, what });
            }
            Ok(check)
        }
        Err(error) => Err(error),
    }
}

impl Check {
    /// Takes over what reading a damaged log has left, without the keys that are lost.
    pub(super) fn finish(&mut self, replay: &mut Replay<'_>, name: &str) {
        self.lost = replay.remove_broken();
        for blob in self.lost.iter().filter_map(|lost| lost.blob) {
            let file = blob::file_name(name, blob);
            self.damages.push(Damage { file, offset: 0, bytes: 0, what: "a large value is damaged" });
        }
        self.frames = replay.records;
        self.keys = replay.keys();
    }
}
