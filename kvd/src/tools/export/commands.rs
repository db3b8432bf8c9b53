//! Commands that make a value: written as they come, a collection in batches of bounded size.

use std::io::{self, Write};

use bytes::BytesMut;
use resp::encode_request;

/// Elements that one command brings.
const BATCH_ELEMENTS: usize = 128;
/// Bytes of them from which no more are brought, and bytes that are written at once.
const BATCH_BYTES: usize = 64 << 10;

/// A stream of commands.
pub(super) struct Commands<W> {
    out: W,
    buffer: BytesMut,
    database: Option<u64>,
    keys: u64,
}

impl<W: Write> Commands<W> {
    pub(super) fn new(out: W) -> Commands<W> {
        Commands { out, buffer: BytesMut::new(), database: None, keys: 0 }
    }

    /// The next key is in this database.
    pub(super) fn begin(&mut self, database: u64) -> io::Result<()> {
        if self.database == Some(database) {
            return Ok(());
        }
        self.database = Some(database);
        self.command(&[b"SELECT", database.to_string().as_bytes()])
    }

    /// The key is complete; it goes at this time.
    pub(super) fn end(&mut self, key: &[u8], deadline_ms: Option<u64>) -> io::Result<()> {
        self.keys += 1;
        match deadline_ms {
            Some(deadline_ms) => self.command(&[b"PEXPIREAT", key, deadline_ms.to_string().as_bytes()]),
            None => Ok(()),
        }
    }

    pub(super) fn string(&mut self, key: &[u8], bytes: &[u8]) -> io::Result<()> {
        self.command(&[b"SET", key, bytes])
    }

    pub(super) fn list<E: AsRef<[u8]>>(&mut self, key: &[u8], elements: impl Iterator<Item = E>) -> io::Result<()> {
        self.batches(&[b"RPUSH", key], elements.map(|element| [element]))
    }

    pub(super) fn set<E: AsRef<[u8]>>(&mut self, key: &[u8], members: impl Iterator<Item = E>) -> io::Result<()> {
        self.batches(&[b"SADD", key], members.map(|member| [member]))
    }

    pub(super) fn zset<E: AsRef<[u8]>>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = (E, f64)>,
    ) -> io::Result<()> {
        let pairs = members.map(|(member, score)| [resp::shortest(score).into_bytes(), member.as_ref().to_vec()]);
        self.batches(&[b"ZADD", key], pairs)
    }

    /// Fields with values and deadlines: first all values, then the deadlines, those that are the same together.
    pub(super) fn hash<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        key: &[u8],
        fields: impl Iterator<Item = (N, V, Option<u64>)> + Clone,
    ) -> io::Result<()> {
        let pairs = fields.clone().map(|(name, value, _)| [name.as_ref().to_vec(), value.as_ref().to_vec()]);
        self.batches(&[b"HSET", key], pairs)?;
        let mut group: Vec<N> = Vec::new();
        let mut group_ms = 0;
        for (name, _, deadline) in fields {
            let Some(deadline_ms) = deadline else { continue };
            if deadline_ms != group_ms || group.len() == BATCH_ELEMENTS {
                self.deadlines(key, group_ms, &group)?;
                group.clear();
                group_ms = deadline_ms;
            }
            group.push(name);
        }
        self.deadlines(key, group_ms, &group)
    }

    /// Everything is written; how many keys there were.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.write()?;
        self.out.flush()?;
        Ok(self.keys)
    }

    fn deadlines<N: AsRef<[u8]>>(&mut self, key: &[u8], deadline_ms: u64, names: &[N]) -> io::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let (at, count) = (deadline_ms.to_string(), names.len().to_string());
        let head: [&[u8]; 5] = [b"HPEXPIREAT", key, at.as_bytes(), b"FIELDS", count.as_bytes()];
        let words: Vec<&[u8]> = head.into_iter().chain(names.iter().map(AsRef::as_ref)).collect();
        self.command(&words)
    }

    /// Commands that begin alike and bring these elements, each of which is some words.
    fn batches<E: AsRef<[u8]>, const WORDS: usize>(
        &mut self,
        head: &[&[u8]; 2],
        elements: impl Iterator<Item = [E; WORDS]>,
    ) -> io::Result<()> {
        let (mut batch, mut bytes): (Vec<E>, usize) = (Vec::new(), 0);
        for element in elements {
            bytes += element.iter().map(|word| word.as_ref().len()).sum::<usize>();
            batch.extend(element);
            if batch.len() >= BATCH_ELEMENTS * WORDS || bytes >= BATCH_BYTES {
                self.batch(head, &batch)?;
                batch.clear();
                bytes = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.batch(head, &batch) }
    }

    fn batch<E: AsRef<[u8]>>(&mut self, head: &[&[u8]; 2], batch: &[E]) -> io::Result<()> {
        let words: Vec<&[u8]> = head.iter().copied().chain(batch.iter().map(AsRef::as_ref)).collect();
        self.command(&words)
    }

    fn command(&mut self, words: &[&[u8]]) -> io::Result<()> {
        encode_request(&mut self.buffer, words);
        if self.buffer.len() >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(fill: impl FnOnce(&mut Commands<&mut Vec<u8>>)) -> Vec<String> {
        let mut out = Vec::new();
        let mut commands = Commands::new(&mut out);
        fill(&mut commands);
        commands.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        // Of each command its words, without the lengths.
        let commands = text.split('*').skip(1);
        commands
            .map(|one| one.lines().skip(1).filter(|line| !line.starts_with('$')).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn databases_are_selected_when_they_change() {
        let found = words(|commands| {
            for (database, key) in [(0, "a"), (0, "b"), (3, "c")] {
                commands.begin(database).unwrap();
                commands.string(key.as_bytes(), b"1").unwrap();
                commands.end(key.as_bytes(), (key == "b").then_some(99)).unwrap();
            }
        });
        assert_eq!(found, ["SELECT 0", "SET a 1", "SET b 1", "PEXPIREAT b 99", "SELECT 3", "SET c 1"]);
    }

    #[test]
    fn a_long_collection_comes_in_batches_and_order() {
        let found = words(|commands| commands.list(b"l", (0..300).map(|n| n.to_string())).unwrap());
        assert_eq!(found.len(), 3);
        let all: Vec<&str> = found.iter().flat_map(|line| line.split(' ').skip(2)).collect();
        assert!(all.iter().enumerate().all(|(at, element)| *element == at.to_string()) && all.len() == 300);
        let long = words(|commands| commands.zset(b"z", (0..3).map(|n| (vec![b'a' + n; BATCH_BYTES], 0.5))).unwrap());
        assert_eq!(long.len(), 3);
        assert!(words(|commands| commands.set(b"s", std::iter::empty::<&[u8]>()).unwrap()).is_empty());
    }

    #[test]
    fn deadlines_of_fields_follow_together_where_they_are_the_same() {
        let fields = [("a", "1", Some(5)), ("b", "2", None), ("c", "3", Some(5)), ("d", "4", Some(6))];
        let found = words(|commands| commands.hash(b"h", fields.into_iter()).unwrap());
        assert_eq!(found, ["HSET h a 1 b 2 c 3 d 4", "HPEXPIREAT h 5 FIELDS 2 a c", "HPEXPIREAT h 6 FIELDS 1 d"]);
    }
}
