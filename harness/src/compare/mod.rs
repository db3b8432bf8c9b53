//! The same faults for several servers, and one table of what came of them, as measured.

pub mod disk;

use std::fmt;

use crate::campaign::Campaign;
use crate::damage::tail::{self, Tail};
use crate::damage::victim::{End, Victim};
use crate::damage::{Outcome, Tally, rot};
use crate::error::Result;
use crate::mix::Mix;
use crate::process::{Mode, Program};
use crate::random::Random;
use crate::report::Counters;
use crate::store::Plan;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Kills per mode.
    pub kills: u64,
    /// Ends of a log of each kind.
    pub tails: u64,
    /// Turned bits.
    pub flips: u64,
}

/// One row for all servers.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub fault: String,
    /// What came of it, by server.
    pub cells: Vec<String>,
}

/// Servers side by side.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Their names.
    pub servers: Vec<String>,
    /// Faults.
    pub rows: Vec<Row>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| fault | {} |", self.servers.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.servers.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} | {} |", row.fault, row.cells.join(" | "))?;
        }
        Ok(())
    }
}

/// A row, as it comes about.
pub type Tell<'a> = &'a mut dyn FnMut(&Row);

/// Does everything to each server in turn.
pub fn run(programs: &[Program], amounts: Amounts, seed: u64, tell: Tell<'_>) -> Result<Table> {
    let servers = programs.iter().map(|program| program.name().to_owned()).collect();
    let mut table = Table { servers, rows: Vec::new() };
    let mut row = |fault: &str, cell: &dyn Fn(&Program) -> Result<String>| -> Result<()> {
        let cells = programs.iter().map(cell).collect::<Result<Vec<_>>>()?;
        let row = Row { fault: fault.to_owned(), cells };
        tell(&row);
        table.rows.push(row);
        Ok(())
    };
    for mode in [Mode::Always, Mode::EverySec] {
        row(&format!("`kill -9` under load, `{}`", mode.word()), &|program| kills(program, mode, amounts.kills, seed))?;
    }
    for mode in [Mode::Always, Mode::EverySec] {
        row(&format!("EIO on one fsync, `{}`", mode.word()), &|program| disk::failing_sync(program, mode))?;
        row(&format!("EIO on one write of the log, `{}`", mode.word()), &|program| disk::failing_write(program, mode))?;
        row(&format!("ENOSPC for 2 s, `{}`", mode.word()), &|program| disk::full(program, mode))?;
    }
    row("each fsync takes 1.5 s, `kill -9`, `everysec`", &disk::slow_sync)?;
    for tail in Tail::ALL {
        row(&format!("{tail} tail at start"), &|program| tails(program, tail, amounts.tails, seed))?;
    }
    row("one bit of the stored log turned", &|program| flips(program, amounts.flips, seed))?;
    Ok(table)
}

fn kills(program: &Program, mode: Mode, kills: u64, seed: u64) -> Result<String> {
    let mut plan = Plan::new(program.clone(), mode);
    plan.mix = Mix::Older;
    let campaign = Campaign { keep_going: true, notes: None, ..Campaign::new(plan, seed, kills) };
    let mut counters = Counters::default();
    campaign.run(&mut counters)?;
    Ok(format!("{} kills, {} acked writes, **{} lost**", counters.kills, counters.acked_writes, counters.lost_writes))
}

fn tails(program: &Program, tail: Tail, count: u64, seed: u64) -> Result<String> {
    let victim = Victim::make(program.clone(), &[], End::Killed)?;
    let tally = tail::run(&victim, tail, count, &mut Random::new(seed))?;
    Ok(format!(
        "{} of {} start without a tool{}",
        tally.all() - tally.of(Outcome::Refused),
        tally.all(),
        faults(&tally)
    ))
}

fn flips(program: &Program, count: u64, seed: u64) -> Result<String> {
    let victim = Victim::make(program.clone(), &[], End::Stopped)?;
    let tally = rot::run(&victim, count, &mut Random::new(seed))?;
    let told = tally.of(Outcome::Refused) + tally.of(Outcome::ErrorReply);
    Ok(format!("of {}: told {told}, without effect {}{}", tally.all(), tally.of(Outcome::Whole), faults(&tally)))
}

/// What nobody was told of.
fn faults(tally: &Tally) -> String {
    let bad = [Outcome::Missing, Outcome::Wrong].into_iter().filter(|outcome| tally.of(*outcome) > 0);
    bad.map(|outcome| format!(", **{} {}**", outcome.word(), tally.of(outcome))).collect()
}
