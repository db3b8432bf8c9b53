//! Whole histories against a toy store that can be made to lie.

use super::*;
use crate::change::{Change, Side};
use crate::clock::{self, Interval};
use crate::ledger::Stamps;
use crate::snapshot::Found;
use crate::value::{self, Writer};
use crate::wire::Reply;

const RUN: u32 = 1;
/// A client of the shared database.
const CLIENT: u16 = 1;

pub(super) fn text(slot: u16) -> Key {
    Key::new(Kind::Text, slot)
}

/// What the store has on its disk: keys and bytes.
pub(super) type Toy = BTreeMap<String, Vec<u8>>;

pub(super) struct History {
    pub(super) ledgers: Vec<Ledger>,
    pub(super) shared: Shared,
    pub(super) stamps: Stamps,
    pub(super) toy: Toy,
}

impl History {
    /// Two clients with four commands answered and nothing pending.
    pub(super) fn begin() -> Self {
        let ledgers = vec![Ledger::new(RUN, CLIENT, (0, 4)), Ledger::new(RUN, CLIENT + 1, (0, 4))];
        let mut history = Self { ledgers, shared: Shared::default(), stamps: Stamps::default(), toy: Toy::new() };
        for op in [Op::Set(text(1), 60), Op::Set(text(2), 70), Op::Set(text(1), 80), Op::Del(vec![text(2)])] {
            history.answered(0, op);
        }
        history
    }

    /// Sends a command; it has its effect, its reply is lost with the crash.
    pub(super) fn unanswered(&mut self, who: usize, op: Op) -> Reply {
        let ledger = &mut self.ledgers[who];
        let commands = op.commands(&ledger.sender(ledger.next_seq, self.shared.round));
        ledger.invoke(op, &self.stamps);
        let toy = &mut self.toy;
        let replies: Vec<Reply> = commands.iter().map(|words| run(toy, words)).collect();
        match replies.len() {
            1 => replies[0].clone(),
            count => Reply::Array(replies[1..count - 1].to_vec()),
        }
    }

    pub(super) fn answered(&mut self, who: usize, op: Op) {
        let reply = self.unanswered(who, op);
        self.ledgers[who].answer(&reply, &self.stamps);
    }

    /// What a reader finds.
    pub(super) fn snapshot(&self) -> Snapshot {
        snapshot_of(&self.toy, universe(&self.ledgers, &self.shared, 0))
    }

    /// What is there is the new beginning of the notes.
    pub(super) fn restart(&mut self) {
        let snapshot = self.snapshot();
        adopt(&mut self.ledgers, &mut self.shared, &snapshot);
    }

    fn judge(&self) -> Vec<Rule> {
        judge(&self.ledgers, &self.shared, &self.snapshot(), clock::now()).iter().map(|broken| broken.rule).collect()
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
        // A list is its elements' lines below a title.
        "RPUSH" => {
            let list = toy.entry(name(1)).or_insert_with(|| LIST.to_vec());
            arguments[2..].iter().for_each(|element| list.extend([element.as_slice(), b"\n"].concat()));
            return Reply::Int(elements(list).len() as i64);
        }
        "LRANGE" => {
            let items = toy.get(&name(1)).map(|list| elements(list)).unwrap_or_default();
            return Reply::Array(items.into_iter().map(Reply::Bulk).collect());
        }
        "RENAME" => {
            let moved = toy.remove(&name(1)).unwrap();
            toy.insert(name(2), moved)
        }
        // It says so, and forgets it.
        "PEXPIRE" => return Reply::Int(i64::from(toy.contains_key(&name(1)))),
        "MULTI" | "EXEC" => None,
        "MSET" => {
            (1..arguments.len()).step_by(2).for_each(|at| drop(toy.insert(name(at), arguments[at + 1].clone())));
            None
        }
        other => panic!("the toy has no {other}"),
    };
    Reply::Simple("OK".into())
}

const LIST: &[u8] = b"list\n";

fn elements(list: &[u8]) -> Vec<Vec<u8>> {
    list[LIST.len()..].split_inclusive(|&byte| byte == b'\n').map(|line| line[..line.len() - 1].to_vec()).collect()
}

fn snapshot_of(toy: &Toy, universe: BTreeSet<String>) -> Snapshot {
    BTreeMap::from([(0, look(toy, universe)), (4, Database::default())])
}

fn look(toy: &Toy, universe: BTreeSet<String>) -> Database {
    let now = clock::now();
    let at = Interval { from: now, to: now };
    let found = |name: &String| {
        let bytes = toy.get(name)?.clone();
        let list = || Found::collection(Content::List(elements(&bytes).into()));
        Some(if bytes.starts_with(LIST) { list() } else { Found { bytes: Some(bytes.clone()), ..Found::text(&bytes) } })
    };
    let names: BTreeSet<String> = toy.keys().cloned().chain(universe).collect();
    let looks =
        names.into_iter().map(|name| (name.clone(), Look { at, found: found(&name), deadline: None })).collect();
    let listed: BTreeSet<String> = toy.keys().cloned().collect();
    Database { looks, scanned: listed.clone(), size: listed.len() as i64, listed, contradictions: vec![] }
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
    history.restart();
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
    history.unanswered(0, Op::Incr(Key::new(Kind::Number, 0)));
    history.ledgers[0].answer(&Reply::Int(7), &history.stamps);
    assert_eq!(history.judge(), [Rule::WrongReply]);
}

#[test]
fn the_shared_counter_and_row_are_judged() {
    let mut history = History::begin();
    for who in [0, 1, 0] {
        history.answered(who, Op::Shared(Common::Count));
        history.answered(who, Op::Shared(Common::Row));
    }
    history.unanswered(1, Op::Shared(Common::Count));
    history.unanswered(1, Op::Shared(Common::Row));
    assert_eq!(history.judge(), []);
    let count = |number: &str| number.as_bytes().to_vec();
    let (counter, row) = (Common::Count.name(0), Common::Row.name(0));
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("5")))), [Rule::CountedOnce]);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("2")))), [Rule::AckedSurvives]);
    // The piece that came after the increment is there, so the increment must be.
    assert_eq!(history.judge_with(|toy| drop(toy.insert(counter.clone(), count("3")))), [Rule::Prefix]);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&row))), [Rule::AckedSurvives]);
    let again = value::piece(CLIENT, 6);
    assert!(history.judge_with(|toy| toy.get_mut(&row).unwrap().extend(again)).contains(&Rule::CountedOnce));
}

fn push(count: u16) -> Op {
    Op::On(Key::new(Kind::List, 1), Change::Push(Side::Right, count, 20))
}

#[test]
fn a_list_is_judged_by_its_elements() {
    let mut history = History::begin();
    let name = Key::new(Kind::List, 1).name(CLIENT);
    history.answered(0, push(2));
    history.answered(1, Op::Peek(CLIENT, Key::new(Kind::List, 1)));
    let first = history.toy[&name].clone();
    history.answered(0, push(1));
    let both = history.toy[&name].clone();
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.insert(name.clone(), first))), [Rule::AckedSurvives]);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&name))), [Rule::AckedSurvives]);
    let twice = [&both[..], &both[both.len() - 21..]].concat();
    assert_eq!(history.judge_with(|toy| drop(toy.insert(name.clone(), twice))), [Rule::CountedOnce]);
}

#[test]
fn half_a_transaction_is_torn() {
    let mut history = History::begin();
    history.unanswered(0, Op::Exec(vec![Op::Set(text(3), 60), push(3)]));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&key(3)))), [Rule::BatchWhole]);
    let list = Key::new(Kind::List, 1).name(CLIENT);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&list))), [Rule::BatchWhole]);
    let neither = |toy: &mut Toy| drop((toy.remove(&list), toy.remove(&key(3))));
    assert_eq!(history.judge_with(neither), []);
}

#[test]
fn half_a_rename_is_torn_and_an_answered_one_is_whole() {
    let (from, to) = (Key::new(Kind::List, 1), Key::new(Kind::List, 2));
    let mut history = History::begin();
    history.answered(0, push(2));
    let list = history.toy[&from.name(CLIENT)].clone();
    history.unanswered(0, Op::Rename(from, to));
    assert_eq!(history.judge(), []);
    let both = |toy: &mut Toy| drop(toy.insert(from.name(CLIENT), list.clone()));
    assert_eq!(history.judge_with(both), [Rule::BatchWhole]);
    history.ledgers[0].answer(&Reply::Simple("OK".into()), &history.stamps);
    assert_eq!(history.judge_with(both), [Rule::NoResurrection]);
    let neither = |toy: &mut Toy| drop(toy.remove(&to.name(CLIENT)));
    assert_eq!(history.judge_with(neither), [Rule::AckedSurvives]);
}

#[test]
fn a_deadline_must_survive() {
    let mut history = History::begin();
    history.unanswered(0, Op::PExpire(text(1), 3_600_000));
    assert_eq!(history.judge(), []);
    history.ledgers[0].answer(&Reply::Int(1), &history.stamps);
    assert_eq!(history.judge(), [Rule::AckedSurvives]);
}

#[test]
fn the_shared_list_is_judged() {
    let mut history = History::begin();
    for who in [0, 1, 0] {
        history.answered(who, Op::Shared(Common::List));
    }
    history.unanswered(1, Op::Shared(Common::List));
    assert_eq!(history.judge(), []);
    assert_eq!(history.judge_with(|toy| drop(toy.remove(&Common::List.name(0)))), [Rule::AckedSurvives]);
}

#[test]
fn contradicting_reads_are_seen() {
    let history = History::begin();
    let mut snapshot = history.snapshot();
    let odd = ("c1:s1".to_owned(), "another length".to_owned());
    snapshot.entry(0).or_default().contradictions.push(odd);
    let broken = judge(&history.ledgers, &history.shared, &snapshot, clock::now());
    assert_eq!(broken.iter().map(|broken| broken.rule).collect::<Vec<_>>(), [Rule::ViewsAgree]);
}

#[test]
fn a_large_value_may_be_refused_alone_and_nothing_else() {
    let big = Key::new(Kind::Big, 0);
    let mut history = History::begin();
    history.answered(0, Op::Set(big, 100));
    // Neither is answered. The first could not be written, the second goes on from the old value.
    let ledger = &mut history.ledgers[0];
    ledger.invoke(Op::Set(big, 200), &history.stamps);
    history.unanswered(0, Op::Append(big));
    assert!(!history.judge().is_empty(), "without an error no command is left out");
    let (found, crash) = (snapshot_of(&history.toy, universe(&history.ledgers, &history.shared, 0)), clock::now());
    assert_eq!(judge_with_refusals(&mut history.ledgers, &history.shared, &found, crash), []);
    // What was answered is not to be explained away, and a small value is not refused for itself.
    let mut history = History::begin();
    history.answered(0, Op::Set(big, 100));
    history.ledgers[0].invoke(Op::Set(text(5), 200), &history.stamps);
    history.unanswered(0, Op::Append(text(5)));
    let (found, crash) = (snapshot_of(&history.toy, universe(&history.ledgers, &history.shared, 0)), clock::now());
    assert!(!judge_with_refusals(&mut history.ledgers, &history.shared, &found, crash).is_empty());
    history.toy.remove(&big.name(CLIENT));
    let (found, crash) = (snapshot_of(&history.toy, universe(&history.ledgers, &history.shared, 0)), clock::now());
    assert!(!judge_with_refusals(&mut history.ledgers, &history.shared, &found, crash).is_empty());
}
