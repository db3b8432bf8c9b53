//! The commands of one collection: for each what is sent, and what it makes of the model.

use crate::clock::Interval;
use crate::content::{self, Content, Field, Type};
use crate::oracle::{Expected, deadline_after};
use crate::value::{self, Writer};
use crate::wire::Reply;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first element's.
    Left,
    /// The last element's.
    Right,
}

impl Side {
    /// As LMOVE calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
    }
}

/// A command that changes one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// LPUSH, RPUSH: so many new elements of this length.
    Push(Side, u16, usize),
    /// LPOP, RPOP.
    Pop(Side),
    /// LTRIM: what is kept.
    Trim(i64, i64),
    /// HSET of a field, with its value's length.
    HSet(String, usize),
    /// HDEL.
    HDel(String),
    /// HINCRBY; an error where the field is no number, and where the sum is none.
    HIncrBy(String, i64),
    /// HPEXPIRE of one field, in milliseconds.
    HPExpire(String, u32),
    /// SADD: so many new members of this length.
    SAdd(u16, usize),
    /// SREM.
    SRem(Vec<u8>),
    /// SPOP. Its key is only ever given new members, so that their number is known.
    SPop,
    /// ZADD: so many new members, this score and the next.
    ZAdd(u16, i64),
    /// ZINCRBY.
    ZIncrBy(Vec<u8>, i64),
    /// ZREM.
    ZRem(Vec<u8>),
    /// ZPOPMIN.
    ZPopMin,
}

/// Who writes, as which part of a transaction: two parts must not write the same element.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The writer.
    pub writer: Writer,
    /// Its command's place in the transaction.
    pub part: u16,
}

/// Elements of one command, at most.
pub const MAX_ELEMENTS: u16 = 100;

impl Part {
    fn element(&self, index: u16, length: usize) -> Vec<u8> {
        value::element(&self.writer, self.part * MAX_ELEMENTS + index, length)
    }

    fn elements(&self, count: u16, length: usize) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(move |index| self.element(index, length))
    }
}

impl Change {
    /// The type it changes; another type gets an error.
    pub fn kind(&self) -> Type {
        match self {
            Self::Push(..) | Self::Pop(_) | Self::Trim(..) => Type::List,
            Self::HSet(..) | Self::HDel(_) | Self::HIncrBy(..) | Self::HPExpire(..) => Type::Hash,
            Self::SAdd(..) | Self::SRem(_) | Self::SPop => Type::Set,
            Self::ZAdd(..) | Self::ZIncrBy(..) | Self::ZRem(_) | Self::ZPopMin => Type::Sorted,
        }
    }

    /// The command's name, and its arguments behind the key.
    pub fn words(&self, by: &Part) -> (&'static str, Vec<Vec<u8>>) {
        let word = |text: &str| text.as_bytes().to_vec();
        let number = |number: i64| number.to_string().into_bytes();
        match self {
            Self::Push(Side::Left, count, length) => ("LPUSH", by.elements(*count, *length).collect()),
            Self::Push(Side::Right, count, length) => ("RPUSH", by.elements(*count, *length).collect()),
            Self::Pop(Side::Left) => ("LPOP", vec![]),
            Self::Pop(Side::Right) => ("RPOP", vec![]),
            Self::Trim(from, to) => ("LTRIM", vec![number(*from), number(*to)]),
            Self::HSet(field, length) => ("HSET", vec![word(field), by.element(0, *length)]),
            Self::HDel(field) => ("HDEL", vec![word(field)]),
            Self::HIncrBy(field, step) => ("HINCRBY", vec![word(field), number(*step)]),
            Self::HPExpire(field, ms) => {
                ("HPEXPIRE", vec![number(i64::from(*ms)), word("FIELDS"), word("1"), word(field)])
            }
            Self::SAdd(count, length) => ("SADD", by.elements(*count, *length).collect()),
            Self::SRem(member) => ("SREM", vec![member.clone()]),
            Self::SPop => ("SPOP", vec![]),
            Self::ZAdd(count, score) => {
                let pair = |index| [number(score + i64::from(index)), by.element(index, 0)];
                ("ZADD", (0..*count).flat_map(pair).collect())
            }
            Self::ZIncrBy(member, step) => ("ZINCRBY", vec![number(*step), member.clone()]),
            Self::ZRem(member) => ("ZREM", vec![member.clone()]),
            Self::ZPopMin => ("ZPOPMIN", vec![]),
        }
    }

    /// Changes the model, run at some moment of `at`; says what the reply must be. `told` is the reply, where there is
    /// one: chance is the server's.
    pub fn apply(&self, to: &mut Content, by: &Part, at: Interval, told: Option<&Reply>) -> Expected {
        match (self, to) {
            (Self::Push(side, count, length), Content::List(items)) => {
                for element in by.elements(*count, *length) {
                    match side {
                        Side::Left => items.push_front(element),
                        Side::Right => items.push_back(element),
                    }
                }
                Expected::Int(items.len() as i64)
            }
            (Self::Pop(Side::Left), Content::List(items)) => bulk(items.pop_front()),
            (Self::Pop(Side::Right), Content::List(items)) => bulk(items.pop_back()),
            (Self::Trim(from, to), Content::List(items)) => {
                let length = items.len() as i64;
                let at = |index: i64| if index < 0 { index + length } else { index };
                let (from, to) = (at(*from).max(0), at(*to).min(length - 1));
                items.truncate((to + 1).max(0) as usize);
                items.drain(..(from as usize).min(items.len()));
                Expected::Ok
            }
            (Self::SAdd(count, length), Content::Set(members, _)) => {
                let added = by.elements(*count, *length).filter(|element| members.insert(element.clone())).count();
                Expected::Int(added as i64)
            }
            (Self::SRem(member), Content::Set(members, _)) => Expected::Int(i64::from(members.remove(member))),
            (Self::SPop, Content::Set(members, popped)) => match told {
                _ if members.len() == popped.len() => Expected::Nil,
                Some(Reply::Bulk(member)) if members.remove(member) => Expected::Any,
                Some(_) => Expected::Member,
                None => {
                    popped.push(by.writer.seq);
                    Expected::Member
                }
            },
            (Self::ZAdd(count, score), Content::Sorted(members)) => {
                for index in 0..*count {
                    members.insert(by.element(index, 0), score + i64::from(index));
                }
                Expected::Int(i64::from(*count))
            }
            (Self::ZIncrBy(member, step), Content::Sorted(members)) => {
                let score = members.entry(member.clone()).or_insert(0);
                *score += step;
                bulk(Some(score.to_string().into_bytes()))
            }
            (Self::ZRem(member), Content::Sorted(members)) => {
                Expected::Int(i64::from(members.remove(member).is_some()))
            }
            (Self::ZPopMin, Content::Sorted(members)) => {
                let least = members.iter().map(|(member, score)| (*score, member.clone())).min();
                let pair = least.map_or(vec![], |(score, member)| {
                    members.remove(&member);
                    vec![Reply::Bulk(member), Reply::Bulk(score.to_string().into_bytes())]
                });
                Expected::Exactly(Reply::Array(pair))
            }
            (change, Content::Hash(fields)) => change.apply_to_hash(fields, by, at, told),
            _ => Expected::Error,
        }
    }

    fn apply_to_hash(&self, fields: &mut Fields, by: &Part, at: Interval, told: Option<&Reply>) -> Expected {
        match self {
            Self::HSet(field, length) => {
                let value = by.element(0, *length);
                let before = fields.insert(field.clone().into_bytes(), Field { value, deadline: None });
                match before {
                    None => Expected::Int(1),
                    Some(before) if content::may_be_gone(before.deadline, at) => Expected::Between(0, 1),
                    Some(_) => Expected::Int(0),
                }
            }
            Self::HDel(field) => match fields.remove(field.as_bytes()) {
                None => Expected::Int(0),
                Some(before) if content::may_be_gone(before.deadline, at) => Expected::Between(0, 1),
                Some(_) => Expected::Int(1),
            },
            Self::HIncrBy(field, step) => {
                let old = fields.get(field.as_bytes()).map_or(Some(0), |field| number(&field.value));
                let Some(sum) = old.and_then(|old| old.checked_add(*step)) else { return Expected::Error };
                let deadline = fields.get(field.as_bytes()).and_then(|field| field.deadline);
                let value = sum.to_string().into_bytes();
                fields.insert(field.clone().into_bytes(), Field { value, deadline });
                Expected::Int(sum)
            }
            Self::HPExpire(name, ms) => {
                let told = match told {
                    Some(Reply::Array(items)) => items.first(),
                    _ => None,
                };
                expire_field(fields, name.as_bytes(), *ms, at, told)
            }
            _ => Expected::Error,
        }
    }
}

type Fields = std::collections::BTreeMap<Vec<u8>, Field>;

/// The field's new deadline. Where it may have been gone before, the reply tells; without one it may go at any time.
fn expire_field(fields: &mut Fields, name: &[u8], ms: u32, at: Interval, told: Option<&Reply>) -> Expected {
    let (done, absent) = (Expected::Int(1), Expected::Int(-2));
    let Some(field) = fields.get_mut(name) else { return Expected::All(vec![absent]) };
    let doubtful = content::may_be_gone(field.deadline, at);
    let (mut earliest, mut latest) = deadline_after(ms, at);
    if doubtful && told == Some(&Reply::Int(-2)) {
        fields.remove(name);
        return Expected::All(vec![absent]);
    }
    if let (true, None, Some((sooner, later))) = (doubtful, told, field.deadline) {
        (earliest, latest) = (earliest.min(sooner), latest.max(later));
    }
    field.deadline = Some((earliest, latest));
    Expected::All(vec![done])
}

fn number(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn bulk(bytes: Option<Vec<u8>>) -> Expected {
    bytes.map_or(Expected::Nil, |bytes| Expected::Exactly(Reply::Bulk(bytes)))
}
