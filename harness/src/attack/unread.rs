//! Requests without end by a client that reads nothing.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::scene::{Scene, request};
use crate::clock;
use crate::error::Result;

/// Requests in one write.
const BATCH: u64 = 10_000;
const VALUE: usize = 64 << 10;
/// So long without a byte taken, and the server does not read this client any more.
const NOT_READ: Duration = Duration::from_secs(3);

/// A value that is worth asking for.
pub fn prepare(scene: &Scene) -> Result<()> {
    scene.client()?.call(&[b"SET", b"attack:large", &vec![b'v'; VALUE]])?;
    Ok(())
}

/// PINGs.
pub fn pings(scene: &Scene) -> Result<()> {
    flood(scene, b"", &request(&[b"PING"]))
}

/// GETs.
pub fn gets(scene: &Scene) -> Result<()> {
    flood(scene, &request(&[b"SELECT", b"1"]), &request(&[b"GET", b"attack:large"]))
}

fn flood(scene: &Scene, first: &[u8], request: &[u8]) -> Result<()> {
    let wanted = scene.amount(10_000_000, 500_000);
    let mut stream = scene.connect()?;
    stream.set_write_timeout(Some(Duration::from_millis(100)))?;
    stream.write_all(first)?;
    let batch = request.repeat(BATCH as usize);
    let (mut sent, mut how) = (0, "all taken");
    'all: while sent < wanted * request.len() as u64 {
        let mut rest = &batch[..];
        while !rest.is_empty() {
            if scene.is_over() {
                how = "taken until the end of the attack";
                break 'all;
            }
            match push(&mut stream, rest, scene) {
                Some(0) => {
                    how = "not read any more; held";
                    break 'all;
                }
                Some(taken) => {
                    rest = &rest[taken..];
                    sent += taken as u64;
                }
                None => {
                    how = "closed";
                    break 'all;
                }
            }
        }
    }
    scene.ended(how);
    scene.figure("requests taken", (sent / request.len() as u64) as f64);
    // It stays for a moment: who gives up at once may have been measured before it hurts.
    let end = clock::now() + scene.time(3000, 300);
    while clock::now() < end && !scene.is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Sends a part; 0 when nothing is taken for long, nothing when the connection is closed.
fn push(stream: &mut TcpStream, bytes: &[u8], scene: &Scene) -> Option<usize> {
    let end = clock::now() + NOT_READ.min(scene.time(3000, 500));
    loop {
        match stream.write(bytes) {
            Ok(taken) => return Some(taken),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if clock::now() > end || scene.is_over() {
                    return Some(0);
                }
            }
            Err(_) => return None,
        }
    }
}
