//! Requests that were fine before some of their bytes were changed, from a seed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::scene::{Scene, request};
use crate::error::Result;
use crate::random::Random;

/// Connections at once.
const CLIENTS: u64 = 16;
/// Frames on one connection at most: most end theirs before.
const FRAMES: u64 = 16;
/// Silence after which a server waits for more.
const SILENCE: Duration = Duration::from_millis(2);

/// A million of them.
pub fn run(scene: &Scene) -> Result<()> {
    let wanted = scene.amount(1_000_000, 5_000);
    let (sent, errors, silent) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let mut random = scene.random();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (mut random, counts) = (random.fork(), [&sent, &errors, &silent]);
            scope.spawn(move || {
                while counts[0].load(Ordering::Relaxed) < wanted && !scene.is_over() {
                    if connection(scene, &mut random, counts).is_none() {
                        // Not accepted: whoever is alive accepts a moment later.
                        std::thread::sleep(SILENCE);
                    }
                }
            });
        }
    });
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    scene.figure_within("frames", load(&sent) as f64, wanted as f64, f64::INFINITY);
    scene.ended_times("error; closed or answered", load(&errors));
    scene.ended_times("waits for more", load(&silent));
    Ok(())
}

/// Frames on one connection until it ends; nothing when there is none.
fn connection(scene: &Scene, random: &mut Random, [sent, errors, silent]: [&AtomicU64; 3]) -> Option<()> {
    let mut stream = scene.connect().ok()?;
    stream.set_read_timeout(Some(SILENCE)).ok()?;
    for _ in 0..FRAMES {
        sent.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(&frame(random)).is_err() {
            break;
        }
        match answer(&mut stream) {
            Some(0) => break,
            Some(b'-') => errors.fetch_add(1, Ordering::Relaxed),
            Some(_) => 0,
            None => silent.fetch_add(1, Ordering::Relaxed),
        };
    }
    Some(())
}

/// The first byte of what is said; 0 for an end, nothing for silence.
fn answer(stream: &mut TcpStream) -> Option<u8> {
    let mut bytes = [0; 4096];
    match stream.read(&mut bytes) {
        Ok(0) => Some(0),
        Ok(_) => Some(bytes[0]),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => None,
        Err(_) => Some(0),
    }
}

/// A request that was changed in one to four places.
fn frame(random: &mut Random) -> Vec<u8> {
    let mut bytes = whole(random);
    for _ in 0..random.between(1, 4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.between(0, bytes.len() as u64 - 1) as usize;
        match random.between(0, 7) {
            0 => bytes[at] ^= 1 << random.between(0, 7),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + 4).min(bytes.len()))),
            4 => bytes.insert(at, random.next() as u8),
            5 => drop(bytes.splice(at..at, *b"\r\n")),
            6 => drop(bytes.splice(at..at, b"9".repeat(random.between(1, 20) as usize))),
            _ => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
        }
    }
    bytes
}

/// One that is fine. It touches nothing that must stay.
fn whole(random: &mut Random) -> Vec<u8> {
    let key = format!("attack:{}", random.between(0, 99));
    let (key, number) = (key.as_bytes(), random.between(0, 1000).to_string());
    let number = number.as_bytes();
    match random.between(0, 9) {
        0 => request(&[b"SET", key, number, b"EX", b"10"]),
        1 => request(&[b"GET", key]),
        2 => request(&[b"LPUSH", key, number, number]),
        3 => request(&[b"HSET", key, number, number]),
        4 => request(&[b"ZADD", key, number, key]),
        5 => request(&[b"SETRANGE", key, number, b"x"]),
        6 => request(&[b"PING"]),
        7 => [b"SET ", key, b" \"", number, b"\"\r\n"].concat(),
        8 => request(&[b"BITFIELD", key, b"SET", b"u8", number, b"1"]),
        _ => request(&[b"HELLO", b"3", b"SETNAME", key]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_the_same_frames_and_most_are_broken() {
        let frames = |seed| {
            let mut random = Random::new(seed);
            (0..1000).map(|_| frame(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(frames(7), frames(7));
        assert_ne!(frames(7), frames(8));
        let mut random = Random::new(7);
        let fine: Vec<Vec<u8>> = (0..1000).map(|_| whole(&mut random)).collect();
        assert!(frames(7).iter().filter(|frame| fine.contains(frame)).count() < 100);
    }
}
