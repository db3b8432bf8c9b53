//! Keyspace notifications: which are published, and where.
//!
//! ```text
//!  Server::notify(class, "del", 0, b"key", lsn) ─► __keyspace@0__:key   del
//!                                               └► __keyevent@0__:del   key
//! ```

use bytes::Bytes;
use engine::Lsn;

use super::{Hub, Kind};

/// Classes of events, as bits of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// `K`: publish to `__keyspace@<database>__:<key>`.
    pub const KEYSPACE: Events = Events(1);
    /// `E`: publish to `__keyevent@<database>__:<event>`.
    pub const KEYEVENT: Events = Events(1 << 1);
    /// `g`: commands of any type, such as DEL and RENAME.
    pub const GENERIC: Events = Events(1 << 2);
    /// `$`
    pub const STRING: Events = Events(1 << 3);
    /// `l`
    pub const LIST: Events = Events(1 << 4);
    /// `s`
    pub const SET: Events = Events(1 << 5);
    /// `h`
    pub const HASH: Events = Events(1 << 6);
    /// `z`
    pub const SORTED_SET: Events = Events(1 << 7);
    /// `x`: a key's time has come.
    pub const EXPIRED: Events = Events(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Events = Events(1 << 9);
    /// `t`
    pub const STREAM: Events = Events(1 << 10);
    /// `d`: of modules, of which there are none.
    pub const MODULE: Events = Events(1 << 11);
    /// `n`: a key was created. Not in `A`.
    pub const NEW: Events = Events(1 << 12);
    /// `m`: a key was not found. Not in `A`.
    pub const KEY_MISS: Events = Events(1 << 13);
    /// `A`: `g$lshzxetd`.
    pub const ALL: Events = Events(0b1111_1111_1100);

    /// The letters of a setting; none when one means nothing.
    pub fn parse(letters: &str) -> Option<Events> {
        letters.bytes().try_fold(Events::default(), |events, letter| match letter {
            b'A' => Some(events | Events::ALL),
            letter => LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| events | *bit),
        })
    }

    /// The letters in Redis's order. As in Redis, `n` is not shown beside `A`.
    pub fn letters(self) -> String {
        let all = self.contains(Events::ALL);
        let shown = |(letter, bit): &&(u8, Events)| {
            self.contains(*bit) && !(all && (Events::ALL.contains(*bit) || *letter == b'n'))
        };
        let letters = LETTERS.iter().filter(shown).map(|(letter, _)| char::from(*letter));
        all.then_some('A').into_iter().chain(letters).collect()
    }

    /// As it is kept where it is read often.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Back from [`Events::bits`].
    pub fn from_bits(bits: u32) -> Events {
        Events(bits)
    }

    /// Whether it has all of these.
    #[inline]
    pub fn contains(self, events: Events) -> bool {
        self.0 & events.0 == events.0
    }
}

impl std::ops::BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

/// In the order in which Redis shows them.
const LETTERS: [(u8, Events); 14] = [
    (b'g', Events::GENERIC),
    (b'$', Events::STRING),
    (b'l', Events::LIST),
    (b's', Events::SET),
    (b'h', Events::HASH),
    (b'z', Events::SORTED_SET),
    (b'x', Events::EXPIRED),
    (b'e', Events::EVICTED),
    (b't', Events::STREAM),
    (b'd', Events::MODULE),
    (b'n', Events::NEW),
    (b'K', Events::KEYSPACE),
    (b'E', Events::KEYEVENT),
    (b'm', Events::KEY_MISS),
];

/// Publishes an event to the channels that are turned on: the one of the key first, then that of the event.
#[cold]
pub fn publish(hub: &Hub, turned_on: Events, event: &str, database: u8, key: &[u8], lsn: Lsn) {
    let name = |channel: &str, of: &[u8]| Bytes::from([format!("__{channel}@{database}__:").as_bytes(), of].concat());
    if turned_on.contains(Events::KEYSPACE) {
        hub.publish(Kind::Channel, name("keyspace", key), Bytes::copy_from_slice(event.as_bytes()), lsn);
    }
    if turned_on.contains(Events::KEYEVENT) {
        hub.publish(Kind::Channel, name("keyevent", event.as_bytes()), Bytes::copy_from_slice(key), lsn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_shown_as_redis_shows_them() {
        for (given, shown) in [
            ("", ""),
            ("AKE", "AKE"),
            ("EKg$lshzxetd", "AKE"),
            ("KExnm", "xnKEm"),
            ("En", "nE"),
            ("KEAmn", "AKEm"),
            ("KK", "K"),
        ] {
            assert_eq!(Events::parse(given).map(Events::letters).as_deref(), Some(shown), "{given}");
        }
        assert_eq!(Events::parse("Kq"), None);
    }

    #[test]
    fn an_event_goes_to_two_channels() {
        let hub = Hub::new(1);
        hub.subscribe(Kind::Pattern, Bytes::from_static(b"*"), 0, 1);
        publish(&hub, Events::KEYSPACE | Events::KEYEVENT, "del", 3, b"k", 7);
        let messages = hub.inbox(0).take().into_iter().map(|message| format!("{message:?}"));
        let messages: Vec<String> = messages.collect();
        assert!(messages[0].contains("__keyspace@3__:k") && messages[0].contains("b\"del\""), "{messages:?}");
        assert!(messages[1].contains("__keyevent@3__:del") && messages[1].contains("lsn: 7"), "{messages:?}");
    }
}
