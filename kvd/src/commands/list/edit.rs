//! LSET, LINSERT, LREM, LTRIM.

use std::ops::Range;

use engine::listener::Class;
use engine::value::ListView;
use engine::value::op::{self, Op};
use engine::{Item, Transaction};
use resp::{Request, exact_integer};

use super::super::args::{index_range, integer, is};
use super::super::error::{INDEX_RANGE, NO_SUCH_KEY, NOT_SYMMETRIC, SYNTAX};
use super::super::{Call, Done, Reply};
use super::End;
use super::read::index;

pub(super) fn lset(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let length = transaction.get(key).ok_or(NO_SUCH_KEY)?.list()?.len();
    let index = index(integer(call.arg(2))?, length).ok_or(INDEX_RANGE)?;
    let mut set = Op::new(op::LIST_SET);
    set.number(index as u64).element(call.arg(3));
    transaction.apply_and_tell(key, &set, Class::List, "lset")?;
    reply.ok();
    Ok(())
}

pub(super) fn linsert(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let behind = match call.arg(2) {
        word if is(word, "BEFORE") => 0,
        word if is(word, "AFTER") => 1,
        _ => return Err(SYNTAX),
    };
    let (key, pivot) = (&call.keys[0], call.arg(3));
    let Some(item) = transaction.get(key) else {
        reply.integer(0);
        return Ok(());
    };
    let list = item.list()?;
    let length = list.len() as i64;
    let Some(index) = list.iter_from(0).position(|element| element == pivot) else {
        reply.integer(-1);
        return Ok(());
    };
    let mut insert = Op::new(op::LIST_INSERT);
    insert.number((index + behind) as u64).element(call.arg(4));
    transaction.apply_and_tell(key, &insert, Class::List, "linsert")?;
    reply.integer(length + 1);
    Ok(())
}

pub(super) fn ltrim(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let (start, stop) = (integer(call.arg(2))?, integer(call.arg(3))?);
    let key = &call.keys[0];
    let length = transaction.get(key).map(|item| item.list()).transpose()?.map(|list| list.len());
    if let Some(length) = length {
        let range = index_range(start, stop, length);
        for (count, end) in [(range.start, End::Left), (length - range.end, End::Right)] {
            if count > 0 {
                transaction.apply(key, Op::new(end.pop().0).number(count as u64))?;
            }
        }
        transaction.notify(Class::List, "ltrim", key);
        if range.is_empty() {
            transaction.notify(Class::Generic, "del", key);
        }
    }
    reply.ok();
    Ok(())
}

pub(super) fn lrem(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let count = integer(call.arg(2))?;
    if count == i64::MIN {
        return Err(NOT_SYMMETRIC);
    }
    let (key, unwanted) = (&call.keys[0], call.arg(3));
    let Some(item) = transaction.get(key) else {
        reply.integer(0);
        return Ok(());
    };
    let runs = runs(&item.list()?, unwanted, count);
    let removed: usize = runs.iter().map(|run| run.len()).sum();
    if removed > 0 {
        let mut remove = Op::new(op::LIST_REMOVE);
        for run in runs {
            remove.number(run.start as u64).number(run.len() as u64);
        }
        transaction.apply_and_tell(key, &remove, Class::List, "lrem")?;
    }
    reply.integer(removed as i64);
    Ok(())
}

/// Bytes of a run in an operation.
const RUN_BYTES: u64 = 16;

/// The runs of elements that equal another, by rising index: so many from the front, or from the back when the count is
/// negative; all when it is 0.
fn runs(list: &ListView<'_>, unwanted: &[u8], count: i64) -> Vec<Range<usize>> {
    let most = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let mut runs: Vec<Range<usize>> = Vec::new();
    if count < 0 {
        let found = list.iter_back_from(usize::MAX).enumerate().filter(|(_, element)| *element == unwanted);
        for index in found.map(|(index, _)| list.len() - 1 - index).take(most) {
            match runs.last_mut() {
                Some(run) if run.start == index + 1 => run.start = index,
                _ => runs.push(index..index + 1),
            }
        }
        runs.reverse();
    } else {
        let found = list.iter_from(0).enumerate().filter(|(_, element)| *element == unwanted);
        for index in found.map(|(index, _)| index).take(most) {
            match runs.last_mut() {
                Some(run) if run.end == index => run.end = index + 1,
                _ => runs.push(index..index + 1),
            }
        }
    }
    runs
}

/// What LREM logs: little, unless it takes many runs out of a long list, which are counted then.
pub(super) fn runs_bytes(request: &Request<'_>, item: Item<'_>) -> u64 {
    let count = request.get(2).and_then(exact_integer).unwrap_or(0).unsigned_abs();
    let Ok(list) = item.list() else { return 0 };
    let most = if count == 0 { list.len() as u64 } else { count.min(list.len() as u64) };
    if most < MANY_RUNS {
        return most * RUN_BYTES;
    }
    let unwanted = request.get(3).unwrap_or_default();
    list.iter_from(0).filter(|element| *element == unwanted).count() as u64 * RUN_BYTES
}

/// Fewer runs than this are not worth counting.
const MANY_RUNS: u64 = 4 << 10;
