//! Reading the log into a replay, until it ends or is found to be damaged.

use std::sync::Arc;

use super::replay::{Replay, Senseless};
use crate::disk::Disk;
use crate::error::Error;
use crate::failpoint;
use crate::format::frame::Kind;
use crate::format::manifest::Manifest;
use crate::format::segment;
use crate::log::Lsn;
use crate::log::scan::{self, Chain, Loaded};
use crate::mutant::planted;
use crate::options::Options;

/// What reading the log found.
pub(super) struct Read {
    /// Where the replay began.
    pub start: Lsn,
    /// Behind the last whole transaction.
    pub end: Lsn,
    /// Everything below was durable.
    pub durable: Lsn,
    /// Segments with their first LSNs, in order.
    pub segments: Vec<(u64, Lsn)>,
    pub dropped_bytes: u64,
}

/// Reads the log from `start` on, into a replay. Segments that end before are passed over.
pub(super) fn read_log(
    disk: &dyn Disk,
    options: &Options,
    manifest: &Manifest,
    start: Lsn,
    replay: &mut Replay<'_>,
) -> Result<Read, Error> {
    let name = &*options.name;
    let mut chain = Chain::new(disk, name, manifest);
    let segments = if start > manifest.base { chain.skip_to(start)?.unwrap_or_default() } else { Vec::new() };
    let mut read = Read { start, end: start, durable: manifest.durable, segments, dropped_bytes: 0 };
    let mut at = start;
    let mut ended_at = None;
    loop {
        replay.leave();
        let segment = chain.advance(ended_at)?;
        if ended_at.is_none() && start > manifest.base {
            prove_start(&chain, segment.as_ref(), start, name)?;
        }
        let Some(segment) = segment else { break };
        failpoint::hit("recover.scan")?;
        let segment = Arc::new(segment);
        read.segments.push((segment.number, segment.base));
        replay.enter(&segment);
        while let Some(frame) = segment.frame(at) {
            if let Some(mark) = scan::mark_of(&frame) {
                read.durable = read.durable.max(mark);
            }
            let buried = frame.kind == Kind::Tomb
                && frame.first
                && frame.last
                && read.segments.len() == 1
                && planted("tombstone_dropped_early");
            if !buried && !replay.apply(&frame) {
                return Err(Senseless::of(&frame, &segment).error(name));
            }
            at += frame.padded as u64;
            if frame.last || planted("torn_tail_kept") {
                read.end = at;
            }
        }
        if segment.end == Some(at) {
            ended_at = Some(at);
            continue;
        }
        // No valid frame here. Either the log goes on in the next segment, or this is where it ends.
        ended_at = Some(at);
        if chain.follows(at)? {
            continue;
        }
        if scan::is_corruption(&chain, &segment, at, read.durable)? {
            if let (0, Some(missing)) = (segment.bytes_behind(at), chain.missing()?) {
                let file = segment::file_name(name, missing);
                return Err(Error::Corrupt { file, offset: 0, what: scan::MISSING });
            }
            return Err(Error::Corrupt {
                file: segment::file_name(name, segment.number),
                offset: segment::HEADER + at - segment.base,
                what: "a frame that was durable is not valid",
            });
        }
        read.dropped_bytes = segment.bytes_behind(read.end);
        break;
    }
    if read.end < read.durable {
        let number = read.segments.last().map_or(manifest.first, |(number, _)| *number);
        return Err(Error::Corrupt {
            file: segment::file_name(name, number),
            offset: 0,
            what: "the log ends before what was durable",
        });
    }
    replay.drop_unfinished();
    Ok(read)
}

/// A checkpoint spares reading what lies before its start, but not to know that the log leads there. Where the header of the
/// segment that holds the start is damaged, the one before it looks like the last, and the log as if it ended at the start.
fn prove_start(chain: &Chain<'_>, segment: Option<&Loaded>, start: Lsn, name: &str) -> Result<(), Error> {
    if segment.is_some_and(|segment| segment.comes_to(start)) || planted("checkpoint_start_unproved") {
        return Ok(());
    }
    let last = segment.map(|segment| segment.number).or(chain.next_segment().map(|(number, _)| number));
    let number = chain.missing()?.or(last).unwrap_or_default();
    let what = "the log does not lead to the checkpoint's start";
    Err(Error::Corrupt { file: segment::file_name(name, number), offset: 0, what })
}
