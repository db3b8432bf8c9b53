//! What a key holds, as the judge models it: a string's digest, or every element of a collection.
//!
//! A model may know less than a server: a field with a deadline is there or gone, a member taken by an unanswered SPOP
//! could be any. So what is found is not compared with the model but asked whether the model allows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Interval;
use crate::value::{self, Digest, Reading};
use crate::wire::Reply;

/// When something goes by itself: not before the first, not after the second.
pub type Deadline = Option<(Instant, Instant)>;

/// Whether a reader at this time may find what has this deadline.
pub fn may_live(deadline: Deadline, at: Interval) -> bool {
    deadline.is_none_or(|(_, latest)| at.from <= latest)
}

/// Whether a reader at this time may find it gone.
pub fn may_be_gone(deadline: Deadline, at: Interval) -> bool {
    deadline.is_some_and(|(earliest, _)| at.to >= earliest)
}

/// A deadline so far away may be none at all: clients give an hour at most.
const PERHAPS_NEVER: Duration = Duration::from_secs(12 * 3600);

/// One of two deadlines; nobody knows which.
pub fn either(one: Deadline, other: Deadline, at: Interval) -> Deadline {
    let never = at.to + 2 * PERHAPS_NEVER;
    let latest = |deadline: Deadline| deadline.map_or(never, |(_, latest)| latest);
    let earliest = [one, other].into_iter().flatten().map(|(earliest, _)| earliest).min()?;
    Some((earliest, latest(one).max(latest(other))))
}

/// Whether a reader at this time may be told the second deadline where the first one holds.
pub fn may_be_told(known: Deadline, told: Deadline, at: Interval) -> bool {
    match (known, told) {
        (Some((earliest, latest)), Some((from, to))) => from <= latest && earliest <= to,
        (Some((_, latest)), None) => latest > at.to + PERHAPS_NEVER,
        (None, told) => told.is_none(),
    }
}

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Strings.
    Text,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    Sorted,
}

/// A hash's field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its value.
    pub value: Vec<u8>,
    /// When it goes.
    pub deadline: Deadline,
}

/// One key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A string, by its digest, and as a number, if it is one.
    Text(Digest, Option<i64>),
    /// A list, from left to right.
    List(VecDeque<Vec<u8>>),
    /// A hash.
    Hash(BTreeMap<Vec<u8>, Field>),
    /// A set that may have lost members to unanswered commands with these numbers, one to each.
    Set(BTreeSet<Vec<u8>>, Vec<u64>),
    /// A sorted set: each member's score.
    Sorted(BTreeMap<Vec<u8>, i64>),
}

impl Type {
    /// By the reply of TYPE.
    pub fn of(word: &str) -> Option<Self> {
        let types = [Self::Text, Self::List, Self::Hash, Self::Set, Self::Sorted];
        types.into_iter().find(|kind| kind.word() == word)
    }

    /// As TYPE says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::Sorted => "zset",
        }
    }

    /// The command that reads all of a key, but for its name: the words before and behind.
    pub fn read_words(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Text => ("GET", &[]),
            Self::List => ("LRANGE", &["0", "-1"]),
            Self::Hash => ("HGETALL", &[]),
            Self::Set => ("SMEMBERS", &[]),
            Self::Sorted => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        }
    }

    /// The command that counts what is in a key.
    pub fn count_word(self) -> &'static str {
        match self {
            Self::Text => "STRLEN",
            Self::List => "LLEN",
            Self::Hash => "HLEN",
            Self::Set => "SCARD",
            Self::Sorted => "ZCARD",
        }
    }

    /// A value without elements, to be filled.
    pub fn empty(self) -> Content {
        match self {
            Self::Text => Content::text(b""),
            Self::List => Content::List(VecDeque::new()),
            Self::Hash => Content::Hash(BTreeMap::new()),
            Self::Set => Content::Set(BTreeSet::new(), Vec::new()),
            Self::Sorted => Content::Sorted(BTreeMap::new()),
        }
    }

    /// A full read's reply; nothing where it is none: an element twice, a score that is no number, a wrong order.
    pub fn parse(self, reply: &Reply) -> Option<Content> {
        if let (Self::Text, Reply::Bulk(bytes)) = (self, reply) {
            return Some(Content::text(bytes));
        }
        let Reply::Array(items) = reply else { return None };
        let bulk = |item: &Reply| match item {
            Reply::Bulk(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let items: Vec<Vec<u8>> = items.iter().map(bulk).collect::<Option<_>>()?;
        match self {
            Self::Text => None,
            Self::List => Some(Content::List(items.into())),
            Self::Set => {
                let members: BTreeSet<_> = items.iter().cloned().collect();
                (members.len() == items.len()).then_some(Content::Set(members, Vec::new()))
            }
            Self::Hash => {
                let field = |pair: &[Vec<u8>]| (pair[0].clone(), Field { value: pair[1].clone(), deadline: None });
                let fields: BTreeMap<_, _> = items.chunks_exact(2).map(field).collect();
                (2 * fields.len() == items.len()).then_some(Content::Hash(fields))
            }
            Self::Sorted => parse_sorted(&items),
        }
    }
}

fn parse_sorted(items: &[Vec<u8>]) -> Option<Content> {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<i64>().ok();
    let pairs: Vec<(i64, &Vec<u8>)> =
        items.chunks_exact(2).map(|pair| Some((number(&pair[1])?, &pair[0]))).collect::<Option<_>>()?;
    let ordered = pairs.is_sorted_by(|before, after| before < after);
    let members: BTreeMap<_, _> = pairs.iter().map(|(score, member)| ((*member).clone(), *score)).collect();
    (ordered && 2 * members.len() == items.len()).then_some(Content::Sorted(members))
}

impl Content {
    /// A string.
    pub fn text(bytes: &[u8]) -> Self {
        let number = match value::read(bytes) {
            Reading::Number(number) => Some(number),
            _ => None,
        };
        Self::Text(Digest::of(bytes), number)
    }

    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Self::Text(..) => Type::Text,
            Self::List(_) => Type::List,
            Self::Hash(_) => Type::Hash,
            Self::Set(..) => Type::Set,
            Self::Sorted(_) => Type::Sorted,
        }
    }

    /// How many elements it has; for a string, bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(digest, _) => digest.length as usize,
            Self::List(items) => items.len(),
            Self::Hash(fields) => fields.len(),
            Self::Set(members, popped) => members.len() - popped.len(),
            Self::Sorted(members) => members.len(),
        }
    }

    /// A collection without elements is no value: its key is gone.
    pub fn is_empty(&self) -> bool {
        self.kind() != Type::Text && self.len() == 0
    }

    /// What it is compared by over time.
    pub fn digest(&self) -> Digest {
        let add = |digest: Digest, bytes: &[u8]| digest.append(&(bytes.len() as u32).to_le_bytes()).append(bytes);
        let begin = Digest::of(self.kind().word().as_bytes());
        match self {
            Self::Text(digest, _) => *digest,
            Self::List(items) => items.iter().fold(begin, |sum, item| add(sum, item)),
            Self::Hash(fields) => fields.iter().fold(begin, |sum, (name, field)| add(add(sum, name), &field.value)),
            Self::Set(members, _) => members.iter().fold(begin, |sum, member| add(sum, member)),
            Self::Sorted(members) => {
                members.iter().fold(begin, |sum, (member, score)| add(add(sum, member), &score.to_le_bytes()))
            }
        }
    }

    /// The elements that name their writers.
    pub fn elements(&self) -> Box<dyn Iterator<Item = &Vec<u8>> + '_> {
        match self {
            Self::Text(..) => Box::new(std::iter::empty()),
            Self::List(items) => Box::new(items.iter()),
            Self::Hash(fields) => Box::new(fields.values().map(|field| &field.value)),
            Self::Set(members, _) => Box::new(members.iter()),
            Self::Sorted(members) => Box::new(members.keys()),
        }
    }

    /// What a collection's elements say: torn if one of them is, else the newest writer.
    pub fn reading(&self) -> Reading {
        let mut newest = Reading::Number(self.len() as i64);
        for element in self.elements() {
            match (value::read(element), newest) {
                (Reading::Torn, _) => return Reading::Torn,
                (Reading::By { seq, .. }, Reading::By { seq: before, .. }) if seq <= before => {}
                (by @ Reading::By { .. }, _) => newest = by,
                _ => {}
            }
        }
        newest
    }

    /// Whether a reader at this time may find `found` where this is.
    pub fn allows(&self, found: &Self, at: Interval) -> bool {
        match (self, found) {
            (Self::Text(digest, _), Self::Text(seen, _)) => digest == seen,
            (Self::Hash(fields), Self::Hash(seen)) => {
                let there = |(name, field): (&Vec<u8>, &Field)| {
                    fields.get(name).is_some_and(|known| known.value == field.value && may_live(known.deadline, at))
                };
                seen.iter().all(there)
                    && fields.iter().all(|(name, field)| seen.contains_key(name) || may_be_gone(field.deadline, at))
            }
            (Self::Set(members, popped), Self::Set(seen, _)) => {
                seen.is_subset(members) && popped_by(members.difference(seen), popped)
            }
            _ => self == found,
        }
    }

    /// Whether the deadlines of a found hash's fields may be those of this one's.
    pub fn allows_deadlines(&self, found: &Self, at: Interval) -> bool {
        let (Self::Hash(fields), Self::Hash(seen)) = (self, found) else { return true };
        let known = |name| fields.get(name).and_then(|field| field.deadline);
        seen.iter().all(|(name, field)| may_be_told(known(name), field.deadline, at))
    }

    /// The same of the key itself. One whose last field goes between two looks has nothing left, although it had no deadline.
    pub fn allows_deadline(&self, known: Deadline, told: Deadline, at: Interval) -> bool {
        let has_faded = matches!(self, Self::Hash(_)) && told.is_some() && self.may_be_empty(at);
        has_faded || may_be_told(known, told, at)
    }

    /// Whether a reader at this time may find the key gone for want of elements.
    pub fn may_be_empty(&self, at: Interval) -> bool {
        match self {
            Self::Hash(fields) => fields.values().all(|field| may_be_gone(field.deadline, at)),
            _ => self.is_empty(),
        }
    }

    /// Whether something in it is gone for sure.
    pub fn has_faded(&self, at: Interval) -> bool {
        matches!(self, Self::Hash(fields) if fields.values().any(|field| !may_live(field.deadline, at)))
    }

    /// Takes out what is gone for sure.
    pub fn fade(&mut self, at: Interval) {
        if let Self::Hash(fields) = self {
            fields.retain(|_, field| may_live(field.deadline, at));
        }
    }
}

/// Whether these members may have gone to these commands: each to one that came later than the member.
fn popped_by<'a>(missing: impl Iterator<Item = &'a Vec<u8>>, popped: &[u64]) -> bool {
    let writer = |member: &Vec<u8>| match value::read(member) {
        Reading::By { seq, .. } => seq,
        _ => 0,
    };
    let mut missing: Vec<u64> = missing.map(writer).collect();
    let mut popped = popped.to_vec();
    missing.sort_unstable();
    popped.sort_unstable();
    missing.len() == popped.len() && missing.iter().zip(&popped).all(|(member, pop)| member <= pop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::value::Writer;
    use std::time::Duration;

    fn element(seq: u64) -> Vec<u8> {
        value::element(&Writer { run: 1, client: 2, seq }, 0, 20)
    }

    fn bulks(words: &[&[u8]]) -> Reply {
        Reply::Array(words.iter().map(|word| Reply::Bulk(word.to_vec())).collect())
    }

    #[test]
    fn a_read_that_contradicts_itself_is_none() {
        assert!(Type::Set.parse(&bulks(&[b"a", b"a"])).is_none());
        assert!(Type::Hash.parse(&bulks(&[b"a", b"1", b"a", b"2"])).is_none());
        assert!(Type::Hash.parse(&bulks(&[b"a", b"1", b"b"])).is_none());
        assert!(Type::Sorted.parse(&bulks(&[b"a", b"2", b"b", b"1"])).is_none());
        assert!(Type::Sorted.parse(&bulks(&[b"a", b"1", b"b", b"x"])).is_none());
        assert!(Type::List.parse(&Reply::Nil).is_none());
        assert_eq!(Type::Sorted.parse(&bulks(&[b"b", b"1", b"a", b"2"])).unwrap().len(), 2);
    }

    #[test]
    fn an_unanswered_pop_took_any_member_that_was_there() {
        let now = clock::now();
        let at = Interval { from: now, to: now };
        let model = Content::Set([element(1), element(2), element(9)].into(), vec![5]);
        let found = |seqs: &[u64]| Content::Set(seqs.iter().map(|&seq| element(seq)).collect(), Vec::new());
        assert!(model.allows(&found(&[2, 9]), at) && model.allows(&found(&[1, 9]), at));
        assert!(!model.allows(&found(&[1, 2]), at), "a member that came after it");
        assert!(!model.allows(&found(&[1, 2, 9]), at) && !model.allows(&found(&[9]), at));
        assert!(!model.allows(&found(&[1, 3, 9]), at), "a stranger");
    }

    #[test]
    fn a_deadline_is_told_as_it_is() {
        let now = clock::now();
        let at = Interval { from: now, to: now };
        let between = |from, to| Some((now + Duration::from_secs(from), now + Duration::from_secs(to)));
        let known = between(100, 110);
        assert!(may_be_told(known, between(105, 106), at) && may_be_told(None, None, at));
        assert!(!may_be_told(known, between(120, 121), at) && !may_be_told(known, between(90, 91), at));
        assert!(!may_be_told(known, None, at) && !may_be_told(None, known, at));
        let any = either(known, None, at);
        assert!(may_be_told(any, None, at) && may_be_told(any, known, at) && !may_be_told(any, between(90, 91), at));
    }

    #[test]
    fn a_field_keeps_its_deadline() {
        let now = clock::now();
        let at = Interval { from: now, to: now };
        let hash = |deadline| Content::Hash([(b"a".to_vec(), Field { value: element(1), deadline })].into());
        let soon = Some((now, now + Duration::from_secs(1)));
        assert!(hash(soon).allows_deadlines(&hash(soon), at) && hash(None).allows_deadlines(&hash(None), at));
        assert!(!hash(soon).allows_deadlines(&hash(None), at) && !hash(None).allows_deadlines(&hash(soon), at));
    }

    #[test]
    fn a_field_goes_when_it_must() {
        let now = clock::now();
        let later = |ms| Interval { from: now + Duration::from_millis(ms), to: now + Duration::from_millis(ms) };
        let deadline = Some((now + Duration::from_millis(100), now + Duration::from_millis(200)));
        let field = |deadline| Field { value: element(1), deadline };
        let model = Content::Hash([(b"a".to_vec(), field(None)), (b"x".to_vec(), field(deadline))].into());
        let whole = Content::Hash([(b"a".to_vec(), field(None)), (b"x".to_vec(), field(None))].into());
        let less = Content::Hash([(b"a".to_vec(), field(None))].into());
        assert!(model.allows(&whole, later(50)) && !model.allows(&less, later(50)));
        assert!(model.allows(&whole, later(150)) && model.allows(&less, later(150)));
        assert!(!model.allows(&whole, later(250)) && model.allows(&less, later(250)));
        assert!(!model.may_be_empty(later(250)));
        // A hash of which nothing is left is told to have no time left.
        let last = Content::Hash([(b"x".to_vec(), field(deadline))].into());
        let none_left = |ms| Some((later(ms).from, later(ms).to));
        assert!(last.allows_deadline(None, none_left(150), later(150)) && last.allows_deadline(None, None, later(50)));
        assert!(!last.allows_deadline(None, none_left(50), later(50)));
        assert!(!model.allows_deadline(None, none_left(250), later(250)));
    }
}
