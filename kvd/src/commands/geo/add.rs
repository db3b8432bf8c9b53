//! GEOADD: ZADD of places.

use engine::Transaction;

use super::super::args::is;
use super::super::error::SYNTAX;
use super::super::zset::Adding;
use super::super::{Call, CommandError, Done, Reply};
use super::hash::{Cell, STEPS};
use super::point;

pub(super) fn geoadd(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let mut adding = Adding::default();
    let mut first = 2;
    while first < call.len() {
        let word = call.arg(first);
        let option = [("NX", &mut adding.absent), ("XX", &mut adding.present), ("CH", &mut adding.counts_changed)]
            .into_iter()
            .find_map(|(name, option)| is(word, name).then_some(option));
        let Some(option) = option else { break };
        *option = true;
        first += 1;
    }
    let words = call.len() - first;
    if !words.is_multiple_of(3) || adding.present && adding.absent {
        return Err(SYNTAX);
    }
    let place = |at: usize| {
        let point = point(call.arg(at), call.arg(at + 1))?;
        Ok((Cell::of(point, STEPS).bits as f64, call.arg(at + 2)))
    };
    let pairs = (first..call.len()).step_by(3).map(place).collect::<Result<Vec<_>, CommandError>>()?;
    if pairs.is_empty() {
        return Err(SYNTAX);
    }
    adding.carry_out(transaction, &call.keys[0], &pairs, reply)
}
