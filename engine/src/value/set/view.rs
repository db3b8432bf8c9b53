//! A set as readers see it, packed or not.

use super::{Set, ints, packed};
use crate::value::Object;
use crate::value::packed::{count, elements};

/// A set.
#[derive(Clone, Copy)]
pub enum SetView<'a> {
    /// Packed, of integers.
    Ints(&'a [u8]),
    /// Packed.
    Packed(&'a [u8]),
    /// In a table.
    Table(&'a Set),
}

/// A member: its bytes, or the integer that they spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member<'a> {
    /// As they were added.
    Bytes(&'a [u8]),
    /// In decimal.
    Integer(i64),
}

impl<'a> Member<'a> {
    /// The bytes, if need be spelled into a buffer.
    #[inline]
    #[must_use]
    pub fn as_bytes<'b>(&self, buffer: &'b mut [u8; 20]) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Member::Bytes(bytes) => bytes,
            Member::Integer(integer) => {
                let mut spelled = itoa::Buffer::new();
                let spelled = spelled.format(integer).as_bytes();
                buffer[..spelled.len()].copy_from_slice(spelled);
                &buffer[..spelled.len()]
            }
        }
    }

    /// Calls with the bytes.
    #[inline]
    pub fn with<T>(&self, call: impl FnOnce(&[u8]) -> T) -> T {
        call(self.as_bytes(&mut [0; 20]))
    }
}

impl<'a> SetView<'a> {
    /// The view of a slot that holds a set.
    #[must_use]
    pub fn new(packed: &'a [u8], object: Option<&'a Object>) -> SetView<'a> {
        match object {
            Some(Object::Set(set)) => SetView::Table(set),
            _ if ints::is_ints(packed) => SetView::Ints(packed),
            _ => SetView::Packed(packed),
        }
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            SetView::Ints(packed) | SetView::Packed(packed) => count(packed),
            SetView::Table(set) => set.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has a member.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            SetView::Ints(packed) => ints::contains(packed, member),
            SetView::Packed(packed) => packed::contains(packed, member),
            SetView::Table(set) => set.members.get(member).is_some(),
        }
    }

    /// The member at an index, in the order of [`SetView::iter`].
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Member<'a>> {
        match self {
            SetView::Ints(packed) if index < count(packed) => ints::at(packed, index).map(Member::Integer),
            SetView::Ints(_) => None,
            SetView::Packed(_) => self.iter().nth(index),
            SetView::Table(set) => set.members.at(index).map(|element| Member::Bytes(element.key())),
        }
    }

    /// All members.
    #[must_use]
    pub fn iter(&self) -> Members<'a> {
        Members(match *self {
            SetView::Ints(packed) => Walk::Ints(packed, 0),
            SetView::Packed(packed) => Walk::Packed(elements(packed)),
            SetView::Table(set) => Walk::Table(set, 0),
        })
    }

    /// Visits about `count` members. The next cursor, or 0 at the end; begin with 0. A member that is there all the
    /// time is visited at least once, whatever happens to others meanwhile.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Member<'a>)) -> u64 {
        match *self {
            SetView::Ints(_) | SetView::Packed(_) => {
                self.iter().for_each(visit);
                0
            }
            SetView::Table(set) => set.members.scan(cursor, count, |element| visit(Member::Bytes(element.key()))),
        }
    }

    /// The name of the encoding.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            SetView::Ints(_) => "intset",
            SetView::Packed(_) => "listpack",
            SetView::Table(_) => "hashtable",
        }
    }
}

/// Members in order.
#[derive(Clone)]
pub struct Members<'a>(Walk<'a>);

#[derive(Clone)]
enum Walk<'a> {
    Ints(&'a [u8], usize),
    Packed(&'a [u8]),
    Table(&'a Set, usize),
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match &mut self.0 {
            Walk::Ints(packed, index) => {
                *index += 1;
                ints::at(packed, *index - 1).map(Member::Integer)
            }
            Walk::Packed(rest) => packed::next(rest).map(Member::Bytes),
            Walk::Table(set, number) => {
                *number += 1;
                set.members.at(*number - 1).map(|element| Member::Bytes(element.key()))
            }
        }
    }
}
