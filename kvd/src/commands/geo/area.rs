//! The area of a search: what lies in it, and which cells cover it.

use super::Point;
use super::hash::{Cell, EARTH_RADIUS_METRES, STEPS, distance, distance_of_latitudes, to_degrees, to_radians};

/// Half of the equator in Mercator's metres.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// A circle or a box, in the unit that the client named.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// Where to search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) center: Point,
    pub(super) shape: Shape,
    /// Metres of the unit.
    pub(super) unit: f64,
}

impl Area {
    /// How far from the center a point is, in metres, if it lies in the area.
    pub(super) fn distance_to(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let metres = distance(self.center, point);
                if metres > radius * self.unit { None } else { Some(metres) }
            }
            Shape::Box { width, height } => {
                if distance_of_latitudes(point.latitude, self.center.latitude) > height * self.unit / 2.0 {
                    return None;
                }
                let beside = Point { longitude: self.center.longitude, latitude: point.latitude };
                if distance(point, beside) > width * self.unit / 2.0 {
                    return None;
                }
                Some(distance(self.center, point))
            }
        }
    }

    /// Cells that cover it: its center's and those around it that are needed, in Redis's order. A cell follows itself
    /// nowhere, but where the whole map is no more than a few cells wide it may come again.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        let mut center = Cell::of(self.center, steps);
        if steps > 1 && !Around(center).reaches(&bounds) {
            steps -= 1;
            center = Cell::of(self.center, steps);
        }
        let edges = center.edges();
        let may_skip = steps >= 2;
        let is_needed = |(east, north): (i32, i32)| {
            let (south_edge, north_edge) = (edges.south < bounds.south, edges.north > bounds.north);
            let (west_edge, east_edge) = (edges.west < bounds.west, edges.east > bounds.east);
            let is_beyond =
                north < 0 && south_edge || north > 0 && north_edge || east < 0 && west_edge || east > 0 && east_edge;
            !(may_skip && is_beyond)
        };
        let mut cells: Vec<Cell> = Vec::with_capacity(9);
        for place in [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
            let cell = center.neighbour(place.0, place.1);
            // The same one after the other when the area is huge. Redis compares with the one before, except with the
            // center's own, and so do we: the answer shows it.
            let is_repeated = cells.len() > 1 && cells.last() == Some(&cell);
            if is_needed(place) && !is_repeated {
                cells.push(cell);
            }
        }
        cells
    }

    fn radius_metres(&self) -> f64 {
        let radius = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt(),
        };
        radius * self.unit
    }

    /// How small the cells may be for nine of them to cover it.
    fn steps(&self) -> u32 {
        let mut range = self.radius_metres();
        if range == 0.0 {
            return STEPS;
        }
        let mut steps = 1;
        while range < MERCATOR_MAX {
            range *= 2.0;
            steps += 1;
        }
        steps -= 2;
        // Meridians are close together near the poles.
        let latitude = self.center.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS as i32) as u32
    }

    /// What encloses it, in degrees.
    fn bounds(&self) -> super::hash::Edges {
        let (half_width, half_height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let (width, height) = (self.unit * half_width, self.unit * half_height);
        let Point { longitude, latitude } = self.center;
        let by_latitude = to_degrees(height / EARTH_RADIUS_METRES);
        // The side nearer to the equator is left out, as in Redis: the other one is the longer arc in degrees.
        let side = if latitude < 0.0 { latitude - by_latitude } else { latitude + by_latitude };
        let by_longitude = to_degrees(width / EARTH_RADIUS_METRES / to_radians(side).cos());
        super::hash::Edges {
            west: longitude - by_longitude,
            east: longitude + by_longitude,
            south: latitude - by_latitude,
            north: latitude + by_latitude,
        }
    }
}

/// A cell with those around it.
struct Around(Cell);

impl Around {
    /// Whether they reach as far as these bounds.
    fn reaches(&self, bounds: &super::hash::Edges) -> bool {
        let edges = |east, north| self.0.neighbour(east, north).edges();
        !(edges(0, 1).north < bounds.north
            || edges(0, -1).south > bounds.south
            || edges(1, 0).east < bounds.east
            || edges(-1, 0).west > bounds.west)
    }
}
