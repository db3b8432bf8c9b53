//! EXEC: what was queued, in one transaction.
//!
//! All keys that the requests name, and those that are watched, are locked before the first runs; all shards when one of
//! them is about the whole keyspace. Room in the log is asked for all of them together. A request that needs more, because
//! of what those before it have made, is refused alone when there is none; nothing else can stop them halfway.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use engine::cold::{Fetched, Want};
use engine::mutant::planted;
use engine::{DATABASES, Item, Key, Lsn, Need, Refusal, Transaction};
use resp::{Batch, Request, exact_integer};

use super::Server;
use super::execute::{keys_of, refuse, run_handler, show};
use super::halt::Pause;
use super::looks::{Looks, measure_in};
use super::room::Room;
use super::stopwatch::Stopwatch;
use crate::commands::error::{self, CommandError};
use crate::commands::{After, Attempt, Call, Context, Entry, Flag, Handler, Measure, Reply};
use crate::session::Session;
use crate::session::gate;
use crate::session::multi::Multi;
use crate::session::output::Output;

/// Runs what a connection has queued. When it runs nothing, with the reason; no reply has been written then.
#[cold]
pub fn run(
    session: &mut Session,
    fetched: &[Fetched],
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
    let room = match multi.entries.iter().any(|entry| entry.gate.deny_oom) {
        true => {
            let bytes = || batch.iter().map(|request| gate::bytes_of(&request, usize::MAX)).sum();
            let mut grows = batch.iter().zip(&multi.entries).filter(|(_, entry)| entry.gate.deny_oom);
            let mut key = || grows.next().map_or(&b""[..], |(request, entry)| gate::first_key(entry, &request));
            server.store.make_room(0, || (key(), bytes()))
        }
        false => engine::Room::Enough,
    };
    if room == engine::Room::Full {
        session.unwatch(server);
        return Err(CommandError::exec_aborted(&error::OOM));
    }
    // What is published within cannot wait for room in an inbox.
    let congested = server.pubsub.is_congested() && multi.entries.iter().any(|entry| publishes(entry));
    let admitted = match congested || room == engine::Room::Later {
        true => Err(Refusal::Stalled),
        false => admit(&batch, &multi.entries, session.database, fetched, server),
    };
    let asked = match admitted {
        Ok(asked) => asked,
        Err(Refusal::Stalled) => {
            multi.batch = Some(batch);
            session.put_multi(multi, server);
            return Ok(Some(Pause::Stalled));
        }
        Err(refusal) => {
            session.unwatch(server);
            return Err(CommandError::exec_aborted(&refusal.into()));
        }
    };
    let pause = run_admitted(&batch, &multi, asked, session, fetched, server, output, now_ms);
    if matches!(pause, Some(Pause::Wants(_))) {
        multi.batch = Some(batch);
        session.put_multi(multi, server);
        return Ok(pause);
    }
    session.unwatch(server);
    Ok(pause)
}

fn publishes(entry: &Entry) -> bool {
    entry.command.has(Flag::PubSub) && entry.command.has(Flag::MayReplicate)
}

/// Asks for room in the log for all of them, as far as can be told before the first runs. How many bytes.
fn admit(
    batch: &Batch,
    entries: &[&'static Entry],
    database: u8,
    fetched: &[Fetched],
    server: &Server,
) -> Result<u64, Refusal> {
    let (mut need, mut database) = (Need::Shrink, database);
    let mut bytes = 0_u64;
    let mut made = entries.iter().any(|entry| depends_on_values(entry)).then(Made::new);
    for (request, entry) in batch.iter().zip(entries) {
        database = selected_by(entry, &request).unwrap_or(database);
        if !entry.may_replicate() {
            continue;
        }
        let mut looks = Looks::new(entry, request, database, server, server.store.now_ms(), fetched);
        let mut measure = |index, of: &dyn Fn(Item<'_>) -> u64| looks.measure(index, of);
        let keys: Vec<(u8, &[u8])> = match made {
            Some(_) => keys_of(entry, &request, server).map(|key| (database, key.bytes)).collect(),
            None => Vec::new(),
        };
        let before = |index: usize| made.as_ref().zip(keys.get(index)).and_then(|(made, key)| made.get(key).copied());
        let (more, _) = logged_bytes(entry, &request, &mut measure, &|index| before(index).unwrap_or(0));
        bytes = bytes.saturating_add(more);
        if let Some(made) = &mut made {
            note_made(made, entry, &keys, more);
        }
        if !entry.gate.shrinks {
            need = Need::Grow;
        }
    }
    if bytes != 0 {
        server.store.admit(need, bytes)?;
    }
    Ok(bytes)
}

/// The database that a request selects; a number that is none selects nothing.
fn selected_by(entry: &Entry, request: &Request<'_>) -> Option<u8> {
    if entry.command.name != "SELECT" {
        return None;
    }
    let selected = request.get(1).and_then(exact_integer).and_then(|number| u8::try_from(number).ok());
    selected.filter(|number| usize::from(*number) < DATABASES)
}

/// The values that the requests need and that lie in the log only.
#[cold]
fn wants(batch: &Batch, multi: &Multi, transaction: &mut Transaction<'_>, server: &Server) -> Vec<Want> {
    let database = transaction.database();
    let mut wants = Vec::new();
    for (request, entry) in batch.iter().zip(&multi.entries) {
        if let Some(selected) = selected_by(entry, &request) {
            transaction.select(selected);
        }
        for (index, key) in keys_of(entry, &request, server).enumerate() {
            if !entry.command.is_write() || entry.command.needs_value(&request, index) {
                transaction.wants(&key, &mut wants);
            }
        }
    }
    transaction.select(database);
    wants
}

/// By how many bytes the requests so far may have made values longer, by database and key.
type Made<'b> = HashMap<(u8, &'b [u8]), u64>;

/// Whether what it logs depends on the values at its keys.
fn depends_on_values(entry: &Entry) -> bool {
    entry.command.growth.is_some() || entry.command.relogs
}

/// Notes what a request may have added to the keys that it changes.
fn note_made<'b>(made: &mut Made<'b>, entry: &Entry, keys: &[(u8, &'b [u8])], bytes: u64) {
    let flags = entry.command.key_flags;
    for (index, key) in keys.iter().enumerate() {
        let of_key = flags.get(index).or(flags.last()).copied().unwrap_or("RW");
        if of_key.starts_with("OW") {
            made.insert(*key, bytes);
        } else if !of_key.starts_with("RO") {
            let so_far = made.entry(*key).or_default();
            *so_far = so_far.saturating_add(bytes);
        }
    }
}

/// About how many bytes of log a request makes, and how many of these it does not bring, when values were made longer before.
fn logged_bytes(entry: &Entry, request: &Request<'_>, measure: Measure<'_>, made: &dyn Fn(usize) -> u64) -> (u64, u64) {
    let growth = entry.command.added_bytes_after(request, measure, made);
    let relogged = match entry.command.relogs {
        true => measure(0, &|item| item.image_bytes() as u64).saturating_add(made(0)),
        false => 0,
    };
    (gate::bytes_of(request, usize::MAX).saturating_add(growth).saturating_add(relogged), growth)
}

#[expect(clippy::too_many_arguments, reason = "the body of `run`, when there is room")]
fn run_admitted(
    batch: &Batch,
    multi: &Multi,
    asked: u64,
    session: &mut Session,
    fetched: &[Fetched],
    server: &Server,
    output: &mut Output,
    now_ms: u64,
) -> Option<Pause> {
    let watched = session.pending.watch.as_ref().map(|watch| watch.keys()).unwrap_or_default();
    let mut keys: Vec<Key<'_>> = watched.iter().map(|((_, key), _)| server.store.key(key)).collect();
    let mut needs_all = false;
    for (request, entry) in batch.iter().zip(&multi.entries) {
        needs_all |= match entry.command.handler {
            Handler::Server(_) => entry.needs_all_locks(),
            _ => entry.command.widens_for(&request),
        };
        keys.extend(keys_of(entry, &request, server));
    }
    let database = session.database;
    let is_touched = || session.pending.watch.as_ref().is_some_and(|watch| watch.is_dirty());
    let was_touched = planted("watch_seen_early").then(is_touched);
    let mut transaction = match needs_all {
        true => server.store.begin_all(database, now_ms),
        false => server.store.begin(database, &keys, now_ms),
    };
    if server.store.has_cold() {
        transaction.bring(fetched);
        let wants = wants(batch, multi, &mut transaction, server);
        if !wants.is_empty() {
            return Some(Pause::Wants(wants));
        }
        // What a request finds only when it runs cannot be waited for any more.
        transaction.read_at_once();
    }
    // What has expired since counts as changed, whether it can be removed now or not.
    let mut is_dirty = was_touched.unwrap_or_else(is_touched);
    for (((database, _), was_present), key) in watched.iter().zip(&keys) {
        transaction.select(*database);
        let has_expired = transaction.bury_if_due(key);
        let is_present = transaction.get(key).is_some();
        is_dirty |= *was_present && (has_expired || !is_present);
    }
    transaction.select(database);
    let locked = keys;
    if is_dirty {
        Reply::new(output, session.version).write().null_array();
        output.gate(transaction.commit());
        return None;
    }
    Reply::new(output, session.version).write().array(batch.len());
    let mut last = Last::default();
    let room = Room::new(server, b"", asked, false);
    let mut stopwatch = Stopwatch::new(server.clock.monotonic_us());
    for (at, (request, entry)) in batch.iter().zip(&multi.entries).enumerate() {
        stopwatch.start(Some(entry), request.len(), batch, &session.client, server);
        let keys: Vec<Key<'_>> = keys_of(entry, &request, server).collect();
        let chance = session.chance(entry.command);
        let call = Call { chance, room: Some(&room), ..Call::new(entry, request, &keys, now_ms, server) };
        let start = output.position();
        // One of those before may have changed what its user may do.
        session.renew_user(&server.users);
        let allowed = session.asker(true).check(entry, &request, server);
        let room_taken = allowed
            .map_err(|denied| CommandError::rules_changed(&denied))
            .and_then(|()| take_room(&call, &room, &mut transaction));
        // Whoever measured before it ran may have missed a value, and that changes nothing.
        engine::cold::take_missed();
        let done = room_taken
            .and_then(|()| run_one(&call, &mut transaction, session, server, output, &mut last))
            .and_then(|sleep_ms| if engine::cold::take_missed() { Err(error::UNREADABLE) } else { Ok(sleep_ms) });
        let sleep_ms = done.unwrap_or_else(|error| {
            output.rewind(start);
            entry.calls[2].fetch_add(1, Ordering::Relaxed);
            refuse(error, server, session, output);
            0
        });
        if planted("exec_lets_go") {
            output.gate(transaction.commit());
            transaction = server.store.begin(database, &locked, now_ms);
        }
        entry.calls[0].fetch_add(1, Ordering::Relaxed);
        stopwatch.stop(at, entry, &request, sleep_ms, &session.client, server);
        show(entry, &request, session, server);
    }
    stopwatch.finish(batch, &session.client, server);
    output.gate(transaction.commit().max(last.gate));
    last.after.map(Pause::After)
}

/// Takes room for a request, as those before it have left its keys: they may be longer than before EXEC.
fn take_room(call: &Call<'_>, room: &Room<'_>, transaction: &mut Transaction<'_>) -> Result<(), CommandError> {
    if !call.entry.may_replicate() {
        return Ok(());
    }
    // To measure a value is no use of it.
    transaction.set_uses(None);
    let mut measure = |index, of: &dyn Fn(Item<'_>) -> u64| measure_in(transaction, call.keys, index, of);
    let (bytes, growth) = logged_bytes(call.entry, &call.request, &mut measure, &|_| 0);
    Ok(room.begin(call.entry, bytes, growth)?)
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
    transaction.set_uses(None);
    let Handler::Server(handler) = call.entry.command.handler else {
        if let Attempt::Wait(wait) = run_handler(call, transaction, session, server, output)? {
            // Nobody waits within a transaction.
            let mut reply = Reply::new(output, session.version);
            if wait.null_array { reply.write().null_array() } else { reply.null() }
        }
        return Ok(0);
    };
    let mut reply = Reply::new(output, session.version);
    let after = handler(&mut Context { session, server, held: Some(transaction), is_apart: false }, call, &mut reply)?;
    transaction.select(session.database);
    match after {
        After::Reply => {}
        // They would come again, or answer later, where the locks are held: each handler sees to it that it does not.
        After::Exec | After::Again | After::Apart | After::Slices(_) | After::Elsewhere(_) => {
            return Err(error::NOT_IN_MULTI);
        }
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
