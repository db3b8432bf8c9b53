//! Members inside an area.

use engine::value::ZsetView;

use super::Point;
use super::area::Area;
use super::hash::Cell;

/// A member that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'z> {
    pub(super) member: &'z [u8],
    pub(super) score: f64,
    pub(super) point: Point,
    pub(super) metres: f64,
}

/// In which order members are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they come.
    None,
    /// The nearest first.
    Ascending,
    /// The farthest first.
    Descending,
}

/// All members inside an area, cell by cell; no more than `most`.
pub(super) fn search<'z>(zset: &ZsetView<'z>, area: &Area, most: usize) -> Vec<Found<'z>> {
    let mut found = Vec::new();
    for cell in area.cells() {
        let first = zset.rank_of_score(cell.first_score() as f64, true);
        let end = cell.end_score() as f64;
        for (member, score) in zset.from_rank(first).take_while(|(_, score)| *score < end) {
            if found.len() >= most {
                return found;
            }
            let point = Cell::of_score(score).point();
            if let Some(metres) = area.distance_to(point) {
                found.push(Found { member, score, point, metres });
            }
        }
    }
    found
}

/// Puts members in order and leaves the first `count`.
pub(super) fn sort(found: &mut Vec<Found<'_>>, order: Order, count: usize) {
    match order {
        Order::None => {}
        Order::Ascending => found.sort_by(|a, b| a.metres.total_cmp(&b.metres)),
        Order::Descending => found.sort_by(|a, b| b.metres.total_cmp(&a.metres)),
    }
    found.truncate(count);
}

#[cfg(test)]
mod tests {
    use engine::Collection;
    use engine::value::op::{self, Op};
    use engine::value::{Limits, Slot, ZSET};
    use proptest::prelude::*;

    use super::super::area::Shape;
    use super::super::hash::STEPS;
    use super::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let point = (-180.0..180.0, -85.0..85.0).prop_map(|(longitude, latitude)| Point { longitude, latitude });
        prop::collection::vec(point, 0..300)
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let metres = || (0.0f64..6.0).prop_map(|power| 10f64.powf(power));
        prop_oneof![
            metres().prop_map(|radius| Shape::Circle { radius }),
            (metres(), metres()).prop_map(|(width, height)| Shape::Box { width, height }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_lies_inside(
            points in points(),
            (longitude, latitude) in (-170.0..170.0, -70.0..70.0),
            shape in shapes(),
        ) {
            let area = Area { center: Point { longitude, latitude }, shape, unit: 1.0 };
            let mut op = Op::new(op::ZSET_ADD);
            // Some of them near the center, for small areas to hold any.
            let near = |at: usize, point: Point| match at % 3 {
                0 => point,
                _ => Point {
                    longitude: longitude + point.longitude / 100.0,
                    latitude: latitude + point.latitude / 100.0,
                },
            };
            let mut inside = Vec::new();
            for (number, point) in points.iter().enumerate() {
                let cell = Cell::of(near(number, *point), STEPS);
                op.score(cell.bits as f64).element(&number.to_be_bytes());
                if area.distance_to(cell.point()).is_some() {
                    inside.push(number.to_be_bytes().to_vec());
                }
            }
            let mut zset = Collection::new(ZSET);
            zset.apply(&op, &Limits::default());
            let view = ZsetView::new(zset.packed(), zset.object());
            let mut found: Vec<Vec<u8>> =
                search(&view, &area, usize::MAX).iter().map(|found| found.member.to_vec()).collect();
            found.sort();
            prop_assert_eq!(found, inside);
        }
    }
}
