//! Sketches against a plain array of registers and against what Redis answers.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SPARSE_BYTES: usize = 3000;

fn sketch_of(elements: &[u64], sparse_max_bytes: usize) -> Sketch<'static> {
    let mut sketch = Sketch::empty();
    for element in elements {
        sketch.add(place(&element.to_le_bytes()), sparse_max_bytes).expect("it is whole");
    }
    sketch
}

fn registers_of(sketch: &Sketch<'_>) -> Vec<u8> {
    let mut registers = Registers::default();
    registers.merge(sketch).expect("it is whole");
    registers.iter().collect()
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    // Few registers and values, so that runs form, grow and are taken apart.
    let near = (0..40_usize, 1..4_u8);
    let far = (0..REGISTERS, 1..=34_u8);
    vec(prop_oneof![4 => near, 1 => far], 0..200)
        .prop_map(|pairs| pairs.into_iter().map(|(register, zeros)| Place { register, zeros }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sketch_is_the_maxima_of_its_places(places in places(), sparse_max_bytes in 0..200_usize) {
        let mut model = vec![0; REGISTERS];
        let mut sketch = Sketch::empty();
        for place in places {
            let raises = place.zeros > model[place.register];
            model[place.register] = place.zeros.max(model[place.register]);
            prop_assert_eq!(sketch.add(place, sparse_max_bytes), Ok(raises));
            if sketch.encoding() == Encoding::Sparse {
                prop_assert!(sketch.bytes.len() <= sparse_max_bytes.max(HEADER + 5));
            }
        }
        prop_assert_eq!(registers_of(&sketch), &model[..]);
        let estimate = sketch.estimate();
        sketch.make_dense().expect("it is whole");
        prop_assert_eq!(registers_of(&sketch), &model[..]);
        prop_assert_eq!(sketch.estimate(), estimate);
    }

    #[test]
    fn a_merged_sketch_is_that_of_all_elements(left in vec(any::<u64>(), 0..2000), right in vec(any::<u64>(), 0..2000)) {
        let mut registers = Registers::default();
        for elements in [&left, &right] {
            registers.merge(&sketch_of(elements, SPARSE_BYTES)).expect("it is whole");
        }
        let both = sketch_of(&[left, right].concat(), SPARSE_BYTES);
        prop_assert_eq!(registers.iter().collect::<Vec<_>>(), registers_of(&both));
        prop_assert_eq!(Ok(registers.estimate()), both.estimate());
        let mut raised = Sketch::empty();
        raised.raise(&registers, SPARSE_BYTES).expect("it is whole");
        prop_assert_eq!(registers_of(&raised), registers_of(&both));
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(mut bytes in vec(any::<u8>(), 0..200), place in places()) {
        for (at, byte) in MAGIC.iter().chain(&[1]).enumerate().take(bytes.len()) {
            bytes[at] = *byte;
        }
        if let Ok(mut sketch) = Sketch::read(&bytes) {
            let _ = sketch.estimate();
            for place in place {
                let _ = sketch.add(place, SPARSE_BYTES);
            }
            let _ = sketch.make_dense();
        }
    }
}

#[test]
fn dense_registers_do_not_touch_each_other() {
    let mut bytes = vec![0; REGISTERS / 4 * 3];
    let value = |index: usize| (index * 31 % 64) as u8;
    for index in (0..REGISTERS).rev() {
        dense::set(&mut bytes, index, 63);
        dense::set(&mut bytes, index, value(index));
    }
    for (index, register) in dense::fours(&bytes).flatten().enumerate() {
        assert_eq!((register, dense::get(&bytes, index)), (value(index), value(index)), "{index}");
    }
}

#[test]
fn an_estimate_is_within_a_few_standard_errors() {
    for count in [1, 10, 100, 1000, 10_000, 100_000, 1_000_000] {
        let elements: Vec<u64> = (0..count).collect();
        let estimate = sketch_of(&elements, SPARSE_BYTES).estimate().expect("it is whole");
        let error = estimate.abs_diff(count) as f64 / count as f64;
        assert!(error <= 4.0 * 1.04 / (REGISTERS as f64).sqrt(), "{count} {estimate}");
    }
}

#[test]
fn registers_that_are_all_full_do_not_panic() {
    let mut full = Registers::default();
    let mut sketch = Sketch::empty();
    for register in 0..REGISTERS {
        sketch.add(Place { register, zeros: 51 }, SPARSE_BYTES).expect("it is whole");
    }
    full.merge(&sketch).expect("it is whole");
    assert_eq!(full.estimate(), 1 << 63);
    assert_eq!(sketch.estimate(), Ok(1 << 63));
}

#[test]
fn places_are_those_of_redis() {
    // PFADD k a b c; GET k
    let sketch = {
        let mut sketch = Sketch::empty();
        for element in ["a", "b", "c"] {
            sketch.add(place(element.as_bytes()), SPARSE_BYTES).expect("it is whole");
        }
        sketch
    };
    let expected: &[u8] = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";
    assert_eq!(&sketch.bytes[..HEADER], expected);
    assert_eq!(sketch.estimate(), Ok(3));
}
