//! Geohashes: a point as the number of its cell, and how far points are apart.
//!
//! Longitude and latitude are halved in turn; which half it was gives a bit each, 26 of both in a score.

use super::Point;

pub(super) const MAX_LONGITUDE: f64 = 180.0;
/// Beyond it Mercator's map ends (EPSG:900913).
pub(super) const MAX_LATITUDE: f64 = 85.051_128_78;
/// Bits of longitude and of latitude in a score.
pub(super) const STEPS: u32 = 26;
/// The quadratic mean radius of WGS-84.
pub(super) const EARTH_RADIUS_METRES: f64 = 6_372_797.560_856;

const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A cell: of all there are with so many steps, the one of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) bits: u64,
    pub(super) steps: u32,
}

/// The edges of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

impl Cell {
    /// The cell that a point of the map lies in.
    pub(super) fn of(point: Point, steps: u32) -> Cell {
        Cell::on_map(point, steps, MAX_LATITUDE)
    }

    /// The same on a map that ends at a latitude.
    pub(super) fn on_map(point: Point, steps: u32, max_latitude: f64) -> Cell {
        let scale = (1u64 << steps) as f64;
        let latitude = (point.latitude + max_latitude) / (max_latitude + max_latitude) * scale;
        let longitude = (point.longitude + MAX_LONGITUDE) / (MAX_LONGITUDE + MAX_LONGITUDE) * scale;
        Cell { bits: spread(latitude as u32) | spread(longitude as u32) << 1, steps }
    }

    /// The cell of a score.
    pub(super) fn of_score(score: f64) -> Cell {
        Cell { bits: score as u64, steps: STEPS }
    }

    /// The least score that lies in it.
    pub(super) fn first_score(self) -> u64 {
        self.bits << (2 * (STEPS - self.steps))
    }

    /// The least score beyond it.
    pub(super) fn end_score(self) -> u64 {
        (self.bits + 1) << (2 * (STEPS - self.steps))
    }

    pub(super) fn edges(self) -> Edges {
        let (row, column) = (gather(self.bits), gather(self.bits >> 1));
        let scale = (1u64 << self.steps) as f64;
        let at = |least: f64, number: u32| least + f64::from(number) / scale * (-least - least);
        Edges {
            south: at(-MAX_LATITUDE, row),
            north: at(-MAX_LATITUDE, row.wrapping_add(1)),
            west: at(-MAX_LONGITUDE, column),
            east: at(-MAX_LONGITUDE, column.wrapping_add(1)),
        }
    }

    /// Its middle.
    pub(super) fn point(self) -> Point {
        let edges = self.edges();
        Point {
            longitude: ((edges.west + edges.east) / 2.0).clamp(-MAX_LONGITUDE, MAX_LONGITUDE),
            latitude: ((edges.south + edges.north) / 2.0).clamp(-MAX_LATITUDE, MAX_LATITUDE),
        }
    }

    /// The cell so many to the east and to the north; beyond an edge of the map it goes on at the opposite one.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Cell {
        let mask = ((1u64 << self.steps) - 1) as u32;
        let (row, column) = (gather(self.bits), gather(self.bits >> 1));
        // What is not moved stays as it is: the last edge of the map has a number of its own.
        let moved = |number: u32, by: i32| if by == 0 { number } else { number.wrapping_add_signed(by) & mask };
        Cell { bits: spread(moved(row, north)) | spread(moved(column, east)) << 1, steps: self.steps }
    }
}

/// The bits of a number at the even places of one twice as long.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF;
    bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// The bits at the even places.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits >> 4) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits >> 8) & 0x0000_FFFF_0000_FFFF;
    (bits | bits >> 16) as u32
}

pub(super) fn to_radians(degrees: f64) -> f64 {
    degrees * RADIANS
}

pub(super) fn to_degrees(radians: f64) -> f64 {
    radians / RADIANS
}

/// Metres between two points, by the haversine formula.
pub(super) fn distance(from: Point, to: Point) -> f64 {
    let v = ((to_radians(to.longitude) - to_radians(from.longitude)) / 2.0).sin();
    if v == 0.0 {
        return distance_of_latitudes(from.latitude, to.latitude);
    }
    let (from_latitude, to_latitude) = (to_radians(from.latitude), to_radians(to.latitude));
    let u = ((to_latitude - from_latitude) / 2.0).sin();
    let a = u * u + from_latitude.cos() * to_latitude.cos() * v * v;
    2.0 * EARTH_RADIUS_METRES * a.sqrt().asin()
}

/// Metres between two latitudes on one meridian.
pub(super) fn distance_of_latitudes(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_METRES * (to_radians(to) - to_radians(from)).abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_are_those_of_redis() {
        for (longitude, latitude, score) in [
            (13.361389, 38.115556, 3_479_099_956_230_698),
            (15.087269, 37.502669, 3_479_447_370_796_909),
            (0.0, 0.0, 3_377_699_720_527_872),
        ] {
            assert_eq!(Cell::of(Point { longitude, latitude }, STEPS).first_score(), score);
        }
    }

    proptest! {
        #[test]
        fn bits_that_are_spread_are_gathered_again(number: u32) {
            prop_assert_eq!(gather(spread(number)), number);
            prop_assert_eq!(gather(spread(number) << 1), 0);
        }

        #[test]
        fn a_point_lies_in_its_cell(longitude in -180.0..180.0, latitude in -85.0..85.0, steps in 1u32..=STEPS) {
            let edges = Cell::of(Point { longitude, latitude }, steps).edges();
            let slack = 1e-12;
            prop_assert!(edges.west - slack <= longitude && longitude <= edges.east + slack);
            prop_assert!(edges.south - slack <= latitude && latitude <= edges.north + slack);
        }

        #[test]
        fn neighbours_lead_back(bits in 0u64..1 << 20, east in -1..=1, north in -1..=1) {
            let cell = Cell { bits, steps: 10 };
            prop_assert_eq!(cell.neighbour(east, north).neighbour(-east, -north), cell);
        }
    }
}
