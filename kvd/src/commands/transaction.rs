//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use std::sync::Arc;

use engine::Transaction;

use super::error::{DISCARD_WITHOUT_MULTI, NESTED_MULTI, WATCH_IN_MULTI, WATCH_MEMORY};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply};
use crate::server::watch;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("MULTI", "", multi)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy, Flag::InMulti])
        .group(Group::Transactions)
        .since("1.2.0")
        .doc("Begins a transaction: what follows is queued until EXEC."),
    Command::server("EXEC", "", |_, _, _| Ok(After::Exec))
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::SkipSlowlog, Flag::InMulti])
        .group(Group::Transactions)
        .since("1.2.0")
        .cost("Depends on the commands in the transaction")
        .doc("Runs all that was queued, all or nothing, unless a watched key has changed."),
    Command::server("DISCARD", "", discard)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy, Flag::InMulti])
        .group(Group::Transactions)
        .since("2.0.0")
        .cost("O(N), N being the number of queued commands")
        .doc("Forgets all that was queued."),
    Command::server("WATCH", "@key ...", watch)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy, Flag::InMulti])
        .group(Group::Transactions)
        .since("2.2.0")
        .cost("O(1) for every key")
        .key_flags(&["RO"])
        .doc("Lets the next EXEC run nothing if one of the keys has changed by then."),
    Command::server("UNWATCH", "", unwatch)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy])
        .group(Group::Transactions)
        .since("2.2.0")
        .doc("Watches no key any more."),
];

fn multi(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let pending = &mut context.session.pending;
    if pending.multi.is_some() {
        return Err(NESTED_MULTI);
    }
    pending.multi = Some(Box::default());
    context.session.publish_pending();
    reply.ok();
    Ok(After::Reply)
}

fn discard(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    if context.session.pending.multi.is_none() {
        return Err(DISCARD_WITHOUT_MULTI);
    }
    context.session.drop_pending(context.server);
    reply.ok();
    Ok(After::Reply)
}

fn watch(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let session = &mut *context.session;
    if session.pending.multi.is_some() {
        return Err(WATCH_IN_MULTI);
    }
    let server = context.server;
    let keys: Vec<_> = call.request.iter().skip(1).map(|key| server.store.key(key)).collect();
    let watch = session.pending.watch.get_or_insert_with(Arc::default);
    let (before, more) = (watch.bytes(), keys.iter().map(|key| watch::bytes_of(key.bytes)).sum());
    if !server.makes_client_room(&session.client, more) {
        return Err(WATCH_MEMORY);
    }
    let mut transaction: Transaction<'_> = server.store.begin(session.database, &keys, call.now_ms);
    for key in &keys {
        let is_present = transaction.get(key).is_some();
        server.watches.add(watch, session.database, key.bytes, is_present, server.store.attention());
    }
    transaction.commit();
    server.client_memory.change(&session.client, before, watch.bytes());
    session.publish_pending();
    reply.ok();
    Ok(After::Reply)
}

fn unwatch(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    context.session.unwatch(context.server);
    reply.ok();
    Ok(After::Reply)
}
