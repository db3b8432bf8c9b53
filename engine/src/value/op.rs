//! Operations: the changes of collections as bytes, which are executed and logged alike.
//!
//! One code byte, then operands: elements, and numbers and scores of eight bytes, little-endian.
//!
//! | code | | operands |
//! |---|---|---|
//! | 16 | [`LIST_PUSH_FRONT`] | element… |
//! | 17 | [`LIST_PUSH_BACK`] | element… |
//! | 18 | [`LIST_POP_FRONT`] | n |
//! | 19 | [`LIST_POP_BACK`] | n |
//! | 20 | [`LIST_SET`] | index element |
//! | 21 | [`LIST_INSERT`] | index element |
//! | 22 | [`LIST_REMOVE`] | (start n)… |
//! | 32 | [`HASH_SET`] | (field value)… |
//! | 33 | [`HASH_SET_KEEP`] | (field value)… |
//! | 34 | [`HASH_DELETE`] | field… |
//! | 35 | [`HASH_EXPIRE`] | deadline field… |
//! | 36 | [`HASH_LOAD`] | (field value deadline)… |
//! | 48 | [`SET_ADD`] | member… |
//! | 49 | [`SET_REMOVE`] | member… |
//! | 64 | [`ZSET_ADD`] | (score member)… |
//! | 65 | [`ZSET_REMOVE`] | member… |

use std::cell::Cell;

use super::element::push_element;

/// Puts elements before the first, one after the other.
pub const LIST_PUSH_FRONT: u8 = 16;
/// Puts elements behind the last.
pub const LIST_PUSH_BACK: u8 = 17;
/// Takes so many from the front.
pub const LIST_POP_FRONT: u8 = 18;
/// Takes so many from the back.
pub const LIST_POP_BACK: u8 = 19;
/// Puts an element in the place of another.
pub const LIST_SET: u8 = 20;
/// Puts an element before that index; at the end when the index is the length.
pub const LIST_INSERT: u8 = 21;
/// Takes runs out, each so many from a start. Starts are those before the operation, rise, and no run reaches the next.
pub const LIST_REMOVE: u8 = 22;
/// Sets fields, and takes their deadlines away.
pub const HASH_SET: u8 = 32;
/// Sets fields, and leaves their deadlines.
pub const HASH_SET_KEEP: u8 = 33;
/// Takes fields out.
pub const HASH_DELETE: u8 = 34;
/// Sets the deadline of fields in milliseconds, or takes it away (0). Absent fields are passed over.
pub const HASH_EXPIRE: u8 = 35;
/// Sets fields with their deadlines, as in images.
pub const HASH_LOAD: u8 = 36;
/// Adds members.
pub const SET_ADD: u8 = 48;
/// Takes members out.
pub const SET_REMOVE: u8 = 49;
/// Adds members, or changes their scores.
pub const ZSET_ADD: u8 = 64;
/// Takes members out.
pub const ZSET_REMOVE: u8 = 65;

/// An operation that is being put together.
#[derive(Clone, Debug)]
pub struct Op(Vec<u8>);

/// A lent buffer that has grown longer is given back.
const KEPT: usize = 64 * 1024;

thread_local! {
    static LENT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Op {
    /// Lends an operation without operands, in a buffer that is kept for the next one.
    #[inline]
    pub fn lend<R>(code: u8, work: impl FnOnce(&mut Op) -> R) -> R {
        let mut op = Op::in_buffer(LENT.take(), code);
        let result = work(&mut op);
        if op.0.capacity() <= KEPT {
            LENT.set(op.0);
        }
        result
    }

    /// An operation without operands yet.
    #[must_use]
    pub fn new(code: u8) -> Op {
        Op(vec![code])
    }

    /// The same in a buffer that was used before, whose contents go.
    #[must_use]
    pub fn in_buffer(mut buffer: Vec<u8>, code: u8) -> Op {
        buffer.clear();
        buffer.push(code);
        Op(buffer)
    }

    /// An element behind the operands there are.
    pub fn element(&mut self, bytes: &[u8]) -> &mut Op {
        push_element(&mut self.0, bytes);
        self
    }

    /// Takes the operands out: the next part of a long change follows.
    pub fn clear(&mut self) {
        self.0.truncate(1);
    }

    /// A number behind the operands there are.
    pub fn number(&mut self, number: u64) -> &mut Op {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A score behind the operands there are.
    pub fn score(&mut self, score: f64) -> &mut Op {
        self.0.extend_from_slice(&score.to_le_bytes());
        self
    }

    /// What is executed and logged.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no operand yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// The buffer, for another operation.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.0
    }
}
