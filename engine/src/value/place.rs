//! Where tests keep a value, and what must hold for a value of any type.

use std::collections::BTreeSet;

use proptest::prelude::ProptestConfig;

use super::*;

/// A vector in the place of an entry.
#[derive(Debug)]
pub(super) struct Place {
    packed: Vec<u8>,
    object: Option<Object>,
}

impl Slot for Place {
    fn packed(&self) -> &[u8] {
        assert!(self.object.is_none());
        &self.packed
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        assert!(self.object.is_none());
        self.packed.splice(at..at + removed, inserted.iter().copied());
        assert!(self.packed.len() <= MAX_PACKED);
    }

    fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    fn object_mut(&mut self) -> Option<&mut Object> {
        self.object.as_mut()
    }

    fn become_object(&mut self, object: Object) {
        self.packed.clear();
        self.object = Some(object);
    }

    fn become_packed(&mut self, packed: &[u8]) {
        self.object = None;
        self.packed.extend_from_slice(packed);
    }
}

impl Place {
    pub(super) fn empty(value_type: u8) -> Place {
        Place::load(value_type, empty(value_type)).unwrap()
    }

    pub(super) fn load(value_type: u8, image: &[u8]) -> Result<Place, Malformed> {
        let object = load(value_type, image)?;
        let packed = if object.is_none() { image.to_vec() } else { Vec::new() };
        Ok(Place { packed, object })
    }

    /// The packed bytes, or those that an object leaves behind.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.packed
    }

    pub(super) fn parts(&self, part_bytes: usize) -> Vec<Vec<u8>> {
        let Some(object) = &self.object else { return vec![self.packed.clone()] };
        let mut parts = Vec::new();
        object.image_parts(part_bytes, &mut |part| parts.push(part.to_vec()));
        parts
    }

    pub(super) fn image(&self) -> Vec<u8> {
        let mut parts = self.parts(usize::MAX);
        assert_eq!(parts.len(), 1);
        parts.remove(0)
    }

    /// An image with one byte changed is refused, or it is the image of another value.
    pub(super) fn damaged(&self, value_type: u8, limits: &Limits, chance: usize) {
        let mut image = self.image();
        let at = chance % image.len();
        image[at] ^= ((chance >> 32) as u8).max(1);
        if let Ok(other) = Place::load(value_type, &image) {
            assert_eq!(other.image(), image);
            other.check(value_type, limits);
        }
    }

    /// What holds for a value of any type: its image has the length that is kept, and comes back whole and in parts.
    pub(super) fn check(&self, value_type: u8, limits: &Limits) {
        let image = self.image();
        if let Some(object) = &self.object {
            assert_eq!(object.image_bytes(), image.len());
            assert_eq!(object.value_type(), value_type);
        }
        let whole = Place::load(value_type, &image).unwrap();
        let mut parts = self.parts(40).into_iter();
        let mut put_together = Place::load(value_type, &parts.next().unwrap()).unwrap();
        for part in parts {
            assert_ne!(apply(&mut put_together, &part, limits).unwrap().changed, 0);
        }
        for other in [whole, put_together] {
            assert_eq!(other.image(), image);
            assert_eq!(encoding(&other.packed, other.object()), encoding(&self.packed, self.object()));
            let length = |place: &Place| len(value_type, &place.packed, place.object());
            assert_eq!(length(&other), length(self));
        }
    }
}

/// A scan that goes on while the value changes: it must show what is there all the time.
#[derive(Default)]
pub(super) struct Scan {
    cursor: u64,
    visited: BTreeSet<Vec<u8>>,
    staying: BTreeSet<Vec<u8>>,
}

impl Scan {
    /// One call of a scan, between changes. `scan` is given a cursor and where to put what it visits.
    pub(super) fn step<'a>(
        &mut self,
        present: impl Iterator<Item = &'a [u8]>,
        scan: impl FnOnce(u64, &mut dyn FnMut(&[u8])) -> u64,
    ) {
        let present: BTreeSet<Vec<u8>> = present.map(<[u8]>::to_vec).collect();
        if self.cursor == 0 {
            self.visited.clear();
            self.staying = present;
        } else {
            self.staying.retain(|element| present.contains(element));
        }
        self.cursor = scan(self.cursor, &mut |element| {
            self.visited.insert(element.to_vec());
        });
        if self.cursor == 0 {
            assert!(self.staying.is_subset(&self.visited), "{:?} of {:?}", self.visited, self.staying);
        }
    }
}

/// Few cases under Miri, which takes its time.
pub(super) fn cases(normal: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 3 } else { normal }) }
}
