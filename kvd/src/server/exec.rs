//! EXEC: what was queued, in one transaction.
//!
//! All keys that the requests name, and those that are watched, are locked before the first runs; all shards when one of
//! them is about the whole keyspace. Room in the log is asked for all of them together: from then on nothing can stop them
//! halfway.

use std::sync::atomic::Ordering;

use engine::{Item, Key, Lsn, Need, Refusal, Transaction};
use resp::Batch;

use super::Server;
use super::execute::{Pause, keys_of, measure, refuse, run_handler, show};
use super::stopwatch::Stopwatch;
use crate::commands::error::{self, CommandError};
use crate::commands::{After, Attempt, Call, Context, Entry, Handler, Reply};
use crate::session::Session;
use crate::session::gate;
use crate::session::multi::Multi;
use crate::session::output::Output;

/// Runs what a connection has queued. When it runs nothing, with the reason; no reply has been written then.
#[cold]
pub fn run(
    session: &mut Session,
    server: &Server,
    output: &mut Output,
    now_ms: u64,
) -> Result<Option<Pause>, CommandError> {
    let Some(mut multi) = session.take_multi(server) else { return Err(error::EXEC_WITHOUT_MULTI) };
    if multi.failed {
        session.unwatch(server);
        return Err(error::EXEC_ABORTED);
    }
    let batch = multi.batch.take().unwrap_or_else(|| std::mem::take(&mut multi.queue).into_batch());
    if multi.entries.iter().any(|entry| entry.gate.deny_oom) && server.is_out_of_memory(0) {
        session.unwatch(server);
        return Err(CommandError::exec_aborted(&error::OOM));
    }
    match admit(&batch, &multi.entries, session.database, server) {
        Ok(()) => {}
        Err(Refusal::Stalled) => {
            multi.batch = Some(batch);
            session.put_multi(multi, server);
            return Ok(Some(Pause::Stalled));
        }
        Err(refusal) => {
            session.unwatch(server);
            return Err(CommandError::exec_aborted(&refusal.into()));
        }
    }
    let pause = run_admitted(&batch, &multi, session, server, output, now_ms);
    session.unwatch(server);
    Ok(pause)
}

/// Asks for room in the log for all of them, as far as can be told from the database they begin in.
fn admit(batch: &Batch, entries: &[&'static Entry], database: u8, server: &Server) -> Result<(), Refusal> {
    let mut need = Need::Shrink;
    let mut bytes = 0;
    for (request, entry) in batch.iter().zip(entries) {
        if entry.may_replicate() {
            let now_ms = server.store.now_ms();
            let mut measure =
                |index, of: &dyn Fn(Item<'_>) -> u64| measure(entry, &request, index, of, database, server, now_ms);
            bytes += gate::bytes_of(&request, usize::MAX);
            bytes += entry.command.added_bytes(&request, &mut measure);
            if entry.command.relogs {
                bytes += measure(0, &|item| item.image_bytes() as u64);
            }
            if !entry.gate.shrinks {
                need = Need::Grow;
            }
        }
    }
    if bytes == 0 { Ok(()) } else { server.store.admit(need, bytes) }
}

fn run_admitted(
    batch: &Batch,
    multi: &Multi,
    session: &mut Session,
    server: &Server,
    output: &mut Output,
    now_ms: u64,
) -> Option<Pause> {
    let watched = session.pending.watch.as_ref().map(|watch| watch.keys()).unwrap_or_default();
    let mut keys: Vec<Key<'_>> = watched.iter().map(|of| server.store.key(&of.place.1)).collect();
    let mut needs_all = false;
    for (request, entry) in batch.iter().zip(&multi.entries) {
        needs_all |= match entry.command.handler {
            Handler::Server(_) => entry.is_about_keys(),
            _ => entry.command.widens.is_some_and(|widens| widens(&request)),
        };
        keys.extend(keys_of(entry, &request, server));
    }
    let database = session.database;
    let mut transaction = match needs_all {
        true => server.store.begin_all(database, now_ms),
        false => server.store.begin(database, &keys, now_ms),
    };
    // What has expired since counts as changed, whether it can be removed now or not.
    let mut is_dirty = session.pending.watch.as_ref().is_some_and(|watch| watch.is_dirty());
    for (of, key) in watched.iter().zip(&keys) {
        transaction.select(of.place.0);
        let has_expired = transaction.bury_if_due(key);
        let is_present = transaction.get(key).is_some();
        is_dirty |= of.was_present && (has_expired || !is_present);
    }
    transaction.select(database);
    if is_dirty {
        Reply::new(output, session.version).write().null_array();
        output.gate(transaction.commit());
        return None;
    }
    Reply::new(output, session.version).write().array(batch.len());
    let mut last = Last::default();
    let mut stopwatch = Stopwatch::new(server.clock.monotonic_us());
    for (at, (request, entry)) in batch.iter().zip(&multi.entries).enumerate() {
        stopwatch.start(Some(entry), request.len(), batch, &session.client, server);
        let keys: Vec<Key<'_>> = keys_of(entry, &request, server).collect();
        let chance = session.chance(entry.command);
        let call = Call { chance, ..Call::new(entry, request, &keys, now_ms, server) };
        let start = output.position();
        let done = run_one(&call, &mut transaction, session, server, output, &mut last);
        let sleep_ms = done.unwrap_or_else(|error| {
            output.rewind(start);
            entry.calls[2].fetch_add(1, Ordering::Relaxed);
            refuse(error, server, session, output);
            0
        });
        entry.calls[0].fetch_add(1, Ordering::Relaxed);
        stopwatch.stop(at, entry, &request, sleep_ms, &session.client, server);
        show(entry, &request, session, server);
    }
    stopwatch.finish(batch, &session.client, server);
    output.gate(transaction.commit().max(last.gate));
    last.after.map(Pause::After)
}

/// What is left to be done when all have run.
#[derive(Default)]
struct Last {
    gate: Lsn,
    after: Option<After>,
}

/// Runs one request. How many milliseconds its client sleeps when all have run.
fn run_one<'s>(
    call: &Call<'_>,
    transaction: &mut Transaction<'s>,
    session: &mut Session,
    server: &'s Server,
    output: &mut Output,
    last: &mut Last,
) -> Result<u64, CommandError> {
    transaction.set_uses(false);
    let Handler::Server(handler) = call.entry.command.handler else {
        if let Attempt::Wait(wait) = run_handler(call, transaction, session, server, output)? {
            // Nobody waits within a transaction.
            let mut reply = Reply::new(output, session.version);
            if wait.null_array { reply.write().null_array() } else { reply.null() }
        }
        return Ok(0);
    };
    let mut reply = Reply::new(output, session.version);
    let after = handler(&mut Context { session, server, held: Some(transaction) }, call, &mut reply)?;
    transaction.select(session.database);
    match after {
        After::Reply | After::Exec | After::Again | After::Slices(_) | After::Elsewhere(_) => {}
        After::Gate(lsn) => last.gate = last.gate.max(lsn),
        After::WaitDurable { lsn, .. } => {
            let durable = server.store.log().durable() >= lsn;
            reply.write().array(2);
            reply.integer(i64::from(durable));
            reply.integer(0);
        }
        After::WaitReplicas { .. } => reply.integer(0),
        After::Sleep(ms) => {
            last.after = Some(After::Sleep(ms));
            return Ok(ms);
        }
        after @ (After::Durable(_) | After::Close | After::Shutdown) => last.after = Some(after),
    }
    Ok(0)
}
