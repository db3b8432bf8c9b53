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

#[cfg(test)]
mod tests {
    use engine::clock::SimClock;

    use super::*;

    fn cache(most: usize, seconds: u64) -> (SessionCache, Arc<SimClock>) {
        let clock = Arc::new(SimClock::new(1_000_000));
        (SessionCache::new(most, seconds, clock.clone()), clock)
    }

    #[test]
    fn a_session_is_taken_once_and_only_in_its_time() {
        let (cache, clock) = cache(10, 5);
        cache.put(b"a".to_vec(), b"1".to_vec());
        cache.put(b"b".to_vec(), b"2".to_vec());
        assert_eq!(cache.get(b"a").as_deref(), Some(&b"1"[..]));
        assert_eq!(cache.take(b"a").as_deref(), Some(&b"1"[..]));
        assert_eq!((cache.take(b"a"), cache.get(b"a")), (None, None));
        clock.advance_ms(4999);
        assert!(cache.get(b"b").is_some());
        clock.advance_ms(1);
        assert_eq!((cache.get(b"b"), cache.take(b"b")), (None, None));
        cache.put(b"c".to_vec(), b"3".to_vec());
        assert_eq!(cache.sessions.lock().keys.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let (cache, _) = cache(100, 5);
        for number in 0..1000_u32 {
            cache.put(number.to_be_bytes().to_vec(), vec![0]);
            if number % 3 == 0 {
                cache.take(&number.to_be_bytes());
            }
        }
        let sessions = cache.sessions.lock();
        assert!(sessions.keys.len() == 100 && sessions.by_key.len() <= 100);
        drop(sessions);
        assert!(cache.get(&998_u32.to_be_bytes()).is_some() && cache.get(&800_u32.to_be_bytes()).is_none());
    }
}
