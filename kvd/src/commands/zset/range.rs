//! ZRANGE and its older forms, ZRANGESTORE.

use std::ops::Range;

use engine::value::ZsetView;
use engine::{Key, Transaction};
use resp::Request;

use super::super::args::{integer, is};
use super::super::error::{LIMIT_OF_RANKS, SCORES_BY_LEX, SYNTAX};
use super::super::{Call, CommandError, Done, Reply, View};
use super::bounds::{Bounds, By};
use super::{collected, store, write_members, zset};

/// What a command says by its name alone.
#[derive(Clone, Copy)]
struct Form {
    /// Argument number of the key.
    key_at: usize,
    by: Option<By>,
    reverse: Option<bool>,
    /// The range goes to a key: there are no scores to be shown.
    stores: bool,
}

/// A range that was asked for.
struct Wanted<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// None when negative.
    limit: i64,
}

impl<'a> Wanted<'a> {
    fn parse(call: &Call<'a>, form: Form) -> Result<Wanted<'a>, CommandError> {
        let (mut by, mut reverse, mut with_scores, mut offset, mut limit) = (form.by, form.reverse, false, 0, -1);
        let mut at = form.key_at + 3;
        while at < call.len() {
            let word = call.arg(at);
            if !form.stores && is(word, "WITHSCORES") {
                with_scores = true;
            } else if is(word, "LIMIT") && at + 2 < call.len() {
                (offset, limit) = (integer(call.arg(at + 1))?, integer(call.arg(at + 2))?);
                at += 2;
            } else if reverse.is_none() && is(word, "REV") {
                reverse = Some(true);
            } else if by.is_none() && is(word, "BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && is(word, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(LIMIT_OF_RANKS);
        }
        if with_scores && by == By::Member {
            return Err(SCORES_BY_LEX);
        }
        let (mut low, mut high) = (call.arg(form.key_at + 1), call.arg(form.key_at + 2));
        if reverse && by != By::Rank {
            (low, high) = (high, low);
        }
        Ok(Wanted { bounds: Bounds::parse(by, low, high)?, reverse, with_scores, offset, limit })
    }

    /// The ranks to be shown.
    fn ranks(&self, zset: &ZsetView<'_>) -> Range<usize> {
        if let Bounds::Ranks(..) = self.bounds {
            return if self.reverse { self.bounds.ranks_from_above(zset) } else { self.bounds.ranks(zset) };
        }
        let ranks = self.bounds.ranks(zset);
        // As in Redis a negative offset skips all.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        let start = if self.reverse { ranks.end - skipped - shown } else { ranks.start + skipped };
        start..start + shown
    }

    /// Calls with as many members as there are and each of them in order.
    fn visit<'z, T>(
        &self,
        zset: &ZsetView<'z>,
        take: impl FnOnce(usize, &mut dyn Iterator<Item = (&'z [u8], f64)>) -> T,
    ) -> T {
        let ranks = self.ranks(zset);
        if ranks.is_empty() {
            return take(0, &mut std::iter::empty());
        }
        match self.reverse {
            false => take(ranks.len(), &mut zset.from_rank(ranks.start).take(ranks.len())),
            true => take(ranks.len(), &mut zset.back_from_rank(ranks.end - 1).take(ranks.len())),
        }
    }
}

const ANY: Form = Form { key_at: 1, by: None, reverse: None, stores: false };

pub(super) fn zrange(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, ANY)
}

pub(super) fn zrevrange(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form { by: Some(By::Rank), reverse: Some(true), ..ANY })
}

pub(super) fn zrangebyscore(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form { by: Some(By::Score), reverse: Some(false), ..ANY })
}

pub(super) fn zrevrangebyscore(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form { by: Some(By::Score), reverse: Some(true), ..ANY })
}

pub(super) fn zrangebylex(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form { by: Some(By::Member), reverse: Some(false), ..ANY })
}

pub(super) fn zrevrangebylex(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form { by: Some(By::Member), reverse: Some(true), ..ANY })
}

fn show(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, form: Form) -> Done {
    let wanted = Wanted::parse(call, form)?;
    match zset(view.get(&call.keys[0]))? {
        Some(zset) => wanted.visit(&zset, |count, members| write_members(reply, count, wanted.with_scores, members)),
        None => reply.write().array(0),
    }
    Ok(())
}

pub(super) fn zrangestore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let wanted = Wanted::parse(call, Form { key_at: 2, stores: true, ..ANY })?;
    let limits = transaction.limits();
    let [destination, source]: [Key<'_>; 2] = [call.keys[0], call.keys[1]];
    let collection = match zset(transaction.get(&source))? {
        Some(zset) => wanted.visit(&zset, |_, members| collected(members, &limits)),
        None => collected(std::iter::empty(), &limits),
    };
    store(transaction, &destination, collection, "zrangestore", reply);
    Ok(())
}

/// What is stored may be all of the source.
pub(super) fn stored_bytes(_request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    present(1)
}
