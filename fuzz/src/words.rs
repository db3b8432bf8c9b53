//! Any command on data with any words: one whole reply, figures that are right, and the same keys after a kill.
//!
//! An input is what `arbitrary` makes of it: a command of kvd's table, then its words. Most are words that mean something to it:
//! names of a few keys, numbers at the ends of their ranges, options from the command's own usage, what the last reply said.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use bytes::{Bytes, BytesMut};
use kvd::commands::{self, Group};
use resp::{Frame, ReplyCodec, Version};
use tokio_util::codec::Decoder;

use crate::in_process::{Kvd, with_kvd};

/// Requests of an input at most, and words of a request.
const REQUESTS: usize = 100;
const WORDS: usize = 8;

/// A command's name, and the options that stand in its usage.
type Row = (&'static str, Vec<&'static str>);

/// Commands that look at keys, change them, or choose how replies look.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let others = ["SELECT", "HELLO", "SWAPDB", "FLUSHDB", "FLUSHALL", "ECHO"];
    let chosen = commands::all().iter().map(|entry| entry.command).filter(|command| {
        let is_of_data = !matches!(command.group, Group::Server | Group::Connection | Group::PubSub | Group::Cluster);
        is_of_data || others.contains(&command.name)
    });
    let is_option = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let options = |usage: &'static str| usage.split(|letter: char| !letter.is_ascii_alphabetic()).filter(is_option);
    chosen.map(|command| (command.name, options(command.usage).collect())).collect()
});

/// Words that mean something to many commands.
const COMMON: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"a",
    b"b",
    b"c",
    b"0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"-2",
    b"10",
    b"100",
    b"1000000",
    b"",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"4294967295",
    b"4294967296",
    b"1.5",
    b"inf",
    b"-inf",
    b"nan",
    b"1e400",
    b"(1",
    b"(inf",
    b"[a",
    b"(b",
    b"+",
    b"-",
    b"*",
    b"?[a-c]",
    b"u8",
    b"i64",
    b"#1",
    b"=",
    b"user.",
    b"\xff\x00\r\n",
];

/// Sends what the input describes.
pub fn check(input: &[u8]) {
    let mut choices = Unstructured::new(input);
    with_kvd(|kvd| {
        let mut last = Vec::new();
        for _ in 0..REQUESTS {
            let Ok(words) = request(&mut choices, &last) else { break };
            if let Some(reply) = send(kvd, &words) {
                last = words_of(&reply);
            }
        }
        let digest = kvd.digest();
        if input.first().is_some_and(|byte| byte % 8 == 0) {
            kvd.kill();
            assert_eq!(kvd.digest(), digest, "a killed server comes back with something else");
        }
    });
}

/// The one reply to a request; nothing when it was longer than a client may have waiting.
fn send(kvd: &mut Kvd, words: &[Vec<u8>]) -> Option<Frame> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let bytes: Bytes = kvd.call(&words)?;
    let mut codec = ReplyCodec::new(Version::Resp3);
    let mut rest = BytesMut::from(&bytes[..]);
    let shown = || words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
    let frame = codec.decode(&mut rest).unwrap_or_else(|error| panic!("{}: {error}", shown()));
    assert!(rest.is_empty(), "{}: more than a reply: {}", shown(), bytes.escape_ascii());
    Some(frame.unwrap_or_else(|| panic!("{}: less than a reply: {}", shown(), bytes.escape_ascii())))
}

fn request(choices: &mut Unstructured<'_>, last: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    if choices.is_empty() {
        return Err(arbitrary::Error::NotEnoughData);
    }
    let (name, options) = choices.choose(&ROWS)?;
    let count = choices.int_in_range(0..=WORDS)?;
    let mut words = vec![name.as_bytes().to_vec()];
    for _ in 0..count {
        words.push(match choices.int_in_range(0..=15_u8)? {
            0..=3 if !options.is_empty() => choices.choose(options)?.as_bytes().to_vec(),
            4 if !last.is_empty() => choices.choose(last)?.clone(),
            5 => choices.bytes(choices.len().min(4))?.to_vec(),
            6 => vec![b'x'; *choices.choose(&[20, 65, 300, 5000])?],
            _ => choices.choose(COMMON)?.to_vec(),
        });
    }
    Ok(words)
}

/// What of a reply can be said again: dumps, cursors, members.
fn words_of(reply: &Frame) -> Vec<Vec<u8>> {
    match reply {
        Frame::Bulk(bytes) | Frame::Simple(bytes) => vec![bytes.to_vec()],
        Frame::Integer(number) => vec![number.to_string().into_bytes()],
        Frame::Array(items) | Frame::Set(items) => items.iter().take(8).flat_map(words_of).collect(),
        _ => Vec::new(),
    }
}
