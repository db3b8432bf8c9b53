//! Replies as long as somebody says: random elements, with repetition, of a number that no memory holds.

use super::scene::Scene;
use crate::error::Result;

/// A small hash, set and sorted set.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    client.call(&[b"HSET", b"attack:hash", b"a", b"1", b"b", b"2"])?;
    client.call(&[b"SADD", b"attack:set", b"a", b"b"])?;
    client.call(&[b"ZADD", b"attack:zset", b"1", b"a", b"2", b"b"])?;
    Ok(())
}

/// Each command, with numbers that overflow, and with one that is only large: that reply is not read.
pub fn run(scene: &Scene) -> Result<()> {
    let commands: [&[&[u8]]; 3] =
        [&[b"HRANDFIELD", b"attack:hash"], &[b"SRANDMEMBER", b"attack:set"], &[b"ZRANDMEMBER", b"attack:zset"]];
    let bombs = ["-9223372036854775808", "-9223372036854775807", "-4611686018427387905", "-2147483648", "-1000000000"];
    for command in commands {
        for count in bombs {
            for with in [&[][..], &[&b"WITHVALUES"[..]], &[b"WITHSCORES"]] {
                if scene.is_over() {
                    return Ok(());
                }
                let words = [command, &[count.as_bytes()], with].concat();
                let bytes = [super::scene::request(&[b"SELECT", b"1"]), super::scene::request(&words)].concat();
                scene.strike(&bytes, scene.time(500, 30));
            }
        }
    }
    Ok(())
}
