//! The figures of a run: what was measured, of which server, with what parameters; as a table and as JSON.

use std::fmt;

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The scenario.
    pub scenario: &'static str,
    /// With which parameters.
    pub parameters: String,
    /// Which server.
    pub server: String,
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it should be, where that is said.
    pub target: Option<&'static str>,
}

/// What could not be measured here.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// The scenario.
    pub scenario: &'static str,
    /// What was left out.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// All of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The command.
    pub command: String,
    /// Processors of this machine.
    pub processors: usize,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What was not.
    pub skipped: Vec<Skipped>,
    /// What has to be known to read them.
    pub notes: Vec<String>,
    #[serde(skip)]
    scenario: &'static str,
    #[serde(skip)]
    parameters: String,
}

impl Figures {
    /// What follows is of this scenario.
    pub fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
        self.parameters.clear();
    }

    /// What follows is measured with these parameters.
    pub fn with(&mut self, parameters: String) {
        eprintln!("{}: {parameters}", self.scenario);
        self.parameters = parameters;
    }

    /// A figure.
    pub fn add(&mut self, server: &str, name: &str, value: f64, unit: &'static str) {
        self.add_with_target(server, name, value, unit, None);
    }

    /// A figure that should be something.
    pub fn add_with_target(
        &mut self,
        server: &str,
        name: &str,
        value: f64,
        unit: &'static str,
        target: Option<&'static str>,
    ) {
        let (server, name, parameters) = (server.to_owned(), name.to_owned(), self.parameters.clone());
        let figure = Figure { scenario: self.scenario, parameters, server, name, value, unit, target };
        eprintln!("  {}", row(&figure));
        self.figures.push(figure);
    }

    /// Something cannot be measured here.
    pub fn skip(&mut self, what: &str, reason: &str) {
        if self.skipped.iter().any(|skipped| skipped.scenario == self.scenario && skipped.what == what) {
            return;
        }
        eprintln!("  SKIPPED {what}: {reason}");
        self.skipped.push(Skipped { scenario: self.scenario, what: what.to_owned(), reason: reason.to_owned() });
    }

    /// Something has to be known to read the figures.
    pub fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

fn row(figure: &Figure) -> String {
    let target = figure.target.map_or_else(String::new, |target| format!("   (target {target})"));
    let value = shown(figure.value);
    format!("{:<13} {:<58} {value:>14} {}{target}", figure.server, figure.name, figure.unit)
}

/// Few digits of small numbers, groups of three of large ones.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size < 100.0 => format!("{value:.3}"),
        size if size < 10_000.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// A whole number in groups of three digits.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    format!("{sign}{}", groups.collect::<Vec<_>>().join(","))
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} on {} processors", self.command, self.processors)?;
        let mut before = None;
        for figure in &self.figures {
            if before.replace((figure.scenario, &figure.parameters)) != Some((figure.scenario, &figure.parameters)) {
                writeln!(out, "\n{}: {}", figure.scenario, figure.parameters)?;
            }
            writeln!(out, "  {}", row(figure))?;
        }
        if !self.skipped.is_empty() {
            writeln!(out)?;
        }
        for skipped in &self.skipped {
            writeln!(out, "SKIPPED {}, {}: {}", skipped.scenario, skipped.what, skipped.reason)?;
        }
        for note in &self.notes {
            writeln!(out, "* {note}")?;
        }
        Ok(())
    }
}

/// The one in the middle; the upper of two. Nothing of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        let cases = [(0.5, "0.500"), (123.45, "123.5"), (12_345.6, "12,346"), (-1_234_567.0, "-1,234,567")];
        cases.into_iter().for_each(|(value, text)| assert_eq!(shown(value), text));
    }

    #[test]
    fn the_one_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_skip_is_told_once_and_is_no_figure() {
        let mut figures = Figures::default();
        figures.begin("stall");
        figures.with("1 run".to_owned());
        (0..2).for_each(|_| figures.skip("redis", "not there"));
        figures.add("kvd", "longest", 1.0, "ms");
        let text = figures.to_string();
        assert_eq!(text.matches("SKIPPED").count(), 1, "{text}");
        assert!(text.contains("stall: 1 run\n  kvd"), "{text}");
    }
}
