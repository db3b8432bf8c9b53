//! Sessions that clients may resume: so many, for so long.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use engine::clock::Clock;
use parking_lot::Mutex;
use rustls::server::StoresServerSessions;

/// What is remembered of finished handshakes. It goes with the configuration it belongs to: after another certificate or
/// authority nobody resumes what the one before has let in.
pub struct SessionCache {
    clock: Arc<dyn Clock>,
    most: usize,
    lifetime_ms: u64,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_key: HashMap<Vec<u8>, Session>,
    /// In the order in which they came; also such as were taken.
    keys: VecDeque<(u64, Vec<u8>)>,
}

struct Session {
    end_ms: u64,
    secrets: Vec<u8>,
}

impl SessionCache {
    /// Remembers so many sessions for so many seconds.
    pub fn new(most: usize, lifetime_seconds: u64, clock: Arc<dyn Clock>) -> SessionCache {
        SessionCache { clock, most, lifetime_ms: lifetime_seconds.saturating_mul(1000), sessions: Mutex::default() }
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, secrets: Vec<u8>) -> bool {
        let now_ms = self.clock.monotonic_ms();
        let end_ms = now_ms.saturating_add(self.lifetime_ms);
        let mut sessions = self.sessions.lock();
        while sessions.keys.len() >= self.most || sessions.keys.front().is_some_and(|(end_ms, _)| *end_ms <= now_ms) {
            let Some((_, oldest)) = sessions.keys.pop_front() else { return false };
            sessions.by_key.remove(&oldest);
        }
        sessions.keys.push_back((end_ms, key.clone()));
        sessions.by_key.insert(key, Session { end_ms, secrets });
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now_ms = self.clock.monotonic_ms();
        let sessions = self.sessions.lock();
        let found = sessions.by_key.get(key).filter(|session| session.end_ms > now_ms);
        found.map(|session| session.secrets.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now_ms = self.clock.monotonic_ms();
        let taken = self.sessions.lock().by_key.remove(key);
        taken.filter(|session| session.end_ms > now_ms).map(|session| session.secrets)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets show themselves nowhere.
        out.debug_struct("SessionCache").field("most", &self.most).finish_non_exhaustive()
    }
}
