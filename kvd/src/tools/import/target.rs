//! The store that an import fills: opened, marked, written by ordinary transactions, and made durable.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::Clock;
use engine::disk::OsDisk;
use engine::{Background, DATABASES, Lsn, Need, Options, Refusal, Room, Store, Value};
use rdb::file::Place;

use super::clock::StoppedClock;
use super::{Wishes, marker};
use crate::commands::dump;
use crate::config::Settings;
use crate::observe::machine;
use crate::server::resident;
use crate::tools::Failure;

/// Longest key of the store.
const MAX_KEY: usize = engine::format::frame::MAX_KEY;
/// What is appended before it is written.
const WRITE_BYTES: u64 = 1 << 20;
/// How long one waits for the disk before one asks again.
const STALL_RETRY: Duration = Duration::from_millis(5);
/// All databases.
const ALL: [u8; DATABASES] = {
    let mut all = [0; DATABASES];
    let mut at = 0;
    while at < DATABASES {
        all[at] = at as u8;
        at += 1;
    }
    all
};

/// The store that is being filled.
pub(super) struct Target {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    background: Background,
    disk: Arc<OsDisk>,
    name: String,
    /// It may be removed if the import fails: nothing else was in it.
    is_marked: bool,
}

impl Target {
    /// Opens the store that the settings name.
    pub(super) fn open(settings: &Settings, wishes: Wishes) -> Result<Target, Failure> {
        let (dir, name) = (settings.dir.display(), settings.dbfilename.clone());
        let disk = OsDisk::open(&settings.dir).map_err(|error| format!("cannot use the directory {dir}: {error}"))?;
        let disk = Arc::new(disk);
        let is_unfinished = marker::is_set(&*disk, &name)?;
        if wishes.merges {
            marker::refuse(&*disk, &name)?;
        }
        let clock: Arc<dyn Clock> = Arc::new(StoppedClock::new());
        let max_memory = settings.maxmemory.in_bytes(machine::memory_limit_bytes());
        let options = Options {
            name: name.clone(),
            mode: settings.appendfsync,
            segment_bytes: settings.segment_size,
            limits: settings.value_limits(),
            memory_goal: resident::first_goal(max_memory, settings.spill),
            forgets_time: true,
            ..Options::default()
        };
        let store = Store::open(disk.clone(), clock.clone(), options)
            .map_err(|error| format!("cannot open the store in {dir}: {error}"))?;
        store.set_spills(settings.spill);
        if !settings.spill && max_memory != 0 {
            store.set_memory_goal(max_memory);
        }
        let keys: u64 = ALL.iter().map(|database| store.key_count(*database)).sum();
        if keys > 0 && !wishes.merges && !is_unfinished {
            return Err(format!("the store {name} in {dir} holds {keys} keys: --merge imports into it").into());
        }
        if !wishes.merges {
            marker::set(&*disk, &name).map_err(|error| format!("cannot write to {dir}: {error}"))?;
        }
        let background = Background::start(&store)?;
        if is_unfinished {
            eprintln!("the unfinished import in {dir} is begun anew: {keys} keys are removed");
            store.flush(&ALL);
        }
        Ok(Target { store, clock, background, disk, name, is_marked: !wishes.merges })
    }

    /// Stores a value. Whether it is there: not when the time of all its fields had come before `now_ms`.
    pub(super) fn put(
        &self,
        place: &Place,
        value: rdb::Value,
        deadline: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, Failure> {
        let database = u8::try_from(place.database).ok().filter(|database| usize::from(*database) < DATABASES);
        let database = database.ok_or_else(|| format!("{place}: there are {DATABASES} databases"))?;
        if place.key.len() > MAX_KEY {
            let key = place.key[..64].escape_ascii();
            return Err(format!("the key \"{key}...\" is longer than {MAX_KEY} bytes").into());
        }
        if !dump::fits(&value) {
            return Err(format!("{place}: an element is longer than {} bytes", engine::MAX_VALUE).into());
        }
        let bytes = dump::bytes_of(&value) + place.key.len() as u64;
        self.make_room(bytes, &place.key).map_err(|why| format!("{place}: {why}"))?;
        let key = self.store.key(&place.key);
        let blob = match value {
            rdb::Value::String(bytes) if bytes.len() >= self.store.options().blob_bytes => {
                let reference = self.store.write_blob(&bytes).map_err(|error| format!("{place}: {error}"))?;
                Ok(Value::Blob(bytes.into(), reference))
            }
            value => Err(value),
        };
        let mut transaction = self.store.begin(database, &[key], now_ms);
        match blob {
            Ok(blob) => transaction.set(&key, blob, deadline),
            Err(value) => dump::store(&mut transaction, &key, value, deadline),
        }
        let is_there = transaction.get(&key).is_some();
        self.written(transaction.commit());
        Ok(is_there)
    }

    /// Waits until there is room for so many bytes, in the log and in memory: values leave it as they do in a server.
    fn make_room(&self, bytes: u64, key: &[u8]) -> Result<(), Failure> {
        loop {
            let admitted = match self.store.await_room(bytes, key) {
                Room::Enough => self.store.admit(Need::Grow, bytes),
                Room::Later => Err(Refusal::Stalled),
                Room::Full => Err(Refusal::OutOfMemory),
            };
            match admitted {
                Ok(()) => return Ok(()),
                Err(Refusal::Stalled) => {
                    self.store.log().write_out();
                    std::thread::sleep(STALL_RETRY);
                }
                Err(Refusal::NoSpace) => return Err("the disk is full".into()),
                Err(Refusal::ReadOnly) => return Err("a write to the disk has failed".into()),
                Err(Refusal::OutOfMemory) => {
                    return Err("maxmemory is reached, and no value can leave memory".into());
                }
            }
        }
    }

    fn written(&self, end: Lsn) {
        let log = self.store.log();
        if end.saturating_sub(log.written()) > WRITE_BYTES {
            log.write_out();
        }
    }

    /// Makes everything durable; the import is complete.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.background.stop();
        self.store.close();
        let log = self.store.log();
        if log.is_read_only() || log.durable() < log.appended() {
            return Err("the disk has not taken everything: it is full, or a write has failed".into());
        }
        if self.is_marked {
            marker::clear(&*self.disk, &self.name)?;
        }
        Ok(())
    }

    /// Gives up. What is to be known of what is left.
    pub(super) fn abandon(self) -> String {
        self.background.stop();
        self.store.close();
        let keys: u64 = ALL.iter().map(|database| self.store.key_count(*database)).sum();
        if self.is_marked {
            format!("{keys} keys were stored before; the store is marked as an unfinished import and is not served")
        } else {
            format!("what came before it is stored: {keys} keys are there now, with those from before")
        }
    }
}
