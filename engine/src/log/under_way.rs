//! Syncs that have begun and not ended: what is durable is told in the order in which they began.

use std::collections::VecDeque;

use super::Lsn;
use super::marks::Marks;
use crate::mutant::planted;

/// Oldest first, and the number of the first of them.
#[derive(Default)]
pub(super) struct UnderWay {
    syncs: VecDeque<Begun>,
    first_number: u64,
}

/// A sync between its beginning and its end.
struct Begun {
    segment: u64,
    target: Lsn,
    since_us: u64,
    done: bool,
}

impl UnderWay {
    /// One begins, of bytes up to `target` that have waited since then. Its number.
    pub(super) fn begin(&mut self, segment: u64, target: Lsn, since_us: u64) -> u64 {
        self.syncs.push_back(Begun { segment, target, since_us, done: false });
        self.first_number + self.syncs.len() as u64 - 1
    }

    /// One has ended well: durable is what it and all before it have taken up, as far as these have ended.
    pub(super) fn end(&mut self, number: u64, marks: &Marks) {
        let this = &mut self.syncs[(number - self.first_number) as usize];
        this.done = true;
        if planted("sync_overtakes") {
            marks.sync_to(this.target);
        }
        while let Some(first) = self.syncs.pop_front_if(|first| first.done) {
            marks.sync_to(first.target);
            self.first_number += 1;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.syncs.len()
    }

    /// Whether one of them syncs this segment.
    pub(super) fn has(&self, segment: u64) -> bool {
        self.syncs.iter().any(|sync| sync.segment == segment)
    }

    /// Since when the oldest byte has waited that they take up.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        self.syncs.front().map(|first| first.since_us)
    }

    /// What is durable when they have ended.
    pub(super) fn covered(&self) -> Lsn {
        self.syncs.back().map_or(0, |last| last.target)
    }
}
