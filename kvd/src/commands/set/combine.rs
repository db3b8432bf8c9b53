//! What sets have in common, what any of them has, and what only the first has.

use std::collections::HashSet;

use engine::Key;
use engine::value::{Member, SetView};
use rapidhash::fast::RandomState;
use resp::exact_integer;

use super::super::args::{integer, is};
use super::super::error::{NEGATIVE_LIMIT, NUMBER_OF_KEYS, SYNTAX, TOO_MANY_KEYS};
use super::{Call, Command, CommandError, Done, Group, Reply, View, write};

pub(super) const SINTER: Command = Command::read("SINTER", "@key ...", sinter)
    .whole()
    .group(Group::Set)
    .cost("O(N*M) worst case, N being the number of members of the smallest set and M the number of sets")
    .tips(&["nondeterministic_output_order"])
    .doc("Returns the members that all sets have.");

pub(super) const SINTERCARD: Command =
    Command::read("SINTERCARD", "numkeys:int @key ... [LIMIT limit:int]", sintercard)
        .whole()
        .group(Group::Set)
        .since("7.0.0")
        .cost("O(N*M) worst case, N being the number of members of the smallest set and M the number of sets")
        .doc("Returns how many members all sets have, at most so many.");

pub(super) const SUNION: Command = Command::read("SUNION", "@key ...", sunion)
    .whole()
    .group(Group::Set)
    .cost("O(N), N being the number of members of all sets")
    .tips(&["nondeterministic_output_order"])
    .doc("Returns the members that any of the sets has.");

pub(super) const SDIFF: Command = Command::read("SDIFF", "@key ...", sdiff)
    .whole()
    .group(Group::Set)
    .cost("O(N), N being the number of members of all sets")
    .tips(&["nondeterministic_output_order"])
    .doc("Returns the members of the first set that no other has.");

/// Several sets, some of which may be absent.
pub(super) type Sets<'v> = Vec<Option<SetView<'v>>>;

/// How sets are combined.
pub(super) type Combine = for<'v> fn(&Sets<'v>) -> Vec<Member<'v>>;

/// The sets at some keys.
pub(super) fn sets_at<'v>(view: &'v mut View<'_, '_>, keys: &[Key<'_>]) -> Result<Sets<'v>, CommandError> {
    for key in keys {
        view.get(key).map(|item| item.set()).transpose()?;
    }
    let view: &'v View<'_, '_> = view;
    Ok(keys.iter().map(|key| view.peek(key).map(|item| item.set()).transpose()).collect::<Result<_, _>>()?)
}

fn sinter(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    answer(view, call, reply, intersection)
}

fn sunion(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    answer(view, call, reply, union)
}

fn sdiff(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    answer(view, call, reply, difference)
}

fn answer(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, combine: Combine) -> Done {
    let members = combine(&sets_at(view, call.keys)?);
    reply.write().set(members.len());
    members.into_iter().for_each(|member| write(reply, member));
    Ok(())
}

fn sintercard(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let count = integer(call.arg(1)).ok().filter(|count| *count > 0).ok_or(NUMBER_OF_KEYS)?;
    let options = usize::try_from(count).ok().filter(|count| *count <= call.len() - 2).ok_or(TOO_MANY_KEYS)? + 2;
    let mut limit = usize::MAX;
    for at in (options..call.len()).step_by(2) {
        let number = call.request.get(at + 1).filter(|_| is(call.arg(at), "LIMIT")).ok_or(SYNTAX)?;
        let number = integer(number).ok().and_then(|number| usize::try_from(number).ok()).ok_or(NEGATIVE_LIMIT)?;
        limit = if number == 0 { usize::MAX } else { number };
    }
    let sets = sets_at(view, call.keys)?;
    reply.integer(in_all(&sets).take(limit).count() as i64);
    Ok(())
}

/// The members that all have.
pub(super) fn intersection<'v>(sets: &Sets<'v>) -> Vec<Member<'v>> {
    in_all(sets).collect()
}

/// The same, one after the other: those of the smallest set that all others have too, the next smallest asked first.
fn in_all<'v>(sets: &Sets<'v>) -> impl Iterator<Item = Member<'v>> {
    // A set that is absent has no members.
    let mut present: Vec<SetView<'v>> = if sets.contains_absent() { Vec::new() } else { sets.present().collect() };
    present.sort_by_key(SetView::len);
    let smallest = present.first().copied();
    let others = present.into_iter().skip(1).collect::<Vec<_>>();
    smallest
        .into_iter()
        .flat_map(|set| set.iter())
        .filter(move |member| member.with(|bytes| others.iter().all(|other| other.contains(bytes))))
}

/// The members that any has.
pub(super) fn union<'v>(sets: &Sets<'v>) -> Vec<Member<'v>> {
    let mut present = sets.present();
    let Some(first) = present.next() else { return Vec::new() };
    let mut members: Vec<Member<'v>> = first.iter().collect();
    let mut seen: Option<Distinct<'v>> = None;
    for set in present {
        let seen = seen.get_or_insert_with(|| distinct(members.iter().copied()));
        members.extend(set.iter().filter(|member| seen.insert(Spelled::of(*member))));
    }
    members
}

/// The members of the first that no other has, found in the way that looks at fewer members.
pub(super) fn difference<'v>(sets: &Sets<'v>) -> Vec<Member<'v>> {
    let Some(Some(first)) = sets.first() else { return Vec::new() };
    let mut others: Vec<SetView<'v>> = sets[1..].iter().flatten().copied().collect();
    // To ask the others mostly ends early: a set that has the member is soon found.
    let asked = first.len().saturating_mul(1 + others.len()) / 2;
    let all = first.len() + others.iter().map(SetView::len).sum::<usize>();
    if asked <= all {
        others.sort_by_key(|other| std::cmp::Reverse(other.len()));
        let is_in = |bytes: &[u8]| others.iter().any(|other| other.contains(bytes));
        return first.iter().filter(|member| !member.with(is_in)).collect();
    }
    let mut left = distinct(first.iter());
    for member in others.iter().flat_map(SetView::iter) {
        if left.is_empty() {
            break;
        }
        left.remove(&Spelled::of(member));
    }
    first.iter().filter(|member| left.contains(&Spelled::of(*member))).collect()
}

/// A member as all sets have it: one that is an integer may be kept as bytes.
#[derive(PartialEq, Eq, Hash)]
enum Spelled<'v> {
    Integer(i64),
    Bytes(&'v [u8]),
}

impl<'v> Spelled<'v> {
    fn of(member: Member<'v>) -> Spelled<'v> {
        match member {
            Member::Integer(integer) => Spelled::Integer(integer),
            Member::Bytes(bytes) => exact_integer(bytes).map_or(Spelled::Bytes(bytes), Spelled::Integer),
        }
    }
}

type Distinct<'v> = HashSet<Spelled<'v>, RandomState>;

fn distinct<'v>(members: impl Iterator<Item = Member<'v>>) -> Distinct<'v> {
    members.map(Spelled::of).collect()
}

trait Several<'v> {
    fn contains_absent(&self) -> bool;
    fn present(&self) -> impl Iterator<Item = SetView<'v>>;
}

impl<'v> Several<'v> for Sets<'v> {
    fn contains_absent(&self) -> bool {
        self.iter().any(Option::is_none)
    }

    fn present(&self) -> impl Iterator<Item = SetView<'v>> {
        self.iter().flatten().copied()
    }
}
