//! Requests of one byte a second: each holds a connection, and nobody may hold one for ever by it.

use std::io::Write;
use std::time::Duration;

use super::scene::{Scene, request};
use crate::clock;
use crate::error::Result;

/// A hundred of them, each at another place of its request. The server is told how long a request may take, where it can be told.
pub fn run(scene: &Scene) -> Result<()> {
    let limited = scene.configure("request-timeout", "2").is_ok() && scene.is_store;
    let whole = request(&[b"SET", b"attack:drip", &[b'v'; 200]]);
    let mut streams = Vec::new();
    for index in 0..scene.amount(100, 20) as usize {
        let mut stream = scene.connect()?;
        stream.write_all(&whole[..1 + index % 60])?;
        streams.push((stream, 1 + index % 60));
    }
    let end = clock::now() + scene.time(20_000, 4_500);
    while clock::now() < end && !scene.is_over() {
        std::thread::sleep(Duration::from_secs(1));
        streams.retain_mut(|(stream, at)| {
            let goes_on = stream.write_all(&whole[*at..=*at]).is_ok();
            *at += 1;
            if !goes_on {
                scene.hear_end(stream, Duration::from_millis(10));
            }
            goes_on
        });
    }
    let left = streams.len();
    for (stream, _) in &mut streams {
        scene.hear_end(stream, Duration::from_millis(1));
    }
    scene.figure("still held at the end", left as f64);
    if limited {
        scene.configure("request-timeout", "60")?;
        scene.figure_within("held although limited", left as f64, 0.0, 0.0);
    }
    Ok(())
}
