//! RESTORE of values that somebody has made to hurt: what DUMP gave, with bytes changed and the checksum made right again.

use super::scene::Scene;
use crate::client::Client;
use crate::error::Result;
use crate::random::Random;
use crate::wire::Reply;

/// The bytes behind a value: a version, and a checksum of 64 bits.
const FOOTER: usize = 10;
/// Commands for what was taken after all.
const LOOKS: [&[&[u8]]; 9] = [
    &[b"TYPE"],
    &[b"OBJECT", b"ENCODING"],
    &[b"GET"],
    &[b"LRANGE", b"0", b"-1"],
    &[b"HGETALL"],
    &[b"SMEMBERS"],
    &[b"ZRANGE", b"0", b"-1"],
    &[b"PFCOUNT"],
    &[b"DUMP"],
];

/// A value of each type, small and large.
pub fn prepare(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    for index in 0..300u32 {
        let text = index.to_string();
        let text = text.as_bytes();
        let suffixes: &[&[u8]] = if index < 5 { &[b"small", b"large"] } else { &[b"large"] };
        for suffix in suffixes {
            let key = |kind: &[u8]| [b"attack:", kind, b":", *suffix].concat();
            client.call(&[b"RPUSH", &key(b"list"), text])?;
            client.call(&[b"HSET", &key(b"hash"), text, b"value"])?;
            client.call(&[b"SADD", &key(b"set"), text])?;
            client.call(&[b"SADD", &key(b"words"), &[b"word", text].concat()])?;
            client.call(&[b"ZADD", &key(b"zset"), text, &[b"word", text].concat()])?;
            client.call(&[b"PFADD", &key(b"hll"), text])?;
            client.call(&[b"APPEND", &key(b"string"), &text.repeat(20)])?;
        }
    }
    Ok(())
}

/// 50,000 of them, and what is taken is looked at.
pub fn run(scene: &Scene) -> Result<()> {
    let mut client = scene.client()?;
    let Some(Reply::Array(keys)) = scene.ask(&mut client, &[b"KEYS", b"attack:*"]) else { return Ok(()) };
    let mut dumps = Vec::new();
    for key in keys {
        if let Reply::Bulk(key) = key
            && let Ok(Reply::Bulk(dump)) = client.call(&[b"DUMP", &key])
        {
            dumps.push(dump);
        }
    }
    let (mut random, mut refused, mut taken) = (scene.random(), 0, 0);
    for _ in 0..scene.amount(50_000, 1_000) {
        if scene.is_over() || dumps.is_empty() {
            break;
        }
        let index = random.between(0, dumps.len() as u64 - 1) as usize;
        let payload = spoil(&dumps[index], &mut random);
        match client.call(&[b"RESTORE", b"attack:restored", b"0", &payload, b"REPLACE"]) {
            Ok(Reply::Error(_)) => refused += 1,
            Ok(_) => {
                taken += 1;
                look(&mut client)?;
            }
            Err(error) => {
                scene.ended(format!("closed: {error}"));
                client = scene.client()?;
            }
        }
    }
    scene.ended_times("refused; held", refused);
    scene.ended_times("taken, and looked at", taken);
    Ok(())
}

fn look(client: &mut Client) -> Result<()> {
    for look in LOOKS {
        let at = if look[0] == b"OBJECT" { 2 } else { 1 };
        let words = [&look[..at], &[&b"attack:restored"[..]], &look[at..]].concat();
        client.call(&words)?;
    }
    Ok(())
}

/// A payload changed in one to three places, with a checksum that fits.
fn spoil(dump: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = dump[..dump.len().saturating_sub(8)].to_vec();
    for _ in 0..random.between(1, 3) {
        let last = bytes.len().saturating_sub(FOOTER - 8).max(1) as u64 - 1;
        let at = random.between(0, last) as usize;
        match random.between(0, 3) {
            0 => bytes[at] = [0, 0x7f, 0x80, 0xff, 0xfe, 0xc3][random.between(0, 5) as usize],
            1 => bytes[at] ^= 1 << random.between(0, 7),
            2 => bytes[at] = random.next() as u8,
            _ => drop(bytes.drain(at..(at + 8).min(last as usize))),
        }
    }
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes
}

/// CRC-64 of Jones, as RDB files have it: reflected, begins with 0.
fn checksum(bytes: &[u8]) -> u64 {
    const REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc: u64, &byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that Redis's own test names.
    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn a_spoilt_payload_has_a_checksum_that_fits() {
        let mut random = Random::new(1);
        let dump = [&[0u8, 5][..], b"hello", &[11, 0], &[0; 8]].concat();
        for _ in 0..1000 {
            let spoilt = spoil(&dump, &mut random);
            let (bytes, sum) = spoilt.split_at(spoilt.len() - 8);
            assert_eq!(checksum(bytes).to_le_bytes(), sum);
        }
    }
}
