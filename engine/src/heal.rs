//! Damage that compaction comes upon in the oldest segment: what is in memory is logged again, what is not is logged as
//! lost, and the segment's file is kept beside the log.
//!
//! ```text
//!  oldest segment ├── frames ──┤ damage ├── frames ──┤      every key whose last whole value stood in the damage:
//!                                  └─► in memory, or in a file of its own: logged whole, at the end of the log
//!                                  └─► nowhere else: a frame that says where it was; whoever reads the key is told
//! ```
//!
//! Nothing else that stood there is missed. Memory has every change, a tomb in the oldest segment buries nothing, and the map
//! of databases is logged again.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::disk::Disk;
use crate::format::{lost, segment};
use crate::keyspace::shard::{DATABASES, SHARDS};
use crate::log::{Lsn, is_full};
use crate::mutant::planted;
use crate::store::Store;

/// A segment that was found to be damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damaged {
    /// The file that is kept.
    pub file: String,
    /// Where in it the damage begins.
    pub offset: u64,
    /// Bytes of frames that are not valid.
    pub bytes: u64,
    /// Keys whose values were in memory and are logged again.
    pub healed: u64,
    /// Keys whose values cannot be read any more.
    pub lost: u64,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damaged { file, offset, bytes, healed, lost } = self;
        write!(f, "{file}: at byte {offset}: compaction found {bytes} bytes that are not valid. ")?;
        write!(f, "{healed} values were written again; {lost} cannot be read any more. The file is kept")
    }
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Damages {
    /// Segments that are kept.
    segments: AtomicU64,
    healed: AtomicU64,
    lost: AtomicU64,
    untold: Mutex<Vec<Damaged>>,
}

/// The damaged parts of a segment, as positions in the log. A damaged header is an empty one.
pub(crate) type Parts = Vec<Range<Lsn>>;

impl Damages {
    /// So many segments were kept earlier.
    pub(crate) fn new(segments: u64) -> Damages {
        Damages { segments: AtomicU64::new(segments), ..Damages::default() }
    }
}

impl Store {
    /// Segments that are kept because they were found to be damaged, and how many keys, since the start, were logged again
    /// and lost for that.
    pub fn damage_counts(&self) -> [u64; 3] {
        let Damages { segments, healed, lost, .. } = self.damages();
        [segments, healed, lost].map(|count| count.load(Ordering::Relaxed))
    }

    /// The segments that were found to be damaged since the last call.
    pub fn take_damages(&self) -> Vec<Damaged> {
        std::mem::take(&mut *self.damages().untold.lock())
    }

    /// Counts a segment that is kept from now on.
    pub(crate) fn note_damaged(&self, damaged: Damaged) {
        self.damages().segments.fetch_add(1, Ordering::Relaxed);
        self.damages().untold.lock().push(damaged);
    }

    /// Logs every key again whose last whole value stood in the damaged parts of a segment: the value, or that it is lost.
    /// Whether it got through: not when the log has no room.
    pub(crate) fn heal(&self, (number, base): (u64, Lsn), parts: &Parts, found: &mut Damaged) -> io::Result<bool> {
        let offset = |lsn: Lsn| segment::HEADER + lsn - base;
        found.file = lost::file_name(&self.options().name, number);
        let first = parts.iter().find(|part| !part.is_empty());
        found.offset = first.map_or(0, |part| offset(part.start));
        found.bytes = parts.iter().map(|part| part.end - part.start).sum();
        self.log_map();
        for (physical, key, lsn) in self.keys_in(parts) {
            let key = self.key(&key);
            match self.settle_at(physical, &key, Some(lsn)) {
                Err(e) if is_full(&e) => return Ok(false),
                settled => settled?,
            };
            let mut transaction = self.begin(0, &[key], self.now_ms());
            if !transaction.may_copy_forward(&key, physical, lsn) {
                return Ok(false);
            }
            // The frame of a value in a file of its own holds nothing that is not known.
            let value = self.blobs().contains(lsn).then_some(&b""[..]);
            if transaction.copy_forward(&key, physical, lsn, value) {
                found.healed += 1;
                self.damages().healed.fetch_add(1, Ordering::Relaxed);
            } else if !planted("damaged_value_forgotten") && transaction.lose(&key, physical, lsn, number, offset(lsn))
            {
                found.lost += 1;
                self.damages().lost.fetch_add(1, Ordering::Relaxed);
            }
            transaction.commit();
        }
        self.log().write_out();
        Ok(true)
    }

    /// Keys of physical databases whose last whole values lie in some parts of the log, with where.
    fn keys_in(&self, parts: &Parts) -> Vec<(u8, Vec<u8>, Lsn)> {
        let mut keys = Vec::new();
        for index in 0..SHARDS {
            let shard = self.shards().lock(index);
            for physical in 0..DATABASES as u8 {
                for entry in shard.table(physical).into_iter().flat_map(|table| table.iter()) {
                    let lsn = entry.base().unwrap_or(entry.lsn());
                    // They stand in the order of the log.
                    let behind = parts.partition_point(|part| part.end <= lsn);
                    if parts.get(behind).is_some_and(|part| part.contains(&lsn)) {
                        keys.push((physical, entry.key().to_vec(), lsn));
                    }
                }
            }
        }
        keys
    }
}

/// Gives the file of a segment that is to leave the log another name, durably: nobody removes it then.
pub(crate) fn keep(disk: &dyn Disk, store: &str, number: u64) -> io::Result<()> {
    match disk.rename(&segment::file_name(store, number), &lost::file_name(store, number)) {
        // An earlier attempt has got as far as here.
        Err(e) if e.kind() == io::ErrorKind::NotFound && disk.open(&lost::file_name(store, number)).is_ok() => {}
        renamed => renamed?,
    }
    disk.sync_dir()
}

/// Gives a segment that is still in the log its name again: the process has ended before the manifest was written without it.
/// Whether that was so.
pub(crate) fn take_back(disk: &dyn Disk, store: &str, number: u64, names: &[String]) -> io::Result<bool> {
    let (file, kept) = (segment::file_name(store, number), lost::file_name(store, number));
    if names.contains(&file) || !names.contains(&kept) {
        return Ok(false);
    }
    disk.rename(&kept, &file)?;
    disk.sync_dir()?;
    Ok(true)
}
