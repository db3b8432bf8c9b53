//! `kvd import`: the files of Redis into a store, by ordinary transactions.
//!
//! ```text
//!  RDB file ─────────────► rdb::file ─► snapshot ─────────────────────────────► target ─► store
//!  append-only file ─► manifest ─► parts ─┬─ RDB at the front ─► snapshot ─────►   │
//!                                         └─ commands ─► executor (a server that listens nowhere) ─►│
//! ```
//!
//! A store that is being filled bears a mark, which goes when everything is durable: what an import that failed has left
//! is not served. Time stands still meanwhile, see `clock`.

mod aof;
mod clock;
pub mod marker;
mod report;
mod snapshot;
mod target;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use engine::clock::SystemClock;
use rdb::file::{MAGIC, Reader};

use self::report::Report;
use self::target::Target;
use super::Failure;
use crate::config::Settings;

/// What the switches ask for.
#[derive(Clone, Copy)]
pub(super) struct Wishes {
    /// The store may hold something.
    pub(super) merges: bool,
    /// What is not supported is passed over.
    pub(super) skips: bool,
}

/// What a file is.
enum Source {
    Rdb(PathBuf),
    /// Parts, in order.
    AppendOnly(Vec<PathBuf>),
}

/// Imports a file into the store that the settings name.
pub(super) fn run(path: &Path, settings: Settings, wishes: Wishes) -> Result<ExitCode, Failure> {
    let source = recognise(path)?;
    let mut report = Report::new(Arc::new(SystemClock::new()));
    let files = match &source {
        Source::Rdb(file) => std::slice::from_ref(file),
        Source::AppendOnly(parts) => parts,
    };
    for file in files {
        report.total_bytes += open(file)?.metadata()?.len();
    }
    let target = Target::open(&settings, wishes)?;
    let done = match &source {
        Source::Rdb(file) => rdb_file(file, &target, wishes, &mut report),
        Source::AppendOnly(parts) => aof::import(parts, &target, &settings, wishes.skips, &mut report),
    };
    if let Err(error) = done {
        return Err(format!("{error}\n{}", target.abandon()).into());
    }
    target.finish()?;
    writeln!(io::stdout(), "{report}")?;
    Ok(ExitCode::SUCCESS)
}

fn rdb_file(path: &Path, target: &Target, wishes: Wishes, report: &mut Report) -> Result<(), Failure> {
    let named = |error: Failure| -> Failure { format!("{}: {error}", path.display()).into() };
    let mut reader = Reader::new(open(path)?).map_err(|error| named(error.into()))?;
    snapshot::import(&mut reader, target, wishes.skips, report).map_err(named)?;
    let end = reader.offset();
    let left = reader.into_rest().read(&mut [0; 1])?;
    if left > 0 {
        return Err(named(format!("at byte {end}: the file goes on behind its end").into()));
    }
    Ok(())
}

/// Finds out what a path is: by its beginning, not by its name.
fn recognise(path: &Path) -> Result<Source, Failure> {
    let shown = path.display();
    if path.is_dir() {
        let mut manifests = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let found = entry?.path();
            if found.to_string_lossy().ends_with(aof::manifest::SUFFIX) {
                manifests.push(found);
            }
        }
        return match &*manifests {
            [manifest] => Ok(Source::AppendOnly(aof::parts(manifest)?)),
            [] => Err(format!("the folder {shown} holds no file that ends with {}", aof::manifest::SUFFIX).into()),
            _ => Err(format!("the folder {shown} holds several manifests: name one").into()),
        };
    }
    let mut file = BufReader::new(open(path)?);
    let front = file.fill_buf()?;
    if front.is_empty() {
        return Err(format!("{shown} is empty: there is nothing to import").into());
    }
    if front.starts_with(MAGIC) {
        // An append-only file may begin as an RDB file does; it says so before its first key.
        let mut reader = Reader::new(file).map_err(|error| format!("{shown}: {error}"))?;
        // Whether that key can be read is seen later.
        let _ = reader.next_record();
        return Ok(match reader.is_preamble() {
            true => Source::AppendOnly(vec![path.to_owned()]),
            false => Source::Rdb(path.to_owned()),
        });
    }
    if front.starts_with(b"*") || front.starts_with(b"#TS:") {
        return Ok(Source::AppendOnly(vec![path.to_owned()]));
    }
    if front.starts_with(b"file ") {
        return Ok(Source::AppendOnly(aof::parts(path)?));
    }
    if front.starts_with(b"VALKEY") {
        return Err(format!(
            "{shown} is in Valkey's own form of RDB; its append-only file can be imported if it has no such front"
        )
        .into());
    }
    Err(format!("{shown} is neither an RDB file nor an append-only file nor the manifest of one").into())
}

#[expect(clippy::disallowed_methods, reason = "what is imported is no file of the store")]
fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
