//! Ten thousand clients at once, all of which are answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::scene::{Scene, request};
use crate::clock;
use crate::error::Result;

const PONG: &[u8] = b"+PONG\r\n";

/// Room for them and for the others.
pub fn prepare(scene: &Scene) -> Result<()> {
    scene.configure("maxclients", "10200")
}

/// Connects them, and has each ask in turn.
pub fn run(scene: &Scene) -> Result<()> {
    let wanted = scene.amount(10_000, 500);
    let mut held = Vec::new();
    for _ in 0..wanted {
        match scene.connect() {
            Ok(stream) => held.push(stream),
            Err(error) => {
                scene.ended(format!("not accepted: {error}"));
                break;
            }
        }
    }
    let ping = request(&[b"PING"]);
    let (start, mut asked, mut answered) = (clock::now(), 0u64, 0u64);
    let end = start + scene.time(5000, 500);
    while clock::now() < end && !scene.is_over() {
        for group in held.chunks_mut(100) {
            asked += group.len() as u64;
            group.iter_mut().for_each(|stream| drop(stream.write_all(&ping)));
            answered += group.iter_mut().filter_map(pong).count() as u64;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    held.iter_mut().for_each(|stream| drop(stream.write_all(&ping)));
    let served = held.iter_mut().filter_map(pong).count();
    scene.ended_times("answered; held", served as u64);
    scene.figure_within("held and answered", served as f64, wanted as f64, f64::INFINITY);
    scene.figure("not answered", (asked - answered) as f64);
    scene.figure("PINGs/s", answered as f64 / seconds);
    Ok(())
}

fn pong(stream: &mut TcpStream) -> Option<()> {
    let mut bytes = [0; PONG.len()];
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.read_exact(&mut bytes).ok()?;
    (bytes == PONG).then_some(())
}
