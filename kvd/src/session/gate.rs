//! The gate every request passes: arity, authentication, loading, memory, room in the log, length of keys, in that order.

use bytes::Bytes;
use engine::format::frame::MAX_KEY;
use engine::value::STRING;
use engine::{Item, Need, Refusal};
use resp::Request;

use crate::acl::log::Denied;
use crate::acl::{Denial, Reason, User};
use crate::commands::client::describe;
use crate::commands::error::{self, CommandError};
use crate::commands::{Entry, Flag};
use crate::config::Permit;
use crate::server::Server;
use crate::session::Session;
use crate::session::registry::Client;

/// What the gate says.
pub enum Verdict {
    /// Run it, unless it turns out to add more than this beyond what it brings.
    Pass(u64),
    /// Answer this.
    Refuse(CommandError),
    /// The disk is behind, or keys have to go first: ask again a little later.
    Wait,
    /// Clients are paused: ask again when they are not.
    Postpone,
}

/// Whether a request may run now, at this monotonic time, when the values at its keys can be looked up and measured.
#[inline]
pub fn check(
    entry: &Entry,
    request: &Request<'_>,
    session: &Session,
    server: &Server,
    now_us: u64,
    is_loading: bool,
    mut measure: impl FnMut(usize, &dyn Fn(Item<'_>) -> u64) -> u64,
) -> Verdict {
    if !entry.syntax.fits(request.len()) {
        return Verdict::Refuse(CommandError::arity(&entry.full_name));
    }
    if !session.authenticated && !entry.gate.no_auth && !is_open(server) {
        return Verdict::Refuse(error::NO_AUTH);
    }
    if let Err(refusal) = session.asker(session.pending.multi.is_some()).check(entry, request, server) {
        return Verdict::Refuse(refusal);
    }
    if is_loading && !entry.gate.loading {
        return Verdict::Refuse(error::LOADING);
    }
    let growth = entry.command.added_bytes(request, &mut measure);
    if entry.gate.deny_oom {
        let write = || (first_key(entry, request), bytes_of(request, usize::MAX));
        match server.store.make_room(growth, write) {
            engine::Room::Enough => {}
            engine::Room::Later => return Verdict::Wait,
            engine::Room::Full => return Verdict::Refuse(error::OOM),
        }
    }
    if session.listens()
        && let Some(error) = refused_while_listening(entry, session)
    {
        return Verdict::Refuse(error);
    }
    if server.pause.is_on() && !session.monitors && server.pause.holds(may_replicate(entry, session), now_us / 1000) {
        return Verdict::Postpone;
    }
    if !entry.command.is_write() {
        return Verdict::Pass(growth);
    }
    let need = if entry.gate.shrinks { Need::Shrink } else { Need::Grow };
    let blob_bytes = server.store.options().blob_bytes;
    // A large string that is logged again lies in a file of its own by then.
    let image = |item: Item<'_>| match item.image_bytes() {
        large if large >= blob_bytes && item.value_type() == STRING => 0,
        bytes => bytes as u64,
    };
    let relogged = if entry.command.relogs { measure(0, &image) } else { 0 };
    let longest = if entry.command.inline { usize::MAX } else { blob_bytes };
    let bytes = || bytes_of(request, longest) + growth + relogged;
    match server.store.log().admit_at(now_us, need, bytes) {
        Ok(()) => {}
        Err(Refusal::Stalled) => return Verdict::Wait,
        Err(refusal) => return Verdict::Refuse(refusal.into()),
    }
    let too_long = |position| request.get(position).is_some_and(|key| key.len() > MAX_KEY);
    if entry.syntax.keys.positions(request).any(too_long) {
        return Verdict::Refuse(error::KEY_TOO_LONG);
    }
    Verdict::Pass(growth)
}

/// Who asks for something.
pub struct Asker<'a> {
    /// Its user, as of now.
    pub user: &'a User,
    /// Its connection.
    pub client: &'a Client,
    /// Between MULTI and EXEC, or when EXEC runs it.
    pub in_multi: bool,
}

impl Asker<'_> {
    /// Whether it may send a request; what is denied is noted. The connection is locked for that.
    #[inline]
    pub fn check(&self, entry: &Entry, request: &Request<'_>, server: &Server) -> Result<(), CommandError> {
        if self.user.is_unrestricted() {
            return Ok(());
        }
        self.user.check(entry, request).map_err(|denial| self.deny(denial, entry, request, server))?;
        self.user.check_reach(entry, request)
    }

    /// Notes that it may not send a request. The error for it.
    #[cold]
    fn deny(&self, denial: Denial, entry: &Entry, request: &Request<'_>, server: &Server) -> CommandError {
        let object = match denial.reason {
            Reason::Command => entry.full_name.as_bytes(),
            _ => request.get(denial.argument).unwrap_or_default(),
        };
        self.note_denied(denial.reason, object, self.user.name(), server);
        CommandError::denied(self.user.name(), entry, denial.reason)
    }

    /// Keeps for ACL LOG what was denied to a user, or to who said to be one.
    pub fn note_denied(&self, reason: Reason, object: &[u8], user: &[u8], server: &Server) {
        server.stats.count_denied(reason);
        let context = if self.in_multi { "multi" } else { "toplevel" };
        let client = describe(self.client, server.monotonic_ms());
        let (object, user) = (Bytes::copy_from_slice(object), Bytes::copy_from_slice(user));
        let denied = Denied { reason, context, object, user, client };
        server.users.log.add(denied, server.clock.wall_ms(), server.settings().acllog_max_len);
    }
}

/// The key that a request is about, or the first of them; nothing when it has none.
pub fn first_key<'r>(entry: &Entry, request: &Request<'r>) -> &'r [u8] {
    let first = entry.syntax.keys.positions(request).next();
    first.and_then(|position| request.get(position)).unwrap_or_default()
}

/// Whether a request waits while writes are paused. EXEC does what was queued.
#[cold]
fn may_replicate(entry: &Entry, session: &Session) -> bool {
    let queued = session.pending.multi.as_ref().filter(|_| entry.command.name == "EXEC");
    entry.may_replicate() || queued.is_some_and(|multi| multi.entries.iter().any(|entry| entry.may_replicate()))
}

/// What a connection may not do that is sent what it did not ask for: its client could not tell replies from that.
#[cold]
fn refused_while_listening(entry: &Entry, session: &Session) -> Option<CommandError> {
    if session.only_subscribes() && !entry.command.has(Flag::InSubscription) {
        return Some(CommandError::subscribed(&entry.full_name));
    }
    (session.monitors && entry.is_about_keys()).then_some(error::MONITORS)
}

/// About how many bytes of log a request can make, when arguments of this length go to files of their own.
#[inline]
pub fn bytes_of(request: &Request<'_>, longest: usize) -> u64 {
    let bytes = |length: usize| if length < longest { length as u64 } else { 0 };
    request.iter().map(|argument| bytes(argument.len()) + PER_ARGUMENT).sum()
}

/// A frame's header and padding, at most.
const PER_ARGUMENT: u64 = 64;

/// Whether a connection may use what `enable-debug-command` protects.
pub fn may_debug(session: &Session, server: &Server) -> bool {
    match server.settings().enable_debug_command {
        Permit::No => false,
        Permit::Yes => true,
        Permit::Local => session.client.is_local(),
    }
}

/// Whether a connection needs no password.
pub fn is_open(server: &Server) -> bool {
    server.users.is_open()
}
