//! Clients that connect, send half a request and hold.

use std::io::Write;
use std::time::Duration;

use super::scene::Scene;
use crate::error::Result;

/// Ten thousand, with one kilobyte of a value of half a gigabyte.
pub fn run(scene: &Scene) -> Result<()> {
    let half = [b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n", &[b'v'; 1024][..]].concat();
    let wanted = scene.amount(10_000, 500);
    let mut held = Vec::new();
    for _ in 0..wanted {
        if scene.is_over() {
            break;
        }
        match scene.connect() {
            Ok(mut stream) => {
                let _ = stream.write_all(&half);
                held.push(stream);
            }
            Err(error) => scene.ended(format!("not accepted: {error}")),
        }
    }
    scene.figure("connections", held.len() as f64);
    std::thread::sleep(scene.time(3000, 300));
    for stream in &mut held {
        scene.hear_end(stream, Duration::from_millis(1));
    }
    Ok(())
}
