//! RDB files, as `kvd import` reads them: any bytes are records or an error, in bounded memory, however they arrive.
//!
//! An input is a byte of options, a byte that says how many bytes the first read brings, and what stands behind the file's
//! magic. Options: the version; from 128 on a whole file's end is put behind.

use std::io::Read;

use rdb::file::{FileError, Reader, Record, VERSIONS};
use rdb::{Checksum, Limits, memory_for, restore};

use crate::restored::comparable;

/// What may be in use at once, as a multiple of what a value may take: tables grow by doubling.
const FACTOR: usize = 4;
/// The buffers of two readers, and a little.
const SLACK_BYTES: usize = 1 << 20;
/// No more to come, and no checksum: a fuzzer would not find one.
const END: [u8; 9] = [0xFF, 0, 0, 0, 0, 0, 0, 0, 0];

/// Reads a file whole and in two pieces. `grown` tells how far memory rose since the start (0 when nobody counts).
pub fn check(input: &[u8], mut grown: impl FnMut() -> usize) {
    let [options, cut, rest @ ..] = input else { return };
    let versions = VERSIONS.end() - VERSIONS.start() + 1;
    let version = VERSIONS.start() + u32::from(*options) % versions;
    let end: &[u8] = if *options >= 128 { &END } else { &[] };
    let file = [format!("REDIS{version:04}").as_bytes(), rest, end].concat();
    let (first, second) = file.split_at(usize::from(*cut).min(file.len()));
    let (mut whole, mut pieces) = match (Reader::new(&file[..]), Reader::new(first.chain(second))) {
        (Ok(whole), Ok(pieces)) => (whole, pieces),
        (whole, pieces) => return same(&failure(whole), &failure(pieces), &file),
    };
    loop {
        let (one, other) = (whole.next_record(), pieces.next_record());
        let bound = FACTOR * memory_for(file.len()) + SLACK_BYTES;
        let grown = grown();
        assert!(grown <= bound, "{grown} bytes allocated for {}", file.escape_ascii());
        match (one, other) {
            (Ok(None), Ok(None)) => return,
            (Ok(Some(one)), Ok(Some(other))) => {
                assert_eq!(format!("{one:?}"), format!("{other:?}"), "{}", file.escape_ascii());
                write_and_read(one);
            }
            (one, other) => return same(&failure(one), &failure(other), &file),
        }
    }
}

fn failure<T>(read: Result<T, FileError>) -> Option<FileError> {
    read.err()
}

/// Both readers stumble at the same place, for the same reason.
fn same(one: &Option<FileError>, other: &Option<FileError>, file: &[u8]) {
    let said = |error: &Option<FileError>| error.as_ref().map(|error| (error.offset, error.to_string()));
    assert_eq!(said(one), said(other), "{}", file.escape_ascii());
    assert!(one.as_ref().is_some_and(|error| error.offset <= file.len() as u64), "{one:?}");
}

/// A value that was read can be dumped and restored.
fn write_and_read(record: Record) {
    let Record::Entry(entry) = record else { return };
    let limits = Limits { memory_bytes: usize::MAX, checksum: Checksum::Required };
    let again = restore(&entry.value.dump(), &limits).map(comparable);
    assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, rdb::Error>(comparable(entry.value))));
}
