//! The gate every request passes: arity, authentication, memory, room in the log, length of keys, in that order.

use std::sync::atomic::Ordering;

use engine::format::frame::MAX_KEY;
use engine::{Need, Refusal};
use resp::Request;

use crate::commands::error::{self, CommandError};
use crate::commands::{Entry, Handler};
use crate::server::Server;
use crate::session::Session;

/// What the gate says.
pub enum Verdict {
    /// Run it, unless it turns out to add more than this beyond what it brings.
    Pass(u64),
    /// Answer this.
    Refuse(CommandError),
    /// The disk is behind: ask again a little later.
    Wait,
}

/// Whether a request may run now, at this monotonic time, when the value at its key has a length that can be looked up.
#[inline]
pub fn check(
    entry: &Entry,
    request: &Request<'_>,
    session: &Session,
    server: &Server,
    now_us: u64,
    mut present_bytes: impl FnMut() -> u64,
) -> Verdict {
    if !entry.syntax.fits(request.len()) {
        return Verdict::Refuse(CommandError::arity(&entry.full_name));
    }
    if !session.authenticated && !entry.gate.no_auth && !is_open(server) {
        return Verdict::Refuse(error::NO_AUTH);
    }
    let growth = entry.command.growth.map_or(0, |growth| growth(request, &mut present_bytes));
    if entry.gate.deny_oom && server.is_out_of_memory(growth) {
        return Verdict::Refuse(error::OOM);
    }
    let Handler::Write(_) = entry.command.handler else { return Verdict::Pass(growth) };
    let need = if entry.gate.shrinks { Need::Shrink } else { Need::Grow };
    let blob_bytes = server.store.options().blob_bytes;
    // What is large and logged again lies in a file of its own by then.
    let relogged =
        if entry.command.relogs { Some(present_bytes()).filter(|bytes| *bytes < blob_bytes as u64) } else { None };
    let longest = if entry.command.inline { usize::MAX } else { blob_bytes };
    let bytes = || bytes_of(request, longest) + growth + relogged.unwrap_or(0);
    match server.store.log().admit_at(now_us, need, bytes) {
        Ok(()) => {}
        Err(Refusal::Stalled) => return Verdict::Wait,
        Err(refusal) => return Verdict::Refuse(refusal.into()),
    }
    let too_long = |position| request.get(position).is_some_and(|key| key.len() > MAX_KEY);
    if entry.syntax.keys.positions(request.len()).any(too_long) {
        return Verdict::Refuse(error::KEY_TOO_LONG);
    }
    Verdict::Pass(growth)
}

/// About how many bytes of log a request can make, when arguments of this length go to files of their own.
#[inline]
fn bytes_of(request: &Request<'_>, longest: usize) -> u64 {
    let bytes = |length: usize| if length < longest { length as u64 } else { 0 };
    request.iter().map(|argument| bytes(argument.len()) + PER_ARGUMENT).sum()
}

/// A frame's header and padding, at most.
const PER_ARGUMENT: u64 = 64;

/// Whether a connection needs no password.
pub fn is_open(server: &Server) -> bool {
    !server.hot.password.load(Ordering::Relaxed)
}
