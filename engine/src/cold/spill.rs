//! Letting go of values: what was not used for longest leaves memory while that holds more than it should.
//!
//! A run of buckets is looked at under its shard's lock; of the values in it that can go, the eighth that was idle for longest
//! goes. Only what is durable goes: what a crash can take must be in memory to be told. A value with changes behind its image
//! is logged whole first, and goes when that is durable.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::evict::Room;
use crate::failpoint;
use crate::keyspace::entry::Entry;
use crate::keyspace::hold::Hold;
use crate::keyspace::rules::Rules;
use crate::keyspace::shard::{DATABASES, Due, SHARDS};
use crate::log::{Lsn, is_full};
use crate::mutant::planted;
use crate::store::Store;
use crate::txn::image_bytes;
use crate::value::{HASH, STRING, Slot};

/// Buckets looked at under one lock.
const RUN: usize = 16;
/// One in so many of those that can go does.
const GOES: usize = 8;
/// One step looks at so many runs, frees so many bytes, or logs so many values again.
const RUNS_AT_ONCE: usize = 64;
const GAINED_AT_ONCE: usize = 64 << 10;
const LOGGED_AT_ONCE: usize = 16;
/// Freeing less is not worth a read.
const LEAST_GAIN: usize = 16;
/// Collections with longer images stay: to read one back takes long.
pub(crate) const LONGEST_COLLECTION: usize = 1 << 20;

/// When to let go of what.
pub(crate) struct Spill {
    goal: AtomicU64,
    /// How idle what went lately was: what is less so stays when it is used again.
    age: AtomicU64,
    /// Whether values may go at all.
    is_on: AtomicBool,
    /// Nothing more can go.
    exhausted: AtomicBool,
    hand: Mutex<Hand>,
    spilled: AtomicU64,
    kept: AtomicU64,
    /// Some value has been let go of since the start.
    has_cold: AtomicBool,
}

/// Where to look next: runs of the same number in one shard after the other.
#[derive(Default)]
struct Hand {
    shard: usize,
    run: usize,
    /// The shards of this round had buckets here.
    found: bool,
    /// In this round over everything something went, or will when it is durable or logged whole.
    hopes: bool,
}

/// What a look at one run came to.
#[derive(Default)]
struct Looked {
    /// There were buckets.
    found: bool,
    gained: usize,
    /// Values that could go if they were durable.
    waits: bool,
    /// Keys whose values are to be logged whole, with the positions of their images.
    changed: Vec<(u8, Vec<u8>, Lsn)>,
}

impl Spill {
    pub(crate) fn new(goal: u64) -> Spill {
        Spill {
            goal: AtomicU64::new(goal),
            age: AtomicU64::new(0),
            is_on: AtomicBool::new(true),
            exhausted: AtomicBool::new(false),
            hand: Mutex::default(),
            spilled: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            has_cold: AtomicBool::new(false),
        }
    }

    /// Whether a value that is being read again is to stay in memory: there is room, or it was used more lately than what
    /// had to go.
    pub(crate) fn keeps(&self, idle: u64, memory: u64) -> bool {
        let goal = self.goal.load(Ordering::Relaxed);
        memory < goal - goal / 64 || idle <= self.age.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn has_cold(&self) -> bool {
        self.has_cold.load(Ordering::Relaxed)
    }

    /// There are values in the log only from now on.
    pub(crate) fn note_cold(&self) {
        self.has_cold.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_kept(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    fn note_age(&self, idle: u64) {
        // Moves an eighth of the way, in units of a whole second at least.
        let age = self.age.load(Ordering::Relaxed);
        let next = if idle > age { age + (idle - age).div_ceil(8) } else { age - (age - idle).div_ceil(8) };
        self.age.store(next, Ordering::Relaxed);
    }
}

impl Store {
    /// Sets how many bytes keys, values and tables should take at most.
    pub fn set_memory_goal(&self, bytes: u64) {
        let before = self.spill().goal.swap(bytes, Ordering::Relaxed);
        if bytes < before - before / 8 {
            self.note_lower_goal();
        }
    }

    /// Sets whether values may leave memory while their keys stay.
    pub fn set_spills(&self, spills: bool) {
        self.spill().is_on.store(spills, Ordering::Relaxed);
    }

    /// Whether values may leave memory while their keys stay.
    pub fn spills(&self) -> bool {
        self.spill().is_on.load(Ordering::Relaxed)
    }

    /// Where values begin to leave memory. Where keys are evicted these go first; it is for what they leave.
    fn spill_from(&self) -> u64 {
        let goal = self.memory_goal();
        if self.evicts() { goal.saturating_add(goal / 32) } else { goal }
    }

    /// Whether who needs so many bytes finds room in memory although it holds what it should, because values can leave it.
    pub(crate) fn room_by_spilling(&self, growth: u64) -> Room {
        let (goal, memory) = (self.spill_from(), self.memory());
        match () {
            () if !self.spills() || self.is_exhausted() || growth > goal => Room::Full,
            () if memory > goal.saturating_add(goal / 32) => Room::Later,
            () => Room::Enough,
        }
    }

    /// How many bytes keys, values and tables should take at most.
    #[inline]
    pub fn memory_goal(&self) -> u64 {
        self.spill().goal.load(Ordering::Relaxed)
    }

    /// Whether memory holds more than it should and nothing in it can be let go of.
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.spill().exhausted.load(Ordering::Relaxed) && self.memory() > self.memory_goal()
    }

    /// Values let go of, and values in memory again, since the start.
    pub fn spill_counts(&self) -> [u64; 2] {
        [self.spill().spilled.load(Ordering::Relaxed), self.spill().kept.load(Ordering::Relaxed)]
    }

    /// Lets go of a few values if memory holds more than it should. Whether it did something, and there may be more to do.
    /// Blocks on the disk where values have to be logged whole before.
    pub fn spill_some(&self) -> bool {
        let Some(looked) = self.spill_a_few() else { return false };
        let logged = self.log_whole(&looked.changed);
        if (looked.waits || logged) && self.log().durable() < self.log().appended() {
            self.log().want_sync(self.log().appended());
        }
        looked.gained != 0 || logged
    }

    /// The same for who must not wait: only what can go at once does.
    pub fn spill_at_once(&self) {
        self.spill_a_few();
    }

    /// `None` when there is nothing to be done, or somebody else does it for all.
    fn spill_a_few(&self) -> Option<Looked> {
        let spill = self.spill();
        if self.memory() <= self.spill_from() || !self.spills() {
            return None;
        }
        let mut hand = spill.hand.try_lock()?;
        // Every position that is durable is in a segment that is known from here on.
        let durable = if planted("spill_above_mark") { self.log().appended() } else { self.log().durable() };
        self.note_segments();
        let (mut all, mut runs) = (Looked::default(), 0);
        // Past shards that have nothing here, but not in circles.
        for _ in 0..SHARDS {
            let looked = self.spill_run(hand.shard, hand.run * RUN, durable);
            runs += usize::from(looked.found);
            hand.found |= looked.found;
            hand.hopes |= looked.gained != 0 || looked.waits || !looked.changed.is_empty();
            all.gained += looked.gained;
            all.waits |= looked.waits;
            all.changed.extend(looked.changed);
            hand.shard += 1;
            if hand.shard == SHARDS {
                hand.shard = 0;
                hand.run += 1;
                if !std::mem::take(&mut hand.found) {
                    hand.run = 0;
                    let hopes = std::mem::take(&mut hand.hopes);
                    spill.exhausted.store(!hopes, Ordering::Relaxed);
                    break;
                }
            }
            if runs == RUNS_AT_ONCE || all.gained >= GAINED_AT_ONCE || all.changed.len() >= LOGGED_AT_ONCE {
                break;
            }
        }
        if all.gained != 0 {
            spill.exhausted.store(false, Ordering::Relaxed);
        }
        Some(all)
    }

    fn spill_run(&self, index: usize, from: usize, durable: Lsn) -> Looked {
        let now_ms = self.now_ms();
        let mut looked = Looked::default();
        let mut shard = self.shards().lock(index);
        let hold = Hold::begin(&**self.clock());
        let rules = shard.rules().clone();
        // Before the lock is let go of.
        self.spill().note_cold();
        for physical in 0..DATABASES as u8 {
            if shard.table(physical).is_none_or(|table| table.buckets() <= from) {
                continue;
            }
            looked.found = true;
            let table = shard.table_mut(physical);
            let run = from..from + RUN;
            table.prefetch_run(run.clone());
            let mut ages: Vec<(u64, Reverse<Lsn>)> = Vec::new();
            table.visit_mut(run.clone(), &mut |entry: &mut Entry| match self.may_go(entry, durable) {
                Some(true) => ages.push(age(entry, &rules, now_ms)),
                Some(false) => looked.waits = true,
                None => {}
            });
            if ages.is_empty() {
                continue;
            }
            let mut left = ages.len().div_ceil(GOES);
            let at = ages.len() - left;
            let least = *ages.select_nth_unstable(at).1;
            let (mut memory, mut went) = (0, 0);
            table.visit_mut(run, &mut |entry: &mut Entry| {
                let age = age(entry, &rules, now_ms);
                if left == 0 || age < least || self.may_go(entry, durable) != Some(true) {
                    return;
                }
                left -= 1;
                if let Some(base) = self.needs_image(entry) {
                    looked.changed.push((physical, entry.key().to_vec(), base));
                    return;
                }
                if failpoint::hit("spill.leave").is_err() {
                    return;
                }
                let before = entry.footprint() as i64;
                let length = image_bytes(entry) as u32;
                if let Some(object) = entry.chill(length) {
                    self.free_object(object);
                }
                let grown = entry.footprint() as i64 - before;
                if let Some(namespace) = rules.namespace_of(entry.key()) {
                    namespace.add(physical, 0, grown);
                }
                memory += grown;
                went += 1;
                self.spill().note_age(age.0);
            });
            looked.gained += memory.unsigned_abs() as usize;
            self.account(physical, memory, 0);
            self.count_cold(physical, went);
            self.spill().spilled.fetch_add(went as u64, Ordering::Relaxed);
        }
        self.holds().end(&hold, &**self.clock());
        looked
    }

    /// Whether a value may leave memory; false if it only has to be durable before. `None` when it stays.
    fn may_go(&self, entry: &Entry, durable: Lsn) -> Option<bool> {
        if entry.is_cold() || entry.lsn() == 0 || entry.cold_gain() < LEAST_GAIN {
            return None;
        }
        let longest = LONGEST_COLLECTION.min(self.options().part_bytes);
        let stays = match entry.value_type() {
            STRING => false,
            // Its fields' deadlines have to be seen.
            HASH if Due::of(entry).has_fields => true,
            _ => entry.object().is_some_and(|object| object.image_bytes() >= longest),
        };
        (!stays).then_some(entry.lsn() < durable)
    }

    /// The position of the image of a value that has to be logged again before it can be read back in one piece.
    fn needs_image(&self, entry: &Entry) -> Option<Lsn> {
        let large = entry.value_type() == STRING && entry.value().len() >= self.options().blob_bytes;
        let is_apart = large && !self.blobs().contains(entry.lsn());
        entry.base().or_else(|| is_apart.then(|| entry.lsn()))
    }

    /// Logs values again, whole. Whether it did.
    pub(crate) fn log_whole(&self, changed: &[(u8, Vec<u8>, Lsn)]) -> bool {
        let mut logged = false;
        for (physical, key, base) in changed {
            let key = self.key(key);
            if failpoint::hit("spill.image").is_err() {
                return logged;
            }
            match self.settle_at(*physical, &key, Some(*base)) {
                Ok(true) => logged = true,
                Err(e) if is_full(&e) => return logged,
                Err(_) => continue,
                Ok(false) => {
                    let mut transaction = self.begin(0, &[key], self.now_ms());
                    if !transaction.may_copy_forward(&key, *physical, *base) {
                        return logged;
                    }
                    logged |= transaction.copy_forward(&key, *physical, *base, None);
                    transaction.commit();
                }
            }
        }
        if logged {
            self.log().write_out();
        }
        logged
    }
}

/// How long a value was idle, and how long ago it was written: what was written together mostly lies together in memory, which
/// is free for other uses only when all of it has gone.
fn age(entry: &Entry, rules: &Rules, now_ms: u64) -> (u64, Reverse<Lsn>) {
    (rules.idleness(entry, now_ms), Reverse(entry.lsn()))
}
