//! The model against what Redis documents.

use super::*;
use crate::clock;
use crate::op::Kind;

const TEXT: Key = Key { kind: Kind::Text, slot: 1, away: false };
const OTHER: Key = Key { kind: Kind::Text, slot: 2, away: false };
const COUNT: Key = Key { kind: Kind::Number, slot: 0, away: false };

fn instant() -> Interval {
    let now = clock::now();
    Interval { from: now, to: now }
}

#[test]
fn commands_do_what_redis_does() {
    let mut oracle = Oracle::new(1, 2);
    let at = instant();
    assert_eq!(oracle.apply(1, &Op::Set(TEXT, 50), at), Expected::Ok);
    assert_eq!(oracle.apply(2, &Op::SetNx(TEXT, 60), at), Expected::Int(0));
    assert_eq!(oracle.apply(3, &Op::Incr(TEXT), at), Expected::Error);
    assert_eq!(oracle.apply(4, &Op::Rename(TEXT, OTHER), at), Expected::Ok);
    assert_eq!(oracle.apply(5, &Op::Rename(TEXT, OTHER), at), Expected::Error);
    let value = value::make(&Writer { run: 1, client: 2, seq: 1 }, "s1", 50);
    assert!(oracle.apply(6, &Op::Get(OTHER), at).allows(&Reply::Bulk(value)));
    assert_eq!(oracle.apply(7, &Op::Incr(COUNT), at), Expected::Int(1));
    assert_eq!(oracle.apply(8, &Op::IncrMax(COUNT), at), Expected::Error);
    assert_eq!(oracle.apply(9, &Op::Del(vec![TEXT, OTHER, COUNT]), at), Expected::Int(2));
    assert_eq!(oracle.keys().count(), 0);
}

#[test]
fn a_deadline_is_given_kept_and_taken() {
    let mut oracle = Oracle::new(1, 2);
    let at = instant();
    assert_eq!(oracle.apply(1, &Op::PExpire(COUNT, 3_600_000), at), Expected::Int(0));
    oracle.apply(2, &Op::Incr(COUNT), at);
    assert_eq!(oracle.apply(3, &Op::Persist(COUNT), at), Expected::Int(0));
    assert_eq!(oracle.apply(4, &Op::PExpire(COUNT, 3_600_000), at), Expected::Int(1));
    oracle.apply(5, &Op::Incr(COUNT), at);
    assert!(oracle.get(COUNT).unwrap().deadline.is_some(), "INCR keeps it");
    assert_eq!(oracle.apply(6, &Op::Persist(COUNT), at), Expected::Int(1));
    assert_eq!(oracle.get(COUNT).unwrap().deadline, None);
}

#[test]
fn a_deadline_given_to_what_may_be_gone_is_in_doubt() {
    let mut oracle = Oracle::new(1, 2);
    let key = Key::new(Kind::Volatile, 0);
    let at = instant();
    oracle.apply(1, &Op::SetPx(key, 30, 20), at);
    let mut told = oracle.clone();
    assert_eq!(told.apply_told(2, &Op::Persist(key), at, &Reply::Int(0)), Expected::Int(0));
    assert!(told.get(key).is_none(), "the reply says that it was gone");
    oracle.apply(2, &Op::Persist(key), at);
    let entry = oracle.get(key).unwrap();
    assert!(entry.may_be_gone(at) && content::may_be_told(entry.deadline, None, at));
}

#[test]
fn a_transaction_touches_what_its_parts_touch() {
    let mut oracle = Oracle::new(1, 2);
    oracle.apply(1, &Op::Set(TEXT, 50), instant());
    let flush = Op::Exec(vec![Op::Set(OTHER, 50), Op::FlushDb]);
    assert_eq!(oracle.touched(&flush), [TEXT, OTHER]);
    assert!(flush.is_of_databases());
}

#[test]
fn a_wrong_reply_is_no_expected_reply() {
    assert!(!Expected::Int(1).allows(&Reply::Int(2)));
    assert!(!Expected::Nil.allows(&Reply::Bulk(b"x".to_vec())));
    assert!(!Expected::Value(Digest::of(b"x")).allows(&Reply::Nil));
    assert!(!Expected::Ok.allows(&Reply::Error("ERR".into())));
    assert!(!Expected::Error.allows(&Reply::Simple("OK".into())));
}

#[test]
fn a_deadline_is_an_interval() {
    let mut oracle = Oracle::new(1, 2);
    let key = Key::new(Kind::Volatile, 0);
    let start = instant();
    oracle.apply(1, &Op::SetPx(key, 30, 1000), start);
    let after = |ms| {
        let then = start.from + Duration::from_millis(ms);
        Interval { from: then, to: then }
    };
    assert!(matches!(oracle.apply(2, &Op::Get(key), after(900)), Expected::Value(_)));
    assert!(matches!(oracle.apply(3, &Op::Get(key), after(1000)), Expected::ValueOrNil(_)));
    assert_eq!(oracle.apply(4, &Op::Get(key), after(1100)), Expected::Nil);
}
