//! Small histories of which it is known whether they have an order.

use super::super::history::{Answer, Value};
use super::*;
use crate::process::Mode;
use crate::random::Random;

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A client's request from one moment to another, and its reply; no reply, and no end, with an empty one.
fn asked(client: u16, from: u64, to: u64, line: &str, reply: &str) -> Operation {
    let answer = (!reply.is_empty()).then(|| Answer { returned_ns: to, reply: reply.to_owned() });
    Operation { client, invoked_ns: from, request: Request::One(words(line)), answer }
}

fn contents(pairs: &[(&str, &str)]) -> Contents {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), Value::Text((*value).to_owned()))).collect()
}

fn stretch(operations: Vec<Operation>, look: Contents) -> Stretch {
    Stretch { operations, was_killed: true, recovery_kills: 0, look }
}

fn history(stretches: Vec<Stretch>) -> History {
    History { seed: 0, mode: Mode::Always, stretches, fault: None }
}

fn is_linearizable(history: &History) -> bool {
    judge(history).0 == Verdict::Linearizable
}

#[test]
fn who_reads_at_once_with_a_write_may_see_it_or_not_but_not_go_back() {
    let write = asked(0, 1, 10, "SET a 1", "+OK");
    let read = |from, to, reply| asked(1, from, to, "GET a", reply);
    let look = contents(&[("a", "1")]);
    let judged = |reads: [Operation; 2]| {
        let [first, second] = reads;
        is_linearizable(&history(vec![stretch(vec![write.clone(), first, second], look.clone())]))
    };
    assert!(judged([read(2, 3, "nil"), read(4, 5, "$1")]));
    assert!(judged([read(2, 3, "$1"), read(4, 5, "$1")]));
    assert!(!judged([read(2, 3, "$1"), read(4, 5, "nil")]));
    assert!(!judged([read(2, 3, "nil"), read(11, 12, "nil")]));
}

#[test]
fn what_has_no_answer_happened_before_the_death_or_never() {
    let write = asked(0, 1, 0, "SET a 1", "");
    let then = |look: Contents, reply| {
        let after = stretch(vec![asked(1, 20, 21, "GET a", reply)], look.clone());
        is_linearizable(&history(vec![stretch(vec![write.clone()], look), after]))
    };
    assert!(then(contents(&[("a", "1")]), "$1"));
    assert!(then(contents(&[]), "nil"));
    assert!(!then(contents(&[]), "$1"));
    assert!(!then(contents(&[("a", "1")]), "nil"));
}

#[test]
fn what_was_seen_is_there_after_the_death() {
    let seen = vec![asked(0, 1, 0, "SET a 1", ""), asked(1, 2, 3, "GET a", "$1")];
    assert!(is_linearizable(&history(vec![stretch(seen.clone(), contents(&[("a", "1")]))])));
    let Verdict::Broken(why) = judge(&history(vec![stretch(seen, contents(&[]))])).0 else { panic!("it has an order") };
    assert!(why.contains("afterwards"), "{why}");
}

#[test]
fn a_transaction_is_seen_whole() {
    let pair = vec![words("SET a 1"), words("SET b 1")];
    let exec = Operation { request: Request::Exec(pair), ..asked(0, 1, 9, "EXEC", "[+OK, +OK]") };
    let read = |reply| asked(1, 2, 3, "MGET a b", reply);
    let judged = |reply| {
        let look = contents(&[("a", "1"), ("b", "1")]);
        is_linearizable(&history(vec![stretch(vec![exec.clone(), read(reply)], look)]))
    };
    assert!(judged("[nil, nil]") && judged("[$1, $1]"));
    assert!(!judged("[$1, nil]"));
}

#[test]
fn the_first_answer_without_an_order_is_named() {
    let fine = |number: u64| asked(0, 10 * number, 10 * number + 1, "INCRBY a 1", &format!(":{number}"));
    let mut operations: Vec<Operation> = (1..=9).map(fine).collect();
    operations[5].answer.as_mut().unwrap().reply = ":7".to_owned();
    let Verdict::Broken(why) = judge(&history(vec![stretch(operations, contents(&[("a", "9")]))])).0 else {
        panic!("it has an order")
    };
    assert!(why.contains("invoked_ns: 60,"), "{why}");
}

#[test]
fn a_server_that_failed_its_clients_is_broken() {
    let fault = Some("it does not start".to_owned());
    assert!(!is_linearizable(&History { fault, ..history(Vec::new()) }));
}

/// A model that finds every reply right.
struct Credulous;

impl Specification for Credulous {
    type State = State;
    type Operation = Rc<Step>;

    fn init() -> State {
        Model::init()
    }

    fn apply(step: &Rc<Step>, state: &State) -> (bool, State) {
        (true, Model::apply(step, state).1)
    }
}

/// It is the model that finds what is wrong: with one that believes everything these tests would fail.
#[test]
fn a_credulous_judge_sees_nothing() {
    let broken = history(vec![stretch(vec![asked(0, 1, 2, "GET a", "$1")], contents(&[]))]);
    assert!(!is_linearizable(&broken));
    assert_eq!(judge_by::<Credulous>(&broken, &mut 0), Verdict::Linearizable);
}

/// Whether some order of the operations that are left explains them: all are tried.
fn has_order(state: &State, left: &[&Operation], look: &Contents) -> bool {
    if left.iter().all(|operation| operation.answer.is_none()) && state.holds(look) {
        return true;
    }
    let returns = |operation: &Operation| operation.answer.as_ref().map_or(u64::MAX, |answer| answer.returned_ns);
    let first_return = left.iter().map(|operation| returns(operation)).min().unwrap_or(u64::MAX);
    (0..left.len()).filter(|&at| left[at].invoked_ns <= first_return).any(|at| {
        let mut next = state.clone();
        let reply = next.run(left[at].client, &left[at].request);
        let rest: Vec<&Operation> =
            left.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, of)| *of).collect();
        left[at].answer.as_ref().is_none_or(|answer| answer.reply == reply) && has_order(&next, &rest, look)
    })
}

/// A few requests of three clients, done at a random moment each, of which some get no answer; then perhaps one is changed.
fn random_stretch(random: &mut Random) -> Stretch {
    const LINES: [&str; 6] = ["GET a", "SET a 1", "SET a 2", "INCRBY a 1", "DEL a", "MSETNX a 5 b 5"];
    let mut planned: Vec<(u64, Operation)> = Vec::new();
    for client in 0..3 {
        let mut now = 0;
        for _ in 0..2 {
            let from = now + random.between(1, 6);
            let (at, to) = (from + random.between(0, 6), from + random.between(6, 12));
            now = to;
            let line = LINES[random.between(0, LINES.len() as u64 - 1) as usize];
            planned.push((at, asked(client, from, to, line, "?")));
        }
    }
    planned.sort_by_key(|(at, _)| *at);
    let mut state = State::default();
    let mut operations = Vec::new();
    for (_, mut operation) in planned {
        if random.one_in(5) {
            operation.answer = None;
        }
        if operation.answer.is_some() || random.one_in(2) {
            let reply = state.run(operation.client, &operation.request);
            operation.answer.iter_mut().for_each(|answer| answer.reply.clone_from(&reply));
        }
        operations.push(operation);
    }
    let looks = [contents(&[]), contents(&[("a", "1")]), contents(&[("a", "2")]), contents(&[("a", "5"), ("b", "5")])];
    let look = looks.iter().find(|look| state.holds(look)).unwrap_or(&looks[1]).clone();
    if random.one_in(2) {
        let at = random.between(0, operations.len() as u64 - 1) as usize;
        let replies = ["nil", "$1", "$2", ":1", ":2", "+OK"];
        let reply = replies[random.between(0, 5) as usize];
        operations[at].answer.iter_mut().for_each(|answer| reply.clone_into(&mut answer.reply));
    }
    stretch(operations, look)
}

/// The checker is another's: where all orders can be tried, it must say what they say.
#[test]
fn the_checker_finds_an_order_where_there_is_one() {
    let mut random = Random::new(7);
    let mut verdicts = [0, 0];
    for _ in 0..3000 {
        let stretch = random_stretch(&mut random);
        let operations: Vec<&Operation> = stretch.operations.iter().collect();
        let expected = has_order(&State::default(), &operations, &stretch.look);
        assert_eq!(is_linearizable(&history(vec![stretch.clone()])), expected, "{stretch:?}");
        verdicts[usize::from(expected)] += 1;
    }
    assert!(verdicts.iter().all(|&count| count > 300), "{verdicts:?}");
}
