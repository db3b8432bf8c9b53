//! What is put into an entry, and what an entry keeps outside of its own block.

use bytes::Bytes;

use super::OUT_OF_LINE;
use super::large::Large;
use super::layout::{COLD, Shape};
use crate::value::{Object, STRING};

/// A value on its way into an entry. The length of a string decides how it is kept, not the variant.
pub enum Stored<'a> {
    /// A string to be copied.
    Copy(&'a [u8]),
    /// A string to be shared when it is long enough, else copied. The whole buffer that these bytes are a part of stays
    /// allocated, so a short slice of a long buffer is better copied.
    Own(Bytes),
    /// A packed collection of a type.
    Packed(u8, &'a [u8]),
    /// A large collection.
    Object(Box<Object>),
    /// A value of a type that lies in the log only, at the entry's position, and has so many bytes there.
    Cold(u8, u32),
}

impl<'a> Stored<'a> {
    /// A value to be copied.
    #[inline]
    pub fn copy(bytes: &'a [u8]) -> Stored<'a> {
        Stored::Copy(bytes)
    }

    /// A value to be shared with whoever else holds it.
    #[inline]
    pub fn own(bytes: Bytes) -> Stored<'a> {
        Stored::Own(bytes)
    }

    pub(super) fn value_type(&self) -> u8 {
        match self {
            Stored::Copy(_) | Stored::Own(_) => STRING,
            Stored::Packed(value_type, _) | Stored::Cold(value_type, _) => *value_type,
            Stored::Object(object) => object.value_type(),
        }
    }

    /// The shape of an entry that holds it.
    #[inline]
    pub(super) fn shape(&self, key: usize, has_deadline: bool, has_base: bool) -> Shape {
        let inline = self.inline().map(<[u8]>::len);
        Shape::new(self.value_type(), key, inline, has_deadline, has_base).with(COLD, matches!(self, Stored::Cold(..)))
    }

    /// The bytes that go into the entry itself, if any do.
    pub(super) fn inline(&self) -> Option<&[u8]> {
        let bytes = match self {
            Stored::Copy(bytes) | Stored::Packed(_, bytes) => bytes,
            Stored::Own(bytes) => &bytes[..],
            Stored::Cold(..) => &[],
            Stored::Object(_) => return None,
        };
        (bytes.len() < OUT_OF_LINE).then_some(bytes)
    }

    pub(super) fn into_outside(self) -> Outside {
        match self {
            Stored::Copy(bytes) => Outside::String(Box::new(Large::new(Bytes::copy_from_slice(bytes)))),
            Stored::Own(bytes) => Outside::String(Box::new(Large::new(bytes))),
            Stored::Packed(..) | Stored::Cold(..) => unreachable!("shorter than what goes out of line"),
            Stored::Object(object) => Outside::Object(object),
        }
    }
}

/// What an entry keeps apart from its own block.
pub(super) enum Outside {
    String(Box<Large>),
    Object(Box<Object>),
}
