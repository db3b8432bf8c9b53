//! Offsets that a length of 32 bits does not hold, or that would make a value of gigabytes.

use super::scene::Scene;
use crate::error::Result;
use crate::wire::Reply;

/// Each command at each offset; then one long value that is longer with each step, up to where it is refused.
pub fn run(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let offsets = ["536870912", "2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807", "-1"];
    for offset in offsets.map(str::as_bytes) {
        let commands: [&[&[u8]]; 4] = [
            &[b"SETRANGE", b"attack:range", offset, b"x"],
            &[b"SETRANGE", b"attack:range", offset, b""],
            &[b"BITFIELD", b"attack:range", b"SET", b"u8", &[b"#", offset].concat(), b"1"],
            &[b"GETRANGE", b"attack:range", offset, b"-1"],
        ];
        for command in commands {
            scene.ask(&mut client, command);
        }
        // A bit at an offset of 32 bits is a value of up to 512 MiB, which is allowed: those are left out.
        if offset.len() > 10 || offset == b"4294967296" {
            scene.ask(&mut client, &[b"SETBIT", b"attack:bit", offset, b"1"]);
        }
    }
    let part = vec![b'x'; scene.amount(64 << 20, 4 << 20) as usize];
    let mut length = 0u64;
    while !scene.is_over() {
        match scene.ask(&mut client, &[b"APPEND", b"attack:long", &part]) {
            Some(Reply::Int(now)) => length = now as u64,
            _ => break,
        }
        if scene.small && length > 16 << 20 {
            break;
        }
    }
    scene.figure_within("longest value, MiB", (length >> 20) as f64, 0.0, 512.0);
    // Twice: while it is made longer, and what the connection had of it.
    scene.stored(2 * length + 2 * part.len() as u64);
    Ok(())
}
