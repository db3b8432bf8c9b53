//! What the store tells: changed keys go to those who watch them and those who wait for them, events to subscribers.

use std::sync::Weak;

use engine::listener::{Class, Event, Listener, Presence};

use super::Server;
use crate::pubsub::notify::Events;

/// Hears what transactions do.
pub struct Ears(pub Weak<Server>);

impl Listener for Ears {
    fn changed(&self, database: u8, key: &[u8], present: bool) {
        let Some(server) = self.0.upgrade() else { return };
        server.watches.touch(database, key, present);
        if present {
            server.blocked.note(database, key);
        }
    }

    fn event(&self, event: &Event<'_>) {
        let Some(server) = self.0.upgrade() else { return };
        let class = match event.class {
            Class::Generic => Events::GENERIC,
            Class::String => Events::STRING,
            Class::List => Events::LIST,
            Class::Set => Events::SET,
            Class::Hash => Events::HASH,
            Class::SortedSet => Events::SORTED_SET,
            Class::Expired => Events::EXPIRED,
            Class::Evicted => Events::EVICTED,
            Class::KeyMiss => Events::KEY_MISS,
            Class::New => Events::NEW,
        };
        server.notify(class, event.name, event.database, event.key, event.lsn);
    }

    fn replaced(&self, database: u8, presence: &mut dyn FnMut(&[u8]) -> Presence) {
        let Some(server) = self.0.upgrade() else { return };
        server.watches.touch_all(database, presence);
        server.blocked.note_all(database);
    }
}
