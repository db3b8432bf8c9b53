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
use engine::value::op;
use engine::value::{Limits, ZsetView};
use engine::{Collection, Item, Key, Transaction};
use resp::Version;

use super::keys;
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

/// Bytes that a sorted set may take whose members are in a set or sorted set of `image` bytes: a score takes up to 9 bytes for
/// none or one, and there are only a few hundred members of less than two bytes, which all fit in the constant.
pub(super) fn rescored_bytes(image: u64) -> u64 {
    if image == 0 { 0 } else { 5 * image + (16 << 10) }
}

/// A sorted set of these members.
pub(super) fn collected<'a>(members: impl Iterator<Item = (&'a [u8], f64)>, limits: &Limits) -> Collection {
    Collection::of(op::ZSET_ADD, limits, members, |op, (member, score)| {
        op.score(without_sign(score)).element(member);
    })
}

/// Puts a whole sorted set at a key and answers its length.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
    collection: Collection,
    event: &'static str,
    reply: &mut Reply<'_>,
) {
    keys::store(transaction, key, collection, (Class::SortedSet, event), reply);
}
