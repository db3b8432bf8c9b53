//! Loading a checkpoint: every key it names becomes an entry whose value lies in the log only, or is read now where that
//! cannot be. The log from its start on does the rest.
//!
//! Each lane reads the blocks that hold keys of its shards. Whatever is wrong with a checkpoint, it is given up as a whole,
//! and what it was made from is still there: an older one, or the log from its beginning.

use std::sync::Arc;

use super::lane::Lane;
use super::replay::Worker;
use crate::disk::{self, Disk, File};
use crate::format::StoreId;
use crate::format::checkpoint::{self, BLOCK_HEADER, Block, HEADER, Header, INDEX_ENTRY, Place, Record};
use crate::format::manifest;
use crate::format::u32_at;
use crate::keyspace::shard::DATABASES;
use crate::mutant::planted;
use crate::value::ZSET;

/// A checkpoint whose header and index are whole.
pub(super) struct Checkpoint {
    file: Arc<dyn File>,
    pub header: Header,
    index: Vec<Block>,
}

/// Why a checkpoint is not used.
pub(super) type Unusable = String;

impl Checkpoint {
    /// Opens the one that the manifest names.
    pub(super) fn open(
        disk: &dyn Disk,
        store: &str,
        id: StoreId,
        named: &manifest::Checkpoint,
    ) -> Result<Checkpoint, Unusable> {
        let file = disk.open(&checkpoint::file_name(store, named.number)).map_err(|error| error.to_string())?;
        let length = file.len().map_err(|error| error.to_string())?;
        let mut front = [0; HEADER];
        disk::read_exact_at(&*file, &mut front, 0).map_err(|error| error.to_string())?;
        let header = Header::parse(&front).ok_or("its header is damaged")?;
        let index_bytes = u64::from(header.blocks) * INDEX_ENTRY as u64;
        if header.index.checked_add(index_bytes).is_none_or(|end| end > length) {
            return Err("it is cut short".to_owned());
        }
        let mut bytes = vec![0; index_bytes as usize];
        disk::read_exact_at(&*file, &mut bytes, header.index).map_err(|error| error.to_string())?;
        let is_named = header.number == named.number && header.start == named.start && header.end == named.end;
        if !checkpoint::verify(&front, &bytes) || header.id != id || !is_named {
            return Err("its header is damaged".to_owned());
        }
        let index = bytes.chunks_exact(INDEX_ENTRY).map(Block::parse).collect();
        Ok(Checkpoint { file, header, index })
    }

    /// Bytes of its blocks.
    pub(super) fn bytes(&self) -> u64 {
        self.header.index
    }

    /// Puts what it holds into the lanes. How many records of keys there were.
    pub(super) fn load(&self, workers: &mut [Worker<'_>], threads: bool) -> Result<(), Unusable> {
        let counted: Vec<Result<u64, Unusable>> = if threads {
            std::thread::scope(|scope| {
                let load = |worker: &mut Worker<'_>| self.load_lane(&mut worker.lane);
                let started: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(move || load(worker))).collect();
                let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                    thread.join().unwrap_or_else(|_| Err("a thread that read it has ended".to_owned()))
                };
                started.into_iter().map(ended).collect()
            })
        } else {
            workers.iter_mut().map(|worker| self.load_lane(&mut worker.lane)).collect()
        };
        let records = counted.into_iter().sum::<Result<u64, Unusable>>()?;
        self.check_count(records)
    }

    fn load_lane(&self, lane: &mut Lane<'_>) -> Result<u64, Unusable> {
        let mut records = 0;
        let mut bytes = Vec::new();
        for (place, block) in (0..).zip(&self.index) {
            if !lane.has_some_of(block.first_shard.into(), block.last_shard.into()) {
                continue;
            }
            self.read_block(place, block, &mut bytes)?;
            let mut rest = &bytes[BLOCK_HEADER..];
            while !rest.is_empty() {
                records += u64::from(lane.take_record(&take_record(&mut rest)?)?);
            }
            lane.tell();
            lane.note_loaded(bytes.len() as u64);
        }
        Ok(records)
    }

    /// Reads all of it, and uses nothing.
    pub(super) fn verify(&self) -> Result<(), Unusable> {
        let mut records = 0;
        let mut bytes = Vec::new();
        for (place, block) in (0..).zip(&self.index) {
            self.read_block(place, block, &mut bytes)?;
            let mut rest = &bytes[BLOCK_HEADER..];
            while !rest.is_empty() {
                take_record(&mut rest)?;
                records += 1;
            }
        }
        self.check_count(records)
    }

    fn check_count(&self, records: u64) -> Result<(), Unusable> {
        if records != self.header.records && !planted("checkpoint_crc_unchecked") {
            return Err("it does not hold as many keys as it should".to_owned());
        }
        Ok(())
    }

    /// Reads a block with a checksum that holds.
    fn read_block(&self, place: u32, block: &Block, bytes: &mut Vec<u8>) -> Result<(), Unusable> {
        let end = self.index.get(place as usize + 1).map_or(self.header.index, |next| next.offset);
        // The file is at least as long as all blocks together.
        let length = end.checked_sub(block.offset).filter(|length| *length <= self.header.index);
        let whole = length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length >= BLOCK_HEADER);
        bytes.resize(whole.ok_or("its index is damaged")?, 0);
        disk::read_exact_at(&*self.file, bytes, block.offset).map_err(|error| error.to_string())?;
        let sum = checkpoint::block_checksum(&bytes[4..], self.header.id, self.header.number, place);
        let holds = u32_at(bytes, 0) == sum && u32_at(bytes, 4) as usize == bytes.len() - BLOCK_HEADER;
        if !holds && !planted("checkpoint_crc_unchecked") {
            return Err(format!("the checksum of its block {place} does not hold"));
        }
        Ok(())
    }
}

/// The next record, if it can be one of a store.
fn take_record<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Unusable> {
    let makes_sense = |record: &Record<'_>| {
        let base = if let Place::Frames(base) = record.place { base } else { record.lsn };
        usize::from(record.database) < DATABASES && record.value_type <= ZSET && base != 0 && base <= record.lsn
    };
    Record::take(rest).filter(makes_sense).ok_or_else(|| "a record makes no sense".to_owned())
}
