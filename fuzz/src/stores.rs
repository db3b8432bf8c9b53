//! A small store with all that a manifest and a checkpoint can name, and its opening when one of its files is hostile.

use std::sync::{Arc, LazyLock};

use engine::clock::{Clock, SimClock};
use engine::disk::sim::SimDisk;
use engine::value::op::{self, Op};
use engine::{Digest, Flusher, FsyncMode, Maintenance, Options, Recovery, Store, Value};

/// Name of the manifest.
pub const NAME: &str = "dump.kv";
const SEGMENT_BYTES: u64 = 64 << 10;
const BLOB_BYTES: usize = 8 << 10;

/// The store as a clean end left it.
pub struct Sample {
    disk: SimDisk,
    /// Of all that is in it.
    pub digest: Digest,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The newest checkpoint: its file's name and bytes.
    pub checkpoint: (String, Vec<u8>),
}

/// Three segments, a cut between the first two, two checkpoints and something behind them.
pub static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let disk = SimDisk::new(1);
    let crashed = Life::begin(disk.clone());
    crashed.write(0);
    crashed.store.log().write_out();
    drop(crashed);
    let mut life = Life::begin(disk.process_crash());
    for round in 1..3 {
        life.write(round);
        life.take_checkpoint();
    }
    life.write(3);
    life.store.close();
    let digest = life.store.digest(None);
    let disk = life.disk.process_crash();
    let checkpoints = disk.names().into_iter().filter(|name| name.ends_with(".ckpt"));
    let newest = checkpoints.max().expect("a checkpoint was taken");
    let bytes = |name: &str| disk.bytes(name).expect("the file is there");
    Sample { digest, manifest: bytes(NAME), checkpoint: (newest.clone(), bytes(&newest)), disk }
});

impl Sample {
    /// Its disk with one file replaced.
    pub fn disk_with(&self, name: &str, bytes: &[u8]) -> SimDisk {
        let disk = self.disk.process_crash();
        disk.put(name, bytes);
        disk
    }
}

/// Opens the store on a disk, and once more: a second recovery finds what the first one left. Nothing if it is refused.
pub fn open(disk: &SimDisk) -> Option<(Digest, Recovery)> {
    let open = || Store::open(Arc::new(disk.clone()), clock(), options());
    let store = open().ok()?;
    let found = look(&store);
    let recovery = store.recovery().clone();
    drop(store);
    let again = open().expect("what was recovered once is recovered again");
    assert_eq!(look(&again), found, "recovered twice, and not the same");
    assert_eq!(again.recovery().dropped_bytes, 0, "dropped twice");
    Some((found, recovery))
}

fn look(store: &Store) -> Digest {
    store.audit().expect("the figures are what is there");
    store.digest(None)
}

fn clock() -> Arc<SimClock> {
    Arc::new(SimClock::new(1 << 40))
}

fn options() -> Options {
    Options {
        mode: FsyncMode::Always,
        segment_bytes: SEGMENT_BYTES,
        blob_bytes: BLOB_BYTES,
        secrets_from: Some(3),
        ..Options::default()
    }
}

/// An opening with its machines, stepped by hand.
struct Life {
    disk: SimDisk,
    clock: Arc<SimClock>,
    store: Arc<Store>,
    flusher: Flusher,
    maintenance: Maintenance,
}

impl Life {
    fn begin(disk: SimDisk) -> Life {
        let clock = clock();
        let store = Store::open(Arc::new(disk.clone()), clock.clone(), options()).expect("a healthy disk");
        let flusher = Flusher::new(store.log().clone());
        Life { disk, clock, store, flusher, maintenance: Maintenance::default() }
    }

    /// A little of everything; what was there before is changed, removed, or left to the log.
    fn write(&self, round: u8) {
        let store = &*self.store;
        let now_ms = store.now_ms();
        let mut all = store.begin_all(0, now_ms);
        all.swap_databases(0, 7);
        drop(all);
        for (number, length) in [(round, 20), (round + 1, 90), (7, 3000), (8, BLOB_BYTES + usize::from(round))] {
            let name = [b'k', number];
            let key = store.key(&name);
            let deadline = (number % 2 == 1).then_some(now_ms + 1_000_000);
            store.begin(0, &[key], now_ms).set(&key, Value::Copy(&vec![round; length]), deadline);
        }
        let codes = [(op::LIST_PUSH_BACK, 0), (op::HASH_SET, 3), (op::SET_ADD, 0), (op::ZSET_ADD, 3)];
        for (code, database) in codes {
            let name = [b'c', code];
            let key = store.key(&name);
            let mut change = Op::new(code);
            for element in 0..20_u8 {
                if code == op::ZSET_ADD {
                    change.score(f64::from(element));
                }
                change.element(&[round, element]);
            }
            store.begin(database, &[key], now_ms).apply(&key, &change).expect("the key has that type");
        }
        let gone = [b'k', round];
        let key = store.key(&gone);
        store.begin(0, &[key], now_ms).remove(&key);
    }

    fn take_checkpoint(&mut self) {
        let before = self.store.checkpoint_count();
        self.store.request_checkpoint();
        for _ in 0..1000 {
            self.flusher.step(self.clock.monotonic_us());
            self.maintenance.step(&self.store, self.clock.monotonic_us());
            self.clock.advance_ms(1);
            if self.store.checkpoint_count() > before && !self.store.is_checkpointing() {
                return;
            }
        }
        panic!("no checkpoint was taken");
    }
}
