//! From a batch of requests to replies: look up, gate, lock, run.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use engine::cold::Fetched;
use engine::{Item, Key, Lsn, Reference, Transaction, Use};
use resp::{Batch, Request};

use super::apart::Held;
use super::halt::{Pause, Waiting};
use super::looks::{Looks, measure_in};
use super::prepare::prepare;
use super::room::Room;
use super::stopwatch::Stopwatch;
use super::{Server, apart, cold, exec};
use crate::commands::error::{self, CommandError};
use crate::commands::{After, Attempt, Call, Context, Entry, Flag, Handler, Reply, ServerHandler, View};
use crate::pubsub::monitor;
use crate::session::gate::{self, Verdict};
use crate::session::output::Output;
use crate::session::{Replies, Session};

/// Requests whose keys are hashed and prefetched together.
pub(super) const GROUP: usize = 16;
/// A connection with more than this to send runs nothing more until some of it is sent.
pub const OUTPUT_PAUSE: usize = 1 << 20;
/// A connection that has been told this much without having authenticated runs nothing more at all.
const UNAUTHENTICATED_OUTPUT: u64 = 16 << 10;

/// A batch that has run for longer lets the thread's other clients go first. It is seen where the clock is read anyway: behind a
/// request that may take long, and behind a group of others; not at all while nothing is measured ([`super::stopwatch`]).
const TURN_US: u64 = 2000;

/// What was made ready for a batch while it waited.
#[derive(Default)]
pub struct Ready {
    /// Large arguments of the request at which it goes on, in files of their own.
    pub blobs: Vec<(usize, Reference)>,
    /// Values that lie in the log only, read back.
    pub fetched: Vec<Fetched>,
    /// Whether the kernel is asked first for those that it has in memory.
    pub tries_cached: bool,
    /// It runs apart.
    pub is_apart: bool,
}

/// Runs the requests of a batch from `from` on. `None` when all have run, else where it stopped and why.
pub fn run(
    batch: &Batch,
    from: usize,
    ready: &mut Ready,
    session: &mut Session,
    server: &Server,
    output: &mut Output,
) -> Option<(usize, Pause)> {
    let now_us = server.clock.monotonic_us();
    let mut stopwatch = Stopwatch::new(now_us);
    let stopped = run_from(batch, from, ready, session, server, output, now_us, &mut stopwatch);
    stopwatch.finish(batch, &session.client, server);
    stopped
}

#[inline]
#[expect(clippy::too_many_arguments, reason = "the body of `run`, which has one way out")]
fn run_from(
    batch: &Batch,
    from: usize,
    ready: &mut Ready,
    session: &mut Session,
    server: &Server,
    output: &mut Output,
    now_us: u64,
    stopwatch: &mut Stopwatch,
) -> Option<(usize, Pause)> {
    output.set_bounds(server.output_bounds(&session.client));
    // Before anything is hashed: keys of a batch that begins while the store is being opened are hashed for another one.
    let is_loading = server.store.is_loading();
    let now_ms = server.store.now_ms();
    let mut blobs = &ready.blobs[..];
    let fetched = &mut ready.fetched;
    let is_apart = ready.is_apart;
    let mut at = from;
    while at < batch.len() {
        let group = GROUP.min(batch.len() - at);
        let mut prepared: [(Option<&'static Entry>, u64); GROUP] = [(None, 0); GROUP];
        prepare(batch, at, &mut prepared[..group], session.database, server);
        if let Some(entry) = prepared[group - 1].0 {
            session.client.last_command.store(entry.index, Ordering::Relaxed);
        }
        for (entry, hash) in &prepared[..group] {
            let request = batch.request(at);
            let run = |fetched: &[Fetched], session: &mut Session, output: &mut Output, stopwatch: &mut Stopwatch| {
                let hash = *hash;
                let run =
                    Run { entry: *entry, at, hash, request, blobs, fetched, now_ms, now_us, is_loading, is_apart };
                run.run(session, server, output, stopwatch)
            };
            stopwatch.start(*entry, request.len(), batch, &session.client, server);
            let start = output.position();
            let mut pause = run(fetched, session, output, stopwatch);
            while let Some(Pause::Wants(mut wants)) = pause {
                cold::look_ahead(batch, at, session.database, server, &mut wants);
                let left = cold::read_cached(wants, ready.tries_cached, server, fetched);
                if !left.is_empty() {
                    return Some((at, Pause::Cold(left)));
                }
                pause = run(fetched, session, output, stopwatch);
            }
            server.blocked.serve(server);
            session.silenced = session.replies != Replies::On
                && pause.as_ref().is_none_or(Pause::has_run)
                && session.silences(entry.is_some_and(|entry| entry.gate.messages));
            if session.silenced {
                output.rewind(start);
            }
            if output.is_out_of_bounds() {
                return Some((at + 1, Pause::Overflow));
            }
            match pause {
                None => at += 1,
                Some(pause) if !pause.has_run() => return Some((at, pause)),
                Some(pause) => return Some((at + 1, pause)),
            }
            blobs = &[];
            if session.listens() && server.pubsub.inbox(session.client.worker).is_pending() {
                return Some((at, Pause::Messages));
            }
            let stranger = !session.authenticated && !gate::is_open(server);
            if output.len() > OUTPUT_PAUSE || (stranger && output.position() > UNAUTHENTICATED_OUTPUT) {
                return Some((at, Pause::Output));
            }
            if stopwatch.is_past(now_us + TURN_US) {
                return Some((at, Pause::Turn));
            }
        }
        stopwatch.finish(batch, &session.client, server);
    }
    None
}

/// One request with what was prepared for it.
struct Run<'a> {
    entry: Option<&'static Entry>,
    /// Its place in the batch.
    at: usize,
    hash: u64,
    request: Request<'a>,
    blobs: &'a [(usize, Reference)],
    fetched: &'a [Fetched],
    now_ms: u64,
    now_us: u64,
    /// Whether the store was still being opened when the batch began.
    is_loading: bool,
    /// It runs apart: it need not wait for itself.
    is_apart: bool,
}

impl Run<'_> {
    #[inline]
    fn run(
        &self,
        session: &mut Session,
        server: &Server,
        output: &mut Output,
        stopwatch: &mut Stopwatch,
    ) -> Option<Pause> {
        let Some(mut entry) = self.entry else {
            if is_http(self.request.get(0).unwrap_or_default()) {
                tracing::warn!("Possible SECURITY ATTACK detected: an HTTP request was sent. Connection closed");
                return Some(Pause::After(After::Close));
            }
            fail_multi(session);
            return refuse(CommandError::unknown_command(&self.request), server, session, output);
        };
        if !entry.subcommands.is_empty()
            && let Some(name) = self.request.get(1)
        {
            match entry.subcommand(name) {
                Some(sub) => entry = sub,
                None => {
                    let error = CommandError::unknown_subcommand(&entry.full_name, name);
                    fail_multi(session);
                    return refuse(error, server, session, output);
                }
            }
        }
        session.renew_user(&server.users);
        if server.apart.is_busy() && !self.is_apart && server.apart.is_met_by(entry, &self.request, session, server) {
            return Some(Pause::Stalled);
        }
        let mut looks = Looks::new(entry, self.request, session.database, server, self.now_ms, self.fetched);
        let measure = |index, of: &dyn Fn(Item<'_>) -> u64| looks.measure(index, of);
        let growth = match gate::check(entry, &self.request, session, server, self.now_us, self.is_loading, measure) {
            Verdict::Pass(growth) => growth,
            Verdict::Wait => return Some(Pause::Stalled),
            Verdict::Postpone => return Some(Pause::Postponed),
            Verdict::Refuse(error) => {
                entry.calls[1].fetch_add(1, Ordering::Relaxed);
                fail_multi(session);
                return refuse(error, server, session, output);
            }
        };
        if session.pending.multi.is_some() && !entry.command.has(Flag::InMulti) {
            return self.queue(entry, session, server, output);
        }
        let pause = match entry.command.handler {
            Handler::Read(_) | Handler::Write(_) | Handler::Blocking(_) => {
                self.run_on_keys(entry, growth, session, server, output)
            }
            Handler::Server(handler) => self.run_on_server(entry, handler, session, server, output),
            // Unless the row is wrong the gate has said so.
            Handler::Container => return refuse(CommandError::arity(&entry.full_name), server, session, output),
        };
        // What has not run will come again.
        if pause.as_ref().is_none_or(Pause::has_run) {
            entry.calls[0].fetch_add(1, Ordering::Relaxed);
            // Who waits is measured when it is served.
            if !matches!(pause, Some(Pause::Blocked(_))) {
                let sleep_ms = pause.as_ref().map_or(0, Pause::sleep_ms);
                stopwatch.stop(self.at, entry, &self.request, sleep_ms, &session.client, server);
            }
            show(entry, &self.request, session, server);
        }
        pause
    }

    /// Keeps a request for EXEC.
    #[cold]
    fn queue(
        &self,
        entry: &'static Entry,
        session: &mut Session,
        server: &Server,
        output: &mut Output,
    ) -> Option<Pause> {
        let queued = if entry.command.has(Flag::NoMulti) {
            Err(error::NOT_IN_MULTI)
        } else if entry.command.has(Flag::Protected) && !gate::may_debug(session, server) {
            Err(error::DEBUG_FORBIDDEN)
        } else if matches!(entry.command.handler, Handler::Container) {
            Err(CommandError::arity(&entry.full_name))
        } else {
            session.queue(entry, &self.request, server)
        };
        if let Err(error) = queued {
            fail_multi(session);
            entry.calls[1].fetch_add(1, Ordering::Relaxed);
            return refuse(error, server, session, output);
        }
        Reply::new(output, session.version).write().simple("QUEUED");
        None
    }

    #[inline]
    fn run_on_keys(
        &self,
        entry: &'static Entry,
        growth: u64,
        session: &mut Session,
        server: &Server,
        output: &mut Output,
    ) -> Option<Pause> {
        let store = &*server.store;
        if entry.command.is_write() && !entry.command.inline && self.blobs.is_empty() {
            let large = store.options().blob_bytes;
            if self.request.iter().skip(2).any(|argument| argument.len() >= large) {
                return Some(Pause::Blobs);
            }
        }
        let mut positions = entry.syntax.keys.positions(&self.request);
        let one: [Key<'_>; 1];
        let mut many: Vec<Key<'_>>;
        let first = positions.next();
        let keys: &[Key<'_>] = match (first, positions.next()) {
            (Some(first), None) => {
                let bytes = self.request.get(first).unwrap_or_default();
                // What was prepared is for the command; its subcommands have their keys elsewhere.
                let is_prepared = self.entry.is_some_and(|prepared| prepared.syntax.keys.first == first);
                one = [if is_prepared { Key { bytes, hash: self.hash } } else { store.key(bytes) }];
                &one
            }
            (Some(_), Some(_)) if !self.is_apart && apart::has_many_words(entry, &self.request, self.blobs) => {
                // Before its keys are collected, which is done again there.
                return Some(Pause::Apart(Held::All));
            }
            _ => {
                // In one piece, which is not made longer again and again: there may be a million.
                many = Vec::with_capacity(self.request.len());
                many.extend(keys_of(entry, &self.request, server));
                &many
            }
        };
        if entry.command.relogs && store.is_unsettled(session.database, &keys[0]) {
            return Some(Pause::Unsettled(Bytes::copy_from_slice(keys[0].bytes)));
        }
        let chance = session.chance(entry.command);
        // The gate has asked for it.
        let room = entry.command.growth.map(|_| {
            let bytes = gate::bytes_of(&self.request, usize::MAX) + growth;
            let room = Room::new(server, keys.first().map_or(b"", |key| key.bytes), bytes, true);
            let taken = room.begin(entry, bytes, growth);
            debug_assert!(taken.is_ok(), "no more is taken than was asked");
            room
        });
        let call = Call {
            blobs: self.blobs,
            chance,
            room: room.as_ref(),
            ..Call::new(entry, self.request, keys, self.now_ms, server)
        };
        let mut transaction = match entry.command.handler {
            _ if entry.command.widens_for(&self.request) => store.begin_all(session.database, self.now_ms),
            Handler::Blocking(_) => server.blocked.begin_behind(entry, keys, session.database, self.now_ms, server),
            _ => store.begin(session.database, keys, self.now_ms),
        };
        if store.has_cold() {
            transaction.bring(self.fetched);
            if !matches!(entry.command.handler, Handler::Read(_)) {
                let wants = cold::wants(entry, &self.request, keys, &transaction);
                if !wants.is_empty() {
                    transaction.commit();
                    return Some(Pause::Wants(wants));
                }
            }
        }
        let mut present = |index, of: &dyn Fn(Item<'_>) -> u64| measure_in(&mut transaction, keys, index, of);
        if entry.command.added_bytes(&self.request, &mut present) > growth {
            // A value has changed since the gate looked: there may be no room for it any more.
            transaction.commit();
            return Some(Pause::Stalled);
        }
        if self.is_apart {
            transaction.time_hold();
        } else if apart::takes_long(entry, &self.request, self.blobs, growth, &mut transaction, keys) {
            transaction.commit();
            return Some(Pause::Apart(Held::of(keys, entry.command.widens_for(&self.request))));
        }
        let start = output.position();
        engine::cold::take_missed();
        let attempt = run_handler(&call, &mut transaction, session, server, output);
        if engine::cold::take_missed() {
            // It has changed nothing.
            output.rewind(start);
            let wants = transaction.take_wanted();
            transaction.commit();
            return match wants.is_empty() {
                true => refuse(error::UNREADABLE, server, session, output),
                false => Some(Pause::Wants(wants)),
            };
        }
        let waiting = match attempt {
            Ok(Attempt::Wait(wait)) => {
                // Before the locks are let go: a push that comes now must find it.
                let (waiter, ended) = server.blocked.add(entry, &self.request, keys, session, server);
                Some(Pause::Blocked(Box::new(Waiting { waiter, ended, wait })))
            }
            _ => None,
        };
        let gate = transaction.commit();
        if let Err(error) = attempt {
            output.rewind(start);
            if call.room.is_some_and(Room::is_stalled) {
                // It needs more than it seemed to, and has changed nothing.
                return Some(Pause::Stalled);
            }
            entry.calls[2].fetch_add(1, Ordering::Relaxed);
            refuse(error, server, session, output);
        }
        output.gate(gate);
        waiting
    }

    fn run_on_server(
        &self,
        entry: &'static Entry,
        handler: ServerHandler,
        session: &mut Session,
        server: &Server,
        output: &mut Output,
    ) -> Option<Pause> {
        // (What is published before it has confirmed a subscription would come before the confirmation.)
        let is_long = self.request.len() > apart::MANY_WORDS && !entry.command.has(Flag::InSubscription);
        if is_long && !self.is_apart {
            return Some(Pause::Apart(Held::nothing()));
        }
        let call = Call::new(entry, self.request, &[], self.now_ms, server);
        let start = output.position();
        let was_authenticated = session.authenticated;
        let version = session.version;
        let mut reply = Reply::new(output, version);
        let done = handler(&mut Context { session, server, held: None, is_apart: self.is_apart }, &call, &mut reply);
        let fail = |error, session: &Session, output: &mut Output| {
            output.rewind(start);
            entry.calls[2].fetch_add(1, Ordering::Relaxed);
            refuse(error, server, session, output)
        };
        match done {
            Err(error) => fail(error, session, output),
            Ok(After::Exec) => exec::run(session, self.fetched, server, output, self.now_ms)
                .unwrap_or_else(|error| fail(error, session, output)),
            Ok(After::Reply) if session.authenticated && !was_authenticated => Some(Pause::Widened),
            Ok(After::Reply) => None,
            Ok(After::Gate(lsn)) => {
                output.gate(lsn);
                None
            }
            Ok(After::Again) => {
                output.rewind(start);
                Some(Pause::Stalled)
            }
            Ok(After::Apart) => {
                output.rewind(start);
                Some(Pause::Apart(Held::nothing()))
            }
            Ok(after) => Some(Pause::After(after)),
        }
    }
}

/// Runs the handler of a command on keys, which must not be a [`ServerHandler`].
#[inline]
pub(super) fn run_handler(
    call: &Call<'_>,
    transaction: &mut Transaction<'_>,
    session: &Session,
    server: &Server,
    output: &mut Output,
) -> Result<Attempt, CommandError> {
    let mut reply = Reply::new(output, session.version);
    let touches = !session.client.no_touch.load(Ordering::Relaxed) || call.entry.command.name == "TOUCH";
    let used = if call.entry.command.is_write() { Use::Write } else { Use::Read };
    transaction.set_uses((call.entry.gate.uses && touches).then_some(used));
    match call.entry.command.handler {
        Handler::Read(handler) => {
            let mut view = View::new(transaction);
            let done = handler(&mut view, call, &mut reply);
            let (hits, misses) = view.lookups();
            server.stats.count_lookups(session.client.worker, hits, misses);
            done.map(|()| Attempt::Done)
        }
        Handler::Write(handler) => handler(transaction, call, &mut reply).map(|()| Attempt::Done),
        Handler::Blocking(handler) => handler(transaction, call, &mut reply),
        Handler::Server(_) | Handler::Container => Ok(Attempt::Done),
    }
}

/// The keys of a request.
pub(super) fn keys_of<'r>(entry: &Entry, request: &Request<'r>, server: &Server) -> impl Iterator<Item = Key<'r>> {
    let positions = entry.syntax.keys.positions(request);
    positions.filter_map(|position| request.get(position)).map(|bytes| server.store.key(bytes))
}

/// Lets MONITOR show a request that has run.
#[inline]
pub(super) fn show(entry: &Entry, request: &Request<'_>, session: &Session, server: &Server) {
    if server.pubsub.is_monitored() {
        let now_us = server.clock.wall_us();
        monitor::show(&server.pubsub, entry, request, &session.client, session.database, now_us);
    }
}

/// What could not be queued lets EXEC run nothing.
fn fail_multi(session: &mut Session) {
    if let Some(multi) = &mut session.pending.multi {
        multi.failed = true;
    }
}

/// Whether a request is a line of HTTP that a browser was tricked into sending.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Writes an error reply.
#[cold]
pub fn refuse(error: CommandError, server: &Server, session: &Session, output: &mut Output) -> Option<Pause> {
    server.stats.count_error(&error.0);
    Reply::new(output, session.version).write().error(error.0.as_bytes());
    None
}

/// The position that a reply about the whole store waits for: what it may reveal and is not safe yet; 0 for nothing.
pub fn whole_store_gate(server: &Server) -> Lsn {
    let appended = server.store.log().appended();
    if appended > server.store.log().acknowledged() { appended } else { 0 }
}
