//! A store on a simulated disk whose background work is done when a test says so.

use std::sync::Arc;

use crate::disks::slow;
use engine::clock::{Clock, SimClock};
use engine::disk::sim::{SimDisk, Survival};
use engine::{Error, Flusher, FsyncMode, Maintenance, Options, Store, Value};

/// A store with its machines, stepped by hand.
pub struct Bench {
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub store: Arc<Store>,
    pub flusher: Flusher,
    pub maintenance: Maintenance,
}

pub fn options(mode: FsyncMode) -> Options {
    Options { mode, segment_bytes: 64 << 10, blob_bytes: 8 << 10, secrets_from: Some(3), ..Options::default() }
}

pub fn bench(mode: FsyncMode) -> Bench {
    bench_on(SimDisk::new(3), mode)
}

pub fn bench_on(disk: SimDisk, mode: FsyncMode) -> Bench {
    bench_with(disk, options(mode))
}

pub fn bench_with(disk: SimDisk, options: Options) -> Bench {
    let clock = Arc::new(SimClock::new(1 << 40));
    let store = Store::open(slow(disk.clone()), clock.clone(), options).unwrap();
    let flusher = Flusher::new(store.log().clone());
    Bench { disk, clock, store, flusher, maintenance: Maintenance::default() }
}

impl Bench {
    pub fn set(&self, key: &[u8], value: &[u8]) -> u64 {
        let key = self.store.key(key);
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.set(&key, Value::Copy(value), None);
        transaction.commit()
    }

    pub fn remove(&self, key: &[u8]) -> u64 {
        let key = self.store.key(key);
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        transaction.remove(&key);
        transaction.commit()
    }

    /// The value and the position that must be safe before it may be told.
    pub fn get(&self, key: &[u8]) -> (Option<Vec<u8>>, u64) {
        let key = self.store.key(key);
        let mut transaction = self.store.begin(0, &[key], self.store.now_ms());
        let value = transaction.get(&key).map(|item| item.string().unwrap_or_default().to_vec());
        (value, transaction.commit())
    }

    pub fn may_leave(&self, gate: u64) -> bool {
        gate <= self.store.log().acknowledged()
    }

    pub fn step(&mut self) {
        self.flusher.step(self.clock.monotonic_us());
    }

    pub fn maintain(&mut self) {
        while self.maintenance.step(&self.store, self.clock.monotonic_us()) {}
    }

    pub fn reopened(&self, survival: Survival) -> Bench {
        bench_on(self.disk.power_loss_with(survival), self.store.log().mode())
    }

    pub fn try_open(disk: &SimDisk) -> Result<Arc<Store>, Error> {
        Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1 << 40)), options(FsyncMode::Always))
    }
}
