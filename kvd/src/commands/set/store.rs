//! Sets that are combined and stored, over one of them too.

use engine::Transaction;
use engine::listener::Class;
use resp::Request;

use super::super::keys;
use super::combine::{self, Combine, sets_at};
use super::operations::{collect, spelled};
use super::{Call, Command, Done, Flag, Group, Reply, View};

const USAGE: &str = "@destination @key ...";
const KEY_FLAGS: &[&str] = &["OW update", "RO access"];

pub(super) const SINTERSTORE: Command = Command::write("SINTERSTORE", USAGE, sinterstore)
    .whole()
    .inline()
    .flags(&[Flag::DenyOom])
    .group(Group::Set)
    .cost("O(N*M) worst case, N being the number of members of the smallest set and M the number of sets")
    .key_flags(KEY_FLAGS)
    .growth(|request, present| sources(request, present).min().unwrap_or(0))
    .doc("Stores the members that all sets have and returns how many there are.");

pub(super) const SUNIONSTORE: Command = Command::write("SUNIONSTORE", USAGE, sunionstore)
    .whole()
    .inline()
    .flags(&[Flag::DenyOom])
    .group(Group::Set)
    .cost("O(N), N being the number of members of all sets")
    .key_flags(KEY_FLAGS)
    .growth(|request, present| sources(request, present).sum())
    .doc("Stores the members that any of the sets has and returns how many there are.");

pub(super) const SDIFFSTORE: Command = Command::write("SDIFFSTORE", USAGE, sdiffstore)
    .whole()
    .inline()
    .flags(&[Flag::DenyOom])
    .group(Group::Set)
    .cost("O(N), N being the number of members of all sets")
    .key_flags(KEY_FLAGS)
    .growth(|_, present| spelled(present(1)))
    .doc("Stores the members of the first set that no other has and returns how many there are.");

/// How long the sources are when they are stored.
fn sources(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> impl Iterator<Item = u64> {
    (1..request.len() - 1).map(|index| spelled(present(index)))
}

fn sinterstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    store(transaction, call, reply, combine::intersection, "sinterstore")
}

fn sunionstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    store(transaction, call, reply, combine::union, "sunionstore")
}

fn sdiffstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    store(transaction, call, reply, combine::difference, "sdiffstore")
}

fn store(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    combine: Combine,
    event: &'static str,
) -> Done {
    let limits = transaction.limits();
    let (key, sources) = (&call.keys[0], &call.keys[1..]);
    let mut view = View::new(transaction);
    let members = combine(&sets_at(&mut view, sources)?);
    let collection = collect(members.into_iter(), &limits);
    keys::store(transaction, key, collection, (Class::Set, event), reply);
    Ok(())
}
