//! Everything a reader can see after a restart: each key's type, value and size, and the keys by SCAN, KEYS and DBSIZE.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Client;
use crate::clock::{self, Interval};
use crate::content::{Content, Deadline, Type};
use crate::error::{Failure, Result};
use crate::op;
use crate::op::SHARED;
use crate::oracle;
use crate::value::{self, Digest, Reading};
use crate::wire::Reply;

/// One key's value.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it holds.
    pub content: Content,
    /// What it says about itself.
    pub reading: Reading,
    /// The bytes, of shared strings only.
    pub bytes: Option<Vec<u8>>,
}

impl Found {
    /// A string.
    pub fn text(bytes: &[u8]) -> Self {
        Self { content: Content::text(bytes), reading: value::read(bytes), bytes: None }
    }

    /// A collection.
    pub fn collection(content: Content) -> Self {
        Self { reading: content.reading(), content, bytes: None }
    }

    /// What it is compared by over time.
    pub fn digest(&self) -> Digest {
        self.content.digest()
    }
}

/// One look at a key.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub at: Interval,
    /// What was there.
    pub found: Option<Found>,
    /// When it goes, as PTTL tells; its fields' are in the content.
    pub deadline: Deadline,
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
    /// Keys of which TYPE, the count of elements and a full read tell different stories, and what they tell.
    pub contradictions: Vec<(String, String)>,
}

/// Keys that vanish by themselves.
pub fn is_volatile(name: &str) -> bool {
    name.contains(":t")
}

impl Database {
    /// Keys that reads find, without the volatile.
    pub fn steady(&self) -> BTreeMap<String, Digest> {
        let found = self.looks.iter().filter(|(name, _)| !is_volatile(name));
        found.filter_map(|(name, look)| Some((name.clone(), look.found.as_ref()?.digest()))).collect()
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
    let (mut looks, mut contradictions) = (BTreeMap::new(), Vec::new());
    for chunk in all.chunks(64) {
        look(client, chunk, &mut looks, &mut contradictions)?;
    }
    let scanned = scan(client)?;
    let Reply::Int(size) = call(client, &[b"DBSIZE"])? else {
        return Err(Failure::Reply("DBSIZE gave no number".to_owned()));
    };
    let listed = names(call(client, &[b"KEYS", b"*"])?)?;
    Ok(Database { looks, scanned, listed, size, contradictions })
}

/// Asks for the types of some keys, then reads and counts each as what it is.
fn look(
    client: &mut Client,
    names: &[String],
    looks: &mut BTreeMap<String, Look>,
    contradictions: &mut Vec<(String, String)>,
) -> Result<()> {
    let from = clock::now();
    let types = client.pipeline(names.iter().map(|name| vec![&b"TYPE"[..], name.as_bytes()]))?;
    let mut there = Vec::new();
    for (name, reply) in names.iter().zip(types) {
        match &reply {
            Reply::Simple(word) if word == "none" => {}
            Reply::Simple(word) if Type::of(word).is_some() => there.extend(Type::of(word).map(|kind| (name, kind))),
            other => return Err(Failure::Reply(format!("TYPE {name}: {other:?}"))),
        }
    }
    for (name, kind) in &there {
        let words = op::read(*kind, name.as_bytes().to_vec());
        client.queue(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        client.queue(&[kind.count_word().as_bytes(), name.as_bytes()]);
        client.queue(&[b"PTTL", name.as_bytes()]);
    }
    client.flush()?;
    let reply = |_| Ok([client.reply()?, client.reply()?, client.reply()?]);
    let replies: Vec<[Reply; 3]> = there.iter().map(reply).collect::<std::io::Result<_>>()?;
    let at = Interval { from, to: clock::now() };
    looks.extend(names.iter().map(|name| (name.clone(), Look { at, found: None, deadline: None })));
    for ((name, kind), [whole, count, left]) in there.into_iter().zip(replies) {
        let found = found(name, kind, &whole);
        let size = found.as_ref().map_or(0, |found| found.content.len() as i64);
        if !is_volatile(name) && (found.is_none() || count != Reply::Int(size)) {
            let told = format!("TYPE says {}, a full read {size} elements, the count is {count:?}", kind.word());
            contradictions.push((name.clone(), told));
        }
        looks.insert(name.clone(), Look { at, found, deadline: deadline(&left, at)? });
    }
    look_at_fields(client, names, looks)
}

/// Asks for the deadlines of hashes' fields, which a full read does not show.
fn look_at_fields(client: &mut Client, names: &[String], looks: &mut BTreeMap<String, Look>) -> Result<()> {
    let mut hashes = Vec::new();
    for name in names {
        let found = looks.get(name).and_then(|look| look.found.as_ref());
        if let Some(Content::Hash(fields)) = found.map(|found| &found.content) {
            let count = fields.len().to_string();
            let front = [&b"HPTTL"[..], name.as_bytes(), b"FIELDS", count.as_bytes()];
            client.queue(&front.into_iter().chain(fields.keys().map(Vec::as_slice)).collect::<Vec<_>>());
            hashes.push(name);
        }
    }
    client.flush()?;
    for name in hashes {
        let reply = client.reply()?;
        let Some(look) = looks.get_mut(name) else { continue };
        look.at.to = clock::now();
        // Elsewhere fields may have no deadlines, and this is an error.
        if let (Some(Content::Hash(fields)), Reply::Array(each)) =
            (look.found.as_mut().map(|found| &mut found.content), reply)
        {
            for (field, left) in fields.values_mut().zip(&each) {
                field.deadline = deadline(left, look.at)?;
            }
        }
    }
    Ok(())
}

/// By the reply of PTTL or HPTTL. A key that goes between two looks has nothing left.
fn deadline(left: &Reply, at: Interval) -> Result<Deadline> {
    match left {
        Reply::Int(-1) => Ok(None),
        Reply::Int(left) => Ok(Some(oracle::deadline_after(u32::try_from(*left).unwrap_or(0), at))),
        other => Err(Failure::Reply(format!("PTTL: {other:?}"))),
    }
}

/// What a full read found. A reply that is none, such as an element twice, is kept as a torn value.
fn found(name: &str, kind: Type, reply: &Reply) -> Option<Found> {
    match (kind, reply) {
        (Type::Text, Reply::Bulk(bytes)) => {
            let bytes_kept = name.starts_with(SHARED).then(|| bytes.clone());
            Some(Found { bytes: bytes_kept, ..Found::text(bytes) })
        }
        (_, Reply::Nil) => None,
        (_, Reply::Array(items)) if items.is_empty() => None,
        (kind, reply) => {
            let torn = || Found { content: kind.empty(), reading: Reading::Torn, bytes: None };
            Some(kind.parse(reply).map_or_else(torn, Found::collection))
        }
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

/// A reply that lists keys.
pub fn names(reply: Reply) -> Result<BTreeSet<String>> {
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
