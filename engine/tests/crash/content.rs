//! What keys hold, as the model has it, and what operations do to it: plain vectors and maps.
//!
//! A content is compared whole: elements, their order, and the encoding. What an operation must leave is known without
//! the order that a hash or a set has; that is what the engine shows, and from then on it must stay.

use std::collections::BTreeMap;
use std::fmt;

use engine::value::op::{self, Op};
use engine::value::{self, HASH, LIST, SET, STRING, ZSET};
use engine::{Collection, Item, Transaction};

/// A list's element; a field with its value and deadline; a member; a member with the bits of its score.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    pub number: u64,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}={:.9}", String::from_utf8_lossy(&self.name), String::from_utf8_lossy(&self.value))?;
        if self.number == 0 { Ok(()) } else { write!(f, "@{}", self.number) }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    String(Vec<u8>),
    /// Of a hash, fields whose time has come may be there that are not shown: the log has no room for their removal.
    Collection {
        value_type: u8,
        encoding: &'static str,
        elements: Vec<Element>,
        hidden: usize,
    },
}

impl Content {
    /// What the engine shows.
    pub fn of(item: &Item<'_>) -> Content {
        let value_type = item.value_type();
        let element = |name: &[u8]| Element { name: name.to_vec(), ..Element::default() };
        let elements: Vec<Element> = match value_type {
            LIST => item.list().unwrap().iter_from(0).map(element).collect(),
            HASH => {
                let field = |(name, field): (&[u8], value::Field<'_>)| Element {
                    name: name.to_vec(),
                    value: field.value.to_vec(),
                    number: field.deadline.unwrap_or(0),
                };
                item.hash().unwrap().iter().map(field).collect()
            }
            SET => item.set().unwrap().iter().map(|member| member.with(element)).collect(),
            ZSET => {
                let scored = |(name, score): (&[u8], f64)| Element { number: score.to_bits(), ..element(name) };
                item.zset().unwrap().from_rank(0).map(scored).collect()
            }
            _ => return Content::String(item.string().unwrap().to_vec()),
        };
        let all = if value_type == HASH { item.hash().unwrap().len() } else { elements.len() };
        let hidden = all - elements.len();
        Content::Collection { value_type, encoding: item.encoding(), elements, hidden }
    }

    pub fn value_type(&self) -> u8 {
        match self {
            Content::String(_) => STRING,
            Content::Collection { value_type, .. } => *value_type,
        }
    }

    /// Bytes of a string, elements of anything else.
    pub fn len(&self) -> usize {
        match self {
            Content::String(bytes) => bytes.len(),
            Content::Collection { elements, .. } => elements.len(),
        }
    }

    /// Fields that are there and not shown.
    pub fn hidden(&self) -> usize {
        match self {
            Content::String(_) => 0,
            Content::Collection { hidden, .. } => *hidden,
        }
    }

    pub fn string(&self) -> Option<&Vec<u8>> {
        match self {
            Content::String(bytes) => Some(bytes),
            Content::Collection { .. } => None,
        }
    }

    pub fn elements(&self) -> &[Element] {
        match self {
            Content::String(_) => &[],
            Content::Collection { elements, .. } => elements,
        }
    }

    /// Whether another is this one without some fields whose time has come, shown before or not. What is left may stand in any
    /// order then: the last takes the place of one that goes.
    pub fn is_without_due_fields(&self, other: &Content, newest_ms: u64) -> bool {
        let (
            Content::Collection { elements, hidden, .. },
            Content::Collection { elements: left, hidden: still_hidden, .. },
        ) = (self, other)
        else {
            return false;
        };
        let of_hash = self.value_type() == HASH && other.value_type() == HASH;
        let sorted = |elements: &[Element]| {
            let mut elements = elements.to_vec();
            elements.sort_unstable();
            elements
        };
        let (all, left) = (sorted(elements), sorted(left));
        let missing = all.iter().filter(|element| left.binary_search(element).is_err());
        of_hash
            && left.iter().all(|element| all.binary_search(element).is_ok())
            && (missing.clone().count() > 0 || hidden > still_hidden)
            && missing.into_iter().all(|element| element.number != 0 && element.number <= newest_ms)
    }

    /// Whether nothing need be left of it.
    pub fn may_be_gone(&self, newest_ms: u64) -> bool {
        self.value_type() == HASH && self.elements().iter().all(|field| field.number != 0 && field.number <= newest_ms)
    }
}

/// An operation on a collection. Places in a list are taken modulo its length when it comes to that.
#[derive(Clone, Debug)]
pub struct Change {
    pub code: u8,
    pub numbers: [u64; 2],
    pub elements: Vec<Element>,
}

impl Change {
    pub fn value_type(&self) -> u8 {
        value::type_of_operation(&[self.code]).unwrap()
    }

    pub fn bytes(&self) -> usize {
        32 + self.elements.iter().map(|element| 16 + element.name.len() + element.value.len()).sum::<usize>()
    }

    /// The same for a collection of so many elements.
    pub fn fitted(mut self, length: usize) -> Change {
        let length = length as u64;
        match self.code {
            op::LIST_SET | op::LIST_INSERT if length == 0 => self.code = op::LIST_PUSH_BACK,
            op::LIST_SET => self.numbers[0] %= length,
            op::LIST_INSERT => self.numbers[0] %= length + 1,
            _ => {}
        }
        if matches!(self.code, op::LIST_SET | op::LIST_INSERT) {
            self.elements.truncate(1);
        }
        self
    }

    pub fn op(&self) -> Op {
        let mut op = Op::new(self.code);
        let numbers = match self.code {
            op::LIST_REMOVE => 2,
            op::LIST_POP_FRONT | op::LIST_POP_BACK | op::LIST_SET | op::LIST_INSERT | op::HASH_EXPIRE => 1,
            _ => 0,
        };
        for number in &self.numbers[..numbers] {
            op.number(*number);
        }
        if !matches!(self.code, op::LIST_POP_FRONT | op::LIST_POP_BACK | op::LIST_REMOVE) {
            for element in &self.elements {
                if self.code == op::ZSET_ADD {
                    op.score(f64::from_bits(element.number));
                }
                op.element(&element.name);
                if matches!(self.code, op::HASH_SET | op::HASH_SET_KEEP) {
                    op.element(&element.value);
                }
            }
        }
        op
    }

    /// What it makes of elements, in the order of their names when their order is the engine's affair.
    pub fn apply(&self, elements: &[Element]) -> Vec<Element> {
        let first = usize::try_from(self.numbers[0]).unwrap();
        if self.value_type() == LIST {
            let mut list = elements.to_vec();
            match self.code {
                op::LIST_PUSH_FRONT => drop(list.splice(0..0, self.elements.iter().rev().cloned())),
                op::LIST_PUSH_BACK => list.extend_from_slice(&self.elements),
                op::LIST_POP_FRONT => drop(list.drain(..first.min(list.len()))),
                op::LIST_POP_BACK => list.truncate(list.len().saturating_sub(first)),
                op::LIST_SET => list[first].clone_from(&self.elements[0]),
                op::LIST_INSERT => list.insert(first, self.elements[0].clone()),
                _ => {
                    let start = first.min(list.len());
                    let end = (start + self.numbers[1] as usize).min(list.len());
                    list.drain(start..end);
                }
            }
            return list;
        }
        let mut map: BTreeMap<Vec<u8>, Element> =
            elements.iter().map(|element| (element.name.clone(), element.clone())).collect();
        for element in &self.elements {
            match self.code {
                op::HASH_DELETE | op::SET_REMOVE | op::ZSET_REMOVE => drop(map.remove(&element.name)),
                op::HASH_EXPIRE => {
                    if let Some(field) = map.get_mut(&element.name) {
                        field.number = self.numbers[0];
                    }
                }
                op::HASH_SET_KEEP => {
                    let number = map.get(&element.name).map_or(0, |field| field.number);
                    map.insert(element.name.clone(), Element { number, ..element.clone() });
                }
                op::HASH_SET => drop(map.insert(element.name.clone(), Element { number: 0, ..element.clone() })),
                op::SET_ADD => {
                    let member = Element { name: element.name.clone(), ..Element::default() };
                    map.insert(element.name.clone(), member);
                }
                _ => {
                    let member = Element { value: Vec::new(), ..element.clone() };
                    map.insert(element.name.clone(), member);
                }
            }
        }
        map.into_values().collect()
    }

    /// Carries it out on the key, which holds `old`, and says what the key must hold and does hold.
    pub fn run(
        self,
        transaction: &mut Transaction<'_>,
        key: &engine::Key<'_>,
        old: Option<&Content>,
        whole: bool,
    ) -> Result<Option<Content>, String> {
        let value_type = self.value_type();
        if old.is_some_and(|old| old.value_type() != value_type) {
            // Removed and made anew, or replaced: both in one transaction.
            if whole {
                let (change, limits) = (self.fitted(0), transaction.limits());
                let mut collection = Collection::new(value_type);
                collection.apply(&change.op(), &limits);
                transaction.set_collection(key, collection, None);
                return change.judge(transaction, key, &change.apply(&[]));
            }
            transaction.remove(key);
            return self.run(transaction, key, None, false);
        }
        let before = old.map_or(&[][..], Content::elements);
        let change = self.fitted(before.len());
        let outcome = transaction.apply(key, &change.op()).map_err(|wrong| format!("{change:?}: {wrong:?}"))?;
        let after = change.apply(before);
        if outcome.changed == 0 && after.len() != before.len() {
            return Err(format!("{change:?} is said to have changed nothing"));
        }
        change.judge(transaction, key, &after)
    }

    fn judge(
        &self,
        transaction: &mut Transaction<'_>,
        key: &engine::Key<'_>,
        expected: &[Element],
    ) -> Result<Option<Content>, String> {
        let found = transaction.get(key).map(|item| Content::of(&item));
        let shown = found.as_ref().map_or(&[][..], Content::elements);
        let right = match self.value_type() {
            LIST => shown == expected,
            ZSET => {
                let place = |element: &Element| (f64::from_bits(element.number), element.name.clone());
                let mut expected = expected.to_vec();
                expected.sort_by(|one, other| place(one).partial_cmp(&place(other)).unwrap());
                shown == expected
            }
            _ => {
                let mut sorted = shown.to_vec();
                sorted.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                sorted == expected
            }
        };
        match right && found.is_some() != expected.is_empty() {
            true => Ok(found),
            false => Err(format!("{} elements after {self:?} instead of {}", shown.len(), expected.len())),
        }
    }
}
