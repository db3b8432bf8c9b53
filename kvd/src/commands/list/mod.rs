//! Lists: elements in order, pushed, popped and moved at both ends, some of it after a wait.

mod block;
mod edit;
mod moves;
mod pop;
mod push;
mod read;

use engine::value::ListView;
use engine::value::op;

use super::args::{is, is_long_range};
use super::error::SYNTAX;
use super::{Command, CommandError, Flag, Group, Reply};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("LPUSH", "@key element ...", push::lpush)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::List)
        .cost(PUSH_COST)
        .key_flags(&["RW insert"])
        .doc("Puts elements before the first of a list, one after the other."),
    Command::write("RPUSH", "@key element ...", push::rpush)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::List)
        .cost(PUSH_COST)
        .key_flags(&["RW insert"])
        .doc("Puts elements behind the last of a list."),
    Command::write("LPUSHX", "@key element ...", push::lpushx)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::List)
        .since("2.2.0")
        .cost(PUSH_COST)
        .key_flags(&["RW insert"])
        .doc("Puts elements before the first of a list that exists."),
    Command::write("RPUSHX", "@key element ...", push::rpushx)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::List)
        .since("2.2.0")
        .cost(PUSH_COST)
        .key_flags(&["RW insert"])
        .doc("Puts elements behind the last of a list that exists."),
    Command::write("LPOP", "@key [count:int]", pop::lpop)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::List)
        .cost("O(N), N being the number of elements returned")
        .key_flags(&["RW access delete"])
        .doc("Takes elements off the front of a list and returns them."),
    Command::write("RPOP", "@key [count:int]", pop::rpop)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::List)
        .cost("O(N), N being the number of elements returned")
        .key_flags(&["RW access delete"])
        .doc("Takes elements off the back of a list and returns them."),
    Command::write("LMPOP", "numkeys:int @key ... {LEFT | RIGHT} [COUNT count:int]", pop::lmpop)
        .flags(&[Flag::Shrinks])
        .group(Group::List)
        .since("7.0.0")
        .cost("O(N+M), N being the number of keys and M that of the elements returned")
        .key_flags(&["RW access delete"])
        .doc("Takes elements off an end of the first of several lists that exists."),
    Command::read("LLEN", "@key", read::llen)
        .flags(&[Flag::Fast])
        .group(Group::List)
        .key_flags(&["RO"])
        .doc("Returns the length of a list."),
    Command::read("LRANGE", "@key start:int stop:int", read::lrange)
        .whole_if(is_long_range)
        .group(Group::List)
        .cost("O(S/B+N), S being the distance from the nearer end, B the elements of a chunk, N the elements returned")
        .doc("Returns the elements from one index to another."),
    Command::read("LINDEX", "@key index:int", read::lindex)
        .group(Group::List)
        .cost("O(S/B+B), S being the distance from the nearer end and B the elements of a chunk")
        .doc("Returns the element at an index."),
    Command::read("LPOS", "@key element [RANK rank:int] [COUNT num-matches:int] [MAXLEN len:int]", read::lpos)
        .group(Group::List)
        .since("6.0.6")
        .cost("O(N), N being the number of elements looked at")
        .doc("Returns the index of elements that equal another."),
    Command::write("LSET", "@key index:int element", edit::lset)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::List)
        .cost("O(S/B+B), S being the distance from the nearer end and B the elements of a chunk")
        .key_flags(&["RW update"])
        .doc("Puts an element in the place of another."),
    Command::write("LINSERT", "@key {BEFORE | AFTER} pivot element", edit::linsert)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::List)
        .since("2.2.0")
        .cost("O(N), N being the number of elements looked at")
        .key_flags(&["RW insert"])
        .doc("Puts an element before or behind the first that equals another."),
    Command::write("LREM", "@key count:int element", edit::lrem)
        .inline()
        .flags(&[Flag::Shrinks])
        .group(Group::List)
        .cost("O(N), N being the length of the list")
        .key_flags(&["RW delete"])
        .logs_again(edit::runs_bytes)
        .doc("Takes out elements that equal another."),
    Command::write("LTRIM", "@key start:int stop:int", edit::ltrim)
        .flags(&[Flag::Shrinks])
        .group(Group::List)
        .cost("O(N), N being the number of elements removed")
        .key_flags(&["RW delete"])
        .doc("Takes out all elements but those from one index to another."),
    Command::write("LMOVE", "@source @destination {LEFT | RIGHT} {LEFT | RIGHT}", moves::lmove)
        .flags(&[Flag::DenyOom])
        .group(Group::List)
        .since("6.2.0")
        .key_flags(MOVED)
        .logs_again(moves::moved_bytes)
        .doc("Moves an element from an end of one list to an end of another and returns it."),
    Command::write("RPOPLPUSH", "@source @destination", moves::rpoplpush)
        .flags(&[Flag::DenyOom])
        .group(Group::List)
        .since("1.2.0")
        .key_flags(MOVED)
        .logs_again(moves::last_bytes)
        .doc("Moves the last element of a list to the front of another and returns it."),
    Command::blocking("BLPOP", "@key ... timeout:double", block::blpop)
        .flags(&[Flag::Blocking, Flag::Shrinks])
        .group(Group::List)
        .since("2.0.0")
        .cost("O(N), N being the number of keys")
        .key_flags(&["RW access delete"])
        .doc("Takes the first element off the first of several lists that exists, or waits until there is one."),
    Command::blocking("BRPOP", "@key ... timeout:double", block::brpop)
        .flags(&[Flag::Blocking, Flag::Shrinks])
        .group(Group::List)
        .since("2.0.0")
        .cost("O(N), N being the number of keys")
        .key_flags(&["RW access delete"])
        .doc("Takes the last element off the first of several lists that exists, or waits until there is one."),
    Command::blocking("BLMPOP", "timeout:double numkeys:int @key ... {LEFT | RIGHT} [COUNT count:int]", block::blmpop)
        .flags(&[Flag::Blocking, Flag::Shrinks])
        .group(Group::List)
        .since("7.0.0")
        .cost("O(N+M), N being the number of keys and M that of the elements returned")
        .key_flags(&["RW access delete"])
        .doc("Takes elements off an end of the first of several lists that exists, or waits until there is one."),
    Command::blocking("BLMOVE", "@source @destination {LEFT | RIGHT} {LEFT | RIGHT} timeout:double", block::blmove)
        .flags(&[Flag::DenyOom, Flag::Blocking])
        .group(Group::List)
        .since("6.2.0")
        .key_flags(MOVED)
        .logs_again(moves::moved_bytes)
        .waits_for_first()
        .doc("Moves an element from an end of one list to an end of another, or waits until there is one."),
    Command::blocking("BRPOPLPUSH", "@source @destination timeout:double", block::brpoplpush)
        .flags(&[Flag::DenyOom, Flag::Blocking])
        .group(Group::List)
        .since("2.2.0")
        .key_flags(MOVED)
        .logs_again(moves::last_bytes)
        .waits_for_first()
        .doc("Moves the last element of a list to the front of another, or waits until there is one."),
];

const PUSH_COST: &str = "O(N), N being the number of elements";
const MOVED: &[&str] = &["RW access delete", "RW insert"];

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    /// `LEFT` or `RIGHT`.
    fn parse(word: &[u8]) -> Result<End, CommandError> {
        match () {
            () if is(word, "LEFT") => Ok(End::Left),
            () if is(word, "RIGHT") => Ok(End::Right),
            () => Err(SYNTAX),
        }
    }

    /// The operation that adds elements here, and its event.
    fn push(self) -> (u8, &'static str) {
        match self {
            End::Left => (op::LIST_PUSH_FRONT, "lpush"),
            End::Right => (op::LIST_PUSH_BACK, "rpush"),
        }
    }

    /// The operation that takes elements off, and its event.
    fn pop(self) -> (u8, &'static str) {
        match self {
            End::Left => (op::LIST_POP_FRONT, "lpop"),
            End::Right => (op::LIST_POP_BACK, "rpop"),
        }
    }

    /// The element here; a list that is stored has one.
    fn element<'a>(self, list: &ListView<'a>) -> &'a [u8] {
        match self {
            End::Left => list.iter_from(0).next(),
            End::Right => list.iter_back_from(usize::MAX).next(),
        }
        .unwrap_or_default()
    }

    /// Answers so many elements from here on.
    fn answer(self, list: &ListView<'_>, count: usize, reply: &mut Reply<'_>) {
        reply.write().array(count);
        match self {
            End::Left => list.iter_from(0).take(count).for_each(|element| reply.bulk(element)),
            End::Right => list.iter_back_from(usize::MAX).take(count).for_each(|element| reply.bulk(element)),
        }
    }
}
