//! CLIENT PAUSE: for a time nobody's requests run, or nobody's writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::clock::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whether clients are paused, and until when.
#[derive(Default)]
pub struct ClientPause {
    is_on: AtomicBool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Monotonic milliseconds; 0 when there is no pause.
    end_ms: u64,
    /// Not only writes.
    all: bool,
}

impl ClientPause {
    /// Begins or prolongs a pause. One that is going on becomes neither shorter nor less strict. When it ends.
    pub fn start(&self, end_ms: u64, all: bool, now_ms: u64) -> u64 {
        let mut state = self.state.lock();
        if state.end_ms <= now_ms {
            *state = State::default();
        }
        *state = State { end_ms: state.end_ms.max(end_ms), all: state.all || all };
        self.is_on.store(true, Ordering::Relaxed);
        state.end_ms
    }

    /// Ends it.
    pub fn end(&self) {
        let mut state = self.state.lock();
        *state = State::default();
        self.is_on.store(false, Ordering::Relaxed);
        drop(state);
        self.changed.notify_waiters();
    }

    /// When it ends, in monotonic milliseconds; 0 when there is none.
    pub fn end_ms(&self) -> u64 {
        self.state.lock().end_ms
    }

    /// Whether any request may have to wait.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Whether a request has to wait now.
    #[cold]
    pub fn holds(&self, is_write: bool, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        if state.end_ms <= now_ms {
            *state = State::default();
            self.is_on.store(false, Ordering::Relaxed);
            return false;
        }
        state.all || is_write
    }

    /// Waits until it may be over: then one asks again.
    pub async fn over(&self, clock: &dyn Clock) {
        let changed = self.changed.notified();
        let left_ms = self.state.lock().end_ms.saturating_sub(clock.monotonic_ms());
        let _ = tokio::time::timeout(Duration::from_millis(left_ms), changed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_becomes_neither_shorter_nor_less_strict() {
        let pause = ClientPause::default();
        let holds = |is_write: bool, now_ms| pause.is_on() && pause.holds(is_write, now_ms);
        assert!(!holds(true, 0));
        pause.start(100, false, 0);
        assert!(holds(true, 50) && !holds(false, 50));
        pause.start(80, true, 50);
        assert!(holds(true, 90) && holds(false, 90));
        pause.start(90, false, 60);
        assert!(holds(false, 99));
        assert!(!holds(true, 100));
        pause.start(200, false, 150);
        assert!(holds(true, 150) && !holds(false, 150), "the one before is forgotten");
        pause.end();
        assert!(!holds(true, 150));
    }
}
