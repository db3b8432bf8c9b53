//! Packed forms: small collections that Redis keeps, and stores, as one string.
//!
//! Each is an iterator of entries, to be left at the first error. Counts and sizes that are written twice must agree.

pub(crate) mod intset;
pub(crate) mod listpack;
pub(crate) mod ziplist;
pub(crate) mod zipmap;

use crate::Error;
use crate::limits::Budget;
use crate::score;

/// One entry: an element, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Bytes(&'a [u8]),
    /// Stands for the text that it prints as.
    Integer(i64),
}

impl Entry<'_> {
    /// The bytes, as the value keeps them.
    pub(crate) fn to_bytes(self, budget: &mut Budget) -> Result<Vec<u8>, Error> {
        let mut buffer = itoa::Buffer::new();
        let bytes = match self {
            Entry::Bytes(bytes) => bytes,
            Entry::Integer(number) => buffer.format(number).as_bytes(),
        };
        budget.take(bytes.len())?;
        Ok(bytes.to_vec())
    }

    pub(crate) fn score(self) -> Result<f64, Error> {
        match self {
            Entry::Bytes(text) => score::parse(text),
            Entry::Integer(number) => Ok(number as f64),
        }
    }
}

/// The packed forms.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Intset,
    Listpack,
    Ziplist,
    Zipmap,
}

/// The entries of a packed string, in whatever form.
pub(crate) enum Entries<'a> {
    Intset(intset::Entries<'a>),
    Listpack(listpack::Entries<'a>),
    Ziplist(ziplist::Entries<'a>),
    Zipmap(zipmap::Entries<'a>),
}

impl<'a> Entries<'a> {
    pub(crate) fn new(form: Form, packed: &'a [u8]) -> Result<Self, Error> {
        Ok(match form {
            Form::Intset => Entries::Intset(intset::Entries::new(packed)?),
            Form::Listpack => Entries::Listpack(listpack::Entries::new(packed)?),
            Form::Ziplist => Entries::Ziplist(ziplist::Entries::new(packed)?),
            Form::Zipmap => Entries::Zipmap(zipmap::Entries::new(packed)?),
        })
    }

    /// The next entry of an element that has begun.
    pub(crate) fn rest(&mut self) -> Result<Entry<'a>, Error> {
        self.next().unwrap_or(Err(Error::BadFormat("an incomplete element")))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Entries::Intset(entries) => entries.next(),
            Entries::Listpack(entries) => entries.next(),
            Entries::Ziplist(entries) => entries.next(),
            Entries::Zipmap(entries) => entries.next(),
        }
    }
}
