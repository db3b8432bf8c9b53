//! Before a group of requests runs: their commands are looked up, and the memory of their keys is brought towards the
//! processor.

use engine::Key;
use engine::value::ZSET;
use resp::Batch;

use super::Server;
use super::execute::GROUP;
use crate::commands::{self, Entry};

/// Looks up the commands of a group and brings the memory of their keys towards the processor.
#[inline]
pub(super) fn prepare(
    batch: &Batch,
    from: usize,
    prepared: &mut [(Option<&'static Entry>, u64)],
    database: u8,
    server: &Server,
) {
    let mut keys: [Key<'_>; GROUP] = [Key { bytes: b"", hash: 0 }; GROUP];
    let mut count = 0;
    for (index, (entry, hash)) in (from..).zip(prepared.iter_mut()) {
        let request = batch.request(index);
        *entry = request.get(0).and_then(commands::lookup);
        let first = entry.map_or(0, |entry| entry.syntax.keys.first);
        if first != 0
            && let Some(bytes) = request.get(first)
        {
            let key = server.store.key(bytes);
            *hash = key.hash;
            keys[count] = key;
            count += 1;
        }
    }
    if count > 1 && !server.apart.is_busy() {
        server.store.prefetch(database, &keys[..count]);
        prefetch_elements(batch, from, prepared, database, server);
    }
}

/// The same for the elements that requests for one key name, where several in a row do: a large collection is the memory of
/// many keys.
#[inline]
fn prefetch_elements(
    batch: &Batch,
    from: usize,
    prepared: &[(Option<&'static Entry>, u64)],
    database: u8,
    server: &Server,
) {
    let mut begin = from;
    for run in prepared.chunk_by(|left, right| left.1 == right.1) {
        let requests = begin..begin + run.len();
        begin = requests.end;
        let [(Some(entry), hash @ 1..), _, ..] = run else { continue };
        let Some(bytes) = batch.request(requests.start).get(entry.syntax.keys.first) else { continue };
        // It is only a hint: who has the name elsewhere gets what is of no use.
        server.store.prefetch_elements(database, &Key { bytes, hash: *hash }, |value_type| {
            requests.filter_map(move |index| {
                let request = batch.request(index);
                let scored = value_type == ZSET && request.len() > 3;
                request.get(if scored { 3 } else { 2 })
            })
        });
    }
}
