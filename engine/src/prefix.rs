//! Scanning the keys that begin alike, where the store keeps their order: a call looks at no others.
//!
//! Few keys are shown by one call. Of many a call shows about as many as are wanted and then the rest of a
//! [group](crate::keyspace::position), so that it ends between two groups and its cursor says all of where to go on:
//! what comes and goes meanwhile moves no key from one side to the other. Where a group is too large for that, and with
//! a cursor that does not fit, it is the tables that are scanned, from their beginning: then some keys are shown twice,
//! and none is missed.

use std::ops::Bound;

use crate::keyspace::order::{Bounds, Order};
use crate::keyspace::position::{self, LONGEST_PREFIX};
use crate::order::behind_all;
use crate::store::Store;
use crate::txn::{Item, Transaction};

/// How much a call looks at beyond what is wanted.
#[derive(Clone, Copy)]
struct Reach {
    /// So many keys are all shown by the first call.
    few: usize,
    /// So many more for the end of a group.
    group: usize,
}

const REACH: Reach = Reach { few: 1000, group: 1000 };

/// What one call shows.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    names: Vec<Vec<u8>>,
    /// The first position that it does not show, if there is one.
    next: Option<u64>,
}

/// Takes a page of the keys with a prefix from what walks over keys: from the beginning, or from a position on. `None`
/// when a group is too large.
fn page(
    prefix: &[u8],
    from: Option<u64>,
    enough: usize,
    reach: Reach,
    walk: impl FnOnce(Bounds<'_>, &mut dyn FnMut(&[u8]) -> bool),
) -> Option<Page> {
    let first = [prefix, &position::least_at(from.unwrap_or(0))].concat();
    let end = behind_all(prefix);
    let bounds = (Bound::Included(&first[..]), end.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
    let few = if from.is_none() { reach.few.max(enough) } else { 0 };
    let most = few.max(enough.saturating_add(reach.group));
    let mut names: Vec<Vec<u8>> = Vec::new();
    // Where the last group ends that is to be shown unless all are, and where the next begins.
    let mut cut: Option<(usize, u64)> = None;
    let (mut last, mut is_all) = (0, true);
    walk(bounds, &mut |name| {
        let at = position::position_of(&name[prefix.len()..]);
        if cut.is_none() && names.len() >= enough && at > last {
            cut = Some((names.len(), at));
        }
        is_all = names.len() < few || cut.is_none() && names.len() < most;
        if is_all {
            names.push(name.to_vec());
            last = at;
        }
        is_all
    });
    if is_all {
        return Some(Page { names, next: None });
    }
    let (shown, next) = cut?;
    names.truncate(shown);
    Some(Page { names, next: Some(next) })
}

impl Store {
    /// Visits some keys of a database that begin with a prefix, as [`Store::scan`] does, which it becomes where that is
    /// better or the order is not kept: then others are visited too.
    pub fn scan_prefix(
        &self,
        held: Option<&mut Transaction<'_>>,
        database: u8,
        prefix: &[u8],
        cursor: u64,
        enough: usize,
        visit: impl FnMut(&[u8], Item<'_>),
    ) -> u64 {
        self.scan_prefix_within(REACH, held, database, prefix, cursor, enough, visit)
    }

    #[expect(clippy::too_many_arguments, reason = "those of a scan, and how far it reaches")]
    fn scan_prefix_within(
        &self,
        reach: Reach,
        mut held: Option<&mut Transaction<'_>>,
        database: u8,
        prefix: &[u8],
        cursor: u64,
        enough: usize,
        mut visit: impl FnMut(&[u8], Item<'_>),
    ) -> u64 {
        let prefix = &prefix[..prefix.len().min(LONGEST_PREFIX)];
        let from = position::from_cursor(prefix, cursor);
        if !prefix.is_empty() && (cursor == 0 || from.is_some()) {
            let physical = self.physical(database);
            let order = self.order_of(&mut held, physical);
            let walk = |order: &Order| {
                page(prefix, from, enough.max(1), reach, |bounds, take| order.walk(bounds, false, take))
            };
            if let Some(Page { names, next }) = order.as_deref().and_then(walk) {
                self.show(held, physical, &names, &mut visit);
                return next.map_or(0, |next| position::cursor(prefix, next));
            }
        }
        let cursor = if position::is_cursor(cursor) { 0 } else { cursor };
        self.scan(held, database, cursor, enough, visit)
    }
}

#[cfg(test)]
mod tests;
