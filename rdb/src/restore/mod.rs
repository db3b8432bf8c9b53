//! Reading a dump back.

mod hash;
mod list;
mod set;
mod zset;

use std::collections::HashSet;

pub(crate) use hash::DEADLINE_MAX_MS;
pub(crate) use list::{NODE_PACKED, NODE_PLAIN};

use crate::error::NO_ELEMENTS;
use crate::limits::Budget;
use crate::packed::{Entries, Form};
use crate::reader::Reader;
use crate::{Error, Limits, Value, footer, kind, string};

/// The value that a dump holds: of any version up to 12 and in any encoding that Redis ever wrote for its type.
///
/// As in Redis's full sanitisation, every part is checked: what counts and sizes say, that members and fields are
/// distinct, that something is there at all.
pub fn restore(dump: &[u8], limits: &Limits) -> Result<Value, Error> {
    let mut reader = Reader::new(footer::open(dump, limits.checksum)?);
    let kind = reader.byte()?;
    read(kind, reader, limits.memory_bytes)
}

/// The value of a type that stands there and nothing else.
pub(crate) fn read(kind: u8, reader: Reader<'_>, memory_bytes: usize) -> Result<Value, Error> {
    let mut decoder = Decoder { reader, budget: Budget::new(memory_bytes) };
    let value = decoder.value(kind)?;
    if decoder.reader.is_empty() { Ok(value) } else { Err(Error::BadFormat("bytes left over behind the value")) }
}

/// A value being read.
struct Decoder<'a> {
    reader: Reader<'a>,
    budget: Budget,
}

impl Decoder<'_> {
    fn value(&mut self, kind: u8) -> Result<Value, Error> {
        Ok(match kind {
            kind::STRING => Value::String(self.string()?),
            kind::LIST => Value::List(self.list()?),
            kind::LIST_ZIPLIST => Value::List(self.packed(Form::Ziplist, list::packed)?),
            kind::LIST_QUICKLIST => Value::List(self.list_of_ziplists()?),
            kind::LIST_QUICKLIST_2 => Value::List(self.list_of_nodes()?),
            kind::SET => Value::Set(self.set()?),
            kind::SET_INTSET => Value::Set(self.packed(Form::Intset, set::packed)?),
            kind::SET_LISTPACK => Value::Set(self.packed(Form::Listpack, set::packed)?),
            kind::HASH => Value::Hash(self.hash()?),
            kind::HASH_ZIPMAP => Value::Hash(self.packed(Form::Zipmap, hash::packed)?),
            kind::HASH_ZIPLIST => Value::Hash(self.packed(Form::Ziplist, hash::packed)?),
            kind::HASH_LISTPACK => Value::Hash(self.packed(Form::Listpack, hash::packed)?),
            kind::HASH_METADATA => Value::Hash(self.hash_with_deadlines(hash::Deadlines::Relative)?),
            kind::HASH_METADATA_PRE_RELEASE => Value::Hash(self.hash_with_deadlines(hash::Deadlines::Absolute)?),
            kind::HASH_LISTPACK_EX => {
                // The earliest deadline, which the listpack repeats.
                self.reader.take(8)?;
                Value::Hash(self.packed(Form::Listpack, hash::packed_with_deadlines)?)
            }
            kind::HASH_LISTPACK_EX_PRE_RELEASE => {
                Value::Hash(self.packed(Form::Listpack, hash::packed_with_deadlines)?)
            }
            kind::ZSET => Value::Zset(self.zset(zset::Scores::Text)?),
            kind::ZSET_2 => Value::Zset(self.zset(zset::Scores::Binary)?),
            kind::ZSET_ZIPLIST => Value::Zset(self.packed(Form::Ziplist, zset::packed)?),
            kind::ZSET_LISTPACK => Value::Zset(self.packed(Form::Listpack, zset::packed)?),
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => return Err(Error::UnsupportedType("stream")),
            kind::MODULE | kind::MODULE_PRE_RELEASE => return Err(Error::UnsupportedType("module")),
            _ => return Err(Error::BadFormat("unknown type")),
        })
    }

    /// A string that the value keeps.
    fn string(&mut self) -> Result<Vec<u8>, Error> {
        string::read_owned(&mut self.reader, &mut self.budget)
    }

    /// A collection that is one packed string.
    fn packed<C>(
        &mut self,
        form: Form,
        collect: impl FnOnce(Entries<'_>, &mut Budget) -> Result<C, Error>,
    ) -> Result<C, Error> {
        let string = string::read(&mut self.reader, &self.budget)?;
        collect(Entries::new(form, &string)?, &mut self.budget)
    }
}

/// Refuses what stands twice in a set, and a collection of nothing.
fn check_distinct<'a>(names: impl ExactSizeIterator<Item = &'a Vec<u8>>) -> Result<(), Error> {
    if names.len() == 0 {
        return Err(NO_ELEMENTS);
    }
    let mut seen = HashSet::with_capacity(names.len());
    for name in names {
        if !seen.insert(name) {
            return Err(Error::BadFormat("an element stands twice"));
        }
    }
    Ok(())
}
