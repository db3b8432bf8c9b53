//! Finding a store's state: from the newest checkpoint that is of use and the log behind it, else from the log alone.

use rapidhash::v3::RapidSecrets;

use super::checkpoint::{Checkpoint, Unusable};
use super::lane::Common;
use super::read::{Read, read_log};
use super::replay::{self, Replayed};
use super::source::Source;
use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::manifest::{self, Manifest};
use crate::format::segment;
use crate::keyspace::shard::{SHARDS, Shards};
use crate::log::Lsn;
use crate::log::scan::Chain;
use crate::mutant::planted;
use crate::options::Options;

/// Where to look.
pub(super) struct Finder<'a> {
    pub disk: &'a dyn Disk,
    pub options: &'a Options,
    pub manifest: &'a Manifest,
    pub blobs: &'a Blobs,
    /// All files.
    pub names: &'a [String],
    pub secrets: RapidSecrets,
    /// Whether what is found is to be served: then keys stay whose values are lost, for who reads one is told, and large values
    /// are left to their files unread. Who has to know that all of a store is sound sees damage in the one, and looks at the other.
    pub serves: bool,
}

/// What was found.
pub(super) struct Found {
    pub shards: Shards,
    pub replayed: Replayed,
    pub read: Read,
    /// The checkpoint it began with.
    pub checkpoint: Option<manifest::Checkpoint>,
    /// Those that were of no use, and why.
    pub refused: Vec<String>,
}

/// Why a state was not found.
enum Failure {
    Checkpoint(Unusable),
    Log(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Log(error)
    }
}

impl Finder<'_> {
    /// Finds the state. Whatever is wrong with a checkpoint, or shows when one is used, the next older one is tried, and at
    /// last the log alone: what is wrong with that is wrong with the store.
    pub(super) fn find(&self, now_ms: u64) -> Result<Found, Error> {
        let mut refused = Vec::new();
        for named in &self.manifest.checkpoints {
            // The log does not reach back to the start of this one.
            if named.start < self.manifest.base && !planted("checkpoint_outlives_log") {
                continue;
            }
            let why = match self.try_to_find(Some(named), now_ms) {
                Ok((shards, replayed, read)) => {
                    return Ok(Found { shards, replayed, read, checkpoint: Some(*named), refused });
                }
                Err(Failure::Checkpoint(why)) => why,
                Err(Failure::Log(error)) => error.to_string(),
            };
            refused.push(format!("checkpoint {}: {why}", named.number));
        }
        Ok(Found { refused, ..self.find_in_log(now_ms)? })
    }

    /// Finds the state in the log alone.
    pub(super) fn find_in_log(&self, now_ms: u64) -> Result<Found, Error> {
        match self.try_to_find(None, now_ms) {
            Ok((shards, replayed, read)) => Ok(Found { shards, replayed, read, checkpoint: None, refused: Vec::new() }),
            Err(Failure::Log(error)) => Err(error),
            Err(Failure::Checkpoint(why)) => Err(std::io::Error::other(why).into()),
        }
    }

    /// Checkpoints that a start would try to go on from and could not, with the reasons.
    pub(super) fn unusable_checkpoints(&self) -> Vec<(u64, Unusable)> {
        let in_reach = self.manifest.checkpoints.iter().filter(|named| named.start >= self.manifest.base);
        let verify = |named| Checkpoint::open(self.disk, &self.options.name, self.manifest.id, named)?.verify();
        in_reach.filter_map(|named| verify(named).err().map(|why| (named.number, why))).collect()
    }

    fn try_to_find(
        &self,
        named: Option<&manifest::Checkpoint>,
        now_ms: u64,
    ) -> Result<(Shards, Replayed, Read), Failure> {
        let Finder { disk, options, manifest, .. } = *self;
        let start = named.map_or(manifest.base, |named| named.start);
        let common = self.common(now_ms);
        let mut workers = replay::workers(&common, options);
        let mut checkpoint = None;
        options.progress.begin(self.bytes_from(0));
        if let Some(named) = named {
            let segments = self.all_segments()?;
            let first = segments.partition_point(|(_, base)| *base <= start).saturating_sub(1);
            let first = segments.get(first).map_or(0, |(number, _)| *number);
            segments.iter().for_each(|(number, base)| common.source.add(*number, *base));
            let opened = Checkpoint::open(disk, &options.name, manifest.id, named).map_err(Failure::Checkpoint)?;
            options.progress.begin(opened.bytes() + self.bytes_from(first));
            opened.load(&mut workers, options.lanes.threads).map_err(Failure::Checkpoint)?;
            checkpoint = Some(opened.header);
        }
        let reaches_below = workers.iter().any(|worker| worker.lane.lowest < manifest.base);
        let map = checkpoint.map(|header| header.map);
        let read = |replay: &mut replay::Replay<'_>| read_log(disk, options, manifest, start, replay);
        let (read, mut replayed) = replay::run(&common, options, workers, manifest.durable, map, read)?;
        replayed.finish(&common)?;
        replayed.newest_ms = replayed.newest_ms.max(checkpoint.map_or(0, |header| header.newest_ms));
        if reaches_below && !planted("checkpoint_outlives_log") && !lies_above(&common.shards, manifest.base) {
            return Err(Failure::Checkpoint("it names what the log does not hold any more".to_owned()));
        }
        Ok((common.shards, replayed, read))
    }

    /// What the lanes of a replay share, before it begins.
    pub(super) fn common(&self, now_ms: u64) -> Common<'_> {
        let Finder { disk, options, manifest, blobs, secrets, serves, .. } = *self;
        let source = Source::new(disk, &options.name, manifest.id, Vec::new());
        Common::new(secrets, blobs, source, options, manifest.base, now_ms, serves)
    }

    /// Numbers and first LSNs of all segments, in order, as their headers say.
    fn all_segments(&self) -> Result<Vec<(u64, Lsn)>, Failure> {
        let mut chain = Chain::new(self.disk, &self.options.name, self.manifest);
        let segments = chain.skip_to(Lsn::MAX).map_err(Error::from)?;
        let mut segments = segments.ok_or_else(|| Failure::Checkpoint("a segment is missing".to_owned()))?;
        segments.extend(chain.next_segment());
        Ok(segments)
    }

    /// Bytes of the segments numbered `first` and up, some of which may not be read. A file that does not tell its length
    /// will be missed later.
    pub(super) fn bytes_from(&self, first: u64) -> u64 {
        let first = first.max(self.manifest.first);
        let is_read =
            |other: &&String| segment::parse_name(&self.options.name, other).is_some_and(|number| number >= first);
        let length = |other: &String| self.disk.open(other).and_then(|file| file.len()).ok();
        self.names.iter().filter(is_read).filter_map(length).sum()
    }
}

/// Whether the log holds every value at this position or behind.
fn lies_above(shards: &Shards, base: Lsn) -> bool {
    (0..SHARDS).all(|index| {
        let shard = shards.lock(index);
        let mut tables = (0..shard.databases()).filter_map(|database| shard.table(database as u8));
        tables.all(|table| table.iter().all(|entry| entry.base().unwrap_or(entry.lsn()) >= base))
    })
}
