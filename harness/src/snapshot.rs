//! Everything a reader can see after a restart: each key's value, and the keys by SCAN, KEYS and DBSIZE.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Client;
use crate::clock::{self, Interval};
use crate::error::{Failure, Result};
use crate::op::SHARED;
use crate::value::{self, Digest, Reading};
use crate::wire::Reply;

/// One key's value.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its bytes.
    pub digest: Digest,
    /// What it says about itself.
    pub reading: Reading,
    /// The bytes, of shared keys only.
    pub bytes: Option<Vec<u8>>,
}

/// One look at a key.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub at: Interval,
    /// What was there.
    pub found: Option<Found>,
}

/// One database.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// Every key asked for or listed.
    pub looks: BTreeMap<String, Look>,
    /// By SCAN.
    pub scanned: BTreeSet<String>,
    /// By KEYS.
    pub listed: BTreeSet<String>,
    /// By DBSIZE.
    pub size: i64,
}

/// Keys that vanish by themselves.
pub fn is_volatile(name: &str) -> bool {
    name.contains(":t")
}

impl Database {
    /// Keys that GET finds, without the volatile.
    pub fn steady(&self) -> BTreeMap<String, Digest> {
        let found = self.looks.iter().filter(|(name, _)| !is_volatile(name));
        found.filter_map(|(name, look)| Some((name.clone(), look.found.as_ref()?.digest))).collect()
    }

    /// The number of volatile keys that may still be there.
    pub fn volatile(&self) -> i64 {
        self.looks.keys().filter(|name| is_volatile(name)).count() as i64
    }
}

/// Looks at `expected` keys and all others of the database.
pub fn take(client: &mut Client, database: u32, expected: &BTreeSet<String>) -> Result<Database> {
    call(client, &[b"SELECT", database.to_string().as_bytes()])?;
    let listed = names(call(client, &[b"KEYS", b"*"])?)?;
    let all: Vec<String> = listed.union(expected).cloned().collect();
    let mut looks = BTreeMap::new();
    for chunk in all.chunks(64) {
        let from = clock::now();
        let replies = client.pipeline(chunk.iter().map(|name| vec![&b"GET"[..], name.as_bytes()]))?;
        let at = Interval { from, to: clock::now() };
        for (name, reply) in chunk.iter().zip(replies) {
            looks.insert(name.clone(), Look { at, found: found(name, reply)? });
        }
    }
    let scanned = scan(client)?;
    let Reply::Int(size) = call(client, &[b"DBSIZE"])? else {
        return Err(Failure::Reply("DBSIZE gave no number".to_owned()));
    };
    let listed = names(call(client, &[b"KEYS", b"*"])?)?;
    Ok(Database { looks, scanned, listed, size })
}

fn found(name: &str, reply: Reply) -> Result<Option<Found>> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::Bulk(bytes) => {
            let (digest, reading) = (Digest::of(&bytes), value::read(&bytes));
            Ok(Some(Found { digest, reading, bytes: name.starts_with(SHARED).then_some(bytes) }))
        }
        other => Err(Failure::Reply(format!("GET {name}: {other:?}"))),
    }
}

fn scan(client: &mut Client) -> Result<BTreeSet<String>> {
    let mut cursor = b"0".to_vec();
    let mut keys = BTreeSet::new();
    // Far more turns than keys: a cursor that goes in circles ends the run, not the patience.
    for _ in 0..100_000 {
        let reply = call(client, &[b"SCAN", &cursor, b"COUNT", b"100"])?;
        let Reply::Array(mut parts) = reply else {
            return Err(Failure::Reply(format!("SCAN: {reply:?}")));
        };
        let (Some(page), Some(Reply::Bulk(next))) = (parts.pop(), parts.pop()) else {
            return Err(Failure::Reply("SCAN without cursor and page".to_owned()));
        };
        keys.extend(names(page)?);
        cursor = next;
        if cursor == b"0" {
            return Ok(keys);
        }
    }
    Err(Failure::Reply("SCAN does not end".to_owned()))
}

fn names(reply: Reply) -> Result<BTreeSet<String>> {
    let Reply::Array(items) = reply else {
        return Err(Failure::Reply(format!("no list of keys: {reply:?}")));
    };
    let name = |item| match item {
        Reply::Bulk(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        other => Err(Failure::Reply(format!("no key: {other:?}"))),
    };
    items.into_iter().map(name).collect()
}

fn call(client: &mut Client, args: &[&[u8]]) -> Result<Reply> {
    match client.call(args)? {
        Reply::Error(text) => Err(Failure::Reply(format!("{}: {text}", String::from_utf8_lossy(args[0])))),
        reply => Ok(reply),
    }
}
