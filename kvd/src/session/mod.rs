//! A connection's own state, as commands see and change it.

pub mod gate;
pub mod multi;
pub mod output;
pub mod registry;
pub mod subscriptions;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::random::Random;
use resp::Version;

use gate::Asker;
use multi::Pending;
use registry::Client;
use subscriptions::Subscriptions;

use crate::acl::{User, Users};
use crate::commands::Command;
use crate::pubsub::Kind;
use crate::server::Server;

/// Subscriptions that are ended while others wait: a fraction of a millisecond.
const ENDED_AT_ONCE: usize = 2000;

/// What a connection is: who, which database, which protocol.
pub struct Session {
    /// What other connections may see of it.
    pub client: Arc<Client>,
    /// Logical database.
    pub database: u8,
    /// Reply format.
    pub version: Version,
    /// Whether AUTH was given or was not needed.
    pub authenticated: bool,
    /// Who it is, and what that user may do.
    pub user: Arc<User>,
    /// The number of the change to users behind which `user` is what it is.
    users_epoch: u64,
    /// What it subscribes to, while there is anything.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// Whether it sees what others ask.
    pub monitors: bool,
    /// What MULTI and WATCH have begun.
    pub pending: Pending,
    /// Whether it is answered.
    pub replies: Replies,
    /// The reply to the request that has just run is not sent.
    pub silenced: bool,
    /// For commands that ask for chance.
    pub random: Random,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// Every request is answered.
    #[default]
    On,
    /// None is.
    Off,
    /// Neither this one nor the next.
    SkipNext,
    /// This one is not.
    Skip,
}

impl Session {
    /// The state of a new connection.
    pub fn new(client: Arc<Client>, users: &Users) -> Session {
        let (authenticated, user) = (users.is_open(), client.user());
        let (user, users_epoch) = users.now(&user);
        let random = Random::new(client.id.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Session {
            client,
            database: 0,
            version: Version::Resp2,
            authenticated,
            user,
            users_epoch,
            subscriptions: None,
            monitors: false,
            replies: Replies::On,
            silenced: false,
            pending: Pending::default(),
            random,
        }
    }

    /// RESET: as it was when the client connected.
    pub fn reset(&mut self, server: &Server) {
        self.fall_silent(server);
        self.drop_pending(server);
        self.database = 0;
        self.version = Version::Resp2;
        self.set_user(server.users.default_user());
        self.authenticated = server.users.is_open();
        self.replies = Replies::On;
        self.client.stays.store(false, Ordering::Relaxed);
        self.client.no_touch.store(false, Ordering::Relaxed);
        self.client.set_name(b"");
        self.publish();
    }

    /// It is this user's from here on.
    pub fn set_user(&mut self, user: Arc<User>) {
        self.client.set_user(&user);
        // Whatever has changed since is seen before the next request.
        self.users_epoch = 0;
        self.user = user;
        self.authenticated = true;
    }

    /// Who asks, between MULTI and EXEC or not.
    #[inline]
    pub fn asker(&self, in_multi: bool) -> Asker<'_> {
        Asker { user: &self.user, client: &self.client, in_multi }
    }

    /// Looks whether its user has changed since the last request.
    #[inline]
    pub fn renew_user(&mut self, users: &Users) {
        if users.epoch() != self.users_epoch {
            self.look_for_user(users);
        }
    }

    #[cold]
    fn look_for_user(&mut self, users: &Users) {
        (self.user, self.users_epoch) = users.now(&self.user);
    }

    /// Forgets what was queued and what was watched.
    pub fn drop_pending(&mut self, server: &Server) {
        self.take_multi(server);
        self.unwatch(server);
        self.publish_pending();
    }

    /// Watches nothing any more.
    pub fn unwatch(&mut self, server: &Server) {
        if let Some(watch) = self.pending.watch.take() {
            server.client_memory.change(&self.client, watch.bytes(), 0);
            server.watches.remove(&watch, server.store.attention());
        }
        self.publish_pending();
    }

    /// What a request for a command leaves to chance; 0 where nothing is.
    #[inline]
    pub fn chance(&mut self, command: &Command) -> u64 {
        if command.random { self.random.next_u64() } else { 0 }
    }

    /// Whether it is sent what it did not ask for.
    #[inline]
    pub fn listens(&self) -> bool {
        self.subscriptions.is_some() || self.monitors
    }

    /// Called when a request has run while not every one is answered. Whether its reply is not sent: those of
    /// subscriptions are messages, which always are.
    pub fn silences(&mut self, is_message: bool) -> bool {
        let silenced = self.replies != Replies::On;
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            replies => replies,
        };
        silenced && !is_message
    }

    /// Whether it may only do what a RESP2 client with subscriptions may.
    #[inline]
    pub fn only_subscribes(&self) -> bool {
        self.version == Version::Resp2 && self.subscriptions.is_some()
    }

    /// Shows this connection what others ask, or no more.
    pub fn set_monitor(&mut self, begins: bool, server: &Server) {
        if self.monitors != begins {
            self.monitors = begins;
            self.client.monitors.store(begins, Ordering::Relaxed);
            server.pubsub.monitor(begins, self.client.worker, self.client.id);
        }
    }

    /// Ends all subscriptions, and monitoring.
    pub fn fall_silent(&mut self, server: &Server) {
        while self.fall_silent_some(server) {}
    }

    /// Ends monitoring and some subscriptions. Whether there are more.
    pub fn fall_silent_some(&mut self, server: &Server) -> bool {
        self.set_monitor(false, server);
        let mut left = ENDED_AT_ONCE;
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            while let Some(name) = self.first_subscription(kind) {
                if left == 0 {
                    return true;
                }
                self.unsubscribe(kind, &name, server);
                left -= 1;
            }
        }
        false
    }

    /// Whether there are so many subscriptions that to end them takes long.
    pub fn has_many_subscriptions(&self) -> bool {
        self.client.subscriptions.iter().any(|count| count.load(Ordering::Relaxed) > ENDED_AT_ONCE)
    }

    /// Lets CLIENT LIST see what MULTI and WATCH have begun.
    pub fn publish_pending(&self) {
        let queued = self.pending.multi.as_ref().map(|multi| multi.entries.len());
        let watched = self.pending.watch.as_ref().map_or(0, |watch| watch.len());
        self.client.publish_pending(queued, watched);
    }

    /// Lets CLIENT LIST see what changed.
    pub fn publish(&self) {
        self.client.publish(self.database, self.version);
    }
}
