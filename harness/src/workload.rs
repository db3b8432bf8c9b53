//! What clients do: seeded mixes of commands over keys of their own and a few shared ones, in pipelines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{Address, Client};
use crate::ledger::{Ledger, Stamps};
use crate::op::{Key, Kind, Op};
use crate::random::Random;
use crate::value::Writer;
use crate::verify::SHARED_DATABASE;
use crate::wire::Reply;

/// Longest pipeline. A set of cuts holds one more.
pub const MAX_PIPELINE: u64 = 16;

/// Keys of one kind that a client owns.
const SLOTS: [(Kind, u16); 5] =
    [(Kind::Text, 24), (Kind::Number, 4), (Kind::Row, 4), (Kind::Volatile, 4), (Kind::Big, 1)];

/// A row is deleted when it has this many bytes: its replies and its copies should stay small.
const ROW_LIMIT_BYTES: u64 = 8 * 1024;

/// The key of values of a megabyte and more, and their least size.
const BIG: Key = Key { kind: Kind::Big, slot: 0 };
const BIG_BYTES: usize = 1 << 20;

/// The database that only the flushing client uses.
const FLUSHED_DATABASE: u32 = 9;

/// All keys a client may write.
pub fn universe() -> impl Iterator<Item = Key> {
    SLOTS.into_iter().flat_map(|(kind, slots)| (0..slots).map(move |slot| Key { kind, slot }))
}

/// Where a client lives: the first alone, of the others one in four in database 1, the rest in 0.
pub fn database_of(client: u16) -> u32 {
    match client {
        0 => FLUSHED_DATABASE,
        client if client % 4 == 3 => 1,
        _ => SHARED_DATABASE,
    }
}

/// What all clients of one round have in common.
pub struct Load<'a> {
    /// The server.
    pub address: Address,
    /// Names values.
    pub run: u32,
    /// Names the shared row.
    pub round: u32,
    /// How many clients there are.
    pub clients: u16,
    /// Orders the notes.
    pub stamps: &'a Stamps,
    /// Set when clients shall come to an end.
    pub stop: &'a AtomicBool,
    /// Commands per client; without it until `stop` or the end of the connection.
    pub limit: Option<u64>,
    /// Longest wait for a reply.
    pub patience: Duration,
    /// How heavy the values are.
    pub weight: Weight,
}

/// How heavy the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// 10 B to 64 KiB, now and then 1 to 2 MiB.
    Full,
    /// At most 4 KiB, but the first client begins with 1 MiB: for many short runs.
    Light,
}

/// How a client's round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All commands done, or told to stop.
    Done,
    /// The connection ended: by a kill, as it should, or by the server.
    Closed(String),
}

/// Drives one client until it is stopped or its connection ends. All it knows is in the ledger.
pub fn drive(ledger: &mut Ledger, load: &Load<'_>, mut random: Random) -> End {
    match try_drive(ledger, load, &mut random) {
        Ok(()) => End::Done,
        Err(error) => End::Closed(error.to_string()),
    }
}

fn try_drive(ledger: &mut Ledger, load: &Load<'_>, random: &mut Random) -> std::io::Result<()> {
    let mut client = Client::connect(&load.address, load.patience)?;
    if let Reply::Error(text) = client.call(&[b"SELECT", ledger.database.to_string().as_bytes()])? {
        return Err(std::io::Error::other(text));
    }
    let mut sent = 0;
    while !load.stop.load(Ordering::Relaxed) && load.limit.is_none_or(|limit| sent < limit) {
        let depth = if random.one_in(2) { random.between(1, MAX_PIPELINE) } else { random.between(1, 4) };
        let client_number = ledger.client;
        let writer = |seq| Writer { run: load.run, client: client_number, seq };
        let mut arguments = Vec::new();
        for _ in 0..depth {
            let begins = load.weight == Weight::Light && ledger.client == 0 && sent == 0 && arguments.is_empty();
            let op = if begins { Op::Set(BIG, BIG_BYTES) } else { choose(ledger, load, random) };
            let seq = ledger.next_seq;
            arguments.push(op.arguments(&writer(seq), load.round));
            ledger.invoke(op, load.stamps);
        }
        for command in &arguments {
            client.queue(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        client.flush()?;
        for _ in 0..depth {
            let reply = client.reply()?;
            ledger.answer(&reply, load.stamps);
        }
        sent += depth;
    }
    Ok(())
}

/// The next command.
fn choose(ledger: &Ledger, load: &Load<'_>, random: &mut Random) -> Op {
    // Where a client's database or its luck rules a command out, it overwrites its hot key.
    let weights = [26, 8, 5, 4, 8, 4, 1, 4, 8, 6, 4, 4, 5, 4, 1, 1, 8];
    let text = text_key(random);
    let length = length(load.weight, random);
    match random.weighted(&weights) {
        0 => Op::Set(text, length),
        1 => Op::Get(*universe().collect::<Vec<_>>().get(random.between(0, 36) as usize).unwrap_or(&text)),
        2 => Op::SetNx(text, length),
        3 => Op::GetDel(text),
        4 => Op::Incr(Key { kind: Kind::Number, slot: random.between(0, 3) as u16 }),
        5 => Op::Del((0..random.between(1, 3)).map(|_| text_key(random)).collect()),
        6 => Op::SetBad(text, length),
        7 => Op::SetPx(
            volatile_key(random),
            length.min(1024),
            if random.one_in(3) { 3_600_000 } else { random.between(20, 400) as u32 },
        ),
        8 => append(ledger, random),
        9 => batch(load.weight, random),
        10 => Op::Rename(text, text_key(random)),
        11 if ledger.database == SHARED_DATABASE => Op::SharedIncr,
        12 if ledger.database == SHARED_DATABASE => Op::SharedAppend,
        13 => peek(ledger, load, random).unwrap_or(Op::Get(text)),
        14 => rare(ledger, load, random).unwrap_or(Op::Incr(text)),
        15 => Op::Incr(text),
        // One hot key, overwritten again and again.
        _ => Op::Set(Key { kind: Kind::Text, slot: 0 }, length),
    }
}

fn text_key(random: &mut Random) -> Key {
    Key { kind: Kind::Text, slot: random.between(0, 23) as u16 }
}

fn volatile_key(random: &mut Random) -> Key {
    Key { kind: Kind::Volatile, slot: random.between(0, 3) as u16 }
}

fn length(weight: Weight, random: &mut Random) -> usize {
    let (low, high) = match (random.weighted(&[60, 28, 10, 2]), weight) {
        (0, _) => (10, 200),
        (1, _) => (200, 1024),
        (2, _) | (_, Weight::Light) => (1024, 4096),
        (_, Weight::Full) => (4096, 65_536),
    };
    random.between(low, high) as usize
}

fn append(ledger: &Ledger, random: &mut Random) -> Op {
    let key = Key { kind: Kind::Row, slot: random.between(0, 3) as u16 };
    let full = ledger.tip.get(key).is_some_and(|entry| entry.digest.length > ROW_LIMIT_BYTES);
    if full || random.one_in(200) { Op::Del(vec![key]) } else { Op::Append(key) }
}

fn batch(weight: Weight, random: &mut Random) -> Op {
    let first = random.between(0, 23);
    let keys = (0..random.between(2, 8)).map(|step| Key { kind: Kind::Text, slot: ((first + 5 * step) % 24) as u16 });
    Op::MSet(keys.map(|key| (key, length(weight, random))).collect())
}

fn peek(ledger: &Ledger, load: &Load<'_>, random: &mut Random) -> Option<Op> {
    let target = random.between(0, u64::from(load.clients) - 1) as u16;
    let there = target != ledger.client && database_of(target) == ledger.database;
    // Half of the looks go to the hot key: its value is most often one without an answer.
    let key = if random.one_in(2) { Key { kind: Kind::Text, slot: 0 } } else { text_key(random) };
    there.then_some(Op::Peek(target, key))
}

/// What is too heavy or too destructive to be done often.
fn rare(ledger: &Ledger, load: &Load<'_>, random: &mut Random) -> Option<Op> {
    let number = Key { kind: Kind::Number, slot: random.between(0, 3) as u16 };
    let turn = random.between(0, 19);
    match turn {
        0 if ledger.client.is_multiple_of(4) && load.weight == Weight::Full => {
            Some(Op::Set(BIG, BIG_BYTES + random.between(0, BIG_BYTES as u64) as usize))
        }
        1 if ledger.client.is_multiple_of(4) => Some(Op::Del(vec![BIG])),
        2 | 3 if ledger.database == FLUSHED_DATABASE => Some(Op::FlushDb),
        4..=9 => Some(Op::Del(vec![number])),
        10..=13 => Some(Op::IncrMax(number)),
        14..=16 => Some(Op::Del(vec![volatile_key(random)])),
        _ => None,
    }
}
