//! Members drawn at random: SPOP takes them out, SRANDMEMBER does not.

use std::collections::HashSet;

use engine::Transaction;
use engine::listener::Class;
use engine::random::Random;
use engine::value::op::{self, Op};
use engine::value::{Member, SetView};
use rapidhash::fast::RandomState;
use resp::Request;

use super::super::args::integer;
use super::super::error::{NOT_POSITIVE, RANDOM_COUNT_RANGE, SYNTAX};
use super::super::keys::delete;
use super::operations::{collect, spelled};
use super::{Call, Command, CommandError, Done, Flag, Group, Reply, View, set_at, write};

pub(super) const SPOP: Command = Command::write("SPOP", "@key [count:int]", spop)
    .flags(&[Flag::Fast, Flag::Shrinks])
    .group(Group::Set)
    .cost("O(N), N being the number of members to be taken")
    .key_flags(&["RW access delete"])
    .tips(&["nondeterministic_output"])
    .random()
    .growth(growth)
    .doc("Takes random members out of a set and returns them.");

pub(super) const SRANDMEMBER: Command = Command::read("SRANDMEMBER", "@key [count:int]", srandmember)
    .group(Group::Set)
    .cost("O(N), N being the number of members to be returned")
    .tips(&["nondeterministic_output"])
    .random()
    .doc("Returns random members of a set: different ones, or any when the count is negative.");

/// What is drawn is logged: no more than there is, and about as much as members of a sensible length take.
fn growth(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    let count = request.get(2).map_or(1, |count| integer(count).map_or(0, |count| count.max(0) as u64));
    if count == 0 { 0 } else { spelled(present(0)).min(count.saturating_mul(SENSIBLE_BYTES)) }
}

/// Hardly any member is longer. To ask for more would refuse SPOP of a large set on a disk that is nearly full.
const SENSIBLE_BYTES: u64 = 1 << 20;

/// When so many times what stays is less than what goes, what stays is logged.
const FEW_STAY: usize = 5;

/// The argument that says how many, if there is one.
fn count<'a>(call: &Call<'a>) -> Result<Option<&'a [u8]>, CommandError> {
    if call.len() > 3 { Err(SYNTAX) } else { Ok(call.request.get(2)) }
}

fn spop(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let count = match count(call)? {
        Some(count) => Some(integer(count).ok().and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)?),
        None => None,
    };
    let limits = transaction.limits();
    let Some(item) = transaction.get(key) else {
        if count.is_some() {
            reply.write().set(0)
        } else {
            reply.null()
        }
        return Ok(());
    };
    let (set, deadline) = (item.set()?, item.deadline());
    let mut random = Random::new(call.chance);
    let goes = count.unwrap_or(1).min(set.len());
    let stays = set.len() - goes;
    if count.is_some() {
        reply.write().set(goes);
    }
    if goes == 0 {
        return Ok(());
    }
    if stays == 0 {
        set.iter().for_each(|member| write(reply, member));
        transaction.notify(Class::Set, "spop", key);
        delete(transaction, key);
        return Ok(());
    }
    if stays.saturating_mul(FEW_STAY) > goes {
        let mut drawn = Op::new(op::SET_REMOVE);
        for member in different(&set, goes, &mut random) {
            write(reply, member);
            member.with(|bytes| {
                drawn.element(bytes);
            });
        }
        transaction.apply(key, &drawn)?;
    } else {
        let mut kept = vec![false; set.len()];
        sample(set.len(), stays, &mut random).into_iter().for_each(|index| kept[index] = true);
        let kept = || kept.iter().copied();
        set.iter().zip(kept()).filter(|(_, kept)| !kept).for_each(|(member, _)| write(reply, member));
        let left = set.iter().zip(kept()).filter_map(|(member, kept)| kept.then_some(member));
        let left = collect(left, &limits);
        transaction.set_collection(key, left, deadline);
    }
    transaction.notify(Class::Set, "spop", key);
    Ok(())
}

fn srandmember(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let Some(count) = count(call)? else { return one(view, call, reply) };
    let count = integer(count)?;
    let wanted = usize::try_from(count.checked_abs().ok_or(RANDOM_COUNT_RANGE)?).unwrap_or(usize::MAX);
    if count < 0 && wanted > MOST_REPEATED {
        return Err(RANDOM_COUNT_RANGE);
    }
    let set = set_at(view, &call.keys[0])?.filter(|_| wanted != 0);
    let Some(set) = set else {
        reply.write().array(0);
        return Ok(());
    };
    let mut random = Random::new(call.chance);
    if count > 0 {
        reply.write().array(wanted.min(set.len()));
        different(&set, wanted, &mut random).into_iter().for_each(|member| write(reply, member));
        return Ok(());
    }
    reply.write().array(wanted);
    let members = Indexed::new(&set);
    for _ in 0..wanted {
        // The count is the client's alone: what it does not get is not drawn.
        if reply.is_lost() {
            break;
        }
        if let Some(member) = members.at(random.below(set.len() as u64) as usize) {
            write(reply, member);
        }
    }
    Ok(())
}

fn one(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let set = set_at(view, &call.keys[0])?;
    let drawn = set.and_then(|set| set.at(Random::new(call.chance).below(set.len() as u64) as usize));
    match drawn {
        Some(member) => write(reply, member),
        None => reply.null(),
    }
    Ok(())
}

/// So many different members; all when there are no more.
fn different<'s>(set: &SetView<'s>, count: usize, random: &mut Random) -> Vec<Member<'s>> {
    match count {
        _ if count >= set.len() => set.iter().collect(),
        1 => set.at(random.below(set.len() as u64) as usize).into_iter().collect(),
        _ => {
            let members = Indexed::new(set);
            sample(set.len(), count, random).into_iter().filter_map(|index| members.at(index)).collect()
        }
    }
}

/// A set whose members can all be found at once by their index.
enum Indexed<'s> {
    Set(SetView<'s>),
    /// Each of these would have to be walked to.
    Listed(Vec<Member<'s>>),
}

impl<'s> Indexed<'s> {
    fn new(set: &SetView<'s>) -> Indexed<'s> {
        match set {
            SetView::Packed(_) => Indexed::Listed(set.iter().collect()),
            SetView::Ints(_) | SetView::Table(_) => Indexed::Set(*set),
        }
    }

    fn at(&self, index: usize) -> Option<Member<'s>> {
        match self {
            Indexed::Set(set) => set.at(index),
            Indexed::Listed(members) => members.get(index).copied(),
        }
    }
}

/// So many different numbers below `bound`, in random order; `count` is not above it.
fn sample(bound: usize, count: usize, random: &mut Random) -> Vec<usize> {
    if count.saturating_mul(MANY) > bound {
        let mut all: Vec<usize> = (0..bound).collect();
        for index in 0..count {
            all.swap(index, index + random.below((bound - index) as u64) as usize);
        }
        all.truncate(count);
        return all;
    }
    let mut drawn = Vec::with_capacity(count);
    let mut seen = HashSet::with_capacity_and_hasher(count, RandomState::default());
    while drawn.len() < count {
        let index = random.below(bound as u64) as usize;
        if seen.insert(index) {
            drawn.push(index);
        }
    }
    drawn
}

/// Most members that are drawn with repetition: as many as the caller likes would be a reply of any length.
const MOST_REPEATED: usize = 1 << 24;
/// When a part larger than one of so many is wanted, drawing again what was drawn before would take too long.
const MANY: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_different_and_every_number_is_drawn() {
        let mut random = Random::new(7);
        for count in [0, 1, 5, 10, 16, 29, 30] {
            let mut hits = [0; 30];
            for _ in 0..3000 {
                let drawn = sample(30, count, &mut random);
                assert_eq!(drawn.len(), count);
                assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), count);
                drawn.into_iter().for_each(|index| hits[index] += 1);
            }
            // Each is drawn 100 times for every one that is wanted; far less would be no accident.
            assert!(hits.iter().all(|&hits| hits >= 60 * count), "{count}: {hits:?}");
        }
    }
}
