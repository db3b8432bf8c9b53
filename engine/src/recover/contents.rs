//! What a store holds, read without changing a byte of it: for those who only want to see it.
//!
//! The log is replayed as at a start, and what a start would refuse is refused. Nothing is made durable, nothing removed:
//! the disk may be one that cannot be written to.

use std::sync::Arc;

use super::find::{Finder, Found};
use super::{Recovery, load_manifest, lock};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Error;
use crate::keyspace::shard::{DATABASES, SHARDS, Shards};
use crate::store::{self, Options};
use crate::txn::Item;

/// All keys and values of a store that nobody uses.
pub struct Contents {
    shards: Shards,
    map: [u8; DATABASES],
    now_ms: u64,
    found: Recovery,
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
        let options = &options.in_full();
        let finder = Finder {
            disk: &**disk,
            options,
            manifest: &manifest,
            blobs: &blobs,
            names: &names,
            secrets,
            keeps_lost: false,
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
        Ok(Contents { shards, map: replayed.map, now_ms, found, _lock: lock })
    }

    /// What the log was found to be.
    pub fn found(&self) -> &Recovery {
        &self.found
    }

    /// Visits the keys of a database that have not expired, until a visit fails.
    pub fn visit<E>(&self, database: u8, mut visit: impl FnMut(&[u8], Item<'_>) -> Result<(), E>) -> Result<(), E> {
        let physical = self.map[usize::from(database)];
        for index in 0..SHARDS {
            let shard = self.shards.lock(index);
            for entry in shard.table(physical).iter().flat_map(|table| table.iter()) {
                let item = Item::of(entry, self.now_ms);
                if item.is_live() {
                    visit(entry.key(), item)?;
                }
            }
        }
        Ok(())
    }
}
