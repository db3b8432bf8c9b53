//! Large values in files of their own, and when such a file may go.
//!
//! A blob file is durable before the frame that names it is appended, so a frame never names what a crash can take. It
//! goes when the frame that replaces or removes its value is durable. A frame in the log whose file is gone is stale by
//! then: a later frame stands behind it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::disk::{self, Disk};
use crate::error::Error;
use crate::failpoint;
use crate::format::StoreId;
use crate::format::blob::{self, Reference};
use crate::log::Lsn;
use crate::mutant::planted;

/// The blob files of a store.
pub(crate) struct Blobs {
    disk: Arc<dyn Disk>,
    store_name: String,
    id: StoreId,
    next: AtomicU64,
    /// By the position of the frame that names it.
    live: Mutex<HashMap<Lsn, (u8, Reference)>>,
    /// How many are live or dying; lets the common store without blobs skip the lock.
    count: AtomicUsize,
    /// Written, and no transaction has stored them yet.
    unclaimed: Mutex<HashSet<u64>>,
    /// Files to be removed when the log is durable up to the position.
    dying: Mutex<Vec<(Lsn, u64)>>,
}

impl Blobs {
    pub(crate) fn new(disk: Arc<dyn Disk>, store_name: &str, id: StoreId, next: u64) -> Blobs {
        Blobs {
            disk,
            store_name: store_name.to_owned(),
            id,
            next: AtomicU64::new(next),
            live: Mutex::default(),
            count: AtomicUsize::new(0),
            unclaimed: Mutex::default(),
            dying: Mutex::default(),
        }
    }

    /// Writes a value to a new file and makes it durable. Blocks: not for a worker's thread.
    pub(crate) fn write(&self, value: &[u8]) -> std::io::Result<Reference> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = blob::file_name(&self.store_name, number);
        let (header, reference) = blob::header(self.id, number, value);
        let file = self.disk.create(&name)?;
        let written = (|| {
            failpoint::hit("blob.write")?;
            file.allocate(blob::HEADER + value.len() as u64)?;
            disk::write_all_at(&*file, &header, 0)?;
            disk::write_all_at(&*file, value, blob::HEADER)?;
            failpoint::hit("blob.sync")?;
            if !planted("blob_not_synced") {
                file.sync()?;
            }
            self.disk.sync_dir()
        })();
        if let Err(e) = written {
            drop(file);
            let _ = self.disk.remove(&name);
            return Err(e);
        }
        self.unclaimed.lock().insert(number);
        Ok(reference)
    }

    /// A transaction stores this blob. Whether it was the first to.
    pub(crate) fn claim(&self, number: u64) -> bool {
        self.unclaimed.lock().remove(&number)
    }

    /// Reads a value back. `None` when the file is not there; an error when it is not what was written.
    pub(crate) fn read(&self, reference: &Reference, limit: u64) -> Result<Option<Bytes>, Error> {
        let name = blob::file_name(&self.store_name, reference.number);
        let corrupt = |what| Error::Corrupt { file: name.clone(), offset: 0, what };
        if reference.length > limit {
            return Err(corrupt("the blob is longer than any value"));
        }
        let bytes = match disk::read_all(&*self.disk, &name, blob::HEADER + limit) {
            Ok(bytes) => Bytes::from(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let whole = blob::HEADER + reference.length;
        if (bytes.len() as u64) < whole {
            return Err(corrupt("the blob is cut short"));
        }
        let value = bytes.slice(blob::HEADER as usize..whole as usize);
        if !planted("blob_crc_unchecked") && !blob::verify(self.id, reference, &bytes[..blob::HEADER as usize], &value)
        {
            return Err(corrupt("the blob's checksum does not hold"));
        }
        Ok(Some(value))
    }

    /// Whether the file is there, and as long as it should be.
    pub(crate) fn exists(&self, reference: &Reference) -> bool {
        let file = self.disk.open(&blob::file_name(&self.store_name, reference.number));
        file.and_then(|file| file.len()).is_ok_and(|length| length >= blob::HEADER + reference.length)
    }

    /// Whether there is no live blob.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// A frame at this position names this blob.
    pub(crate) fn insert(&self, lsn: Lsn, database: u8, reference: Reference) {
        self.live.lock().insert(lsn, (database, reference));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The blob that the frame at this position names, if it names one that is live.
    pub(crate) fn reference(&self, lsn: Lsn) -> Option<Reference> {
        if self.is_empty() { None } else { self.live.lock().get(&lsn).map(|(_, reference)| *reference) }
    }

    /// Whether the frame at this position names a live blob.
    pub(crate) fn contains(&self, lsn: Lsn) -> bool {
        !self.is_empty() && self.live.lock().contains_key(&lsn)
    }

    /// The blob that the frame at this position names, if it names one. The caller answers for it now.
    pub(crate) fn take(&self, lsn: Lsn) -> Option<Reference> {
        if self.is_empty() {
            return None;
        }
        let taken = self.live.lock().remove(&lsn);
        if taken.is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        taken.map(|(_, reference)| reference)
    }

    /// Takes all blobs of a database that is being flushed; their numbers.
    pub(crate) fn take_database(&self, database: u8) -> Vec<u64> {
        let mut live = self.live.lock();
        let mut gone: Vec<u64> =
            live.extract_if(|_, (of, _)| *of == database).map(|(_, (_, reference))| reference.number).collect();
        self.count.fetch_sub(gone.len(), Ordering::Relaxed);
        // The map has no order of its own, and a simulation must go the same way again.
        gone.sort_unstable();
        gone
    }

    /// These files may go once the log is durable up to `lsn`.
    pub(crate) fn retire(&self, lsn: Lsn, numbers: Vec<u64>) {
        if !numbers.is_empty() {
            self.dying.lock().extend(numbers.into_iter().map(|number| (lsn, number)));
        }
    }

    /// Removes files whose time has come. Returns how many.
    pub(crate) fn sweep(&self, durable: Lsn) -> usize {
        let due: Vec<u64> = {
            let mut dying = self.dying.lock();
            dying
                .extract_if(.., |(lsn, _)| *lsn <= durable || planted("blob_removed_early"))
                .map(|(_, number)| number)
                .collect()
        };
        for number in &due {
            // A file that stays behind is swept at the next start.
            let _ = self.disk.remove(&blob::file_name(&self.store_name, *number));
        }
        due.len()
    }

    /// Whether files wait for the log to become durable beyond this position.
    pub(crate) fn waits_beyond(&self, durable: Lsn) -> bool {
        self.dying.lock().iter().any(|(lsn, _)| *lsn > durable)
    }

    /// Numbers of all live blobs.
    pub(crate) fn live_numbers(&self) -> HashSet<u64> {
        self.live.lock().values().map(|(_, reference)| reference.number).collect()
    }
}
