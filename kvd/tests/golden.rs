//! Golden conversations: what a client says and what it is answered, one behaviour a file in `tests/golden`.
//!
//! ```text
//! A sentence that says what the script shows.
//!
//! differs Redis 7.0 has no such option        only where another server may answer otherwise
//! proto 3                                     HELLO 3 from here on
//!
//! > SET a "1\n"                               a request, quoted as in redis-cli
//! OK                                          its reply, in the form of `golden_runner::show`
//! sorted> KEYS *                              the reply's lists of scalars are sorted first
//! ["a", "b"]
//! until> EXISTS a                             asked again until the reply is right
//! (integer) 0
//! > PTTL b
//! (integer) 1..1000                           any number of this range
//! > INFO
//! (any)                                       any line
//! ```
//!
//! `GOLDEN_SERVER=host:port` plays the scripts against another server, which is flushed; `GOLDEN_RECORD=1` writes the
//! replies into the scripts; `GOLDEN_ONLY=text` plays those whose name contains the text.

mod golden_runner;

use std::collections::BTreeSet;

use golden_runner::play::{Difference, play};
use golden_runner::script::Script;
use golden_runner::server::Target;

#[test]
fn every_script_is_answered_as_written() {
    let target = Target::from_environment();
    let only = std::env::var("GOLDEN_ONLY").unwrap_or_default();
    let record = std::env::var_os("GOLDEN_RECORD").is_some();
    let mut failures = 0;
    for mut script in Script::all().into_iter().filter(|script| script.name.contains(&only)) {
        let differences = play(&mut script, &target.address);
        if record {
            script.write();
            continue;
        }
        let excused = target.is_foreign() && script.differs.is_some();
        for Difference { line, request, expected, found } in &differences {
            println!("{}:{line}: {request}\n  expected\n{expected}\n  found\n{found}\n", script.name);
        }
        if let (true, Some(reason)) = (excused && !differences.is_empty(), &script.differs) {
            println!("{} is known to differ: {reason}\n", script.name);
        } else {
            failures += differences.len();
        }
    }
    assert_eq!(failures, 0, "replies differ from what the scripts say");
}

#[test]
fn every_command_has_a_script() {
    let used: BTreeSet<String> = Script::all().iter().flat_map(Script::commands).collect();
    let rows = kvd::commands::all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands));
    let missing: Vec<&str> = rows.map(|entry| &*entry.full_name).filter(|name| !used.contains(*name)).collect();
    assert!(missing.is_empty(), "no script uses {missing:?}");
}

/// Every command of the five servers whose users shall find theirs here, by the server that has it first in this order. Streams
/// come later: until then XADD has Redis's unknown-command error.
const ANCESTORS: [(&str, &str); 5] = [
    ("kv", "get set del exists ping hello config command info dbsize client select flushall"),
    ("kvred", "ping get exists set del"),
    (
        "kvns",
        "ping quit hello reset select set get mget mset msetnx setnx getset getdel getex append strlen incr incrby decr decrby \
         incrbyfloat setrange getrange substr lpush rpush lpushx rpushx lpop rpop llen lrange lindex lset lrem ltrim linsert \
         lpos lmove hset hmset hget hdel hexists hgetall hkeys hvals hlen hmget hincrby hincrbyfloat hrandfield sadd srem \
         smembers scard sismember smismember sunion sinter sdiff sunionstore sinterstore sdiffstore smove spop srandmember zadd \
         zrange zrangebyscore zrevrangebyscore zrevrange zrank zrevrank zscore zmscore zrem zcard zcount zincrby zrangebylex \
         zlexcount zremrangebyrank zremrangebyscore zremrangebylex zpopmin zpopmax zrandmember del unlink exists type ttl pttl \
         expire expireat pexpire pexpireat persist expiretime pexpiretime rename renamenx scan keys touch copy object subscribe \
         unsubscribe psubscribe punsubscribe publish dbsize flushdb flushall info config command client latency slowlog debug \
         wait",
    ),
    ("kvnode", "keys pdel mset mget flushdb shutdown"),
    ("NoKV", "set get del mget mset exists incr decr incrby decrby ping echo quit"),
];

#[test]
fn every_command_of_the_ancestors_has_a_script() {
    let used: BTreeSet<String> = Script::all().iter().flat_map(Script::commands).collect();
    let is_used = |name: &str| used.iter().any(|command| command.split('|').next() == Some(name));
    for (server, commands) in ANCESTORS {
        let missing: Vec<&str> = commands.split_whitespace().filter(|name| !is_used(name)).collect();
        assert!(missing.is_empty(), "no script uses {missing:?} of {server}");
    }
}

#[test]
fn every_script_begins_with_a_sentence() {
    for script in Script::all() {
        let sentence = &script.sentence;
        assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{}: {sentence:?}", script.name);
        assert!(!script.steps.is_empty(), "{} asks nothing", script.name);
    }
}
