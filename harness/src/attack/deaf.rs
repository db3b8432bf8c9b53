//! Subscribers that read nothing.

use std::io::Write;
use std::time::Duration;

use super::scene::{Scene, request};
use crate::error::Result;

const LISTENERS: u64 = 10;

/// They subscribe, by name and by pattern; another publishes a gigabyte to each.
pub fn run(scene: &Scene) -> Result<()> {
    let mut deaf = Vec::new();
    for index in 0..LISTENERS {
        let mut stream = scene.connect()?;
        let by_name = index % 2 == 0;
        let words: [&[u8]; 2] = if by_name { [b"SUBSCRIBE", b"attack"] } else { [b"PSUBSCRIBE", b"att*"] };
        stream.write_all(&request(&words))?;
        deaf.push(stream);
    }
    let mut publisher = scene.client()?;
    let message = vec![b'm'; 64 << 10];
    for _ in 0..scene.amount(16_384, 800) {
        if scene.is_over() || publisher.call(&[b"PUBLISH", b"attack", &message]).is_err() {
            break;
        }
    }
    for stream in &mut deaf {
        scene.hear_end(stream, Duration::from_millis(50));
    }
    Ok(())
}
