//! Any command on data with any words: one whole reply, figures that are right, and the same keys after a kill.
//!
//! An input is what `arbitrary` makes of it: a command of kvd's table, then its words. Most requests follow the command's usage
//! line, with the names of a few keys that hold something, numbers at the ends of their ranges and what the last reply said; the
//! others are any words.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use bytes::{Bytes, BytesMut};
use kvd::commands::syntax::Argument;
use kvd::commands::{self, Entry, Group};
use resp::{Frame, ReplyCodec, Version};
use tokio_util::codec::Decoder;

use crate::in_process::{Kvd, with_kvd};
use crate::tail::with_tail;

/// Requests of an input at most, and words of a request that follows no usage line.
const REQUESTS: usize = 100;
const WORDS: usize = 8;

/// What is there when an input begins: a value of each type.
const FIRST: &[&[&[u8]]] = &[
    &[b"RPUSH", b"a", b"1", b"2", b"a", b"3"],
    &[b"SADD", b"b", b"1", b"2", b"a"],
    &[b"HSET", b"c", b"1", b"2", b"a", b"3"],
    &[b"ZADD", b"d", b"1", b"2", b"3", b"a"],
    &[b"SET", b"e", b"1"],
];

/// Commands and subcommands that look at keys, change them, or choose how replies look.
static ENTRIES: LazyLock<Vec<&'static Entry>> = LazyLock::new(|| {
    let others = ["SELECT", "HELLO", "SWAPDB", "FLUSHDB", "FLUSHALL", "ECHO"];
    let of_data = commands::all().iter().filter(|entry| {
        let group = entry.command.group;
        let is_of_data = !matches!(group, Group::Server | Group::Connection | Group::PubSub | Group::Cluster);
        is_of_data || others.contains(&entry.command.name)
    });
    of_data.flat_map(|entry| [entry].into_iter().chain(&entry.subcommands)).collect()
});

/// Names of keys.
const KEYS: &[&[u8]] = &[b"a", b"b", b"c", b"d", b"e", b"f"];

/// Words that mean something to many commands.
const COMMON: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
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
    let bytes = with_tail(input);
    let mut choices = Unstructured::new(&bytes);
    with_kvd(|kvd| {
        for words in FIRST {
            kvd.call(words).expect("nothing closes this connection");
        }
        let mut last = Vec::new();
        for _ in 0..REQUESTS {
            let Ok(words) = (Chosen { choices: &mut choices, last: &last, words: Vec::new() }).request() else { break };
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

/// A request as it is put together.
struct Chosen<'c, 'i> {
    choices: &'c mut Unstructured<'i>,
    /// What the last reply said.
    last: &'c [Vec<u8>],
    words: Vec<Vec<u8>>,
}

impl Chosen<'_, '_> {
    fn request(mut self) -> Result<Vec<Vec<u8>>> {
        if self.choices.is_empty() {
            return Err(arbitrary::Error::NotEnoughData);
        }
        let entry: &Entry = self.choices.choose(&ENTRIES)?;
        self.words.extend(entry.full_name.split('|').map(|word| word.as_bytes().to_vec()));
        if self.choices.ratio(1, 4)? {
            for _ in 0..self.choices.int_in_range(0..=WORDS)? {
                let word = self.word()?;
                self.words.push(word);
            }
        } else {
            self.add_all(&entry.syntax.arguments)?;
        }
        Ok(self.words)
    }

    /// What a usage line asks for.
    fn add_all(&mut self, arguments: &[Argument]) -> Result<()> {
        let mut keys = None;
        for argument in arguments {
            match (argument, keys.take()) {
                (Argument::Value { name, .. }, _) if name == "numkeys" => {
                    let count = self.choices.int_in_range(1..=3)?;
                    self.words.push(count.to_string().into_bytes());
                    keys = Some(count);
                }
                (Argument::Repeated(part), Some(count)) => (0..count).try_for_each(|_| self.add(part))?,
                (argument, _) => self.add(argument)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, argument: &Argument) -> Result<()> {
        match argument {
            Argument::Token(token) => self.words.push(token.as_bytes().to_vec()),
            Argument::Value { key, .. } => {
                let word =
                    if *key && !self.choices.ratio(1, 8)? { self.choices.choose(KEYS)?.to_vec() } else { self.word()? };
                self.words.push(word);
            }
            Argument::Sequence(parts) => self.add_all(parts)?,
            Argument::OneOf(parts) => {
                let part = self.choices.choose(parts)?;
                self.add(part)?;
            }
            Argument::Optional(part) => {
                if self.choices.arbitrary()? {
                    self.add(part)?;
                }
            }
            Argument::Repeated(part) => {
                for _ in 0..self.choices.int_in_range(1..=4)? {
                    self.add(part)?;
                }
            }
        }
        Ok(())
    }

    /// Any word.
    fn word(&mut self) -> Result<Vec<u8>> {
        Ok(match self.choices.int_in_range(0..=15_u8)? {
            0 | 1 if !self.last.is_empty() => self.choices.choose(self.last)?.clone(),
            2 => self.choices.bytes(self.choices.len().min(4))?.to_vec(),
            3 => vec![b'x'; *self.choices.choose(&[20, 65, 300, 5000])?],
            _ => self.choices.choose(COMMON)?.to_vec(),
        })
    }
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
