//! Writing a dump: one function for each type, which choose the encoding as Redis does by default.
//!
//! Collections are given as iterators that can be cloned, and are gone through twice: once to choose and to know how
//! much memory it takes, once to write. They are never empty (Redis stores no empty collection and refuses the dump of
//! one), and members and fields are distinct.

use std::cmp::Ordering;

use crate::footer::{FOOTER_BYTES, Version, seal};
use crate::packed::intset;
use crate::packed::listpack::{ENTRY_OVERHEAD_BYTES, Listpack};
use crate::restore::{DEADLINE_MAX_MS, NODE_PACKED, NODE_PLAIN};
use crate::string::HEADER_BYTES;
use crate::{integer, kind, length, score, string};

/// The most elements of a set, hash or sorted set that is packed: Redis's `*-max-listpack-entries`.
const PACKED_ELEMENTS_MAX: usize = 128;
/// The longest string in one: `*-max-listpack-value`.
const PACKED_STRING_BYTES_MAX: usize = 64;
/// The most members of a set of integers that is packed: `set-max-intset-entries`.
const INTSET_MEMBERS_MAX: usize = 512;
/// The most bytes in a node of a list: `list-max-listpack-size -2`. A longer element is a node of its own.
const NODE_BYTES_MAX: usize = 8 << 10;

/// Dumps a string.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = begin(kind::STRING, HEADER_BYTES + bytes.len());
    string::write(&mut out, bytes);
    seal(out, Version::Redis7_2)
}

/// Dumps a list, from head to tail.
pub fn list<I>(elements: I) -> Vec<u8>
where
    I: Iterator<Item: AsRef<[u8]>> + Clone,
{
    let mut plan = Plan::default();
    let mut nodes = Nodes::default();
    let mut count: u64 = 0;
    for element in elements.clone() {
        plan.string(element.as_ref());
        count += u64::from(nodes.place(element.as_ref()) != Place::Behind);
    }
    let mut out = begin(kind::LIST_QUICKLIST_2, plan.bytes);
    length::write(&mut out, count);
    let mut nodes = Nodes::default();
    let mut node = Listpack::with_capacity(plan.bytes.min(NODE_BYTES_MAX));
    for element in elements {
        let element = element.as_ref();
        let place = nodes.place(element);
        if place != Place::Behind {
            write_node(&mut out, &mut node);
        }
        if place == Place::Alone {
            length::write(&mut out, NODE_PLAIN);
            string::write(&mut out, element);
        } else {
            node.push(element);
        }
    }
    write_node(&mut out, &mut node);
    seal(out, Version::Redis7_2)
}

/// Dumps a set. Integers may come back in another order.
pub fn set<I>(members: I) -> Vec<u8>
where
    I: Iterator<Item: AsRef<[u8]>> + Clone,
{
    let mut plan = Plan::default();
    let mut all_integers = true;
    for member in members.clone() {
        plan.element();
        plan.string(member.as_ref());
        all_integers = all_integers && integer::exact(member.as_ref()).is_some();
    }
    if all_integers && plan.elements <= INTSET_MEMBERS_MAX {
        let mut integers: Vec<i64> = members.filter_map(|member| integer::exact(member.as_ref())).collect();
        integers.sort_unstable();
        return packed(kind::SET_INTSET, &intset::encode(&integers));
    }
    if plan.is_small() {
        let mut listpack = Listpack::with_capacity(plan.bytes);
        members.for_each(|member| listpack.push(member.as_ref()));
        return packed(kind::SET_LISTPACK, listpack.finish());
    }
    let mut out = begin(kind::SET, plan.bytes);
    length::write(&mut out, plan.elements as u64);
    members.for_each(|member| string::write(&mut out, member.as_ref()));
    seal(out, Version::Redis7_2)
}

/// Dumps a hash: the name, value and deadline (milliseconds since 1970) of each field. Only Redis 7.4 and later load
/// deadlines; those beyond the latest that Redis knows, in about 8,900 years, are written as that one.
pub fn hash<I, N, V>(fields: I) -> Vec<u8>
where
    I: Iterator<Item = (N, V, Option<u64>)> + Clone,
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut plan = Plan::default();
    let mut earliest_ms = None;
    for (name, value, deadline) in fields.clone() {
        plan.element();
        plan.string(name.as_ref());
        plan.string(value.as_ref());
        if let Some(deadline_ms) = deadline {
            let deadline_ms = loadable(deadline_ms);
            earliest_ms = Some(earliest_ms.map_or(deadline_ms, |earliest: u64| earliest.min(deadline_ms)));
        }
    }
    if let Some(earliest_ms) = earliest_ms {
        return hash_with_deadlines(fields, &plan, earliest_ms);
    }
    if plan.is_small() {
        let mut listpack = Listpack::with_capacity(plan.bytes);
        for (name, value, _) in fields {
            listpack.push(name.as_ref());
            listpack.push(value.as_ref());
        }
        return packed(kind::HASH_LISTPACK, listpack.finish());
    }
    let mut out = begin(kind::HASH, plan.bytes);
    length::write(&mut out, plan.elements as u64);
    for (name, value, _) in fields {
        string::write(&mut out, name.as_ref());
        string::write(&mut out, value.as_ref());
    }
    seal(out, Version::Redis7_2)
}

/// Dumps a sorted set. No score is NaN.
pub fn zset<I, M>(members: I) -> Vec<u8>
where
    I: Iterator<Item = (M, f64)> + Clone,
    M: AsRef<[u8]>,
{
    let mut plan = Plan::default();
    for (member, _) in members.clone() {
        plan.element();
        plan.string(member.as_ref());
        plan.bytes += size_of::<f64>();
    }
    if plan.is_small() {
        return small_zset(members.collect());
    }
    let mut out = begin(kind::ZSET_2, plan.bytes);
    length::write(&mut out, plan.elements as u64);
    for (member, score) in members {
        string::write(&mut out, member.as_ref());
        out.extend_from_slice(&score.to_le_bytes());
    }
    seal(out, Version::Redis7_2)
}

/// What is known of a collection before it is written.
#[derive(Default)]
struct Plan {
    elements: usize,
    longest_bytes: usize,
    /// An upper bound of what the strings take in any encoding.
    bytes: usize,
}

impl Plan {
    fn element(&mut self) {
        self.elements += 1;
    }

    fn string(&mut self, string: &[u8]) {
        self.longest_bytes = self.longest_bytes.max(string.len());
        self.bytes += string.len() + ENTRY_OVERHEAD_BYTES.max(HEADER_BYTES);
    }

    fn is_small(&self) -> bool {
        self.elements <= PACKED_ELEMENTS_MAX && self.longest_bytes <= PACKED_STRING_BYTES_MAX
    }
}

/// Where a list's next element goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the head of a new node.
    Head,
    /// Behind the element before, in the same node.
    Behind,
    /// Into a node of its own, which is no listpack.
    Alone,
}

/// Divides a list into nodes.
#[derive(Default)]
struct Nodes {
    /// What is left in the node that is being filled, if there is one.
    left_bytes: usize,
}

impl Nodes {
    fn place(&mut self, element: &[u8]) -> Place {
        let bytes = element.len() + ENTRY_OVERHEAD_BYTES;
        if bytes > NODE_BYTES_MAX {
            self.left_bytes = 0;
            Place::Alone
        } else if bytes > self.left_bytes {
            self.left_bytes = NODE_BYTES_MAX - bytes;
            Place::Head
        } else {
            self.left_bytes -= bytes;
            Place::Behind
        }
    }
}

/// Writes the node that is full, if any, and empties it.
fn write_node(out: &mut Vec<u8>, node: &mut Listpack) {
    if !node.is_empty() {
        length::write(out, NODE_PACKED);
        string::write(out, node.finish());
        node.clear();
    }
}

/// Fields with deadlines are never packed: the packed form is in the order of the deadlines, and Redis packs what is
/// small when it loads it.
fn hash_with_deadlines<I, N, V>(fields: I, plan: &Plan, earliest_ms: u64) -> Vec<u8>
where
    I: Iterator<Item = (N, V, Option<u64>)>,
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut out = begin(kind::HASH_METADATA, size_of::<u64>() + plan.elements * HEADER_BYTES + plan.bytes);
    out.extend_from_slice(&earliest_ms.to_le_bytes());
    length::write(&mut out, plan.elements as u64);
    for (name, value, deadline) in fields {
        // Zero is none, so that the earliest is one.
        length::write(&mut out, deadline.map_or(0, |deadline_ms| loadable(deadline_ms) - earliest_ms + 1));
        string::write(&mut out, name.as_ref());
        string::write(&mut out, value.as_ref());
    }
    seal(out, Version::Redis7_4)
}

/// The deadline as Redis can keep it, where zero would be none.
fn loadable(deadline_ms: u64) -> u64 {
    deadline_ms.clamp(1, DEADLINE_MAX_MS)
}

/// A sorted set that is packed is taken by Redis as it stands: in order, whatever the iterator's was.
fn small_zset<M: AsRef<[u8]>>(mut members: Vec<(M, f64)>) -> Vec<u8> {
    members.sort_by(|(left, left_score), (right, right_score)| {
        let scores = left_score.partial_cmp(right_score).unwrap_or(Ordering::Equal);
        scores.then_with(|| left.as_ref().cmp(right.as_ref()))
    });
    let mut listpack = Listpack::with_capacity(0);
    for (member, score) in members {
        listpack.push(member.as_ref());
        listpack.push(score::text(score).as_bytes());
    }
    packed(kind::ZSET_LISTPACK, listpack.finish())
}

/// The dump of a value that is one string.
fn packed(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = begin(kind, HEADER_BYTES + bytes.len());
    string::write(&mut out, bytes);
    seal(out, Version::Redis7_2)
}

/// Begins a dump of about `bytes`.
fn begin(kind: u8, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + HEADER_BYTES + bytes + FOOTER_BYTES);
    out.push(kind);
    out
}
