//! Whole histories against a toy store that can be made to lie.

use super::*;
use crate::clock::{self, Interval};
use crate::ledger::Stamps;
use crate::op::Kind;
use crate::snapshot::Found;
use crate::value::{self, Writer};
use crate::wire::Reply;

const RUN: u32 = 1;
/// A client of the shared database.
const CLIENT: u16 = 1;

fn text(slot: u16) -> Key {
    Key { kind: Kind::Text, slot }
}

/// What the store has on its disk: keys and bytes.
type Toy = BTreeMap<String, Vec<u8>>;

struct History {
    ledgers: Vec<Ledger>,
    shared: Shared,
    stamps: Stamps,
    toy: Toy,
}

impl History {
    /// Two clients with four commands answered and nothing pending.
    fn begin() -> Self {
        let ledgers = vec![Ledger::new(RUN, CLIENT, 0), Ledger::new(RUN, CLIENT + 1, 0)];
        let mut history = Self { ledgers, shared: Shared::default(), stamps: Stamps::default(), toy: Toy::new() };
        for op in [Op::Set(text(1), 60), Op::Set(text(2), 70), Op::Set(text(1), 80), Op::Del(vec![text(2)])] {
            history.answered(0, op);
        }
        history
    }

    /// Sends a command; it has its effect, its reply is lost with the crash.
    fn unanswered(&mut self, who: usize, op: Op) -> Reply {
        let client = self.ledgers[who].client;
        let writer = Writer { run: RUN, client, seq: self.ledgers[who].next_seq };
        let arguments = op.arguments(&writer, self.shared.round);
        self.ledgers[who].invoke(op, &self.stamps);
        run(&mut self.toy, &arguments)
    }

    fn answered(&mut self, who: usize, op: Op) {
        let reply = self.unanswered(who, op);
        self.ledgers[who].answer(&reply, &self.stamps);
    }

    fn judge(&self) -> Vec<Rule> {
        let universe = universe(&self.ledgers, &self.shared, 0);
        let snapshot = BTreeMap::from([(0, look(&self.toy, universe))]);
        judge(&self.ledgers, &self.shared, &snapshot, clock::now()).iter().map(|broken| broken.rule).collect()
    }

    /// The rules that are broken when the disk is like this instead.
    fn judge_with(&mut self, change: impl FnOnce(&mut Toy)) -> Vec<Rule> {
        let before = self.toy.clone();
        change(&mut self.toy);
        let rules = self.judge();
        self.toy = before;
        rules
    }
}

/// The few commands these tests need.
fn run(toy: &mut Toy, arguments: &[Vec<u8>]) -> Reply {
    let name = |at: usize| String::from_utf8(arguments[at].clone()).unwrap();
    match name(0).as_str() {
        "SET" if arguments.len() == 5 => return Reply::Error("ERR invalid expire time".into()),
        "SET" => toy.insert(name(1), arguments[2].clone()),
        "GET" => return toy.get(&name(1)).map_or(Reply::Nil, |bytes| Reply::Bulk(bytes.clone())),
        "DEL" => return Reply::Int((1..arguments.len()).filter(|&at| toy.remove(&name(at)).is_some()).count() as i64),
        "INCR" => {
            let old: i64 = toy.get(&name(1)).map_or(0, |bytes| String::from_utf8_lossy(bytes).parse().unwrap());
            toy.insert(name(1), (old + 1).to_string().into_bytes());
            return Reply::Int(old + 1);
        }
        "APPEND" => {
            let row = toy.entry(name(1)).or_default();
            row.extend_from_slice(&arguments[2]);
            return Reply::Int(row.len() as i64);
        }
        "MSET" => {
            (1..arguments.len()).step_by(2).for_each(|at| drop(toy.insert(name(at), arguments[at + 1].clone())));
            None
        }
        other => panic!("the toy has no {other}"),
    };
    Reply::Simple("OK".into())
}

fn look(toy: &Toy, universe: BTreeSet<String>) -> Database {
    let now = clock::now();
    let at = Interval { from: now, to: now };
    let found = |name: &String| {
        let bytes = toy.get(name)?.clone();
        Some(Found { digest: Digest::of(&bytes), reading: value::read(&bytes), bytes: Some(bytes) })
    };
    let names: BTreeSet<String> = toy.keys().cloned().chain(universe).collect();
    let looks = names.into_iter().map(|name| (name.clone(), Look { at, found: found(&name) })).collect();
    let listed: BTreeSet<String> = toy.keys().cloned().collect();
    Database { looks, scanned: listed.clone(), size: listed.len() as i64, listed }
}

fn key(slot: u16) -> String {
    text(slot).name(CLIENT)
}

#[test]
fn a_sound_store_breaks_no_rule() {
    let mut history = History::begin();
    assert_eq!(history.judge(), []);
    history.unanswered(0, Op::Set(text(3), 100));
    assert_eq!(history.judge(), [], "an unanswered write may have happened");
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(3)))), [], "or not");
}

#[test]
fn an_answered_write_that_is_gone_is_lost() {
    let mut history = History::begin();
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(1)))), [Rule::AckedSurvives]);
    let older = value::make(&Writer { run: RUN, client: CLIENT, seq: 1 }, "s1", 60);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(key(1), older))), [Rule::AckedSurvives]);
}

#[test]
fn a_deleted_value_that_returns_is_a_resurrection() {
    let older = value::make(&Writer { run: RUN, client: CLIENT, seq: 2 }, "s2", 70);
    let rules = History::begin().judge_with(|toy| drop(toy.insert(key(2), older)));
    assert_eq!(rules, [Rule::NoResurrection]);
}

#[test]
fn a_value_lost_before_the_last_restart_is_still_known() {
    let mut history = History::begin();
    let universe = universe(&history.ledgers, &history.shared, 0);
    let snapshot = BTreeMap::from([(0, look(&history.toy, universe))]);
    adopt(&mut history.ledgers, &mut history.shared, &snapshot, clock::now());
    let base = history.toy[&key(1)].clone();
    history.answered(0, Op::Set(text(1), 90));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(key(1), base))), [Rule::AckedSurvives]);
}

#[test]
fn half_a_value_and_strange_keys_are_seen() {
    let mut history = History::begin();
    let cut = |toy: &mut Toy| toy.get_mut(&key(1)).unwrap().truncate(40);
    assert_eq!(history.judge_with(cut), [Rule::NoTear]);
    assert_eq!(history.judge_with(|toy| drop(toy.insert("c77:s1".into(), vec![]))), [Rule::NoPhantom]);
}

#[test]
fn a_refused_write_that_is_there_had_an_effect() {
    let mut history = History::begin();
    history.answered(0, Op::SetBad(text(5), 60));
    assert_eq!(history.judge(), []);
    let refused = value::make(&Writer { run: RUN, client: CLIENT, seq: 5 }, "s5", 60);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(key(5), refused))), [Rule::ErrorWithoutEffect]);
}

#[test]
fn a_hole_among_unanswered_writes_breaks_the_prefix() {
    let mut history = History::begin();
    history.unanswered(0, Op::Set(text(3), 60));
    history.unanswered(0, Op::Set(text(4), 60));
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(4)))), []);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(3)))), [Rule::Prefix]);
}

#[test]
fn half_a_batch_is_torn() {
    let mut history = History::begin();
    history.unanswered(0, Op::MSet(vec![(text(3), 60), (text(4), 60)]));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(3)))), [Rule::BatchWhole]);
}

#[test]
fn what_another_client_saw_must_survive() {
    let mut history = History::begin();
    history.unanswered(0, Op::Set(text(3), 60));
    history.answered(1, Op::Peek(CLIENT, text(3)));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(3)))), [Rule::ObservedSurvives]);
}

#[test]
fn an_absence_that_another_client_saw_must_survive() {
    let mut history = History::begin();
    let value = history.toy[&key(1)].clone();
    history.unanswered(0, Op::Del(vec![text(1)]));
    history.answered(1, Op::Peek(CLIENT, text(1)));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(key(1), value))), [Rule::ObservedSurvives]);
}

#[test]
fn a_reader_must_not_see_the_past() {
    let mut history = History::begin();
    let now = history.toy.remove(&key(1)).unwrap();
    history.answered(1, Op::Peek(CLIENT, text(1)));
    history.toy.insert(key(1), now);
    assert_eq!(history.judge(), [Rule::FreshReads]);
}

#[test]
fn a_wrong_reply_is_told_at_the_next_verdict() {
    let mut history = History::begin();
    history.unanswered(0, Op::Incr(Key { kind: Kind::Number, slot: 0 }));
    history.ledgers[0].answer(&Reply::Int(7), &history.stamps);
    assert_eq!(history.judge(), [Rule::WrongReply]);
}

#[test]
fn the_shared_counter_and_row_are_judged() {
    let mut history = History::begin();
    for who in [0, 1, 0] {
        history.answered(who, Op::SharedIncr);
        history.answered(who, Op::SharedAppend);
    }
    history.unanswered(1, Op::SharedIncr);
    history.unanswered(1, Op::SharedAppend);
    assert_eq!(history.judge(), []);
    let count = |number: &str| number.as_bytes().to_vec();
    let (counter, row) = (op::shared_counter(), op::shared_row(0));
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("5")))), [Rule::CountedOnce]);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("2")))), [Rule::AckedSurvives]);
    // The piece that came after the increment is there, so the increment must be.
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("3")))), [Rule::Prefix]);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&row))), [Rule::AckedSurvives]);
    let again = value::piece(CLIENT, 6);
    assert!(history.judge_with(|toy| toy.get_mut(&row).unwrap().extend(again)).contains(&Rule::CountedOnce));
}
