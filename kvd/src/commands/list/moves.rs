//! LMOVE, RPOPLPUSH.

use engine::listener::Class;
use engine::value::op::Op;
use engine::{Item, Key, Transaction};
use resp::Request;

use super::super::error::SYNTAX;
use super::super::{Call, CommandError, Done, Reply};
use super::End;
use super::pop::take;

/// From which end to which an element moves.
#[derive(Clone, Copy)]
pub(super) struct Move {
    from: End,
    to: End,
}

impl Move {
    /// RPOPLPUSH
    pub(super) const ROUND: Move = Move { from: End::Right, to: End::Left };

    /// LMOVE and BLMOVE
    pub(super) fn parse(call: &Call<'_>) -> Result<Move, CommandError> {
        Ok(Move { from: End::parse(call.arg(3))?, to: End::parse(call.arg(4))? })
    }

    /// Moves an element and answers it. Whether there was one.
    pub(super) fn carry_out(
        self,
        transaction: &mut Transaction<'_>,
        [source, destination]: [&Key<'_>; 2],
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let (code, event) = self.to.push();
        let Some(item) = transaction.get(source) else { return Ok(false) };
        let list = item.list()?;
        let element = self.from.element(&list);
        let push = Op::over(code, [element]);
        reply.bulk(element);
        // First there, then off: a list that is both never becomes empty, and keeps its deadline.
        transaction.apply_and_tell(destination, &push, Class::List, event)?;
        take(transaction, source, 1, self.from)?;
        Ok(true)
    }
}

pub(super) fn lmove(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    run(transaction, call, reply, Move::parse(call)?)
}

pub(super) fn rpoplpush(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    run(transaction, call, reply, Move::ROUND)
}

fn run(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, by: Move) -> Done {
    if !by.carry_out(transaction, keys(call)?, reply)? {
        reply.null();
    }
    Ok(())
}

/// Source and destination.
pub(super) fn keys<'c>(call: &'c Call<'_>) -> Result<[&'c Key<'c>; 2], CommandError> {
    match call.keys {
        [source, destination, ..] => Ok([source, destination]),
        // The row names two.
        _ => Err(SYNTAX),
    }
}

/// The element that LMOVE and BLMOVE log again.
pub(super) fn moved_bytes(request: &Request<'_>, item: Item<'_>) -> u64 {
    let end = request.get(3).and_then(|word| End::parse(word).ok());
    end.map_or(0, |end| bytes_at(end, item))
}

/// The element that RPOPLPUSH and BRPOPLPUSH log again.
pub(super) fn last_bytes(_: &Request<'_>, item: Item<'_>) -> u64 {
    bytes_at(End::Right, item)
}

fn bytes_at(end: End, item: Item<'_>) -> u64 {
    item.list().map_or(0, |list| end.element(&list).len() as u64)
}
