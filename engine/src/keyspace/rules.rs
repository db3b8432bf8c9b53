//! What a shard has to know of eviction: how uses of its entries are kept, and with whom they are counted.
//!
//! Every shard holds the rules that its entries follow now, and changes entries and rules together under its lock. So the
//! two bytes of an entry never have to be guessed at, and the figures of namespaces are exact as soon as all shards follow
//! the same rules.

use super::access::{self, Kind, Scale, Use};
use super::entry::Entry;
use super::namespace::{DEFAULT, Namespace, Namespaces};
use super::policy::Policy;
use crate::random::Random;

/// Rules of eviction, as they are set.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictionRules {
    /// What goes first where nothing else is said.
    pub policy: Policy,
    /// How uses are counted.
    pub scale: Scale,
    /// What ends the name of a namespace; empty when there are none.
    pub separator: Vec<u8>,
    /// Namespaces that are tracked at most.
    pub max_namespaces: usize,
    /// What goes first in some namespaces.
    pub policies: Vec<(Vec<u8>, Policy)>,
}

impl Default for EvictionRules {
    fn default() -> EvictionRules {
        let (policy, scale) = (Policy::default(), Scale::default());
        EvictionRules { policy, scale, separator: Vec::new(), max_namespaces: 1024, policies: Vec::new() }
    }
}

impl EvictionRules {
    /// What goes first of the keys without a namespace of their own.
    fn default_policy(&self) -> Policy {
        let own = self.policies.iter().rev().find(|(name, _)| name == DEFAULT);
        own.map_or(self.policy, |(_, policy)| *policy)
    }
}

/// Rules of eviction, in force.
#[derive(Default)]
pub struct Rules {
    /// As they were set.
    pub set: EvictionRules,
    default_policy: Policy,
    /// Not all keys follow the same policy.
    varies: bool,
    namespaces: Option<Namespaces>,
}

/// Keys that are evicted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// All there are.
    #[default]
    All,
    /// Those without a namespace of their own.
    Default,
    /// Those of a namespace, by its place.
    Namespace(usize),
}

/// What is known of the uses of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It was last used so many seconds ago, as far as that is kept.
    Idle(u64),
    /// It is used so often, on Redis's scale.
    Frequency(u8),
    /// Only whether it was read is kept.
    Read(bool),
}

impl Rules {
    /// Rules that nobody follows yet.
    pub fn new(set: EvictionRules) -> Rules {
        let named = !set.separator.is_empty();
        let policies: Vec<_> = set.policies.iter().filter(|(name, _)| name != DEFAULT).cloned().collect();
        let default_policy = if named { set.default_policy() } else { set.policy };
        let varies = named && (default_policy != set.policy || !policies.is_empty());
        let namespaces = named.then(|| Namespaces::new(&set.separator, set.max_namespaces, set.policy, &policies));
        Rules { set, default_policy, varies, namespaces }
    }

    /// The namespaces, if there are to be any.
    pub fn namespaces(&self) -> Option<&Namespaces> {
        self.namespaces.as_ref()
    }

    /// The namespace that a key is counted in. `None` for `default`.
    #[inline]
    pub fn namespace_of(&self, key: &[u8]) -> Option<&Namespace> {
        self.namespaces.as_ref()?.of(key)
    }

    /// What goes first of the keys that are evicted together with this one.
    #[inline]
    pub fn policy_of(&self, key: &[u8]) -> Policy {
        match self.varies {
            false => self.default_policy,
            true => self.namespace_of(key).map_or(self.default_policy, Namespace::policy),
        }
    }

    /// With whom a key is evicted.
    #[inline]
    pub fn group_of(&self, key: &[u8]) -> Group {
        match &self.namespaces {
            Some(namespaces) if !namespaces.is_empty() => {
                namespaces.place_of(key).map_or(Group::Default, Group::Namespace)
            }
            _ => Group::All,
        }
    }

    /// The same for a key that is about to come.
    pub fn group_of_new(&self, key: &[u8]) -> Group {
        self.namespaces.as_ref().and_then(|namespaces| namespaces.of_new(key));
        self.group_of(key)
    }

    /// What goes first in a group.
    pub fn policy_of_group(&self, group: Group) -> Policy {
        match group {
            Group::All | Group::Default => self.default_policy,
            Group::Namespace(place) => self.at(place).map_or(self.default_policy, Namespace::policy),
        }
    }

    /// Goes on from what namespaces of other rules have counted of evictions.
    pub fn take_over_evicted(&self, before: &Rules) {
        let (Some(namespaces), Some(before)) = (&self.namespaces, &before.namespaces) else { return };
        for (_, old) in before.all() {
            let same = namespaces.all().find(|(_, namespace)| namespace.name() == old.name());
            if let Some((_, namespace)) = same {
                namespace.add_evicted(old.evicted());
            }
        }
    }

    /// The namespace at a place.
    pub fn at(&self, place: usize) -> Option<&Namespace> {
        self.namespaces.as_ref()?.at(place)
    }

    /// Whether some keys may go by a policy that `is` true of.
    pub fn any_policy(&self, is: impl Fn(Policy) -> bool) -> bool {
        is(self.default_policy) || is(self.set.policy) || self.set.policies.iter().any(|(_, policy)| is(*policy))
    }

    /// What a new key begins with.
    #[inline]
    pub fn first(&self, key: &[u8], now_ms: u64) -> u16 {
        if self.varies
            && let Some(namespaces) = &self.namespaces
        {
            // Its name may be tracked from here on.
            namespaces.of_new(key);
        }
        match self.policy_of(key).kind() {
            Kind::Time => access::at(now_ms),
            Kind::Count => self.set.scale.with(Scale::FIRST, now_ms),
            Kind::Read => access::UNREAD,
        }
    }

    /// What is kept after a use.
    #[inline]
    pub fn used(&self, entry: &Entry, used: Use, now_ms: u64, chance: &mut Random) -> u16 {
        match (self.policy_of(entry.key()).kind(), used) {
            (Kind::Time, _) => access::at(now_ms),
            (Kind::Count, _) => self.set.scale.used(entry.access(), now_ms, chance),
            (Kind::Read, Use::Read) => access::READ,
            (Kind::Read, Use::Write) => entry.access(),
        }
    }

    /// What is known of an entry.
    pub fn usage(&self, entry: &Entry, now_ms: u64) -> Usage {
        match self.policy_of(entry.key()).kind() {
            Kind::Time => Usage::Idle(access::idle_seconds(entry.access(), now_ms)),
            Kind::Count => Usage::Frequency(self.set.scale.count(entry.access(), now_ms)),
            Kind::Read => Usage::Read(entry.access() == access::READ),
        }
    }

    /// How idle a value is, by what is kept of its uses: in seconds, or by how seldom it is used.
    pub fn idleness(&self, entry: &Entry, now_ms: u64) -> u64 {
        match self.usage(entry, now_ms) {
            Usage::Idle(seconds) => seconds,
            Usage::Frequency(count) => u64::from(u8::MAX - count),
            Usage::Read(_) => 0,
        }
    }

    /// What to keep so that this is known of a key; `None` when something else is kept.
    pub fn access_of(&self, key: &[u8], usage: Usage, now_ms: u64) -> Option<u16> {
        match (self.policy_of(key).kind(), usage) {
            (Kind::Time, Usage::Idle(seconds)) => Some(access::before(now_ms, seconds)),
            (Kind::Count, Usage::Frequency(count)) => Some(self.set.scale.with(count, now_ms)),
            _ => None,
        }
    }

    /// Whether entries that followed other rules need another look.
    pub fn differ_from(&self, before: &Rules) -> bool {
        self.namespaces.is_some()
            || before.varies
            || self.set.scale != before.set.scale
            || self.default_policy.kind() != before.default_policy.kind()
    }

    /// Takes over an entry of a physical database that followed other rules: counts it, and says what it has to keep from
    /// now on.
    pub fn take_over(&self, entry: &Entry, database: u8, before: &Rules, now_ms: u64) -> u16 {
        let namespace = self.namespaces.as_ref().and_then(|namespaces| namespaces.of_new(entry.key()));
        if let Some(namespace) = namespace {
            namespace.add(database, 1, entry.footprint() as i64);
        }
        let kind = self.policy_of(entry.key()).kind();
        match kind == before.policy_of(entry.key()).kind() {
            // The period has another number when it has another length.
            true if kind == Kind::Count => self.set.scale.with(before.set.scale.count(entry.access(), now_ms), now_ms),
            true => entry.access(),
            false => self.first(entry.key(), now_ms),
        }
    }
}
