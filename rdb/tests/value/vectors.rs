//! Dumps that a real server wrote or took.

use rdb::{Error, Value, restore};

use crate::REQUIRED;
use crate::restored::comparable;

/// A dump in hexadecimal, and what it holds.
type Vector = (&'static str, &'static str, Value);

#[test]
fn dumps_of_redis_are_restored() {
    for (name, dump, value) in recorded().into_iter().chain(by_hand()) {
        let restored = restore(&bytes(dump), &REQUIRED);
        assert_eq!(restored.map(comparable), Ok(comparable(value)), "{name}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for (name, dump, _) in recorded() {
        let dump = bytes(dump);
        for position in 0..dump.len() {
            let mut changed = dump.clone();
            changed[position] ^= 0x10;
            assert_eq!(restore(&changed, &REQUIRED), Err(Error::BadVersionOrChecksum), "{name}, byte {position}");
        }
    }
}

#[test]
fn streams_are_refused_by_name() {
    assert_eq!(restore(&bytes(STREAM), &REQUIRED), Err(Error::UnsupportedType("stream")));
}

/// What DUMP answered.
fn recorded() -> Vec<Vector> {
    vec![
        ("Redis 8.0.6: string", "000576616c75650c004a80f5f83b800527", string("value")),
        ("Redis 8.0.6: integer of 8 bits", "00c09c0c00340197779c8740ad", string("-100")),
        ("Redis 8.0.6: integer of 16 bits", "00c12c010c005e3455329fa8c259", string("300")),
        ("Redis 8.0.6: integer of 32 bits", "00c290eefeff0c00e303eabbe9c1b649", string("-70000")),
        (
            "Redis 8.0.6: integer of 64 bits",
            "0013393232333337323033363835343737353830370c00f1134a547bc2c16b",
            string("9223372036854775807"),
        ),
        (
            "Redis 8.0.6: compressed string",
            "00c30c40f0046162636461e0e0030163640c0058ebb3b5698cab96",
            string(&"abcd".repeat(60)),
        ),
        (
            "Redis 8.0.6: listpack as a list",
            "120102232300000006008161020101f178ec03f270110104f4001a7118020000000982626203ff0c00348973cf1cc33529",
            list(&["a", "1", "-5000", "70000", "9000000000", "bb"]),
        ),
        (
            "Redis 8.0.6: compressed listpack",
            "120102c313407f0b7f0000001400846974656d05e068050105ff0c0013618dd0724fc1bb",
            list(&["item"; 20]),
        ),
        (
            "Redis 8.0.6: quicklist",
            "1203020d0d0000000200816102816202ff020d0d0000000200816302816402ff020a0a0000000100816502ff0c0027240267\
             9a0a3f92",
            list(&["a", "b", "c", "d", "e"]),
        ),
        (
            "Redis 8.0.6: quicklist with a plain node",
            "1203020a0a0000000100816102ff01c3406f6328017878e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00\
             e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff\
             00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e0ff00e00b00017878020a0a0000000100816202ff0c00d95438bc49\
             579e7c",
            list(&["a", &"x".repeat(9000), "b"]),
        ),
        (
            "Redis 8.0.6: intset of 16 bits",
            "0b0e0200000003000000feff010003000c00d06e72ce1b459af2",
            set(&["-2", "1", "3"]),
        ),
        (
            "Redis 8.0.6: intset of 32 bits",
            "0b14040000000300000090eefeff01000000030000000c00c278d8895c7ad3c1",
            set(&["-70000", "1", "3"]),
        ),
        (
            "Redis 8.0.6: intset of 64 bits",
            "0b20080000000300000001000000000000000300000000000000001a7118020000000c0064c4f427808ec4d1",
            set(&["1", "3", "9000000000"]),
        ),
        (
            "Redis 8.0.6: set in a listpack",
            "140f0f00000003008161028162020301ff0c00b0a81bc5c7f973ce",
            set(&["a", "b", "3"]),
        ),
        (
            "Redis 8.0.6: hash in a listpack",
            "101414000000040081610201018162028374776f04ff0c00cf5e81e51bc8f55b",
            hash(&[("a", "1", 0), ("b", "two", 0)]),
        ),
        (
            "Redis 8.0.6: sorted set in a listpack",
            "1128280000000800816302842d696e6605816102010181620283322e35048164028631652b33303007ff0c00fb6c7366d3e9\
             8ddf",
            zset(&[("c", f64::NEG_INFINITY), ("a", 1.0), ("b", 2.5), ("d", 1e300)]),
        ),
        (
            "Redis 8.0.6: listpack with deadlines",
            "1900409452a30300002c2c00000009008162020201f400409452a3030000098163020301f4f4419452a30300000981610201\
             010001ff0c00859f37f05baff01b",
            with_deadlines(),
        ),
        ("Redis 8.0.6: set", "02030161c00301620c0021d22b3d18b280a9", set(&["a", "b", "3"])),
        ("Redis 8.0.6: hash", "04020161c00101620374776f0c00993e1a771c7dbd6e", hash(&[("a", "1", 0), ("b", "two", 0)])),
        (
            "Redis 8.0.6: sorted set",
            "050401649c7500883ce4377e016200000000000004400161000000000000f03f0163000000000000f0ff0c00814e2923f5fc\
             b3b6",
            zset(&[("c", f64::NEG_INFINITY), ("a", 1.0), ("b", 2.5), ("d", 1e300)]),
        ),
        (
            "Redis 8.0.6: hash with deadlines",
            "1800409452a30300000341f50163c003000161c001010162c0020c0096df61c3d96efdf9",
            with_deadlines(),
        ),
        (
            "Redis 7.0.15: listpack as a list",
            "120102232300000006008161020101f178ec03f270110104f4001a7118020000000982626203ff0a00ffff470fe6e9ab60",
            list(&["a", "1", "-5000", "70000", "9000000000", "bb"]),
        ),
        (
            "Redis 7.0.15: compressed listpack",
            "120102c313407f0b7f0000001400846974656d05e068050105ff0a00d817b91088655ff2",
            list(&["item"; 20]),
        ),
        (
            "Redis 7.0.15: quicklist",
            "1203020d0d0000000200816102816202ff020d0d0000000200816302816402ff020a0a0000000100816502ff0a00ec5236a7\
             6020a1db",
            list(&["a", "b", "c", "d", "e"]),
        ),
        (
            "Redis 7.0.15: intset of 16 bits",
            "0b0e0200000003000000feff010003000a001b18460ee16f04bb",
            set(&["-2", "1", "3"]),
        ),
        (
            "Redis 7.0.15: hash in a listpack",
            "101414000000040081610201018162028374776f04ff0a000428b525e1e26b12",
            hash(&[("a", "1", 0), ("b", "two", 0)]),
        ),
        (
            "Redis 7.0.15: sorted set in a listpack",
            "11c331391f390000000800816302842d696e6605816102010181620283322e35048164029702312e30e005000731652b3330\
             3018ff0a00b1d584616b3f9d5b",
            zset(&[("c", f64::NEG_INFINITY), ("a", 1.0), ("b", 2.5), ("d", 1e300)]),
        ),
        ("Redis 7.0.15: set", "02030161c00301620a00eaa41ffde2981ee0", set(&["a", "b", "3"])),
        ("Redis 7.0.15: hash", "04020161c00101620374776f0a0052482eb7e6572327", hash(&[("a", "1", 0), ("b", "two", 0)])),
        (
            "Redis 7.0.15: sorted set",
            "050401649c7500883ce4377e016200000000000004400161000000000000f03f0163000000000000f0ff0a004a381de30fd6\
             2dff",
            zset(&[("c", f64::NEG_INFINITY), ("a", 1.0), ("b", 2.5), ("d", 1e300)]),
        ),
    ]
}

/// The encodings of older versions, made by hand after `rdb.c`. RESTORE of Redis 8.0.6 took each for the value beside it.
fn by_hand() -> Vec<Vector> {
    vec![
        ("linked list", "01030161c0ff0161060019481885889fdd4e", list(&["a", "-1", "a"])),
        (
            "list in a ziplist",
            "0a4177770100006b0100000d0000f102fd02fe0d03feff03c0c80004c0d08a04f070110105f000008005d0ffffff7f06e000\
             000000000000c00a047465787406412c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c\
             6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6cfe2f010000056166746572ff060080ecfa29002ab23c",
            list(&[
                "0",
                "12",
                "13",
                "-1",
                "200",
                "-30000",
                "70000",
                "-8388608",
                "2147483647",
                "-4611686018427387904",
                "text",
                &"l".repeat(300),
                "after",
            ]),
        ),
        (
            "quicklist of ziplists",
            "0e0210100000000d000000020000016103f6ff12120000000d000000020000016203c078ecff070048e4857a406bf6e7",
            list(&["a", "5", "b", "-5000"]),
        ),
        ("set", "02020161c12c010600eef3f09027a30198", set(&["a", "300"])),
        (
            "sorted set with scores as text",
            "0304016103312e350162fe0163ff016402313706009b3283d10ea3fb66",
            zset(&[("a", 1.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY), ("d", 17.0)]),
        ),
        (
            "sorted set in a ziplist",
            "0c1e1e0000001b000000060000016103fefd0301620303302e3505016303f8ff0600eaf64adf4ab57a68",
            zset(&[("a", -3.0), ("b", 0.5), ("c", 7.0)]),
        ),
        ("hash", "04020161013101620374776f060065dc53295f50b25d", hash(&[("a", "1", 0), ("b", "two", 0)])),
        (
            "hash in a ziplist",
            "0d181800000012000000040000016103f2020162030374776fff0600a71a65c01c29e9fa",
            hash(&[("a", "1", 0), ("b", "two", 0)]),
        ),
        (
            "hash in a zipmap",
            "091202016103006f6e650162030274776f3f3fff06005b12a72c4835de8e",
            hash(&[("a", "one", 0), ("b", "two", 0)]),
        ),
        (
            "hash with deadlines before 7.4",
            "1603000161013181000003a3529440000162013281000003a3529441f4016301330c005d34aa037ee1c67f",
            with_deadlines(),
        ),
        (
            "listpack with deadlines before 7.4",
            "172c2c00000009008162020201f400409452a3030000098163020301f4f4419452a30300000981610201010001ff0c0050ab\
             88c598998b2c",
            with_deadlines(),
        ),
    ]
}

/// A stream of one entry: Redis 8.0.6.
const STREAM: &str = "150110000000000000000100000000000000011d1d0000000a0001010001010181610200010201000100018162020401ff01\
             01010101000001000c00d7e5baef128b9484";

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    hexadecimal.as_bytes().chunks(2).map(digits).collect()
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn list(elements: &[&str]) -> Value {
    Value::List(elements.iter().map(|element| element.as_bytes().to_vec()).collect())
}

fn set(members: &[&str]) -> Value {
    Value::Set(members.iter().map(|member| member.as_bytes().to_vec()).collect())
}

fn hash(fields: &[(&str, &str, u64)]) -> Value {
    let field = |(name, value, deadline_ms): &(&str, &str, u64)| {
        (name.as_bytes().to_vec(), value.as_bytes().to_vec(), (*deadline_ms > 0).then_some(*deadline_ms))
    };
    Value::Hash(fields.iter().map(field).collect())
}

fn with_deadlines() -> Value {
    hash(&[("a", "1", 0), ("b", "2", 4_000_000_000_000), ("c", "3", 4_000_000_000_500)])
}

fn zset(members: &[(&str, f64)]) -> Value {
    Value::Zset(members.iter().map(|(member, score)| (member.as_bytes().to_vec(), *score)).collect())
}
