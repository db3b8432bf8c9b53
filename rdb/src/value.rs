//! A value on its own, of any type that is read.

use crate::dump;

/// A value. Elements stand in the order of the dump; members and fields are distinct.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    String(Vec<u8>),
    /// Elements, from head to tail.
    List(Vec<Vec<u8>>),
    /// Members.
    Set(Vec<Vec<u8>>),
    /// Fields: name, value, and the deadline in milliseconds since 1970 after which the field is gone.
    Hash(Vec<(Vec<u8>, Vec<u8>, Option<u64>)>),
    /// Members and their scores, in any order. No score is NaN.
    Zset(Vec<(Vec<u8>, f64)>),
}

impl Value {
    /// The dump of the value.
    pub fn dump(&self) -> Vec<u8> {
        match self {
            Value::String(bytes) => dump::string(bytes),
            Value::List(elements) => dump::list(elements.iter()),
            Value::Set(members) => dump::set(members.iter()),
            Value::Hash(fields) => dump::hash(fields.iter().map(|(name, value, deadline)| (name, value, *deadline))),
            Value::Zset(members) => dump::zset(members.iter().map(|(member, score)| (member, *score))),
        }
    }
}
