//! What one connection subscribes to.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Session;
use crate::pubsub::Kind;
use crate::server::Server;

/// The names a connection subscribes to, by kind. A connection without any has none of this.
#[derive(Default)]
pub struct Subscriptions {
    names: [BTreeSet<Bytes>; 3],
    /// What they take, as counted against what all connections may hold.
    bytes: usize,
}

/// What a name takes beside its bytes: its places here and in the table.
const PER_NAME: usize = 256;

impl Session {
    /// Subscribes to a name. Whether there was memory for it.
    pub fn subscribe(&mut self, kind: Kind, name: &[u8], server: &Server) -> bool {
        let subscriptions = self.subscriptions.get_or_insert_default();
        if subscriptions.names[kind as usize].contains(name) {
            return true;
        }
        let more = name.len() + PER_NAME;
        let refused = !server.makes_client_room(&self.client, more);
        if !refused {
            let name = Bytes::copy_from_slice(name);
            subscriptions.names[kind as usize].insert(name.clone());
            server.pubsub.subscribe(kind, name, self.client.worker, self.client.id);
        }
        let more = if refused { 0 } else { more as isize };
        self.count_subscriptions(kind, more, server);
        !refused
    }

    /// Ends a subscription, if there is one.
    pub fn unsubscribe(&mut self, kind: Kind, name: &[u8], server: &Server) {
        let names = self.subscriptions.as_mut().map(|subscriptions| &mut subscriptions.names[kind as usize]);
        if let Some(name) = names.and_then(|names| names.take(name)) {
            server.pubsub.unsubscribe(kind, &name, self.client.worker, self.client.id);
            self.count_subscriptions(kind, -((name.len() + PER_NAME) as isize), server);
        }
    }

    /// The first of the names that it subscribes to.
    pub fn first_subscription(&self, kind: Kind) -> Option<Bytes> {
        self.subscriptions.as_ref()?.names[kind as usize].first().cloned()
    }

    /// The number that confirms a subscription: shard channels are counted for themselves.
    pub fn subscription_count(&self, kind: Kind) -> usize {
        let count = |kind: Kind| self.client.subscriptions[kind as usize].load(Ordering::Relaxed);
        match kind {
            Kind::Shard => count(Kind::Shard),
            Kind::Channel | Kind::Pattern => count(Kind::Channel) + count(Kind::Pattern),
        }
    }

    /// Lets others see what changed, and lets go of what is empty.
    fn count_subscriptions(&mut self, kind: Kind, more: isize, server: &Server) {
        let Some(subscriptions) = &mut self.subscriptions else { return };
        let before = subscriptions.bytes;
        subscriptions.bytes = before.saturating_add_signed(more);
        server.client_memory.change(&self.client, before, subscriptions.bytes);
        let count = subscriptions.names[kind as usize].len();
        self.client.subscriptions[kind as usize].store(count, Ordering::Relaxed);
        if subscriptions.names.iter().all(BTreeSet::is_empty) {
            self.subscriptions = None;
        }
    }
}
