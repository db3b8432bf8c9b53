//! GEOSEARCH, GEORADIUS and their forms: what is asked for, and what becomes of the members that are found.

use engine::Transaction;
use engine::value::ZsetView;
use resp::Request;

use super::super::args::{integer, is};
use super::super::error::{
    ANY_WITHOUT_COUNT, BOX_NEGATIVE, GEO_COUNT, GEORADIUS_STORE, GEOSEARCHSTORE_WITH, HEIGHT, NO_CENTER, RADIUS,
    RADIUS_NEGATIVE, SYNTAX, WIDTH,
};
use super::super::zset::{collected, number, rescored_bytes, store, zset};
use super::super::{Call, CommandError, Done, Reply, View};
use super::area::{Area, Shape};
use super::place::place_of;
use super::search::{Found, Order, search, sort};
use super::text::{write_distance, write_point};
use super::{Point, point, unit};

/// What a command says by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Around a point, then a radius.
    Radius { stores: bool },
    /// Around a member, then a radius.
    RadiusByMember { stores: bool },
    /// All is said by options.
    Search { stores: bool },
}

/// What is asked for.
struct Wanted {
    center: Option<Point>,
    centered: Centered,
    /// With the metres of its unit.
    shape: Option<(Shape, f64)>,
    order: Order,
    /// 0 for all.
    count: usize,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    /// The argument that names where to store.
    store_at: Option<usize>,
    /// Distances become the scores of what is stored.
    store_distance: bool,
}

/// How GEOSEARCH is told where the center is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Centered {
    Not,
    ByMember,
    ByPoint,
}

impl Form {
    fn options_at(self) -> usize {
        match self {
            Form::Radius { .. } => 6,
            Form::RadiusByMember { .. } => 5,
            Form::Search { stores } => 2 + usize::from(stores),
        }
    }

    fn may_name_destination(self) -> bool {
        matches!(self, Form::Radius { stores: true } | Form::RadiusByMember { stores: true })
    }

    fn is_search(self) -> bool {
        matches!(self, Form::Search { .. })
    }
}

impl Wanted {
    fn parse(call: &Call<'_>, form: Form, zset: Option<&ZsetView<'_>>) -> Result<Wanted, CommandError> {
        let mut wanted = Wanted {
            center: None,
            centered: Centered::Not,
            shape: None,
            order: Order::None,
            count: 0,
            any: false,
            with_distance: false,
            with_hash: false,
            with_point: false,
            store_at: (form == Form::Search { stores: true }).then_some(1),
            store_distance: false,
        };
        match form {
            Form::Radius { .. } => {
                wanted.center = Some(point(call.arg(2), call.arg(3))?);
                wanted.shape = Some(circle(call, 4)?);
            }
            Form::RadiusByMember { .. } => {
                wanted.center_on(call.arg(2), zset)?;
                // Without a set Redis does not look at the radius.
                if zset.is_some() {
                    wanted.shape = Some(circle(call, 3)?);
                }
            }
            Form::Search { .. } => {}
        }
        let mut at = form.options_at();
        while at < call.len() {
            at += 1 + wanted.option(call, at, form, zset)?;
        }
        wanted.check(call, form)?;
        Ok(wanted)
    }

    /// Reads an option. How many arguments it has.
    fn option(
        &mut self,
        call: &Call<'_>,
        at: usize,
        form: Form,
        zset: Option<&ZsetView<'_>>,
    ) -> Result<usize, CommandError> {
        let (word, behind) = (call.arg(at), call.len() - at - 1);
        for (name, flag) in [
            ("WITHDIST", &mut self.with_distance),
            ("WITHHASH", &mut self.with_hash),
            ("WITHCOORD", &mut self.with_point),
            ("ANY", &mut self.any),
        ] {
            if is(word, name) {
                *flag = true;
                return Ok(0);
            }
        }
        if is(word, "ASC") {
            self.order = Order::Ascending;
        } else if is(word, "DESC") {
            self.order = Order::Descending;
        } else if is(word, "COUNT") && behind >= 1 {
            let count = integer(call.arg(at + 1))?;
            self.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(GEO_COUNT)?;
            return Ok(1);
        } else if form.may_name_destination() && behind >= 1 && (is(word, "STORE") || is(word, "STOREDIST")) {
            self.store_at = Some(at + 1);
            self.store_distance = is(word, "STOREDIST");
            return Ok(1);
        } else if form == (Form::Search { stores: true }) && is(word, "STOREDIST") {
            self.store_distance = true;
        } else if form.is_search() {
            return self.search_option(call, at, zset);
        } else {
            return Err(SYNTAX);
        }
        Ok(0)
    }

    /// The options of GEOSEARCH that say where.
    fn search_option(
        &mut self,
        call: &Call<'_>,
        at: usize,
        zset: Option<&ZsetView<'_>>,
    ) -> Result<usize, CommandError> {
        let (word, behind) = (call.arg(at), call.len() - at - 1);
        if is(word, "FROMMEMBER") && behind >= 1 && self.centered != Centered::ByPoint {
            self.center_on(call.arg(at + 1), zset)?;
            self.centered = Centered::ByMember;
            Ok(1)
        } else if is(word, "FROMLONLAT") && behind >= 2 && self.centered != Centered::ByMember {
            self.center = Some(point(call.arg(at + 1), call.arg(at + 2))?);
            self.centered = Centered::ByPoint;
            Ok(2)
        } else if is(word, "BYRADIUS") && behind >= 2 && !matches!(self.shape, Some((Shape::Box { .. }, _))) {
            self.shape = Some(circle(call, at + 1)?);
            Ok(2)
        } else if is(word, "BYBOX") && behind >= 3 && !matches!(self.shape, Some((Shape::Circle { .. }, _))) {
            self.shape = Some(rectangle(call, at + 1)?);
            Ok(3)
        } else {
            Err(SYNTAX)
        }
    }

    fn center_on(&mut self, member: &[u8], zset: Option<&ZsetView<'_>>) -> Done {
        if let Some(zset) = zset {
            self.center = Some(place_of(zset.score(member).ok_or(NO_CENTER)?));
        }
        Ok(())
    }

    /// Whether the options go together.
    fn check(&mut self, call: &Call<'_>, form: Form) -> Done {
        if self.store_at.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            return Err(if form.is_search() { GEOSEARCHSTORE_WITH } else { GEORADIUS_STORE });
        }
        if form.is_search() && self.centered == Centered::Not {
            return Err(CommandError::search_lacks("FROMMEMBER or FROMLONLAT", call.arg(0)));
        }
        if form.is_search() && self.shape.is_none() {
            return Err(CommandError::search_lacks("BYRADIUS and BYBOX", call.arg(0)));
        }
        if self.any && self.count == 0 {
            return Err(ANY_WITHOUT_COUNT);
        }
        if self.count != 0 && self.order == Order::None && !self.any {
            // The nearest ones are meant.
            self.order = Order::Ascending;
        }
        Ok(())
    }

    /// The members, in order. None without a set.
    fn found<'z>(&self, zset: Option<&ZsetView<'z>>) -> Vec<Found<'z>> {
        let (Some(zset), Some(center), Some((shape, unit))) = (zset, self.center, self.shape) else {
            return Vec::new();
        };
        let count = if self.count == 0 { usize::MAX } else { self.count };
        let most = if self.any { count } else { usize::MAX };
        let mut found = search(zset, &Area { center, shape, unit }, most);
        sort(&mut found, self.order, count);
        found
    }

    fn unit(&self) -> f64 {
        self.shape.map_or(1.0, |(_, unit)| unit)
    }

    fn write(&self, found: &[Found<'_>], reply: &mut Reply<'_>) {
        let beside = usize::from(self.with_distance) + usize::from(self.with_hash) + usize::from(self.with_point);
        reply.write().array(found.len());
        for one in found {
            if beside != 0 {
                reply.write().array(1 + beside);
            }
            reply.bulk(one.member);
            if self.with_distance {
                write_distance(reply, one.metres / self.unit());
            }
            if self.with_hash {
                reply.integer(one.score as i64);
            }
            if self.with_point {
                write_point(reply, one.point);
            }
        }
    }
}

/// A radius and its unit, from argument `at` on.
fn circle(call: &Call<'_>, at: usize) -> Result<(Shape, f64), CommandError> {
    let radius = number(call.arg(at)).ok_or(RADIUS)?;
    if radius < 0.0 {
        return Err(RADIUS_NEGATIVE);
    }
    Ok((Shape::Circle { radius }, unit(call.arg(at + 1))?))
}

/// A width, a height and their unit, from argument `at` on.
fn rectangle(call: &Call<'_>, at: usize) -> Result<(Shape, f64), CommandError> {
    let (width, height) = (number(call.arg(at)).ok_or(WIDTH)?, number(call.arg(at + 1)).ok_or(HEIGHT)?);
    if width < 0.0 || height < 0.0 {
        return Err(BOX_NEGATIVE);
    }
    Ok((Shape::Box { width, height }, unit(call.arg(at + 2))?))
}

pub(super) fn geosearch(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form::Search { stores: false })
}

pub(super) fn georadius_ro(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form::Radius { stores: false })
}

pub(super) fn georadiusbymember_ro(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show(view, call, reply, Form::RadiusByMember { stores: false })
}

fn show(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, form: Form) -> Done {
    let zset = zset(view.get(&call.keys[0]))?;
    let wanted = Wanted::parse(call, form, zset.as_ref())?;
    wanted.write(&wanted.found(zset.as_ref()), reply);
    Ok(())
}

pub(super) fn geosearchstore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show_or_store(transaction, call, reply, Form::Search { stores: true }, "geosearchstore")
}

pub(super) fn georadius(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show_or_store(transaction, call, reply, Form::Radius { stores: true }, "georadiusstore")
}

pub(super) fn georadiusbymember(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    show_or_store(transaction, call, reply, Form::RadiusByMember { stores: true }, "georadiusstore")
}

fn show_or_store(
    transaction: &mut Transaction<'_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
    form: Form,
    event: &'static str,
) -> Done {
    let limits = transaction.limits();
    let zset = zset(transaction.get(&call.keys[usize::from(form.is_search())]))?;
    let wanted = Wanted::parse(call, form, zset.as_ref())?;
    let found = wanted.found(zset.as_ref());
    let Some(name) = wanted.store_at.map(|at| call.arg(at)) else {
        wanted.write(&found, reply);
        return Ok(());
    };
    let score = |one: &Found<'_>| if wanted.store_distance { one.metres / wanted.unit() } else { one.score };
    let collection = collected(found.iter().map(|one| (one.member, score(one))), &limits);
    let Some(destination) = call.keys.iter().find(|key| key.bytes == name) else { return Err(SYNTAX) };
    store(transaction, destination, collection, event, reply);
    Ok(())
}

/// What GEOSEARCHSTORE stores may be all of its source.
pub(super) fn search_bytes(_request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    rescored_bytes(present(1))
}

/// The same of GEORADIUS, if it stores anything.
pub(super) fn radius_bytes(request: &Request<'_>, present: &mut dyn FnMut(usize) -> u64) -> u64 {
    let stores = request.iter().any(|word| is(word, "STORE") || is(word, "STOREDIST"));
    if stores { rescored_bytes(present(0)) } else { 0 }
}
