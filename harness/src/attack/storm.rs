//! Clients that come and go.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::scene::{Scene, request};
use crate::clock;
use crate::error::Result;

const CLIENTS: usize = 8;

/// Connects, asks one PING and goes, for some seconds.
pub fn run(scene: &Scene) -> Result<()> {
    let (served, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = clock::now();
    let end = start + scene.time(10_000, 1_000);
    let ping = request(&[b"PING"]);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while clock::now() < end && !scene.is_over() {
                    let counter = if once(scene, &ping).is_ok() { &served } else { &failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    scene.ended_times("answered", load(&served));
    scene.ended_times("not answered", load(&failed));
    let least = if scene.small { 500.0 } else { 5000.0 };
    scene.figure_within("connects/s", load(&served) as f64 / seconds, least, f64::INFINITY);
    scene.figure_within("not answered", load(&failed) as f64, 0.0, 0.0);
    Ok(())
}

fn once(scene: &Scene, ping: &[u8]) -> std::io::Result<()> {
    let mut stream = scene.connect()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
    stream.write_all(ping)?;
    stream.read_exact(&mut [0; 7])
}
