//! How places and distances are shown.

use std::fmt::Write;

use resp::Version;

use super::super::Reply;
use super::super::long_double::LongDouble;
use super::Point;
use super::hash::{Cell, STEPS};

/// The digits of a standard geohash.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Digits of 5 bits each. 52 bits are ten digits and a bit; the last digit is 0, as in Redis.
const GEOHASH_DIGITS: usize = 11;

/// A standard geohash: on a map from pole to pole.
pub(super) fn geohash(point: Point) -> [u8; GEOHASH_DIGITS] {
    let bits = Cell::on_map(point, STEPS, 90.0).bits;
    std::array::from_fn(|index| match (2 * STEPS as usize).checked_sub(5 * (index + 1)) {
        Some(shift) => ALPHABET[(bits >> shift & 31) as usize],
        None => ALPHABET[0],
    })
}

/// A point in an array of two, with 17 decimals less the zeros at the end.
pub(super) fn write_point(reply: &mut Reply<'_>, point: Point) {
    reply.write().array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = LongDouble::from_f64(degrees).to_text().unwrap_or_default();
        match reply.version() {
            Version::Resp2 => reply.bulk(text.as_bytes()),
            Version::Resp3 => reply.write().raw(format!(",{text}\r\n").as_bytes()),
        }
    }
}

/// A distance with four decimals, whatever the protocol.
pub(super) fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let mut text = String::new();
    let _ = write!(text, "{}.{:04}", scaled / 10_000, scaled % 10_000);
    reply.bulk(text.as_bytes());
}
