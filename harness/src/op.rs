//! The commands clients send, as data: what each writes is known from its fields and its number alone.

use crate::value::{self, Writer};

/// What a client does with a key of its own; its letter is in the key's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Strings: SET, SETNX, MSET, GETDEL, RENAME, DEL.
    Text,
    /// Counters: INCR.
    Number,
    /// APPEND.
    Row,
    /// SET with PX.
    Volatile,
    /// Values of 1–2 MiB.
    Big,
}

/// A key that only one client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is done with it.
    pub kind: Kind,
    /// Which of them.
    pub slot: u16,
}

impl Key {
    /// Its name for one client.
    pub fn name(self, client: u16) -> String {
        format!("c{client}:{}", self.short())
    }

    /// Its name without the client: `s7`.
    pub fn short(self) -> String {
        let letter = match self.kind {
            Kind::Text => 's',
            Kind::Number => 'n',
            Kind::Row => 'a',
            Kind::Volatile => 't',
            Kind::Big => 'b',
        };
        format!("{letter}{}", self.slot)
    }
}

/// Prefix of every key that several clients write.
pub const SHARED: &str = "shared:";

/// The counter all clients of a store increment.
pub fn shared_counter() -> String {
    format!("{SHARED}count")
}

/// The row all clients append to, a new one after each kill.
pub fn shared_row(round: u32) -> String {
    format!("{SHARED}row:{round}")
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// GET of an own key.
    Get(Key),
    /// SET, with the value's length.
    Set(Key, usize),
    /// SET PX milliseconds.
    SetPx(Key, usize, u32),
    /// SETNX.
    SetNx(Key, usize),
    /// SET with a time to live of nothing: an error, without effect.
    SetBad(Key, usize),
    /// GETDEL.
    GetDel(Key),
    /// DEL.
    Del(Vec<Key>),
    /// INCR of a counter, or of a string: an error, without effect.
    Incr(Key),
    /// INCRBY of the greatest number: overflows unless the counter is absent.
    IncrMax(Key),
    /// APPEND of one piece.
    Append(Key),
    /// MSET of different keys.
    MSet(Vec<(Key, usize)>),
    /// RENAME; an error where the source is absent.
    Rename(Key, Key),
    /// FLUSHDB of a database that is the client's alone.
    FlushDb,
    /// GET of another client's key.
    Peek(u16, Key),
    /// INCR of the shared counter.
    SharedIncr,
    /// APPEND to the shared row.
    SharedAppend,
}

impl Op {
    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Get(_) | Self::Peek(..))
    }

    /// The own keys it may change. FLUSHDB changes all, which only the oracle knows.
    pub fn writes(&self) -> Vec<Key> {
        match self {
            Self::Set(key, _) | Self::SetPx(key, ..) | Self::SetNx(key, _) | Self::SetBad(key, _) => vec![*key],
            Self::GetDel(key) | Self::Incr(key) | Self::IncrMax(key) | Self::Append(key) => vec![*key],
            Self::Del(keys) => keys.clone(),
            Self::MSet(pairs) => pairs.iter().map(|(key, _)| *key).collect(),
            Self::Rename(from, to) => vec![*from, *to],
            Self::Get(_) | Self::FlushDb | Self::Peek(..) | Self::SharedIncr | Self::SharedAppend => vec![],
        }
    }

    /// Its arguments as sent by `writer`. `round` names the shared row.
    pub fn arguments(&self, writer: &Writer, round: u32) -> Vec<Vec<u8>> {
        let name = |key: &Key| key.name(writer.client).into_bytes();
        let make = |key: &Key, length: &usize| value::make(writer, &key.short(), *length);
        let word = |text: &str| text.as_bytes().to_vec();
        let piece = || value::piece(writer.client, writer.seq);
        match self {
            Self::Get(key) => vec![word("GET"), name(key)],
            Self::Set(key, length) => vec![word("SET"), name(key), make(key, length)],
            Self::SetPx(key, length, px) => {
                vec![word("SET"), name(key), make(key, length), word("PX"), word(&px.to_string())]
            }
            Self::SetNx(key, length) => vec![word("SETNX"), name(key), make(key, length)],
            Self::SetBad(key, length) => vec![word("SET"), name(key), make(key, length), word("PX"), word("0")],
            Self::GetDel(key) => vec![word("GETDEL"), name(key)],
            Self::Del(keys) => [word("DEL")].into_iter().chain(keys.iter().map(name)).collect(),
            Self::Incr(key) => vec![word("INCR"), name(key)],
            Self::IncrMax(key) => vec![word("INCRBY"), name(key), word(&i64::MAX.to_string())],
            Self::Append(key) => vec![word("APPEND"), name(key), piece()],
            Self::MSet(pairs) => {
                let pairs = pairs.iter().flat_map(|(key, length)| [name(key), make(key, length)]);
                [word("MSET")].into_iter().chain(pairs).collect()
            }
            Self::Rename(from, to) => vec![word("RENAME"), name(from), name(to)],
            Self::FlushDb => vec![word("FLUSHDB")],
            Self::Peek(client, key) => vec![word("GET"), key.name(*client).into_bytes()],
            Self::SharedIncr => vec![word("INCR"), shared_counter().into_bytes()],
            Self::SharedAppend => vec![word("APPEND"), shared_row(round).into_bytes(), piece()],
        }
    }
}
