//! What `kvd` does besides serving: `kvd check`, `kvd export`, `kvd import`, on a store that no server uses.
//!
//! ```text
//!  arguments ─► invocation (which tool, on what, switches) ─► config::load (the settings behind them) ─► the tool
//! ```
//!
//! What a tool makes goes to standard output, what it says of its work to standard error. It ends with 0 when all is well
//! and with 1 when not.

pub mod check;
mod export;
pub mod import;
mod invocation;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use engine::Options;
pub use invocation::usage;
use invocation::{Invocation, Tool};

use crate::config::{self, Settings, Start};

/// Why a tool could not do its work, in words.
type Failure = Box<dyn std::error::Error>;

/// Bytes of keys and values that are held while a store is read. Beyond them values are left to the log: a store may be larger
/// than memory, and who reads it may share the machine with a server.
const MEMORY_GOAL: u64 = 64 << 20;

/// How the store that the settings name is read.
fn reading(settings: &Settings) -> Options {
    Options {
        name: settings.dbfilename.clone(),
        segment_bytes: settings.segment_size,
        limits: settings.value_limits(),
        memory_goal: MEMORY_GOAL,
        ..Options::default()
    }
}

/// Runs the tool that the arguments name; `None` when they name none, and a server is meant.
pub fn run(
    arguments: &[OsString],
    environment: impl Iterator<Item = (OsString, OsString)>,
    read_file: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
) -> Option<ExitCode> {
    let invocation = match Invocation::parse(arguments)? {
        Ok(invocation) => invocation,
        Err(usage) => {
            eprintln!("{usage}");
            return Some(ExitCode::FAILURE);
        }
    };
    if invocation.wants_help {
        println!("{}", invocation.tool.usage());
        return Some(ExitCode::SUCCESS);
    }
    let settings = match config::load(invocation.settings.iter().cloned(), environment, read_file) {
        Ok(Start::Run(loaded)) => loaded.settings,
        Ok(_) => {
            eprintln!("{}", invocation.tool.usage());
            return Some(ExitCode::FAILURE);
        }
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::FAILURE);
        }
    };
    let done = carry_out(&invocation, settings);
    Some(done.unwrap_or_else(|error| {
        eprintln!("{}: {error}", invocation.tool.name());
        ExitCode::FAILURE
    }))
}

fn carry_out(invocation: &Invocation, mut settings: Settings) -> Result<ExitCode, Failure> {
    let Invocation { tool, operand, switches, .. } = invocation;
    let is_set = |switch: &str| switches.contains(&switch);
    match tool {
        Tool::Check => {
            settings.dir.clone_from(operand);
            check::run(&settings, is_set("--repair"))
        }
        Tool::Export => {
            settings.dir.clone_from(operand);
            export::store(&settings)
        }
        Tool::ParseSnapshot => export::snapshot(operand, settings, is_set("--skip-unsupported")),
        Tool::Import => {
            let wishes = import::Wishes { merges: is_set("--merge"), skips: is_set("--skip-unsupported") };
            import::run(operand, settings, wishes)
        }
    }
}
