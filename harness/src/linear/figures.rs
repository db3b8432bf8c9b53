//! Figures of many histories.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::{History, Request};
use super::judge::Verdict;

/// What was played and judged in one mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Histories.
    pub histories: u64,
    /// Of these: those that no order explains, or whose server did not serve.
    pub broken: u64,
    /// Of these: those for which the search was given up.
    pub undecided: u64,
    /// Requests with an answer.
    pub answered: u64,
    /// Requests without one.
    pub unknown: u64,
    /// EXECs that were run, and that were refused because of a watched key.
    pub execs: [u64; 2],
    /// `kill -9` among requests.
    pub kills: u64,
    /// Of these: those that left requests without an answer.
    pub kills_with_unknown: u64,
    /// `kill -9` while the server started.
    pub recovery_kills: u64,
    /// Seconds of playing and of judging.
    pub seconds: [f64; 2],
    /// Most steps of the search for one stretch's order.
    pub longest_search: u64,
    /// Longest time to judge one history, in milliseconds.
    pub longest_judged_ms: u64,
    /// First seeds of the runs, and how many histories each had.
    pub runs: Vec<(u64, u64)>,
}

/// By mode and planted bug.
pub type Rows = BTreeMap<String, Figures>;

impl Figures {
    /// Counts a history, what the judge said of it, and how long it took to play and to judge it.
    pub fn add(&mut self, history: &History, (verdict, steps): &(Verdict, u64), played: Duration, judged: Duration) {
        self.longest_search = self.longest_search.max(*steps);
        self.histories += 1;
        self.runs.last_mut().into_iter().for_each(|(_, histories)| *histories += 1);
        self.broken += u64::from(matches!(verdict, Verdict::Broken(_)));
        self.undecided += u64::from(*verdict == Verdict::Undecided);
        self.seconds[0] += played.as_secs_f64();
        self.seconds[1] += judged.as_secs_f64();
        self.longest_judged_ms = self.longest_judged_ms.max(judged.as_millis() as u64);
        for operation in history.operations() {
            let Some(answer) = &operation.answer else {
                self.unknown += 1;
                continue;
            };
            self.answered += 1;
            if matches!(operation.request, Request::Exec(_)) {
                self.execs[usize::from(answer.reply == "nil")] += 1;
            }
        }
        for stretch in &history.stretches {
            self.kills += u64::from(stretch.was_killed);
            self.kills_with_unknown += u64::from(stretch.operations.iter().any(|operation| operation.answer.is_none()));
            self.recovery_kills += stretch.recovery_kills;
        }
    }
}
