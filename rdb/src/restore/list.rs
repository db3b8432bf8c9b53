//! Lists: one element after the other, one ziplist, or nodes of many elements.

use crate::error::NO_ELEMENTS;
use crate::limits::Budget;
use crate::packed::{Entries, Form};
use crate::restore::Decoder;
use crate::{Error, length, string};

type Elements = Vec<Vec<u8>>;

/// A node that is one element.
pub(crate) const NODE_PLAIN: u64 = 1;
/// A node that is a listpack.
pub(crate) const NODE_PACKED: u64 = 2;

impl Decoder<'_> {
    pub(super) fn list(&mut self) -> Result<Elements, Error> {
        let count = length::read_count(&mut self.reader, 1)?;
        let mut list = self.budget.elements(count)?;
        for _ in 0..count {
            list.push(self.string()?);
        }
        Ok(list)
    }

    pub(super) fn list_of_ziplists(&mut self) -> Result<Elements, Error> {
        let mut list = Vec::new();
        for _ in 0..length::read_count(&mut self.reader, 1)? {
            let node = string::read(&mut self.reader, &self.budget)?;
            append(&mut list, Entries::new(Form::Ziplist, &node)?, &mut self.budget)?;
        }
        not_empty(list)
    }

    pub(super) fn list_of_nodes(&mut self) -> Result<Elements, Error> {
        let mut list = Vec::new();
        for _ in 0..length::read_count(&mut self.reader, 2)? {
            match length::read(&mut self.reader)? {
                NODE_PLAIN => {
                    self.budget.take(size_of::<Vec<u8>>())?;
                    let element = self.string()?;
                    if element.is_empty() {
                        return Err(Error::BadFormat("an empty node that is one element"));
                    }
                    list.push(element);
                }
                NODE_PACKED => {
                    let node = string::read(&mut self.reader, &self.budget)?;
                    append(&mut list, Entries::new(Form::Listpack, &node)?, &mut self.budget)?;
                }
                _ => return Err(Error::BadFormat("unknown kind of a list's node")),
            }
        }
        not_empty(list)
    }
}

/// A list that is one packed string.
pub(super) fn packed(entries: Entries<'_>, budget: &mut Budget) -> Result<Elements, Error> {
    let mut list = Vec::new();
    append(&mut list, entries, budget)?;
    not_empty(list)
}

fn append(list: &mut Elements, entries: Entries<'_>, budget: &mut Budget) -> Result<(), Error> {
    for entry in entries {
        budget.take(size_of::<Vec<u8>>())?;
        list.push(entry?.to_bytes(budget)?);
    }
    Ok(())
}

/// Single nodes may be empty, as in Redis.
fn not_empty(list: Elements) -> Result<Elements, Error> {
    if list.is_empty() { Err(NO_ELEMENTS) } else { Ok(list) }
}
