//! A crash at every single disk operation of a small workload, each followed by every kind of survival.
//!
//! One workload for each thing that must be atomic: append and sync, segment change, opening (recovery itself),
//! compaction, checkpoints, large values, large values that change, clean close; changes of collections, long images of them, many
//! changes at once, whole databases, expired fields. `CRASH_WORKLOAD=name` runs one of them. It is the same each time, so operation `n` is always the same one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::clock::{Clock, SimClock};
use engine::disk::sim::{Faults, SimDisk, Survival};
use engine::value::op;
use engine::{Error, Flusher, FsyncMode, Maintenance, Need, Options, Store, Value};

use crate::content::{Change, Element};
use crate::model::{Cell, Model};
use crate::session::Keys;

/// What the machine does until it stops.
struct Machine {
    disk: SimDisk,
    clock: Arc<SimClock>,
    options: Options,
    keys: Keys,
    model: Model,
    sequence: u64,
    /// The operation at which it stops, over all its disks.
    stops_at: u64,
    operations_before: u64,
}

/// No operation has this number.
const NEVER: u64 = 1 << 60;

/// A running store with its machines.
struct Running {
    store: Arc<Store>,
    flusher: Flusher,
    maintenance: Maintenance,
    unacked: Vec<(u64, usize)>,
}

impl Machine {
    fn new(mode: FsyncMode) -> Machine {
        let options = Options {
            mode,
            segment_bytes: 64 << 10,
            blob_bytes: 4096,
            compact_from_bytes: 64 << 10,
            secrets_from: Some(7),
            ..Options::default()
        };
        let keys = Keys::new(6);
        let model = Model::new(keys.len());
        let (disk, clock) = (SimDisk::new(7), Arc::new(SimClock::new(1 << 40)));
        Machine { disk, clock, options, keys, model, sequence: 0, stops_at: NEVER, operations_before: 0 }
    }

    fn operations(&self) -> u64 {
        self.operations_before + self.disk.operations()
    }

    fn stop_at(&mut self, operation: u64) {
        self.stops_at = operation;
        self.disk.crash_at(operation);
    }

    /// The process is killed and the machine goes on.
    fn kill(&mut self) {
        self.operations_before += self.disk.operations();
        self.disk = self.disk.process_crash();
        self.disk.crash_at(self.stops_at.saturating_sub(self.operations_before));
    }

    fn open(&self) -> Result<Running, Error> {
        let store = Store::open(Arc::new(self.disk.clone()), self.clock.clone(), self.options.clone())?;
        let flusher = Flusher::new(store.log().clone());
        Ok(Running { store, flusher, maintenance: Maintenance::default(), unacked: Vec::new() })
    }

    /// Sets some keys in one transaction, as a server does: admission, blobs, transaction, reply at its position.
    fn set(&mut self, running: &mut Running, keys: &[usize], bytes: usize) {
        if running.store.admit(Need::Grow, (keys.len() * bytes) as u64).is_err() {
            return;
        }
        let mut values = Vec::new();
        for _ in keys {
            self.sequence += 1;
            let mut value = self.sequence.to_string().into_bytes();
            value.resize(bytes.max(value.len()), b'.');
            let reference = match value.len() >= self.options.blob_bytes {
                true => match running.store.write_blob(&value) {
                    Ok(reference) => Some(reference),
                    Err(_) => return,
                },
                false => None,
            };
            values.push((value, reference));
        }
        let names: Vec<Vec<u8>> = keys.iter().map(|key| self.keys.name(*key).to_vec()).collect();
        let named: Vec<_> = names.iter().map(|name| running.store.key(name)).collect();
        let mut transaction = running.store.begin(0, &named, self.clock.wall_ms());
        self.model.begin();
        for ((key, name), (value, reference)) in keys.iter().zip(&named).zip(values) {
            match reference {
                Some(reference) => transaction.set(name, Value::Blob(value.clone().into(), reference), None),
                None => transaction.set(name, Value::Copy(&value), None),
            }
            self.model.put(*key, Some(Cell::string(value, None)));
        }
        let gate = transaction.commit();
        let number = self.model.commit(gate).unwrap();
        running.unacked.push((gate, number));
    }

    fn remove(&mut self, running: &mut Running, key: usize) {
        if running.store.admit(Need::Shrink, 64).is_err() {
            return;
        }
        let name = self.keys.name(key).to_vec();
        let named = running.store.key(&name);
        let mut transaction = running.store.begin(0, &[named], self.clock.wall_ms());
        self.model.begin();
        if transaction.remove(&named) {
            self.model.put(key, None);
        }
        let gate = transaction.commit();
        if let Some(number) = self.model.commit(gate) {
            running.unacked.push((gate, number));
        }
    }

    fn append(&mut self, running: &mut Running, key: usize, bytes: &[u8]) {
        if running.store.admit(Need::Grow, bytes.len() as u64 + 64).is_err() {
            return;
        }
        let name = self.keys.name(key).to_vec();
        let named = running.store.key(&name);
        let mut transaction = running.store.begin(0, &[named], self.clock.wall_ms());
        self.model.begin();
        let mut value =
            self.model.get(key, 0).as_deref().map_or_else(Vec::new, |cell| cell.value.string().unwrap().clone());
        value.extend_from_slice(bytes);
        transaction.append(&named, bytes);
        self.model.put(key, Some(Cell::string(value, None)));
        let gate = transaction.commit();
        let number = self.model.commit(gate).unwrap();
        running.unacked.push((gate, number));
    }

    fn settle(&self, running: &Running, key: usize) {
        let name = self.keys.name(key).to_vec();
        let key = running.store.key(&name);
        let settled = running.store.settle(0, &key);
        assert!(self.disk.is_down() || (settled.is_ok() && !running.store.is_unsettled(0, &key)));
    }

    /// A turn of everybody else, and the replies that may leave after it.
    fn turn(&mut self, running: &mut Running) {
        let store = running.store.clone();
        if store.log().mode() != FsyncMode::Always {
            store.log().write_out();
        }
        self.release(running);
        self.clock.advance_ms(100);
        self.model.newest_ms = self.clock.wall_ms();
        for _ in 0..3 {
            running.flusher.step(self.clock.monotonic_us());
        }
        self.release(running);
        for _ in 0..8 {
            running.maintenance.step(&store, self.clock.monotonic_us());
        }
    }

    fn release(&mut self, running: &mut Running) {
        let log = running.store.log();
        let (mark, always) = (log.acknowledged(), log.mode() == FsyncMode::Always);
        for (_, number) in running.unacked.extract_if(.., |(gate, _)| *gate <= mark) {
            self.model.released(number, true, self.clock.monotonic_us(), always);
        }
        self.model.durable(log.durable());
    }

    fn close(&mut self, mut running: Running) {
        running.store.close();
        self.release(&mut running);
        if !self.disk.is_down() {
            assert_eq!(running.store.log().durable(), running.store.log().appended(), "closed, and not durable");
        }
    }
}

/// A part of a transaction.
enum Step {
    /// By its code, numbers and the names of elements.
    Change(usize, u8, [u64; 2], std::ops::Range<u64>),
    Remove(usize),
    /// From a key to another; the source goes, or stays.
    Carry(usize, usize, bool),
    /// The database of a key is emptied.
    Flush(usize),
    /// The two databases are exchanged.
    Swap,
}

impl Machine {
    /// All of it in one transaction.
    fn transact(&mut self, running: &mut Running, steps: &[Step]) {
        let bytes: usize = steps.iter().map(|step| 300 + step.elements() * 60).sum();
        let store = running.store.clone();
        if store.admit(Need::Grow, bytes as u64).is_err() {
            return;
        }
        self.model.newest_ms = self.model.newest_ms.max(store.now_ms());
        let names: Vec<Vec<u8>> = (0..self.keys.len()).map(|key| self.keys.name(key).to_vec()).collect();
        let name = |key: usize| store.key(&names[key]);
        let mut transaction = store.begin_all(0, store.now_ms());
        self.model.begin();
        for step in steps {
            let key = step.key();
            transaction.select(self.keys.database(key));
            let there = transaction.get(&name(key)).map(|item| Cell::of(&item));
            let old = self.model.get(key, 0).as_deref().cloned();
            if there != old {
                let expired = old.is_some_and(|old| match &there {
                    Some(there) => old.may_be(there, self.model.newest_ms),
                    None => old.may_be_gone(self.model.newest_ms),
                });
                assert!(expired, "key {key} is {there:?}");
                self.model.vanish(key, there.clone());
            }
            match *step {
                Step::Change(_, code, numbers, ref elements) => {
                    let element = |n: u64| Element {
                        name: format!("element{n}").into_bytes(),
                        value: if code == op::HASH_SET { n.to_string().into_bytes() } else { Vec::new() },
                        number: if code == op::ZSET_ADD { (n as f64).to_bits() } else { 0 },
                    };
                    let change = Change { code, numbers, elements: elements.clone().map(element).collect() };
                    let old = there.as_ref().map(|cell| &cell.value);
                    let left = change.run(&mut transaction, &name(key), old, true).unwrap();
                    self.model.put(key, left.map(|value| Cell { value, deadline: None }));
                }
                Step::Remove(key) => {
                    transaction.remove(&name(key));
                    self.model.put(key, None);
                }
                Step::Carry(_, to, moves) => {
                    let database = self.keys.database(to);
                    let carried = match moves {
                        true => transaction.rename_into(&name(key), &name(to), database),
                        false => transaction.copy(&name(key), &name(to), database),
                    };
                    if carried {
                        if moves {
                            self.model.put(key, None);
                        }
                        self.model.put(to, there);
                    }
                }
                Step::Flush(_) => {
                    transaction.flush(&[self.keys.database(key)]);
                    (0..names.len())
                        .filter(|other| self.keys.database(*other) == self.keys.database(key))
                        .for_each(|key| self.model.put(key, None));
                }
                Step::Swap => {
                    transaction.swap_databases(self.keys.database(0), self.keys.database(names.len() - 1));
                    let half = names.len() / 2;
                    for key in 0..half {
                        let [one, other] = [key, key + half].map(|key| self.model.get(key, 0).as_deref().cloned());
                        self.model.put(key, other);
                        self.model.put(key + half, one);
                    }
                }
            }
        }
        let gate = transaction.commit();
        if let Some(number) = self.model.commit(gate) {
            running.unacked.push((gate, number));
        }
    }
}

impl Step {
    fn key(&self) -> usize {
        match *self {
            Step::Change(key, ..) | Step::Remove(key) | Step::Carry(key, ..) | Step::Flush(key) => key,
            Step::Swap => 0,
        }
    }

    fn elements(&self) -> usize {
        match self {
            Step::Change(_, _, _, elements) => elements.clone().count(),
            Step::Carry(..) => 200,
            _ => 0,
        }
    }
}

/// What every workload is: it runs until it is done or the machine stops.
type Workload = fn(&mut Machine) -> Result<(), Error>;

fn append_and_sync(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..6 {
        machine.set(&mut running, &[round % 3], 30);
        machine.set(&mut running, &[3, 4, 5], 300);
        machine.remove(&mut running, (round + 1) % 3);
        machine.turn(&mut running);
    }
    Ok(())
}

fn segment_change(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..16 {
        // Transactions of twelve kilobytes: some begin in one segment and end in the next.
        machine.set(&mut running, &[round % 6, (round + 1) % 6, (round + 2) % 6, (round + 3) % 6], 3000);
        if round % 2 == 0 {
            machine.turn(&mut running);
        }
    }
    Ok(())
}

fn compaction(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    machine.set(&mut running, &[5], 100);
    for round in 0..60 {
        machine.set(&mut running, &[round % 3, 3], 3000);
        if round % 7 == 0 {
            machine.remove(&mut running, 3);
        }
        machine.turn(&mut running);
    }
    assert!(machine.disk.is_down() || running.store.log_bytes() < 300_000, "nothing was compacted");
    Ok(())
}

/// Segments that are filled, emptied, and filled again.
fn recycling(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    machine.set(&mut running, &[5], 100);
    for round in 0..48 {
        machine.set(&mut running, &[round % 3, 3, 4], 4000);
        machine.turn(&mut running);
    }
    let recycled = running.store.log().counters().recycled.load(Ordering::Relaxed);
    assert!(machine.disk.is_down() || recycled > 2, "{recycled} segments were begun in used files");
    Ok(())
}

/// Some checkpoints, of which all but two are superfluous; changes between and within; openings from them.
fn checkpoints(machine: &mut Machine) -> Result<(), Error> {
    machine.options.checkpoint_bytes = 6000;
    for _ in 0..3 {
        let mut running = machine.open()?;
        let before = running.store.checkpoint_count();
        for round in 0..6 {
            machine.set(&mut running, &[round % 3, 3], 700);
            machine.append(&mut running, 3, &[b'+'; 30]);
            if round % 3 == 1 {
                machine.remove(&mut running, 4);
                machine.set(&mut running, &[4, 5], 5000);
            }
            machine.turn(&mut running);
        }
        let taken = running.store.checkpoint_count() - before;
        assert!(machine.disk.is_down() || taken > 0, "{taken} checkpoints were taken");
        drop(running);
        if !machine.disk.is_down() {
            machine.kill();
        }
    }
    Ok(())
}

fn large_values(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..5 {
        machine.set(&mut running, &[round % 2], 5000);
        machine.set(&mut running, &[2, 3], 5000 + round);
        machine.remove(&mut running, 2);
        machine.turn(&mut running);
    }
    Ok(())
}

/// Values that grow beyond what is logged whole, and blobs with changes behind them, get files of their own again.
fn changed_large_values(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..4 {
        machine.set(&mut running, &[0], 5000);
        machine.set(&mut running, &[1], 3000);
        for key in [0, 1] {
            machine.append(&mut running, key, &[b'+'; 1500]);
        }
        if round % 2 == 0 {
            machine.turn(&mut running);
        }
        for key in [0, 1, 2] {
            machine.settle(&running, key);
        }
        machine.append(&mut running, round % 2, b"-");
        machine.turn(&mut running);
    }
    Ok(())
}

fn close_and_open(machine: &mut Machine) -> Result<(), Error> {
    for round in 0..4 {
        let mut running = machine.open()?;
        machine.set(&mut running, &[round, 5], 200);
        machine.turn(&mut running);
        machine.set(&mut running, &[round], 2000);
        machine.close(running);
    }
    Ok(())
}

/// The process dies, three times, with a tail that nothing says is durable: recovery has work to do.
fn open_after_kill(machine: &mut Machine) -> Result<(), Error> {
    for round in 0..4 {
        let mut running = machine.open()?;
        for part in 0..3 {
            machine.set(&mut running, &[round % 3, 3 + part], 9000 / (part + 1));
        }
        running.store.log().write_out();
        machine.release(&mut running);
        if round < 3 && !machine.disk.is_down() {
            drop(running);
            machine.kill();
        }
    }
    Ok(())
}

/// The same, and meanwhile others have filled the disk: there is space for a manifest, not for the tail.
fn open_on_a_full_disk(machine: &mut Machine) -> Result<(), Error> {
    for round in 0..3 {
        let mut running = machine.open()?;
        machine.disk.set_faults(Faults::default());
        machine.turn(&mut running);
        for part in 0..3 {
            machine.set(&mut running, &[round, 3 + part], 4000 / (part + 1));
        }
        running.store.log().write_out();
        machine.release(&mut running);
        drop(running);
        if !machine.disk.is_down() {
            machine.kill();
            let files = machine.disk.names().into_iter().filter_map(|name| machine.disk.bytes(&name));
            // Without what was made ahead, which is given back at the start: others take that too.
            let used: usize = files.filter(|bytes| bytes.first() != Some(&0)).map(|bytes| bytes.len()).sum();
            let capacity_bytes = Some(used as u64 + 1000);
            machine.disk.set_faults(Faults { capacity_bytes, ..Faults::default() });
        }
    }
    machine.open().map(drop)
}

/// Codes that add to a collection of each type, and codes that take out.
const ADD: [u8; 4] = [op::LIST_PUSH_BACK, op::HASH_SET, op::SET_ADD, op::ZSET_ADD];
const TAKE: [u8; 4] = [op::LIST_POP_FRONT, op::HASH_DELETE, op::SET_REMOVE, op::ZSET_REMOVE];

/// Collections that are long enough for changes to be logged as such; emptied, and made again.
fn changed_collections(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for (key, code) in ADD.into_iter().enumerate() {
        machine.transact(&mut running, &[Step::Change(key, code, [0; 2], 0..40)]);
    }
    for round in 0..4 {
        for key in 0..4 {
            let from = 40 * (round + 1);
            machine.transact(&mut running, &[Step::Change(key, ADD[key], [0; 2], from..from + 3)]);
            machine.transact(&mut running, &[Step::Change(key, TAKE[key], [2, 0], from - 3..from)]);
        }
        machine.turn(&mut running);
        let key = round as usize;
        machine.transact(&mut running, &[Step::Change(key, TAKE[key], [1000, 0], 0..300)]);
        machine.transact(&mut running, &[Step::Change(key, ADD[key], [0; 2], 0..40)]);
    }
    machine.turn(&mut running);
    Ok(())
}

/// Transactions of many frames: several changes of a key, keys that go and come back, other names.
fn many_at_once(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..5 {
        let mut steps = Vec::new();
        for key in 0..4 {
            steps.push(Step::Change(key, ADD[key], [0; 2], 10 * round..10 * round + 30));
            steps.push(Step::Change(key, ADD[key], [0; 2], 100..102));
            steps.push(Step::Change(key, TAKE[key], [1, 0], 100..101));
        }
        steps.push(Step::Carry(0, 4, true));
        steps.push(Step::Change(0, ADD[0], [0; 2], 0..50));
        steps.push(Step::Change(0, ADD[0], [0; 2], 0..2));
        steps.push(Step::Carry(1, 8, false));
        steps.push(Step::Change(8, ADD[1], [0; 2], 200..202));
        steps.push(Step::Remove(2));
        steps.push(Step::Change(2, ADD[2], [0; 2], 0..40));
        steps.push(Step::Change(2, ADD[2], [0; 2], 40..42));
        machine.transact(&mut running, &steps);
        if round % 2 == 0 {
            machine.turn(&mut running);
        }
    }
    Ok(())
}

/// Images of several parts, which begin in one segment and end in the next, and compaction of them.
fn long_images(machine: &mut Machine) -> Result<(), Error> {
    machine.options.part_bytes = 700;
    let mut running = machine.open()?;
    for (key, code) in ADD.into_iter().enumerate() {
        machine.transact(&mut running, &[Step::Change(key, code, [0; 2], 0..200)]);
    }
    for round in 0..24 {
        let (from, to) = (round % 4, round % 4 + 4);
        machine.transact(&mut running, &[Step::Carry(from, to, false), Step::Carry(to, from, true)]);
        let added = 200 + round as u64;
        machine.transact(&mut running, &[Step::Change(from, ADD[from], [0; 2], added..added + 1)]);
        machine.turn(&mut running);
    }
    assert!(machine.disk.is_down() || running.store.log_bytes() < 200_000, "nothing was compacted");
    Ok(())
}

/// Databases that are exchanged and emptied, with changes before, between and behind.
fn whole_databases(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..6 {
        let from = 50 * round;
        machine.transact(
            &mut running,
            &[
                Step::Change(0, ADD[0], [0; 2], from..from + 40),
                Step::Change(7, ADD[1], [0; 2], from..from + 40),
                Step::Swap,
                Step::Change(6, ADD[0], [0; 2], 0..1),
                Step::Flush(0),
                Step::Change(1, ADD[1], [0; 2], 0..20),
                Step::Change(6, ADD[0], [0; 2], 1..2),
            ],
        );
        machine.transact(&mut running, &[Step::Change(2, ADD[2], [0; 2], 0..3), Step::Swap]);
        machine.turn(&mut running);
    }
    Ok(())
}

/// Fields that expire, of hashes that stay and of such that go with them.
fn expired_fields(machine: &mut Machine) -> Result<(), Error> {
    let mut running = machine.open()?;
    for round in 0..5 {
        let soon = machine.clock.wall_ms() + 150;
        machine.transact(&mut running, &[Step::Change(0, op::HASH_SET, [0; 2], 0..40)]);
        machine.transact(&mut running, &[Step::Change(1, op::HASH_SET, [0; 2], 0..3)]);
        machine.transact(
            &mut running,
            &[Step::Change(0, op::HASH_EXPIRE, [soon, 0], 0..5), Step::Change(1, op::HASH_EXPIRE, [soon, 0], 0..3)],
        );
        for _ in 0..3 {
            machine.turn(&mut running);
        }
        machine.transact(&mut running, &[Step::Change(round % 2, op::HASH_SET, [0; 2], 3..6)]);
        machine.turn(&mut running);
    }
    Ok(())
}

const WORKLOADS: [(&str, Workload); 15] = [
    ("append and sync", append_and_sync),
    ("segment change", segment_change),
    ("compaction", compaction),
    ("recycling", recycling),
    ("checkpoints", checkpoints),
    ("large values", large_values),
    ("changed large values", changed_large_values),
    ("close and open", close_and_open),
    ("open after a kill", open_after_kill),
    ("open on a full disk", open_on_a_full_disk),
    ("changed collections", changed_collections),
    ("many at once", many_at_once),
    ("long images", long_images),
    ("whole databases", whole_databases),
    ("expired fields", expired_fields),
];

/// What is left of the disk when the machine stopped.
const SURVIVALS: [Option<Survival>; 5] =
    [None, Some(Survival::Nothing), Some(Survival::Everything), Some(Survival::Random(1)), Some(Survival::Random(2))];
/// At one crash in so many, recovery itself is crashed at every operation.
const RECOVERIES: u64 = 23;

fn left(disk: &SimDisk, survival: Option<Survival>) -> SimDisk {
    survival.map_or_else(|| disk.process_crash(), |survival| disk.power_loss_with(survival))
}

/// Opens what is left, and compares it with what was promised.
fn judge(machine: &Machine, disk: &SimDisk, power_loss: bool) -> Result<(), String> {
    let store = Store::open(Arc::new(disk.clone()), machine.clock.clone(), machine.options.clone());
    let store = store.map_err(|error| error.to_string())?;
    if let Some(refused) = store.recovery().refused_checkpoints.first() {
        return Err(format!("no crash makes a checkpoint useless: {refused}"));
    }
    let found = machine.keys.read(&store)?;
    store.audit()?;
    machine.model.judge(&found, machine.model.required(power_loss)).map(drop)
}

/// Recovery stops at each of its operations in turn, and whatever that leaves recovers to the same.
fn crash_recovery_everywhere(machine: &Machine, disk: &SimDisk, power_lost: bool) -> Result<u64, String> {
    let mut crashes = 0;
    for at in 1.. {
        let copy = disk.process_crash();
        copy.crash_at(at);
        let _ = Store::open(Arc::new(copy.clone()), machine.clock.clone(), machine.options.clone());
        if !copy.is_down() {
            break;
        }
        for survival in [None, Some(Survival::Nothing), Some(Survival::Random(at))] {
            crashes += 1;
            judge(machine, &left(&copy, survival), power_lost || survival.is_some())
                .map_err(|why| format!("recovery stopped at operation {at}, then {survival:?}: {why}"))?;
        }
    }
    Ok(crashes)
}

fn crash_everywhere(name: &str, workload: Workload, mode: FsyncMode) -> (u64, u64) {
    let mut whole = Machine::new(mode);
    workload(&mut whole).unwrap();
    let (operations, mut crashes) = (whole.operations(), 0);
    for n in 1..=operations {
        let mut machine = Machine::new(mode);
        machine.stop_at(n);
        let ended = workload(&mut machine);
        assert!(machine.disk.is_down(), "{name}, {mode:?}: operation {n} was not reached: {:?}", ended.err());
        for survival in SURVIVALS {
            let disk = left(&machine.disk, survival);
            let judged = judge(&machine, &disk.process_crash(), survival.is_some()).and_then(|()| {
                crashes += 1;
                match n % RECOVERIES {
                    0 => crash_recovery_everywhere(&machine, &disk, survival.is_some()),
                    _ => Ok(0),
                }
            });
            crashes +=
                judged.unwrap_or_else(|why| panic!("{name}, {mode:?}, stopped at {n}, then {survival:?}: {why}"));
        }
    }
    (operations, crashes)
}

#[test]
fn every_operation() {
    let only = std::env::var("CRASH_WORKLOAD").ok();
    for (name, workload) in WORKLOADS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for mode in [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No] {
            let (operations, crashes) = crash_everywhere(name, workload, mode);
            println!("{name}, {mode:?}: {operations} operations, {crashes} crashes");
        }
    }
}
