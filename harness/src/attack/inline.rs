//! A line without an end.

use std::io::Write;
use std::time::Duration;

use super::scene::Scene;
use crate::error::Result;

const LINE: usize = 1 << 20;
const SILENCE: Duration = Duration::from_millis(500);

/// At once, in pieces of 1,000 bytes, and with an open quote.
pub fn run(scene: &Scene) -> Result<()> {
    let clients = scene.amount(50, 5);
    for _ in 0..clients {
        scene.strike(&vec![b'a'; LINE], SILENCE);
        scene.strike(&[b"SET a \"", &vec![b'a'; LINE][..]].concat(), SILENCE);
        scene.strike(&[b"*", &vec![b'1'; LINE][..]].concat(), SILENCE);
    }
    for _ in 0..clients {
        let mut stream = scene.connect()?;
        for _ in 0..LINE / 1000 {
            if stream.write_all(&[b'a'; 1000]).is_err() {
                break;
            }
        }
        scene.hear_end(&mut stream, SILENCE);
    }
    Ok(())
}
