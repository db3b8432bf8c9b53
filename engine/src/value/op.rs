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

use super::element::{push_element, read_element};
use super::score::{push_score, read_score};

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

/// An operation that is being put together, in a buffer that the thread keeps for the next one.
#[derive(Clone, Debug)]
pub struct Op(Vec<u8>);

/// A buffer that has grown longer is given back.
const KEPT: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Op {
    /// An operation without operands yet.
    #[inline]
    #[must_use]
    pub fn new(code: u8) -> Op {
        let mut buffer = BUFFER.take();
        buffer.clear();
        buffer.push(code);
        Op(buffer)
    }

    /// An operation over elements.
    #[inline]
    #[must_use]
    pub fn over<'e>(code: u8, elements: impl IntoIterator<Item = &'e [u8]>) -> Op {
        let mut op = Op::new(code);
        for element in elements {
            op.element(element);
        }
        op
    }

    /// An element behind the operands there are.
    pub fn element(&mut self, bytes: &[u8]) -> &mut Op {
        push_element(&mut self.0, bytes);
        self
    }

    /// Takes the operands out: the next part of a long change follows.
    pub(crate) fn clear(&mut self) {
        self.0.truncate(1);
    }

    /// A number behind the operands there are.
    pub fn number(&mut self, number: u64) -> &mut Op {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A score behind the operands there are.
    pub fn score(&mut self, score: f64) -> &mut Op {
        push_score(&mut self.0, score);
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
}

impl Drop for Op {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            BUFFER.set(std::mem::take(&mut self.0));
        }
    }
}

/// Gives an operation in parts, which are operations too, in the order in which they are to be carried out. None is longer
/// than `most` bytes, unless one group of operands that belong together is.
pub(crate) fn parts(op: &[u8], most: usize, mut carry_out: impl FnMut(&[u8])) {
    let Some(&code) = op.first() else { return };
    let front = if code == HASH_EXPIRE { op.len().min(1 + size_of::<u64>()) } else { 1 };
    let (mut parts, mut start, mut at) = (Vec::new(), front, front);
    while at < op.len() {
        let bytes = group_bytes(code, &op[at..]).unwrap_or(op.len() - at);
        if at > start && front + at - start + bytes > most {
            parts.push(start..at);
            start = at;
        }
        at += bytes;
    }
    parts.push(start..at);
    if code == LIST_REMOVE {
        // Starts are those before the operation: what comes off behind them leaves them right.
        parts.reverse();
    }
    let mut buffer = op[..front].to_vec();
    for part in parts {
        buffer.truncate(front);
        buffer.extend_from_slice(&op[part]);
        carry_out(&buffer);
    }
}

/// Bytes of the first operands that belong together. `None` for operations that are not to be cut.
fn group_bytes(code: u8, operands: &[u8]) -> Option<usize> {
    const NUMBER: usize = size_of::<u64>();
    if code == ZSET_ADD {
        let rest = read_element(read_score(operands)?.1)?.1;
        return Some(operands.len() - rest.len());
    }
    let (before, elements, behind) = match code {
        LIST_PUSH_FRONT | LIST_PUSH_BACK | HASH_DELETE | HASH_EXPIRE | SET_ADD | SET_REMOVE | ZSET_REMOVE => (0, 1, 0),
        HASH_SET | HASH_SET_KEEP => (0, 2, 0),
        HASH_LOAD => (0, 2, NUMBER),
        LIST_REMOVE => (2 * NUMBER, 0, 0),
        _ => return None,
    };
    let mut rest = operands.get(before..)?;
    for _ in 0..elements {
        rest = read_element(rest)?.1;
    }
    Some(operands.len() - rest.get(behind..)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(op: &Op, most: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        parts(op.bytes(), most, |part| all.push(part.to_vec()));
        all
    }

    #[test]
    fn an_operation_is_cut_between_what_belongs_together() {
        let pairs: [&[u8]; 6] = [b"a", b"1", b"b", b"22", b"c", b"3"];
        let cases = [
            (
                Op::over(HASH_SET, pairs),
                vec![
                    Op::over(HASH_SET, pairs[..2].to_vec()),
                    Op::over(HASH_SET, pairs[2..4].to_vec()),
                    Op::over(HASH_SET, pairs[4..].to_vec()),
                ],
            ),
            (
                Op::over(SET_ADD, pairs),
                vec![
                    Op::over(SET_ADD, pairs[..3].to_vec()),
                    Op::over(SET_ADD, pairs[3..5].to_vec()),
                    Op::over(SET_ADD, pairs[5..].to_vec()),
                ],
            ),
        ];
        for (whole, expected) in cases {
            let expected: Vec<Vec<u8>> = expected.iter().map(|op| op.bytes().to_vec()).collect();
            assert_eq!(cut(&whole, 7), expected);
            assert_eq!(cut(&whole, 1000), [whole.bytes().to_vec()]);
        }
    }

    #[test]
    fn every_part_has_what_stands_before_all() {
        let mut whole = Op::new(HASH_EXPIRE);
        whole.number(7).element(b"a").element(b"b");
        let part = |field| Op::new(HASH_EXPIRE).number(7).element(field).bytes().to_vec();
        assert_eq!(cut(&whole, 0), [part(b"a"), part(b"b")]);
    }

    #[test]
    fn runs_are_taken_out_from_the_last() {
        let run = |start| Op::new(LIST_REMOVE).number(start).number(1).bytes().to_vec();
        let mut whole = Op::new(LIST_REMOVE);
        whole.number(3).number(1).number(5).number(1);
        assert_eq!(cut(&whole, 0), [run(5), run(3)]);
    }

    #[test]
    fn one_element_is_never_cut() {
        let mut whole = Op::new(ZSET_ADD);
        whole.score(1.0).element(&[b'a'; 300]).score(2.0).element(b"b");
        assert_eq!(cut(&whole, 10).len(), 2);
        let mut insert = Op::new(LIST_INSERT);
        insert.number(1).element(&[b'a'; 300]);
        assert_eq!(cut(&insert, 10), [insert.bytes()]);
    }
}
