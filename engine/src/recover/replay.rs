//! Replay: from frames to the state they describe, one transaction at a time, in several lanes.
//!
//! ```text
//!   segments ─► front: checksums, transactions ─┬─► lane 0: shards 0 … 511
//!                                               └─► lane 1: shards 512 … 1023      each on a thread of its own
//! ```
//!
//! A frame is about one key, so lanes need not wait for each other: all that counts is the order of the frames of a key. A
//! frame about a whole database goes to every lane, in its place. A transaction is given to the lanes when its last frame was
//! seen. With one lane, or where threads would make a run another each time, lanes do their work where it is found.
//!
//! Who reads a damaged log tells the replay of its gaps, and is told what makes no sense and which keys are lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::lane::{Broken, Common, Lane, lane_of};
use crate::error::Error;
use crate::format::blob::Reference;
use crate::format::frame::{Frame, Kind};
use crate::format::{segment, u64_at};
use crate::keyspace::figures::Figures;
use crate::keyspace::shard::{DATABASES, Key};
use crate::log::Lsn;
use crate::log::scan::Loaded;
use crate::mutant::planted;
use crate::options::Options;
use crate::txn::live_cost;
use crate::value::STRING;

/// Frames that go to a lane together.
const BATCH: usize = 512;
/// Batches that wait for a lane.
const QUEUE: usize = 2;
/// Bytes of segments that are held for lanes that are behind.
const HELD_BYTES: u64 = 256 << 20;
/// The same as a part of what memory should hold.
const HELD_PART: u64 = 8;

/// A frame, found to be valid, in a segment that is at hand.
#[derive(Clone, Copy)]
struct Operation {
    lsn: Lsn,
    hash: u64,
    /// Where its transaction began.
    began: Lsn,
}

/// Frames of one segment.
struct Batch {
    segment: Arc<Loaded>,
    operations: Vec<Operation>,
}

/// What a lane is sent.
enum Work {
    Batch(Batch),
    /// The value of a key cannot be known from here on.
    Break(u8, Vec<u8>, &'static str),
    /// Answer when this is reached.
    Answer(SyncSender<()>),
}

/// A frame that is valid and makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Senseless {
    lsn: Lsn,
    pub segment: u64,
    /// Where it stands in the segment's file.
    pub offset: u64,
    pub bytes: u64,
}

impl Senseless {
    pub(super) const WHAT: &'static str = "a frame's checksum holds but its content makes no sense";

    pub(super) fn of(frame: &Frame<'_>, segment: &Loaded) -> Senseless {
        let (offset, bytes) = segment.bytes_between(frame.lsn, frame.lsn + frame.padded as u64);
        Senseless { lsn: frame.lsn, segment: segment.number, offset, bytes }
    }

    pub(super) fn error(self, name: &str) -> Error {
        Error::Corrupt { file: segment::file_name(name, self.segment), offset: self.offset, what: Senseless::WHAT }
    }
}

/// A key whose value cannot be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The logical database.
    pub database: u8,
    /// The key.
    pub key: Vec<u8>,
    /// Why.
    pub what: &'static str,
    pub(super) blob: Option<u64>,
}

/// A lane at work.
pub(super) struct Worker<'c> {
    pub lane: Lane<'c>,
    senseless: Vec<Senseless>,
}

impl Worker<'_> {
    fn take(&mut self, work: Work) {
        match work {
            Work::Batch(batch) => self.apply(&batch),
            Work::Break(database, key, what) => self.lane.break_key(database, &key, what),
            // Who has asked may have given up.
            Work::Answer(answer) => drop(answer.send(())),
        }
    }

    fn apply(&mut self, batch: &Batch) {
        let Batch { segment, operations } = batch;
        for operation in operations {
            let Some(frame) = segment.checked_frame(operation.lsn) else { continue };
            if !self.lane.apply(&frame, operation.hash, operation.began) {
                self.senseless.push(Senseless::of(&frame, segment));
                self.lane.break_key(frame.database, frame.key, Senseless::WHAT);
            }
        }
        self.lane.tell();
    }

    fn work(mut self, queue: &Receiver<Work>) -> Self {
        while let Ok(work) = queue.recv() {
            self.take(work);
        }
        self
    }
}

/// Where the lanes are.
enum Sink<'c> {
    Here(Vec<Worker<'c>>),
    Threads(Vec<SyncSender<Work>>),
}

impl Sink<'_> {
    fn send(&mut self, lane: usize, work: Work) {
        match self {
            Sink::Here(workers) => workers[lane].take(work),
            // A thread that has ended will be missed when it is waited for.
            Sink::Threads(queues) => drop(queues[lane].send(work)),
        }
    }

    /// Waits until all lanes have done what they were sent.
    fn catch_up(&self) {
        let Sink::Threads(queues) = self else { return };
        let (answer, answers) = sync_channel(queues.len());
        for queue in queues {
            // As above.
            let _ = queue.send(Work::Answer(answer.clone()));
        }
        drop(answer);
        while answers.recv().is_ok() {}
    }
}

/// The front: it takes the frames in the order of the log.
pub(super) struct Replay<'c> {
    common: &'c Common<'c>,
    sink: Sink<'c>,
    lanes: usize,
    segment: Option<Arc<Loaded>>,
    /// Operations in the segment, for each lane.
    pending: Vec<Vec<Operation>>,
    /// Segments that lanes may still need.
    held: Vec<Arc<Loaded>>,
    pub map: [u8; DATABASES],
    pub newest_ms: u64,
    pub records: u64,
    /// What of the frames that are for no lane makes no sense.
    senseless: Vec<Senseless>,
    /// Frames kept until their transaction is known to be whole.
    waiting: Vec<(Arc<Loaded>, Lsn)>,
    /// Where the transaction began that is being read.
    began: Lsn,
    /// Compaction may have dropped the segment in which a transaction began. All of it was durable then: frames below
    /// this position, before the first beginning of a transaction, count. 0 once a beginning was seen.
    headless_below: Lsn,
}

/// What a replay has made of the log.
pub(super) struct Replayed {
    pub figures: [Figures; DATABASES],
    pub map: [u8; DATABASES],
    pub newest_ms: u64,
    pub records: u64,
    /// What makes no sense, in the order of the log.
    pub senseless: Vec<Senseless>,
    /// Keys whose value cannot be known.
    broken: HashMap<(u8, Vec<u8>), Broken>,
    blob_frames: HashMap<Lsn, (u8, Vec<u8>, Reference)>,
}

/// The lanes, with nothing in them.
pub(super) fn workers<'c>(common: &'c Common<'c>, options: &Options) -> Vec<Worker<'c>> {
    let count = options.lanes.count.max(1);
    (0..count).map(|index| Worker { lane: Lane::new(common, index, count), senseless: Vec::new() }).collect()
}

/// Replays what `read` brings; everything below `durable` is known to have been durable. What makes no sense is an error.
pub(super) fn run<T>(
    common: &Common<'_>,
    options: &Options,
    workers: Vec<Worker<'_>>,
    durable: Lsn,
    map: Option<[u8; DATABASES]>,
    read: impl FnOnce(&mut Replay<'_>) -> Result<T, Error>,
) -> Result<(T, Replayed), Error> {
    let (read, replayed) = run_through(common, options, workers, durable, map, read)?;
    // What makes no sense lies before the place at which reading has ended.
    match replayed.senseless.first() {
        Some(senseless) => Err(senseless.error(&options.name)),
        None => Ok((read?, replayed)),
    }
}

/// The same, whether it makes sense or not.
pub(super) fn run_through<T>(
    common: &Common<'_>,
    options: &Options,
    workers: Vec<Worker<'_>>,
    durable: Lsn,
    map: Option<[u8; DATABASES]>,
    read: impl FnOnce(&mut Replay<'_>) -> T,
) -> Result<(T, Replayed), Error> {
    let count = workers.len();
    std::thread::scope(|scope| {
        let (sink, threads) = if options.lanes.threads && count > 1 {
            let mut queues = Vec::new();
            let mut threads = Vec::new();
            for worker in workers {
                let (queue, work) = sync_channel(QUEUE);
                let thread = std::thread::Builder::new().name("replay".into());
                threads.push(thread.spawn_scoped(scope, move || worker.work(&work))?);
                queues.push(queue);
            }
            (Sink::Threads(queues), threads)
        } else {
            (Sink::Here(workers), Vec::new())
        };
        let mut replay = Replay::new(common, sink, count, durable);
        replay.map = map.unwrap_or(replay.map);
        let read = read(&mut replay);
        replay.dispatch();
        let Replay { sink, map, newest_ms, records, senseless, .. } = replay;
        let mut workers = match sink {
            Sink::Here(workers) => workers,
            Sink::Threads(queues) => {
                // The threads end with their queues.
                drop(queues);
                Vec::new()
            }
        };
        for thread in threads {
            let worker = thread.join().map_err(|_| std::io::Error::other("a thread of the replay has ended"))?;
            workers.push(worker);
        }
        let mut replayed = Replayed {
            figures: [Figures::default(); DATABASES],
            map,
            newest_ms,
            records,
            senseless,
            broken: HashMap::new(),
            blob_frames: HashMap::new(),
        };
        for Worker { lane, senseless } in workers {
            replayed.figures.iter_mut().zip(&lane.figures).for_each(|(all, of_lane)| all.add(of_lane));
            replayed.senseless.extend(senseless);
            replayed.broken.extend(lane.broken);
            replayed.blob_frames.extend(lane.blob_frames);
        }
        replayed.senseless.sort_unstable();
        Ok((read, replayed))
    })
}

impl<'c> Replay<'c> {
    fn new(common: &'c Common<'c>, sink: Sink<'c>, lanes: usize, durable: Lsn) -> Replay<'c> {
        let mut map = [0; DATABASES];
        for (logical, physical) in (0..).zip(&mut map) {
            *physical = logical;
        }
        Replay {
            common,
            sink,
            lanes,
            segment: None,
            pending: vec![Vec::new(); lanes],
            held: Vec::new(),
            map,
            newest_ms: 0,
            records: 0,
            senseless: Vec::new(),
            waiting: Vec::new(),
            began: 0,
            headless_below: if planted("compacted_transaction_refused") { 0 } else { durable },
        }
    }

    /// The segment was read to its end. When many are at hand, or more than memory should hold, it waits for the lanes, so that
    /// they are gone before the next is read.
    pub(super) fn leave(&mut self) {
        self.dispatch();
        self.segment = None;
        self.held.retain(|held| Arc::strong_count(held) > 1);
        if self.held.iter().map(|held| held.file_bytes()).sum::<u64>()
            > HELD_BYTES.min(self.common.memory_goal() / HELD_PART)
        {
            self.sink.catch_up();
            self.held.clear();
        }
    }

    /// The frames that follow are in this segment.
    pub(super) fn enter(&mut self, segment: &Arc<Loaded>) {
        self.leave();
        self.common.source.add(segment.number, segment.base);
        self.common.progress().add_loaded_bytes(segment.file_bytes());
        self.segment = Some(segment.clone());
        self.held.push(segment.clone());
        self.common.hold(self.held.iter().map(|held| held.file_bytes()).sum());
    }

    /// Takes the next frame of the log. Whether it may stand here.
    pub(super) fn apply(&mut self, frame: &Frame<'_>) -> bool {
        self.records += 1;
        let continued = !frame.first && self.waiting.is_empty() && frame.lsn < self.headless_below;
        if usize::from(frame.database) >= DATABASES || (frame.first != self.waiting.is_empty() && !continued) {
            return false;
        }
        if frame.first {
            self.headless_below = 0;
            self.began = frame.lsn;
        }
        if continued || (frame.first && frame.last) {
            self.pass_on(frame);
            return true;
        }
        let Some(segment) = &self.segment else { return false };
        self.waiting.push((segment.clone(), frame.lsn));
        if !frame.last {
            return true;
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.pass_on_all(&waiting, |frame| frame.kind == Kind::Tomb && planted("renamed_not_buried"));
        true
    }

    /// The log cannot be read here; it goes on at `behind`. What was read of a transaction counts, frame by frame, and so does
    /// what follows of one. A collection that may go on in the gap is broken.
    pub(super) fn pass_gap(&mut self, behind: Lsn) {
        let waiting = std::mem::take(&mut self.waiting);
        self.pass_on_all(&waiting, |_| false);
        let last = waiting.last().and_then(|(segment, lsn)| segment.checked_frame(*lsn));
        if let Some(last) = last.filter(|last| last.value_type != STRING || last.kind == Kind::Delta) {
            self.dispatch();
            let what = "more of its value may have stood in the damaged part";
            let lane = lane_of(self.common.hash(last.key), self.lanes);
            self.sink.send(lane, Work::Break(last.database, last.key.to_vec(), what));
        }
        self.began = behind;
        self.headless_below = Lsn::MAX;
    }

    /// The log has ended: a transaction without its last frame never was.
    pub(super) fn drop_unfinished(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.records -= waiting.len() as u64;
        if planted("torn_tail_kept") {
            self.pass_on_all(&waiting, |_| false);
        }
    }

    /// Passes on the frames of a whole transaction, which may lie in several segments.
    fn pass_on_all(&mut self, frames: &[(Arc<Loaded>, Lsn)], passed_over: impl Fn(&Frame<'_>) -> bool) {
        let current = self.segment.clone();
        for (segment, lsn) in frames {
            if self.segment.as_ref().is_none_or(|now| !Arc::ptr_eq(now, segment)) {
                self.dispatch();
                self.segment = Some(segment.clone());
            }
            if let Some(frame) = segment.checked_frame(*lsn).filter(|frame| !passed_over(frame)) {
                self.pass_on(&frame);
            }
        }
        if let (Some(current), Some(now)) = (&current, &self.segment)
            && !Arc::ptr_eq(current, now)
        {
            self.dispatch();
            self.segment = Some(current.clone());
        }
    }

    /// Gives a frame to the lane it is for.
    fn pass_on(&mut self, frame: &Frame<'_>) {
        let map = frame.value;
        match frame.kind {
            Kind::Mark if frame.value.len() == 16 => self.newest_ms = self.newest_ms.max(u64_at(frame.value, 8)),
            Kind::Swap if map.len() == DATABASES && map.iter().all(|&to| usize::from(to) < DATABASES) => {
                self.map.copy_from_slice(map);
            }
            Kind::Mark | Kind::Swap => {
                self.senseless.extend(self.segment.as_ref().map(|segment| Senseless::of(frame, segment)));
            }
            Kind::Flush => (0..self.lanes).for_each(|lane| self.push(lane, frame.lsn, 0)),
            Kind::Image | Kind::Delta | Kind::Tomb | Kind::Blob | Kind::Lost => {
                let hash = self.common.hash(frame.key);
                self.push(lane_of(hash, self.lanes), frame.lsn, hash);
            }
        }
    }

    fn push(&mut self, lane: usize, lsn: Lsn, hash: u64) {
        self.pending[lane].push(Operation { lsn, hash, began: self.began });
        if self.pending[lane].len() >= BATCH {
            self.dispatch_to(lane);
        }
    }

    fn dispatch(&mut self) {
        (0..self.lanes).for_each(|lane| self.dispatch_to(lane));
    }

    fn dispatch_to(&mut self, lane: usize) {
        if let Some(segment) = self.segment.clone().filter(|_| !self.pending[lane].is_empty()) {
            let operations = std::mem::take(&mut self.pending[lane]);
            self.sink.send(lane, Work::Batch(Batch { segment, operations }));
        }
    }
}

impl Replayed {
    /// How many keys there are, expired ones included.
    pub(super) fn keys(&self) -> u64 {
        self.figures.iter().map(|figures| figures.keys).sum::<i64>().max(0) as u64
    }

    /// Removes the keys whose value cannot be known; with them, why, and the blob that was damaged.
    pub(super) fn remove_broken(&mut self, common: &Common<'_>) -> Vec<Lost> {
        let broken = std::mem::take(&mut self.broken);
        let mut lost: Vec<Lost> = Vec::with_capacity(broken.len());
        for ((physical, key), Broken { what, blob }) in broken {
            let named = Key { bytes: &key, hash: common.hash(&key) };
            common.remove(&mut self.figures, physical, &named, 0);
            let database = self.map.iter().position(|to| *to == physical).unwrap_or(usize::from(physical)) as u8;
            lost.push(Lost { database, key, what, blob });
        }
        lost.sort_by(|a, b| (a.database, &a.key).cmp(&(b.database, &b.key)));
        lost
    }

    /// Tells the blobs which of them are named by live entries, and whether every key's value is known.
    pub(super) fn finish(&mut self, common: &Common<'_>) -> Result<(), Error> {
        let unknown = |what| Err(Error::Corrupt { file: "the log".to_owned(), offset: 0, what });
        if let Some(Broken { what, .. }) = self.broken.values().next() {
            return unknown(what);
        }
        for (lsn, (database, key, reference)) in std::mem::take(&mut self.blob_frames) {
            let key = Key { hash: common.hash(&key), bytes: &key };
            let shard = common.shards.lock(key.shard());
            let named = shard.find(database, &key).filter(|entry| entry.base().unwrap_or(entry.lsn()) == lsn);
            if let Some(entry) = named {
                if entry.is_cold() && !common.blobs.exists(&reference) {
                    return unknown("the file of a large value is missing or cut short");
                }
                self.figures[usize::from(database)].live_bytes -=
                    live_cost(entry, false, common.part_bytes()) - live_cost(entry, true, common.part_bytes());
                common.blobs.insert(lsn, database, reference);
            }
        }
        Ok(())
    }
}
