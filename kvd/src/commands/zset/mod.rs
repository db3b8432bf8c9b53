//! Sorted sets: members in the order of their scores.
//!
//! | file | what |
//! |---|---|
//! | `number` | scores and other numbers as arguments |
//! | `bounds` | ranges by rank, score and member, as ranks |
//! | `add` `member` `random` | a member or some |
//! | `range` `remove` `pop` | members of a range |
//! | `algebra` `sources` | several sets |

mod add;
mod algebra;
mod bounds;
mod member;
mod number;
mod pop;
mod random;
mod range;
mod remove;
mod rows;
mod sources;

use engine::listener::Class;
use engine::value::op::{self, Op};
use engine::value::{Limits, ZSET, ZsetView};
use engine::{Collection, Item, Key, Transaction};
use resp::Version;

use super::keys::delete;
use super::{CommandError, Reply};
pub(super) use add::Adding;
pub(super) use number::number;
use number::without_sign;
pub use rows::COMMANDS;

/// The sorted set that a key holds, if it holds anything.
pub(super) fn zset(item: Option<Item<'_>>) -> Result<Option<ZsetView<'_>>, CommandError> {
    Ok(item.map(|item| item.zset()).transpose()?)
}

/// Answers members, with their scores when asked for: one after the other in RESP2, in pairs in RESP3.
fn write_members<'a>(
    reply: &mut Reply<'_>,
    count: usize,
    with_scores: bool,
    members: impl Iterator<Item = (&'a [u8], f64)>,
) {
    let mut out = reply.write();
    let in_pairs = with_scores && out.version() == Version::Resp3;
    out.array(if with_scores && !in_pairs { 2 * count } else { count });
    for (member, score) in members {
        if in_pairs {
            out.array(2);
        }
        out.bulk(member);
        if with_scores {
            out.double(score);
        }
    }
}

/// Members of one operation of a set that is stored.
const STORED_AT_ONCE: usize = 1000;

/// A sorted set of these members.
pub(super) fn collected<'a>(members: impl Iterator<Item = (&'a [u8], f64)>, limits: &Limits) -> Collection {
    let mut collection = Collection::new(ZSET);
    let mut members = members.peekable();
    let mut buffer = Vec::new();
    while members.peek().is_some() {
        let mut op = Op::in_buffer(buffer, op::ZSET_ADD);
        for (member, score) in members.by_ref().take(STORED_AT_ONCE) {
            op.score(without_sign(score)).element(member);
        }
        collection.apply(&op, limits);
        buffer = op.into_buffer();
    }
    collection
}

/// Puts a whole sorted set at a key, whatever that held, and answers its length. One without members leaves no key.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
    collection: Collection,
    event: &'static str,
    reply: &mut Reply<'_>,
) {
    reply.integer(collection.len() as i64);
    if collection.is_empty() {
        delete(transaction, key);
    } else {
        transaction.set_collection(key, collection, None);
        transaction.notify(Class::SortedSet, event, key);
    }
}
