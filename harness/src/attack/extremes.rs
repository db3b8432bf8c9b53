//! Numbers at the ends of their types, wherever a command takes one.

use super::scene::Scene;
use crate::error::Result;

/// Numbers.
const ENDS: [&[u8]; 11] = [
    b"-9223372036854775808",
    b"-9223372036854775807",
    b"-4294967297",
    b"-2147483649",
    b"-2147483648",
    b"0",
    b"2147483647",
    b"2147483648",
    b"4294967296",
    b"9223372036854775806",
    b"9223372036854775807",
];

/// Commands, `#` for a number.
const COMMANDS: [&str; 38] = [
    "GETRANGE attack:string # #",
    "SUBSTR attack:string # #",
    "LRANGE attack:list # #",
    "LTRIM attack:copy # #",
    "LINDEX attack:list #",
    "LSET attack:list # x",
    "LREM attack:copy # a",
    "LPOS attack:list a RANK # COUNT #",
    "LPOS attack:list a MAXLEN #",
    "LPOP attack:none #",
    "SPOP attack:none #",
    "ZPOPMIN attack:none #",
    "LMPOP # attack:list LEFT COUNT #",
    "SINTERCARD # attack:set LIMIT #",
    "ZRANGE attack:zset # #",
    "ZRANGE attack:zset -inf +inf BYSCORE LIMIT # #",
    "ZREVRANGE attack:zset # #",
    "ZREMRANGEBYRANK attack:none # #",
    "ZUNION # attack:zset",
    "BITFIELD attack:string GET u8 #",
    "BITFIELD attack:string OVERFLOW SAT INCRBY i64 0 #",
    "BITFIELD attack:string OVERFLOW FAIL INCRBY i63 #0 #",
    "BITCOUNT attack:string # #",
    "BITCOUNT attack:string # # BIT",
    "BITPOS attack:string 1 # #",
    "GETBIT attack:string #",
    "INCRBY attack:number #",
    "DECRBY attack:number #",
    "HINCRBY attack:hash n #",
    "EXPIRE attack:none #",
    "PEXPIREAT attack:none #",
    "SET attack:none v PX #",
    "GETEX attack:none EXAT #",
    "SCAN # COUNT #",
    "SORT attack:list LIMIT # #",
    "SELECT #",
    "OBJECT FREQ attack:string",
    "CLIENT KILL ID #",
];

/// A value of each type.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    client.call(&[b"SET", b"attack:string", &[b's'; 1000]])?;
    client.call(&[b"SET", b"attack:number", b"1"])?;
    for list in [&b"attack:list"[..], b"attack:copy"] {
        client.call(&[b"RPUSH", list, b"a", b"1", b"2", b"a", b"3"])?;
    }
    client.call(&[b"HSET", b"attack:hash", b"n", b"1"])?;
    client.call(&[b"SADD", b"attack:set", b"a", b"b"])?;
    client.call(&[b"ZADD", b"attack:zset", b"1", b"a", b"2", b"b"])?;
    Ok(())
}

/// Each command with each pair of them. What is refused is noted once a kind.
pub fn run(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let (mut asked, mut refused) = (0, 0);
    for command in COMMANDS {
        let numbers = command.matches(" #").count();
        for first in ENDS {
            for second in if numbers > 1 { &ENDS[..] } else { &ENDS[..1] } {
                if scene.is_over() {
                    return Ok(());
                }
                let mut places = [first, second].into_iter();
                let words: Vec<&[u8]> = command
                    .split(' ')
                    .map(|word| if word == "#" { places.next().unwrap_or(first) } else { word.as_bytes() })
                    .collect();
                asked += 1;
                match client.call(&words) {
                    Ok(crate::wire::Reply::Error(_)) => refused += 1,
                    Ok(_) => {}
                    Err(error) => {
                        scene.ended(format!("closed: {error}"));
                        client = scene.client()?;
                    }
                }
                // SELECT may have led elsewhere.
                client.call(&[b"SELECT", b"1"])?;
            }
        }
    }
    scene.ended_times("answered; held", asked - refused);
    scene.ended_times("refused; held", refused);
    Ok(())
}
