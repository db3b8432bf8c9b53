//! One run: a store is opened, used, crashed or closed, opened again and judged, several times on the same disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::clock::{Clock, SimClock};
use engine::disk::sim::{Faults, SimDisk, Survival};
use engine::random::Random;
use engine::value::Limits;
use engine::{Decision, Digest, DueSync, Error, Flusher, FsyncMode, Lanes, Maintenance, Next, Options, Store};

use crate::disks::{slow, with_slow_sync};
use crate::model::{Cell, Model, Verdict};
use crate::session::{Keys, Session, Sizes, UNREADABLE};
use crate::shrink::{FAULTS, FIRST, OPENING, STOP, Step, Steps};

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub lives: u64,
    pub commits: u64,
    pub power_losses: u64,
    pub process_crashes: u64,
    pub recovery_crashes: u64,
    pub bit_flips: u64,
    pub corruption_told: u64,
    pub refused: u64,
    pub evicted: u64,
    pub checkpoints: u64,
    pub damaged_segments: u64,
    /// Compactions behind which a value could be read that could not before: in a file of its own, it has a new frame.
    pub healed: u64,
    /// Segments begun in files that compaction had emptied.
    pub recycled: u64,
}

/// What a store was found to hold, or why not.
type Found = Result<BTreeMap<usize, Cell>, String>;

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.lives += other.lives;
        self.commits += other.commits;
        self.power_losses += other.power_losses;
        self.process_crashes += other.process_crashes;
        self.recovery_crashes += other.recovery_crashes;
        self.bit_flips += other.bit_flips;
        self.corruption_told += other.corruption_told;
        self.refused += other.refused;
        self.evicted += other.evicted;
        self.checkpoints += other.checkpoints;
        self.damaged_segments += other.damaged_segments;
        self.healed += other.healed;
        self.recycled += other.recycled;
    }
}

/// A disk and all that is known of what should be on it.
pub struct World {
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub options: Options,
    pub model: Model,
    pub counts: Counts,
    pub keys: Arc<Keys>,
    pub chance: Random,
    seed: u64,
    life: u64,
    /// What is done of all that would be, and what has been.
    steps: Steps,
    pub done: Vec<Step>,
    sizes: Sizes,
    /// Much is written and much is done behind it: segments are filled, emptied and used again.
    busy: bool,
    sequence: u64,
    power_lost: bool,
    crashed_us: u64,
    /// Longest sync of this life beside which no other could begin.
    slowest_sync_us: u64,
    /// Bytes of log that the keys need and the digest of all, before a clean end.
    before: Option<State>,
}

/// The simulated age of acked bytes at which `everysec` has failed, and the longest sync for which that is promised.
const AGE_LIMIT_US: u64 = 1_000_000;
const SYNC_LIMIT_US: u64 = 800_000;
/// The same when the next sync is not begun before the last has ended.
const LONE_SYNC_LIMIT_US: u64 = 400_000;
/// Time passes in steps of this.
const TICK_MS: u64 = 20;
/// No crash is planned so far ahead.
const NEVER: u64 = 1 << 60;

/// Without power nothing is read either.
fn with_power(disk: &SimDisk, asked: Verdict) -> Verdict {
    asked.or_else(|why| if disk.is_down() && why.starts_with(UNREADABLE) { Ok(()) } else { Err(why) })
}

/// So small that collections become large and lists small again all the time.
fn small_limits() -> Limits {
    Limits {
        list_max_listpack_size: 6,
        hash_max_listpack_entries: 6,
        hash_max_listpack_value: 40,
        set_max_intset_entries: 5,
        set_max_listpack_entries: 8,
        set_max_listpack_value: 40,
        zset_max_listpack_entries: 6,
        zset_max_listpack_value: 40,
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut chance = Random::new(seed ^ 0x5EED);
        let mode = [FsyncMode::Always, FsyncMode::EverySec, FsyncMode::No][chance.below(3) as usize];
        let busy = chance.below(12) == 0;
        let blob_bytes = if busy { 200_000 } else { [1500, 4096, 17_000, 200_000][chance.below(4) as usize] };
        let giant_bytes = match chance.below(2) {
            _ if busy => 20 << 10,
            0 if blob_bytes > 100_000 => 64 << 10,
            _ => 3000,
        };
        let giant_in = if busy { 2 } else { [20, 100][chance.below(2) as usize] };
        let options = Options {
            mode,
            segment_bytes: 64 << 10,
            longest_segment_bytes: [192 << 10, 1 << 30][chance.below(2) as usize],
            blob_bytes,
            part_bytes: [300, 2000, 4 << 20][chance.below(3) as usize],
            limits: [small_limits(), small_limits(), Limits::default()][chance.below(3) as usize],
            memory_goal: [u64::MAX, 0, 0, 40_000][chance.below(4) as usize],
            compact_from_bytes: [8 << 10, 100 << 10, 8 << 20][chance.below(3) as usize],
            key_order: chance.below(2) == 0,
            checkpoint_bytes: [4 << 10, 30 << 10, u64::MAX][(seed / 3 % 3) as usize],
            secrets_from: Some(seed),
            lanes: Lanes { count: 1 + (seed % 3) as usize, threads: false },
            ..Options::default()
        };
        let keys = Arc::new(Keys::new([2, 6, 20][chance.below(3) as usize]));
        World {
            disk: SimDisk::new(seed),
            clock: Arc::new(SimClock::new(1_000_000)),
            options,
            model: Model::new(keys.len()),
            counts: Counts::default(),
            keys,
            sizes: Sizes { blob_bytes, giant_bytes, giant_in },
            chance,
            seed,
            life: 0,
            steps: Steps::All,
            done: Vec::new(),
            busy,
            sequence: 0,
            power_lost: false,
            crashed_us: 0,
            slowest_sync_us: 0,
            before: None,
        }
    }

    /// Some lives, one after the other.
    pub fn run(&mut self, lives: u64) -> Verdict {
        self.run_some(lives, Steps::All)
    }

    /// The same with some of their steps only.
    pub fn run_some(&mut self, lives: u64, steps: Steps) -> Verdict {
        self.steps = steps;
        for life in 0..lives {
            self.life = life;
            if self.steps.has_life(life) {
                self.live()?;
            }
        }
        // What the last one left.
        self.life = lives;
        self.comes_to(OPENING);
        self.open_and_judge().map(drop)
    }

    /// Chance for a step, which is the same whatever came before. Whether the step is done.
    fn comes_to(&mut self, number: u64) -> bool {
        let mut life = Random::new(self.seed ^ self.life.wrapping_mul(0xA076_1D64_78BD_642F));
        self.chance = Random::new(life.next_u64().wrapping_add(number.wrapping_mul(0xE703_7ED1_A0B4_28DB)));
        let step = (self.life, number);
        let is_done = self.steps.has(step);
        if is_done {
            self.done.push(step);
            self.disk.tell(|| format!("-- {}.{number}", step.0));
        }
        is_done
    }

    fn live(&mut self) -> Verdict {
        self.comes_to(OPENING);
        let store = self.open_and_judge()?;
        self.counts.lives += 1;
        let (session, mut machines) = self.begin(&store);
        let slow = self.chance.below(6) == 0;
        machines.overlapping = !slow && self.chance.below(2) == 0;
        let count = 10 + self.chance.below(if self.busy { 500 } else { 90 });
        if self.comes_to(FAULTS) {
            self.set_faults();
        }
        if self.comes_to(STOP) && self.chance.below(2) == 0 {
            self.disk.crash_at(1 + self.chance.below(if self.busy { 1000 } else { 120 }));
        }
        for number in FIRST..FIRST + count {
            if self.disk.is_down() {
                break;
            }
            if self.comes_to(number) {
                self.step(&store, &session, &mut machines, slow)?;
            }
        }
        self.comes_to(FIRST + count);
        self.end(&store, session, machines)
    }

    fn step(
        &mut self,
        store: &Arc<Store>,
        session: &Rc<RefCell<Session>>,
        machines: &mut Machines,
        slow: bool,
    ) -> Verdict {
        session.borrow_mut().chance = Random::new(self.chance.next_u64());
        match self.chance.below(24) {
            0..=12 => {
                let asked = session.borrow_mut().request();
                with_power(&self.disk, asked)?;
            }
            13..=16 => session.borrow_mut().end_turn(),
            17..=19 if slow => self.sync_slowly(session, machines)?,
            17..=19 => drop(self.flush(machines)),
            20..=21 if !self.busy => drop(machines.maintenance.step(store, self.clock.monotonic_us())),
            22 => self.pass_time(session, machines),
            23 if self.chance.below(8) == 0 => {
                let wall_ms = self.clock.wall_ms() + self.chance.below(20_000);
                self.clock.step_wall_to(wall_ms.saturating_sub(10_000));
                self.disk.tell(|| "the wall clock is set".to_owned());
            }
            _ => self.maintain(store, machines)?,
        }
        session.borrow_mut().release();
        Ok(())
    }

    pub fn begin(&mut self, store: &Arc<Store>) -> (Rc<RefCell<Session>>, Machines) {
        self.slowest_sync_us = 0;
        let mut session = Session::new(
            store.clone(),
            std::mem::take(&mut self.model),
            Random::new(self.chance.next_u64()),
            self.clock.clone(),
            self.keys.clone(),
            self.sizes,
            self.sequence,
        );
        session.recorded_by = Some(self.disk.clone());
        let flusher = Flusher::new(store.log().clone());
        let machines =
            Machines { flusher, maintenance: Maintenance::default(), overlapping: false, under_way: Vec::new() };
        (Rc::new(RefCell::new(session)), machines)
    }

    fn set_faults(&mut self) {
        let mut faults = Faults { short_writes: self.chance.below(8) == 0, ..Faults::default() };
        match self.chance.below(16) {
            0 => faults.write_error_at = Some(1 + self.chance.below(30)),
            5 => faults.first_write_error_at = Some(1 + self.chance.below(4)),
            1 => faults.sync_error_at = Some(1 + self.chance.below(12)),
            2 => faults.sync_dir_error_at = Some(1 + self.chance.below(4)),
            3 | 4 => faults.capacity_bytes = Some(self.used_bytes() + self.chance.below(100_000)),
            _ => {}
        }
        self.disk.set_faults(faults);
    }

    fn used_bytes(&self) -> u64 {
        let names = self.disk.names();
        names.iter().filter_map(|name| self.disk.bytes(name)).map(|bytes| bytes.len() as u64).sum()
    }

    /// All background work that can be done now; it must come to an end.
    pub fn maintain(&self, store: &Store, machines: &mut Machines) -> Verdict {
        for _ in 0..2000 {
            if self.disk.is_down() || !machines.maintenance.step(store, self.clock.monotonic_us()) {
                return Ok(());
            }
        }
        Err("maintenance finds no rest".to_owned())
    }

    /// Time passes, the flusher comes when it said it would.
    fn pass_time(&mut self, session: &Rc<RefCell<Session>>, machines: &mut Machines) {
        let mut left_ms = if self.chance.below(4) == 0 { 400 } else { 1 + self.chance.below(40) };
        while left_ms > 0 && !self.disk.is_down() {
            let part = left_ms.min(TICK_MS);
            self.clock.advance_ms(part);
            left_ms -= part;
            self.end_syncs(machines);
            for _ in 0..8 {
                if self.flush(machines) != Next::Now {
                    break;
                }
            }
            session.borrow_mut().release();
        }
    }

    /// The flusher does what is due. A sync is over at once, or begins and ends later, in any order with others.
    fn flush(&mut self, machines: &mut Machines) -> Next {
        let now_us = self.clock.monotonic_us();
        match machines.flusher.decide(now_us) {
            Decision::Rest(next) => return next,
            Decision::Sync(sync) if machines.overlapping && sync.may_overlap && self.chance.below(4) > 0 => {
                machines.under_way.push((now_us, sync));
            }
            Decision::Sync(sync) => sync.run(),
        }
        Next::Now
    }

    /// Ends some of the syncs that are under way, in any order, and those that have taken as long as one may.
    fn end_syncs(&mut self, machines: &mut Machines) {
        let now_us = self.clock.monotonic_us();
        let mut index = 0;
        while let Some((begun_us, _)) = machines.under_way.get(index) {
            if now_us - begun_us + 1000 * TICK_MS > SYNC_LIMIT_US || self.chance.below(8) == 0 {
                machines.under_way.swap_remove(index).1.run();
            } else {
                index += 1;
            }
        }
    }

    /// The flusher syncs, which takes a while, and clients go on meanwhile.
    pub fn sync_slowly(&mut self, session: &Rc<RefCell<Session>>, machines: &mut Machines) -> Verdict {
        let store = session.borrow().store.clone();
        store.log().write_out();
        if store.log().written() < store.log().appended() {
            return Ok(());
        }
        let longest_ms = if self.chance.below(4) == 0 { 2500 } else { LONE_SYNC_LIMIT_US / 1000 };
        let took_ms = self.chance.below(longest_ms + 1);
        self.slowest_sync_us = self.slowest_sync_us.max(took_ms * 1000);
        let failed = Rc::new(RefCell::new(None::<String>));
        let (clients, clock, failure, disk) = (session.clone(), self.clock.clone(), failed.clone(), self.disk.clone());
        // All of it at the first file, if there are several: time in which nothing is written finds no bugs.
        let mut left_ms = took_ms;
        let meanwhile = move || {
            while left_ms > 0 && failure.borrow().is_none() && !disk.is_down() {
                let part = left_ms.min(40);
                clock.advance_ms(part);
                left_ms -= part;
                let mut clients = clients.borrow_mut();
                *failure.borrow_mut() = with_power(&disk, clients.request()).err();
                if clients.chance.below(2) == 0 {
                    clients.end_turn();
                }
            }
        };
        if let Decision::Sync(sync) = machines.flusher.decide(self.clock.monotonic_us()) {
            with_slow_sync(meanwhile, || sync.run());
        }
        failed.take().map_or(Ok(()), Err)
    }

    /// The end of a life: closed, killed, or without power.
    pub fn end(&mut self, store: &Arc<Store>, session: Rc<RefCell<Session>>, machines: Machines) -> Verdict {
        let closes = !self.disk.is_down() && self.chance.below(4) == 0;
        let Machines { under_way, .. } = machines;
        if closes {
            // Threads are waited for before a store is closed.
            under_way.into_iter().for_each(|(_, sync)| sync.run());
            store.close();
        }
        session.borrow_mut().release();
        let Ok(session) = Rc::try_unwrap(session).map(RefCell::into_inner) else {
            return Err("a session leaked".into());
        };
        self.sequence = session.sequence();
        self.counts.refused += session.refused;
        self.counts.evicted += session.evicted;
        self.model = session.model;
        self.counts.commits += self.model.len() as u64;
        let log = store.log();
        self.counts.recycled += log.counters().recycled.load(Ordering::Relaxed);
        let clean = closes && !self.disk.is_down() && !log.is_read_only() && log.written() == log.appended();
        store.audit()?;
        self.before = clean.then(|| State::of(store));
        if clean {
            // Everything has been durable when this returned: to be told so is what a clean end is for.
            self.model.released(self.model.len(), false, 0, true);
        }
        // What was acked before a disk failed grows old, and nothing is acked any more.
        self.crashed_us = session.failed_us.unwrap_or_else(|| self.clock.monotonic_us());
        self.crash();
        self.rot(clean)
    }

    fn crash(&mut self) {
        self.power_lost = self.chance.below(5) < 3;
        if self.power_lost {
            self.counts.power_losses += 1;
            let survival = match self.chance.below(8) {
                0 | 1 => Survival::Nothing,
                2 => Survival::Everything,
                _ => Survival::Random(self.chance.next_u64()),
            };
            self.disk = self.disk.power_loss_with(survival);
        } else {
            self.counts.process_crashes += 1;
            self.disk = self.disk.process_crash();
        }
        let faults = Faults { capacity_bytes: None, ..Faults::default() };
        self.disk.set_faults(faults);
    }

    /// Opens a copy of the disk with one bit wrong: told, or of no effect.
    fn rot(&mut self, clean: bool) -> Verdict {
        if self.chance.below(4) > 0 {
            return Ok(());
        }
        let disk = self.disk.process_crash();
        let files: Vec<String> = disk.names().into_iter().filter(|name| !name.ends_with(".tmp")).collect();
        let name = &files[self.chance.below(files.len() as u64) as usize];
        let used = disk.bytes(name).and_then(|bytes| bytes.iter().rposition(|&byte| byte != 0));
        let Some(last) = used else { return Ok(()) };
        // Often in the header: few bytes that much depends on.
        let reach = if self.chance.below(4) == 0 { last.min(63) } else { last };
        let (byte, bit) = (self.chance.below(reach as u64 + 1), self.chance.below(8) as u8);
        disk.flip_bit(name, byte, bit);
        self.counts.bit_flips += 1;
        let opened = Store::open(Arc::new(disk.clone()), self.clock.clone(), self.options.clone());
        match opened {
            Err(Error::Io(error)) => Err(format!("byte {byte} of {name} rotten: {error}")),
            Err(_) => {
                self.counts.corruption_told += 1;
                Ok(())
            }
            // Behind the last mark a bad frame looks like a torn one, so only what was known durable is asked for.
            Ok(store) => {
                let read = self.keys.read(&store);
                let what = |why| format!("bit {bit} of byte {byte} of {name} rotten: {why}");
                let required = if clean { self.model.len() } else { 0 };
                self.compact_rotten(&disk, store, &read, required).map_err(what)?;
                let found = match read {
                    Err(why) if why.starts_with(UNREADABLE) => {
                        self.counts.corruption_told += 1;
                        return Ok(());
                    }
                    found => found?,
                };
                self.judge_rotten(&found, required)
                    .map_err(|why| format!("bit {bit} of byte {byte} of {name} rotten, not told: {why}"))
            }
        }
    }

    /// A compaction of all of a log that is damaged somewhere changes nothing: neither what is read nor that it is told what
    /// cannot be read, unless it turns out to be there after all.
    fn compact_rotten(&mut self, disk: &SimDisk, store: Arc<Store>, before: &Found, required: usize) -> Verdict {
        let (mut flusher, mut maintenance) = (Flusher::new(store.log().clone()), Maintenance::default());
        let now_us = self.clock.monotonic_us();
        // What leaves memory before compaction has come to it is damaged then.
        store.set_spills(false);
        store.compact();
        for _ in 0..100 {
            flusher.step(now_us);
            maintenance.step(&store, now_us);
        }
        self.counts.damaged_segments += store.damage_counts()[0];
        let after = self.keys.read(&store);
        self.judge_compacted(before, &after, required).map_err(|why| format!("compaction has changed it: {why}"))?;
        self.counts.healed += u64::from(before.is_err() && after.is_ok());
        store.audit()?;
        drop(store);
        let again = Store::open(Arc::new(disk.process_crash()), self.clock.clone(), self.options.clone());
        match again {
            Ok(store) => {
                let found = self.keys.read(&store);
                self.judge_compacted(before, &found, required).map_err(|why| format!("found by another start: {why}"))
            }
            Err(Error::Io(error)) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// What is read of a rotten store and what was read before compaction, which may have made room for the removal of fields
    /// that were not shown any more. A value in a file of its own may be read again of which only the frame was damaged.
    fn judge_compacted(&self, before: &Found, after: &Found, required: usize) -> Verdict {
        let newest_ms = self.model.newest_ms;
        match (before, after) {
            (Ok(before), Ok(after)) => {
                let is_there =
                    |(key, cell): (&usize, &Cell)| after.get(key).is_some_and(|got| cell.may_be(got, newest_ms));
                match before.len() == after.len() && before.iter().all(is_there) {
                    true => Ok(()),
                    false => Err(format!("{:.300} instead of {:.300}", format!("{after:?}"), format!("{before:?}"))),
                }
            }
            (Err(was), Ok(after)) if was.starts_with(UNREADABLE) => self.judge_rotten(after, required),
            (Err(_), Err(why)) if why.starts_with(UNREADABLE) => Ok(()),
            (_, Err(why)) | (Err(why), _) => Err(why.clone()),
        }
    }

    /// What was read of a rotten store, all of which could be read.
    fn judge_rotten(&self, found: &BTreeMap<usize, Cell>, required: usize) -> Verdict {
        let mut found = found.clone();
        // The rotten bytes may be the tomb of an expired key, and the clock has been set back since.
        found.retain(|_, cell| !cell.may_be_gone(self.model.newest_ms));
        self.model.judge(&found, required).map(drop)
    }

    /// Opens the store, perhaps after crashes inside that, and judges what is in it.
    pub fn open_and_judge(&mut self) -> Result<Arc<Store>, String> {
        let power_lost = self.power_lost;
        let mut store = self.open()?;
        store.audit().map_err(|why| format!("after recovery: {why}"))?;
        if let Some(refused) = store.recovery().refused_checkpoints.first() {
            return Err(format!("no crash makes a checkpoint useless: {refused}"));
        }
        self.counts.checkpoints += u64::from(store.recovery().checkpoint.is_some());
        if let Some(before) = self.before.take() {
            let now = State::of(&store);
            // Under a clock that was set back a field is seen whose time had come and that nobody had been told is gone.
            let same_time = before.now_ms == now.now_ms;
            if before.live_log_bytes != now.live_log_bytes || same_time && before.digest != now.digest {
                return Err(format!("{before:?} before a clean restart, {now:?} after"));
            }
        }
        let required = self.model.required(power_lost || self.power_lost);
        let found = self.read_safely(&store)?;
        let kept = self.model.judge(&found, required)?;
        self.judge_age(kept)?;
        self.model.recovered(&found);
        self.power_lost = false;
        // Again and again the same: what was recovered and seen is never lost.
        for _ in 0..self.chance.below(3) {
            drop(store);
            self.crash();
            store = self.open()?;
            let found = self.read_safely(&store)?;
            self.model.judge(&found, 0).map_err(|why| format!("recovered, crashed, and not the same: {why}"))?;
        }
        self.power_lost = false;
        Ok(store)
    }

    /// All keys; a look removes the expired ones, and what it has shown is made durable.
    fn read_safely(&self, store: &Arc<Store>) -> Result<BTreeMap<usize, Cell>, String> {
        let found = self.keys.read(store)?;
        store.log().want_sync(store.log().appended());
        Flusher::new(store.log().clone()).step(self.clock.monotonic_us());
        match store.log().durable() == store.log().appended() {
            true => Ok(found),
            false => Err("a sync that was asked for did not come".to_owned()),
        }
    }

    /// Only a suffix may be lost, and in `everysec` it is young.
    fn judge_age(&self, kept: usize) -> Verdict {
        let lost_us = self.model.oldest_lost_us(kept, self.crashed_us).unwrap_or(0);
        let promised = self.options.mode == FsyncMode::EverySec && self.slowest_sync_us <= LONE_SYNC_LIMIT_US;
        if promised && lost_us > AGE_LIMIT_US {
            return Err(format!("everysec lost an acked write that was {lost_us} us old"));
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Arc<Store>, String> {
        let crashes = if self.steps.has((self.life, OPENING)) { self.chance.below(4) } else { 0 };
        for _ in 0..crashes {
            self.disk.crash_at(1 + self.chance.below(40));
            let opened = self.try_open();
            if !self.disk.is_down() {
                self.disk.crash_at(NEVER);
                return opened.map_err(|error| format!("the store does not open: {error}"));
            }
            self.counts.recovery_crashes += 1;
            drop(opened);
            let lost = self.power_lost;
            self.crash();
            self.power_lost |= lost;
        }
        self.disk.crash_at(NEVER);
        self.try_open().map_err(|error| format!("the store does not open: {error}"))
    }

    fn try_open(&self) -> Result<Arc<Store>, Error> {
        Store::open(slow(self.disk.clone()), self.clock.clone(), self.options.clone())
    }
}

/// What a clean restart must not change.
#[derive(Debug)]
struct State {
    now_ms: u64,
    live_log_bytes: u64,
    digest: Digest,
}

impl State {
    fn of(store: &Store) -> State {
        State { now_ms: store.now_ms(), live_log_bytes: store.live_log_bytes(), digest: store.digest(None) }
    }
}

/// The background machines of one life.
pub struct Machines {
    pub flusher: Flusher,
    pub maintenance: Maintenance,
    /// Whether syncs of this life may overlap.
    overlapping: bool,
    /// Syncs that have begun, with the times.
    under_way: Vec<(u64, DueSync)>,
}
