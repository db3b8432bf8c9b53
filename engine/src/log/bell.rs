//! What wakes the flusher: a call that comes between its look at the log and its sleep must not be lost.

use std::time::Duration;

use crate::mutant::planted;
use crate::sync::{Condvar, Mutex};

/// One sleeps beside it, many ring it.
pub(super) struct Bell {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Awake,
    Called,
    Asleep,
}

impl Bell {
    pub(super) fn new() -> Bell {
        Bell { state: Mutex::new(State::Awake), wake: Condvar::new() }
    }

    /// Wakes who sleeps, or keeps it from falling asleep.
    pub(super) fn ring(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Called);
        if before == State::Asleep {
            self.wake.notify_one();
        }
    }

    /// Sleeps until it is rung, or was since the last sleep.
    pub(super) fn sleep(&self, at_most: Duration) {
        let mut state = self.state.lock();
        if *state != State::Called || planted("call_unheard") {
            *state = State::Asleep;
            self.wake.wait_for(&mut state, at_most);
        }
        *state = State::Awake;
    }
}
