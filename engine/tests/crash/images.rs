//! L0: one small log, damaged in every way there is, one at a time. It opens with the right values or says that it is
//! corrupt; a tail is dropped without a tool, and told from damage to what was durable.

use std::ops::Range;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::sim::SimDisk;
use engine::format::StoreId;
use engine::format::frame::{self, Draft, Kind, Seed};
use engine::format::manifest::Manifest;
use engine::format::segment::{self, Header};
use engine::value::{HASH, LIST, SET, STRING, ZSET, op};
use engine::{Error, Flusher, FsyncMode, Options, Store, Value};

use crate::model::{Cell, Model};
use crate::session::Keys;

const SECTOR: usize = 512;

/// A frame of the undamaged log.
struct Known {
    at: Range<usize>,
    lsn: u64,
    mark: Option<u64>,
}

/// A store that was stopped, and what is known of it.
struct Image {
    disk: SimDisk,
    /// As it was some commits earlier: where stale sectors come from.
    earlier: SimDisk,
    log: String,
    frames: Vec<Known>,
    /// Everything below was durable when the store was opened last.
    manifest_durable: u64,
    model: Model,
    keys: Keys,
    clock: Arc<SimClock>,
}

fn options() -> Options {
    Options {
        mode: FsyncMode::Always,
        segment_bytes: 64 << 10,
        blob_bytes: 1000,
        secrets_from: Some(9),
        ..Options::default()
    }
}

/// A store with some of everything in its log. Closed, or with a last group that no mark covers.
fn image(closed: bool) -> Image {
    let (disk, clock, keys) = (SimDisk::new(9), Arc::new(SimClock::new(1 << 40)), Keys::new(4));
    let mut model = Model::new(keys.len());
    let store = Store::open(Arc::new(disk.clone()), clock.clone(), options()).unwrap();
    let mut flusher = Flusher::new(store.log().clone());
    let mut earlier = disk.process_crash();
    for round in 0..6_u8 {
        write(&store, &mut model, &keys, round);
        if round == 4 {
            store.log().write_out();
            earlier = disk.process_crash();
        }
        clock.advance_ms(100);
        flusher.step(clock.monotonic_us());
        if closed && round == 2 {
            flusher.step(clock.monotonic_us() + 60_000);
        }
    }
    if closed {
        store.close();
    }
    drop(store);
    let disk = disk.process_crash();
    let manifest = Manifest::parse(&disk.bytes("dump.kv").unwrap()).unwrap();
    let log = segment::file_name("dump.kv", manifest.first);
    let frames = frames(&disk.bytes(&log).unwrap());
    let last = frames.last().unwrap();
    assert_eq!(last.mark == Some(last.lsn), closed, "a closed log ends with a mark of all that is before it");
    assert!(model.len() > 8, "the log holds a little of everything");
    Image { disk, earlier, log, frames, manifest_durable: manifest.durable, model, keys, clock }
}

fn write(store: &Store, model: &mut Model, keys: &Keys, round: u8) {
    let put = |model: &mut Model, key: usize, value: Vec<u8>| model.put(key, Some(Cell::string(value, None)));
    let (one, two, three) = (store.key(keys.name(0)), store.key(keys.name(1)), store.key(keys.name(2)));
    // Two keys at once, one removed and one long enough to be changed by a delta in the next round.
    model.begin();
    let mut transaction = store.begin(0, &[one, two, three], store.now_ms());
    transaction.set(&one, Value::Copy(&[round; 20]), None);
    put(model, 0, vec![round; 20]);
    if transaction.remove(&three) {
        model.put(2, None);
    }
    let mut long = model.get(1, 0).map_or(vec![round; 270], |cell| cell.value.string().unwrap().clone());
    if transaction.get(&two).is_none() {
        transaction.set(&two, Value::Copy(&long), None);
    } else {
        transaction.append(&two, &[round; 5]);
        long.extend_from_slice(&[round; 5]);
    }
    put(model, 1, long);
    model.commit(transaction.commit());
    // A value in a file of its own, now and then.
    if round % 3 == 1 {
        let value = vec![round; 1100];
        let reference = store.write_blob(&value).unwrap();
        model.begin();
        let mut transaction = store.begin(0, &[three], store.now_ms());
        transaction.set(&three, Value::Blob(value.clone().into(), reference), None);
        put(model, 2, value);
        model.commit(transaction.commit());
    } else {
        model.begin();
        let mut transaction = store.begin(0, &[three], store.now_ms());
        transaction.set(&three, Value::Copy(&[round + 100]), None);
        put(model, 2, vec![round + 100]);
        model.commit(transaction.commit());
    }
}

/// All frames of a segment that is whole.
fn frames(bytes: &[u8]) -> Vec<Known> {
    let header = Header::parse(bytes).unwrap();
    let seed = Seed::new(header.id, header.number);
    let mut at = segment::HEADER as usize;
    let mut known = Vec::new();
    let lsn_at = |at: usize| header.base + at as u64 - segment::HEADER;
    while let Some(frame) = frame::parse(&bytes[at..], lsn_at(at), &seed) {
        let mark = (frame.kind == Kind::Mark).then(|| u64::from_le_bytes(frame.value[..8].try_into().unwrap()));
        known.push(Known { at: at..at + frame.padded, lsn: frame.lsn, mark });
        at += frame.padded;
    }
    known
}

impl Image {
    fn bytes(&self) -> Vec<u8> {
        self.disk.bytes(&self.log).unwrap()
    }

    /// End of the last frame.
    fn end(&self) -> usize {
        self.frames.last().unwrap().at.end
    }

    /// Position of the first frame that damage from here to there hits, or of the log's end.
    fn first_hit(&self, damage: &Range<usize>) -> u64 {
        let hit = self.frames.iter().find(|frame| frame.at.end > damage.start);
        match hit {
            _ if damage.start < segment::HEADER as usize => self.frames[0].lsn,
            Some(frame) => frame.lsn,
            None => self.frames.last().map_or(0, |last| last.lsn + last.at.len() as u64),
        }
    }

    /// Opens what damage to this range of the log has left, and says what is wrong about the outcome.
    fn judge(&self, disk: &SimDisk, damage: &Range<usize>) -> Result<bool, String> {
        let first_lsn = self.first_hit(damage);
        let intact = |frame: &&Known| frame.at.end <= damage.start || frame.at.start >= damage.end;
        let highest = self.frames.iter().filter(intact).filter_map(|frame| frame.mark).max().unwrap_or(0);
        let was_durable = highest.max(self.manifest_durable) > first_lsn;
        match Store::open(Arc::new(disk.clone()), self.clock.clone(), options()) {
            Err(Error::Corrupt { .. }) if was_durable => Ok(true),
            Err(error) => Err(format!("refused: {error}")),
            Ok(store) => {
                let found = self.keys.read(&store)?;
                let before = self.model.commits_below(first_lsn);
                let required = if was_durable { self.model.len() } else { before };
                self.model.judge(&found, required).map(|_| false)
            }
        }
    }

    fn with(&self, bytes: &[u8]) -> SimDisk {
        let disk = self.disk.process_crash();
        disk.put(&self.log, bytes);
        disk
    }

    fn expect(&self, what: &str, disk: &SimDisk, damage: &Range<usize>) -> bool {
        self.judge(disk, damage).unwrap_or_else(|why| panic!("{what} {damage:?}: {why}"))
    }
}

#[test]
fn every_truncation() {
    for image in [image(true), image(false)] {
        let (bytes, end) = (image.bytes(), image.end());
        for length in 0..=end {
            let damage = length..bytes.len();
            image.expect("cut", &image.with(&bytes[..length]), &damage);
            let mut zeroed = bytes.clone();
            zeroed[length..].fill(0);
            image.expect("zeroed from", &image.with(&zeroed), &damage);
        }
    }
}

#[test]
fn every_bit_flip() {
    for image in [image(true), image(false)] {
        let mut told = 0;
        for byte in 0..image.end() {
            for bit in 0..8 {
                let disk = image.disk.process_crash();
                disk.flip_bit(&image.log, byte as u64, bit);
                told += usize::from(image.expect("flipped", &disk, &(byte..byte + 1)));
            }
        }
        assert!(told > image.end() * 2, "only {told} of {} flips were told", image.end() * 8);
    }
}

#[test]
fn every_sector_zeroed_stale_or_of_another_place() {
    for image in [image(true), image(false)] {
        let (bytes, earlier) = (image.bytes(), image.earlier.bytes(&image.log).unwrap());
        for at in (0..image.end()).step_by(SECTOR) {
            for source in 0..3 {
                let mut damaged = bytes.clone();
                let (sector, other) = (at..at + SECTOR, (at + SECTOR) % image.end().next_multiple_of(SECTOR));
                match source {
                    0 => damaged[sector.clone()].fill(0),
                    1 => damaged[sector.clone()].copy_from_slice(&earlier[sector.clone()]),
                    _ => damaged.copy_within(other..other + SECTOR, at),
                }
                let changed: Vec<usize> = sector.filter(|&byte| damaged[byte] != bytes[byte]).collect();
                if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
                    image.expect("sector", &image.with(&damaged), &(*first..last + 1));
                }
            }
        }
    }
}

#[test]
fn garbage_behind_the_end_is_dropped_and_counted() {
    for image in [image(true), image(false)] {
        let (bytes, end) = (image.bytes(), image.end());
        for (shift, length) in [(0, 1), (0, 16), (0, 5000), (16, 100), (7, 333)] {
            let mut garbage = bytes.clone();
            for (index, byte) in garbage[end + shift..end + shift + length].iter_mut().enumerate() {
                *byte = (index as u8).wrapping_mul(37) | 1;
            }
            let disk = image.with(&garbage);
            assert!(!image.expect("garbage", &disk.process_crash(), &(end + shift..end + shift + length)));
            let store = Store::open(Arc::new(disk.clone()), image.clock.clone(), options()).unwrap();
            assert_eq!(store.recovery().dropped_bytes, (shift + length) as u64);
            drop(store);
            // It is gone for good: the next opening finds nothing to drop.
            let store = Store::open(Arc::new(disk), image.clock.clone(), options()).unwrap();
            assert_eq!(store.recovery().dropped_bytes, 0);
        }
    }
}

#[test]
fn every_bit_flip_of_the_manifest_and_of_a_live_blob() {
    let image = image(true);
    let blobs: Vec<String> = image.disk.names().into_iter().filter(|name| name.ends_with(".blob")).collect();
    assert!(!blobs.is_empty());
    for name in blobs.iter().map(String::as_str).chain(["dump.kv"]) {
        for byte in 0..image.disk.bytes(name).unwrap().len() as u64 {
            for bit in 0..8 {
                let disk = image.disk.process_crash();
                disk.flip_bit(name, byte, bit);
                match Store::open(Arc::new(disk), image.clock.clone(), options()) {
                    Err(Error::Corrupt { .. } | Error::Foreign(_) | Error::NewerFormat { .. }) => {}
                    Err(error) => panic!("{name} byte {byte} bit {bit}: {error}"),
                    // The blob of a value that was replaced since: nobody needs it.
                    Ok(store) => {
                        let found = image.keys.read(&store).unwrap();
                        image.model.judge(&found, image.model.len()).unwrap();
                        assert_ne!(name, "dump.kv", "byte {byte} bit {bit}");
                    }
                }
            }
        }
    }
}

/// A frame: first or last of its transaction, type, kind, the position before it, value.
type Crafted<'a> = (u8, u8, Kind, Option<u64>, &'a [u8]);

const BOTH: u8 = frame::FIRST | frame::LAST;

/// Opens a log of frames of one key, each with a checksum that holds. How many elements or bytes the key has then, if the
/// log is taken.
fn crafted(frames: &[Crafted<'_>]) -> Option<usize> {
    crafted_with(frames, &[])
}

/// The same, with frames behind those that were written for another segment and stand where they say.
fn crafted_with(frames: &[Crafted<'_>], of_another: &[Crafted<'_>]) -> Option<usize> {
    let (id, base) = (StoreId([7; 16]), engine::log::START);
    let mut log = Header { id, number: 1, base, epoch: 1, used: false }.encode().to_vec();
    let header = log.len();
    let own = frames.iter().map(|frame| (1, frame));
    for (segment, &(flags, value_type, kind, previous, value)) in own.chain(of_another.iter().map(|frame| (9, frame))) {
        let start = log.len();
        Draft { kind, database: 0, value_type, deadline: None, previous, key: b"k", value: [value, b""] }
            .encode(&mut log);
        let written = &mut log[start..];
        frame::set_flags(written, flags);
        let body = frame::body_checksum(written);
        frame::seal(written, body, base + (start - header) as u64, &Seed::new(id, segment));
    }
    log.resize(16 << 10, 0);
    let disk = SimDisk::new(1);
    let manifest = Manifest {
        id,
        hash_seed: [3; 16],
        epoch: 1,
        first: 1,
        base,
        durable: base,
        cuts: Vec::new(),
        checkpoints: Vec::new(),
    };
    disk.put("dump.kv", &manifest.encode());
    disk.put(&segment::file_name("dump.kv", 1), &log);
    let store = match Store::open(Arc::new(disk), Arc::new(SimClock::new(1)), options()) {
        Err(Error::Corrupt { .. }) => return None,
        opened => opened.unwrap(),
    };
    store.audit().unwrap();
    let key = store.key(b"k");
    let found = store.begin(0, &[key], 1).get(&key).map(|item| crate::content::Content::of(&item).len());
    Some(found.unwrap_or(0))
}

/// Frames that no store writes are refused, and those beside them that one does are taken.
pub fn hostile() -> Result<(), String> {
    let start = engine::log::START;
    let push = [op::LIST_PUSH_BACK, 1, b'x'];
    let list: &[u8] = &[2, 1, b'a', 1, b'b'];
    let add = [op::SET_ADD, 1, b'x'];
    let pop = [op::LIST_POP_FRONT, 2, 0, 0, 0, 0, 0, 0, 0];
    let (image, delta) = (Kind::Image, Kind::Delta);
    let same = Some(0);
    let cases: &[(&str, &[Crafted<'_>], Option<usize>)] = &[
        ("an image", &[(BOTH, LIST, image, None, list)], Some(2)),
        ("a change", &[(BOTH, LIST, image, None, list), (BOTH, LIST, delta, Some(start), &push)], Some(3)),
        ("one transaction", &[(1, LIST, image, None, list), (2, LIST, delta, same, &push)], Some(3)),
        ("another transaction", &[(BOTH, LIST, image, None, list), (BOTH, LIST, delta, same, &push)], None),
        ("another position", &[(BOTH, LIST, image, None, list), (BOTH, LIST, delta, Some(start + 16), &push)], None),
        ("no position", &[(BOTH, LIST, image, None, list), (BOTH, LIST, delta, None, &push)], None),
        ("another type", &[(1, LIST, image, None, list), (2, LIST, delta, same, &add)], None),
        ("a change of nothing", &[(BOTH, LIST, delta, same, &push)], None),
        ("nothing left", &[(1, LIST, image, None, list), (2, LIST, delta, same, &pop)], None),
        ("half an operation", &[(1, LIST, image, None, list), (2, LIST, delta, same, &push[..2])], None),
        ("no operation", &[(1, LIST, image, None, list), (2, LIST, delta, same, &[])], None),
        ("mended", &[(BOTH, LIST, delta, same, &push), (BOTH, LIST, image, None, list)], Some(2)),
        ("a string as a list", &[(BOTH, LIST, image, None, b"text")], None),
        ("a list as a hash", &[(BOTH, HASH, image, None, list)], None),
        ("a list as a string", &[(BOTH, STRING, image, None, list)], Some(5)),
        ("a type that is none", &[(BOTH, 5, image, None, list)], None),
        ("an empty list", &[(BOTH, LIST, image, None, &[2])], None),
        ("an empty packed list", &[(BOTH, LIST, image, None, &[1, 0, 0])], None),
        ("an empty hash", &[(BOTH, HASH, image, None, &[3, 0, 0])], None),
        ("an empty set", &[(BOTH, SET, image, None, &[6, 0, 0, 2])], None),
        ("an empty sorted set", &[(BOTH, ZSET, image, None, &[10])], None),
        ("twice the same member", &[(BOTH, SET, image, None, &[8, 1, b'a', 1, b'a'])], None),
        ("a score that is none", &[(BOTH, ZSET, image, None, &[10, 255, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F, 1, b'a'])], None),
        ("no bytes", &[(BOTH, ZSET, image, None, &[])], None),
    ];
    for (what, frames, expected) in cases {
        let found = crafted(frames);
        if found != *expected {
            return Err(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }
    let ours: &[Crafted<'_>] = &[(BOTH, LIST, image, None, list)];
    let found = crafted_with(ours, &[(BOTH, STRING, image, None, b"longer"), (BOTH, 0, Kind::Mark, None, &[255; 16])]);
    if found != Some(2) {
        return Err(format!("frames of another segment: {found:?}"));
    }
    Ok(())
}

#[test]
fn frames_that_no_store_writes_are_refused() {
    hostile().unwrap();
}
