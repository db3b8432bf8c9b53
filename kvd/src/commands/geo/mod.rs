//! Places: sorted sets whose scores are geohashes.
//!
//! ```text
//!  longitude, latitude ─ hash ─► 52 bits, interleaved ─► score
//!  a circle or a box   ─ area ─► up to nine cells that cover it ─► ranges of scores ─► members inside
//! ```
//!
//! All numbers are computed in Redis's order of operations: a score or distance that differs in its last bit would be
//! another answer.

mod add;
mod area;
mod command;
mod hash;
mod place;
mod rows;
mod search;
mod text;

use super::CommandError;
use super::args::is;
use super::error::{NOT_FLOAT, UNIT};
use super::zset::number;
use hash::{MAX_LATITUDE, MAX_LONGITUDE};
pub use rows::COMMANDS;

/// A point of the map, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    longitude: f64,
    latitude: f64,
}

/// Reads a longitude and a latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let (longitude, latitude) = (number(longitude).ok_or(NOT_FLOAT)?, number(latitude).ok_or(NOT_FLOAT)?);
    if longitude.abs() > MAX_LONGITUDE || latitude.abs() > MAX_LATITUDE {
        return Err(CommandError::coordinates(longitude, latitude));
    }
    Ok(Point { longitude, latitude })
}

/// How many metres a unit has.
fn unit(word: &[u8]) -> Result<f64, CommandError> {
    [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)]
        .into_iter()
        .find_map(|(name, metres)| is(word, name).then_some(metres))
        .ok_or(UNIT)
}
