//! Hashes against a vector of fields, over both encodings.

use proptest::prelude::*;

use super::*;
use crate::value::op::Op;
use crate::value::place::{Place, Scan, cases};
use crate::value::{HASH, MAX_PACKED, apply, empty};

const LIMITS: Limits = Limits {
    list_max_listpack_size: 0,
    hash_max_listpack_entries: 6,
    hash_max_listpack_value: 10,
    set_max_intset_entries: 0,
    set_max_listpack_entries: 0,
    set_max_listpack_value: 0,
    zset_max_listpack_entries: 0,
    zset_max_listpack_value: 0,
};

#[derive(Clone, Debug, PartialEq)]
struct Row {
    field: Vec<u8>,
    value: Vec<u8>,
    deadline: u64,
}

#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    is_table: bool,
}

impl Model {
    fn position(&self, field: &[u8]) -> Option<usize> {
        self.rows.iter().position(|row| row.field == field)
    }

    fn set(&mut self, pairs: &[(Vec<u8>, Vec<u8>, u64)], code: u8) -> Outcome {
        let mut outcome = Outcome::default();
        for (field, value, deadline) in pairs {
            let at = self.position(field);
            let deadline = match code {
                op::HASH_SET => 0,
                op::HASH_SET_KEEP => at.map_or(0, |at| self.rows[at].deadline),
                _ => *deadline,
            };
            let row = Row { field: field.clone(), value: value.clone(), deadline };
            if at.is_some_and(|at| self.rows[at] == row) {
                continue;
            }
            outcome.changed += 1;
            self.is_table |= pairs.len() > LIMITS.hash_max_listpack_entries;
            self.is_table |= field.len().max(value.len()) > LIMITS.hash_max_listpack_value;
            if let Some(at) = at {
                self.rows[at] = row;
            } else {
                outcome.added += 1;
                self.rows.push(row);
                self.is_table |= self.rows.len() > LIMITS.hash_max_listpack_entries;
            }
        }
        outcome
    }

    fn delete(&mut self, fields: &[Vec<u8>]) -> Outcome {
        let mut outcome = Outcome::default();
        for field in fields {
            let Some(at) = self.position(field) else { continue };
            if self.is_table {
                self.rows.swap_remove(at)
            } else {
                self.rows.remove(at)
            };
            outcome.changed += 1;
        }
        outcome
    }

    fn expire(&mut self, fields: &[Vec<u8>], deadline: u64) -> Outcome {
        let mut outcome = Outcome::default();
        for field in fields {
            let Some(at) = self.position(field) else { continue };
            outcome.changed += u64::from(self.rows[at].deadline != deadline);
            self.rows[at].deadline = deadline;
        }
        outcome
    }

    fn check(&self, place: &Place) {
        let check = |now_ms: u64, count: usize| {
            let view = HashView::new(place.bytes(), place.object(), now_ms);
            let shown = |row: &&Row| row.deadline == 0 || row.deadline > now_ms;
            let content = |row: &Row| (row.field.clone(), row.value.clone(), row.deadline);
            let rows: Vec<_> = self.rows.iter().filter(shown).map(content).collect();
            let found =
                |(name, field): (&[u8], Field<'_>)| (name.to_vec(), field.value.to_vec(), field.deadline.unwrap_or(0));
            assert_eq!(view.iter().map(found).collect::<Vec<_>>(), rows);
            assert_eq!(view.len(), self.rows.len());
            assert_eq!(view.next_deadline(), self.rows.iter().map(|row| row.deadline).filter(|&at| at != 0).min());
            for (index, row) in self.rows.iter().enumerate() {
                let expected = Some(row).filter(shown).map(content);
                assert_eq!(view.at(index).map(found), expected);
                assert_eq!(view.get(&row.field).map(|field| found((&row.field, field))), expected);
            }
            assert_eq!((view.at(self.rows.len()), view.get(b"absent")), (None, None));
            let mut due = Vec::new();
            view.due(count, |field| due.push(field.to_vec()));
            assert_eq!(due.len(), self.rows.iter().filter(|row| !shown(row)).count().min(count));
            assert!(due.iter().all(|field| view.get(field).is_none() && self.position(field).is_some()));
        };
        check(0, 9);
        check(3, 9);
        check(6, 2);
        assert_eq!(place.object().is_some(), self.is_table);
        if let Some(Object::Hash(hash)) = place.object() {
            let deadlines = self.rows.iter().enumerate().filter(|(_, row)| row.deadline != 0);
            let deadlines: BTreeSet<_> = deadlines.map(|(number, row)| (row.deadline, number as u32)).collect();
            assert_eq!(hash.memory(), hash.fields.memory() + deadlines.len() * DEADLINE_MEMORY);
            assert_eq!(hash.deadlines, deadlines);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Vec<(Vec<u8>, Vec<u8>, u64)>),
    Delete(Vec<Vec<u8>>),
    Expire(Vec<Vec<u8>>, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let field = (0..14_usize).prop_map(|n| vec![b'f'; n]);
    let value = prop_oneof![
        60 => prop::collection::vec(any::<u8>(), 0..10),
        1 => prop::collection::vec(any::<u8>(), 10..300),
    ];
    let short = (0..9_usize).prop_map(|n| vec![b'f'; n]);
    let name = prop_oneof![40 => short, 1 => field];
    let code = prop_oneof![Just(op::HASH_SET), Just(op::HASH_SET_KEEP), Just(op::HASH_LOAD)];
    let names = prop::collection::vec(name.clone(), 0..4);
    let pair = (name, value, 0..8_u64);
    let pairs = prop_oneof![30 => prop::collection::vec(pair.clone(), 0..3), 1 => prop::collection::vec(pair, 6..9)];
    prop_oneof![
        3 => (code, pairs).prop_map(|(code, pairs)| Step::Set(code, pairs)),
        2 => names.clone().prop_map(Step::Delete),
        2 => (names, 0..8_u64).prop_map(|(names, deadline)| Step::Expire(names, deadline)),
    ]
}

fn operation(step: &Step) -> Op {
    let mut op;
    match step {
        Step::Set(code, pairs) => {
            op = Op::new(*code);
            for (field, value, deadline) in pairs {
                op.element(field).element(value);
                if *code == op::HASH_LOAD {
                    op.number(*deadline);
                }
            }
        }
        Step::Delete(fields) => {
            op = Op::new(op::HASH_DELETE);
            for field in fields {
                op.element(field);
            }
        }
        Step::Expire(fields, deadline) => {
            op = Op::new(op::HASH_EXPIRE);
            op.number(*deadline);
            for field in fields {
                op.element(field);
            }
        }
    }
    op
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn does_what_the_model_does(steps in prop::collection::vec(step(), 1..40), scanned in 1..4_usize) {
        let (mut place, mut model, mut scan) = (Place::empty(HASH), Model::default(), Scan::default());
        for step in &steps {
            let expected = match step {
                Step::Set(code, pairs) => model.set(pairs, *code),
                Step::Delete(fields) => model.delete(fields),
                Step::Expire(fields, deadline) => model.expire(fields, *deadline),
            };
            prop_assert_eq!(apply(&mut place, operation(step).bytes(), &LIMITS), Ok(expected));
            model.check(&place);
            place.check(HASH, &LIMITS);
            let view = HashView::new(place.bytes(), place.object(), 0);
            scan.step(view.iter().map(|(field, _)| field), |cursor, visit| {
                view.scan(cursor, scanned, |field, _| visit(field))
            });
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many fields for it")]
fn no_packed_hash_outgrows_its_entry() {
    let limits = Limits { hash_max_listpack_entries: usize::MAX, hash_max_listpack_value: usize::MAX, ..LIMITS };
    let mut place = Place::empty(HASH);
    let mut fields = 0_u32;
    while place.object().is_none() {
        let mut op = Op::new(op::HASH_SET);
        op.element(&fields.to_le_bytes()).element(b"");
        apply(&mut place, op.bytes(), &limits).unwrap();
        fields += 1;
    }
    assert_eq!(fields as usize, (MAX_PACKED - 3) / 6 + 1);

    // Deadlines need room for every field at once.
    let mut place = Place::empty(HASH);
    for n in 0..fields / 2 {
        let mut op = Op::new(op::HASH_SET);
        op.element(&n.to_le_bytes()).element(b"");
        apply(&mut place, op.bytes(), &limits).unwrap();
    }
    assert!(place.object().is_none());
    let mut op = Op::new(op::HASH_EXPIRE);
    op.number(5).element(&0_u32.to_le_bytes());
    assert_eq!(apply(&mut place, op.bytes(), &limits), Ok(Outcome { added: 0, changed: 1 }));
    assert!(place.object().is_some());
    assert_eq!(HashView::new(place.bytes(), place.object(), 5).iter().count(), fields as usize / 2 - 1);
}

#[test]
fn images_that_make_no_sense_are_refused() {
    let images: [&[u8]; 9] = [
        b"",
        b"\x03\x00",
        b"\x03\x01\x00",
        b"\x03\x00\x00\x01a\x01b",
        b"\x03\x01\x00\x01a\x02b",
        b"\x03\x02\x00\x01a\x01b\x01a\x01c",
        b"\x04\x01\x00\x01a\x01b\x00\x00",
        b"\x05\x01a\x01b\x00",
        b"\x05\x01a\x01b\x00\x00\x00\x00\x00\x00\x00\x00\x01a\x01b\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for image in images {
        assert!(load(image).is_err(), "{image:?}");
    }
    assert!(load(empty(HASH)).is_ok_and(|object| object.is_none()));
}
