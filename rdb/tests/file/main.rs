//! Whole RDB files, made by hand: what is in them, and what is said of those that are cut, damaged or of other kinds.

use std::io::{self, Read};

use crc::{CRC_64_REDIS, Crc};
use proptest::prelude::*;
use rdb::file::{Entry, FileError, Place, Problem, Reader, Record};
use rdb::{Error, Value};

/// A file that is put together from parts, with its checksum.
fn file(version: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("REDIS{version:04}").into_bytes();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.push(0xff);
    let checksum = Crc::<u64>::new(&CRC_64_REDIS).checksum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn read(bytes: impl Read) -> Result<Vec<Record>, FileError> {
    let mut reader = Reader::new(bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

fn entry(database: u64, key: &str, value: Value, deadline_ms: Option<u64>) -> Record {
    Record::Entry(Entry { place: place(database, key), value, deadline_ms })
}

fn place(database: u64, key: &str) -> Place {
    Place { database, key: key.as_bytes().to_vec() }
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

/// A little of everything that stands between keys, and keys of several forms.
fn sample() -> Vec<u8> {
    let parts: &[&[u8]] = &[
        b"\xfa\x09redis-ver\x057.4.0",
        b"\xfa\x08aof-base\xc0\x00",
        b"\xf5\x0cthe function",
        // A module's data: its name, when, and one of each mark.
        b"\xf7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x01\x01\x05\x02\x40\x80\x03abcd\x04abcdefgh\x05\x03str\x00",
        b"\xfe\x00\xfb\x02\x01\xf4\x01\x02\x03",
        b"\x00\x01a\x05hello",
        b"\xfd\x01\x00\x00\x00\xf8\x05\x00\x01b\xc0\x7b",
        b"\xfc\xe8\x03\x00\x00\x00\x00\x00\x00\xf9\x07\x01\x01l\x02\x01x\xc1\x39\x30",
        b"\xfe\x0f",
        b"\x03\x01z\x02\x01m\x031.5\x01n\xfe",
        // Compressed: 100 times the same letter.
        b"\x00\x01c\xc3\x05\x40\x64\x00a\xe0\x5a\x00",
        b"\x0b\x01i\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x05\x00",
    ];
    file(11, parts)
}

#[test]
fn what_stands_in_a_file() {
    let expected = [
        Record::Functions,
        Record::ModuleData,
        entry(0, "a", string("hello"), None),
        entry(0, "b", string("123"), Some(1000)),
        entry(0, "l", Value::List(vec![b"x".to_vec(), b"12345".to_vec()]), Some(1000)),
        entry(15, "z", Value::Zset(vec![(b"m".to_vec(), 1.5), (b"n".to_vec(), f64::INFINITY)]), None),
        entry(15, "c", string(&"a".repeat(100)), None),
        entry(15, "i", Value::Set(vec![b"1".to_vec(), b"5".to_vec()]), None),
    ];
    assert_eq!(read(&sample()[..]).unwrap(), expected);
}

#[test]
fn a_file_that_is_cut_says_where_and_at_which_key() {
    let whole = sample();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        match length {
            ..5 => assert!(matches!(error.problem, Problem::Foreign), "{length}: {error}"),
            _ => assert!(matches!(error.problem, Problem::Truncated), "{length}: {error}"),
        }
        assert_eq!(error.offset, length as u64, "all that was there was read");
    }
    let key = whole.windows(5).position(|window| window == b"hello").unwrap();
    let error = read(&whole[..key + 2]).unwrap_err();
    assert_eq!(error.inside, Some(place(0, "a")));
    assert!(error.to_string().contains("in the value of key \"a\" of database 0: the file ends too early"), "{error}");
    let error = read(&whole[..key + 5]).unwrap_err();
    assert_eq!((error.inside, error.behind), (None, Some(place(0, "a"))));
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = sample();
    for position in 9..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 0x10;
        assert!(read(&changed[..]).is_err(), "byte {position}");
    }
    let mut unchecked = whole.clone();
    let end = unchecked.len() - 8;
    unchecked[end..].fill(0);
    assert_eq!(read(&unchecked[..]).unwrap().len(), 8, "a checksum of zero says that nobody calculated it");
}

#[test]
fn versions_and_other_files() {
    for version in 5..=12 {
        assert_eq!(read(&file(version, &[])[..]).unwrap(), []);
    }
    for version in [0, 4, 13, 9999] {
        let error = read(&file(version, &[])[..]).unwrap_err();
        assert!(matches!(error.problem, Problem::Version(found) if found == version), "{error}");
        assert!(error.to_string().contains("versions 5 to 12"), "{error}");
    }
    for other in [&b""[..], b"REDI", b"VALKEY080", b"REDISabcd", b"*3\r\n$3\r\nSET\r\n"] {
        assert!(matches!(read(other).unwrap_err().problem, Problem::Foreign), "{other:?}");
    }
}

#[test]
fn the_front_of_an_append_only_file_says_so_and_commands_follow() {
    for name in [&b"\xfa\x0caof-preamble\xc0\x01"[..], b"\xfa\x08aof-base\x011"] {
        let mut bytes = file(10, &[name, b"\x00\x01a\x05hello"]);
        bytes.extend_from_slice(b"*1\r\n");
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert!(!reader.is_preamble());
        while reader.next_record().unwrap().is_some() {
            assert!(reader.is_preamble());
        }
        assert_eq!(reader.offset(), bytes.len() as u64 - 4);
        let mut rest = Vec::new();
        reader.into_rest().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"*1\r\n");
    }
}

/// Streams and modules' values, and what stands behind them.
#[test]
fn what_is_not_supported_is_named_and_passed_over() {
    let id = [7; 16];
    let body = [&b"\x01\x10"[..], &id, b"\x03abc\x01\x05\x06"].concat();
    let pending = [&b"\x01"[..], &id, &[0; 8], b"\x01"].concat();
    let consumer = [&b"\x01\x01c"[..], &[0; 8]].concat();
    let ids = [&b"\x01"[..], &id].concat();
    let group = b"\x01\x01g\x05\x06";
    let stream = [&b"\x0f\x01s"[..], &body, group, &pending, &consumer, &ids].concat();
    let second =
        [&b"\x13\x01s"[..], &body, b"\x01\x02\x03\x04\x05", group, b"\x09", &pending, &consumer, &ids].concat();
    let third = [&b"\x15\x01s"[..], &body, b"\x01\x02\x03\x04\x05", group, b"\x09", &pending, &consumer, &[0; 8], &ids]
        .concat();
    let module = b"\x07\x01s\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x05\x05\x03str\x00";
    let cases = [(&stream[..], "stream"), (&second, "stream"), (&third, "stream"), (module, "module")];
    for (value, kind) in cases {
        let whole = file(12, &[value, b"\x00\x01a\x05hello"]);
        let expected = [Record::Unsupported(place(0, "s"), kind), entry(0, "a", string("hello"), None)];
        assert_eq!(read(&whole[..]).unwrap(), expected, "{value:?}");
        for length in 9..whole.len() {
            assert!(matches!(read(&whole[..length]).unwrap_err().problem, Problem::Truncated), "{kind} {length}");
        }
    }
    // Nothing says where these end.
    for kind in [b"\x06", b"\x1a", b"\xe0"] {
        let error = read(&file(12, &[kind, b"\x01s\x01\x01"])[..]).unwrap_err();
        assert_eq!(error.inside, Some(place(0, "s")));
        assert!(matches!(error.problem, Problem::Value(_)), "{error}");
    }
}

#[test]
fn broken_values_are_named_and_empty_ones_passed_over() {
    let empty = file(9, &[b"\x01\x01l\x00", b"\x00\x01a\x05hello"]);
    assert_eq!(read(&empty[..]).unwrap(), [Record::Empty(place(0, "l")), entry(0, "a", string("hello"), None)]);
    let twice = file(9, &[b"\xfe\x03\x02\x02k\xff\x02\x01x\x01x"]);
    let error = read(&twice[..]).unwrap_err();
    assert!(matches!(error.problem, Problem::Value(Error::BadFormat("an element stands twice"))));
    assert!(error.to_string().contains("key \"k\\xff\" of database 3"), "{error}");
    for wrong in [&b"\x00\xc9"[..], b"\x00\x82", b"\xfe\xc0\x01", b"\xf6\x01x", b"\xf7\x01\x02\x01\x09"] {
        assert!(matches!(
            read(&file(9, &[wrong, &[1; 40]])[..]).unwrap_err().problem,
            Problem::Format(_) | Problem::Value(_)
        ));
    }
}

/// A length that lies takes no memory: only bytes that come do.
#[test]
fn no_length_is_trusted() {
    let lie = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff";
    for front in
        [&b"\x00"[..], b"\x00\x01a", b"\x01\x01a", b"\x02\x01a", b"\x04\x01a", b"\x05\x01a", b"\x12\x01a", b"\xf5"]
    {
        let bytes = [b"REDIS0011", front, lie, b"rest"].concat();
        let error = read(&bytes[..]).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Truncated | Problem::Value(_) | Problem::Format(_)),
            "{front:?}: {error}"
        );
    }
}

#[test]
fn an_error_of_the_disk_is_told_as_it_is() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let whole = sample();
    let error = read(whole[..40].chain(Fails)).unwrap_err();
    assert!(matches!(&error.problem, Problem::Io(_)) && error.to_string().contains("the disk is gone"), "{error}");
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[b"REDIS0011", &bytes[..]].concat()[..]);
    }

    #[test]
    fn a_sample_with_changes_never_panics(position in 9_usize..200, byte in any::<u8>()) {
        let mut bytes = sample();
        let position = position.min(bytes.len() - 1);
        bytes[position] = byte;
        let _ = read(&bytes[..]);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come(piece in 1_usize..40) {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let most = self.1.min(out.len());
                self.0.read(&mut out[..most])
            }
        }
        let whole = sample();
        prop_assert_eq!(read(Pieces(&whole, piece)).unwrap(), read(&whole[..]).unwrap());
    }
}
