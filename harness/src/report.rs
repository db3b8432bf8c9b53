//! Figures, added up over runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;
use crate::rules::{Rule, Violation};
use crate::store::LoadFigures;
use crate::verify::loss::Loss;

/// What happened to one server in one mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Data directories.
    pub stores: u64,
    /// `kill -9` or power cuts under enough load.
    pub kills: u64,
    /// `kill -9` under less load than asked for: not in `kills`.
    pub quiet_kills: u64,
    /// Of `kills`: those that left an unknown write.
    pub kills_with_unknown: u64,
    /// The same in recovery.
    pub recovery_kills: u64,
    /// Deaths at failpoints that were aimed at: under load they are among `kills`.
    pub by_failpoint: BTreeMap<String, u64>,
    /// Of those: before the load, while the server started or was judged.
    pub deaths_before_load: u64,
    /// Answered writes whose survival was judged.
    pub acked_writes: u64,
    /// The same by what they were about.
    pub acked_by_family: BTreeMap<String, u64>,
    /// Writes that had no answer at a kill.
    pub unknown_writes: u64,
    /// Replies compared with the oracle.
    pub checked_replies: u64,
    /// Answered writes that were gone against the promise, as far as they are known.
    pub lost_writes: u64,
    /// Power cuts that took answered writes, against the promise or not.
    pub taking_cuts: u64,
    /// The writes that they took.
    pub taken_writes: u64,
    /// The greatest age of such a write: from its answer to the power cut.
    pub oldest_taken_ms: Option<u64>,
    /// Kills after which a rule was broken.
    pub kills_with_violations: u64,
    /// Broken rules, by rule.
    pub violations: BTreeMap<Rule, u64>,
    /// Milliseconds under load.
    pub load_ms: u64,
    /// Answered writes a second, at the slowest kill.
    pub slowest_writes_per_second: Option<u64>,
    /// Seconds in all.
    pub seconds: f64,
    /// Seeds of the runs.
    pub seeds: Vec<u64>,
}

impl Counters {
    /// Counts one load that ended in a kill.
    pub fn add_kill(&mut self, figures: &LoadFigures, min_rate: f64) {
        let rate = figures.writes_per_second();
        if rate < min_rate {
            self.quiet_kills += 1;
        } else {
            self.kills += 1;
            self.kills_with_unknown += u64::from(figures.unknown_writes > 0);
            let rate = rate as u64;
            self.slowest_writes_per_second = Some(self.slowest_writes_per_second.map_or(rate, |slow| slow.min(rate)));
        }
        self.acked_writes += figures.acked_writes;
        for (family, count) in &figures.acked_by_family {
            *self.acked_by_family.entry(family.word().to_owned()).or_default() += count;
        }
        self.unknown_writes += figures.unknown_writes;
        self.checked_replies += figures.checked_replies;
        self.load_ms += figures.took.as_millis() as u64;
    }

    /// Counts what a power cut took.
    pub fn add_loss(&mut self, loss: &Loss) {
        self.taking_cuts += u64::from(!loss.writes.is_empty());
        self.taken_writes += loss.writes.len() as u64;
        self.oldest_taken_ms = self.oldest_taken_ms.max(loss.age().map(|age| age.as_millis() as u64));
    }

    /// Counts what a judge found.
    pub fn add_violations(&mut self, broken: &[Violation]) {
        self.kills_with_violations += u64::from(!broken.is_empty());
        for violation in broken {
            *self.violations.entry(violation.rule).or_default() += 1;
        }
        let lost: BTreeSet<_> = broken.iter().flat_map(|violation| &violation.lost).collect();
        self.lost_writes += lost.len() as u64;
    }

    /// Adds another run's figures.
    pub fn merge(&mut self, other: &Self) {
        self.stores += other.stores;
        self.kills += other.kills;
        self.quiet_kills += other.quiet_kills;
        self.kills_with_unknown += other.kills_with_unknown;
        self.recovery_kills += other.recovery_kills;
        for (name, deaths) in &other.by_failpoint {
            *self.by_failpoint.entry(name.clone()).or_default() += deaths;
        }
        self.deaths_before_load += other.deaths_before_load;
        self.acked_writes += other.acked_writes;
        for (family, count) in &other.acked_by_family {
            *self.acked_by_family.entry(family.clone()).or_default() += count;
        }
        self.unknown_writes += other.unknown_writes;
        self.checked_replies += other.checked_replies;
        self.lost_writes += other.lost_writes;
        self.taking_cuts += other.taking_cuts;
        self.taken_writes += other.taken_writes;
        self.oldest_taken_ms = self.oldest_taken_ms.max(other.oldest_taken_ms);
        self.kills_with_violations += other.kills_with_violations;
        for (rule, count) in &other.violations {
            *self.violations.entry(*rule).or_default() += count;
        }
        self.load_ms += other.load_ms;
        let both = [self.slowest_writes_per_second, other.slowest_writes_per_second];
        self.slowest_writes_per_second = both.into_iter().flatten().min();
        self.seconds += other.seconds;
        self.seeds.extend(&other.seeds);
    }

    /// Deaths at all failpoints.
    pub fn deaths(&self) -> u64 {
        self.by_failpoint.values().sum()
    }

    /// All broken rules.
    pub fn violations_in_all(&self) -> u64 {
        self.violations.values().sum()
    }
}

/// Counters by server, mode and fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// `kvd/always`, `redis-server/everysec/fsync+1500ms`
    pub rows: BTreeMap<String, Counters>,
}

impl Report {
    /// The figures of earlier runs; none when the file does not exist yet.
    pub fn resume(path: &Path) -> Result<Self> {
        files::resume_json(path)
    }

    /// Writes the figures for the next run.
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write_json(path, self)
    }

    /// The counters of one row.
    pub fn row(&mut self, name: &str) -> &mut Counters {
        self.rows.entry(name.to_owned()).or_default()
    }

    /// All broken rules.
    pub fn violations(&self) -> u64 {
        self.rows.values().map(Counters::violations_in_all).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| server/mode | kills | with unknown | too quiet | in recovery | acked writes | writes/s | slowest | lost | violations | s |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        for (name, row) in &self.rows {
            let share = 100.0 * row.kills_with_unknown as f64 / (row.kills as f64).max(1.0);
            let rate = 1000.0 * row.acked_writes as f64 / (row.load_ms as f64).max(1.0);
            writeln!(
                f,
                "| {name} | {} | {share:.0} % | {} | {} | {} | {rate:.0} | {} | {} | {} | {:.0} |",
                row.kills,
                row.quiet_kills,
                row.recovery_kills,
                row.acked_writes,
                row.slowest_writes_per_second.unwrap_or(0),
                row.lost_writes,
                row.violations_in_all(),
                row.seconds,
            )?;
            if let Some(age) = row.oldest_taken_ms {
                let (cuts, writes) = (row.taking_cuts, row.taken_writes);
                writeln!(f, "|   taken by {cuts} power cuts, the oldest after {age} ms |||| | {writes} | ||||| |")?;
            }
            for (failpoint, deaths) in &row.by_failpoint {
                writeln!(f, "|   died at {failpoint} | {deaths} ||||||||| |")?;
            }
            if row.deaths_before_load > 0 {
                writeln!(f, "|   of these before the load | {} ||||||||| |", row.deaths_before_load)?;
            }
            for (family, count) in &row.acked_by_family {
                writeln!(f, "|   {family} |||| | {count} | ||||| |")?;
            }
            for (rule, count) in &row.violations {
                writeln!(f, "|   {rule:?} |||||||| | {count} | |")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn figures(acked_writes: u64, unknown_writes: u64) -> LoadFigures {
        LoadFigures { acked_writes, unknown_writes, took: Duration::from_secs(1), ..LoadFigures::default() }
    }

    #[test]
    fn a_quiet_kill_does_not_count() {
        let mut row = Counters::default();
        row.add_kill(&figures(10, 1), 2000.0);
        row.add_kill(&figures(3000, 0), 2000.0);
        row.add_kill(&figures(9000, 5), 2000.0);
        assert_eq!((row.kills, row.quiet_kills, row.kills_with_unknown), (2, 1, 1));
        assert_eq!(row.slowest_writes_per_second, Some(3000));
    }

    #[test]
    fn runs_add_up() {
        let mut one = Report::default();
        one.row("kvd/always").add_kill(&figures(3000, 1), 0.0);
        let lost = vec![(1, 7), (1, 8), (2, 7)];
        let batch = Violation { lost, ..Violation::new(Rule::AckedSurvives, "c1", "x") };
        one.row("kvd/always").add_violations(&[batch.clone(), batch]);
        let json = serde_json::to_vec(&one).unwrap();
        let mut sum: Report = serde_json::from_slice(&json).unwrap();
        assert_eq!(sum, one);
        sum.row("kvd/always").merge(&one.rows["kvd/always"]);
        assert_eq!(sum.rows["kvd/always"].kills, 2);
        assert_eq!((sum.violations(), sum.rows["kvd/always"].lost_writes), (4, 6));
        assert!(sum.to_string().contains("kvd/always"));
    }
}
