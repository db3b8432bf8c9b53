//! Ending the process: by signal, by SHUTDOWN, or because the log failed.

use std::sync::Arc;

use tokio::sync::Notify;

/// Asks the main thread to end the process.
#[derive(Clone, Default)]
pub struct Trigger {
    notify: Arc<Notify>,
}

impl Trigger {
    /// Asks. Asking twice is asking once.
    pub fn pull(&self) {
        self.notify.notify_one();
    }

    /// Waits until someone asks.
    pub async fn pulled(&self) {
        self.notify.notified().await;
    }
}
