//! Hashes: one field after the other, or a packed form; since Redis 7.4 with deadlines.

use crate::limits::Budget;
use crate::packed::{Entries, Entry};
use crate::restore::{Decoder, check_distinct};
use crate::{Error, length};

type Field = (Vec<u8>, Vec<u8>, Option<u64>);

/// The latest deadline that Redis keeps.
pub(crate) const DEADLINE_MAX_MS: u64 = (1 << 48) - 1;

const BAD_DEADLINE: Error = Error::BadFormat("a field's deadline is out of range");

/// What the deadlines of an unpacked hash count from.
#[derive(Clone, Copy)]
pub(super) enum Deadlines {
    /// 1970. Zero is none.
    Absolute,
    /// The earliest deadline, which stands in front. Zero is none, and one is the earliest itself.
    Relative,
}

impl Decoder<'_> {
    pub(super) fn hash(&mut self) -> Result<Vec<Field>, Error> {
        let count = length::read_count(&mut self.reader, 2)?;
        let mut fields = self.budget.elements(count)?;
        for _ in 0..count {
            fields.push((self.string()?, self.string()?, None));
        }
        checked(fields)
    }

    pub(super) fn hash_with_deadlines(&mut self, deadlines: Deadlines) -> Result<Vec<Field>, Error> {
        let earliest_ms = match deadlines {
            Deadlines::Absolute => 1,
            Deadlines::Relative => u64::from_le_bytes(self.reader.array()?),
        };
        let count = length::read_count(&mut self.reader, 3)?;
        let mut fields = self.budget.elements(count)?;
        for _ in 0..count {
            let deadline = match length::read(&mut self.reader)? {
                0 => None,
                distance_ms => deadline(earliest_ms.saturating_add(distance_ms - 1))?,
            };
            fields.push((self.string()?, self.string()?, deadline));
        }
        checked(fields)
    }
}

/// A hash that is one packed string of names and values.
pub(super) fn packed(mut entries: Entries<'_>, budget: &mut Budget) -> Result<Vec<Field>, Error> {
    let mut fields = Vec::new();
    while let Some(name) = entries.next() {
        budget.take(size_of::<Field>())?;
        let name = name?.to_bytes(budget)?;
        fields.push((name, entries.rest()?.to_bytes(budget)?, None));
    }
    checked(fields)
}

/// A hash that is one packed string of names, values and deadlines: ascending, and zero, which is none, at the end.
pub(super) fn packed_with_deadlines(mut entries: Entries<'_>, budget: &mut Budget) -> Result<Vec<Field>, Error> {
    let mut fields: Vec<Field> = Vec::new();
    while let Some(name) = entries.next() {
        budget.take(size_of::<Field>())?;
        let name = name?.to_bytes(budget)?;
        let value = entries.rest()?.to_bytes(budget)?;
        let deadline = match entries.rest()? {
            Entry::Integer(deadline_ms) => deadline(u64::try_from(deadline_ms).map_err(|_| BAD_DEADLINE)?)?,
            Entry::Bytes(_) => return Err(BAD_DEADLINE),
        };
        let before = fields.last().map_or(Some(0), |(_, _, before)| *before);
        if deadline.is_some() && before.is_none_or(|before| deadline < Some(before)) {
            return Err(Error::BadFormat("deadlines do not ascend"));
        }
        fields.push((name, value, deadline));
    }
    checked(fields)
}

/// Zero is none.
fn deadline(deadline_ms: u64) -> Result<Option<u64>, Error> {
    match deadline_ms {
        0 => Ok(None),
        1..=DEADLINE_MAX_MS => Ok(Some(deadline_ms)),
        _ => Err(BAD_DEADLINE),
    }
}

fn checked(fields: Vec<Field>) -> Result<Vec<Field>, Error> {
    check_distinct(fields.iter().map(|(name, _, _)| name))?;
    Ok(fields)
}
