//! SORT: the elements of a list, a set or a sorted set, in an order that other keys may give.

use std::cmp::Ordering;

use engine::listener::Class;
use engine::value::{LIST, SET, ZSET, op};
use engine::{Collection, Transaction};
use resp::Request;

use super::args::{integer, is};
use super::error::{SORT_BY_DENIED, SORT_GET_DENIED, SORT_NUMBER, SYNTAX, UNREADABLE, WRONG_TYPE};
use super::keys;
use super::touch::Permission;
use super::{Call, Command, CommandError, Done, Flag, Reply, View};

const USAGE: &str =
    "@key [BY by-pattern:pattern] [LIMIT offset:int count:int] [GET get-pattern:pattern] [ASC | DESC] [ALPHA]";
const COST: &str = "O(N+M*log(M)), N being the number of elements and M the number of those returned";

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write(
        "SORT",
        "@key [BY by-pattern:pattern] [LIMIT offset:int count:int] [GET get-pattern:pattern] [ASC | DESC] [ALPHA] [STORE @destination]",
        sort,
    ).whole()
    .flags(&[Flag::DenyOom, Flag::Dangerous, Flag::OfCollections])
    .cost(COST)
    .key_flags(&["RO access", "OW update"])
    .widens(widens)
    .reaches(reaches)
    .growth(growth)
    .doc("Returns or stores the elements of a list, a set or a sorted set in order."),
    Command::read("SORT_RO", USAGE, sort_ro).whole()
        .flags(&[Flag::Dangerous, Flag::OfCollections])
        .since("7.0.0")
        .cost(COST)
        .key_flags(&["RO access"])
        .widens(widens)
        .reaches(reaches)
        .doc("Returns the elements of a list, a set or a sorted set in order."),
];

/// Whether other keys are looked at.
fn widens(request: &Request<'_>) -> bool {
    let words: Vec<&[u8]> = request.iter().skip(2).collect();
    words.windows(2).any(|pair| is(pair[0], "BY") && pair[1].contains(&b'*') || is(pair[0], "GET") && pair[1] != b"#")
}

/// Other keys are looked at for those only who may look at every key.
fn reaches(request: &Request<'_>) -> Option<(Permission, CommandError)> {
    let words: Vec<&[u8]> = request.iter().skip(2).collect();
    words.windows(2).find_map(|pair| match pair[0] {
        word if is(word, "BY") && pair[1].contains(&b'*') => Some((Permission::READ, SORT_BY_DENIED)),
        word if is(word, "GET") => Some((Permission::READ, SORT_GET_DENIED)),
        _ => None,
    })
}

/// An element's lengths in a list, at most.
const PER_ELEMENT: u64 = 16;

/// What is stored is at most what is sorted, about. What GET brings instead is known when it is there.
fn growth(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    if request.iter().skip(2).any(|word| is(word, "STORE")) { present(0) } else { 0 }
}

/// What SORT is asked for.
#[derive(Default)]
struct Wanted<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    limit: Option<(i64, i64)>,
    descending: bool,
    alpha: bool,
    store: Option<usize>,
}

impl<'a> Wanted<'a> {
    fn parse(call: &Call<'a>, may_store: bool) -> Result<Wanted<'a>, CommandError> {
        let mut wanted = Wanted::default();
        let mut at = 2;
        while at < call.len() {
            let (word, left) = (call.arg(at), call.len() - at - 1);
            if is(word, "ASC") {
                wanted.descending = false;
            } else if is(word, "DESC") {
                wanted.descending = true;
            } else if is(word, "ALPHA") {
                wanted.alpha = true;
            } else if is(word, "LIMIT") && left >= 2 {
                wanted.limit = Some((integer(call.arg(at + 1))?, integer(call.arg(at + 2))?));
                at += 2;
            } else if is(word, "STORE") && left >= 1 && may_store {
                wanted.store = Some(at + 1);
                at += 1;
            } else if is(word, "BY") && left >= 1 {
                wanted.by = Some(call.arg(at + 1));
                at += 1;
            } else if is(word, "GET") && left >= 1 {
                wanted.get.push(call.arg(at + 1));
                at += 1;
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        Ok(wanted)
    }

    /// A pattern without a star stands for no order at all.
    fn keeps_order(&self) -> bool {
        self.by.is_some_and(|by| !by.contains(&b'*'))
    }
}

/// An element with what it is ordered by.
struct Sorted {
    element: Vec<u8>,
    score: f64,
    /// What ALPHA compares when there is a pattern; an element without is before all others.
    text: Option<Vec<u8>>,
}

fn sort(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let wanted = Wanted::parse(call, true)?;
    let Some(store_at) = wanted.store else {
        let results = run(transaction, call, &wanted)?;
        write(results, reply);
        return Ok(());
    };
    let results = run(transaction, call, &wanted)?;
    if engine::cold::is_missed() {
        // It will run again when that has been read, and has changed nothing until then.
        return Err(UNREADABLE);
    }
    let name = call.arg(store_at);
    let Some(key) = call.keys.iter().rev().find(|key| key.bytes == name) else { return Err(SYNTAX) };
    let bytes = |result: &Option<Vec<u8>>| result.as_ref().map_or(0, Vec::len) as u64 + PER_ELEMENT;
    call.make_room(results.iter().map(bytes).sum())?;
    let limits = transaction.limits();
    let list = Collection::of(op::LIST_PUSH_BACK, &limits, &results, |op, element| {
        op.element(element.as_deref().unwrap_or_default());
    });
    keys::store(transaction, key, list, (Class::List, "sortstore"), reply);
    Ok(())
}

fn sort_ro(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let wanted = Wanted::parse(call, false)?;
    let results = run(view.transaction(), call, &wanted)?;
    write(results, reply);
    Ok(())
}

fn write(results: Vec<Option<Vec<u8>>>, reply: &mut Reply<'_>) {
    reply.write().array(results.len());
    for result in results {
        match result {
            Some(bytes) => reply.bulk(&bytes),
            None => reply.null(),
        }
    }
}

/// The elements asked for, or what GET finds for each.
fn run(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Option<Vec<u8>>>, CommandError> {
    let keeps_order = wanted.keeps_order();
    let Some(item) = transaction.get(&call.keys[0]) else { return Ok(Vec::new()) };
    let value_type = item.value_type();
    let elements: Vec<Vec<u8>> = match value_type {
        LIST => item.list()?.iter_from(0).map(<[u8]>::to_vec).collect(),
        SET => item.set()?.iter().map(|member| member.with(<[u8]>::to_vec)).collect(),
        ZSET => {
            let mut members: Vec<Vec<u8>> = item.zset()?.from_rank(0).map(|(member, _)| member.to_vec()).collect();
            if keeps_order && wanted.descending {
                members.reverse();
            }
            members
        }
        _ => return Err(WRONG_TYPE),
    };
    // A set has no order of its own that a stored result could show.
    let alpha_of_set = keeps_order && value_type == SET && wanted.store.is_some();
    let sorts = !keeps_order || alpha_of_set;
    let alpha = wanted.alpha || alpha_of_set;
    let by = if alpha_of_set { None } else { wanted.by };
    let mut sorted = Vec::with_capacity(elements.len());
    for element in elements {
        let mut one = Sorted { element, score: 0.0, text: None };
        if sorts {
            let weight = match by {
                Some(pattern) => follow(transaction, pattern, &one.element),
                None => Some(one.element.clone()),
            };
            match (alpha, weight) {
                (true, weight) => one.text = weight,
                (false, Some(weight)) => one.score = number(&weight)?,
                (false, None) => {}
            }
        }
        sorted.push(one);
    }
    if sorts {
        sorted.sort_by(|a, b| {
            let order = compare(a, b, alpha);
            if wanted.descending { order.reverse() } else { order }
        });
    }
    let range = match wanted.limit {
        None => 0..sorted.len(),
        Some((offset, count)) => {
            let start = usize::try_from(offset).unwrap_or(0).min(sorted.len());
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            start..start.saturating_add(count).min(sorted.len())
        }
    };
    let chosen = sorted.drain(range);
    if wanted.get.is_empty() {
        return Ok(chosen.map(|one| Some(one.element)).collect());
    }
    let mut results = Vec::new();
    for one in chosen {
        results.extend(wanted.get.iter().map(|pattern| follow(transaction, pattern, &one.element)));
    }
    Ok(results)
}

fn compare(a: &Sorted, b: &Sorted, alpha: bool) -> Ordering {
    if alpha {
        return a.text.cmp(&b.text);
    }
    // Equal scores are ordered by their bytes, so that the result is the same each time.
    a.score.partial_cmp(&b.score).unwrap_or(Ordering::Equal).then_with(|| a.element.cmp(&b.element))
}

/// What a pattern leads to for an element: itself for `#`, the string at a key, or a field of the hash at a key.
fn follow(transaction: &mut Transaction<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, behind) = (&pattern[..star], &pattern[star + 1..]);
    // An arrow with a field's name behind it.
    let arrow = behind.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < behind.len());
    let (behind, field) = match arrow {
        Some(at) => (&behind[..at], Some(&behind[at + 2..])),
        None => (behind, None),
    };
    let key = [before, element, behind].concat();
    let key = transaction.key(&key);
    let item = transaction.get(&key)?;
    match field {
        Some(field) => item.hash().ok()?.get(field).map(|field| field.value.to_vec()),
        None => item.string().ok().map(<[u8]>::to_vec),
    }
}

fn number(bytes: &[u8]) -> Result<f64, CommandError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SORT_NUMBER)?;
    if text.is_empty() {
        return Ok(0.0);
    }
    text.parse::<f64>().ok().filter(|number| !number.is_nan()).ok_or(SORT_NUMBER)
}
