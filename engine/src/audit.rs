//! Counting everything again: what the running figures must be equal to.

use std::sync::atomic::Ordering;

use crate::keyspace::figures::Figures;
use crate::keyspace::shard::{DATABASES, Due, SHARDS, Shard};
use crate::store::Store;
use crate::txn::live_cost;

impl Store {
    /// Counts keys, memory, bytes of log and deadlines of all databases again, and says which figure is wrong. Nobody may
    /// write meanwhile, and it walks over everything: for tests.
    pub fn audit(&self) -> Result<(), String> {
        let mut counted = [Figures::default(); DATABASES];
        for index in 0..SHARDS {
            let shard = self.shards().lock(index);
            for (database, figures) in (0..).zip(&mut counted).take(shard.databases()) {
                let wrong = self.count(&shard, database, figures);
                wrong.map_err(|what| format!("database {database}, shard {index}: {what}"))?;
            }
        }
        for (database, counted) in (0..).zip(counted) {
            let figures = self.figures(database);
            for (what, noted, counted) in [
                ("keys", &figures.keys, counted.keys),
                ("bytes of memory", &figures.memory, counted.memory),
                ("bytes of log", &figures.live_bytes, counted.live_bytes),
                ("cold keys", &figures.cold, counted.cold),
            ] {
                let noted = noted.load(Ordering::Relaxed);
                if noted != counted {
                    return Err(format!("database {database}: {noted} {what} noted, {counted} counted"));
                }
            }
        }
        Ok(())
    }

    fn count(&self, shard: &Shard, database: u8, counted: &mut Figures) -> Result<(), String> {
        let Some(table) = shard.table(database).filter(|table| table.memory() != 0) else { return Ok(()) };
        let (mut volatile, mut due) = (0, 0);
        counted.memory += table.memory() as i64;
        for entry in table.iter() {
            let in_blob = self.blobs().contains(entry.base().unwrap_or(entry.lsn()));
            counted.keys += 1;
            counted.cold += i64::from(entry.is_cold());
            counted.memory += entry.footprint() as i64;
            counted.live_bytes += live_cost(entry, in_blob, self.options().part_bytes);
            let when = Due::of(entry);
            volatile += u32::from(when.is_volatile);
            due += u32::from(when.at.is_some());
            if when.at.is_some_and(|at| !shard.may_expire(at)) {
                return Err("a deadline is not noted".to_owned());
            }
        }
        let noted = (shard.volatile(database), shard.due(database));
        match noted == (volatile, due) {
            true => Ok(()),
            false => Err(format!("{noted:?} have a deadline and are due, counted {volatile} and {due}")),
        }
    }
}
