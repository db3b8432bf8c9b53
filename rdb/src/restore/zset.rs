//! Sorted sets: one member after the other with its score as text or in binary, or a packed form.

use crate::limits::Budget;
use crate::packed::Entries;
use crate::restore::{Decoder, check_distinct};
use crate::{Error, length, score};

type Member = (Vec<u8>, f64);

/// How the scores of an unpacked sorted set are written.
#[derive(Clone, Copy)]
pub(super) enum Scores {
    /// A byte of length and text; 253 to 255 in its place are NaN and the infinities.
    Text,
    /// IEEE 754, little-endian.
    Binary,
}

impl Decoder<'_> {
    pub(super) fn zset(&mut self, scores: Scores) -> Result<Vec<Member>, Error> {
        let count = length::read_count(&mut self.reader, 2)?;
        let mut members = self.budget.elements(count)?;
        for _ in 0..count {
            let member = self.string()?;
            let score = match scores {
                Scores::Text => self.text_score()?,
                Scores::Binary => score::checked(f64::from_le_bytes(self.reader.array()?))?,
            };
            members.push((member, score));
        }
        checked(members)
    }

    fn text_score(&mut self) -> Result<f64, Error> {
        match self.reader.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => score::checked(f64::NAN),
            length => score::parse(self.reader.take(usize::from(length))?),
        }
    }
}

/// A sorted set that is one packed string of members and scores.
pub(super) fn packed(mut entries: Entries<'_>, budget: &mut Budget) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    while let Some(member) = entries.next() {
        budget.take(size_of::<Member>())?;
        let member = member?.to_bytes(budget)?;
        members.push((member, entries.rest()?.score()?));
    }
    checked(members)
}

fn checked(members: Vec<Member>) -> Result<Vec<Member>, Error> {
    check_distinct(members.iter().map(|(member, _)| member))?;
    Ok(members)
}
