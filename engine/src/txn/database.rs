//! Whole databases in a transaction that holds all locks: emptied, and exchanged.

use std::sync::Arc;

use super::Transaction;
use crate::format::frame::{Draft, Kind};
use crate::keyspace::entry::Entry;
use crate::keyspace::order::Order;
use crate::keyspace::rules::Rules;
use crate::keyspace::shard::DATABASES;
use crate::listener::Presence;
use crate::mutant::planted;

impl Transaction<'_> {
    /// Removes every key of some logical databases; how many of these had any. All shards must be held.
    pub fn flush(&mut self, databases: &[u8]) -> usize {
        let mut emptied = 0;
        for &database in databases {
            let physical = self.store.physical(database);
            self.account();
            // All locks are held: nobody counts beside this.
            if self.store.clear_figures(physical) == 0 {
                // What made it empty is perhaps not safe yet.
                if !planted("flush_of_nothing_ungated") {
                    self.gate = self.gate.max(self.store.log().appended());
                }
                continue;
            }
            let mut cleared = std::ptr::null();
            for shard in self.guards.all() {
                // Different ones only while the rules change.
                let rules: *const Rules = &raw const **shard.rules();
                if rules != cleared {
                    cleared = rules;
                    shard.rules().namespaces().into_iter().for_each(|namespaces| namespaces.clear(physical));
                }
            }
            emptied += 1;
            self.flushed = true;
            self.push_whole(Kind::Flush, physical, b"");
            let old: Vec<_> = self.guards.all().map(|shard| shard.take_table(physical)).collect();
            let shards = &old;
            if let (true, Some(listener)) = (self.store.attention().to_changes(), self.store.listener()) {
                listener.replaced(database, &mut |key| {
                    let key = self.store.key(key);
                    Presence { was: shards[key.shard()].find(key.hash, key.bytes).is_some(), is: false }
                });
            }
            self.store.free_tables(old);
            let order = Arc::new(Order::default());
            let orders = self.guards.all().filter_map(|shard| shard.replace_order(physical, &order));
            if let Some(old) = orders.last() {
                self.store.free_order(old);
            }
            let gone = self.new_blobs.extract_if(.., |blob| blob.is_of(physical));
            self.dead_blobs.extend(gone.map(|blob| blob.number()));
            self.dead_blobs.extend(self.store.blobs().take_database(physical));
        }
        emptied
    }

    /// Exchanges two logical databases. All shards must be held.
    pub fn swap_databases(&mut self, one: u8, other: u8) {
        if one == other {
            return;
        }
        let logical = self.store.logical(self.database);
        self.store.swap_map(one, other);
        let map: [u8; DATABASES] = self.store.database_map();
        self.swapped = true;
        if !planted("swap_unlogged") {
            self.push_whole(Kind::Swap, 0, &map);
        }
        if let (true, Some(listener)) = (self.store.attention().to_changes(), self.store.listener()) {
            for (database, before) in [(one, other), (other, one)] {
                let (now, before) = (self.store.physical(database), self.store.physical(before));
                let now_ms = self.now_ms;
                listener.replaced(database, &mut |key| {
                    let key = self.store.key(key);
                    let shard = self.guards.shard(key.shard());
                    let is_live = |entry: &Entry| entry.deadline().is_none_or(|deadline| deadline > now_ms);
                    Presence { was: shard.find(before, &key).is_some(), is: shard.find(now, &key).is_some_and(is_live) }
                });
            }
        }
        self.select(logical);
    }

    fn push_whole(&mut self, kind: Kind, database: u8, value: &[u8]) {
        self.take_scratch();
        self.scratch.batch.push(&Draft {
            kind,
            database,
            value_type: 0,
            deadline: None,
            previous: None,
            key: b"",
            value: [value, b""],
        });
    }
}
