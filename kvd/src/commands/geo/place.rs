//! GEODIST, GEOHASH, GEOPOS: places of members.

use super::super::error::SYNTAX;
use super::super::zset::zset;
use super::super::{Call, Done, Reply, View};
use super::hash::{Cell, distance};
use super::text::{geohash as digits, write_distance, write_point};
use super::{Point, unit};

pub(super) fn geodist(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let unit = match call.len() {
        4 => 1.0,
        5 => unit(call.arg(4))?,
        _ => return Err(SYNTAX),
    };
    let zset = zset(view.get(&call.keys[0]))?;
    let place = |index| zset.as_ref().and_then(|zset| zset.score(call.arg(index))).map(place_of);
    match (place(2), place(3)) {
        (Some(from), Some(to)) => write_distance(reply, distance(from, to) / unit),
        _ => reply.null(),
    }
    Ok(())
}

pub(super) fn geohash(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    each(view, call, reply, |reply, place| match place {
        Some(place) => reply.bulk(&digits(place)),
        None => reply.null(),
    })
}

pub(super) fn geopos(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    each(view, call, reply, |reply, place| match place {
        Some(place) => write_point(reply, place),
        None => reply.write().null_array(),
    })
}

fn each(
    view: &mut View<'_, '_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    answer: impl Fn(&mut Reply<'_>, Option<Point>),
) -> Done {
    let zset = zset(view.get(&call.keys[0]))?;
    reply.write().array(call.len() - 2);
    for index in 2..call.len() {
        let score = zset.as_ref().and_then(|zset| zset.score(call.arg(index)));
        answer(reply, score.map(place_of));
    }
    Ok(())
}

/// The place that a score stands for.
pub(super) fn place_of(score: f64) -> Point {
    Cell::of_score(score).point()
}
