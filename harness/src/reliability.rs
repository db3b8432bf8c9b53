//! The figures of the reliability levels: `docs/reliability.json` is where they stand, and the table in `docs/reliability.md` is
//! made from it. What runs have noted with `--resume` is moved in, and counters add up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result};
use crate::files;
use crate::fuzzing;
use crate::report::{Counters, Report};
use crate::scenario::figures::grouped;

/// All figures, and the levels that have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// In the order of the page.
    pub figures: Vec<Figure>,
    /// Levels that do not run yet, or not everywhere.
    pub skipped: Vec<Skipped>,
}

/// What one kind of run has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// `L2`
    pub level: String,
    /// What was done. No two have the same.
    pub name: String,
    /// How much of it.
    pub value: f64,
    /// In this unit.
    pub unit: String,
    /// What else was counted, violations among it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, u64>,
    /// How long it took, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What does it again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Seeds of the runs, where a seed decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// The code of the last run.
    pub commit: String,
    /// The day of the last run.
    pub date: String,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A level without figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// `L3`
    pub level: String,
    /// Why.
    pub reason: String,
}

/// Where the generated part of the page begins and ends.
const BEGIN: &str = "<!-- from reliability.json: cargo run -p harness --bin figures -->\n";
const END: &str = "<!-- end -->\n";

impl Figures {
    /// Reads them.
    pub fn read() -> Result<Self> {
        files::resume_json(&docs("reliability.json"))
    }

    /// Writes them, and the page.
    pub fn write(&self) -> Result<()> {
        files::write_json(&docs("reliability.json"), self)?;
        files::write(&docs("reliability.md"), self.page(&page()?)?.as_bytes())
    }

    /// The page with these figures in the place of those that are in it.
    pub fn page(&self, old: &str) -> Result<String> {
        let parts = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) = parts.ok_or_else(|| Failure::Usage("the page has no place for figures".to_owned()))?;
        Ok(format!("{head}{BEGIN}{}{END}{tail}", self.table()))
    }

    fn table(&self) -> String {
        let mut table = String::from("| level | what | value |\n|---|---|---|\n");
        for figure in &self.figures {
            let _ = writeln!(table, "| {} | {} | {} |", figure.level, figure.name, figure.describe());
        }
        for Skipped { level, reason } in &self.skipped {
            let _ = writeln!(table, "| {level} | skipped | {reason} |");
        }
        table
    }

    /// Adds what a run has shown to what earlier ones have.
    pub fn add(&mut self, run: Figure) {
        let Some(known) = self.figures.iter_mut().find(|known| known.name == run.name) else {
            // Beside the others of its level.
            let place = self.figures.iter().rposition(|known| known.level <= run.level).map_or(0, |place| place + 1);
            return self.figures.insert(place, run);
        };
        known.value += run.value;
        for (what, count) in run.more {
            *known.more.entry(what).or_default() += count;
        }
        known.seconds = match (known.seconds, run.seconds) {
            (Some(before), Some(now)) => Some(before + now),
            (before, now) => before.or(now),
        };
        known.seeds.extend(run.seeds);
        (known.commit, known.date) = (run.commit, run.date);
    }
}

impl Figure {
    /// The last column.
    fn describe(&self) -> String {
        let mut text = format!("{} {}", grouped(self.value), self.unit);
        for (what, count) in &self.more {
            let _ = write!(text, ", {} {what}", grouped(*count as f64));
        }
        if let Some(seconds) = self.seconds {
            let _ = write!(text, "; {} s", grouped(seconds.ceil()));
        }
        for part in [&self.note, &self.command].into_iter().filter(|part| !part.is_empty()) {
            let _ = if part == &self.command { write!(text, "; `{part}`") } else { write!(text, "; {part}") };
        }
        text
    }
}

/// What a file of `--resume` holds, as figures of this commit and day.
pub fn of_run(path: &Path) -> Result<Vec<Figure>> {
    if !path.exists() {
        return Err(Failure::Usage(format!("{}: there is no such file", path.display())));
    }
    let (commit, date) = (said("git", &["rev-parse", "--short", "HEAD"])?, said("date", &["+%Y-%m-%d"])?);
    let stamp = |figure: Figure| Figure { commit: commit.clone(), date: date.clone(), ..figure };
    if let Ok(kills) = files::resume_json::<Report>(path).map(|report| report.rows)
        && !kills.is_empty()
    {
        return Ok(kills.iter().map(|(name, row)| stamp(of_kills(name, row))).collect());
    }
    let fuzzed: fuzzing::Report = files::resume_json(path)?;
    Ok(fuzzed.targets.iter().map(|(name, done)| stamp(of_fuzzing(name, *done))).collect())
}

fn of_kills(name: &str, row: &Counters) -> Figure {
    let mut more = BTreeMap::from([
        ("acked writes".to_owned(), row.acked_writes),
        ("lost".to_owned(), row.lost_writes),
        ("violations".to_owned(), row.violations_in_all()),
        ("deaths inside recovery".to_owned(), row.recovery_kills),
        ("kills with unknown writes".to_owned(), row.kills_with_unknown),
    ]);
    more.retain(|what, count| *count > 0 || matches!(what.as_str(), "lost" | "violations"));
    Figure {
        level: "L2".to_owned(),
        name: format!("kills, {name}"),
        value: row.kills as f64,
        unit: "kills".to_owned(),
        more,
        seconds: Some(row.seconds),
        seeds: row.seeds.clone(),
        ..Figure::default()
    }
}

fn of_fuzzing(target: &str, done: fuzzing::Done) -> Figure {
    Figure {
        level: "L6".to_owned(),
        name: format!("fuzz, {target}"),
        value: done.executions as f64,
        unit: "executions".to_owned(),
        more: BTreeMap::from([("findings".to_owned(), done.findings)]),
        seconds: Some(done.seconds),
        ..Figure::default()
    }
}

fn said(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).output();
    let output = output.map_err(|source| Failure::Run { program: program.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn page() -> Result<String> {
    Ok(String::from_utf8_lossy(&files::read(&docs("reliability.md"))?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_figures_say() {
        let figures = Figures::read().unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            figures.write().unwrap();
        }
        let page = page().unwrap();
        assert!(page == figures.page(&page).unwrap(), "stale: UPDATE_DOCS=1 cargo test -p harness --lib reliability");
    }

    #[test]
    fn no_two_figures_have_one_name_and_all_say_when() {
        let figures = Figures::read().unwrap().figures;
        let names: std::collections::BTreeSet<_> = figures.iter().map(|figure| &figure.name).collect();
        assert_eq!(names.len(), figures.len());
        assert!(figures.iter().all(|figure| !figure.commit.is_empty() && !figure.date.is_empty()));
    }

    #[test]
    fn runs_add_up() {
        let run = |level: &str, name: &str, value| Figure {
            level: level.to_owned(),
            name: name.to_owned(),
            value,
            more: BTreeMap::from([("lost".to_owned(), 1)]),
            seconds: Some(2.5),
            ..Figure::default()
        };
        let mut figures = Figures::default();
        for (level, name, value) in [("L2", "a", 5.0), ("L6", "b", 7.0), ("L2", "c", 1.0), ("L2", "a", 1000.0)] {
            figures.add(run(level, name, value));
        }
        let names: Vec<_> = figures.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "b"]);
        let sum = &figures.figures[0];
        assert_eq!((sum.value, sum.more["lost"], sum.seconds), (1005.0, 2, Some(5.0)));
        assert_eq!(
            Figure { unit: "kills".into(), note: "x".into(), ..sum.clone() }.describe(),
            "1,005 kills, 2 lost; 5 s; x"
        );
    }

    #[test]
    fn a_page_without_a_place_for_figures_is_left_alone() {
        let old = format!("head\n{BEGIN}old\n{END}tail\n");
        let new = Figures::default().page(&old).unwrap();
        assert!(new.starts_with("head\n") && new.ends_with("tail\n") && !new.contains("old"));
        assert!(Figures::default().page("nothing").is_err());
    }
}
