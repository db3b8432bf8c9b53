//! What one client's keys must hold, command by command: the smallest possible Redis.
//!
//! Only one client writes these keys, over one connection, so its commands are applied in the order it sent them. The
//! oracle keeps digests, not values. Time to live is an interval, because the judge's clock is not the server's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::clock::Interval;
use crate::op::{Key, Op};
use crate::value::{self, Digest, Writer};
use crate::wire::Reply;

/// How far the server's clock may lag: it looks at it once per turn of its loop.
const CLOCK_SLACK: Duration = Duration::from_millis(60);

/// One key's value.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its bytes.
    pub digest: Digest,
    /// As a number, if it is one.
    pub number: Option<i64>,
    /// When it goes: not before the first, not after the second.
    pub deadline: Option<(Instant, Instant)>,
}

impl Entry {
    fn text(digest: Digest) -> Self {
        Self { digest, number: None, deadline: None }
    }

    fn number(number: i64) -> Self {
        Self { digest: Digest::of(number.to_string().as_bytes()), number: Some(number), deadline: None }
    }

    /// Whether a reader at this time may find it.
    pub fn may_live(&self, at: Interval) -> bool {
        self.deadline.is_none_or(|(_, latest)| at.from <= latest)
    }

    /// Whether a reader at this time may find it gone.
    pub fn may_be_gone(&self, at: Interval) -> bool {
        self.deadline.is_some_and(|(earliest, _)| at.to >= earliest)
    }
}

/// The reply that a command must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `+OK`
    Ok,
    /// This number.
    Int(i64),
    /// One of two numbers.
    Between(i64, i64),
    /// This value.
    Value(Digest),
    /// Nil.
    Nil,
    /// This value or, expired, nil.
    ValueOrNil(Digest),
    /// Some error.
    Error,
    /// Not this oracle's to say: shared and foreign keys.
    Any,
}

impl Expected {
    /// Whether `reply` is it.
    pub fn allows(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Ok, Reply::Simple(text)) => text == "OK",
            (Self::Int(number), Reply::Int(got)) => number == got,
            (Self::Between(low, high), Reply::Int(got)) => (low..=high).contains(&got),
            (Self::Value(digest) | Self::ValueOrNil(digest), Reply::Bulk(bytes)) => *digest == Digest::of(bytes),
            (Self::Nil | Self::ValueOrNil(_), Reply::Nil) => true,
            (Self::Error, Reply::Error(_)) => true,
            (Self::Any, reply) => !matches!(reply, Reply::Error(_)),
            _ => false,
        }
    }
}

/// One client's keys.
#[derive(Clone, Debug)]
pub struct Oracle {
    run: u32,
    client: u16,
    entries: BTreeMap<Key, Entry>,
}

impl Oracle {
    /// An empty key space.
    pub fn new(run: u32, client: u16) -> Self {
        Self { run, client, entries: BTreeMap::new() }
    }

    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// All keys with a value.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.entries.keys().copied()
    }

    /// Puts what was found after a crash in the place of what was expected.
    pub fn adopt(&mut self, key: Key, found: Option<Entry>) {
        match found {
            Some(entry) => self.entries.insert(key, entry),
            None => self.entries.remove(&key),
        };
    }

    /// Applies the client's command number `seq`, run at some moment of `at`, and says what its reply must be.
    pub fn apply(&mut self, seq: u64, op: &Op, at: Interval) -> Expected {
        self.expire(op, at);
        let writer = Writer { run: self.run, client: self.client, seq };
        let make = |key: &Key, length: usize| Digest::of(&value::make(&writer, &key.short(), length));
        match op {
            Op::Get(key) => self.look(*key, at),
            Op::Set(key, length) => self.put(*key, Entry::text(make(key, *length))),
            Op::SetPx(key, length, px) => {
                let life = Duration::from_millis(u64::from(*px));
                let earliest = (at.from + life).checked_sub(CLOCK_SLACK).unwrap_or(at.from);
                let deadline = Some((earliest, at.to + life + CLOCK_SLACK));
                self.put(*key, Entry { deadline, ..Entry::text(make(key, *length)) })
            }
            Op::SetNx(key, length) if !self.entries.contains_key(key) => {
                self.put(*key, Entry::text(make(key, *length)));
                Expected::Int(1)
            }
            Op::SetNx(..) => Expected::Int(0),
            Op::SetBad(..) => Expected::Error,
            Op::GetDel(key) => {
                let seen = self.look(*key, at);
                self.entries.remove(key);
                seen
            }
            Op::Del(keys) => self.delete(keys, at),
            Op::Incr(key) => self.add(*key, 1),
            Op::IncrMax(key) => self.add(*key, i64::MAX),
            Op::Append(key) => {
                let empty = Entry::text(Digest::of(b""));
                let entry = self.entries.entry(*key).or_insert(empty);
                entry.digest = entry.digest.append(&value::piece(self.client, seq));
                Expected::Int(entry.digest.length as i64)
            }
            Op::MSet(pairs) => {
                for (key, length) in pairs {
                    self.put(*key, Entry::text(make(key, *length)));
                }
                Expected::Ok
            }
            Op::Rename(from, to) => match self.entries.remove(from) {
                Some(entry) => self.put(*to, entry),
                None => Expected::Error,
            },
            Op::FlushDb => {
                self.entries.clear();
                Expected::Ok
            }
            Op::Peek(..) | Op::SharedIncr | Op::SharedAppend => Expected::Any,
        }
    }

    /// Whether the command must be refused as things stand.
    pub fn refuses(&self, seq: u64, op: &Op, at: Interval) -> bool {
        self.clone().apply(seq, op, at) == Expected::Error
    }

    /// Keys that are gone for sure go before the command looks.
    fn expire(&mut self, op: &Op, at: Interval) {
        let looked_at = match op {
            Op::Get(key) => vec![*key],
            _ => op.writes(),
        };
        for key in looked_at {
            if self.entries.get(&key).is_some_and(|entry| !entry.may_live(at)) {
                self.entries.remove(&key);
            }
        }
    }

    fn look(&self, key: Key, at: Interval) -> Expected {
        match self.entries.get(&key) {
            None => Expected::Nil,
            Some(entry) if entry.may_be_gone(at) => Expected::ValueOrNil(entry.digest),
            Some(entry) => Expected::Value(entry.digest),
        }
    }

    fn put(&mut self, key: Key, entry: Entry) -> Expected {
        self.entries.insert(key, entry);
        Expected::Ok
    }

    fn delete(&mut self, keys: &[Key], at: Interval) -> Expected {
        let (mut low, mut high) = (0, 0);
        for key in keys {
            if let Some(entry) = self.entries.remove(key) {
                high += 1;
                low += i64::from(!entry.may_be_gone(at));
            }
        }
        if low == high { Expected::Int(low) } else { Expected::Between(low, high) }
    }

    fn add(&mut self, key: Key, by: i64) -> Expected {
        let old = match self.entries.get(&key) {
            None => Some(0),
            Some(entry) => entry.number,
        };
        match old.and_then(|old| old.checked_add(by)) {
            Some(sum) => {
                self.put(key, Entry::number(sum));
                Expected::Int(sum)
            }
            None => Expected::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::op::Kind;

    const TEXT: Key = Key { kind: Kind::Text, slot: 1 };
    const OTHER: Key = Key { kind: Kind::Text, slot: 2 };
    const COUNT: Key = Key { kind: Kind::Number, slot: 0 };

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
        let key = Key { kind: Kind::Volatile, slot: 0 };
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
}
