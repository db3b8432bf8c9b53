//! Collections: lists, hashes, sets and sorted sets.
//!
//! ```text
//!   an operation's bytes ──► apply ──► packed bytes in the entry, edited by splices
//!          │                     └───► or an object: a large structure the entry points to
//!          └──────────────────────────► the log, as they are
//! ```
//!
//! * A small collection is *packed*: a tag, the count, the elements, in one short byte string. What outgrows its
//!   [`Limits`] becomes an [`Object`], and only lists come back.
//! * Every change is an operation ([`op`]). Live execution and replay are the same function over the same bytes.
//! * The image of a value is bytes too: the packed bytes themselves; for an object the tag of its encoding, then the
//!   elements in order. Order and encoding are part of the state: an image that is loaded shows both again.
//!
//! ```text
//!   0      1        3
//!   ┌──────┬────────┬──────────────┐
//!   │ tag  │ count  │ elements …   │  packed; count is a u16
//!   └──────┴────────┴──────────────┘
//!   ┌──────┬───────────────────────┐
//!   │ tag  │ elements …            │  image of an object
//!   └──────┴───────────────────────┘
//! ```
//!
//! Bytes here may come from a damaged log: they are refused as [`Malformed`], never trusted. A refused operation may
//! have been done in part.
//!
//! Not here: keys, the expiry of keys, locks, and what a command answers.

mod dense;
pub mod element;
mod hash;
mod limits;
mod list;
pub mod op;
mod packed;
mod score;
mod scratch;
mod set;
mod zset;

#[cfg(test)]
mod place;
#[cfg(test)]
mod tests;

pub use hash::{Field, Fields, Hash, HashView};
pub(crate) use limits::SharedLimits;
pub use list::{List, ListIter, ListIterBack, ListView, set_alone_from};
pub use set::{Member, Members, Set, SetView};
pub use zset::{Zset, ZsetIter, ZsetIterBack, ZsetView};

/// Value types, as entries and the log number them.
pub const STRING: u8 = 0;
/// See [`STRING`].
pub const LIST: u8 = 1;
/// See [`STRING`].
pub const HASH: u8 = 2;
/// See [`STRING`].
pub const SET: u8 = 3;
/// See [`STRING`].
pub const ZSET: u8 = 4;

/// No packed value is longer than this, whatever the limits say: it must stay inside its entry.
pub const MAX_PACKED: usize = 15 * 1024;

/// The first byte of packed values and of images: the type and the encoding.
mod tag {
    pub const LIST_PACKED: u8 = 1;
    pub const LIST_CHUNKS: u8 = 2;
    pub const HASH_PACKED: u8 = 3;
    pub const HASH_PACKED_TTL: u8 = 4;
    pub const HASH_TABLE: u8 = 5;
    pub const SET_INTS: u8 = 6;
    pub const SET_PACKED: u8 = 7;
    pub const SET_TABLE: u8 = 8;
    pub const ZSET_PACKED: u8 = 9;
    pub const ZSET_TREE: u8 = 10;
}

/// Up to where values stay packed: Redis's `*-max-listpack-*` settings and `set-max-intset-entries`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Elements when positive; -1 to -5 stand for 4, 8, 16, 32 and 64 KiB.
    pub list_max_listpack_size: i32,
    /// Fields.
    pub hash_max_listpack_entries: usize,
    /// Bytes of a field or a value.
    pub hash_max_listpack_value: usize,
    /// Members of a set of integers.
    pub set_max_intset_entries: usize,
    /// Members.
    pub set_max_listpack_entries: usize,
    /// Bytes of a member.
    pub set_max_listpack_value: usize,
    /// Members.
    pub zset_max_listpack_entries: usize,
    /// Bytes of a member.
    pub zset_max_listpack_value: usize,
}

impl Default for Limits {
    /// The defaults of Redis 7.4.
    fn default() -> Limits {
        Limits {
            list_max_listpack_size: -2,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
        }
    }
}

/// Where a value lies: a keyspace entry, or a test's vector.
pub trait Slot {
    /// The packed bytes; meaningful while there is no object.
    fn packed(&self) -> &[u8];
    /// Puts bytes in the place of `removed` packed ones from `at` on.
    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]);
    /// The large structure, if the value is one.
    fn object(&self) -> Option<&Object>;
    /// The large structure, to be changed.
    fn object_mut(&mut self) -> Option<&mut Object>;
    /// Makes the value a large structure; the packed bytes go.
    fn become_object(&mut self, object: Object);
    /// Makes the value packed bytes; the large structure goes. Only lists come back.
    fn become_packed(&mut self, packed: &[u8]);
}

/// A collection that has outgrown its entry.
#[derive(Debug)]
pub enum Object {
    /// In chunks.
    List(List),
    /// In a hash table.
    Hash(Hash),
    /// In a hash table.
    Set(Set),
    /// In a tree and a hash table.
    Zset(Zset),
}

/// What an operation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Elements that are new.
    pub added: u64,
    /// Elements added, removed or altered. At 0 nothing happened, and nothing need be logged.
    pub changed: u64,
}

/// Bytes that no execution has written: the log is damaged, or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a collection's bytes make no sense")]
pub struct Malformed;

/// The packed bytes of an empty collection of a type; none for a string.
#[must_use]
pub fn empty(value_type: u8) -> &'static [u8] {
    match value_type {
        LIST => &[tag::LIST_PACKED, 0, 0],
        HASH => &[tag::HASH_PACKED, 0, 0],
        SET => &[tag::SET_INTS, 0, 0, 2],
        ZSET => &[tag::ZSET_PACKED, 0, 0],
        _ => &[],
    }
}

/// The type of value that an operation is for.
#[must_use]
pub fn type_of_operation(op: &[u8]) -> Option<u8> {
    match *op.first()? {
        op::LIST_PUSH_FRONT..=op::LIST_REMOVE => Some(LIST),
        op::HASH_SET..=op::HASH_LOAD => Some(HASH),
        op::SET_ADD..=op::SET_REMOVE => Some(SET),
        op::ZSET_ADD..=op::ZSET_REMOVE => Some(ZSET),
        _ => None,
    }
}

/// Carries an operation out on a value of its type.
#[inline]
pub fn apply(slot: &mut impl Slot, op: &[u8], limits: &Limits) -> Result<Outcome, Malformed> {
    let value_type = type_of_operation(op).ok_or(Malformed)?;
    let (&code, operands) = op.split_first().ok_or(Malformed)?;
    match value_type {
        LIST => list::apply(slot, code, operands, limits),
        HASH => hash::apply(slot, code, operands, limits),
        SET => set::apply(slot, code, operands, limits),
        _ => zset::apply(slot, code, operands, limits),
    }
}

/// Checks an image. A packed one is fit to be the packed bytes (`None`); any other gives its object.
pub fn load(value_type: u8, image: &[u8]) -> Result<Option<Object>, Malformed> {
    match value_type {
        LIST => list::load(image),
        HASH => hash::load(image),
        SET => set::load(image),
        ZSET => zset::load(image),
        _ => Err(Malformed),
    }
}

/// Elements of a collection.
#[inline]
#[must_use]
pub fn len(value_type: u8, packed: &[u8], object: Option<&Object>) -> usize {
    match (object, value_type) {
        (Some(object), _) => object.len(),
        (None, LIST) => list::len(packed),
        (None, ZSET) => zset::len(packed),
        (None, _) => packed::count(packed),
    }
}

/// The name of a collection's encoding, as OBJECT ENCODING gives it.
#[must_use]
pub fn encoding(packed: &[u8], object: Option<&Object>) -> &'static str {
    match (object, packed.first()) {
        (Some(object), _) => object.encoding(),
        (None, Some(&tag::HASH_PACKED_TTL)) => "listpackex",
        (None, Some(&tag::SET_INTS)) => "intset",
        (None, _) => "listpack",
    }
}

impl Object {
    /// Bytes of the whole image. Known at any time.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        match self {
            Object::List(list) => list.image_bytes(),
            Object::Hash(hash) => hash.image_bytes(),
            Object::Set(set) => set.image_bytes(),
            Object::Zset(zset) => zset.image_bytes(),
        }
    }

    /// Bytes of memory that the elements and what leads to them take on the heap. Known at any time.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Object::List(list) => list.memory(),
            Object::Hash(hash) => hash.memory(),
            Object::Set(set) => set.memory(),
            Object::Zset(zset) => zset.memory(),
        }
    }

    /// Gives the image in parts of about so many bytes, and of one element at least: first an image, then operations
    /// to be applied in turn.
    pub fn image_parts(&self, part_bytes: usize, emit: &mut dyn FnMut(&[u8])) {
        match self {
            Object::List(list) => list.image_parts(part_bytes, emit),
            Object::Hash(hash) => hash.image_parts(part_bytes, emit),
            Object::Set(set) => set.image_parts(part_bytes, emit),
            Object::Zset(zset) => zset.image_parts(part_bytes, emit),
        }
    }

    /// Brings the memory that looks for these fields or members will need towards the processor.
    pub(crate) fn prefetch<'n>(&self, names: impl Iterator<Item = &'n [u8]>) {
        match self {
            Object::List(_) => {}
            Object::Hash(hash) => hash.prefetch(names),
            Object::Set(set) => set.prefetch(names),
            Object::Zset(zset) => zset.prefetch(names),
        }
    }

    /// The type of the value.
    #[must_use]
    pub fn value_type(&self) -> u8 {
        match self {
            Object::List(_) => LIST,
            Object::Hash(_) => HASH,
            Object::Set(_) => SET,
            Object::Zset(_) => ZSET,
        }
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Object::List(list) => list.len(),
            Object::Hash(hash) => hash.len(),
            Object::Set(set) => set.len(),
            Object::Zset(zset) => zset.len(),
        }
    }

    /// Whether there is no element left: time for the key to go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the encoding, as OBJECT ENCODING gives it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::List(_) => "quicklist",
            Object::Hash(_) | Object::Set(_) => "hashtable",
            Object::Zset(_) => "skiplist",
        }
    }
}
