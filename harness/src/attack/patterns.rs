//! Patterns for which a matcher that goes back and forth takes for ever.

use std::time::Instant;

use super::scene::Scene;
use crate::client::Client;
use crate::clock;
use crate::error::Result;

/// Length of the names they are held against.
const NAME: usize = 20_000;

/// Long names.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    for index in 0..10 {
        let name = [&vec![b'a'; NAME][..], index.to_string().as_bytes()].concat();
        client.call(&[b"SET", &name, b"1"])?;
    }
    Ok(())
}

/// With 5 to 1,000 stars; then 10,000 patterns at once, and a message for them.
pub fn run(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let mut longest: f64 = 0.0;
    for stars in [5, 20, 100, 1000] {
        let stars = scene.amount(stars, stars.min(20)) as usize;
        for pattern in ["a*", "?*", "[a-z]*", "*a", "\\a*"] {
            let pattern = format!("{}b", pattern.repeat(stars));
            for command in
                [&[&b"KEYS"[..]][..], &[b"SCAN", b"0", b"COUNT", b"100", b"MATCH"], &[b"PUBSUB", b"CHANNELS"]]
            {
                if scene.is_over() {
                    return Ok(());
                }
                let start = clock::now();
                scene.ask(&mut client, &[command, &[pattern.as_bytes()]].concat());
                longest = longest.max(milliseconds(start));
            }
        }
    }
    scene.figure("longest KEYS or SCAN, ms", longest);
    let mut listener = scene.client()?;
    for index in 0..scene.amount(10_000, 500) {
        let pattern = format!("{}b{index}", "a*".repeat(50));
        listener.queue(&[b"PSUBSCRIBE", pattern.as_bytes()]);
    }
    drain(&mut listener, scene.amount(10_000, 500))?;
    let start = clock::now();
    scene.ask(&mut client, &[b"PUBLISH", &vec![b'a'; 1000], b"x"]);
    scene.figure("PUBLISH against all patterns, ms", milliseconds(start));
    scene.ended("answered; held");
    Ok(())
}

fn drain(client: &mut Client, replies: u64) -> Result<()> {
    client.flush()?;
    for _ in 0..replies {
        client.reply()?;
    }
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
