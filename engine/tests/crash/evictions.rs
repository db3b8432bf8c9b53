//! What a store says it has evicted, and settings that let it evict something now and then.

use std::sync::{Arc, Mutex};

use engine::listener::{Class, Event, Listener, Presence};
use engine::random::Random;
use engine::{EvictionRules, EvictionSettings, Lsn, Policy, Scale, Store};

/// Hears of keys that went to make room: their databases and names, and where their tombs end.
#[derive(Default)]
pub struct Evictions(Mutex<Vec<(u8, Vec<u8>, Lsn)>>);

impl Evictions {
    /// Listens to a store.
    pub fn of(store: &Store) -> Arc<Evictions> {
        let evictions = Arc::new(Evictions::default());
        store.set_listener(evictions.clone());
        store.attention().set_events(true);
        evictions
    }

    pub fn take(&self) -> Vec<(u8, Vec<u8>, Lsn)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Listener for Evictions {
    fn changed(&self, _: u8, _: &[u8], _: bool) {}

    fn event(&self, event: &Event<'_>) {
        if event.class == Class::Evicted {
            self.0.lock().unwrap().push((event.database, event.key.to_vec(), event.lsn));
        }
    }

    fn replaced(&self, _: u8, _: &mut dyn FnMut(&[u8]) -> Presence) {}
}

const POLICIES: [Policy; 8] = [
    Policy::AllKeysLru,
    Policy::AllKeysLfu,
    Policy::AllKeysRandom,
    Policy::VolatileLru,
    Policy::VolatileTtl,
    Policy::Mru,
    Policy::ExpireAfterRead,
    Policy::NoEviction,
];

/// Some policy.
pub fn settings(chance: &mut Random) -> EvictionSettings {
    let policy = POLICIES[chance.below(POLICIES.len() as u64) as usize];
    let scale = Scale { log_factor: chance.below(12) as u32, decay_minutes: chance.below(3) as u32 };
    let policies = match chance.below(2) {
        0 => Vec::new(),
        _ => vec![(b"a".to_vec(), POLICIES[chance.below(POLICIES.len() as u64) as usize])],
    };
    let separator = if chance.below(3) == 0 { Vec::new() } else { b"/".to_vec() };
    let max_namespaces = chance.below(3) as usize;
    EvictionSettings {
        rules: EvictionRules { policy, scale, separator, max_namespaces, policies },
        threshold_percent: [100, 99][chance.below(2) as usize],
        samples: 1 + chance.below(6) as usize,
    }
}

/// A goal that is a little too low for what is there, or none.
pub fn goal(chance: &mut Random, memory: u64) -> u64 {
    if chance.below(3) == 0 { u64::MAX } else { memory.saturating_sub(1 + chance.below(600)).max(1) }
}

/// The goal when memory is not short: that of the run, unless keys would go for it.
pub fn usual_goal(settings: &EvictionSettings, of_run: u64) -> u64 {
    let rules = &settings.rules;
    let evicts = std::iter::once(&rules.policy).chain(rules.policies.iter().map(|(_, policy)| policy));
    if evicts.into_iter().all(|policy| *policy == Policy::NoEviction) { of_run } else { u64::MAX }
}
