//! LLEN, LRANGE, LINDEX, LPOS.

use super::super::args::{index_range, integer, is};
use super::super::error::{LPOS_COUNT, LPOS_MAXLEN, LPOS_RANK, SYNTAX};
use super::super::{Call, CommandError, Done, Reply, View};
use super::pop::at_least;

pub(super) fn llen(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let list = view.get(&call.keys[0]).map(|item| item.list()).transpose()?;
    reply.integer(list.map_or(0, |list| list.len()) as i64);
    Ok(())
}

pub(super) fn lrange(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let (start, stop) = (integer(call.arg(2))?, integer(call.arg(3))?);
    let Some(item) = view.get(&call.keys[0]) else {
        reply.write().array(0);
        return Ok(());
    };
    let list = item.list()?;
    let range = index_range(start, stop, list.len());
    reply.write().array(range.len());
    list.iter_from(range.start).take(range.len()).for_each(|element| reply.bulk(element));
    Ok(())
}

pub(super) fn lindex(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let Some(item) = view.get(&call.keys[0]) else {
        reply.null();
        return Ok(());
    };
    let list = item.list()?;
    match index(integer(call.arg(2))?, list.len()).and_then(|index| list.get(index)) {
        Some(element) => reply.bulk(element),
        None => reply.null(),
    }
    Ok(())
}

/// An index that may count from the end. `None` outside.
pub(super) fn index(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// The options of LPOS.
struct Search {
    /// The first match to be told, from 1.
    rank: u64,
    backwards: bool,
    /// How many are told, 0 for all; without COUNT only one, and not in an array.
    count: Option<usize>,
    /// Elements looked at, 0 for all.
    most: usize,
}

impl Search {
    fn parse(call: &Call<'_>) -> Result<Search, CommandError> {
        let mut search = Search { rank: 1, backwards: false, count: None, most: 0 };
        for at in (3..call.len()).step_by(2) {
            let word = call.arg(at);
            let value = call.request.get(at + 1).ok_or(SYNTAX)?;
            match () {
                () if is(word, "RANK") => match integer(value)? {
                    0 => return Err(LPOS_RANK),
                    i64::MIN => return Err(super::super::error::NOT_SYMMETRIC),
                    rank => (search.rank, search.backwards) = (rank.unsigned_abs(), rank < 0),
                },
                () if is(word, "COUNT") => search.count = Some(at_least(value, 0, LPOS_COUNT)?),
                () if is(word, "MAXLEN") => search.most = at_least(value, 0, LPOS_MAXLEN)?,
                () => return Err(SYNTAX),
            }
        }
        Ok(search)
    }

    /// The indexes of those that match, in the order in which they are looked at.
    fn matches<'a>(
        &self,
        elements: impl Iterator<Item = &'a [u8]>,
        wanted: &[u8],
        at: impl Fn(usize) -> usize,
    ) -> Vec<usize> {
        let all = |number: usize| if number == 0 { usize::MAX } else { number };
        let skipped = usize::try_from(self.rank - 1).unwrap_or(usize::MAX);
        let found = elements.take(all(self.most)).enumerate().filter(|(_, element)| *element == wanted).skip(skipped);
        found.map(|(index, _)| at(index)).take(self.count.map_or(1, all)).collect()
    }
}

pub(super) fn lpos(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let search = Search::parse(call)?;
    let wanted = call.arg(2);
    let list = view.get(&call.keys[0]).map(|item| item.list()).transpose()?;
    let found = list.map_or(Vec::new(), |list| match search.backwards {
        false => search.matches(list.iter_from(0), wanted, |index| index),
        true => search.matches(list.iter_back_from(usize::MAX), wanted, |index| list.len() - 1 - index),
    });
    match (search.count, found.first()) {
        (None, Some(index)) => reply.integer(*index as i64),
        (None, None) => reply.null(),
        (Some(_), _) => {
            reply.write().array(found.len());
            found.iter().for_each(|index| reply.integer(*index as i64));
        }
    }
    Ok(())
}
