//! Checkpoints: a damaged one is passed over for the log, and one that lies with checksums that hold breaks nothing.
//!
//! An input is a byte of kind, then:
//!
//! ```text
//!  0  edits of a valid checkpoint: u16 offset, u8 to exclusive-or       2  u16 length to which it is cut or filled up, edits
//!  1  the same, sealed again                                            3  records as fields, sealed
//! ```

use engine::format::checkpoint::{BLOCK_HEADER, Block, HEADER, Header, INDEX_ENTRY, Place, Record, block_checksum};

use crate::stores::{SAMPLE, open};

/// Lengths inside sealed records stay below this, or the fuzzer does nothing but wait for memory to be zeroed.
const BOUND: u32 = 4096;

/// Opens a store that has such a checkpoint.
pub fn check(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let (name, valid) = &SAMPLE.checkpoint;
    let bytes = match kind % 4 {
        0 => edited(valid.clone(), rest),
        1 => sealed(edited(valid.clone(), rest)),
        2 => {
            let Some((length, edits)) = rest.split_first_chunk() else { return };
            let mut bytes = valid.clone();
            bytes.resize(usize::from(u16::from_le_bytes(*length)) % (2 * valid.len()), 0);
            edited(bytes, edits)
        }
        _ => records(rest),
    };
    let opened = open(&SAMPLE.disk_with(name, &bytes));
    if kind % 2 == 0 {
        // Where bytes behind the last one of the index are nobody's, a checkpoint may be used that is not the one written.
        let (digest, _) = opened.expect("the log is whole");
        assert_eq!(digest, SAMPLE.digest, "damage was not noticed");
    }
}

fn edited(mut bytes: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    for edit in edits.chunks_exact(3).filter(|_| length > 0) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % length;
        bytes[at] ^= edit[2];
    }
    bytes
}

/// Makes all checksums hold that can be made to.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(header) = bytes.first_chunk::<HEADER>().and_then(Header::parse) else { return bytes };
    let index_bytes = header.blocks as usize * INDEX_ENTRY;
    let start = usize::try_from(header.index).unwrap_or(usize::MAX);
    let Some(index) = start.checked_add(index_bytes).and_then(|end| bytes.get(start..end)) else { return bytes };
    let index = index.to_vec();
    let starts = index.chunks_exact(INDEX_ENTRY).map(|entry| Block::parse(entry).offset as usize);
    let starts: Vec<usize> = starts.chain([start]).collect();
    for (place, block) in (0..).zip(starts.windows(2)) {
        if let Some(block) = bytes.get_mut(block[0]..block[1]).filter(|block| block.len() >= BLOCK_HEADER) {
            seal_block(block, &header, place);
        }
    }
    bytes[..HEADER].copy_from_slice(&header.encode(&index));
    bytes
}

fn seal_block(block: &mut [u8], header: &Header, place: u32) {
    let length = (block.len() - BLOCK_HEADER) as u32;
    block[4..8].copy_from_slice(&length.to_le_bytes());
    let sum = block_checksum(&block[4..], header.id, header.number, place);
    block[..4].copy_from_slice(&sum.to_le_bytes());
}

/// A checkpoint of one block: for each record its kind and deadline, type, database, key, where it is, and two numbers.
fn records(fields: &[u8]) -> Vec<u8> {
    let (_, valid) = &SAMPLE.checkpoint;
    let front = valid.first_chunk::<HEADER>().expect("it has a header");
    let header = Header::parse(front).expect("it is valid");
    let mut block = vec![0; BLOCK_HEADER];
    let mut count = 0;
    for field in fields.chunks_exact(8).take(200) {
        // Positions of frames are where the log is, or nearly.
        let lsn = header.start.saturating_sub(16 * u64::from(field[4])) + 16 * u64::from(field[5] & 3);
        let key = [[b'k', field[3]], [b'c', field[3]]][usize::from(field[2] >> 7)];
        let value = vec![field[6]; usize::from(field[7])];
        let place = match field[0] % 4 {
            0 => Place::Image(u32::from(field[6]) * u32::from(field[7]) % BOUND),
            1 => match engine::Reference::parse(&[field[6]; 20]) {
                Some(reference) => Place::Blob(reference),
                None => continue,
            },
            2 => Place::Here(&value),
            _ => Place::Frames(lsn.saturating_sub(16 * u64::from(field[6]))),
        };
        let deadline = (field[0] & 8 != 0).then_some((1 << 40) + u64::from(field[6]));
        let (value_type, database) = (field[1] % 8, field[2] % 18);
        Record { value_type, database, key: &key, lsn, deadline, place }.encode(&mut block);
        count += 1;
    }
    let header = Header { records: count, index: (HEADER + block.len()) as u64, blocks: 1, ..header };
    seal_block(&mut block, &header, 0);
    let index = Block { offset: HEADER as u64, first_shard: 0, last_shard: u16::MAX }.encode();
    [&header.encode(&index)[..], &block, &index].concat()
}
