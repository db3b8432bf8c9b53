//! `kvd check`: says all that is wrong with a store, and with `--repair` makes it one that opens.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use engine::clock::{Clock, SystemClock};
use engine::disk::{Disk, OsDisk};
use engine::{Check, Damage, Error, Lost, PassedOver, Salvage};

use super::Failure;
use super::import::marker;
use crate::config::Settings;

/// Looks a store over, and salvages it when that is wanted and needed.
pub(super) fn run(settings: &Settings, repairs: bool) -> Result<ExitCode, Failure> {
    let dir = settings.dir.display();
    let cannot = |error: io::Error| format!("cannot use the directory {dir}: {error}");
    // A directory that is missing is not made.
    let mut disk = OsDisk::read_only(&settings.dir).map_err(cannot)?;
    if repairs {
        disk = OsDisk::open(&settings.dir).map_err(cannot)?;
    }
    let disk: Arc<dyn Disk> = Arc::new(disk);
    marker::refuse(&*disk, &settings.dbfilename)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = super::reading(settings);
    let cannot = |error: Error| format!("the store {} in {dir}: {error}", settings.dbfilename);
    let Salvage { found, aside } = match repairs {
        true => engine::salvage(&disk, &clock, &options).map_err(cannot)?,
        false => Salvage { found: engine::check(&disk, &*clock, &options).map_err(cannot)?, aside: Vec::new() },
    };
    let mut out = io::stdout().lock();
    describe(&found, &aside).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    summarise(&mut out, &found)?;
    let verdict = match (found.is_sound(), repairs) {
        (true, _) => "the store is sound",
        (false, true) => "the store was damaged and opens now; remove what was put aside when nobody needs it",
        (false, false) => "the store is damaged. With --repair what is damaged is put aside",
    };
    writeln!(out, "{verdict}")?;
    Ok(if found.is_sound() || repairs { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summarise(out: &mut impl Write, found: &Check) -> io::Result<()> {
    let Check { segments, frames, log_bytes, keys, torn_bytes, .. } = found;
    writeln!(out, "{segments} segments, {frames} frames, {log_bytes} bytes of log, {keys} keys")?;
    match torn_bytes {
        0 => Ok(()),
        bytes => writeln!(out, "{bytes} bytes of a torn tail, which a start drops"),
    }
}

/// What was found and done, one thing a line.
pub fn describe(found: &Check, aside: &[String]) -> Vec<String> {
    let damage = |Damage { file, offset, bytes, what }: &Damage| match bytes {
        0 => format!("{file}: at byte {offset}: {what}"),
        _ => format!("{file}: at byte {offset}, {bytes} bytes: {what}"),
    };
    let lost = |Lost { database, key, what, .. }: &Lost| {
        format!("lost: key \"{}\" of database {database}: {what}", key.escape_ascii())
    };
    let passed_over = |PassedOver { file, why }: &PassedOver| format!("{file}: {why}; a start passes it over");
    let kept = found.kept.iter().map(|file| format!("{file}: a segment in which compaction found damage; it is kept"));
    let aside = aside.iter().map(|file| format!("put aside: {file}"));
    let found = found
        .damages
        .iter()
        .map(damage)
        .chain(found.lost.iter().map(lost))
        .chain(found.passed_over.iter().map(passed_over))
        .chain(kept);
    found.chain(aside).collect()
}
