//! Other protocols on this port: a browser that is made to POST commands, a client that expects TLS.

use std::time::Duration;

use super::scene::Scene;
use crate::error::Result;
use crate::wire::Reply;

const SILENCE: Duration = Duration::from_millis(500);

/// The head of a TLS 1.3 ClientHello; what follows it is noise.
const HELLO: [u8; 11] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// HTTP with commands in its headers and its body, and handshakes.
pub fn run(scene: &Scene) -> Result<()> {
    let mut random = scene.random();
    let before = size(scene)?;
    for _ in 0..scene.amount(20, 5) {
        for head in ["POST / HTTP/1.1\r\nHost: localhost:6379\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", "Host: x\r\n"] {
            let body = "Content-Length: 30\r\n\r\nSET crossed 1\r\nSELECT 1\r\nSET crossed 1\r\n";
            scene.strike(format!("{head}{body}").as_bytes(), SILENCE);
        }
        let noise: Vec<u8> = HELLO.into_iter().chain((0..506).map(|_| random.next() as u8)).collect();
        scene.strike(&noise, SILENCE);
        scene.strike(&[&noise[..], b"\r\nPING\r\n"].concat(), SILENCE);
    }
    if scene.is_store {
        scene.figure_within("keys written from within HTTP", size(scene)? - before, 0.0, 0.0);
    }
    Ok(())
}

fn size(scene: &Scene) -> Result<f64> {
    Ok(match scene.plain_client()?.call(&[b"DBSIZE"])? {
        Reply::Int(keys) => keys as f64,
        _ => 0.0,
    })
}
