//! The rows of all servers, side by side.

use std::fmt;

use serde::Serialize;

use super::judge::{Broken, judge};
use super::row::{Life, Row};

/// All rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The servers' names, in the order of the columns.
    pub servers: Vec<String>,
    /// What was measured.
    pub rows: Vec<Row>,
    /// Name of the server that does nothing.
    pub null: Option<String>,
    /// By server: bytes kept beyond those of its start when all was over, and how often it was started.
    pub kept: Vec<(String, Option<i64>, u64)>,
}

impl Report {
    /// The row of an attack on a server.
    fn row(&self, attack: &str, server: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.attack == attack && row.server == server)
    }

    /// The rules that a row breaks.
    pub fn broken(&self, row: &Row) -> Vec<Broken> {
        judge(row, self.null.as_deref().and_then(|null| self.row(row.attack, null)))
    }

    /// Attacks, in the order in which they were done.
    fn attacks(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.attack) {
                names.push(row.attack);
            }
        }
        names
    }
}

/// A row as a cell: what is not as promised is in bold.
fn cell(row: &Row, broken: &[Broken]) -> String {
    let bold = |is: bool, text: String| if is { format!("**{text}**") } else { text };
    let life = match &row.life {
        Life::Alive => "alive".to_owned(),
        Life::Dead(how) => format!("**dead: {how}**"),
        Life::Silent(how) => format!("**silent: {how}**"),
        Life::Changed(how) => format!("**{how}**"),
    };
    let grew = broken.iter().any(|broken| matches!(broken, Broken::Grew(..)));
    let late = broken.iter().any(|broken| matches!(broken, Broken::Late(..)));
    let growth = bold(grew, format!("+{:.1} MiB", row.growth as f64 / f64::from(1 << 20)));
    let pings = bold(late, format!("PING {:.1}/{:.0} ms", row.ping_p99_ms, row.ping_max_ms));
    let mut text = format!("{life}; {growth}; {pings}");
    if let Some(why) = &row.ping_broken {
        text += &format!("; **a PING was not answered: {why}**");
    }
    let mut ends: Vec<_> = row.ends.iter().collect();
    ends.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    for (how, count) in ends.iter().take(3) {
        text += &format!("; {count} × {how}");
    }
    for figure in &row.figures {
        let wrong = broken.iter().any(|broken| matches!(broken, Broken::Figure(name, _) if *name == figure.name));
        text += &format!("; {}", bold(wrong, format!("{} {}", figure.name, number(figure.value))));
    }
    if let Some(why) = &row.halted {
        text += &format!("; ended early: {why}");
    }
    text.replace('|', "/")
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| attack | {} |", self.servers.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.servers.len()))?;
        for attack in self.attacks() {
            write!(f, "| {attack} |")?;
            for server in &self.servers {
                let cell = self.row(attack, server).map_or("–".to_owned(), |row| cell(row, &self.broken(row)));
                write!(f, " {cell} |")?;
            }
            writeln!(f)?;
        }
        for (server, kept, starts) in &self.kept {
            let kept = kept.map_or("–".to_owned(), |bytes| format!("{:+.1} MiB", bytes as f64 / f64::from(1 << 20)));
            writeln!(f, "\n{server}: started {starts} times; memory at the end beside its last start: {kept}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_promised_is_in_bold() {
        let row = |server: &str, p99: f64, growth| Row {
            attack: "nested",
            server: server.to_owned(),
            life: Life::Alive,
            growth,
            growth_limit: 1 << 20,
            ping_p99_ms: p99,
            ping_max_ms: p99,
            pings: 9,
            ping_broken: None,
            ends: [("closed".to_owned(), 3)].into(),
            figures: Vec::new(),
            halted: None,
            seconds: 1.0,
        };
        let report = Report {
            servers: vec!["null".to_owned(), "slow".to_owned()],
            rows: vec![row("null", 1.0, 0), row("slow", 20.0, 2 << 20)],
            null: Some("null".to_owned()),
            kept: vec![("slow".to_owned(), Some(1 << 20), 2)],
        };
        let text = report.to_string();
        assert!(text.contains("| nested | alive; +0.0 MiB; PING 1.0/1 ms; 3 × closed |"), "{text}");
        assert!(text.contains("alive; **+2.0 MiB**; **PING 20.0/20 ms**; 3 × closed |"), "{text}");
        assert!(text.contains("slow: started 2 times; memory at the end beside its last start: +1.0 MiB"), "{text}");
    }
}
