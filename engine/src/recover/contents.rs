//! What a store holds, read without changing a byte of it: for those who only want to see it.
//!
//! The log is replayed as at a start, and what a start would refuse is refused. Nothing is made durable, nothing
//! removed: the disk may be one that cannot be written to. Beyond the options' goal for memory values are left to the
//! log, and read there again when they are visited: so all is visited in the order of the log.

use std::sync::Arc;

use super::find::{Finder, Found};
use super::source::Source;
use super::{Recovery, load_manifest, lock};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::cold::Want;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::StoreId;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::{DATABASES, SHARDS, Shards};
use crate::log::Lsn;
use crate::options::Options;
use crate::store;
use crate::txn::Item;

/// All keys and values of a store that nobody uses.
pub struct Contents {
    shards: Shards,
    map: [u8; DATABASES],
    now_ms: u64,
    found: Recovery,
    disk: Arc<dyn Disk>,
    name: String,
    id: StoreId,
    blobs: Blobs,
    /// Numbers and first LSNs.
    segments: Vec<(u64, Lsn)>,
    _lock: Box<dyn Send + Sync>,
}

impl Contents {
    /// Reads a store.
    pub fn open(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &Options) -> Result<Contents, Error> {
        let started_us = clock.monotonic_us();
        let lock = lock(&**disk, options)?;
        let names = disk.list()?;
        let manifest = load_manifest(&**disk, &options.name, &names)?.ok_or(Error::Missing(options.name.clone()))?;
        let blobs = Blobs::new(disk.clone(), &options.name, manifest.id, 0);
        let secrets = store::secrets(&manifest.hash_seed);
        let finder = Finder {
            disk: &**disk,
            options,
            manifest: &manifest,
            blobs: &blobs,
            names: &names,
            secrets,
            serves: false,
        };
        let Found { shards, replayed, read, .. } = finder.find_in_log(clock.wall_ms())?;
        let found = Recovery {
            records: replayed.records,
            log_bytes: read.end - manifest.base,
            segments: read.segments.len() as u64,
            dropped_bytes: read.dropped_bytes,
            took_us: clock.monotonic_us() - started_us,
            ..Recovery::default()
        };
        let now_ms = clock.wall_ms().max(replayed.newest_ms);
        let (map, segments) = (replayed.map, read.segments);
        let (disk, name, id) = (disk.clone(), options.name.clone(), manifest.id);
        Ok(Contents { shards, map, now_ms, found, disk, name, id, blobs, segments, _lock: lock })
    }

    /// What the log was found to be.
    pub fn found(&self) -> &Recovery {
        &self.found
    }

    /// Visits the keys of a database that have not expired, in the order in which they were changed last, until a visit
    /// fails.
    pub fn visit<E: From<Error>>(
        &self,
        database: u8,
        mut visit: impl FnMut(&[u8], Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let physical = self.map[usize::from(database)];
        let shards: Vec<_> = (0..SHARDS).map(|index| self.shards.lock(index)).collect();
        let tables = shards.iter().filter_map(|shard| shard.table(physical));
        let mut entries: Vec<(Lsn, &Entry)> =
            tables.flat_map(|table| table.iter()).map(|entry| (entry.lsn(), entry)).collect();
        entries.sort_unstable_by_key(|(lsn, _)| *lsn);
        let source = Source::new(&*self.disk, &self.name, self.id, self.segments.clone());
        for (lsn, entry) in entries {
            let item = Item::of(entry, self.now_ms);
            if !item.is_live() {
                continue;
            }
            if entry.is_cold() {
                let read = source.read(&Want::of(physical, entry), self.blobs.contains(lsn), &self.blobs)?;
                visit(entry.key(), Item::of(&read.entry, self.now_ms))?;
            } else {
                visit(entry.key(), item)?;
            }
        }
        Ok(())
    }
}
