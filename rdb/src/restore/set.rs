//! Sets: one member after the other, an intset, or a listpack.

use crate::limits::Budget;
use crate::packed::Entries;
use crate::restore::{Decoder, check_distinct};
use crate::{Error, length};

type Members = Vec<Vec<u8>>;

impl Decoder<'_> {
    pub(super) fn set(&mut self) -> Result<Members, Error> {
        let count = length::read_count(&mut self.reader, 1)?;
        let mut members = self.budget.elements(count)?;
        for _ in 0..count {
            members.push(self.string()?);
        }
        check_distinct(members.iter())?;
        Ok(members)
    }
}

/// A set that is one packed string.
pub(super) fn packed(entries: Entries<'_>, budget: &mut Budget) -> Result<Members, Error> {
    let mut members = Vec::new();
    for entry in entries {
        budget.take(size_of::<Vec<u8>>())?;
        members.push(entry?.to_bytes(budget)?);
    }
    check_distinct(members.iter())?;
    Ok(members)
}
