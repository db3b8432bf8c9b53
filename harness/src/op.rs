//! The commands clients send, as data: what each writes is known from its fields and its number alone.

use crate::change::{Change, Part, Side};
use crate::content::Type;
use crate::value::{self, Writer};

/// What a client does with a key of its own; its letters are in the key's name.
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
    /// Lists.
    List,
    /// Hashes; their deadlines are far away.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    Sorted,
    /// One type after the other.
    Mixed,
    /// Sets that SPOP takes from: members are added once and by nothing else.
    Pool,
    /// Hashes whose fields go by themselves.
    Fading,
}

impl Kind {
    /// The letters in its keys' names. Those of what goes by itself begin with `t`.
    fn letters(self) -> &'static str {
        match self {
            Self::Text => "s",
            Self::Number => "n",
            Self::Row => "a",
            Self::Volatile => "t",
            Self::Big => "b",
            Self::List => "l",
            Self::Hash => "h",
            Self::Set => "e",
            Self::Sorted => "z",
            Self::Mixed => "m",
            Self::Pool => "p",
            Self::Fading => "th",
        }
    }

    /// The type its keys have, if they have always the same.
    pub fn holds(self) -> Option<Type> {
        match self {
            Self::Text | Self::Number | Self::Row | Self::Volatile | Self::Big => Some(Type::Text),
            Self::List => Some(Type::List),
            Self::Hash | Self::Fading => Some(Type::Hash),
            Self::Set | Self::Pool => Some(Type::Set),
            Self::Sorted => Some(Type::Sorted),
            Self::Mixed => None,
        }
    }
}

/// A key that only one client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is done with it.
    pub kind: Kind,
    /// Which of them.
    pub slot: u16,
    /// Whether it lies in the client's other database.
    pub away: bool,
}

impl Key {
    /// At home.
    pub fn new(kind: Kind, slot: u16) -> Self {
        Self { kind, slot, away: false }
    }

    /// The key of the same name in the other database.
    pub fn opposite(self) -> Self {
        Self { away: !self.away, ..self }
    }

    /// Its name for one client.
    pub fn name(self, client: u16) -> String {
        format!("c{client}:{}", self.short())
    }

    /// Its name without the client: `s7`.
    pub fn short(self) -> String {
        format!("{}{}", self.kind.letters(), self.slot)
    }
}

/// Prefix of every key that several clients write.
pub const SHARED: &str = "shared:";

/// A key that all clients of a store write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Common {
    /// INCR.
    Count,
    /// APPEND of a piece, to a new row after each kill.
    Row,
    /// RPUSH of an element, to a new list after each kill.
    List,
    /// HINCRBY of one field.
    Field,
}

impl Common {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Count, Self::Row, Self::List, Self::Field];

    /// Its name. `round` counts kills.
    pub fn name(self, round: u32) -> String {
        match self {
            Self::Count => format!("{SHARED}count"),
            Self::Row => format!("{SHARED}row:{round}"),
            Self::List => format!("{SHARED}list:{round}"),
            Self::Field => format!("{SHARED}fields"),
        }
    }

    /// A sequence: who wrote stands in it. The others only count.
    pub fn is_sequence(self) -> bool {
        matches!(self, Self::Row | Self::List)
    }
}

/// The shared hash's field.
pub const COMMON_FIELD: &str = "count";

/// One command, or a transaction of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// GET of an own key.
    Get(Key),
    /// A full read of an own key as of this type.
    Read(Key, Type),
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
    /// PEXPIRE, in milliseconds.
    PExpire(Key, u32),
    /// PERSIST.
    Persist(Key),
    /// INCR of a counter, or of a string: an error, without effect.
    Incr(Key),
    /// INCRBY of the greatest number: overflows unless the counter is absent.
    IncrMax(Key),
    /// APPEND of one piece.
    Append(Key),
    /// MSET of different keys.
    MSet(Vec<(Key, usize)>),
    /// A command of one collection; an error where the key has another type.
    On(Key, Change),
    /// LMOVE.
    LMove(Key, Key, Side, Side),
    /// SMOVE.
    SMove(Key, Key, Vec<u8>),
    /// RENAME; an error where the source is absent.
    Rename(Key, Key),
    /// COPY with REPLACE, to either database.
    Copy(Key, Key),
    /// MOVE to the other database.
    Move(Key),
    /// A transaction that selects the other database, moves this key home and selects home again.
    MoveBack(Key),
    /// SWAPDB of two databases that are the client's alone.
    SwapDb,
    /// FLUSHDB of a database that is the client's alone.
    FlushDb,
    /// MULTI, these, EXEC.
    Exec(Vec<Op>),
    /// A full read of another client's key.
    Peek(u16, Key),
    /// A write of a shared key.
    Shared(Common),
}

/// The commands by what they are about, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// No write.
    Read,
    /// Strings.
    Text,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    Sorted,
    /// DEL, COPY.
    Keys,
    /// RENAME.
    Renames,
    /// PEXPIRE, PERSIST.
    Deadlines,
    /// MOVE.
    Moves,
    /// SWAPDB.
    Swaps,
    /// FLUSHDB.
    Flushes,
    /// EXEC.
    Transaction,
}

impl Family {
    /// Its name in figures.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Text => "strings",
            Self::List => "lists",
            Self::Hash => "hashes",
            Self::Set => "sets",
            Self::Sorted => "sorted sets",
            Self::Keys => "keys",
            Self::Renames => "RENAME",
            Self::Deadlines => "deadlines",
            Self::Moves => "MOVE",
            Self::Swaps => "SWAPDB",
            Self::Flushes => "FLUSHDB",
            Self::Transaction => "transactions",
        }
    }

    fn of(kind: Type) -> Self {
        match kind {
            Type::Text => Self::Text,
            Type::List => Self::List,
            Type::Hash => Self::Hash,
            Type::Set => Self::Set,
            Type::Sorted => Self::Sorted,
        }
    }
}

/// Where a command is sent from: what its words depend on but its fields.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Who writes.
    pub writer: Writer,
    /// Names the shared sequences.
    pub round: u32,
    /// The number of the database where the client's keys are at home.
    pub home: u32,
    /// And of its other one.
    pub away: u32,
}

type Words = Vec<Vec<u8>>;

impl Op {
    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        self.family() != Family::Read
    }

    /// What it is about.
    pub fn family(&self) -> Family {
        match self {
            Self::Get(_) | Self::Read(..) | Self::Peek(..) => Family::Read,
            Self::Set(..) | Self::SetPx(..) | Self::SetNx(..) | Self::SetBad(..) | Self::GetDel(_) => Family::Text,
            Self::Incr(_) | Self::IncrMax(_) | Self::Append(_) | Self::MSet(_) => Family::Text,
            Self::Shared(Common::Count | Common::Row) => Family::Text,
            Self::On(_, change) => Family::of(change.kind()),
            Self::LMove(..) | Self::Shared(Common::List) => Family::List,
            Self::SMove(..) => Family::Set,
            Self::Shared(Common::Field) => Family::Hash,
            Self::Del(_) | Self::Copy(..) => Family::Keys,
            Self::Rename(..) => Family::Renames,
            Self::PExpire(..) | Self::Persist(_) => Family::Deadlines,
            Self::Move(_) | Self::MoveBack(_) => Family::Moves,
            Self::SwapDb => Family::Swaps,
            Self::FlushDb => Family::Flushes,
            Self::Exec(_) => Family::Transaction,
        }
    }

    /// The own keys it may change. FLUSHDB and SWAPDB change all, which only the oracle knows.
    pub fn writes(&self) -> Vec<Key> {
        match self {
            Self::Set(key, _) | Self::SetPx(key, ..) | Self::SetNx(key, _) | Self::SetBad(key, _) => vec![*key],
            Self::GetDel(key) | Self::Incr(key) | Self::IncrMax(key) | Self::Append(key) => vec![*key],
            Self::On(key, _) | Self::PExpire(key, _) | Self::Persist(key) => vec![*key],
            Self::Del(keys) => keys.clone(),
            Self::MSet(pairs) => pairs.iter().map(|(key, _)| *key).collect(),
            Self::LMove(from, to, ..) | Self::SMove(from, to, _) | Self::Rename(from, to) => vec![*from, *to],
            Self::Copy(_, to) => vec![*to],
            Self::Move(key) | Self::MoveBack(key) => vec![*key, key.opposite()],
            Self::Exec(ops) => ops.iter().flat_map(Self::writes).collect(),
            Self::Get(_) | Self::Read(..) | Self::SwapDb | Self::FlushDb | Self::Peek(..) | Self::Shared(_) => vec![],
        }
    }

    /// Whether it changes all keys of a database at once.
    pub fn is_of_databases(&self) -> bool {
        match self {
            Self::SwapDb | Self::FlushDb => true,
            Self::Exec(ops) => ops.iter().any(Self::is_of_databases),
            _ => false,
        }
    }

    /// What is sent: one command, or a transaction of them, of which only the last reply counts.
    pub fn commands(&self, from: &Sender) -> Vec<Words> {
        let word = |text: &str| text.as_bytes().to_vec();
        let select = |database: u32| vec![word("SELECT"), word(&database.to_string())];
        let within: Vec<Words> = match self {
            Self::Exec(ops) => ops.iter().zip(0..).map(|(op, part)| op.arguments(from, part)).collect(),
            Self::MoveBack(key) => {
                let name = word(&key.name(from.writer.client));
                let back = vec![word("MOVE"), name, word(&from.home.to_string())];
                vec![select(from.away), back, select(from.home)]
            }
            single => return vec![single.arguments(from, 0)],
        };
        [vec![word("MULTI")]].into_iter().chain(within).chain([vec![word("EXEC")]]).collect()
    }

    /// The words of a single command, `part` of a transaction.
    fn arguments(&self, from: &Sender, part: u16) -> Words {
        let writer = &from.writer;
        let name = |key: &Key| key.name(writer.client).into_bytes();
        let make = |key: &Key, length: &usize| value::make(writer, &key.short(), *length);
        let word = |text: &str| text.as_bytes().to_vec();
        let piece = || value::piece(writer.client, writer.seq);
        let by = Part { writer: *writer, part };
        match self {
            Self::Get(key) => vec![word("GET"), name(key)],
            Self::Read(key, kind) => read(*kind, name(key)),
            Self::Set(key, length) => vec![word("SET"), name(key), make(key, length)],
            Self::SetPx(key, length, px) => {
                vec![word("SET"), name(key), make(key, length), word("PX"), word(&px.to_string())]
            }
            Self::SetNx(key, length) => vec![word("SETNX"), name(key), make(key, length)],
            Self::SetBad(key, length) => vec![word("SET"), name(key), make(key, length), word("PX"), word("0")],
            Self::GetDel(key) => vec![word("GETDEL"), name(key)],
            Self::Del(keys) => [word("DEL")].into_iter().chain(keys.iter().map(name)).collect(),
            Self::PExpire(key, ms) => vec![word("PEXPIRE"), name(key), word(&ms.to_string())],
            Self::Persist(key) => vec![word("PERSIST"), name(key)],
            Self::Incr(key) => vec![word("INCR"), name(key)],
            Self::IncrMax(key) => vec![word("INCRBY"), name(key), word(&i64::MAX.to_string())],
            Self::Append(key) => vec![word("APPEND"), name(key), piece()],
            Self::MSet(pairs) => {
                let pairs = pairs.iter().flat_map(|(key, length)| [name(key), make(key, length)]);
                [word("MSET")].into_iter().chain(pairs).collect()
            }
            Self::On(key, change) => {
                let (command, rest) = change.words(&by);
                [word(command), name(key)].into_iter().chain(rest).collect()
            }
            Self::LMove(source, to, out, into) => {
                vec![word("LMOVE"), name(source), name(to), word(out.word()), word(into.word())]
            }
            Self::SMove(source, to, member) => vec![word("SMOVE"), name(source), name(to), member.clone()],
            Self::Rename(source, to) => vec![word("RENAME"), name(source), name(to)],
            Self::Copy(source, to) => {
                let database = if to.away { from.away } else { from.home };
                let words = [word("COPY"), name(source), name(to), word("DB"), word(&database.to_string())];
                words.into_iter().chain([word("REPLACE")]).collect()
            }
            Self::Move(key) => vec![word("MOVE"), name(key), word(&from.away.to_string())],
            Self::SwapDb => vec![word("SWAPDB"), word(&from.home.to_string()), word(&from.away.to_string())],
            Self::FlushDb => vec![word("FLUSHDB")],
            Self::Peek(client, key) => read(key.kind.holds().unwrap_or(Type::Text), key.name(*client).into_bytes()),
            Self::Shared(common) => {
                let name = common.name(from.round).into_bytes();
                match common {
                    Common::Count => vec![word("INCR"), name],
                    Common::Row => vec![word("APPEND"), name, piece()],
                    Common::List => vec![word("RPUSH"), name, value::element(writer, 0, 0)],
                    Common::Field => vec![word("HINCRBY"), name, word(COMMON_FIELD), word("1")],
                }
            }
            Self::Exec(_) | Self::MoveBack(_) => unreachable!("a transaction is no single command"),
        }
    }
}

/// The words of a full read.
pub fn read(kind: Type, name: Vec<u8>) -> Words {
    let (command, rest) = kind.read_words();
    [command.as_bytes().to_vec(), name].into_iter().chain(rest.iter().map(|word| word.as_bytes().to_vec())).collect()
}
