//! The rows of the commands on sorted sets.

use super::super::args::is_long_range;
use super::super::{Command, Flag, Group};
use super::{add, algebra, member, pop, random, range, remove};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("ZADD", "@key [NX | XX] [GT | LT] [CH] [INCR] {score:double member} ...", add::zadd)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::SortedSet)
        .since("1.2.0")
        .cost("O(log(N)) for every member, N being the number of members")
        .key_flags(&["RW update"])
        .inline()
        .doc("Adds members to a sorted set, or gives those that are there another score."),
    Command::write("ZINCRBY", "@key increment:int member", add::zincrby)
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::SortedSet)
        .since("1.2.0")
        .cost("O(log(N)), N being the number of members")
        .key_flags(&["RW access update"])
        .inline()
        .doc("Adds to the score of a member of a sorted set, which is 0 when it is not there."),
    Command::write("ZREM", "@key member ...", remove::zrem)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::SortedSet)
        .since("1.2.0")
        .cost("O(M*log(N)), N being the number of members and M of those to go")
        .key_flags(&["RW delete"])
        .inline()
        .doc("Takes members out of a sorted set."),
    Command::read("ZCARD", "@key", member::zcard)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("1.2.0")
        .key_flags(&["RO"])
        .doc("Returns the number of members of a sorted set."),
    Command::read("ZCOUNT", "@key min:double max:double", member::zcount)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("2.0.0")
        .cost("O(log(N)), N being the number of members")
        .doc("Returns how many members of a sorted set have a score of a range."),
    Command::read("ZSCORE", "@key member", member::zscore)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("1.2.0")
        .doc("Returns the score of a member of a sorted set."),
    Command::read("ZMSCORE", "@key member ...", member::zmscore)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("6.2.0")
        .cost("O(N), N being the number of members asked for")
        .doc("Returns the scores of members of a sorted set."),
    Command::read("ZRANK", "@key member [WITHSCORE]", member::zrank)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("2.0.0")
        .cost("O(log(N)), N being the number of members")
        .doc("Returns how many members of a sorted set come before one."),
    Command::read("ZREVRANK", "@key member [WITHSCORE]", member::zrevrank)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("2.0.0")
        .cost("O(log(N)), N being the number of members")
        .doc("Returns how many members of a sorted set come after one."),
    Command::read(
        "ZRANGE",
        "@key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset:int count:int] [WITHSCORES]",
        range::zrange,
    )
    .whole_if(is_long_range)
    .group(Group::SortedSet)
    .since("1.2.0")
    .cost("O(log(N)+M), N being the number of members and M of those returned")
    .doc("Returns the members of a sorted set that are in a range of ranks, scores or members."),
    Command::write(
        "ZRANGESTORE",
        "@destination @source min max [BYSCORE | BYLEX] [REV] [LIMIT offset:int count:int]",
        range::zrangestore,
    )
    .flags(&[Flag::DenyOom])
    .group(Group::SortedSet)
    .since("6.2.0")
    .cost("O(log(N)+M), N being the number of members and M of those stored")
    .key_flags(&["OW update", "RO access"])
    .growth(range::stored_bytes)
    .doc("Stores the members of a sorted set that are in a range at another key."),
    Command::read(
        "ZRANGEBYSCORE",
        "@key min:double max:double [WITHSCORES] [LIMIT offset:int count:int]",
        range::zrangebyscore,
    )
    .group(Group::SortedSet)
    .since("1.0.5")
    .cost("O(log(N)+M), N being the number of members and M of those returned")
    .doc("Returns the members of a sorted set with a score of a range."),
    Command::read(
        "ZREVRANGEBYSCORE",
        "@key max:double min:double [WITHSCORES] [LIMIT offset:int count:int]",
        range::zrevrangebyscore,
    )
    .group(Group::SortedSet)
    .since("2.2.0")
    .cost("O(log(N)+M), N being the number of members and M of those returned")
    .doc("Returns the members of a sorted set with a score of a range, the highest first."),
    Command::read("ZREVRANGE", "@key start:int stop:int [WITHSCORES]", range::zrevrange)
        .whole_if(is_long_range)
        .group(Group::SortedSet)
        .since("1.2.0")
        .cost("O(log(N)+M), N being the number of members and M of those returned")
        .doc("Returns the members of a sorted set in a range of ranks that are counted from the highest score."),
    Command::read("ZRANGEBYLEX", "@key min max [LIMIT offset:int count:int]", range::zrangebylex)
        .group(Group::SortedSet)
        .since("2.8.9")
        .cost("O(log(N)+M), N being the number of members and M of those returned")
        .doc("Returns the members in a range of members, of a sorted set whose scores are all the same."),
    Command::read("ZREVRANGEBYLEX", "@key max min [LIMIT offset:int count:int]", range::zrevrangebylex)
        .group(Group::SortedSet)
        .since("2.8.9")
        .cost("O(log(N)+M), N being the number of members and M of those returned")
        .doc(
            "Returns the members in a range of members, the last first, of a sorted set whose scores are all the \
              same.",
        ),
    Command::read("ZLEXCOUNT", "@key min max", member::zlexcount)
        .flags(&[Flag::Fast])
        .group(Group::SortedSet)
        .since("2.8.9")
        .cost("O(log(N)), N being the number of members")
        .doc("Counts the members in a range of members, of a sorted set whose scores are all the same."),
    Command::write("ZREMRANGEBYRANK", "@key start:int stop:int", remove::zremrangebyrank)
        .flags(&[Flag::Shrinks])
        .group(Group::SortedSet)
        .since("2.0.0")
        .cost("O(log(N)+M), N being the number of members and M of those to go")
        .key_flags(&["RW delete"])
        .logs_again(remove::bytes_by_rank)
        .doc("Takes the members in a range of ranks out of a sorted set."),
    Command::write("ZREMRANGEBYSCORE", "@key min:double max:double", remove::zremrangebyscore)
        .flags(&[Flag::Shrinks])
        .group(Group::SortedSet)
        .since("1.2.0")
        .cost("O(log(N)+M), N being the number of members and M of those to go")
        .key_flags(&["RW delete"])
        .logs_again(remove::bytes_by_score)
        .doc("Takes the members with a score of a range out of a sorted set."),
    Command::write("ZREMRANGEBYLEX", "@key min max", remove::zremrangebylex)
        .flags(&[Flag::Shrinks])
        .group(Group::SortedSet)
        .since("2.8.9")
        .cost("O(log(N)+M), N being the number of members and M of those to go")
        .key_flags(&["RW delete"])
        .logs_again(remove::bytes_by_member)
        .doc("Takes the members in a range of members out of a sorted set whose scores are all the same."),
    Command::write("ZPOPMIN", "@key [count:int]", pop::zpopmin)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::SortedSet)
        .since("5.0.0")
        .cost("O(log(N)*M), N being the number of members and M of those taken")
        .key_flags(&["RW access delete"])
        .logs_again(pop::popped_bytes)
        .doc("Takes the members with the lowest scores out of a sorted set and returns them."),
    Command::write("ZPOPMAX", "@key [count:int]", pop::zpopmax)
        .flags(&[Flag::Fast, Flag::Shrinks])
        .group(Group::SortedSet)
        .since("5.0.0")
        .cost("O(log(N)*M), N being the number of members and M of those taken")
        .key_flags(&["RW access delete"])
        .logs_again(pop::popped_bytes)
        .doc("Takes the members with the highest scores out of a sorted set and returns them."),
    Command::write("ZMPOP", "numkeys:int @key ... {MIN | MAX} [COUNT count:int]", pop::zmpop)
        .flags(&[Flag::Shrinks])
        .group(Group::SortedSet)
        .since("7.0.0")
        .cost("O(K)+O(M*log(N)), K being the number of keys, N of members and M of those taken")
        .key_flags(&["RW access delete"])
        .growth(pop::several_popped_bytes)
        .doc("Takes members from either end of the first of several sorted sets that is there, and returns them."),
    Command::blocking("BZPOPMIN", "@key ... timeout:double", pop::bzpopmin)
        .flags(&[Flag::Fast, Flag::Shrinks, Flag::Blocking])
        .group(Group::SortedSet)
        .since("5.0.0")
        .cost("O(log(N)), N being the number of members")
        .key_flags(&["RW access delete"])
        .doc(
            "Takes the member with the lowest score out of the first of several sorted sets that is there; waits \
              for one.",
        ),
    Command::blocking("BZPOPMAX", "@key ... timeout:double", pop::bzpopmax)
        .flags(&[Flag::Fast, Flag::Shrinks, Flag::Blocking])
        .group(Group::SortedSet)
        .since("5.0.0")
        .cost("O(log(N)), N being the number of members")
        .key_flags(&["RW access delete"])
        .doc(
            "Takes the member with the highest score out of the first of several sorted sets that is there; \
              waits for one.",
        ),
    Command::blocking("BZMPOP", "timeout:double numkeys:int @key ... {MIN | MAX} [COUNT count:int]", pop::bzmpop)
        .flags(&[Flag::Shrinks, Flag::Blocking])
        .group(Group::SortedSet)
        .since("7.0.0")
        .cost("O(K)+O(M*log(N)), K being the number of keys, N of members and M of those taken")
        .key_flags(&["RW access delete"])
        .growth(pop::several_popped_bytes)
        .doc("Takes members from either end of the first of several sorted sets that is there; waits for one."),
    Command::read("ZRANDMEMBER", "@key [count:int [WITHSCORES]]", random::zrandmember)
        .group(Group::SortedSet)
        .since("6.2.0")
        .cost("O(N), N being the number of members returned")
        .random()
        .tips(&["nondeterministic_output"])
        .doc("Returns some member of a sorted set, or several."),
    Command::read(
        "ZUNION",
        "numkeys:int @key ... [WEIGHTS weight:int ...] [AGGREGATE {SUM | MIN | MAX}] [WITHSCORES]",
        algebra::zunion,
    )
    .whole()
    .group(Group::SortedSet)
    .since("6.2.0")
    .cost("O(N)+O(M*log(M)), N being the number of members of all sets and M of the result")
    .doc("Returns the members that any of several sets has."),
    Command::read(
        "ZINTER",
        "numkeys:int @key ... [WEIGHTS weight:int ...] [AGGREGATE {SUM | MIN | MAX}] [WITHSCORES]",
        algebra::zinter,
    )
    .whole()
    .group(Group::SortedSet)
    .since("6.2.0")
    .cost(
        "O(N*K)+O(M*log(M)), N being the number of members of the smallest set, K of sets and M of members \
               of the result",
    )
    .doc("Returns the members that all of several sets have."),
    Command::read("ZDIFF", "numkeys:int @key ... [WITHSCORES]", algebra::zdiff)
        .whole()
        .group(Group::SortedSet)
        .since("6.2.0")
        .cost(
            "O(N*K)+O(M*log(M)), N being the number of members of the first set, K of sets and M of members of \
               the result",
        )
        .doc("Returns the members of a set that several others do not have."),
    Command::write(
        "ZUNIONSTORE",
        "@destination numkeys:int @key ... [WEIGHTS weight:int ...] [AGGREGATE {SUM | MIN | MAX}]",
        algebra::zunionstore,
    )
    .whole()
    .flags(&[Flag::DenyOom])
    .group(Group::SortedSet)
    .since("2.0.0")
    .cost("O(N)+O(M*log(M)), N being the number of members of all sets and M of the result")
    .key_flags(&["OW update", "RO access"])
    .growth(algebra::union_bytes)
    .doc("Stores the members that any of several sets has."),
    Command::write(
        "ZINTERSTORE",
        "@destination numkeys:int @key ... [WEIGHTS weight:int ...] [AGGREGATE {SUM | MIN | MAX}]",
        algebra::zinterstore,
    )
    .whole()
    .flags(&[Flag::DenyOom])
    .group(Group::SortedSet)
    .since("2.0.0")
    .cost(
        "O(N*K)+O(M*log(M)), N being the number of members of the smallest set, K of sets and M of members \
               of the result",
    )
    .key_flags(&["OW update", "RO access"])
    .growth(algebra::intersection_bytes)
    .doc("Stores the members that all of several sets have."),
    Command::write("ZDIFFSTORE", "@destination numkeys:int @key ...", algebra::zdiffstore)
        .whole()
        .flags(&[Flag::DenyOom])
        .group(Group::SortedSet)
        .since("6.2.0")
        .cost(
            "O(N*K)+O(M*log(M)), N being the number of members of the first set, K of sets and M of members of \
               the result",
        )
        .key_flags(&["OW update", "RO access"])
        .growth(algebra::difference_bytes)
        .doc("Stores the members of a set that several others do not have."),
    Command::read("ZINTERCARD", "numkeys:int @key ... [LIMIT limit:int]", algebra::zintercard)
        .whole()
        .group(Group::SortedSet)
        .since("7.0.0")
        .cost("O(N*K), N being the number of members of the smallest set and K of sets")
        .doc("Counts the members that all of several sets have."),
    Command::read("ZSCAN", "@key cursor:int [MATCH pattern:pattern] [COUNT count:int]", member::zscan)
        .group(Group::SortedSet)
        .since("2.8.0")
        .cost("O(COUNT) for a call, O(N) for all of them, N being the number of members")
        .tips(&["nondeterministic_output"])
        .doc("Returns some members of a sorted set with their scores, and a cursor to go on with."),
];
