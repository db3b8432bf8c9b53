//! An RDB file, or the one at the front of an append-only file, into the store.

use std::io::Read;

use engine::clock::{Clock, SystemClock};
use rdb::file::{Reader, Record};

use super::clock::STOPPED_MS;
use super::report::Report;
use super::target::Target;
use crate::commands::dump;
use crate::tools::Failure;

/// Stores all keys of a file. What has expired is left out, unless commands follow, which may have given it more time.
pub(super) fn import<R: Read>(
    reader: &mut Reader<R>,
    target: &Target,
    skips_unsupported: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let clock = SystemClock::new();
    while let Some(record) = reader.next_record()? {
        report.progress(reader.offset());
        match record {
            Record::Entry(entry) => {
                let now_ms = if reader.is_preamble() { STOPPED_MS } else { clock.wall_ms() };
                let value_type = dump::type_of(&entry.value);
                let is_due = entry.deadline_ms.is_some_and(|deadline| deadline <= now_ms);
                if !is_due && target.put(&entry.place, entry.value, entry.deadline_ms, now_ms)? {
                    report.count_key(value_type);
                } else {
                    report.expired += 1;
                }
            }
            Record::Unsupported(place, what) if skips_unsupported => {
                report.skip(&format!("values of type {what}"), &format!("{place} is a {what}"));
            }
            Record::Unsupported(place, what) => {
                let why = "which is not supported; --skip-unsupported passes over it";
                return Err(format!("{place} is a {what}, {why}").into());
            }
            Record::Functions => {
                report.skip("libraries of functions", &"a library of functions, which are not supported")
            }
            Record::ModuleData => {
                report.skip("data of modules", &"data that a module has left, which is not supported")
            }
            Record::Empty(place) => report.skip("collections without elements", &format!("{place} has no elements")),
        }
    }
    Ok(())
}
