//! Commands over a million elements, while others ask.

use super::scene::Scene;
use crate::client::Client;
use crate::clock;
use crate::error::Result;

const BATCH: u64 = 1000;

/// A million keys, and as many elements in a list, two sets, a sorted set and a hash.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    for first in (0..size(scene)).step_by(BATCH as usize) {
        for index in first..first + BATCH {
            client.queue(&[b"SET", format!("attack:key:{index}").as_bytes(), b"v"]);
        }
        client.flush()?;
        for _ in 0..BATCH {
            client.reply()?;
        }
        for (command, key) in [("RPUSH", "list"), ("SADD", "set"), ("SADD", "set2"), ("ZADD", "zset"), ("HSET", "hash")]
        {
            let words = words(command, key, first..first + BATCH);
            client.call(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

fn size(scene: &Scene) -> u64 {
    scene.amount(1_000_000, 10_000)
}

fn words(command: &str, key: &str, range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let mut words = vec![command.as_bytes().to_vec(), format!("attack:{key}").into_bytes()];
    for index in range {
        let shifted = if key == "set2" { index + 500 } else { index };
        if command == "ZADD" || command == "HSET" {
            words.push(shifted.to_string().into_bytes());
        }
        words.push(if key == "list" { shifted.to_string() } else { format!("m:{shifted}") }.into_bytes());
    }
    words
}

/// Each in turn; the longest time of a part of the keyspace under lock is asked of the server, which may tell it.
pub fn run(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let walks: [&[&[u8]]; 14] = [
        &[b"KEYS", b"*nothing*"],
        &[b"KEYS", b"*"],
        &[b"SORT", b"attack:list"],
        &[b"SORT", b"attack:list", b"STORE", b"attack:sorted"],
        &[b"SUNION", b"attack:set", b"attack:set2"],
        &[b"SINTERSTORE", b"attack:both", b"attack:set", b"attack:set2"],
        &[b"ZUNIONSTORE", b"attack:all", b"2", b"attack:zset", b"attack:set"],
        &[b"SMEMBERS", b"attack:set"],
        &[b"HGETALL", b"attack:hash"],
        &[b"LRANGE", b"attack:list", b"0", b"-1"],
        &[b"COPY", b"attack:zset", b"attack:copied"],
        &[b"DEL", b"attack:set", b"attack:copied", b"attack:hash"],
        &[b"PDEL", b"attack:key:*"],
        &[b"FLUSHDB"],
    ];
    for walk in walks {
        if scene.is_over() {
            return Ok(());
        }
        let start = clock::now();
        let reply = scene.ask(&mut client, walk);
        let name = walk.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
        scene.figure(&format!("{name}, ms"), start.elapsed().as_secs_f64() * 1000.0);
        drop(reply);
    }
    many(scene, &mut client)?;
    if let Some(held_us) = scene.info("max_shard_hold_us") {
        scene.figure("max_shard_hold_us", held_us);
    }
    Ok(())
}

/// A million elements in one request.
fn many(scene: &Scene, client: &mut Client) -> Result<()> {
    // Two words for each element of the last two; there may be 1,048,576 words.
    for (command, key, count) in
        [("LPUSH", "list", size(scene)), ("SADD", "set", size(scene)), ("ZADD", "zset", size(scene) / 2)]
    {
        let words = words(command, key, 0..count);
        let start = clock::now();
        scene.ask(client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        scene.figure(&format!("{command} of {count} in one request, ms"), start.elapsed().as_secs_f64() * 1000.0);
    }
    scene.stored(3 * 64 * size(scene));
    Ok(())
}
