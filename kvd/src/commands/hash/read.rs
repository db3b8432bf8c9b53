//! Looking at hashes: fields by name, all of them, some by chance, or a few at a time.

use engine::random::Random;
use engine::value::HashView;
use resp::Version;

use super::super::args::{integer, is};
use super::super::error::{OUT_OF_RANGE, RANDOM_COUNT, SYNTAX};
use super::super::keys::Names;
use super::super::scan::{self, Options, Scanned};
use super::super::{Call, Command, Done, Flag, Group, Reply, View};
use super::hash;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("HGET", "@key field", hget)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .doc("Returns the value of a field."),
    Command::read("HMGET", "@key field ...", hmget)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields asked for")
        .doc("Returns the values of several fields."),
    Command::read("HGETALL", "@key", hgetall)
        .whole()
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns all fields and their values."),
    Command::read("HKEYS", "@key", hkeys)
        .whole()
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns the names of all fields."),
    Command::read("HVALS", "@key", hvals)
        .whole()
        .group(Group::Hash)
        .since("2.0.0")
        .cost("O(N), N being the number of fields")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns the values of all fields."),
    Command::read("HLEN", "@key", hlen)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .key_flags(&["RO"])
        .doc("Returns the number of fields."),
    Command::read("HSTRLEN", "@key field", hstrlen)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("3.2.0")
        .key_flags(&["RO"])
        .doc("Returns the length of a field's value in bytes."),
    Command::read("HEXISTS", "@key field", hexists)
        .flags(&[Flag::Fast])
        .group(Group::Hash)
        .since("2.0.0")
        .key_flags(&["RO"])
        .doc("Returns whether a field exists."),
    Command::read("HRANDFIELD", "@key [count:int [WITHVALUES]]", hrandfield)
        .random()
        .group(Group::Hash)
        .since("6.2.0")
        .cost("O(N), N being the number of fields returned")
        .tips(&["nondeterministic_output"])
        .doc("Returns fields drawn by chance."),
    Command::read("HSCAN", "@key cursor:int [MATCH pattern:pattern] [COUNT count:int] [NOVALUES]", hscan)
        .group(Group::Hash)
        .since("2.8.0")
        .cost("O(COUNT) for a call, O(N) for all of them, N being the number of fields")
        .tips(&["nondeterministic_output"])
        .doc("Returns some fields and a cursor to go on with; every field that stays is returned at least once."),
];

fn hget(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    match hash.and_then(|hash| hash.get(call.arg(2))) {
        Some(field) => reply.bulk(field.value),
        None => reply.null(),
    }
    Ok(())
}

fn hmget(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.write().array(call.len() - 2);
    for name in call.request.iter().skip(2) {
        match hash.and_then(|hash| hash.get(name)) {
            Some(field) => reply.bulk(field.value),
            None => reply.null(),
        }
    }
    Ok(())
}

fn hgetall(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.write().map(hash.map_or(0, |hash| hash.shown()));
    for (name, field) in hash.iter().flat_map(HashView::iter) {
        reply.bulk(name);
        reply.bulk(field.value);
    }
    Ok(())
}

fn hkeys(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.write().array(hash.map_or(0, |hash| hash.shown()));
    hash.iter().flat_map(HashView::iter).for_each(|(name, _)| reply.bulk(name));
    Ok(())
}

fn hvals(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.write().array(hash.map_or(0, |hash| hash.shown()));
    hash.iter().flat_map(HashView::iter).for_each(|(_, field)| reply.bulk(field.value));
    Ok(())
}

fn hlen(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    reply.integer(hash(view.get(&call.keys[0]))?.map_or(0, |hash| hash.shown()) as i64);
    Ok(())
}

fn hstrlen(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.integer(hash.and_then(|hash| hash.get(call.arg(2))).map_or(0, |field| field.value.len()) as i64);
    Ok(())
}

fn hexists(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let hash = hash(view.get(&call.keys[0]))?;
    reply.integer(i64::from(hash.is_some_and(|hash| hash.get(call.arg(2)).is_some())));
    Ok(())
}

fn hscan(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let cursor = scan::parse_cursor(call.arg(2))?;
    let mut found = Names::default();
    let mut next = 0;
    // What is wrong with the options of a key that is not there, Redis does not say.
    if let Some(hash) = hash(view.get(&call.keys[0]))? {
        let options = Options::parse(call, 2, Scanned::Fields)?;
        next = hash.scan(cursor, options.count, |name, field| {
            if options.matches(name) {
                found.push(name);
                if !options.without_values {
                    found.push(field.value);
                }
            }
        });
    }
    scan::answer(reply, next, found);
    Ok(())
}

/// How often chance may hit a field that has gone, or one that was drawn before, until all are listed.
const TRIES: usize = 64;
/// Fields drawn with repetition in one call, at most: they would fill the client's buffer.
const MOST_REPEATED: u64 = 1 << 24;

fn hrandfield(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let mut random = Random::new(call.chance);
    if call.len() == 2 {
        let hash = hash(view.get(&call.keys[0]))?;
        match hash.and_then(|hash| one(&hash, &mut random)) {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = integer(call.arg(2))?;
    if count == i64::MIN {
        return Err(RANDOM_COUNT);
    }
    let with_values = match call.len() {
        3 => false,
        4 if is(call.arg(3), "WITHVALUES") => true,
        _ => return Err(SYNTAX),
    };
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 || count < 0 && count.unsigned_abs() > MOST_REPEATED {
        return Err(OUT_OF_RANGE);
    }
    let Some(hash) = hash(view.get(&call.keys[0]))?.filter(|_| count != 0) else {
        reply.write().array(0);
        return Ok(());
    };
    let drawn = Drawn::new(&hash, count, &mut random);
    let nested = with_values && reply.version() == Version::Resp3;
    reply.write().array(if with_values && !nested { 2 * drawn.len() } else { drawn.len() });
    drawn.each(&mut random, |name, value| {
        if nested {
            reply.write().array(2);
        }
        reply.bulk(name);
        if with_values {
            reply.bulk(value);
        }
    });
    Ok(())
}

/// One field.
fn one<'h>(hash: &HashView<'h>, random: &mut Random) -> Option<&'h [u8]> {
    let hit = (0..TRIES).find_map(|_| hash.at(random.below(hash.len().max(1) as u64) as usize));
    hit.or_else(|| hash.iter().next()).map(|(name, _)| name)
}

/// Fields that were drawn, or are to be drawn again and again.
enum Drawn<'h> {
    Once(Vec<(&'h [u8], &'h [u8])>),
    Repeated(Vec<(&'h [u8], &'h [u8])>, usize),
}

impl<'h> Drawn<'h> {
    /// So many different ones, or, when the number is negative, as many with repetition.
    fn new(hash: &HashView<'h>, count: i64, random: &mut Random) -> Drawn<'h> {
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count > 0 && wanted.saturating_mul(3) < hash.len() {
            let mut indices = std::collections::BTreeSet::new();
            let mut fields = Vec::with_capacity(wanted);
            for _ in 0..wanted.saturating_mul(TRIES) {
                if fields.len() == wanted {
                    return Drawn::Once(fields);
                }
                let index = random.below(hash.len() as u64) as usize;
                if let Some((name, field)) = hash.at(index).filter(|_| indices.insert(index)) {
                    fields.push((name, field.value));
                }
            }
        }
        let mut all: Vec<(&[u8], &[u8])> = hash.iter().map(|(name, field)| (name, field.value)).collect();
        if count < 0 {
            let times = if all.is_empty() { 0 } else { wanted };
            return Drawn::Repeated(all, times);
        }
        // The first part of a shuffle is a fair choice; all of them need no shuffle.
        if wanted < all.len() {
            for index in 0..wanted {
                let other = index + random.below((all.len() - index) as u64) as usize;
                all.swap(index, other);
            }
            all.truncate(wanted);
        }
        Drawn::Once(all)
    }

    fn len(&self) -> usize {
        match self {
            Drawn::Once(fields) => fields.len(),
            Drawn::Repeated(_, times) => *times,
        }
    }

    fn each(&self, random: &mut Random, mut visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Drawn::Once(fields) => fields.iter().for_each(|(name, value)| visit(name, value)),
            Drawn::Repeated(fields, times) => {
                for _ in 0..*times {
                    let (name, value) = fields[random.below(fields.len() as u64) as usize];
                    visit(name, value);
                }
            }
        }
    }
}
