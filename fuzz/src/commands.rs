//! Lists of commands of all types: kvd says what the harness's oracle says, also after it was killed.
//!
//! An input is what `arbitrary` makes of it: commands over four keys of any type in two databases, transactions of such, time
//! that passes, kills. The oracle knows a deadline to 60 ms, as a server looks at the clock once a turn. So time goes on until it is
//! certain what is there, before anything else happens.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use harness::change::{Change, Side};
use harness::clock::{self, Interval};
use harness::content::{self, Content, Type};
use harness::op::{Key, Kind, Op, Sender};
use harness::oracle::{Expected, Oracle};
use harness::value::Writer;
use harness::wire::{self, Reply};

use crate::in_process::{Kvd, with_kvd};
use crate::tail::with_tail;

/// Commands of an input at most, and of a transaction.
const COMMANDS: u64 = 200;
const TOGETHER: usize = 6;
/// Kills of an input at most: each takes as long as hundreds of commands.
const KILLS: u32 = 2;
/// The client's databases.
const HOME: u32 = 0;
const AWAY: u32 = 4;

/// The moment at which every input begins.
static BEGIN: LazyLock<Instant> = LazyLock::new(clock::now);

/// Plays what the input describes, and compares all replies.
pub fn check(input: &[u8]) {
    let bytes = with_tail(input);
    let mut choices = Choices { from: Unstructured::new(&bytes), seq: 0 };
    with_kvd(|kvd| {
        let mut game = Game { kvd, oracle: Oracle::new(1, 1), passed_ms: 0, kills: 0 };
        for seq in 1..=COMMANDS {
            choices.seq = seq;
            match choices.turn() {
                Ok(Turn::Op(op)) => game.play(seq, &op),
                Ok(Turn::Pass(ms)) => game.pass(ms),
                Ok(Turn::Kill) => game.kill(),
                Err(_) => break,
            }
            game.until_certain();
        }
        game.read_all();
    });
}

/// One thing that happens.
enum Turn {
    Op(Op),
    Pass(u32),
    Kill,
}

struct Game<'a> {
    kvd: &'a mut Kvd,
    oracle: Oracle,
    passed_ms: u64,
    kills: u32,
}

impl Game<'_> {
    fn at(&self) -> Interval {
        let now = *BEGIN + Duration::from_millis(self.passed_ms);
        Interval { from: now, to: now }
    }

    /// Time passes until it is certain of each key and field whether its time has come.
    fn until_certain(&mut self) {
        let (at, mut doubtful) = (self.at(), false);
        let may_go = |deadline| content::may_live(deadline, at) && content::may_be_gone(deadline, at);
        for entry in self.oracle.keys().filter_map(|key| self.oracle.get(key)) {
            doubtful |= may_go(entry.deadline);
            if let Content::Hash(fields) = &*entry.content {
                doubtful |= fields.values().any(|field| may_go(field.deadline));
            }
        }
        if doubtful {
            self.pass(20);
            self.until_certain();
        }
    }

    fn pass(&mut self, ms: u32) {
        self.passed_ms += u64::from(ms);
        self.kvd.pass(ms.into());
    }

    fn kill(&mut self) {
        self.kills += 1;
        if self.kills <= KILLS {
            self.kvd.kill();
        }
    }

    fn play(&mut self, seq: u64, op: &Op) {
        let from = Sender { writer: Writer { run: 1, client: 1, seq }, round: 0, home: HOME, away: AWAY };
        let mut reply = Reply::Nil;
        for words in op.commands(&from) {
            reply = self.call(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        let at = self.at();
        if let Reply::Error(text) = reply {
            return assert!(self.oracle.refuses(seq, op, at), "{op:?}: {text}");
        }
        let before = self.oracle.clone();
        let expected = self.oracle.apply_told(seq, op, at, &reply);
        assert!(expected.allows(&reply), "{op:?}: {reply:?} and not {expected:?}, where there was {before:?}");
        if let (Reply::Nil, Expected::ValueOrNil(_), Op::Get(key)) = (&reply, &expected, op) {
            // It was seen to be gone.
            self.oracle.adopt(*key, None);
        }
    }

    fn call(&mut self, words: &[&[u8]]) -> Reply {
        let bytes = self.kvd.call(words).expect("nothing closes this connection");
        let mut rest = &bytes[..];
        let reply = wire::read(&mut rest).unwrap_or_else(|error| panic!("{}: {error}", bytes.escape_ascii()));
        assert!(rest.is_empty(), "more than one reply: {}", bytes.escape_ascii());
        reply
    }

    /// All keys, in both databases; and no others.
    fn read_all(&mut self) {
        for away in [false, true] {
            let database = if away { AWAY } else { HOME };
            self.call(&[b"SELECT", database.to_string().as_bytes()]);
            let mut most = 0;
            for key in keys().filter(|key| key.away == away) {
                let name = key.name(1).into_bytes();
                let Reply::Simple(word) = self.call(&[b"TYPE", &name]) else { panic!("TYPE is a word") };
                let Some(kind) = Type::of(&word) else {
                    let gone = self.oracle.get(key).is_none_or(|entry| entry.may_be_gone(self.at()));
                    assert!(gone, "{key:?} is gone: {:?}", self.oracle.get(key));
                    continue;
                };
                most += 1;
                let read = harness::op::read(kind, name);
                let found = self.call(&read.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let expected = self.oracle.apply_told(0, &Op::Read(key, kind), self.at(), &found);
                assert!(expected.allows(&found), "{key:?}: {found:?} and not {expected:?}");
            }
            assert_eq!(self.call(&[b"DBSIZE"]), Reply::Int(most), "keys that nobody wrote");
        }
        self.kvd.digest();
    }
}

fn keys() -> impl Iterator<Item = Key> {
    (0..4).map(|slot| Key::new(Kind::Mixed, slot)).flat_map(|key| [key, key.opposite()])
}

/// What an input chooses.
struct Choices<'i> {
    from: Unstructured<'i>,
    /// Of the command that is chosen.
    seq: u64,
}

impl Choices<'_> {
    fn turn(&mut self) -> Result<Turn> {
        if self.from.is_empty() {
            return Err(arbitrary::Error::NotEnoughData);
        }
        Ok(match self.from.int_in_range(0..=63_u8)? {
            63 => Turn::Kill,
            62 => Turn::Pass(self.from.int_in_range(0..=2000)?),
            61 => Turn::Pass(self.from.int_in_range(0..=10_000_000)?),
            60 => Turn::Op(Op::MoveBack(self.key()?)),
            55..=59 => {
                let count = self.from.int_in_range(1..=TOGETHER)?;
                Turn::Op(Op::Exec((0..count).map(|_| self.op()).collect::<Result<_>>()?))
            }
            _ => Turn::Op(self.op()?),
        })
    }

    /// A single command of the client's home.
    fn op(&mut self) -> Result<Op> {
        let key = self.key()?;
        Ok(match self.from.int_in_range(0..=31_u8)? {
            0 => Op::Get(key),
            1 => Op::Read(key, *self.from.choose(&[Type::Text, Type::List, Type::Hash, Type::Set, Type::Sorted])?),
            2 => Op::Set(key, self.length()?),
            3 => Op::SetPx(key, self.length()?, self.ms()?),
            4 => Op::SetNx(key, self.length()?),
            5 => Op::SetBad(key, self.length()?),
            6 => Op::GetDel(key),
            7 => Op::Del((0..self.from.int_in_range(1..=3)?).map(|_| self.key()).collect::<Result<_>>()?),
            8 => Op::PExpire(key, self.ms()?),
            9 => Op::Persist(key),
            10 => Op::Incr(key),
            11 => Op::IncrMax(key),
            12 => Op::Append(key),
            13 => Op::MSet(vec![(key, self.length()?), (self.key()?, self.length()?)]),
            14 => Op::LMove(key, self.key()?, self.side()?, self.side()?),
            15 => Op::SMove(key, self.key()?, self.element()?),
            16 => Op::Rename(key, self.key()?),
            17 => Op::Copy(key, self.key()?),
            18 => Op::Copy(key, self.key()?.opposite()),
            19 => Op::Move(key),
            20 => Op::SwapDb,
            21 => Op::FlushDb,
            _ => Op::On(key, self.change()?),
        })
    }

    fn change(&mut self) -> Result<Change> {
        let count = self.from.int_in_range(1..=6)?;
        // Now and then more than a packed form holds.
        let count = if count == 6 { 90 } else { count };
        Ok(match self.from.int_in_range(0..=13_u8)? {
            0 => Change::Push(self.side()?, count, self.length()?),
            1 => Change::Pop(self.side()?),
            2 => Change::Trim(self.from.int_in_range(-4..=100)?, self.from.int_in_range(-100..=100)?),
            3 => Change::HSet(self.field()?, self.length()?),
            4 => Change::HDel(self.field()?),
            5 => Change::HIncrBy(self.field()?, *self.from.choose(&[1, -3, i64::MAX, i64::MIN])?),
            6 => Change::HPExpire(self.field()?, self.ms()?),
            7 => Change::SAdd(count, self.length()?),
            8 => Change::SRem(self.element()?),
            9 => Change::SPop,
            10 => Change::ZAdd(count, self.from.int_in_range(-50..=50)?),
            11 => Change::ZIncrBy(self.element()?, self.from.int_in_range(-50..=50)?),
            12 => Change::ZRem(self.element()?),
            _ => Change::ZPopMin,
        })
    }

    fn key(&mut self) -> Result<Key> {
        Ok(Key::new(Kind::Mixed, self.from.int_in_range(0..=3)?))
    }

    fn side(&mut self) -> Result<Side> {
        Ok(*self.from.choose(&[Side::Left, Side::Right])?)
    }

    fn field(&mut self) -> Result<String> {
        Ok(format!("f{}", self.from.int_in_range(0..=5_u8)?))
    }

    /// One that an earlier command may have added, not one that a later command will.
    fn element(&mut self) -> Result<Vec<u8>> {
        let writer = Writer { run: 1, client: 1, seq: self.from.int_in_range(0..=20.min(self.seq - 1))? };
        Ok(harness::value::element(&writer, self.from.int_in_range(0..=5)?, 0))
    }

    /// Of a value or an element: what packed forms hold, what they do not, what gets a file of its own.
    fn length(&mut self) -> Result<usize> {
        Ok(*self.from.choose(&[0, 0, 0, 30, 70, 500, 5000])?)
    }

    fn ms(&mut self) -> Result<u32> {
        Ok(*self.from.choose(&[1, 100, 1000, 3_600_000])?)
    }
}
