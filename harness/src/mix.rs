//! Which command comes next: two seeded mixes over keys of a client's own and a few shared ones.

use crate::change::{Change, MAX_ELEMENTS, Side};
use crate::content::{Content, Type};
use crate::ledger::Ledger;
use crate::op::{Common, Key, Kind, Op};
use crate::random::Random;
use crate::verify::SHARED_DATABASE;
use crate::workload::{self, Weight};

/// What clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Strings only.
    Strings,
    /// All types, transactions, and keys that go from one database to another.
    All,
    /// The same without what servers do not know that are older than deadlines of fields.
    Older,
    /// Nothing but transactions, of all types.
    Transactions,
}

impl Mix {
    /// All of them.
    pub const EACH: [Self; 4] = [Self::Strings, Self::All, Self::Older, Self::Transactions];

    /// As a flag says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Strings => "strings",
            Self::All => "all",
            Self::Older => "older",
            Self::Transactions => "transactions",
        }
    }
}

/// What a choice depends on beside the notes.
#[derive(Clone, Copy, Debug)]
pub struct Taste {
    /// Which mix.
    pub mix: Mix,
    /// How heavy the values are.
    pub weight: Weight,
    /// How many clients there are.
    pub clients: u16,
}

/// Keys of one kind that a client owns, and whether they go to the client's other database.
const SLOTS: [(Kind, u16, bool); 12] = [
    (Kind::Text, TEXTS, true),
    (Kind::Number, 4, false),
    (Kind::Row, ROWS, false),
    (Kind::Volatile, 4, false),
    (Kind::Big, 2, false),
    (Kind::List, FEW, true),
    (Kind::Hash, FEW, true),
    (Kind::Set, FEW, true),
    (Kind::Sorted, FEW, true),
    (Kind::Mixed, FEW, true),
    (Kind::Pool, 1, false),
    (Kind::Fading, 2, false),
];

/// Keys of strings.
const TEXTS: u16 = 24;

/// Keys that are appended to.
const ROWS: u16 = 4;

/// Keys of each collection's type. The first of them grows large, the others stay small.
const FEW: u16 = 3;

/// Elements from which on a collection is cut or deleted.
const LARGE: usize = 600;
const SMALL: usize = 24;

/// A row is deleted when it has this many bytes: its replies and its copies should stay small.
const ROW_LIMIT_BYTES: usize = 8 * 1024;

/// The key of values of a megabyte and more.
pub const BIG: Key = Key { kind: Kind::Big, slot: 0, away: false };
/// What it is renamed to.
const BIG_RENAMED: Key = Key { slot: 1, ..BIG };
/// The least size of a large value.
pub const BIG_BYTES: usize = 1 << 20;

/// All keys a client may write. SWAPDB takes every one of them to the other side, for one client.
pub fn universe() -> impl Iterator<Item = Key> {
    let at_home = SLOTS.into_iter().flat_map(|(kind, slots, _)| (0..slots).map(move |slot| Key::new(kind, slot)));
    at_home.flat_map(|key| [key, key.opposite()])
}

/// The next command.
pub fn choose(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Op {
    if taste.mix == Mix::Transactions {
        return transaction(ledger, taste, random);
    }
    if taste.mix != Mix::Strings && !random.one_in(3) {
        return of_all_types(ledger, taste, random);
    }
    // Where a client's database or its luck rules a command out, it overwrites its hot key.
    let weights = [26, 8, 5, 4, 8, 4, 1, 4, 8, 6, 4, 4, 5, 4, 2, 1, 4, 8];
    let text = text_key(random);
    let length = length(taste.weight, random);
    match random.weighted(&weights) {
        0 => Op::Set(text, length),
        1 => Op::Get(any_string(random)),
        2 => Op::SetNx(text, length),
        3 => Op::GetDel(text),
        4 => Op::Incr(key(Kind::Number, 4, random)),
        5 => Op::Del((0..random.between(1, 3)).map(|_| text_key(random)).collect()),
        6 => Op::SetBad(text, length),
        7 => Op::SetPx(
            key(Kind::Volatile, 4, random),
            length.min(1024),
            if random.one_in(3) { 3_600_000 } else { random.between(20, 400) as u32 },
        ),
        8 => append(ledger, random),
        9 => batch(taste.weight, random),
        10 => Op::Rename(text, text_key(random)),
        11 if ledger.database == SHARED_DATABASE => Op::Shared(Common::Count),
        12 if ledger.database == SHARED_DATABASE => Op::Shared(Common::Row),
        13 => peek(ledger, taste, random).unwrap_or(Op::Get(text)),
        14 => rare(ledger, taste.weight, random).unwrap_or(Op::Incr(text)),
        15 => Op::Incr(text),
        16 => deadline(taste.mix, random),
        // One hot key, overwritten again and again.
        _ => Op::Set(Key::new(Kind::Text, 0), length),
    }
}

/// A command of collections, of several keys or of several databases.
fn of_all_types(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Op {
    match random.weighted(&[50, 9, 6, 5, 8, 5, 4, 4, 1]) {
        0 => on_collection(ledger, taste, random),
        1 => transaction(ledger, taste, random),
        2 => between_keys(ledger, random),
        3 => between_databases(ledger, random),
        4 => full_read(random),
        5 => peek(ledger, taste, random).unwrap_or_else(|| full_read(random)),
        6 if ledger.database == SHARED_DATABASE => Op::Shared(Common::List),
        7 if ledger.database == SHARED_DATABASE => Op::Shared(Common::Field),
        8 => Op::Del(vec![collection_key(random), collection_key(random)]),
        _ => Op::Set(key(Kind::Mixed, FEW, random), 40),
    }
}

/// A change of any collection.
fn on_collection(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Op {
    let kinds = [Kind::List, Kind::Hash, Kind::Set, Kind::Sorted, Kind::Mixed, Kind::Pool, Kind::Fading];
    let kind = kinds[random.weighted(&[20, 20, 14, 18, 14, 6, 8])];
    let slots = SLOTS.iter().find(|(of, ..)| *of == kind).map_or(1, |(_, slots, _)| *slots);
    change_of(key(kind, slots, random), ledger, taste, random)
}

/// A change of one collection, of a type that the key's kind has.
fn change_of(key: Key, ledger: &Ledger, taste: &Taste, random: &mut Random) -> Op {
    let content = ledger.tip.get(key).map(|entry| &*entry.content);
    let limit = if key.slot == 0 { LARGE } else { SMALL };
    if content.is_some_and(|content| content.kind() != Type::Text && content.len() > limit) {
        let cut = matches!(content, Some(Content::List(_))) && random.one_in(2);
        let kept = Op::On(key, Change::Trim(-(limit as i64) / 4, -1));
        return if cut { kept } else { Op::Del(vec![key]) };
    }
    if random.one_in(60) {
        return Op::Del(vec![key]);
    }
    // Now and then many at once, where there is room for them.
    let count = if key.slot == 0 && random.one_in(8) { random.between(20, 90) } else { random.between(1, 4) } as u16;
    assert!(count < MAX_ELEMENTS, "a command's elements have numbers of their own");
    let change = match key.kind {
        Kind::List => list_change(count, random),
        Kind::Hash => hash_change(if key.slot == 0 { 300 } else { 8 }, random),
        Kind::Set => set_change(content, count, random),
        Kind::Sorted => sorted_change(content, count, random),
        Kind::Pool if random.one_in(2) => Change::SPop,
        Kind::Pool => Change::SAdd(count, element_length(random)),
        Kind::Fading => fading_change(random),
        // The wrong type most of the time, which is an error without effect; then the key is deleted or overwritten.
        _ => match random.between(0, 6) {
            0 => return Op::Del(vec![key]),
            1 => return Op::Set(key, 60),
            2 => list_change(count, random),
            3 => hash_change(8, random),
            4 => set_change(content, count, random),
            5 => sorted_change(content, count, random),
            _ => return Op::SetNx(key, 60),
        },
    };
    match change {
        Change::HPExpire(field, _) if taste.mix == Mix::Older => Op::On(key, Change::HDel(field)),
        change => Op::On(key, change),
    }
}

fn side(random: &mut Random) -> Side {
    if random.one_in(2) { Side::Left } else { Side::Right }
}

fn list_change(count: u16, random: &mut Random) -> Change {
    match random.weighted(&[60, 34, 6]) {
        0 => Change::Push(side(random), count, element_length(random)),
        1 => Change::Pop(side(random)),
        _ => Change::Trim(random.between(0, 2) as i64, -(random.between(1, 3) as i64)),
    }
}

fn hash_change(fields: u64, random: &mut Random) -> Change {
    let field = |random: &mut Random| format!("f{}", random.between(0, fields - 1));
    match random.weighted(&[50, 16, 24, 2, 2, 6]) {
        0 => Change::HSet(field(random), element_length(random)),
        1 => Change::HDel(field(random)),
        2 => Change::HIncrBy(format!("n{}", random.between(0, 3)), random.between(1, 9) as i64),
        // Overflows unless the field is absent.
        3 => Change::HIncrBy("n3".to_owned(), i64::MAX),
        // No number, unless the field is absent.
        4 => Change::HIncrBy(field(random), 1),
        _ => Change::HPExpire(field(random), 3_600_000),
    }
}

fn fading_change(random: &mut Random) -> Change {
    let field = format!("x{}", random.between(0, 5));
    match random.weighted(&[45, 40, 15]) {
        0 => Change::HSet(field, element_length(random)),
        1 => Change::HPExpire(field, random.between(20, 400) as u32),
        _ => Change::HDel(field),
    }
}

fn set_change(content: Option<&Content>, count: u16, random: &mut Random) -> Change {
    match (content, random.one_in(2)) {
        (Some(content @ Content::Set(..)), true) => member(content, random).map_or(Change::SAdd(1, 0), Change::SRem),
        _ => Change::SAdd(count, element_length(random)),
    }
}

fn sorted_change(content: Option<&Content>, count: u16, random: &mut Random) -> Change {
    let turn = random.weighted(&[40, 26, 14, 20]);
    let member = content.filter(|content| content.kind() == Type::Sorted).and_then(|content| member(content, random));
    match (turn, member) {
        (1, Some(member)) => Change::ZIncrBy(member, random.between(0, 40) as i64 - 20),
        (2, Some(member)) => Change::ZRem(member),
        (3, _) => Change::ZPopMin,
        _ => Change::ZAdd(count, random.between(0, 1000) as i64 - 500),
    }
}

/// An element of a collection.
fn member(content: &Content, random: &mut Random) -> Option<Vec<u8>> {
    let place = random.between(0, content.len().max(1) as u64 - 1) as usize;
    content.elements().nth(place).cloned()
}

/// Up to what compact forms hold, now and then more.
fn element_length(random: &mut Random) -> usize {
    match random.weighted(&[70, 25, 5]) {
        0 => 0,
        1 => random.between(30, 80) as usize,
        _ => random.between(100, 2000) as usize,
    }
}

/// What a transaction does: changes of keys of several types, all or none of them.
fn transaction(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Op {
    if random.one_in(4) {
        return Op::Exec(come_and_gone(ledger, taste, random));
    }
    let within = |random: &mut Random| match random.weighted(&[54, 12, 8, 10, 8, 4, 4]) {
        0 => on_collection(ledger, taste, random),
        1 => Op::Set(text_key(random), length(taste.weight, random).min(4096)),
        2 => Op::Incr(key(Kind::Number, 4, random)),
        3 => between_keys(ledger, random),
        4 => batch(Weight::Light, random),
        5 => deadline(taste.mix, random),
        _ => match between_databases(ledger, random) {
            // A transaction itself.
            Op::MoveBack(key) => Op::Move(key),
            op => op,
        },
    };
    Op::Exec((0..random.between(2, 6)).map(|_| within(random)).collect())
}

/// A collection that is changed, goes, comes again and is changed again: what replay lays on what.
fn come_and_gone(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Vec<Op> {
    let here = collection_key(random);
    let goes = match random.between(0, 4) {
        0 => Op::Del(vec![here]),
        1 => Op::Move(here),
        2 => Op::Rename(key(here.kind, FEW, random), here),
        3 => Op::Rename(here, key(here.kind, FEW, random)),
        _ => Op::Rename(here, key(Kind::Mixed, FEW, random)),
    };
    let before = (0..random.between(0, 2)).map(|_| change_of(here, ledger, taste, random)).collect::<Vec<_>>();
    let after = (0..random.between(1, 3)).map(|_| change_of(here, ledger, taste, random)).collect::<Vec<_>>();
    before.into_iter().chain([goes]).chain(after).collect()
}

/// A time to live is given or taken. Only volatile keys get a short one: the others must be there to be judged.
fn deadline(mix: Mix, random: &mut Random) -> Op {
    let steady = if mix != Mix::Strings && random.one_in(2) { collection_key(random) } else { text_key(random) };
    let volatile = key(Kind::Volatile, 4, random);
    match random.between(0, 3) {
        0 => Op::PExpire(volatile, random.between(20, 400) as u32),
        1 => Op::Persist(volatile),
        2 => Op::PExpire(steady, random.between(1_800_000, 3_600_000) as u32),
        _ => Op::Persist(steady),
    }
}

/// One command, two keys.
fn between_keys(ledger: &Ledger, random: &mut Random) -> Op {
    let pair = |kind, random: &mut Random| (key(kind, FEW, random), key(kind, FEW, random));
    match random.weighted(&[30, 25, 15, 15, 15, 8]) {
        0 => {
            let (from, to) = pair(Kind::List, random);
            Op::LMove(from, to, side(random), side(random))
        }
        1 => {
            let (from, to) = pair(Kind::Set, random);
            let content = ledger.tip.get(from).map(|entry| &*entry.content);
            let member = content.and_then(|content| member(content, random));
            Op::SMove(from, to, member.unwrap_or_else(|| b"nobody".to_vec()))
        }
        2 => {
            let (from, to) = pair(travelling_kind(random), random);
            Op::Rename(from, to)
        }
        3 => Op::Rename(collection_key(random), key(Kind::Mixed, FEW, random)),
        4 => Op::Rename(key(Kind::Row, ROWS, random), key(Kind::Row, ROWS, random)),
        _ => {
            let (from, to) = pair(travelling_kind(random), random);
            Op::Copy(from, to)
        }
    }
}

fn between_databases(ledger: &Ledger, random: &mut Random) -> Op {
    let key = if random.one_in(4) { text_key(random) } else { collection_key(random) };
    let alone = workload::lives_alone(ledger.client);
    match random.weighted(&[40, 40, 15, if alone { 25 } else { 0 }, if alone { 8 } else { 0 }]) {
        0 => Op::Move(key),
        1 => Op::MoveBack(key),
        2 => Op::Copy(key, key.opposite()),
        3 => Op::SwapDb,
        _ => Op::FlushDb,
    }
}

fn full_read(random: &mut Random) -> Op {
    let kind = [Kind::Fading, Kind::Pool, Kind::Mixed, Kind::List][random.weighted(&[20, 10, 20, 50])];
    match kind {
        Kind::Fading => Op::Read(key(kind, 2, random), Type::Hash),
        Kind::Pool => Op::Read(key(kind, 1, random), Type::Set),
        Kind::Mixed => Op::Read(key(kind, FEW, random), Type::List),
        _ => {
            let key = key(travelling_kind(random), FEW, random);
            Op::Read(key, key.kind.holds().unwrap_or(Type::Hash))
        }
    }
}

fn travelling_kind(random: &mut Random) -> Kind {
    [Kind::List, Kind::Hash, Kind::Set, Kind::Sorted, Kind::Mixed][random.between(0, 4) as usize]
}

fn collection_key(random: &mut Random) -> Key {
    key(travelling_kind(random), FEW, random)
}

fn key(kind: Kind, slots: u16, random: &mut Random) -> Key {
    Key::new(kind, random.between(0, u64::from(slots) - 1) as u16)
}

fn text_key(random: &mut Random) -> Key {
    key(Kind::Text, TEXTS, random)
}

fn any_string(random: &mut Random) -> Key {
    let strings = SLOTS.into_iter().filter(|(kind, ..)| kind.holds() == Some(Type::Text));
    let weights: Vec<(Kind, u16)> = strings.map(|(kind, slots, _)| (kind, slots)).collect();
    let chosen = random.weighted(&weights.iter().map(|(_, slots)| u32::from(*slots)).collect::<Vec<_>>());
    key(weights[chosen].0, weights[chosen].1, random)
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
    let key = key(Kind::Row, ROWS, random);
    let full = ledger.tip.get(key).is_some_and(|entry| entry.content.len() > ROW_LIMIT_BYTES);
    if full || random.one_in(200) { Op::Del(vec![key]) } else { Op::Append(key) }
}

fn batch(weight: Weight, random: &mut Random) -> Op {
    let first = random.between(0, 23);
    let keys = (0..random.between(2, 8)).map(|step| Key::new(Kind::Text, ((first + 5 * step) % 24) as u16));
    Op::MSet(keys.map(|key| (key, length(weight, random))).collect())
}

fn peek(ledger: &Ledger, taste: &Taste, random: &mut Random) -> Option<Op> {
    let target = random.between(0, u64::from(taste.clients) - 1) as u16;
    let there = target != ledger.client && workload::database_of(target) == ledger.database;
    // Half of the looks go to the hot key: its value is most often one without an answer.
    let key = match random.weighted(&[40, 20, if taste.mix != Mix::Strings { 40 } else { 0 }]) {
        0 => Key::new(Kind::Text, 0),
        1 => text_key(random),
        _ => key([Kind::List, Kind::Hash, Kind::Set, Kind::Sorted][random.between(0, 3) as usize], FEW, random),
    };
    there.then_some(Op::Peek(target, key))
}

/// What is too heavy or too destructive to be done often.
fn rare(ledger: &Ledger, weight: Weight, random: &mut Random) -> Option<Op> {
    let number = key(Kind::Number, 4, random);
    let turn = random.between(0, 19);
    match turn {
        0 if ledger.client.is_multiple_of(4) && weight == Weight::Full => {
            let set = Op::Set(BIG, BIG_BYTES + random.between(0, BIG_BYTES as u64) as usize);
            let changed = [set.clone(), Op::Append(BIG), Op::Rename(BIG, BIG_RENAMED)];
            Some(if random.one_in(2) { Op::Exec(changed.into()) } else { set })
        }
        1 if ledger.client.is_multiple_of(4) => Some(Op::Del(vec![BIG, BIG_RENAMED])),
        2 => Some(Op::Append(BIG)),
        3 => Some(Op::Rename(BIG, BIG_RENAMED)),
        4..=9 => Some(Op::Del(vec![number])),
        10..=13 => Some(Op::IncrMax(number)),
        14..=16 => Some(Op::Del(vec![key(Kind::Volatile, 4, random)])),
        _ => None,
    }
}
