//! CLIENT NO-EVICT, NO-TOUCH, REPLY, PAUSE and UNPAUSE: how a connection is treated, or all of them.

use std::sync::atomic::Ordering;

use resp::exact_integer;

use super::args::is;
use super::error::{NEGATIVE_TIMEOUT, PAUSE_MODE, SYNTAX, TIMEOUT, TIMEOUT_RANGE};
use super::{After, Call, CommandError, Context, Reply};
use crate::session::Replies;

type ServerDone = Result<After, CommandError>;

/// CLIENT NO-EVICT
pub(super) fn no_evict(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    context.session.client.stays.store(switch(call.arg(2))?, Ordering::Relaxed);
    reply.ok();
    Ok(After::Reply)
}

/// CLIENT NO-TOUCH
pub(super) fn no_touch(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    context.session.client.no_touch.store(switch(call.arg(2))?, Ordering::Relaxed);
    reply.ok();
    Ok(After::Reply)
}

fn switch(word: &[u8]) -> Result<bool, CommandError> {
    [("ON", true), ("OFF", false)].into_iter().find_map(|(name, on)| is(word, name).then_some(on)).ok_or(SYNTAX)
}

/// CLIENT REPLY. While there are no replies this is not answered either.
pub(super) fn reply(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let replies = &mut context.session.replies;
    match call.arg(2) {
        word if is(word, "ON") => *replies = Replies::On,
        word if is(word, "OFF") => *replies = Replies::Off,
        word if is(word, "SKIP") && *replies == Replies::Off => {}
        word if is(word, "SKIP") => *replies = Replies::SkipNext,
        _ => return Err(SYNTAX),
    }
    reply.ok();
    Ok(After::Reply)
}

/// CLIENT PAUSE
pub(super) fn pause(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let all = match call.len() {
        3 => true,
        4 if is(call.arg(3), "ALL") => true,
        4 if is(call.arg(3), "WRITE") => false,
        4 => return Err(PAUSE_MODE),
        _ => return Err(CommandError::subcommand_arity("CLIENT", call.arg(1))),
    };
    let timeout_ms = exact_integer(call.arg(2)).ok_or(TIMEOUT)?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| NEGATIVE_TIMEOUT)?;
    let now_ms = context.server.monotonic_ms();
    // As if counted from the epoch.
    let end_ms = timeout_ms.checked_add(call.now_ms).filter(|end_ms| i64::try_from(*end_ms).is_ok());
    let end_ms = end_ms.ok_or(TIMEOUT_RANGE)? - call.now_ms + now_ms;
    let end_ms = context.server.pause.start(end_ms, all, now_ms);
    // What nobody may change does not change by itself.
    context.server.store.hold_expiry(end_ms);
    reply.ok();
    Ok(After::Reply)
}

/// CLIENT UNPAUSE
pub(super) fn unpause(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    context.server.pause.end();
    context.server.store.hold_expiry(0);
    reply.ok();
    Ok(After::Reply)
}
