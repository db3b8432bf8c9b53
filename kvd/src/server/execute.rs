//! From a batch of requests to replies: look up, gate, lock, run.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use engine::{Key, Lsn, Reference, Transaction};
use resp::{Batch, Request};

use super::Server;
use crate::commands::error::CommandError;
use crate::commands::{self, After, Call, Context, Entry, Handler, Reply, ServerHandler, View};
use crate::session::Session;
use crate::session::gate::{self, Verdict};
use crate::session::output::Output;

/// Requests whose keys are hashed and prefetched together.
const GROUP: usize = 16;
/// A connection with more than this to send runs nothing more until some of it is sent.
pub const OUTPUT_PAUSE: usize = 1 << 20;
/// A connection that has been told this much without having authenticated runs nothing more at all.
const UNAUTHENTICATED_OUTPUT: u64 = 16 << 10;

/// Why a batch was left before its end. The request at the returned position has not run.
#[derive(Debug)]
pub enum Pause {
    /// The disk is behind: try the request again.
    Stalled,
    /// Large arguments go to files of their own first, off this thread; then the request runs with them.
    Blobs,
    /// The value of this key goes to a file of its own first, off this thread; then the request runs.
    Unsettled(Bytes),
    /// There is enough to send for now.
    Output,
    /// More is to be sent than the client may have waiting: it is closed.
    Overflow,
    /// AUTH has just succeeded: what follows is read under wider limits.
    Widened,
    /// The request before has run, and this remains to be done.
    After(After),
}

/// Runs the requests of a batch from `from` on. `None` when all have run, else where it stopped and why.
pub fn run(
    batch: &Batch,
    from: usize,
    blobs: &[(usize, Reference)],
    session: &mut Session,
    server: &Server,
    output: &mut Output,
) -> Option<(usize, Pause)> {
    output.set_bounds(server.output_bounds());
    let now_ms = server.store.now_ms();
    let mut blobs = blobs;
    let now_us = server.clock.monotonic_us();
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
            let run = Run { entry: *entry, hash: *hash, request, blobs, now_ms, now_us };
            let pause = run.run(session, server, output);
            if output.is_out_of_bounds() {
                return Some((at + 1, Pause::Overflow));
            }
            match pause {
                None => at += 1,
                Some(pause @ (Pause::Stalled | Pause::Blobs | Pause::Unsettled(_))) => return Some((at, pause)),
                Some(pause) => return Some((at + 1, pause)),
            }
            blobs = &[];
            let stranger = !session.authenticated && !gate::is_open(server);
            if output.len() > OUTPUT_PAUSE || (stranger && output.position() > UNAUTHENTICATED_OUTPUT) {
                return Some((at, Pause::Output));
            }
        }
    }
    None
}

/// Looks up the commands of a group and brings the memory of their keys towards the processor.
#[inline]
fn prepare(batch: &Batch, from: usize, prepared: &mut [(Option<&'static Entry>, u64)], database: u8, server: &Server) {
    let mut keys: [Key<'_>; GROUP] = [Key { bytes: b"", hash: 0 }; GROUP];
    let mut count = 0;
    for (index, (entry, hash)) in (from..).zip(prepared.iter_mut()) {
        let request = batch.request(index);
        *entry = request.get(0).and_then(commands::lookup);
        let first = entry.map_or(0, |entry| entry.syntax.keys.first);
        if first != 0
            && let Some(bytes) = request.get(first)
        {
            let key = server.store.key(bytes);
            *hash = key.hash;
            keys[count] = key;
            count += 1;
        }
    }
    if count > 1 {
        server.store.prefetch(database, &keys[..count]);
    }
}

/// One request with what was prepared for it.
struct Run<'a> {
    entry: Option<&'static Entry>,
    hash: u64,
    request: Request<'a>,
    blobs: &'a [(usize, Reference)],
    now_ms: u64,
    now_us: u64,
}

impl Run<'_> {
    #[inline]
    fn run(&self, session: &mut Session, server: &Server, output: &mut Output) -> Option<Pause> {
        let Some(mut entry) = self.entry else {
            if is_http(self.request.get(0).unwrap_or_default()) {
                tracing::warn!("Possible SECURITY ATTACK detected: an HTTP request was sent. Connection closed");
                return Some(Pause::After(After::Close));
            }
            return refuse(CommandError::unknown_command(&self.request), server, session, output);
        };
        if !entry.subcommands.is_empty()
            && let Some(name) = self.request.get(1)
        {
            match entry.subcommand(name) {
                Some(sub) => entry = sub,
                None => {
                    let error = CommandError::unknown_subcommand(&entry.full_name, name);
                    return refuse(error, server, session, output);
                }
            }
        }
        let present_bytes = || self.present_bytes(session.database, server);
        let growth = match gate::check(entry, &self.request, session, server, self.now_us, present_bytes) {
            Verdict::Pass(growth) => growth,
            Verdict::Wait => return Some(Pause::Stalled),
            Verdict::Refuse(error) => {
                entry.calls[1].fetch_add(1, Ordering::Relaxed);
                return refuse(error, server, session, output);
            }
        };
        let pause = match entry.command.handler {
            Handler::Read(_) | Handler::Write(_) => self.run_on_keys(entry, growth, session, server, output),
            Handler::Server(handler) => self.run_on_server(entry, handler, session, server, output),
            // Unless the row is wrong the gate has said so.
            Handler::Container => return refuse(CommandError::arity(&entry.full_name), server, session, output),
        };
        // What has not run will come again.
        if !matches!(pause, Some(Pause::Stalled | Pause::Blobs | Pause::Unsettled(_))) {
            entry.calls[0].fetch_add(1, Ordering::Relaxed);
        }
        pause
    }

    #[inline]
    fn run_on_keys(
        &self,
        entry: &'static Entry,
        growth: u64,
        session: &Session,
        server: &Server,
        output: &mut Output,
    ) -> Option<Pause> {
        let store = &*server.store;
        let mut positions = entry.syntax.keys.positions(self.request.len());
        let one: [Key<'_>; 1];
        let many: Vec<Key<'_>>;
        let first = positions.next().and_then(|position| self.request.get(position)).unwrap_or_default();
        let keys: &[Key<'_>] = match positions.next() {
            None => {
                one = [Key { bytes: first, hash: self.hash }];
                &one
            }
            Some(_) => {
                let all = entry.syntax.keys.positions(self.request.len());
                many = all.filter_map(|position| self.request.get(position)).map(|bytes| store.key(bytes)).collect();
                &many
            }
        };
        if entry.command.is_write() && !entry.command.inline && self.blobs.is_empty() {
            let large = store.options().blob_bytes;
            if self.request.iter().skip(2).any(|argument| argument.len() >= large) {
                return Some(Pause::Blobs);
            }
        }
        if entry.command.relogs && store.is_unsettled(session.database, &keys[0]) {
            return Some(Pause::Unsettled(Bytes::copy_from_slice(keys[0].bytes)));
        }
        let call = Call { keys, blobs: self.blobs, ..self.call(entry, server) };
        let start = output.position();
        let mut reply = Reply::new(output, session.version);
        let mut transaction = store.begin(session.database, keys, self.now_ms);
        if let Some(grows) = entry.command.growth
            && grows(&self.request, &mut || length(&mut transaction, &keys[0])) > growth
        {
            // The value has become shorter since the gate looked: there may be no room for it any more.
            transaction.commit();
            return Some(Pause::Stalled);
        }
        let done = match entry.command.handler {
            Handler::Read(handler) => {
                let mut view = View::new(&mut transaction);
                let done = handler(&mut view, &call, &mut reply);
                let (hits, misses) = view.lookups();
                server.stats.count_lookups(session.client.worker, hits, misses);
                done
            }
            Handler::Write(handler) => handler(&mut transaction, &call, &mut reply),
            Handler::Server(_) | Handler::Container => Ok(()),
        };
        let gate = transaction.commit();
        if let Err(error) = done {
            output.rewind(start);
            entry.calls[2].fetch_add(1, Ordering::Relaxed);
            refuse(error, server, session, output);
        }
        output.gate(gate);
        None
    }

    /// The length of the value at the first key. It may be another when the request runs.
    fn present_bytes(&self, database: u8, server: &Server) -> u64 {
        let first = self.entry.map_or(0, |entry| entry.syntax.keys.first);
        let keys = [Key { bytes: self.request.get(first).unwrap_or_default(), hash: self.hash }];
        let mut transaction = server.store.begin(database, &keys, self.now_ms);
        let length = length(&mut transaction, &keys[0]);
        transaction.commit();
        length
    }

    /// The call of a handler that needs no keys.
    #[inline]
    fn call(&self, entry: &'static Entry, server: &Server) -> Call<'_> {
        let max_value_bytes = server.hot.max_bulk_bytes.load(Ordering::Relaxed) as usize;
        Call { entry, request: self.request, keys: &[], blobs: &[], now_ms: self.now_ms, max_value_bytes }
    }

    fn run_on_server(
        &self,
        entry: &'static Entry,
        handler: ServerHandler,
        session: &mut Session,
        server: &Server,
        output: &mut Output,
    ) -> Option<Pause> {
        let call = self.call(entry, server);
        let start = output.position();
        let was_authenticated = session.authenticated;
        let version = session.version;
        let mut reply = Reply::new(output, version);
        let done = handler(&mut Context { session, server }, &call, &mut reply);
        match done {
            Err(error) => {
                output.rewind(start);
                entry.calls[2].fetch_add(1, Ordering::Relaxed);
                refuse(error, server, session, output)
            }
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
            Ok(after) => Some(Pause::After(after)),
        }
    }
}

fn length(transaction: &mut Transaction<'_>, key: &Key<'_>) -> u64 {
    transaction.get(key).map_or(0, |item| item.value().len() as u64)
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
