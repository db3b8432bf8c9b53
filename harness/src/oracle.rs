//! What one client's keys must hold, command by command: the smallest possible Redis.
//!
//! Only one client writes these keys, over one connection, so its commands are applied in the order it sent them. The
//! oracle keeps digests of strings and elements of collections. Time to live is an interval, because the judge's clock
//! is not the server's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::change::{Change, Part, Side};
use crate::clock::Interval;
use crate::content::{self, Content, Deadline, Type};
use crate::op::{Key, Op};
use crate::value::{self, Digest, Writer};
use crate::wire::Reply;

/// How far the server's clock may lag: it looks at it once per turn of its loop.
const CLOCK_SLACK: Duration = Duration::from_millis(60);

/// The deadline of what was given this long to live at some moment of `at`.
pub fn deadline_after(ms: u32, at: Interval) -> (Instant, Instant) {
    let life = Duration::from_millis(u64::from(ms));
    let earliest = (at.from + life).checked_sub(CLOCK_SLACK).unwrap_or(at.from);
    (earliest, at.to + life + CLOCK_SLACK)
}

/// One key's value. Copies share it: the judge makes many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub content: Arc<Content>,
    /// When it goes.
    pub deadline: Deadline,
}

impl Entry {
    /// Without a deadline.
    pub fn new(content: Content) -> Self {
        Self { content: Arc::new(content), deadline: None }
    }

    fn text(digest: Digest) -> Self {
        Self::new(Content::Text(digest, None))
    }

    fn number(number: i64) -> Self {
        Self::new(Content::Text(Digest::of(number.to_string().as_bytes()), Some(number)))
    }

    /// What it is compared by over time.
    pub fn digest(&self) -> Digest {
        self.content.digest()
    }

    /// Its number, if it is one.
    pub fn as_number(&self) -> Option<i64> {
        match *self.content {
            Content::Text(_, number) => number,
            _ => None,
        }
    }

    /// Whether a reader at this time may find it.
    pub fn may_live(&self, at: Interval) -> bool {
        content::may_live(self.deadline, at)
    }

    /// Whether a reader at this time may find it gone.
    pub fn may_be_gone(&self, at: Interval) -> bool {
        content::may_be_gone(self.deadline, at) || self.content.may_be_empty(at)
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
    /// This and nothing else.
    Exactly(Reply),
    /// All of this, read at this time.
    Whole(Entry, Interval),
    /// A member of a set, and it was not.
    Member,
    /// Some error.
    Error,
    /// One reply for each command.
    All(Vec<Expected>),
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
            (Self::Exactly(expected), reply) => expected == reply,
            (Self::Whole(entry, at), reply) => entry.content.kind().parse(reply).is_some_and(|found| {
                if found.is_empty() { entry.may_be_gone(*at) } else { entry.content.allows(&found, *at) }
            }),
            (Self::Error, Reply::Error(_)) => true,
            (Self::All(each), Reply::Array(items)) => {
                each.len() == items.len() && each.iter().zip(items).all(|(expected, item)| expected.allows(item))
            }
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

    /// The keys that a command may change, as things stand.
    pub fn touched(&self, op: &Op) -> Vec<Key> {
        match op {
            Op::FlushDb => self.keys().filter(|key| !key.away).collect(),
            Op::SwapDb => self.keys().flat_map(|key| [key, key.opposite()]).collect(),
            Op::Exec(ops) => {
                let each: BTreeSet<Key> = ops.iter().flat_map(|op| self.touched(op)).collect();
                each.into_iter().collect()
            }
            op => op.writes(),
        }
    }

    /// Applies the client's command number `seq`, run at some moment of `at`, and says what its reply must be.
    pub fn apply(&mut self, seq: u64, op: &Op, at: Interval) -> Expected {
        self.apply_part(seq, 0, op, at, None)
    }

    /// The same with its reply, which tells what chance did.
    pub fn apply_told(&mut self, seq: u64, op: &Op, at: Interval, told: &Reply) -> Expected {
        self.apply_part(seq, 0, op, at, Some(told))
    }

    fn apply_part(&mut self, seq: u64, part: u16, op: &Op, at: Interval, told: Option<&Reply>) -> Expected {
        self.expire(op, at);
        let writer = Writer { run: self.run, client: self.client, seq };
        let make = |key: &Key, length: usize| Digest::of(&value::make(&writer, &key.short(), length));
        match op {
            Op::Get(key) => {
                let seen = self.look(*key, at);
                // Seen expired once, a key must not come back.
                if told == Some(&Reply::Nil) && matches!(seen, Expected::ValueOrNil(_)) {
                    self.entries.remove(key);
                }
                seen
            }
            Op::Read(key, kind) => self.read(*key, *kind, at, told),
            Op::Set(key, length) => self.put(*key, Entry::text(make(key, *length))),
            Op::SetPx(key, length, px) => {
                let deadline = Some(deadline_after(*px, at));
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
                if seen != Expected::Error {
                    self.entries.remove(key);
                }
                seen
            }
            Op::Del(keys) => self.delete(keys, at),
            Op::PExpire(key, ms) => self.set_deadline(*key, Some(*ms), at, told),
            Op::Persist(key) => self.set_deadline(*key, None, at, told),
            Op::Incr(key) => self.add(*key, 1),
            Op::IncrMax(key) => self.add(*key, i64::MAX),
            Op::Append(key) => self.append(*key, seq),
            Op::MSet(pairs) => {
                for (key, length) in pairs {
                    self.put(*key, Entry::text(make(key, *length)));
                }
                Expected::Ok
            }
            Op::On(key, change) => self.change(*key, change, &Part { writer, part }, at, told),
            Op::LMove(from, to, out, into) => self.move_element(*from, *to, *out, *into),
            Op::SMove(from, to, member) => self.move_member(*from, *to, member),
            Op::Rename(from, to) => match self.entries.remove(from) {
                Some(entry) => self.put(*to, entry),
                None => Expected::Error,
            },
            Op::Copy(from, to) if from == to => Expected::Error,
            Op::Copy(from, to) => match self.entries.get(from).cloned() {
                Some(entry) => {
                    self.put(*to, entry);
                    Expected::Int(1)
                }
                None => Expected::Int(0),
            },
            Op::Move(key) => self.travel(*key),
            Op::MoveBack(key) => Expected::All(vec![Expected::Ok, self.travel(key.opposite()), Expected::Ok]),
            Op::SwapDb => {
                let entries = std::mem::take(&mut self.entries);
                self.entries = entries.into_iter().map(|(key, entry)| (key.opposite(), entry)).collect();
                Expected::Ok
            }
            Op::FlushDb => {
                self.entries.retain(|key, _| key.away);
                Expected::Ok
            }
            Op::Exec(ops) => {
                let told = |part: u16| match told {
                    Some(Reply::Array(items)) => items.get(usize::from(part)),
                    _ => None,
                };
                let each = ops.iter().zip(0..).map(|(op, part)| self.apply_part(seq, part, op, at, told(part)));
                Expected::All(each.collect())
            }
            Op::Peek(..) | Op::Shared(_) => Expected::Any,
        }
    }

    /// Whether the command must be refused as things stand.
    pub fn refuses(&self, seq: u64, op: &Op, at: Interval) -> bool {
        self.clone().apply(seq, op, at) == Expected::Error
    }

    /// Keys and fields that are gone for sure go before the command looks.
    fn expire(&mut self, op: &Op, at: Interval) {
        let looked_at = match op {
            Op::Get(key) | Op::Read(key, _) => vec![*key],
            Op::Copy(from, to) => vec![*from, *to],
            _ => op.writes(),
        };
        for key in looked_at {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.content.has_faded(at) {
                Arc::make_mut(&mut entry.content).fade(at);
            }
            if !entry.may_live(at) || entry.content.is_empty() {
                self.entries.remove(&key);
            }
        }
    }

    fn look(&self, key: Key, at: Interval) -> Expected {
        match self.entries.get(&key) {
            None => Expected::Nil,
            Some(entry) if entry.content.kind() != Type::Text => Expected::Error,
            Some(entry) if entry.may_be_gone(at) => Expected::ValueOrNil(entry.digest()),
            Some(entry) => Expected::Value(entry.digest()),
        }
    }

    /// A full read. A field seen gone must not come back.
    fn read(&mut self, key: Key, kind: Type, at: Interval, told: Option<&Reply>) -> Expected {
        let Some(entry) = self.entries.get_mut(&key) else {
            return if kind == Type::Text { Expected::Nil } else { Expected::Exactly(Reply::Array(Vec::new())) };
        };
        if entry.content.kind() != kind {
            return Expected::Error;
        }
        if kind == Type::Text {
            return self.look(key, at);
        }
        let expected = Expected::Whole(entry.clone(), at);
        if let (Content::Hash(_), Some(Content::Hash(seen))) =
            (&*entry.content, told.and_then(|reply| kind.parse(reply)))
            && let Content::Hash(fields) = Arc::make_mut(&mut entry.content)
        {
            fields.retain(|name, field| seen.contains_key(name) || !content::may_be_gone(field.deadline, at));
        }
        if entry.content.is_empty() {
            self.entries.remove(&key);
        }
        expected
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

    /// A time to live, or none. Where the key may have been gone before, the reply tells; without one it may go at any
    /// time and never.
    fn set_deadline(&mut self, key: Key, ms: Option<u32>, at: Interval, told: Option<&Reply>) -> Expected {
        let Some(entry) = self.entries.get_mut(&key) else { return Expected::Int(0) };
        if ms.is_none() && entry.deadline.is_none() {
            return Expected::Int(0);
        }
        let doubtful = entry.may_be_gone(at);
        if doubtful && told == Some(&Reply::Int(0)) {
            self.entries.remove(&key);
            return Expected::Int(0);
        }
        let given = ms.map(|ms| deadline_after(ms, at));
        let unknown = doubtful && told.is_none();
        entry.deadline = if unknown { content::either(entry.deadline, given, at) } else { given };
        Expected::Int(1)
    }

    fn add(&mut self, key: Key, by: i64) -> Expected {
        let old = self.entries.get(&key).map_or(Some(0), Entry::as_number);
        let deadline = self.entries.get(&key).and_then(|entry| entry.deadline);
        match old.and_then(|old| old.checked_add(by)) {
            Some(sum) => {
                self.put(key, Entry { deadline, ..Entry::number(sum) });
                Expected::Int(sum)
            }
            None => Expected::Error,
        }
    }

    fn append(&mut self, key: Key, seq: u64) -> Expected {
        let old = match self.entries.get(&key).map(|entry| &*entry.content) {
            None => Digest::of(b""),
            Some(Content::Text(digest, _)) => *digest,
            Some(_) => return Expected::Error,
        };
        let digest = old.append(&value::piece(self.client, seq));
        let deadline = self.entries.get(&key).and_then(|entry| entry.deadline);
        self.put(key, Entry { deadline, ..Entry::text(digest) });
        Expected::Int(digest.length as i64)
    }

    fn change(&mut self, key: Key, change: &Change, by: &Part, at: Interval, told: Option<&Reply>) -> Expected {
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(change.kind().empty()));
        if entry.content.kind() != change.kind() {
            return Expected::Error;
        }
        let expected = change.apply(Arc::make_mut(&mut entry.content), by, at, told);
        if entry.content.is_empty() {
            self.entries.remove(&key);
        }
        expected
    }

    /// Whether a key holds nothing or a value of this type.
    fn fits(&self, key: Key, kind: Type) -> bool {
        self.entries.get(&key).is_none_or(|entry| entry.content.kind() == kind)
    }

    fn move_element(&mut self, from: Key, to: Key, out: Side, into: Side) -> Expected {
        if !self.fits(from, Type::List) {
            return Expected::Error;
        }
        if !self.entries.contains_key(&from) {
            return Expected::Nil;
        }
        if !self.fits(to, Type::List) {
            return Expected::Error;
        }
        let Some(element) = self.with_list(from, |items| match out {
            Side::Left => items.pop_front(),
            Side::Right => items.pop_back(),
        }) else {
            return Expected::Nil;
        };
        let moved = element.clone();
        self.with_list(to, |items| match into {
            Side::Left => items.push_front(moved),
            Side::Right => items.push_back(moved),
        });
        self.entries.retain(|_, entry| !entry.content.is_empty());
        Expected::Exactly(Reply::Bulk(element))
    }

    fn with_list<T: Default>(&mut self, key: Key, change: impl FnOnce(&mut List) -> T) -> T {
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(Type::List.empty()));
        match Arc::make_mut(&mut entry.content) {
            Content::List(items) => change(items),
            _ => T::default(),
        }
    }

    fn move_member(&mut self, from: Key, to: Key, member: &[u8]) -> Expected {
        if !self.entries.contains_key(&from) {
            return Expected::Int(0);
        }
        if !self.fits(from, Type::Set) || !self.fits(to, Type::Set) {
            return Expected::Error;
        }
        let has = matches!(&*self.entries[&from].content, Content::Set(members, _) if members.contains(member));
        if !has || from == to {
            return Expected::Int(i64::from(has));
        }
        for (key, put) in [(from, false), (to, true)] {
            let entry = self.entries.entry(key).or_insert_with(|| Entry::new(Type::Set.empty()));
            if let Content::Set(members, _) = Arc::make_mut(&mut entry.content) {
                _ = if put { members.insert(member.to_vec()) } else { members.remove(member) };
            }
        }
        self.entries.retain(|_, entry| !entry.content.is_empty());
        Expected::Int(1)
    }

    /// MOVE: only where the other database has no such key.
    fn travel(&mut self, key: Key) -> Expected {
        if self.entries.contains_key(&key.opposite()) {
            return Expected::Int(0);
        }
        let Some(entry) = self.entries.remove(&key) else { return Expected::Int(0) };
        self.put(key.opposite(), entry);
        Expected::Int(1)
    }
}

type List = std::collections::VecDeque<Vec<u8>>;

#[cfg(test)]
mod tests;
