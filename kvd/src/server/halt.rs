//! Why a batch of requests is left before its end.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use engine::cold::{Reading, Want};
use tokio::sync::oneshot;

use super::apart::Held;
use super::blocked::{Ended, Waiter};
use crate::commands::{After, Wait};

/// Why a batch was left before its end. The request at the returned position has not run.
pub enum Pause {
    /// The disk is behind, or keys have to go first: try the request again.
    Stalled,
    /// Clients are paused: try the request again when they are not.
    Postponed,
    /// Large arguments go to files of their own first, off this thread; then the request runs with them.
    Blobs,
    /// The request looks at so much that it is to run apart, with the locks of these shards.
    Apart(Held),
    /// The value of this key goes to a file of its own first, off this thread; then the request runs.
    Unsettled(Bytes),
    /// These values lie in the log only and have not been read yet.
    Wants(Vec<Want>),
    /// These values are read first, off this thread, then the request runs.
    Cold(Vec<Reading>),
    /// The request has found nothing and waits.
    Blocked(Box<Waiting>),
    /// Messages for this very connection have come: they stand before the next reply.
    Messages,
    /// There is enough to send for now.
    Output,
    /// It has had its turn: others go first.
    Turn,
    /// More is to be sent than the client may have waiting: it is closed.
    Overflow,
    /// AUTH has just succeeded: what follows is read under wider limits.
    Widened,
    /// The request before has run, and this remains to be done.
    After(After),
}

/// A client that waits for an element.
pub struct Waiting {
    /// Its place in the queues.
    pub waiter: Arc<Waiter>,
    /// How the wait ends.
    pub ended: oneshot::Receiver<Ended>,
    /// How long it takes at most, and what it is told then.
    pub wait: Wait,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl Pause {
    /// Whether the request that led to it has run. If not, it will come again.
    #[inline]
    pub(super) fn has_run(&self) -> bool {
        !matches!(
            self,
            Pause::Stalled
                | Pause::Postponed
                | Pause::Blobs
                | Pause::Apart(_)
                | Pause::Unsettled(_)
                | Pause::Wants(_)
                | Pause::Cold(_)
        )
    }

    /// How long the client of a request that has run sleeps before its reply.
    pub(super) fn sleep_ms(&self) -> u64 {
        match self {
            Pause::After(After::Sleep(ms)) => *ms,
            _ => 0,
        }
    }
}
