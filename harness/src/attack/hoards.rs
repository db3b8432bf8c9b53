//! What a client may heap up by asking for it: names, watched keys, queued requests, subscriptions.

use super::scene::Scene;
use crate::client::Client;
use crate::error::Result;
use crate::wire::Reply;

const NAME: usize = 1 << 20;

/// Clients may hold so much together.
pub fn prepare(scene: &Scene) -> Result<()> {
    scene.configure("maxmemory-clients", "16mb")
}

/// Each until it is refused, or has cost half a gigabyte.
pub fn run(scene: &Scene) -> Result<()> {
    let rounds = scene.amount(512, 24);
    let name = vec![b'n'; NAME];
    let mut clients = Vec::new();
    for head in [&[&b"SUBSCRIBE"[..]][..], &[b"PSUBSCRIBE"], &[b"WATCH"], &[b"CLIENT", b"SETNAME"]] {
        let mut client = scene.client()?;
        for round in 0..rounds {
            let name = [&name[..], round.to_string().as_bytes()].concat();
            let words = [head, &[&name]].concat();
            if scene.is_over() || !goes_on(scene.ask(&mut client, &words)) {
                break;
            }
        }
        clients.push(client);
    }
    let mut client = scene.client()?;
    scene.ask(&mut client, &[b"MULTI"]);
    for _ in 0..rounds {
        if scene.is_over() || !goes_on(scene.ask(&mut client, &[b"SET", b"attack:queued", &name])) {
            break;
        }
    }
    // Very many small ones, which cost more than their bytes.
    let mut small = scene.client()?;
    scene.ask(&mut small, &[b"MULTI"]);
    for _ in 0..scene.amount(200, 20) {
        if scene.is_over() || !batch(&mut small, 10_000, &|_| vec![b"PING".to_vec()]) {
            break;
        }
    }
    Ok(())
}

/// A million channels, in requests of ten thousand.
pub fn subscribe(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let (mut made, wanted) = (0u64, scene.amount(1_000_000, 20_000));
    while made < wanted && !scene.is_over() {
        let subscribe = |index: u64| vec![b"SUBSCRIBE".to_vec(), format!("channel:{}", made + index).into_bytes()];
        if !batch(&mut client, 10_000, &subscribe) {
            scene.ended("refused or closed");
            return Ok(());
        }
        made += 10_000;
    }
    // Each is a place in the server's table, and counts as data that it was asked to hold.
    scene.ended("subscribed; held");
    scene.figure("channels", made as f64);
    Ok(())
}

fn goes_on(reply: Option<Reply>) -> bool {
    matches!(reply, Some(reply) if !matches!(reply, Reply::Error(_)))
}

/// Requests in one write; whether none was refused.
fn batch(client: &mut Client, count: u64, words: &dyn Fn(u64) -> Vec<Vec<u8>>) -> bool {
    for index in 0..count {
        let words = words(index);
        client.queue(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    client.flush().is_ok() && (0..count).all(|_| client.reply().is_ok_and(|reply| !matches!(reply, Reply::Error(_))))
}
