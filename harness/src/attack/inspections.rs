//! What is asked to look at something large, or to tell everything, again and again.

use super::scene::Scene;
use crate::clock;
use crate::error::Result;

/// A large value to look at.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    for first in (0..scene.amount(200_000, 10_000)).step_by(100) {
        let members: Vec<Vec<u8>> = (first..first + 100).map(|index| format!("member:{index}").into_bytes()).collect();
        let words: Vec<&[u8]> =
            [&b"SADD"[..], b"attack:set"].into_iter().chain(members.iter().map(Vec::as_slice)).collect();
        client.call(&words)?;
    }
    Ok(())
}

/// Each for a while.
pub fn run(scene: &Scene) -> Result<()> {
    let questions: [&[&[u8]]; 9] = [
        &[b"COMMAND", b"DOCS"],
        &[b"COMMAND"],
        &[b"INFO", b"everything"],
        &[b"CONFIG", b"GET", b"*"],
        &[b"OBJECT", b"ENCODING", b"attack:set"],
        &[b"MEMORY", b"USAGE", b"attack:set", b"SAMPLES", b"0"],
        &[b"DEBUG", b"OBJECT", b"attack:set"],
        &[b"MEMORY", b"DOCTOR"],
        &[b"CLIENT", b"LIST"],
    ];
    for question in questions {
        let mut client = scene.client()?;
        let (end, mut answers) = (clock::now() + scene.time(1000, 50), 0u64);
        while clock::now() < end && !scene.is_over() {
            for _ in 0..10 {
                client.queue(question);
            }
            client.flush()?;
            for _ in 0..10 {
                client.reply()?;
            }
            answers += 10;
        }
        scene.ended_times("answered; held", answers);
    }
    Ok(())
}
