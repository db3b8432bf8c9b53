//! Very many arguments: sent, and only announced.

use std::io::Write;
use std::time::Duration;

use super::scene::Scene;
use crate::error::Result;

const MOST: usize = 1_048_576;

/// As many as there may be, more than that, and announcements that are held.
pub fn run(scene: &Scene) -> Result<()> {
    let count = scene.amount(MOST as u64, 100_000) as usize;
    for arguments in [count, MOST + 1] {
        let mut bytes = format!("*{arguments}\r\n$3\r\nDEL\r\n").into_bytes();
        bytes.extend(b"$1\r\na\r\n".repeat(arguments - 1));
        scene.strike(&bytes, Duration::from_secs(3));
    }
    let mut held = Vec::new();
    for announced in ["1048576", "2147483647", "2147483648"] {
        for _ in 0..scene.amount(1000, 50) {
            let Ok(mut stream) = scene.connect() else { break };
            let _ = stream.write_all(format!("*{announced}\r\n$3\r\nDEL\r\n$536870912\r\nx").as_bytes());
            held.push(stream);
        }
    }
    for stream in &mut held {
        scene.hear_end(stream, Duration::from_millis(1));
    }
    Ok(())
}
