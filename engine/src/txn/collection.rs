//! Collections in a transaction: operations on them, whole new ones, and values that get another name.
//!
//! An operation is bytes. What runs here is what the log holds and what a replay runs.

use super::value::image_bytes;
use super::{Transaction, Value, WrongType};
use crate::keyspace::entry::{Entry, Stored};
use crate::keyspace::shard::{Due, Key};
use crate::listener::Class;
use crate::mutant::planted;
use crate::value::op::{self, Op};
use crate::value::{self, HASH, Limits, Malformed, Object, Outcome, Slot};

/// What an operation did to the collection at a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Elements that are new.
    pub added: u64,
    /// Elements added, removed or altered.
    pub changed: u64,
    /// Elements there are now.
    pub len: usize,
}

impl Applied {
    fn then(self, next: Applied) -> Applied {
        Applied { added: self.added + next.added, changed: self.changed + next.changed, len: next.len }
    }
}

/// A collection is built by operations of about this many bytes.
const BUILT_AT_ONCE: usize = 64 << 10;

/// A collection that no key holds yet.
pub struct Collection {
    value_type: u8,
    packed: Vec<u8>,
    object: Option<Box<Object>>,
}

impl Collection {
    /// An empty one of a type.
    pub fn new(value_type: u8) -> Collection {
        Collection { value_type, packed: value::empty(value_type).to_vec(), object: None }
    }

    /// One of elements, each of which `push` puts behind the operands of operations with one code.
    pub fn of<T>(
        code: u8,
        limits: &Limits,
        elements: impl IntoIterator<Item = T>,
        mut push: impl FnMut(&mut Op, T),
    ) -> Collection {
        let mut op = Op::new(code);
        let value_type = value::type_of_operation(op.bytes()).expect("an operation of a collection");
        let mut collection = Collection::new(value_type);
        for element in elements {
            push(&mut op, element);
            if op.bytes().len() > BUILT_AT_ONCE {
                collection.apply(&op, limits);
                op.clear();
            }
        }
        if !op.is_empty() {
            collection.apply(&op, limits);
        }
        collection
    }

    /// Carries out an operation of its type.
    pub fn apply(&mut self, op: &Op, limits: &Limits) -> Outcome {
        self.apply_bytes(op.bytes(), limits)
    }

    fn apply_bytes(&mut self, op: &[u8], limits: &Limits) -> Outcome {
        value::apply(self, op, limits).expect("an operation that a command has made is whole")
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        value::len(self.value_type, &self.packed, self.object.as_deref())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn stored(&mut self) -> Stored<'_> {
        match self.object.take() {
            Some(object) => Stored::Object(object),
            None => Stored::Packed(self.value_type, &self.packed),
        }
    }
}

impl Slot for Collection {
    fn packed(&self) -> &[u8] {
        &self.packed
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        self.packed.splice(at..at + removed, inserted.iter().copied());
    }

    fn object(&self) -> Option<&Object> {
        self.object.as_deref()
    }

    fn object_mut(&mut self) -> Option<&mut Object> {
        self.object.as_deref_mut()
    }

    fn become_object(&mut self, object: Object) {
        self.packed.clear();
        self.object = Some(Box::new(object));
    }

    fn become_packed(&mut self, packed: &[u8]) {
        self.object = None;
        self.packed.extend_from_slice(packed);
    }
}

impl Transaction<'_> {
    /// When collections leave their packed form.
    pub fn limits(&self) -> Limits {
        self.store.limits()
    }

    /// Carries out an operation on the collection at a key, which is created when the key is absent and goes when nothing
    /// is left. A long operation is carried out and logged in parts: a frame of the log has its limit.
    #[inline]
    pub fn apply(&mut self, key: &Key<'_>, op: &Op) -> Result<Applied, WrongType> {
        let most = self.store.options().part_bytes;
        if op.bytes().len() <= most {
            return self.apply_whole(key, op.bytes());
        }
        let mut all = Ok(Applied::default());
        op::parts(op.bytes(), most, |part| {
            // The first part sees a wrong type, before anything has changed.
            if let Ok(before) = all {
                all = self.apply_whole(key, part).map(|now| before.then(now));
            }
        });
        all
    }

    fn apply_whole(&mut self, key: &Key<'_>, op: &[u8]) -> Result<Applied, WrongType> {
        let limits = self.store.limits();
        let value_type = value::type_of_operation(op).expect("an operation of a collection");
        self.bury_expired(key);
        let mut applied = Ok(Applied::default());
        let found = self.change_if(key, [op, b""], |entry| {
            if entry.value_type() != value_type {
                applied = Err(WrongType);
                return Change::None;
            }
            let outcome = value::apply(entry, op, &limits).expect("an operation that a command has made is whole");
            let len = value::len(value_type, entry.packed(), entry.object());
            applied = Ok(Applied { added: outcome.added, changed: outcome.changed, len });
            if len == 0 { Change::Emptied } else { Change::of(outcome.changed != 0) }
        });
        if found {
            return applied;
        }
        let mut new = Collection::new(value_type);
        let outcome = new.apply_bytes(op, &limits);
        let len = new.len();
        if len != 0 {
            self.set_collection(key, new, None);
        }
        Ok(Applied { added: outcome.added, changed: outcome.changed, len })
    }

    /// The same, and tells subscribers when something changed: what happened, and then that the key is gone if it is.
    #[inline]
    pub fn apply_and_tell(
        &mut self,
        key: &Key<'_>,
        op: &Op,
        class: Class,
        name: &'static str,
    ) -> Result<Applied, WrongType> {
        let applied = self.apply(key, op)?;
        if applied.changed != 0 {
            self.notify(class, name, key);
            if applied.len == 0 {
                self.notify(Class::Generic, "del", key);
            }
        }
        Ok(applied)
    }

    /// Stores a whole collection; whatever the key held is gone. One that is empty is no value: the key goes.
    pub fn set_collection(&mut self, key: &Key<'_>, mut collection: Collection, deadline: Option<u64>) {
        if collection.is_empty() {
            self.remove(key);
            return;
        }
        self.set_stored(key, collection.stored(), deadline);
    }

    /// Moves a key's value and deadline to another name, replacing what that held. Whether the source was there.
    pub fn rename(&mut self, from: &Key<'_>, to: &Key<'_>) -> bool {
        let database = self.database;
        self.carry(from, to, database, true)
    }

    /// The same, into a logical database; the transaction stays in its own.
    pub fn rename_into(&mut self, from: &Key<'_>, to: &Key<'_>, database: u8) -> bool {
        self.carry(from, to, self.store.physical(database), true)
    }

    /// Gives the value and deadline of a key to another key of a logical database too, replacing what that held. Whether the
    /// source was there.
    pub fn copy(&mut self, from: &Key<'_>, to: &Key<'_>, database: u8) -> bool {
        self.carry(from, to, self.store.physical(database), false)
    }

    fn carry(&mut self, from: &Key<'_>, to: &Key<'_>, physical: u8, moves: bool) -> bool {
        let source = self.database;
        if self.get(from).is_none() {
            return false;
        }
        if !self.warm(from) {
            return true;
        }
        let Some(item) = self.get(from) else { return false };
        let deadline = item.deadline();
        // Only an untouched blob can be named again, and only by one key: behind a delta the file holds an older value.
        let in_base = item.entry.base().is_none();
        let (packed, bytes) = match (item.shared(), item.entry.object()) {
            (Some(shared), _) => (None, Some(shared.clone())),
            (None, None) => (Some((item.value_type(), item.entry.value().to_vec())), None),
            (None, Some(_)) => (None, None),
        };
        if let Some(bytes) = bytes {
            let changed = (!in_base && !planted("renamed_by_reference")) || self.is_new_and_changed(from);
            let blob = if moves { self.take_blob(from) } else { None };
            if moves {
                self.bury_without_blob(from, blob.is_some());
            }
            self.go_to(physical);
            match blob {
                Some(reference) if !changed => self.set(to, Value::Blob(bytes, reference), deadline),
                _ => {
                    self.retire(blob);
                    self.set(to, Value::Shared(bytes), deadline);
                }
            }
        } else if let Some((value_type, packed)) = packed {
            if moves {
                self.bury(from);
            }
            self.go_to(physical);
            match value_type {
                value::STRING => self.set(to, Value::Copy(&packed), deadline),
                _ => self.set_stored(to, Stored::Packed(value_type, &packed), deadline),
            }
        } else {
            let object = if moves { self.bury_and_keep(from) } else { self.clone_object(from) };
            self.go_to(physical);
            if let Some(object) = object {
                self.set_stored(to, Stored::Object(object), deadline);
            }
        }
        self.go_to(source);
        true
    }

    fn clone_object(&mut self, key: &Key<'_>) -> Option<Box<Object>> {
        let database = self.database;
        let object = self.guards.shard(key.shard()).find(database, key)?.object()?;
        let mut copy = None;
        object.image_parts(usize::MAX, &mut |image| copy = value::load(object.value_type(), image).ok().flatten());
        copy.map(Box::new)
    }

    /// Makes a value again out of its image, as a start makes it out of the log; nothing that anybody can see changes, and
    /// nothing is logged. An image that makes no sense leaves the value as it is.
    pub fn remake(&mut self, key: &Key<'_>) -> Result<(), Malformed> {
        let (database, limits) = (self.database, self.store.limits());
        let Some(entry) = self.guards.shard(key.shard()).find_mut(database, key) else { return Ok(()) };
        let value_type = entry.value_type();
        let Some(object) = entry.object() else {
            let packed = match value_type {
                value::STRING => None,
                _ if entry.is_cold() => None,
                _ => value::load(value_type, entry.packed())?,
            };
            return if packed.is_none() { Ok(()) } else { Err(Malformed) };
        };
        let mut made: Result<Option<Collection>, Malformed> = Ok(None);
        object.image_parts(self.store.options().part_bytes, &mut |part| match &mut made {
            Ok(None) => {
                made = value::load(value_type, part)
                    .and_then(|object| object.ok_or(Malformed))
                    .map(|object| Some(Collection { value_type, packed: Vec::new(), object: Some(Box::new(object)) }));
            }
            Ok(Some(begun)) => {
                if value::apply(begun, part, &limits).is_err() {
                    made = Err(Malformed);
                }
            }
            Err(Malformed) => {}
        });
        let object = made?.and_then(|made| made.object).filter(|made| made.len() == object.len()).ok_or(Malformed)?;
        let before = entry.footprint() as i64;
        let (deadline, base, lsn) = (entry.deadline(), entry.base(), entry.lsn());
        let old = entry.replace(Stored::Object(object), deadline, base, lsn);
        let grown = entry.footprint() as i64 - before;
        self.count(key, 0, grown);
        if let Some(old) = old {
            self.store.free_object(old);
        }
        Ok(())
    }

    /// Removes a key and keeps the large collection that it held.
    fn bury_and_keep(&mut self, key: &Key<'_>) -> Option<Box<Object>> {
        let database = self.database;
        let shard = self.guards.shard(key.shard());
        let entry = shard.find_mut(database, key)?;
        let due = Due::of(entry);
        let before = entry.footprint() as i64;
        let live = super::live_cost(entry, false, self.store.options().part_bytes);
        let (deadline, base, lsn) = (entry.deadline(), entry.base(), entry.lsn());
        let object = entry.replace(Stored::copy(b""), deadline, base, lsn);
        let left = Due::of(entry);
        let grown = entry.footprint() as i64 - before;
        self.live += super::live_cost(entry, false, self.store.options().part_bytes) - live;
        // Its fields' deadlines have gone with it.
        shard.note_due(database, key.hash, due, left);
        self.count(key, 0, grown);
        self.bury_without_blob(key, false);
        object
    }

    /// Stores a value that is not a string's blob.
    fn set_stored(&mut self, key: &Key<'_>, value: Stored<'_>, deadline: Option<u64>) {
        self.bury_expired(key);
        let old_blob = self.take_blob(key);
        self.retire(old_blob);
        self.put(key, value, deadline, old_blob.is_some());
        let database = self.database;
        if let Some(entry) = self.guards.shard(key.shard()).find(database, key) {
            self.live += super::live_cost(entry, false, self.store.options().part_bytes);
        }
        self.push_image(key);
    }

    /// Removes all fields of a hash that have expired, if the log has room for that; the hash goes with its last field. How
    /// many went.
    pub(super) fn bury_expired_fields(&mut self, key: &Key<'_>) -> u64 {
        let mut all = 0;
        loop {
            match self.bury_some_fields(key) {
                0 => return all,
                some => all += some,
            }
        }
    }

    /// The same for as many fields as one operation takes out.
    pub(super) fn bury_some_fields(&mut self, key: &Key<'_>) -> u64 {
        let (database, now_ms) = (self.database, self.now_ms);
        let Some(entry) = self.guards.shard(key.shard()).find(database, key) else { return 0 };
        let Some(due) = due_fields(entry, now_ms) else { return 0 };
        let bytes =
            due.bytes().len() as u64 + key.bytes.len() as u64 + image_bytes(entry).min(super::DELTA_FROM) as u64;
        if !self.store.log().takes_tomb(self.scratch.batch.bytes() as u64 + bytes + 64) {
            return 0;
        }
        let limits = self.store.limits();
        let (mut removed, mut emptied) = (0, false);
        self.change_if(key, [due.bytes(), b""], |entry| {
            removed = value::apply(entry, due.bytes(), &limits).map_or(0, |outcome| outcome.changed);
            emptied = value::len(HASH, entry.packed(), entry.object()) == 0;
            if emptied { Change::Emptied } else { Change::of(removed != 0) }
        });
        self.store.count_expired_fields(removed);
        if removed != 0 {
            self.notify(Class::Hash, "hexpired", key);
        }
        if emptied {
            self.notify(Class::Generic, "del", key);
        }
        removed
    }
}

/// What happened to an entry that was to be changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: nothing is logged.
    None,
    /// It is another now.
    Changed,
    /// Nothing is left of it: the key goes.
    Emptied,
}

impl Change {
    pub(super) fn of(changed: bool) -> Change {
        if changed { Change::Changed } else { Change::None }
    }
}

/// An operation takes out so many expired fields at most: more at once would hold a lock for long, and might not fit into a
/// frame of the log.
const FIELDS_AT_ONCE: usize = 1024;
/// An operation that is longer takes no further field.
const FIELD_BYTES_AT_ONCE: usize = 1 << 20;

/// The removal of fields of an entry that are due, if it is a hash that has any.
fn due_fields(entry: &Entry, now_ms: u64) -> Option<Op> {
    if entry.value_type() != HASH {
        return None;
    }
    let hash = value::HashView::new(entry.packed(), entry.object(), now_ms);
    hash.next_deadline().filter(|deadline| *deadline <= now_ms)?;
    let mut op = Op::new(op::HASH_DELETE);
    hash.due(FIELDS_AT_ONCE, |field| {
        if op.bytes().len() < FIELD_BYTES_AT_ONCE {
            op.element(field);
        }
    });
    Some(op)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::disk::sim::SimDisk;
    use crate::options::Options;
    use crate::store::Store;

    /// Elements of a length, so many of them.
    fn pushed(count: usize, bytes: usize) -> Op {
        let mut op = Op::new(op::LIST_PUSH_BACK);
        (0..count).for_each(|number| _ = op.element(&vec![number as u8; bytes]));
        op
    }

    #[test]
    fn a_value_made_again_is_the_same_and_is_not_logged() {
        let disk = Arc::new(SimDisk::new(1));
        let store = Store::open(disk, Arc::new(SystemClock::new()), Options::default()).expect("a new store");
        // Packed, large, and with an image of several parts.
        for (name, op) in [("small", pushed(3, 5)), ("large", pushed(5000, 9)), ("parts", pushed(6, 1 << 20))] {
            let key = store.key(name.as_bytes());
            let mut transaction = store.begin(0, &[key], store.now_ms());
            transaction.apply(&key, &op).unwrap();
            transaction.set_deadline(&key, Some(u64::MAX / 32));
            transaction.commit();
            let appended = store.log().appended();
            let seen = || {
                let mut transaction = store.begin(0, &[key], store.now_ms());
                let item = transaction.get(&key).expect("it is there");
                let elements: Vec<Vec<u8>> = item.list().expect("a list").iter_from(0).map(<[u8]>::to_vec).collect();
                (elements, item.encoding(), item.deadline(), item.image_bytes())
            };
            let before = seen();
            let mut transaction = store.begin(0, &[key], store.now_ms());
            assert_eq!(transaction.remake(&key), Ok(()), "{name}");
            transaction.commit();
            assert!(seen() == before, "{name}");
            assert_eq!(store.log().appended(), appended, "{name}");
        }
        let all: i64 = store.memory() as i64;
        store.flush(&[0]);
        assert!(all > 0 && store.memory() == 0, "what was counted for them was theirs: {}", store.memory());
    }
}
