//! A hash as readers see it, packed or not.

use super::{Hash, packed};
use crate::value::Object;
use crate::value::dense::Element;
use crate::value::packed::count;

/// A hash at a time: fields whose deadline has come are not shown, but counted. At time 0 all are shown.
#[derive(Clone, Copy)]
pub struct HashView<'a> {
    source: Source<'a>,
    now_ms: u64,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Packed(&'a [u8]),
    Table(&'a Hash),
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its bytes.
    pub value: &'a [u8],
    /// When it is due to go, in milliseconds of wall time.
    pub deadline: Option<u64>,
}

impl<'a> HashView<'a> {
    /// The view of a slot that holds a hash.
    #[must_use]
    pub fn new(packed: &'a [u8], object: Option<&'a Object>, now_ms: u64) -> HashView<'a> {
        let source = match object {
            Some(Object::Hash(hash)) => Source::Table(hash),
            _ => Source::Packed(packed),
        };
        HashView { source, now_ms }
    }

    /// Fields, with those that are not shown.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.source {
            Source::Packed(packed) => count(packed),
            Source::Table(hash) => hash.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fields that are shown. A walk only while there are others.
    #[must_use]
    pub fn shown(&self) -> usize {
        match self.next_deadline() {
            Some(deadline) if deadline <= self.now_ms => self.iter().count(),
            _ => self.len(),
        }
    }

    /// What a field holds.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Field<'a>> {
        let (_, found) = match self.source {
            Source::Packed(packed) => of_entry(packed::find(packed, field)?),
            Source::Table(hash) => of_element(hash.fields.element(hash.fields.get(field)?)),
        };
        Some(found).filter(|field| self.shows(field))
    }

    /// The field at an index below the length, in the order of [`HashView::iter`] without anything left out. `None`
    /// when it is not shown.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<(&'a [u8], Field<'a>)> {
        let found = match self.source {
            Source::Packed(packed) => of_entry(packed::entries(packed).nth(index)?),
            Source::Table(hash) => of_element(hash.fields.at(index)?),
        };
        Some(found).filter(|(_, field)| self.shows(field))
    }

    /// All fields that are shown.
    #[must_use]
    pub fn iter(&self) -> Fields<'a> {
        let walk = match self.source {
            Source::Packed(packed) => Walk::Packed(packed::entries(packed)),
            Source::Table(hash) => Walk::Table(hash, 0),
        };
        Fields { view: *self, walk }
    }

    /// Visits those of about `count` fields that are shown. The next cursor, or 0 at the end; begin with 0. A field
    /// that is there all the time is visited at least once, whatever happens to others meanwhile.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], Field<'a>)) -> u64 {
        let mut visit = |(name, field)| {
            if self.shows(&field) {
                visit(name, field);
            }
        };
        match self.source {
            Source::Packed(packed) => {
                packed::entries(packed).for_each(|entry| visit(of_entry(entry)));
                0
            }
            Source::Table(hash) => hash.fields.scan(cursor, count, |element| visit(of_element(element))),
        }
    }

    /// The first deadline of all fields.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        match self.source {
            Source::Packed(packed) if !packed::has_deadlines(packed) => None,
            Source::Packed(packed) => packed::entries(packed).map(|entry| entry.deadline).filter(|&at| at != 0).min(),
            Source::Table(hash) => hash.deadlines.first().map(|&(deadline, _)| deadline),
        }
    }

    /// Visits up to `count` fields that are not shown any more; of a table those that were due first.
    pub fn due(&self, count: usize, visit: impl FnMut(&'a [u8])) {
        match self.source {
            Source::Packed(packed) => {
                let due = packed::entries(packed).filter(|entry| !self.shows(&of_entry(*entry).1));
                due.take(count).map(|entry| entry.field).for_each(visit);
            }
            Source::Table(hash) => {
                let due = hash.deadlines.iter().take_while(|&&(deadline, _)| deadline <= self.now_ms);
                due.take(count).map(|&(_, number)| hash.fields.element(number).key()).for_each(visit);
            }
        }
    }

    /// The name of the encoding.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.source {
            Source::Packed(packed) if packed::has_deadlines(packed) => "listpackex",
            Source::Packed(_) => "listpack",
            Source::Table(_) => "hashtable",
        }
    }

    #[inline]
    fn shows(&self, field: &Field<'_>) -> bool {
        field.deadline.is_none_or(|deadline| deadline > self.now_ms)
    }
}

/// Fields in order.
#[derive(Clone)]
pub struct Fields<'a> {
    view: HashView<'a>,
    walk: Walk<'a>,
}

#[derive(Clone)]
enum Walk<'a> {
    Packed(packed::Entries<'a>),
    Table(&'a Hash, usize),
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], Field<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], Field<'a>)> {
        loop {
            let next = match &mut self.walk {
                Walk::Packed(entries) => of_entry(entries.next()?),
                Walk::Table(hash, number) => {
                    *number += 1;
                    of_element(hash.fields.at(*number - 1)?)
                }
            };
            if self.view.shows(&next.1) {
                return Some(next);
            }
        }
    }
}

#[inline]
fn of_entry(entry: packed::Entry<'_>) -> (&[u8], Field<'_>) {
    let deadline = (entry.deadline != 0).then_some(entry.deadline);
    (entry.field, Field { value: entry.value, deadline })
}

#[inline]
fn of_element(element: &Element) -> (&[u8], Field<'_>) {
    (element.key(), Field { value: element.value(), deadline: element.deadline() })
}
