//! An append-only file of Redis: one file, or the parts that a manifest names. Its commands are carried out as a server
//! carries them out; a part that begins as an RDB file is one.

mod executor;
pub(super) mod manifest;
mod relative;
mod stream;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::clock::{Clock, SystemClock};
use engine::{DATABASES, Store};
use rdb::file::{MAGIC, Reader};

use self::executor::Executor;
use self::stream::{Broken, Next, Stream};
use super::report::Report;
use super::target::Target;
use super::{open, snapshot};
use crate::commands;
use crate::config::Settings;
use crate::tools::Failure;

/// The files that a manifest names, with the folder they are in.
pub(super) fn parts(manifest: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut text = Vec::new();
    // A manifest names a few files: what is longer is none.
    open(manifest)?.take(1 << 20).read_to_end(&mut text)?;
    let files = manifest::parse(&text).map_err(|why| format!("{}: {why}", manifest.display()))?;
    let folder = manifest.parent().unwrap_or(Path::new(""));
    Ok(files.into_iter().map(|file| folder.join(file)).collect())
}

/// Carries out all parts.
pub(super) fn import(
    files: &[PathBuf],
    target: &Target,
    settings: &Settings,
    skips_unsupported: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut executor = Executor::start(&target.store, &target.clock, settings)?;
    let fed = (|| {
        for (at, file) in files.iter().enumerate() {
            let is_last = at + 1 == files.len();
            let mut feed = Feed { executor: &mut executor, skips_unsupported, is_last, report: &mut *report };
            if !feed.file(file, target)? {
                break;
            }
        }
        Ok::<(), Failure>(())
    })();
    // An error of a command comes before whatever was noticed when no more could be sent.
    executor.finish()?;
    fed?;
    count(&target.store, report);
    Ok(())
}

/// One part.
struct Feed<'a> {
    executor: &'a mut Executor,
    skips_unsupported: bool,
    is_last: bool,
    report: &'a mut Report,
}

impl Feed<'_> {
    /// Carries out a file; whether the executor takes more.
    fn file(&mut self, path: &Path, target: &Target) -> Result<bool, Failure> {
        let name: Arc<str> = path.display().to_string().into();
        let named = |error: Failure| -> Failure { format!("{name}: {error}").into() };
        let mut input = BufReader::with_capacity(256 << 10, open(path)?);
        let goes_on = if input.fill_buf()?.starts_with(MAGIC) {
            let mut reader = Reader::new(input).map_err(|error| named(error.into()))?;
            snapshot::import(&mut reader, target, self.skips_unsupported, self.report).map_err(named)?;
            let offset = reader.offset();
            self.commands(BufReader::new(reader.into_rest()), offset, &name)?
        } else {
            self.commands(input, 0, &name)?
        };
        self.report.done_bytes += path.metadata().map_or(0, |metadata| metadata.len());
        Ok(goes_on)
    }

    fn commands(&mut self, input: impl BufRead, offset: u64, name: &Arc<str>) -> Result<bool, Failure> {
        let mut stream = Stream::new(input, offset);
        // Where a transaction began that has not ended.
        let mut multi = None;
        loop {
            let torn = match stream.next() {
                Ok(Next::Command(command)) => {
                    self.report.progress(stream.offset());
                    let word = command.words.first().map_or(&b""[..], Vec::as_slice);
                    let which = || format!("{name}: at byte {}, the command {}", command.offset, command.shown());
                    if commands::lookup(word).is_none() {
                        let which = format!("{} is not supported", which());
                        if !self.skips_unsupported {
                            return Err(format!("{which}; --skip-unsupported passes over it").into());
                        }
                        self.report.skip("unsupported commands", &which);
                        continue;
                    }
                    if relative::is_relative(&command.words) {
                        let why = "counts a deadline from now, which an append-only file never does";
                        return Err(format!("{} {why}: send it to a server", which()).into());
                    }
                    if word.eq_ignore_ascii_case(b"MULTI") {
                        multi = Some(command.offset);
                    } else if word.eq_ignore_ascii_case(b"EXEC") {
                        multi = None;
                    }
                    self.report.commands += 1;
                    if !self.executor.send(name, &command) {
                        return Ok(false);
                    }
                    continue;
                }
                Ok(Next::End) => match multi {
                    Some(began) => began,
                    None => return Ok(true),
                },
                Ok(Next::Torn(began)) => multi.unwrap_or(began),
                Err(Broken::Io(error)) => return Err(format!("{name}: {error}").into()),
                Err(Broken::Format(offset, why)) => {
                    return Err(format!("{name}: at byte {offset}: {why}: the file is damaged").into());
                }
            };
            let what = if multi.is_some() { "a transaction" } else { "a command" };
            if !self.is_last {
                return Err(format!("{name}: at byte {torn}: {what} is cut off, and another file follows").into());
            }
            let bytes = stream.offset() - torn;
            self.report.notes.push(format!(
                "{name}: the last {bytes} bytes, from byte {torn}, are left out: {what} that was not written to its end"
            ));
            return Ok(true);
        }
    }
}

/// Counts what commands have left: only then is it known.
fn count(store: &Store, report: &mut Report) {
    report.forget_keys();
    let now_ms = SystemClock::new().wall_ms();
    for database in 0..DATABASES as u8 {
        let mut cursor = 0;
        loop {
            cursor = store.scan(None, database, cursor, 10_000, |_, item| {
                report.count_key(item.value_type());
                report.expired += u64::from(item.deadline().is_some_and(|deadline| deadline <= now_ms));
            });
            if cursor == 0 {
                break;
            }
        }
    }
}
