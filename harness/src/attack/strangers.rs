//! Clients without a password, at a server that wants one.

use std::io::Write;
use std::time::Duration;

use super::scene::{Scene, request};
use crate::clock;
use crate::error::Result;

/// Wants a password from here on, but not from those who are there.
pub fn prepare(scene: &Scene) -> Result<()> {
    scene.configure("requirepass", "a long and good password")
}

/// Sends until the server takes no more, then holds for a while.
fn one(scene: &Scene, head: &[u8], part: &[u8], most: usize) -> Result<()> {
    let mut stream = scene.connect()?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    let mut sent = 0;
    if stream.write_all(head).is_ok() {
        while sent < most && !scene.is_over() {
            match stream.write(part) {
                Ok(taken) => sent += taken,
                Err(_) => break,
            }
        }
    }
    scene.figure("bytes taken", sent as f64);
    scene.hear_end(&mut stream, scene.time(12_000, 500));
    Ok(())
}

/// A value as long as it may be, which never ends.
pub fn bulks(scene: &Scene) -> Result<()> {
    for length in ["536870912", "16385", "16384"] {
        let head = format!("*2\r\n$4\r\nAUTH\r\n${length}\r\n");
        let most = length.parse::<usize>().unwrap_or(0).min(256 << 20) - 1;
        one(scene, head.as_bytes(), &[b'p'; 1 << 10], most)?;
    }
    Ok(())
}

/// A request of very many arguments, and one of ten that are long.
pub fn arguments(scene: &Scene) -> Result<()> {
    one(scene, b"*1048576\r\n", b"$1\r\na\r\n", 8 << 20)?;
    one(scene, b"*10\r\n", &[b"$16384\r\n", &[b'a'; 16 << 10][..], b"\r\n"].concat(), 9 * (16 << 10))
}

/// Requests of which each is refused, and nobody reads that.
pub fn unread(scene: &Scene) -> Result<()> {
    for bytes in [request(&[b"GET", b"a"]), b"*0\r\n".to_vec(), b"HELLO 3\r\n".to_vec()] {
        one(scene, b"", &bytes.repeat(1000), 64 << 20)?;
    }
    Ok(())
}

/// Guesses, one behind the other, and as long as they may be.
pub fn guesses(scene: &Scene) -> Result<()> {
    let mut client = scene.plain_client()?;
    let (start, mut guesses) = (clock::now(), 0u64);
    let long = vec![b'g'; 16 << 10];
    let end = start + scene.time(3000, 300);
    while clock::now() < end && !scene.is_over() {
        let guess = format!("guess {guesses}");
        let guess = if guesses % 10 == 0 { &long[..] } else { guess.as_bytes() };
        match client.call(&[b"AUTH", guess]) {
            Ok(crate::wire::Reply::Error(_)) => guesses += 1,
            Ok(other) => scene.ended(format!("{other:?}")),
            Err(_) => {
                scene.ended("closed");
                client = scene.plain_client()?;
            }
        }
    }
    scene.ended("WRONGPASS; held");
    scene.figure("guesses/s", guesses as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
