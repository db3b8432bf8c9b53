//! Log images: recovery of hostile bytes neither panics nor serves what does not check.
//!
//! An input is one byte of kind, then what is put on the disk:
//!
//! ```text
//!  0  frames behind a valid segment header     3  frames as fields, sealed with valid checksums
//!  1  a whole segment file                     4  a manifest
//!  2  edits of a valid segment: u16 offset, u8 to exclusive-or            5  frames of collections, with damaged values
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use engine::clock::SimClock;
use engine::disk::sim::SimDisk;
use engine::format::StoreId;
use engine::format::frame::{self, Draft, Kind, Seed};
use engine::format::manifest::Manifest;
use engine::format::segment::{self, Header};
use engine::{Options, Store, Value};

const ID: StoreId = StoreId([7; 16]);
const BASE: u64 = engine::log::START;
/// Bytes of the segment in which an input is placed.
const SEGMENT_BYTES: usize = 16 << 10;
/// Positions and lengths inside sealed frames stay below this: a client may ask for a value of 512 MiB, and a fuzzer
/// that does nothing else finds nothing else.
const BOUND: u64 = 4096;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Recovers what the input describes.
pub fn recover(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 6 {
        0 => frames(bytes),
        1 => drop(open(&disk(bytes, &manifest()))),
        2 => edited(bytes),
        3 => sealed(bytes),
        5 => collections(bytes),
        _ => drop(open(&disk(&file(&[]), bytes))),
    }
}

fn manifest() -> Vec<u8> {
    Manifest {
        id: ID,
        hash_seed: [3; 16],
        epoch: 1,
        first: 1,
        base: BASE,
        durable: BASE,
        cuts: Vec::new(),
        checkpoints: Vec::new(),
    }
    .encode()
}

/// A segment with these bytes behind its header.
fn file(frames: &[u8]) -> Vec<u8> {
    let mut bytes = Header { id: ID, number: 1, base: BASE, epoch: 1, used: false }.encode().to_vec();
    bytes.extend_from_slice(frames);
    bytes.resize(bytes.len().max(SEGMENT_BYTES), 0);
    bytes
}

fn disk(segment: &[u8], manifest: &[u8]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.put("dump.kv", manifest);
    disk.put(&segment::file_name("dump.kv", 1), segment);
    disk
}

/// Opens the store, and once more: a second recovery finds what the first one left. Nothing if it is refused.
fn open(disk: &SimDisk) -> Option<State> {
    let options = Options { segment_bytes: 64 << 10, ..Options::default() };
    let open = || Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1)), options.clone());
    let store = open().ok()?;
    store.audit().expect("the figures are what is there");
    let found = read(&store);
    drop(store);
    let again = open().expect("what was recovered once is recovered again");
    assert_eq!(found, read(&again), "recovered twice, and not the same");
    assert_eq!(again.recovery().dropped_bytes, 0, "dropped twice");
    Some(found)
}

fn read(store: &Store) -> State {
    let mut found = State::new();
    for database in 0..16 {
        let mut cursor = 0;
        loop {
            cursor = store.scan(None, database, cursor, usize::MAX, |key, item| {
                let value = item.string().map_or_else(|_| item.digest().bytes().to_vec(), <[u8]>::to_vec);
                found.insert(key.to_vec(), value);
            });
            if cursor == 0 {
                break;
            }
        }
    }
    found
}

/// Bytes that begin with no valid frame hold no value.
fn frames(bytes: &[u8]) {
    let file = file(bytes);
    let found = open(&disk(&file, &manifest()));
    let first = frame::parse(&file[segment::HEADER as usize..], BASE, &Seed::new(ID, 1));
    assert!(first.is_some() || found.is_none_or(|found| found.is_empty()), "a value out of nothing");
}

/// A valid segment, and the states after each of its transactions.
struct Valid {
    segment: Vec<u8>,
    states: Vec<State>,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let disk = disk(&file(&[]), &manifest());
    // The empty log in the segment is continued in another, which becomes the image.
    let options = Options { segment_bytes: 64 << 10, ..Options::default() };
    let store = Store::open(Arc::new(disk.clone()), Arc::new(SimClock::new(1)), options).expect("an empty log opens");
    let mut states = vec![State::new()];
    for round in 0..12_u8 {
        let (one, two) = (store.key(b"one"), store.key(b"two"));
        let mut transaction = store.begin(0, &[one, two], 1);
        match round % 4 {
            0 => transaction.set(&one, Value::Copy(&[round; 300]), None),
            1 => drop(transaction.append(&one, &[round; 9])),
            2 => {
                transaction.set(&two, Value::Copy(&[round; 3]), None);
                transaction.set_range(&one, 5, &[round]);
            }
            _ => drop(transaction.remove(&two)),
        }
        transaction.commit();
        store.log().write_out();
        states.push(read(&store));
        if round == 6 {
            // From here on there are marks.
            store.close();
        }
    }
    let number = disk.names().iter().filter_map(|name| segment::parse_name("dump.kv", name)).max().unwrap_or(1);
    let segment = disk.bytes(&segment::file_name("dump.kv", number)).expect("the segment in use");
    Valid { segment, states }
});

/// A damaged log shows the state after some of its transactions, or is refused.
fn edited(edits: &[u8]) {
    let number = Header::parse(&VALID.segment).expect("a valid segment").number;
    let mut bytes = VALID.segment.clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % SEGMENT_BYTES;
        bytes[at] ^= edit[2];
    }
    let manifest = Manifest {
        id: ID,
        hash_seed: [3; 16],
        epoch: 2,
        first: number,
        base: BASE,
        durable: BASE,
        cuts: Vec::new(),
        checkpoints: Vec::new(),
    };
    let disk = SimDisk::new(1);
    disk.put("dump.kv", &manifest.encode());
    disk.put(&segment::file_name("dump.kv", number), &bytes);
    let found = open(&disk);
    assert!(found.is_none_or(|found| VALID.states.contains(&found)), "a state that never was");
}

/// Frames whose checksums hold and whose content is anything: kind, flags, key length, eight bytes of value, a number
/// twice.
fn sealed(fields: &[u8]) {
    let seed = Seed::new(ID, 1);
    let mut log: Vec<u8> = Vec::new();
    for field in fields.chunks_exact(8).take(200) {
        let kind = [Kind::Image, Kind::Delta, Kind::Tomb, Kind::Flush, Kind::Swap, Kind::Mark, Kind::Blob]
            [usize::from(field[0]) % 7];
        let number = u64::from(u16::from_le_bytes([field[4], field[5]])) % BOUND;
        let mut value = vec![field[3]; usize::from(field[6]) % 40];
        if let Some(word) = value.get_mut(1..9) {
            word.copy_from_slice(&number.to_le_bytes());
        }
        let start = log.len();
        Draft {
            kind,
            database: field[7] % 18,
            value_type: u8::from(field[7] > 250),
            deadline: (field[1] & 4 != 0).then_some(number),
            previous: (field[1] & 8 != 0).then_some(BASE + number),
            key: &[b'k'; 4][..usize::from(field[2]) % 4],
            value: [&value, b""],
        }
        .encode(&mut log);
        let frame = &mut log[start..];
        frame::set_flags(frame, field[1] & 0x83);
        let body = frame::body_checksum(frame);
        frame::seal(frame, body, BASE + start as u64, &seed);
    }
    open(&disk(&file(&log), &manifest()));
}

/// Values as a store writes them, by type: first an image, then changes. A fuzzer finds its way from these.
const VALUES: [(u8, &[&[u8]]); 4] = [
    (
        1,
        &[
            &[2, 1, b'a', 1, b'b'],
            &[1, 0, 0],
            &[16, 2, b'x', b'y'],
            &[17, 0],
            &[18, 1, 0, 0, 0, 0, 0, 0, 0],
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'z'],
            &[21, 1, 0, 0, 0, 0, 0, 0, 0, 1, b'z'],
            &[22, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ],
    ),
    (
        2,
        &[
            &[3, 1, 0, 1, b'f', 1, b'v'],
            &[4, 1, 0, 1, b'f', 1, b'v', 9, 0, 0, 0, 0, 0, 0, 0],
            &[5, 1, b'f', 1, b'v', 9, 0, 0, 0, 0, 0, 0, 0],
            &[32, 1, b'f', 1, b'w', 1, b'g', 1, b'w'],
            &[33, 1, b'f', 1, b'w'],
            &[34, 1, b'f'],
            &[35, 9, 0, 0, 0, 0, 0, 0, 0, 1, b'f'],
            &[36, 1, b'h', 1, b'v', 9, 0, 0, 0, 0, 0, 0, 0],
        ],
    ),
    (
        3,
        &[
            &[6, 2, 0, 2, 1, 0, 2, 0],
            &[7, 1, 0, 1, b'm'],
            &[8, 1, b'm', 2, b'n', b'n'],
            &[48, 1, b'm', 1, b'7'],
            &[49, 1, b'm'],
        ],
    ),
    (
        4,
        &[
            &[9, 1, 0, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 1, b'm'],
            &[10, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 1, b'm'],
            &[64, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, b'n'],
            &[65, 1, b'm'],
        ],
    ),
];

/// Frames of collections whose checksums hold: which value, kind and flags, what it builds on, and three edits of the
/// value's bytes.
fn collections(fields: &[u8]) {
    let seed = Seed::new(ID, 1);
    let mut log: Vec<u8> = Vec::new();
    let mut last = 0;
    for field in fields.chunks_exact(8).take(200) {
        let (value_type, values) = VALUES[usize::from(field[0]) % VALUES.len()];
        let mut value = values[usize::from(field[0] / 4) % values.len()].to_vec();
        for edit in field[4..].chunks_exact(2).filter(|edit| edit[0] & 1 == 1) {
            let at = usize::from(edit[0] >> 1) % (value.len() + 1);
            match value.get_mut(at) {
                Some(byte) => *byte ^= edit[1],
                None => value.extend(std::iter::repeat_n(edit[1], usize::from(edit[1] % 40))),
            }
        }
        let start = log.len();
        let is_operation = value.first().is_some_and(|&code| code >= 16);
        Draft {
            kind: if is_operation || field[1] & 0x70 == 0 { Kind::Delta } else { Kind::Image },
            database: 0,
            value_type: if field[1] & 8 != 0 { value_type } else { field[1] % 8 },
            deadline: (field[2] & 0x70 == 0x70).then_some(BOUND),
            previous: [None, Some(0), Some(last), Some(last)][usize::from(field[2]) % 4],
            key: &[b'k'; 2][..1 + usize::from(field[3] & 1)],
            value: [&value, b""],
        }
        .encode(&mut log);
        let frame = &mut log[start..];
        frame::set_flags(frame, if field[3] & 2 == 0 { 3 } else { field[3] >> 2 & 3 });
        let body = frame::body_checksum(frame);
        last = BASE + start as u64;
        frame::seal(frame, body, last, &seed);
    }
    drop(open(&disk(&file(&log), &manifest())));
}
